#include "environments/repository/cpp/session.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <utility>

#include "environments/repository/cpp/installation.h"
#include "environments/repository/cpp/scripts.h"
#include "environments/repository/cpp/sentinels.h"
#include "environments/repository/python/sources.h"
#include "proto/base/digest.h"
#include "proto/base/json.h"
#include "proto/base/random.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

using nlohmann::json;
using sandbox::CommandResult;
using sandbox::Ending;

constexpr char kSources[] = "/work";
constexpr char kBuild[] = "/build";
constexpr char kPlace[] = "/tmp";
constexpr char kLocalCache[] = "/cache";
constexpr int64_t kSourceTime = 1'577'836'800;  // 2020-01-01
constexpr int64_t kRunMsMaxDefault = 600'000;
constexpr int64_t kReportMsMax = 120'000;
constexpr int64_t kCacheMsMax = 600'000;
constexpr int64_t kRunLogBytesMax = 256 << 10;
constexpr int64_t kAnswerBytesMax = 64 << 20;
constexpr unsigned kCompilersMax = 4;

// Of one run: what is left of its time.
class Deadline {
 public:
  explicit Deadline(int64_t wall_ms_max)
      : wall_ms_max_(wall_ms_max), start_(std::chrono::steady_clock::now()) {}
  int64_t SpentMs() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 start_)
        .count();
  }
  int64_t wall_ms_max() const { return wall_ms_max_; }
  int64_t LeftMs() const { return std::max<int64_t>(1, wall_ms_max_ - SpentMs()); }

 private:
  int64_t wall_ms_max_;
  std::chrono::steady_clock::time_point start_;
};

unsigned Compilers() { return std::clamp(std::thread::hardware_concurrency(), 1U, kCompilersMax); }

std::string Program(std::string_view name) {
  std::string program;
  if (name == "build.py") {
    for (const char* before :
         {"tokens.py", "listing.py", "linking.py", "processes.py", "sentinels.py"}) {
      program.append(CppScript(before)).append("\n\n");
    }
  } else if (name == "run.py") {
    for (const char* before : {"processes.py", "crashes.py"}) {
      program.append(CppScript(before)).append("\n\n");
    }
  }
  return program.append(CppScript(name));
}

json BuildRequest() {
  return {{"work", kSources},
          {"files", json::array()},
          {"ctest", json::array()},
          {"command", ""},
          {"sentinels", json::array()},
          {"manifest", nullptr},
          {"jobs", Compilers()},
          {"ccache", false},
          {"ccache_folder", kLocalCache},
          {"ccache_storage", ""},
          {"only_shared", false}};
}

// Sources of GoogleTest that the base has, for repositories that would fetch them. All of /usr/src
// is hidden; a repository that is GoogleTest has its own.
constexpr char kBaseGoogleTest[] = "/usr/src/googletest";
constexpr char kGoogleTest[] = "/googletest";

void MountGoogleTest(const v1::RepositoryEnvironment& environment, sandbox::SandboxSpec& spec) {
  const auto& hidden = environment.masked_paths();
  if (std::find(hidden.begin(), hidden.end(), "/usr/include/gtest") != hidden.end()) return;
  if (::access(kBaseGoogleTest, R_OK) != 0) return;
  spec.mounts.push_back({kBaseGoogleTest, kGoogleTest, false});
}

class CppSession : public TestSession {
 public:
  CppSession(std::unique_ptr<sandbox::Sandbox> sandbox, FileTree tree,
             const v1::RepositoryEnvironment& environment, bool cached)
      : sandbox_(std::move(sandbox)),
        tree_(std::move(tree)),
        command_(environment.test_command()),
        arguments_(ArgumentsOfCTest(command_.empty() ? "ctest" : command_)),
        cached_(cached) {}

  Status Begin() { return PutTree(); }

  Result<TestRunOutput> Run(const TestRun& run, std::stop_token stop) override {
    TestRunOutput output;
    output.built = false;
    output.exit_code = 1;
    output.log = "the files of this state do not fit into the sandbox's file system";
    if (!overfull_ && dirty_) TASKMINT_RETURN_IF_ERROR(Restore());
    if (overfull_) return output;
    dirty_ = true;
    sandbox_->HostRanOutOfMemory();
    Result<TestRunOutput> done = Make(run, stop);
    if (done.ok() && sandbox_->HostRanOutOfMemory()) {
      return Status(Code::kUnavailable, Boundary::kSandbox,
                    "this machine ran out of memory and killed the test run: use fewer --jobs");
    }
    return done;
  }

 private:
  Status PutTree() {
    Status status = sandbox_->Put(tree_, kSources, kSourceTime);
    if (status.code() != Code::kResourceExhausted) return status;
    overfull_ = true;
    return OkStatus();
  }

  // The build folder stays: the next build looks at it. The compiler cache's own folder does not:
  // what the state under test left there would stand before the compilers.
  Status Restore() {
    for (const char* folder : {kPlace, kSources, kLocalCache}) {
      TASKMINT_RETURN_IF_ERROR(sandbox_->Clear(folder));
    }
    return PutTree();
  }

  Result<TestRunOutput> Make(const TestRun& run, std::stop_token stop) {
    timed_out_ = false;
    Deadline deadline(run.wall_ms_max > 0 ? run.wall_ms_max : kRunMsMaxDefault);
    TestRunOutput output;
    const auto finish = [&] {
      // A program that was stopped for want of time took what there was.
      output.wall_ms =
          timed_out_ ? std::max(deadline.SpentMs(), deadline.wall_ms_max()) : deadline.SpentMs();
      output.log = CutMiddle(output.log, kRunLogBytesMax);
      return output;
    };
    json built;
    TASKMINT_ASSIGN_OR_RETURN(const bool answered, Build(run, deadline, output, built, stop));
    if (!answered) return finish();
    json ran;
    TASKMINT_ASSIGN_OR_RETURN(const bool ended,
                              RunPrograms(run, built, deadline, output, ran, stop));
    if (!ended) return finish();
    TASKMINT_RETURN_IF_ERROR(ReadReports(built, ran, output, stop));
    return finish();
  }

  // Runs one of our scripts; false, with the ending in `output`, where it was ended.
  Result<bool> RunStep(const char* name, const json& request, int64_t wall_ms_max,
                       TestRunOutput& output, CommandResult& result, std::stop_token stop) {
    sandbox::Command command;
    command.argv = {kBasePython, "-I", "-c", Program(name)};
    command.input = DumpJson(request);
    command.folder = "/";
    command.wall_ms_max = wall_ms_max;
    command.output_bytes_max = kAnswerBytesMax;
    TASKMINT_ASSIGN_OR_RETURN(result, sandbox_->Run(command, std::move(stop)));
    TASKMINT_RETURN_IF_ERROR(sandbox_->KillAll());
    output.cpu_ms += result.cpu_ms;
    output.ending = result.ending;
    output.signal = result.signal;
    output.exit_code = result.exit_code;
    if (result.ending == Ending::kExited) return true;
    output.log += std::string(name) + " " + std::string(sandbox::EndingName(result.ending)) + "\n" +
                  result.error_output;
    return false;
  }

  // False, with what went wrong in `output`, where there is nothing to run.
  Result<bool> Build(const TestRun& run, Deadline& deadline, TestRunOutput& output, json& built,
                     std::stop_token stop) {
    json request = BuildRequest();
    request["files"] = json::array();
    for (const std::string& file : run.files) {
      if (!run.added.Contains(file)) request["files"].push_back(ToUtf8(file));
    }
    if (arguments_) {
      request["ctest"] = *arguments_;
    } else {
      request["command"] = command_;
    }
    for (const auto& [path, entry] : run.added.files()) {
      request["sentinels"].push_back(ReadSentinel(path, *entry.content));
    }
    if (!manifest_.empty()) {
      TASKMINT_ASSIGN_OR_RETURN(request["manifest"], ParseJson(manifest_));
    }
    request["ccache"] = cached_;
    request["ccache_storage"] =
        cached_ ? "file:" + std::string(kCcacheStorage) + "|read-only=true" : "";
    manifest_.clear();
    CommandResult result;
    output.built = false;
    const int64_t kills = sandbox_->MemoryKills();
    TASKMINT_ASSIGN_OR_RETURN(
        bool exited, RunStep("build.py", request, deadline.LeftMs(), output, result, stop));
    if (sandbox_->MemoryKills() > kills && Compilers() > 1) {
      // Compilers beside one another needed more memory than there is: one at a time, from the
      // beginning, needs what it needs on every machine, and all the time that a run has.
      request["jobs"] = 1;
      request["manifest"] = nullptr;
      output.log += "out of memory: built again, one file at a time\n";
      TASKMINT_RETURN_IF_ERROR(Restore());  // a sentinel that was being compiled
      if (overfull_) return false;
      deadline = Deadline(deadline.wall_ms_max());
      TASKMINT_ASSIGN_OR_RETURN(
          exited, RunStep("build.py", request, deadline.LeftMs(), output, result, stop));
    }
    if (!exited) return false;
    Result<json> answer = ParseJson(result.output);
    if (result.exit_code != 0 || !answer.ok() || !answer->contains("tests") ||
        !answer->contains("manifest") || !answer->contains("unbuilt") ||
        !answer->contains("sentinels_unbuilt")) {
      // What a build runs of the state's own may break it, and fill its file systems.
      output.exit_code = 2;
      output.log += "build.py ended with " + std::to_string(result.exit_code) + ": " +
                    CutMiddle(Printable(result.error_output), 4000);
      return false;
    }
    built = std::move(answer).value();
    output.built = built["unbuilt"].is_array() && built["unbuilt"].empty();
    output.log += StringOr(built, "log", "");
    if (!built["tests"].is_array()) {
      output.exit_code = 2;
      return false;
    }
    manifest_ = DumpJson(built["manifest"]);
    return true;
  }

  Result<bool> RunPrograms(const TestRun& run, const json& built, const Deadline& deadline,
                           TestRunOutput& output, json& ran, std::stop_token stop) {
    json request = {{"tests", built["tests"]},
                    {"shuffle", nullptr},
                    {"wall_ms_max", deadline.LeftMs()},
                    {"folder", std::string(kPlace) + "/" +
                                   Sha256Hex(std::to_string(SystemRandom())).substr(0, 20)}};
    if (run.shuffle_seed) request["shuffle"] = *run.shuffle_seed;
    CommandResult result;
    TASKMINT_ASSIGN_OR_RETURN(const bool exited, RunStep("run.py", request, deadline.LeftMs(),
                                                         output, result, std::move(stop)));
    if (!exited) return false;
    Result<json> answer = ParseJson(result.output);
    if (!answer.ok() || !answer->contains("results") || !(*answer)["results"].is_array()) {
      output.exit_code = 2;
      output.log += "run.py ended with " + std::to_string(result.exit_code) + ": " +
                    CutMiddle(Printable(result.error_output), 4000);
      return false;
    }
    ran = (*answer)["results"];
    timed_out_ = std::any_of(ran.begin(), ran.end(), [](const json& one) {
      return one.is_object() && one.value("timeout", json(false)) == json(true);
    });
    AddLogs(built["tests"], ran, output);
    return true;
  }

  static void AddLogs(const json& tests, const json& results, TestRunOutput& output) {
    for (size_t i = 0; i < std::min(tests.size(), results.size()); ++i) {
      const std::string text = StringOr(results[i], "output", "");
      if (text.empty()) continue;
      output.log += "\n--- " + Printable(StringOr(tests[i], "name", "")) + " ---\n" +
                    CutMiddle(text, 64 << 10);
    }
  }

  Status ReadReports(const json& built, const json& ran, TestRunOutput& output,
                     std::stop_token stop) {
    const json request = {{"tests", built["tests"]},
                          {"results", ran},
                          {"sentinels_unbuilt", built["sentinels_unbuilt"]}};
    CommandResult result;
    TASKMINT_ASSIGN_OR_RETURN(const bool exited, RunStep("report.py", request, kReportMsMax, output,
                                                         result, std::move(stop)));
    if (!exited) return OkStatus();
    if (result.exit_code > 1 || !result.output.starts_with("<?xml")) {
      output.exit_code = 2;
      output.log += "report.py ended with " + std::to_string(result.exit_code) + ": " +
                    CutMiddle(Printable(result.error_output), 4000);
      return OkStatus();
    }
    output.junit_xml = std::move(result.output);
    return OkStatus();
  }

  std::unique_ptr<sandbox::Sandbox> sandbox_;
  const FileTree tree_;
  const std::string command_;
  const std::optional<std::vector<std::string>> arguments_;
  const bool cached_;
  bool dirty_ = false;
  bool overfull_ = false;
  bool timed_out_ = false;  // the last run
  std::string manifest_;    // of the build folder and of all tests, as JSON; empty: build afresh
};

}  // namespace

std::optional<std::vector<std::string>> ArgumentsOfCTest(const std::string& command) {
  // Quotes would need a shell: no usual call has any.
  if (command.find_first_of("|&;<>()`\n\"'\\$") != std::string::npos) return std::nullopt;
  std::istringstream words(command);
  std::string word;
  if (!(words >> word) || word != "ctest") return std::nullopt;
  std::vector<std::string> arguments;
  bool value = false;
  while (words >> word) {
    const bool chooses = word == "-R" || word == "-E" || word == "-L" || word == "-LE" ||
                         word == "--tests-regex" || word == "--exclude-regex" ||
                         word == "--label-regex" || word == "--label-exclude";
    if (value || chooses) arguments.push_back(word);
    value = !value && chooses;
  }
  return arguments;
}

Result<std::unique_ptr<TestSession>> OpenCppSession(sandbox::SandboxHost& sandboxes,
                                                    const v1::RepositoryEnvironment& environment,
                                                    const BuiltEnvironment& built,
                                                    const FileTree& tree, std::stop_token stop) {
  sandbox::SandboxSpec spec;
  spec.mounts = built.layers;
  MountGoogleTest(environment, spec);
  spec.scratch_paths = {kBuild, kLocalCache};
  if (environment.masked_paths_size() > 0) {
    spec.masked_paths = {environment.masked_paths().begin(), environment.masked_paths().end()};
  }
  for (const auto& [name, value] : environment.variables()) spec.variables[name] = value;
  const v1::RunLimits& limits = environment.limits();
  if (limits.memory_bytes_max() > 0) spec.limits.memory_bytes_max = limits.memory_bytes_max();
  if (limits.processes_max() > 0) spec.limits.processes_max = limits.processes_max();
  if (limits.disk_bytes_max() > 0) spec.limits.disk_bytes_max = limits.disk_bytes_max();
  const bool cached = std::any_of(built.layers.begin(), built.layers.end(), [](const auto& layer) {
    return layer.inside_path == kCcachePath && BaseHasCcache();
  });
  TASKMINT_ASSIGN_OR_RETURN(auto opened, sandboxes.Open(spec, stop));
  auto session = std::make_unique<CppSession>(std::move(opened), tree, environment, cached);
  TASKMINT_RETURN_IF_ERROR(session->Begin());
  return std::unique_ptr<TestSession>(std::move(session));
}

Result<FileTree> ObjectsOfLayer(sandbox::SandboxHost& sandboxes, const sandbox::Mount& layer,
                                std::stop_token stop) {
  if (layer.inside_path != kCcachePath || !BaseHasCcache()) return FileTree();
  sandbox::SandboxSpec spec;
  // Compiled where the states are, so that paths agree.
  spec.mounts = {{layer.host_path, kCcachePath, false},
                 {layer.host_path + "/" + kCcacheSources, kSources, false}};
  MountGoogleTest({}, spec);
  spec.work_path = "/empty";
  spec.scratch_paths = {kBuild, kLocalCache};
  TASKMINT_ASSIGN_OR_RETURN(auto opened, sandboxes.Open(spec, stop));
  json request = BuildRequest();
  request["ccache"] = true;
  request["ccache_storage"] = "file:/cache/objects";
  request["ccache_folder"] = "/cache/local";
  request["only_shared"] = true;
  sandbox::Command command;
  command.argv = {kBasePython, "-I", "-c", Program("build.py")};
  command.input = DumpJson(request);
  command.folder = "/";
  command.wall_ms_max = kCacheMsMax;
  command.output_bytes_max = kAnswerBytesMax;
  // What could be compiled counts, however it ended.
  TASKMINT_RETURN_IF_ERROR(opened->Run(command, stop).status());
  if (stop.stop_requested()) return Status(Code::kCancelled, Boundary::kSandbox, "cancelled");
  TASKMINT_RETURN_IF_ERROR(opened->KillAll());
  Result<FileTree> found = opened->Collect("/cache/objects", {});
  if (!found.ok()) return FileTree();
  FileTree derived;
  for (const auto& [path, entry] : found->files()) {
    TASKMINT_RETURN_IF_ERROR(derived.Set("objects/" + path, entry));
  }
  return derived;
}

}  // namespace taskmint::environments
