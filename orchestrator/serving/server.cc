#include "orchestrator/serving/server.h"

#include <absl/synchronization/mutex.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <vector>

#include "orchestrator/serving/admission.h"
#include "orchestrator/serving/call.h"
#include "orchestrator/serving/episode_service.h"
#include "orchestrator/serving/export_call.h"
#include "orchestrator/serving/health_descriptor.h"
#include "orchestrator/serving/job_service.h"
#include "orchestrator/serving/served_tasks.h"
#include "orchestrator/serving/task_service.h"

namespace taskmint::orchestrator {
namespace {

constexpr int64_t kStopMs = 5'000;
// Messages on their way, as many of the largest as that.
constexpr int64_t kMessagesInMemoryMax = 64;
constexpr int64_t kReflectionsMax = 8;

std::shared_ptr<grpc::ServerCredentials> CredentialsOf(const AccessRules& access) {
  if (!access.tls()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options(
      access.tls_client_authority.empty()
          ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
          : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_key_cert_pairs.push_back({access.tls_key, access.tls_certificate});
  options.pem_root_certs = access.tls_client_authority;
  return grpc::SslServerCredentials(options);
}

// Episodes and connections take descriptors by the thousand.
void RaiseOpenFilesLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

std::string AddressWithPort(const std::string& address, int port) {
  if (address.starts_with("unix:")) return address;
  return address.substr(0, address.rfind(':') + 1) + std::to_string(port);
}

class GrpcServer final : public Server {
 public:
  GrpcServer(datasets::Store& store, sandbox::SandboxHost& sandboxes, const Clock& clock,
             ServerSettings settings, std::unique_ptr<JobDesk> jobs)
      : settings_(std::move(settings)),
        hidden_store_(store.folder(), "the server's store"),
        jobs_(std::move(jobs)),
        episodes_(store, sandboxes, clock, settings_.episodes),
        served_(store, clock),
        task_server_(store, sandboxes, served_, clock, rules(), settings_.gradings_max),
        job_server_(*jobs_, rules()),
        episode_server_(episodes_, rules()) {}
  ~GrpcServer() override { Stop(kStopMs); }

  Status Listen() {
    DescribeHealthService();
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(settings_.address.text, CredentialsOf(settings_.access), &port);
    builder.RegisterService(&task_server_);
    builder.RegisterService(&job_server_);
    builder.RegisterService(&episode_server_);
    builder.SetMaxReceiveMessageSize(static_cast<int>(settings_.message_bytes_max));
    builder.SetMaxSendMessageSize(-1);
    // Two servers on one port would share its calls.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
    grpc::ResourceQuota quota("taskmint");
    quota.SetMaxThreads(static_cast<int>(settings_.calls_max));
    quota.Resize(static_cast<size_t>(kMessagesInMemoryMax * settings_.message_bytes_max));
    builder.SetResourceQuota(quota);
    // One connection alone cannot take all threads; what is too much waits at its client.
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                               static_cast<int>(std::max<int64_t>(1, settings_.calls_max / 2)));
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> gates;
    gates.push_back(std::make_unique<Admission>(settings_.access, kReflectionsMax));
    builder.experimental().SetInterceptorCreators(std::move(gates));
    server_ = builder.BuildAndStart();
    const bool named = settings_.address.text.starts_with("unix:");
    if (server_ == nullptr || (port == 0 && !named)) {
      server_.reset();
      return {Code::kUnavailable, Boundary::kConfig,
              "cannot listen on " + settings_.address.text +
                  ": is another server there, is the address this machine's" +
                  (settings_.access.tls() ? ", and are certificate and key PEM that match?" : "?")};
    }
    address_ = AddressWithPort(settings_.address.text, port);
    jobs_->Begin();
    return OkStatus();
  }

  const std::string& address() const override { return address_; }

  void Stop(int64_t grace_ms) override {
    if (server_ == nullptr) return;
    server_->GetHealthCheckService()->SetServingStatus(false);
    // What waits, for a job's events or a test run, is not waited for.
    const std::jthread stopper([this, grace_ms](std::stop_token stop) {
      std::mutex mutex;
      std::unique_lock lock(mutex);
      std::condition_variable_any never;
      never.wait_for(lock, stop, std::chrono::milliseconds(grace_ms), [] { return false; });
      cancellations_.StopAll();
    });
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(grace_ms) +
                      std::chrono::milliseconds(500));
    server_->Wait();
    server_.reset();
  }

 private:
  CallRules rules() { return {settings_.access, cancellations_, hidden_store_}; }

  const ServerSettings settings_;
  CancellationWatch cancellations_;
  const HiddenPath hidden_store_;
  std::unique_ptr<JobDesk> jobs_;
  EpisodeDesk episodes_;
  ServedTasks served_;
  TaskServer task_server_;
  JobServer job_server_;
  EpisodeServer episode_server_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::Start(datasets::Store& store,
                                              sandbox::SandboxHost& sandboxes, const Clock& clock,
                                              ServerSettings settings) {
  RaiseOpenFilesLimit();
  // Every refused handshake would be a line on standard error.
  setenv("GRPC_VERBOSITY", "NONE", 0);
  // gRPC locks a hundred times a call, and abseil as Debian builds it follows the order of all.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  TASKMINT_ASSIGN_OR_RETURN(std::unique_ptr<JobDesk> jobs,
                            JobDesk::Open(store, sandboxes, clock, settings.jobs));
  RemoveLeftExports(store);  // the desk's lock says that no other server makes one
  auto server =
      std::make_unique<GrpcServer>(store, sandboxes, clock, std::move(settings), std::move(jobs));
  TASKMINT_RETURN_IF_ERROR(server->Listen());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace taskmint::orchestrator
