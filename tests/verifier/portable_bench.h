// The exported grader at work: its files, a state and an environment in a sandbox of plain Debian.
#ifndef TASKMINT_TESTS_VERIFIER_PORTABLE_BENCH_H_
#define TASKMINT_TESTS_VERIFIER_PORTABLE_BENCH_H_

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "proto/base/json.h"
#include "tests/verifier/python_bench.h"
#include "verifier/portable_grader.h"

namespace taskmint::verifier {

// What a run of grade.py left behind.
struct PortableRun {
  int exit_code = -1;
  std::string output;
  std::string error_output;
  std::string reward_txt;      // empty: none
  nlohmann::json reward_json;  // null: none
  nlohmann::json report;       // null: none
  std::string log;
  std::vector<std::string> left;  // files in /logs/verifier

  std::string verdict() const { return StringOr(report, "verdict", "none"); }
  std::string reason() const { return StringOr(report, "reason", "") + error_output + output; }
};

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
    command.argv = {"/bin/sh", "-c",
                    (before.empty() ? "" : before + "\n") +
                        "exec python3 /tests/grade.py --state /work --reward-dir /logs/verifier " +
                        options};
    PortableRun run;
    const auto result = opened.Run(command, {});
    EXPECT_TRUE(result.ok()) << result.status().ToString();
    if (!result.ok()) return run;
    run.exit_code = result->exit_code;
    run.output = result->output;
    run.error_output = result->error_output;
    const auto left = opened.Collect("/logs/verifier", {});
    if (!left.ok()) return run;
    const auto read = [&](const char* name) {
      const FileEntry* entry = left->Find(name);
      return entry == nullptr ? std::string() : *entry->content;
    };
    for (const auto& [path, entry] : left->files()) run.left.push_back(path);
    run.reward_txt = read("reward.txt");
    run.log = read("tests.log");
    if (auto json = ParseJson(read("reward.json")); json.ok()) run.reward_json = *json;
    if (auto json = ParseJson(read("report.json")); json.ok()) run.report = *json;
    return run;
  }
};

}  // namespace taskmint::verifier

#endif  // TASKMINT_TESTS_VERIFIER_PORTABLE_BENCH_H_
