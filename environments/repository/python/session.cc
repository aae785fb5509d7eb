#include "environments/repository/python/session.h"

#include <re2/re2.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "environments/repository/python/byte_code.h"
#include "environments/repository/python/pytest_command.h"
#include "environments/repository/python/scripts.h"
#include "environments/repository/python/steering.h"
#include "environments/repository/state_sandbox.h"
#include "proto/base/digest.h"
#include "proto/base/json.h"
#include "proto/base/log.h"
#include "proto/base/random.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

using sandbox::CommandResult;
using sandbox::Ending;
using sandbox::LineProcess;

constexpr char kTemporary[] = "/tmp";
constexpr int64_t kWarmUpMsMax = 120'000;
constexpr int64_t kCompileMsMax = 60'000;
constexpr size_t kCollectedBytesMax = 64 << 20;  // byte code is taken out with all else
constexpr int64_t kWallMsDefault = 600'000;
constexpr int64_t kLogBytesMax = 256 << 10;
constexpr int64_t kReportBytesMax = 64 << 20;

std::string RandomName() {
  return Sha256Hex(std::to_string(SystemRandom()) + std::to_string(SystemRandom())).substr(0, 20);
}

int64_t SinceMs(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               start)
      .count();
}

bool IsConftest(std::string_view path) {
  return path == "conftest.py" || path.ends_with("/conftest.py");
}

// Tests that a run may collect, and the conftest.py files that steer them.
std::set<std::string> TestsOf(const FileTree& tree, const std::vector<std::string>& files) {
  std::set<std::string> tests(files.begin(), files.end());
  for (const auto& [path, entry] : tree.files()) {
    if (IsConftest(path) || (files.empty() && IsPythonTestFile(path))) tests.insert(path);
  }
  return tests;
}

// Top-level modules that the tests import: what of them is the environment's is loaded once.
std::vector<std::string> ImportsOfTests(const FileTree& tree, const std::set<std::string>& tests) {
  static const re2::RE2 kImport(R"((?m)^(?:import|from) +([A-Za-z_][A-Za-z0-9_]*))");
  std::set<std::string> names;
  for (const std::string& path : tests) {
    const FileEntry* entry = tree.Find(path);
    if (entry == nullptr) continue;
    re2::StringPiece rest(*entry->content);
    std::string name;
    while (names.size() < 200 && re2::RE2::FindAndConsume(&rest, kImport, &name)) {
      names.insert(name);
    }
  }
  return {names.begin(), names.end()};
}

// "tests/test_a.py::TestB::test_c" of "tests/test_a.py::TestB::test_c[d::e]"; empty where the id
// cannot be told from a path or a parameter.
std::string WithoutParameter(std::string_view id, std::string_view file) {
  static const re2::RE2 kNames(R"((?s)((?:::[A-Za-z_][A-Za-z0-9_]*)+)(?:\[.*)?)");
  const std::string rest(id.substr(file.size()));
  std::string names;
  if (file.find("::") != std::string_view::npos || file.find('[') != std::string_view::npos ||
      !re2::RE2::FullMatch(rest, kNames, &names)) {
    return "";
  }
  return std::string(file) + names;
}

// What of `run` pytest is told to collect, file by file: of a file the tests that are asked for, or
// all of it.
std::vector<std::string> Selection(const TestRun& run) {
  std::vector<std::string> selection;
  for (const std::string& file : run.files) {
    std::set<std::string> tests;
    for (const std::string& id : run.tests) {
      if (id.starts_with(file + "::")) tests.insert(WithoutParameter(id, file));
    }
    if (tests.empty() || tests.count("") > 0) {
      selection.push_back(file);
    } else {
      selection.insert(selection.end(), tests.begin(), tests.end());
    }
  }
  return selection;
}

class PythonSession : public TestSession {
 public:
  PythonSession(std::unique_ptr<sandbox::Sandbox> sandbox, FileTree tree,
                const v1::RepositoryEnvironment& environment, const BuiltEnvironment& built)
      : built_(built),
        sandbox_(std::move(sandbox)),
        tree_(std::move(tree)),
        command_(environment.test_command()),
        arguments_(ArgumentsOfPytest(command_.empty() ? "pytest" : command_)) {}

  // Puts the files in place and starts the runner, which warms up while others work.
  Status Begin() {
    TASKMINT_RETURN_IF_ERROR(PutOwn(tree_));
    return arguments_ && !overfull_ ? StartRunner() : OkStatus();
  }

  Result<TestRunOutput> Run(const TestRun& run, std::stop_token stop) override {
    if (overfull_) return Overfull();
    if (dirty_) {
      TASKMINT_RETURN_IF_ERROR(Restore());
    } else {
      TASKMINT_RETURN_IF_ERROR(AddByteCode(run, stop));
    }
    dirty_ = true;
    if (!run.added.empty()) TASKMINT_RETURN_IF_ERROR(PutOwn(run.added));
    if (overfull_) return Overfull();
    const std::string folder = std::string(kTemporary) + "/" + RandomName();
    const std::string report = folder + "/" + RandomName() + ".xml";
    sandbox_->HostRanOutOfMemory();  // what was before this run is not its own
    if (arguments_) TASKMINT_RETURN_IF_ERROR(AwaitRunner(stop));
    auto output = arguments_ ? RunForked(run, folder, report, stop) : RunCommand(run, report, stop);
    if (output.ok() && sandbox_->HostRanOutOfMemory()) {
      return Status(Code::kUnavailable, Boundary::kSandbox,
                    "this machine ran out of memory and killed the test run: use fewer --jobs");
    }
    return output;
  }

 private:
  // Files of the state under test: that they do not fit is its own fault, and a result of each run.
  Status PutOwn(const FileTree& tree) {
    Status status = sandbox_->Put(tree, kStateWork, kStateFileTimeS);
    if (status.code() != Code::kResourceExhausted) return status;
    overfull_ = true;
    return OkStatus();
  }

  static TestRunOutput Overfull() {
    TestRunOutput output;
    output.exit_code = 1;
    output.log = "the files of this state do not fit into the sandbox's file system";
    return output;
  }

  Status StartRunner() {
    sandbox::Command command;
    std::string script;
    for (const char* part : kRunnerScripts) {
      script += std::string(PythonScript(part)) + "\n\n";
    }
    command.argv = {kPythonOfRuns, "-c", script};
    command.folder = "/";
    auto started = sandbox_->Start(command);
    if (!started.ok()) return started.status().WithContext("starting the test runner");
    runner_ = std::move(started).value();
    warm_ = false;
    return OkStatus();
  }

  // Until the runner, a fresh one where there is none, can be spoken to.
  Status AwaitRunner(std::stop_token stop) {
    if (runner_ != nullptr && warm_) return OkStatus();
    const auto start = std::chrono::steady_clock::now();
    if (runner_ == nullptr) TASKMINT_RETURN_IF_ERROR(StartRunner());
    auto answer = runner_->ReadLine(kWarmUpMsMax, stop);
    if (!answer.ok()) {
      return Status(answer.status().code(), Boundary::kSandbox,
                    "the test runner did not start: " + answer.status().message() + ": " +
                        CutMiddle(Printable(runner_->error_output()), 2000));
    }
    start_ms_ += SinceMs(start);
    warm_ = true;
    return OkStatus();
  }

  Status AddByteCode(const TestRun& run, std::stop_token stop) {
    const std::set<std::string> tests = TestsOf(tree_, run.files);
    std::set<std::string> paths = tests;
    for (const auto& [path, entry] : tree_.files()) {
      if (PythonRoleOf(path) == PathRole::kSource) paths.insert(path);
    }
    const ByteCode code = FindByteCode(built_, tree_, paths);
    if (!code.known.empty())
      TASKMINT_RETURN_IF_ERROR(sandbox_->Put(code.known, kStateWork, kStateFileTimeS));
    const bool worth =
        runner_ != nullptr && !code.missing.empty() && tree_.content_bytes() <= kCollectedBytesMax;
    return worth ? Compile(code.missing, tests, stop) : OkStatus();
  }

  // By the runner, which has run nothing yet.
  Status Compile(const std::vector<std::string>& sources, const std::set<std::string>& tests,
                 std::stop_token stop) {
    nlohmann::json request = {{"tests", nlohmann::json::array()},
                              {"sources", nlohmann::json::array()}};
    for (const std::string& path : sources) {
      request[tests.contains(path) ? "tests" : "sources"].push_back(ToUtf8(path));
    }
    TASKMINT_RETURN_IF_ERROR(AwaitRunner(stop));
    TASKMINT_RETURN_IF_ERROR(runner_->WriteLine(DumpJson({{"compile", std::move(request)}})));
    const Status done = runner_->ReadLine(kCompileMsMax, stop).status();
    if (!done.ok()) return WithoutByteCode(done, sources);
    const auto found = sandbox_->Collect(kStateWork, {});
    if (!found.ok()) return WithoutByteCode(found.status(), sources);
    KeepByteCode(built_, tree_, sources, ByteCodeBeside(*found, tree_));
    return OkStatus();
  }

  // Sources that resist being compiled, for minutes or with all memory, are left to the run.
  Status WithoutByteCode(const Status& why, const std::vector<std::string>& sources) {
    if (why.code() != Code::kDeadlineExceeded && why.code() != Code::kUnavailable &&
        why.code() != Code::kResourceExhausted) {
      return why;
    }
    runner_.reset();
    TASKMINT_RETURN_IF_ERROR(sandbox_->KillAll());
    TASKMINT_RETURN_IF_ERROR(sandbox_->Clear(kStateWork));
    KeepByteCode(built_, tree_, sources, {});
    return sandbox_->Put(tree_, kStateWork, kStateFileTimeS);
  }

  // The session's files again, and nothing else, but for byte code of the same sources.
  Status Restore() {
    if (!code_collected_) {
      code_collected_ = true;
      auto found = sandbox_->Collect(kStateWork, {});
      if (found.ok()) {
        code_ = ByteCodeBeside(*found, tree_);
      } else if (found.status().code() != Code::kResourceExhausted) {
        return found.status();
      }
    }
    TASKMINT_RETURN_IF_ERROR(sandbox_->Clear(kTemporary));
    TASKMINT_RETURN_IF_ERROR(sandbox_->Clear(kStateWork));
    TASKMINT_RETURN_IF_ERROR(sandbox_->Put(tree_, kStateWork, kStateFileTimeS));
    return code_.empty() ? OkStatus() : sandbox_->Put(code_, kStateWork, kStateFileTimeS);
  }

  std::vector<std::string> Arguments(const TestRun& run, const std::string& report) const {
    std::vector<std::string> arguments =
        run.files.empty() ? *arguments_ : WithoutPaths(*arguments_);
    // Ours after the user's: the last one counts.
    for (std::string& option : PytestOptions(report)) arguments.push_back(std::move(option));
    // A selection would leave out sentinels of the files that are named.
    if (!run.files.empty()) arguments.insert(arguments.end(), {"-k", "", "-m", ""});
    for (std::string& test : Selection(run)) arguments.push_back(std::move(test));
    return arguments;
  }

  Result<TestRunOutput> RunForked(const TestRun& run, const std::string& folder,
                                  const std::string& report, std::stop_token stop) {
    const std::string log = folder + "/log";
    nlohmann::json request = {{"arguments", Arguments(run, report)},
                              {"log", log},
                              {"log_bytes_max", kLogBytesMax},
                              {"imports", ImportsOfTests(tree_, TestsOf(tree_, run.files))},
                              {"shuffle", nullptr}};
    if (run.shuffle_seed) request["shuffle"] = *run.shuffle_seed;
    const int64_t wall_ms_max = run.wall_ms_max > 0 ? run.wall_ms_max : kWallMsDefault;
    const auto start = std::chrono::steady_clock::now();
    TestRunOutput output;
    Status status = runner_->WriteLine(DumpJson(request));
    Result<std::string> line = status.ok() ? runner_->ReadLine(wall_ms_max, stop) : status;
    output.wall_ms = SinceMs(start) + std::exchange(start_ms_, 0);
    if (line.ok()) {
      TASKMINT_RETURN_IF_ERROR(ReadAnswer(*line, output));
    } else {
      // Hung, or the code under test killed the runner: a result, and a fresh runner next time.
      const Code code = line.status().code();
      if (code != Code::kDeadlineExceeded && code != Code::kUnavailable &&
          code != Code::kCancelled) {
        return line.status();
      }
      runner_.reset();
      TASKMINT_RETURN_IF_ERROR(sandbox_->KillAll());
      output.ending = code == Code::kDeadlineExceeded ? Ending::kWallTime
                      : code == Code::kCancelled      ? Ending::kCancelled
                                                      : Ending::kSignalled;
      output.signal = 9;
    }
    TASKMINT_RETURN_IF_ERROR(ReadFiles(log, line.ok() ? report : std::string(), output));
    return output;
  }

  Status ReadAnswer(const std::string& line, TestRunOutput& output) {
    auto answer = ParseJson(line);
    const int64_t exit_code = answer.ok() ? IntOr(*answer, "exit", -2) : -2;
    const int64_t signal = answer.ok() ? IntOr(*answer, "signal", -1) : -1;
    if (exit_code < -1 || exit_code > 255 || signal < 0 || signal > 127) {
      return Status(Code::kInternal, Boundary::kSandbox, "the test runner answers nonsense");
    }
    output.signal = static_cast<int>(signal);
    output.exit_code = static_cast<int>(exit_code);
    output.ending = output.signal != 0 ? Ending::kSignalled : Ending::kExited;
    output.cpu_ms = IntOr(*answer, "cpu_ms", 0);
    if (const std::string why = StringOr(*answer, "cold", ""); !why.empty()) {
      Log(LogLevel::kDebug, "the test runner starts afresh for each run", {{"why", why}});
    }
    if (!BoolOr(*answer, "settled", false)) {
      runner_.reset();
      TASKMINT_RETURN_IF_ERROR(sandbox_->KillAll());
    }
    return OkStatus();
  }

  Status ReadFiles(const std::string& log, const std::string& report, TestRunOutput& output) {
    auto text = sandbox_->Get(log, 64 << 20);
    if (text.ok()) {
      output.log = CutMiddle(*text, kLogBytesMax);
    } else if (text.status().code() == Code::kUnavailable) {
      return text.status();
    }
    if (report.empty()) return OkStatus();
    auto xml = sandbox_->Get(report, kReportBytesMax);
    if (xml.ok()) {
      output.junit_xml = std::move(xml).value();
    } else if (xml.status().code() == Code::kUnavailable) {
      return xml.status();
    }
    return OkStatus();
  }

  // Any other test command, as it is; pytest finds our options in the environment.
  Result<TestRunOutput> RunCommand(const TestRun& run, const std::string& report,
                                   std::stop_token stop) {
    sandbox::Command command;
    command.argv = {"/bin/sh", "-c", command_};
    command.output_bytes_max = kLogBytesMax / 2;
    command.wall_ms_max = run.wall_ms_max > 0 ? run.wall_ms_max : kWallMsDefault;
    std::string options;
    for (const std::string& option : PytestOptions(report)) {
      options += (options.empty() ? "'" : " '") + option + "'";
    }
    command.variables["PYTEST_ADDOPTS"] = options;
    TASKMINT_ASSIGN_OR_RETURN(CommandResult result, sandbox_->Run(command, stop));
    TASKMINT_RETURN_IF_ERROR(sandbox_->KillAll());
    TestRunOutput output;
    output.ending = result.ending;
    output.exit_code = result.exit_code;
    output.signal = result.signal;
    output.wall_ms = result.wall_ms;
    output.cpu_ms = result.cpu_ms;
    TASKMINT_RETURN_IF_ERROR(ReadFiles(report + ".log", report, output));
    output.log = CutMiddle(result.output + result.error_output, kLogBytesMax);
    return output;
  }

  const BuiltEnvironment built_;
  std::unique_ptr<sandbox::Sandbox> sandbox_;
  const FileTree tree_;
  const std::string command_;
  const std::optional<std::vector<std::string>> arguments_;
  std::unique_ptr<LineProcess> runner_;  // after sandbox_: it ends first
  bool dirty_ = false;
  bool overfull_ = false;
  bool warm_ = false;     // the runner has said so
  int64_t start_ms_ = 0;  // waited for a runner that has made no run yet
  bool code_collected_ = false;
  FileTree code_;
};

}  // namespace

Result<std::unique_ptr<TestSession>> OpenPythonSession(sandbox::SandboxHost& sandboxes,
                                                       const v1::RepositoryEnvironment& environment,
                                                       const BuiltEnvironment& built,
                                                       const FileTree& tree, std::stop_token stop) {
  const sandbox::SandboxSpec spec = StateSandboxSpec(environment, built, PythonVariables());
  TASKMINT_ASSIGN_OR_RETURN(auto opened, sandboxes.Open(spec, stop));
  auto session = std::make_unique<PythonSession>(std::move(opened), tree, environment, built);
  TASKMINT_RETURN_IF_ERROR(session->Begin());
  return std::unique_ptr<TestSession>(std::move(session));
}

}  // namespace taskmint::environments
