// The exported grader at work: its files, a state and an environment in a sandbox of plain Debian.
#ifndef TASKMINT_TESTS_VERIFIER_PORTABLE_BENCH_H_
#define TASKMINT_TESTS_VERIFIER_PORTABLE_BENCH_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/verifier/python_bench.h"
#include "verifier/portable_grader.h"

namespace taskmint::verifier {

// What a run of grade.py left behind.
struct PortableRun {
  int exit_code = -1;
  std::string output;
  std::string error_output;
  std::string reward_txt;  // empty: none
  // Of reward.json; -1: none.
  double reward = -1;
  double f2p_rate = -1;
  double p2p_rate = -1;
  double forged = -1;
  // Of report.json; "none" without one.
  std::string verdict = "none";
  // What it says, and what was printed.
  std::string reason;
  std::map<std::string, std::string> tests;
  int64_t doctored = -1;
  int64_t runs = -1;
  std::string log;
  std::vector<std::string> left;  // files in /logs/verifier
};
// Reads those two files' texts into `run`.
void ReadPortableRun(const std::string& reward_json, const std::string& report_json,
                     PortableRun& run);

class PortableTest : public PythonTest {
 protected:
  v1::Task Task() {
    v1::Task task;
    task.set_id("0123");
    auto* environment = task.mutable_environment()->mutable_repository();
    *environment = environment_;
    environment->set_driver("python");
    environment->set_work_path("/work");
    *task.mutable_verifier()->mutable_tests() = Expected();
    for (const std::string& path : proposal_.removed_paths) {
      task.mutable_verifier()->mutable_tests()->add_removed_paths(path);
    }
    return task;
  }
  FileTree Grader() {
    auto files = PortableGraderFiles(Task(), proposal_.overlay, proposal_.parent_tree);
    EXPECT_TRUE(files.ok()) << files.status().ToString();
    return files.ok() ? *std::move(files) : FileTree();
  }
  std::unique_ptr<sandbox::Sandbox> Open(const FileTree& tree, const FileTree& grader) {
    sandbox::SandboxSpec spec;
    spec.scratch_paths = {"/tests", "/logs"};
    spec.mounts = built_.layers;
    auto opened = host_->Open(spec, {});
    EXPECT_TRUE(opened.ok()) << opened.status().ToString();
    if (!opened.ok()) return nullptr;
    EXPECT_TRUE((*opened)->Put(tree, "/work", 1).ok());
    EXPECT_TRUE((*opened)->Put(grader, "/tests", 1).ok());
    return *std::move(opened);
  }
  // `before`: a shell command that prepares more than files.
  PortableRun RunGrader(const FileTree& tree, const std::string& options = "",
                        const std::string& before = "") {
    const auto opened = Open(tree, Grader());
    return opened == nullptr ? PortableRun() : RunIn(*opened, options, before);
  }
  static PortableRun RunIn(sandbox::Sandbox& opened, const std::string& options,
                           const std::string& before) {
    sandbox::Command command;
    command.argv = {
        "/bin/sh", "-c",
        (before.empty() ? "" : before + "\n") +
            "exec python3 -I -S /tests/grade.py --state /work --reward-dir /logs/verifier " +
            options};
    PortableRun run;
    const auto result = opened.Run(command, {});
    EXPECT_TRUE(result.ok()) << result.status().ToString();
    if (!result.ok()) return run;
    run.exit_code = result->exit_code;
    run.output = result->output;
    run.error_output = result->error_output;
    run.reason = run.error_output + run.output;
    const auto left = opened.Collect("/logs/verifier", {});
    if (!left.ok()) return run;
    const auto read = [&](const char* name) {
      const FileEntry* entry = left->Find(name);
      return entry == nullptr ? std::string() : *entry->content;
    };
    for (const auto& [path, entry] : left->files()) run.left.push_back(path);
    run.reward_txt = read("reward.txt");
    run.log = read("tests.log");
    ReadPortableRun(read("reward.json"), read("report.json"), run);
    return run;
  }
};

}  // namespace taskmint::verifier

#endif  // TASKMINT_TESTS_VERIFIER_PORTABLE_BENCH_H_
