#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/sandbox_host.h"
#include "orchestrator/interrupt.h"
#include "orchestrator/serving/server.h"
#include "orchestrator/terminal.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

constexpr int64_t kGraceMs = 3'000;

struct ServeOptions {
  std::string store = "taskmint-store";
  std::string listen = "127.0.0.1:7070";
  AccessFiles access;
  std::vector<std::string> allowed_urls;
  int64_t episodes_max = 2048;
  int64_t idle_seconds_max = 600;
  int64_t jobs = 0;
  int64_t waiting_max = 64;
  bool json = false;
};

Result<ServerSettings> ServerSettingsOf(const ServeOptions& options) {
  ServerSettings settings;
  TASKMINT_ASSIGN_OR_RETURN(settings.address, ParseListenAddress(options.listen));
  TASKMINT_ASSIGN_OR_RETURN(settings.access, ReadAccessRules(options.access, settings.address));
  const int64_t cores = std::max(1U, std::thread::hardware_concurrency());
  settings.episodes.episodes_max = options.episodes_max;
  settings.episodes.idle_ms_max = options.idle_seconds_max * 1000;
  settings.jobs.candidates_at_once = options.jobs > 0 ? options.jobs : cores;
  settings.jobs.waiting_max = options.waiting_max;
  settings.jobs.allowed_urls = options.allowed_urls;
  settings.gradings_max = 2 * cores;
  for (const std::string& url : options.allowed_urls) {
    if (!IsAllowedUrl(url, options.allowed_urls)) {
      return Status(Code::kInvalidArgument, Boundary::kConfig,
                    "--allow-url " + url +
                        ": write an http(s) URL without user name, as https://example.org/team");
    }
  }
  return settings;
}

void Announce(const ServeOptions& options, const std::string& address) {
  if (options.json) {
    PrintOut(DumpJson({{"address", address}, {"store", options.store}}, false) + "\n");
  } else {
    PrintOut("serving " + options.store + " on " + address + " (Ctrl-C ends it)\n");
  }
  std::fflush(stdout);
}

// glibc gives eight arenas a processor to threads that come and go, and what one job leaves free in
// its own, the next cannot use: without this a server grew by a megabyte a job.
void ShareMemoryAmongThreads() {
  ::mallopt(M_ARENA_MAX, static_cast<int>(std::max(2U, std::thread::hardware_concurrency())));
}

int RunServe(const ServeOptions& options) {
  ShareMemoryAmongThreads();
  auto settings = ServerSettingsOf(options);
  if (!settings.ok()) return ComplainOf(settings.status());
  static const SystemClock clock;
  std::error_code error;
  const bool is_new = !std::filesystem::exists(options.store, error);
  auto store = datasets::Store::Open(options.store, datasets::OpenMode::kCreate, clock);
  if (!store.ok()) return ComplainOf(store.status());
  if (is_new) {
    Complain("there was no store at " + Printable(options.store) +
             ": an empty one was made, which jobs may fill");
  }
  auto sandboxes = MakeSandboxHost();
  if (!sandboxes.ok()) return ComplainOf(sandboxes.status());
  const Interrupt interrupt("ending: calls have 3 s; once more ends at once");
  auto server = Server::Start(**store, **sandboxes, clock, *std::move(settings));
  if (!server.ok()) return ComplainOf(server.status());
  Announce(options, (*server)->address());

  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any ended;
  ended.wait(lock, interrupt.token(), [] { return false; });
  (*server)->Stop(kGraceMs);
  return kExitDone;
}

}  // namespace

void AddServe(Command root) {
  static ServeOptions options;
  Command serve = root.Add("serve", "Serve tasks, episodes and jobs by gRPC");
  serve
      .Text("--listen", options.listen, "ADDRESS",
            "HOST:PORT, [IPv6]:PORT or unix:PATH; port 0 is any free one")
      .Text("--tls-cert", options.access.tls_certificate, "FILE", "Certificate chain, PEM")
      .Text("--tls-key", options.access.tls_key, "FILE", "Its key, PEM")
      .Text("--tls-client-ca", options.access.tls_client_authority, "FILE",
            "Only clients with a certificate of these authorities (mTLS)")
      .Text("--token-file", options.access.token, "FILE",
            "Only calls with this token (authorization: Bearer TOKEN)")
      .Text("--reveal-token-file", options.access.reveal_token, "FILE",
            "Bearers of this token may see solutions, hidden tests and verifiers; nobody else may")
      .Texts("--allow-url", options.allowed_urls, "URL",
             "Jobs may clone this URL and what lies below it; may be repeated (default: none)")
      .Number("--episodes-max", options.episodes_max, 1, 100'000,
              "Episodes open at once (default: 2,048)")
      .Number("--idle-seconds-max", options.idle_seconds_max, 1, 1'000'000,
              "An episode without a call is closed after so long (default: 600)")
      .Number("--jobs,-j", options.jobs, 1, 1024,
              "Candidates at once of the job that runs (default: the cores)")
      .Number("--jobs-waiting-max", options.waiting_max, 1, 100'000,
              "Jobs that may wait; more are refused (default: 64)")
      .Flag("--json", options.json, "Print one line: address and store");
  AddStoreOption(serve, options.store);
  serve.Example("taskmint serve --listen 127.0.0.1:7070 --store tasks")
      .Example(
          "taskmint serve --listen 0.0.0.0:7070 --tls-cert c.pem --tls-key k.pem --token-file "
          "token")
      .Action([] { return RunServe(options); });
}

}  // namespace taskmint::orchestrator
