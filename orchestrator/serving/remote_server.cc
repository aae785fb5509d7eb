#include "orchestrator/serving/remote_server.h"

#include <grpcpp/grpcpp.h>

#include <cstdlib>

#include "orchestrator/host_file.h"
#include "orchestrator/serving/audit_record.h"
#include "orchestrator/serving/listen_address.h"
#include "orchestrator/serving/received_files.h"
#include "proto/base/utf8.h"
#include "proto/services.grpc.pb.h"

namespace taskmint::orchestrator {
namespace {

constexpr int kRemoteMessageBytesMax = 64 << 20;
constexpr size_t kBundleChunkBytes = 1 << 20;

// What the user may have meant, behind gRPC's own words.
std::string WhyUnreachable(const std::string& message) {
  const auto says = [&](const char* what) { return message.find(what) != std::string::npos; };
  if (says("Socket closed") || says("connection reset")) {
    return " (does it want TLS? add --server-ca FILE)";
  }
  if (says("SSL") || says("handshake") || says("certificate") || says("Handshake")) {
    return " (is its certificate one of --server-ca's, and does the server want --server-cert?)";
  }
  if (says("C-ares") || says("DNS") || says("resol")) return " (there is no such host)";
  return "";
}

Status FromGrpc(const grpc::Status& status, const grpc::ClientContext& context,
                const std::string& address) {
  if (status.ok()) return OkStatus();
  const auto& metadata = context.GetServerTrailingMetadata();
  const auto boundary = metadata.find("taskmint-boundary");
  const auto code = static_cast<Code>(status.error_code());
  if (boundary != metadata.end()) {
    const std::string name(boundary->second.data(), boundary->second.size());
    return {code, BoundaryFromName(name), status.error_message()};
  }
  if (code != Code::kUnavailable) return {code, Boundary::kConfig, status.error_message()};
  return {code, Boundary::kConfig,
          "cannot reach " + address + ": " + status.error_message() +
              WhyUnreachable(status.error_message())};
}

Status CheckPlace(const RemotePlace& place) {
  const auto wrong = [](const std::string& what) {
    return Status(Code::kInvalidArgument, Boundary::kConfig, what);
  };
  const size_t colon = place.address.rfind(':');
  const bool is_path = place.address.starts_with("unix:");
  if (!is_path && (colon == std::string::npos || colon + 1 == place.address.size() ||
                   place.address.find_first_not_of("0123456789", colon + 1) != std::string::npos)) {
    return wrong("--server wants HOST:PORT or unix:PATH, and got '" + Printable(place.address) +
                 "'");
  }
  if (place.certificate_file.empty() != place.key_file.empty()) {
    return wrong("--server-cert and --server-key go together");
  }
  if (!place.tls_authority_file.empty()) return OkStatus();
  if (!place.certificate_file.empty()) {
    return wrong("--server-cert needs TLS: add --server-ca FILE, or --server-ca system");
  }
  if (place.token_file.empty()) return OkStatus();
  const auto address = ParseListenAddress(place.address);
  if (address.ok() && address->loopback) return OkStatus();
  return wrong("the token would be sent to " + place.address +
               " in the clear: add --server-ca FILE, or --server-ca system, for TLS");
}

class GrpcRemoteServer final : public RemoteServer {
 public:
  GrpcRemoteServer(std::string address, std::string token,
                   const std::shared_ptr<grpc::ChannelCredentials>& credentials)
      : address_(std::move(address)), token_(std::move(token)) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kRemoteMessageBytesMax);
    const auto channel = grpc::CreateCustomChannel(address_, credentials, arguments);
    tasks_ = v1::TaskService::NewStub(channel);
    jobs_ = v1::JobService::NewStub(channel);
    episodes_ = v1::EpisodeService::NewStub(channel);
  }

  Result<std::vector<datasets::ListRow>> List(datasets::Store::Which which,
                                              const std::string& where) override {
    using Which = datasets::Store::Which;
    std::vector<datasets::ListRow> rows;
    v1::ListRequest request;
    request.set_where(where);
    request.set_include_rejected(which != Which::kKept);
    do {
      v1::ListResponse page;
      const auto list = [&](grpc::ClientContext* context) {
        return tasks_->List(context, request, &page);
      };
      Status status = Do(list);
      if (which == Which::kAll && status.code() == Code::kPermissionDenied) {
        request.set_include_rejected(false);
        status = Do(list);
      }
      TASKMINT_RETURN_IF_ERROR(status);
      for (const v1::TaskRow& row : page.tasks()) {
        if (which == Which::kRejected && row.kept()) continue;
        rows.push_back({row.id(), row.category(), row.language(), row.source(), row.commit(),
                        row.kept(), row.reason()});
      }
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return rows;
  }

  Result<v1::GetResponse> Get(const std::string& id) override {
    v1::GetRequest request;
    request.set_id(id);
    request.set_reveal(!token_.empty());
    v1::GetResponse response;
    const auto get = [&](grpc::ClientContext* context) {
      return tasks_->Get(context, request, &response);
    };
    Status status = Do(get);
    if (request.reveal() && status.code() == Code::kPermissionDenied) {
      request.set_reveal(false);
      status = Do(get);
    }
    TASKMINT_RETURN_IF_ERROR(status);
    return response;
  }

  Result<v1::VerifyResponse> Verify(const std::string& id, const ProposedSolution& solution,
                                    std::stop_token stop) override {
    v1::VerifyRequest request;
    request.set_id(id);
    switch (solution.kind) {
      case ProposedSolution::Kind::kGold:
        request.set_gold(true);
        break;
      case ProposedSolution::Kind::kNull:
        request.set_null(true);
        break;
      case ProposedSolution::Kind::kPatch:
        request.set_patch(solution.patch);
        break;
    }
    v1::VerifyResponse response;
    TASKMINT_RETURN_IF_ERROR(Do(
        [&](grpc::ClientContext* context) { return tasks_->Verify(context, request, &response); },
        stop));
    return response;
  }

  Result<v1::ReplayReport> Replay(const std::string& id, std::stop_token stop) override {
    v1::ReplayRequest request;
    request.set_id(id);
    v1::ReplayReport report;
    TASKMINT_RETURN_IF_ERROR(
        Do([&](grpc::ClientContext* context) { return tasks_->Replay(context, request, &report); },
           stop));
    return report;
  }

  Result<v1::StoreStats> Stats() override {
    v1::StoreStats stats;
    TASKMINT_RETURN_IF_ERROR(Do([&](grpc::ClientContext* context) {
      return tasks_->Stats(context, v1::StatsRequest(), &stats);
    }));
    return stats;
  }

  Result<AuditReport> Audit(const std::string& where, std::stop_token stop) override {
    v1::AuditRequest request;
    request.set_where(where);
    v1::AuditReport report;
    TASKMINT_RETURN_IF_ERROR(
        Do([&](grpc::ClientContext* context) { return tasks_->Audit(context, request, &report); },
           stop));
    return FromRecord(report);
  }

  Result<v1::JobStatus> Submit(const v1::SynthRequest& request,
                               const std::string& bundle) override {
    v1::JobStatus accepted;
    TASKMINT_RETURN_IF_ERROR(Do([&](grpc::ClientContext* context) {
      const auto writer = jobs_->Submit(context, &accepted);
      v1::SubmitRequest message;
      *message.mutable_request() = request;
      bool goes_on = writer->Write(message);
      message.clear_request();
      for (size_t at = 0; goes_on && at < bundle.size(); at += kBundleChunkBytes) {
        message.set_bundle_chunk(bundle.substr(at, kBundleChunkBytes));
        goes_on = writer->Write(message);
      }
      writer->WritesDone();
      return writer->Finish();
    }));
    return accepted;
  }

  Result<v1::JobStatus> Watch(const std::string& id, const Tell& tell,
                              std::stop_token stop) override {
    v1::WatchRequest request;
    request.set_id(id);
    v1::JobStatus last;
    TASKMINT_RETURN_IF_ERROR(Do(
        [&](grpc::ClientContext* context) {
          const auto reader = jobs_->Watch(context, request);
          v1::JobEvent event;
          while (reader->Read(&event)) {
            tell(event);
            last = event.status();
          }
          return reader->Finish();
        },
        stop));
    return last;
  }

  Result<v1::JobStatus> Cancel(const std::string& id) override {
    v1::CancelJobRequest request;
    request.set_id(id);
    v1::JobStatus status;
    TASKMINT_RETURN_IF_ERROR(
        Do([&](grpc::ClientContext* context) { return jobs_->Cancel(context, request, &status); }));
    return status;
  }

  Result<std::string> Export(const v1::ExportRequest& request, const std::string& out,
                             std::stop_token stop) override {
    TASKMINT_ASSIGN_OR_RETURN(ReceivedFiles files, ReceivedFiles::Begin(out));
    Status written;
    TASKMINT_RETURN_IF_ERROR(Do(
        [&](grpc::ClientContext* context) {
          const auto reader = tasks_->Export(context, request);
          v1::ExportChunk chunk;
          while (written.ok() && reader->Read(&chunk)) written = files.Take(chunk);
          if (!written.ok()) context->TryCancel();
          const grpc::Status end = reader->Finish();
          return written.ok() ? end : grpc::Status::OK;
        },
        stop));
    TASKMINT_RETURN_IF_ERROR(written);
    return files.End();
  }

  Result<v1::OpenResponse> OpenEpisode(const v1::OpenRequest& request) override {
    v1::OpenResponse response;
    TASKMINT_RETURN_IF_ERROR(Do([&](grpc::ClientContext* context) {
      return episodes_->Open(context, request, &response);
    }));
    return response;
  }

  Result<v1::CallToolResponse> CallTool(const v1::CallToolRequest& request,
                                        std::stop_token stop) override {
    v1::CallToolResponse response;
    TASKMINT_RETURN_IF_ERROR(Do(
        [&](grpc::ClientContext* context) {
          return episodes_->CallTool(context, request, &response);
        },
        stop));
    return response;
  }

  Result<v1::GradeResponse> Grade(const std::string& episode_id, std::stop_token stop) override {
    v1::GradeRequest request;
    request.set_episode_id(episode_id);
    v1::GradeResponse response;
    TASKMINT_RETURN_IF_ERROR(Do(
        [&](grpc::ClientContext* context) { return episodes_->Grade(context, request, &response); },
        stop));
    return response;
  }

  Status CloseEpisode(const std::string& episode_id) override {
    v1::CloseRequest request;
    request.set_episode_id(episode_id);
    v1::CloseResponse response;
    return Do([&](grpc::ClientContext* context) {
      return episodes_->Close(context, request, &response);
    });
  }

 private:
  // One call; the token goes along, and `stop` cancels it.
  template <typename Make>
  Status Do(const Make& make, std::stop_token stop = {}) {
    grpc::ClientContext context;
    if (!token_.empty()) context.AddMetadata("authorization", "Bearer " + token_);
    const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
    const grpc::Status status = make(&context);
    if (status.error_code() == grpc::StatusCode::UNAUTHENTICATED) {
      return {Code::kPermissionDenied, Boundary::kConfig,
              address_ + (token_.empty() ? " wants a token: --token-file FILE sends one"
                                         : " does not know the token in --token-file")};
    }
    return FromGrpc(status, context, address_);
  }

  const std::string address_;
  const std::string token_;
  std::unique_ptr<v1::TaskService::Stub> tasks_;
  std::unique_ptr<v1::JobService::Stub> jobs_;
  std::unique_ptr<v1::EpisodeService::Stub> episodes_;
};

}  // namespace

Result<std::unique_ptr<RemoteServer>> RemoteServer::Connect(const RemotePlace& place) {
  setenv("GRPC_VERBOSITY", "NONE", 0);
  TASKMINT_RETURN_IF_ERROR(CheckPlace(place));
  std::string token;
  if (!place.token_file.empty()) {
    TASKMINT_ASSIGN_OR_RETURN(token, ReadHostFile(place.token_file));
    while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
    if (token.empty()) {
      return Status(Code::kInvalidArgument, Boundary::kConfig,
                    place.token_file + " holds no token");
    }
  }
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (!place.tls_authority_file.empty()) {
    grpc::SslCredentialsOptions options;
    if (place.tls_authority_file != "system") {
      TASKMINT_ASSIGN_OR_RETURN(options.pem_root_certs, ReadHostFile(place.tls_authority_file));
    }
    if (!place.certificate_file.empty()) {
      TASKMINT_ASSIGN_OR_RETURN(options.pem_cert_chain, ReadHostFile(place.certificate_file));
      TASKMINT_ASSIGN_OR_RETURN(options.pem_private_key, ReadHostFile(place.key_file));
    }
    credentials = grpc::SslCredentials(options);
  }
  return std::unique_ptr<RemoteServer>(
      std::make_unique<GrpcRemoteServer>(place.address, std::move(token), credentials));
}

}  // namespace taskmint::orchestrator
