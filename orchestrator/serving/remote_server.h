// A Taskmint server that is elsewhere, for the commands that take --server.
#ifndef TASKMINT_ORCHESTRATOR_SERVING_REMOTE_SERVER_H_
#define TASKMINT_ORCHESTRATOR_SERVING_REMOTE_SERVER_H_

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "datasets/store.h"
#include "orchestrator/audit.h"
#include "orchestrator/regrade.h"
#include "proto/base/status.h"
#include "proto/services.pb.h"

namespace taskmint::orchestrator {

// How to reach it, as the user says.
struct RemotePlace {
  // "HOST:PORT" or "unix:PATH"; empty: no server is meant.
  std::string address;
  // File with the token that is sent; empty: none.
  std::string token_file;
  // PEM file of the authorities that the server's certificate is checked with; "system" for those
  // of this machine; empty: no TLS.
  std::string tls_authority_file;
  // PEM files of the caller's certificate and its private key, for a server that wants them; empty:
  // none. Both or neither, and only with TLS.
  std::string certificate_file;
  std::string key_file;
};

// A connection. Errors have the server's code, boundary and words; UNAVAILABLE (config) when it
// cannot be reached. Thread-safe.
class RemoteServer {
 public:
  // Reads the files; the connection is made by the first call. INVALID_ARGUMENT (config) for a
  // token that would leave this machine in the clear.
  static Result<std::unique_ptr<RemoteServer>> Connect(const RemotePlace& place);
  virtual ~RemoteServer() = default;

  virtual Result<std::vector<datasets::ListRow>> List(datasets::Store::Which which,
                                                      const std::string& where) = 0;
  // With the answer where the token may see it, else without.
  virtual Result<v1::GetResponse> Get(const std::string& id) = 0;
  virtual Result<v1::VerifyResponse> Verify(const std::string& id, const ProposedSolution& solution,
                                            std::stop_token stop) = 0;
  virtual Result<v1::ReplayReport> Replay(const std::string& id, std::stop_token stop) = 0;
  virtual Result<v1::StoreStats> Stats() = 0;
  virtual Result<AuditReport> Audit(const std::string& where, std::stop_token stop) = 0;
  // `bundle` is empty for a URL.
  virtual Result<v1::JobStatus> Submit(const v1::SynthRequest& request,
                                       const std::string& bundle) = 0;
  using Tell = std::function<void(const v1::JobEvent& event)>;
  // Until the job has ended; its last status.
  virtual Result<v1::JobStatus> Watch(const std::string& id, const Tell& tell,
                                      std::stop_token stop) = 0;
  virtual Result<v1::JobStatus> Cancel(const std::string& id) = 0;
  // Writes the files below `out`, a folder that is not there or empty; returns the report.
  virtual Result<std::string> Export(const v1::ExportRequest& request, const std::string& out,
                                     std::stop_token stop) = 0;
  virtual Result<v1::OpenResponse> OpenEpisode(const v1::OpenRequest& request) = 0;
  virtual Result<v1::CallToolResponse> CallTool(const v1::CallToolRequest& request,
                                                std::stop_token stop) = 0;
  virtual Result<v1::GradeResponse> Grade(const std::string& episode_id, std::stop_token stop) = 0;
  virtual Status CloseEpisode(const std::string& episode_id) = 0;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SERVING_REMOTE_SERVER_H_
