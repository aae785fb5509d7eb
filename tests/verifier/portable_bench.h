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

// A task of PythonTest's and the grader that travels with it.
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
};

}  // namespace taskmint::verifier

#endif  // TASKMINT_TESTS_VERIFIER_PORTABLE_BENCH_H_
