// `taskmint sandbox attack`: what holds on this machine.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/sandbox_host.h"
#include "orchestrator/interrupt.h"
#include "orchestrator/terminal.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"
#include "sandbox/attack_suite.h"
#include "sandbox/host_traces.h"

namespace taskmint::orchestrator {
namespace {

using sandbox::Attack;
using sandbox::AttackOutcome;

struct AttackOptions {
  std::vector<std::string> names;
  std::string attack_class;
  int64_t jobs = 0;
  bool json = false;
};

// A sandbox beside those under attack, in which a command must always run.
class Bystander {
 public:
  explicit Bystander(std::unique_ptr<sandbox::Sandbox> sandbox)
      : sandbox_(std::move(sandbox)),
        thread_([this](const std::stop_token& stop) { Watch(stop); }) {}

  // What it noticed; empty: nothing.
  std::string Noticed() {
    thread_.request_stop();
    thread_.join();
    return noticed_;
  }

 private:
  void Watch(const std::stop_token& stop) {
    while (!stop.stop_requested() && noticed_.empty()) {
      sandbox::Command command;
      command.argv = {"sh", "-c", "echo unharmed > /tmp/f && cat /tmp/f"};
      command.wall_ms_max = 20'000;
      const auto result = sandbox_->Run(command, {});
      if (!result.ok())
        noticed_ = result.status().message();
      else if (result->output != "unharmed\n")
        noticed_ = "a command beside the attacks ended by " + std::string(CauseOf(*result)) + ": " +
                   result->error_output;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

  std::unique_ptr<sandbox::Sandbox> sandbox_;
  std::string noticed_;
  std::jthread thread_;
};

// Runs the attacks, some at once, and tells of each in the order of the table.
class Suite {
 public:
  Suite(sandbox::SandboxHost& sandboxes, std::vector<Attack> attacks, bool prints)
      : sandboxes_(sandboxes), attacks_(std::move(attacks)), prints_(prints) {
    outcomes_.resize(attacks_.size());
  }

  Status Run(int64_t jobs, const std::stop_token& stop) {
    {
      std::vector<std::jthread> threads;
      for (int64_t job = 0; job < jobs; ++job) threads.emplace_back([&] { Work(stop); });
    }
    return failure_;
  }

  size_t contained() const {
    return static_cast<size_t>(std::count_if(
        outcomes_.begin(), outcomes_.end(),
        [](const auto& outcome) { return outcome.has_value() && outcome->contained; }));
  }
  bool all_contained() const { return contained() == attacks_.size(); }
  size_t size() const { return attacks_.size(); }

  nlohmann::json Json() const {
    nlohmann::json rows = nlohmann::json::array();
    for (size_t i = 0; i < attacks_.size(); ++i) {
      const AttackOutcome outcome = outcomes_[i].value_or(AttackOutcome());
      rows.push_back({{"name", attacks_[i].name},
                      {"class", attacks_[i].attack_class},
                      {"contained", outcome.contained},
                      {"wall", attacks_[i].wall},
                      {"cause", outcome.cause},
                      {"detail", outcome.detail},
                      {"wall_ms", outcome.wall_ms}});
    }
    return rows;
  }

 private:
  void Work(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const size_t number = next_++;
      if (number >= attacks_.size()) return;
      auto outcome = RunAttack(sandboxes_, attacks_[number], stop);
      const std::lock_guard lock(mutex_);
      if (!outcome.ok()) {
        if (failure_.ok()) failure_ = outcome.status();
        return;
      }
      outcomes_[number] = std::move(*outcome);
      if (prints_) PrintReady();
    }
  }

  void PrintReady() {
    for (; printed_ < outcomes_.size() && outcomes_[printed_].has_value(); ++printed_) {
      const Attack& attack = attacks_[printed_];
      const AttackOutcome& outcome = *outcomes_[printed_];
      const auto padded = [](std::string text, size_t width) {
        text.resize(std::max(width, text.size()), ' ');
        return text;
      };
      const std::string verdict = outcome.contained ? Tinted("contained    ", Tint::kGreen)
                                                    : Tinted("NOT CONTAINED", Tint::kRed);
      PrintOut(
          padded(attack.name, 34) + padded(attack.attack_class, 11) + verdict + "  " +
          padded(attack.wall, 20) +
          (outcome.detail.empty() ? outcome.cause : padded(outcome.cause, 11) + outcome.detail) +
          "\n");
    }
  }

  sandbox::SandboxHost& sandboxes_;
  const std::vector<Attack> attacks_;
  const bool prints_;
  std::atomic<size_t> next_ = 0;
  std::mutex mutex_;
  std::vector<std::optional<AttackOutcome>> outcomes_;
  size_t printed_ = 0;
  Status failure_;
};

Result<std::vector<Attack>> Chosen(const AttackOptions& options) {
  TASKMINT_ASSIGN_OR_RETURN(std::vector<Attack> attacks, sandbox::ReadAttacks());
  for (const std::string& name : options.names) {
    if (std::none_of(attacks.begin(), attacks.end(),
                     [&](const Attack& attack) { return attack.name == name; })) {
      return Status(
          Code::kInvalidArgument, Boundary::kConfig,
          "no attack is called " + name + "; `taskmint sandbox attack --list` names them");
    }
    if (std::none_of(attacks.begin(), attacks.end(), [&](const Attack& attack) {
          return attack.name == name &&
                 (options.attack_class.empty() || attack.attack_class == options.attack_class);
        })) {
      return Status(
          Code::kInvalidArgument, Boundary::kConfig,
          name + " is not of the class " + options.attack_class + ": name attacks, or a class");
    }
  }
  std::erase_if(attacks, [&](const Attack& attack) {
    const auto& names = options.names;
    return (!names.empty() && std::find(names.begin(), names.end(), attack.name) == names.end()) ||
           (!options.attack_class.empty() && attack.attack_class != options.attack_class);
  });
  return attacks;
}

int ListAttacks(const std::vector<Attack>& attacks) {
  Table table({"NAME", "CLASS", "WALL", "WHAT IT DOES"});
  for (const Attack& attack : attacks) {
    table.Add({attack.name, attack.attack_class, attack.wall,
               attack.note.substr(0, attack.note.find(" Host: "))});
  }
  table.Print();
  return kExitDone;
}

// `noticed` is what the one beside them did.
Status RunBesideABystander(sandbox::SandboxHost& sandboxes, int64_t jobs,
                           const std::stop_token& stop, Suite& suite, std::string* noticed) {
  TASKMINT_ASSIGN_OR_RETURN(auto beside, sandboxes.Open({}, stop));
  Bystander bystander(std::move(beside));
  Status ran = suite.Run(jobs, stop);
  *noticed = bystander.Noticed();
  return ran;
}

int RunAttacks(const AttackOptions& options) {
  const Interrupt interrupt("stopping");
  const auto attacks = Chosen(options);
  if (!attacks.ok()) return ComplainOf(attacks.status());
  const auto sandboxes = MakeSandboxHost();
  if (!sandboxes.ok()) {
    ComplainOf(sandboxes.status());
    return kExitNoSandbox;
  }
  // What stays of a first sandbox, such as the thread that starts them, is no trace of an attack.
  if (const auto first = (*sandboxes)->Open({}, interrupt.token()); !first.ok()) {
    ComplainOf(first.status());
    return kExitNoSandbox;
  }
  const sandbox::HostTraces before = sandbox::HostTraces::Look();
  const int64_t jobs =
      options.jobs > 0 ? options.jobs : std::max<int64_t>(1, std::thread::hardware_concurrency());
  Suite suite(**sandboxes, *attacks, !options.json);
  std::string noticed;
  const Status ran = RunBesideABystander(**sandboxes, jobs, interrupt.token(), suite, &noticed);
  if (interrupt.interrupted()) return kExitInterrupted;
  if (options.json) PrintOut(DumpJson(suite.Json(), true) + "\n");
  if (!ran.ok()) {
    ComplainOf(ran);
    return kExitNoSandbox;
  }
  if (!options.json) {
    PrintOut(std::to_string(suite.contained()) + " of " + std::to_string(suite.size()) +
             " contained\n");
  }
  if (!noticed.empty()) Complain("a sandbox beside them noticed: " + noticed);
  const std::vector<std::string> changes = sandbox::HostTraces::Look().ChangesSince(before);
  for (const std::string& change : changes) Complain("this machine is not as it was: " + change);
  return suite.all_contained() && noticed.empty() && changes.empty() ? kExitDone : kExitFailed;
}

}  // namespace

void AddSandboxAttack(Command sandbox) {
  static AttackOptions options;
  static bool list = false;
  Command attack = sandbox.Add(
      "attack",
      "Run programs that try to break out, to fill the machine and to forge verdicts, each in a "
      "fresh sandbox, beside one that must not notice, and see that nothing is left of them on "
      "this machine: process, control group, mount, file, descriptor, IPC object, setting or "
      "clock. Exits with 1 when one is not contained");
  attack.Texts("name", options.names, "NAME", "Only these")
      .Choice("--class", options.attack_class, {"resources", "lifetime", "escape", "integrity"},
              "Only those of this class")
      .Number("--jobs,-j", options.jobs, 1, 64, "Attacks at once (default: the cores)")
      .Flag("--list", list, "What there is, and what each tries")
      .Flag("--json", options.json,
            "Print an array: name, class, contained, wall, cause, detail, wall_ms")
      .Example("taskmint sandbox attack")
      .Example("taskmint sandbox attack --class escape --json")
      .Example("taskmint sandbox attack fork_bomb memory_hog")
      .Action([] {
        if (!list) return RunAttacks(options);
        const auto attacks = Chosen(options);
        return attacks.ok() ? ListAttacks(*attacks) : ComplainOf(attacks.status());
      });
}

}  // namespace taskmint::orchestrator
