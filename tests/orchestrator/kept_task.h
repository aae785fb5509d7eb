// A store with one kept task, made without minting it: a Python library with a fix, and pytest.
#ifndef TASKMINT_TESTS_ORCHESTRATOR_KEPT_TASK_H_
#define TASKMINT_TESTS_ORCHESTRATOR_KEPT_TASK_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "datasets/store.h"
#include "environments/repository/code_tools.h"
#include "proto/base/clock.h"
#include "proto/base/digest.h"
#include "proto/base/record.h"
#include "tests/orchestrator/temporary_folder.h"
#include "tests/verifier/python_bench.h"

namespace taskmint::orchestrator {

// The files below a folder.
inline FileTree TreeOfFolder(const std::filesystem::path& folder) {
  FileTree tree;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    FileEntry file;
    if (entry.is_symlink()) {
      file = {FileEntry::Kind::kSymlink,
              std::make_shared<const std::string>(std::filesystem::read_symlink(entry).string())};
    } else if (entry.is_regular_file()) {
      std::ifstream stream(entry.path(), std::ios::binary);
      file = RegularFile(std::string(std::istreambuf_iterator<char>(stream), {}));
    } else {
      continue;
    }
    EXPECT_TRUE(tree.Set(entry.path().lexically_relative(folder).string(), std::move(file)).ok());
  }
  return tree;
}

// The task of PythonTest (tests/verifier/python_bench.h): clamp() ignores its upper bound.
class KeptTask {
 public:
  static constexpr const char* kWrongLine = "    return value if value > low else low\n";
  static constexpr const char* kRightLine = "    return max(low, min(value, high))\n";

  KeptTask() {
    auto store = datasets::Store::Open(store_path(), datasets::OpenMode::kCreate, clock_);
    EXPECT_TRUE(store.ok()) << store.status().ToString();
    kept_ = MakeCandidate((*store)->blobs());
    v1::Candidate other = kept_;
    other.set_position(1);
    other.mutable_task()
        ->mutable_environment()
        ->mutable_repository()
        ->mutable_base()
        ->set_package_list_digest(Sha256Hex("another base"));
    other.mutable_task()->set_id(TaskId(other.task()));
    elsewhere_ = other.task().id();
    v1::Job job;
    job.set_category(v1::CATEGORY_CODE);
    job.set_source("bounds");
    EXPECT_TRUE((*store)->CreateRun("run", job, {kept_, other}, {}).ok());
  }

  std::string store_path() const { return folder_.path() + "/store"; }
  const std::string& id() const { return kept_.task().id(); }
  // The id of the same task as minted on another base.
  const std::string& id_of_other_base() const { return elsewhere_; }
  const v1::Candidate& kept() const { return kept_; }

 private:
  static v1::Candidate MakeCandidate(datasets::BlobStore& blobs) {
    const verifier::PythonLayer layer;
    v1::Candidate candidate;
    candidate.set_job_id("run");
    candidate.set_id(Sha256Hex("candidate"));
    candidate.set_commit(std::string(40, 'a'));
    candidate.set_state(v1::Candidate::STATE_KEPT);
    v1::Evidence oracle;
    oracle.set_gate("oracle");
    (*oracle.mutable_values())["graded_wall_ms"] = 500;
    *candidate.add_evidence() = oracle;
    v1::Task& task = *candidate.mutable_task();
    task.set_category(v1::CATEGORY_CODE);
    task.set_language("python");
    task.mutable_prompt()->set_text("clamp(9, 2, 3) should be 3.");
    const auto base = sandbox::ReadBaseLayer().value();
    v1::RepositoryEnvironment& environment = *task.mutable_environment()->mutable_repository();
    environment.mutable_base()->set_package_list_digest(base.package_list_digest);
    environment.set_driver("python");
    environment.set_work_path("/work");
    environment.mutable_limits()->set_wall_ms_max(120'000);
    v1::Layer& venv = *environment.add_layers();
    venv.set_mount_path("/venv");
    venv.set_tree_digest(blobs.PutTree(TreeOfFolder(layer.folder())).value());
    const FileTree parent = verifier::Tree(
        {{"bounds/__init__.py", "from .clamp import clamp\n"},
         {"bounds/clamp.py", std::string("def clamp(value, low, high):\n") + kWrongLine},
         {"pyproject.toml", "[project]\nname = \"bounds\"\nversion = \"1\"\n"}});
    environment.set_tree_digest(blobs.PutTree(parent).value());
    const FileTree overlay = verifier::Tree(
        {{"tests/test_clamp.py",
          "from bounds import clamp\n\n\ndef test_low():\n    assert clamp(1, 2, 3) == 2\n\n\n"
          "def test_high():\n    assert clamp(9, 2, 3) == 3\n"},
         {"pyproject.toml", "[project]\nname = \"bounds\"\nversion = \"1\"\n"}});
    v1::TestVerifier& tests = *task.mutable_verifier()->mutable_tests();
    tests.set_overlay_digest(blobs.PutTree(overlay).value());
    tests.add_graded_files("tests/test_clamp.py");
    tests.add_fail_to_pass("tests/test_clamp.py::test_high");
    tests.add_pass_to_pass("tests/test_clamp.py::test_low");
    const std::string patch = std::string(
                                  "--- a/bounds/clamp.py\n+++ b/bounds/clamp.py\n@@ -1,2 +1,2 @@\n"
                                  " def clamp(value, low, high):\n-") +
                              kWrongLine + "+" + kRightLine;
    task.mutable_solution()->set_patch_digest(blobs.Put(patch).value());
    for (v1::Tool& tool : environments::CodeTools()) *task.add_tools() = std::move(tool);
    task.set_id(TaskId(task));
    return candidate;
  }

  SystemClock clock_;
  TemporaryFolder folder_;
  v1::Candidate kept_;
  std::string elsewhere_;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_TESTS_ORCHESTRATOR_KEPT_TASK_H_
