// serving_bench STORE [SECONDS]: how many tasks a second 32 clients get from a server on the same
// machine, and how long one waits; beside a call of the same server that answers with nothing, in
// the same run: what the transport alone costs.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "orchestrator/serving/server.h"
#include "proto/services.grpc.pb.h"

namespace {

using Clock = std::chrono::steady_clock;
using namespace taskmint;                // NOLINT(google-build-using-namespace)
using namespace taskmint::orchestrator;  // NOLINT(google-build-using-namespace)

constexpr int kClients = 32;

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

struct Measured {
  double calls_per_s = 0;
  double p50_ms = 0;
  double p99_ms = 0;
};

// `call` makes one call over a channel; false when it failed.
using MakeCall = std::function<std::function<bool()>(const std::shared_ptr<grpc::Channel>&)>;

Measured Measure(const std::string& address, int seconds, const MakeCall& make) {
  std::vector<std::vector<double>> waits(kClients);
  std::atomic<bool> failed = false;
  const auto end = Clock::now() + std::chrono::seconds(seconds);
  {
    std::vector<std::jthread> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.emplace_back([&, i] {
        const auto call = make(Connect(address));
        if (!call()) failed = true;
        while (Clock::now() < end) {
          const auto begin = Clock::now();
          if (!call()) failed = true;
          waits[i].push_back(
              std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
        }
      });
    }
  }
  if (failed) {
    std::fprintf(stderr, "a call failed\n");
    std::exit(1);
  }
  std::vector<double> all;
  for (const auto& some : waits) all.insert(all.end(), some.begin(), some.end());
  std::sort(all.begin(), all.end());
  return {static_cast<double>(all.size()) / seconds, all[all.size() / 2],
          all[all.size() * 99 / 100]};
}

void Print(const char* what, const Measured& measured) {
  std::printf("%-14s %8.0f calls/s   p50 %.2f ms   p99 %.2f ms\n", what, measured.calls_per_s,
              measured.p50_ms, measured.p99_ms);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const int seconds = argc > 2 ? std::atoi(argv[2]) : 10;
  const SystemClock clock;
  auto store = datasets::Store::Open(argv[1], datasets::OpenMode::kReadWrite, clock);
  auto sandboxes = sandbox::MakeBubblewrapHost();
  if (!store.ok() || !sandboxes.ok()) return 1;
  const auto ids = (*store)->KeptTaskIds("");
  if (!ids.ok() || ids->empty()) return 1;
  ServerSettings settings;
  settings.address = {"127.0.0.1:0", true};
  auto server = Server::Start(**store, **sandboxes, clock, settings);
  if (!server.ok()) return 1;

  const MakeCall get = [&](const std::shared_ptr<grpc::Channel>& channel) {
    return [stub = std::shared_ptr<v1::TaskService::Stub>(v1::TaskService::NewStub(channel)), &ids,
            next = size_t{0}]() mutable {
      grpc::ClientContext context;
      v1::GetRequest request;
      request.set_id((*ids)[next++ % ids->size()]);
      v1::GetResponse response;
      return stub->Get(&context, request, &response).ok();
    };
  };
  const MakeCall list_nothing = [&](const std::shared_ptr<grpc::Channel>& channel) {
    return [stub = std::shared_ptr<v1::JobService::Stub>(v1::JobService::NewStub(channel))] {
      grpc::ClientContext context;
      v1::ListJobsResponse response;
      return stub->List(&context, {}, &response).ok();
    };
  };
  Print("task get", Measure((*server)->address(), seconds, get));
  Print("empty call", Measure((*server)->address(), seconds, list_nothing));
  return 0;
}
