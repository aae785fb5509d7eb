// Kept tasks as a pipeline would leave them, with everything that they refer to; small and made up.
#ifndef TASKMINT_TESTS_DATASETS_SAMPLE_TASK_H_
#define TASKMINT_TESTS_DATASETS_SAMPLE_TASK_H_

#include <string>

#include "datasets/blob_store.h"
#include "datasets/exported_task.h"
#include "proto/base/check.h"
#include "proto/base/digest.h"
#include "proto/base/record.h"

namespace taskmint::datasets {

inline bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline void SetFile(FileTree& tree, const std::string& path, FileEntry entry) {
  TASKMINT_CHECK(tree.Set(path, std::move(entry)).ok());
}

// The layer that all sample tasks share.
inline FileTree SampleLayer() {
  FileTree tree;
  SetFile(tree, "lib/tool.py", RegularFile("x = 1\n"));
  SetFile(tree, "bin/python",
          {FileEntry::Kind::kSymlink, std::make_shared<const std::string>("/usr/bin/python3")});
  return tree;
}

// The `number`th task: trees, patch and grader, and a record whose digests are theirs. Paths and
// contents are not all UTF-8.
inline ExportedTask SampleTask(int number, int files = 3) {
  const std::string n = std::to_string(number);
  ExportedTask sample;
  SetFile(sample.parent_tree, "LICENSE", RegularFile("free\n"));
  SetFile(sample.parent_tree, "latin-\xe9", RegularFile("\xff\xfe"));
  for (int i = 0; i < files; ++i) {
    SetFile(sample.parent_tree, "src/part" + std::to_string(i) + ".py",
            RegularFile("# part of " + n + "\nx = " + std::to_string(i) + "\n"));
  }
  SetFile(sample.overlay, "tests/test_part.py", RegularFile("def test_" + n + "(): pass\n"));
  sample.gold_patch = "diff --git a/src/part0.py b/src/part0.py\n# " + n + "\n";
  sample.test_patch = "diff --git a/tests/test_part.py b/tests/test_part.py\n# " + n + "\n";
  SetFile(sample.grader, "grade.py", RegularFile("print('graded')\n"));
  const std::string log = "log of " + n + "\n";
  sample.logs[Sha256Hex(log)] = log;

  v1::Candidate& kept = sample.kept;
  v1::Task& task = *kept.mutable_task();
  task.set_category(v1::CATEGORY_CODE);
  task.set_language("python");
  task.mutable_prompt()->set_text("Mend part " + n +
                                  "\n\nIt is \xe2\x80\x9c"
                                  "broken\xe2\x80\x9d.\n");
  task.mutable_prompt()->set_source(v1::Prompt::SOURCE_COMMIT_MESSAGE);
  v1::RepositoryEnvironment& environment = *task.mutable_environment()->mutable_repository();
  environment.mutable_base()->set_name("Debian GNU/Linux 12 (bookworm)");
  environment.mutable_base()->set_package_list_digest(Sha256Hex("base"));
  v1::Layer& layer = *environment.add_layers();
  layer.set_mount_path("/venv");
  layer.set_tree_digest(TreeDigest(SampleLayer()));
  layer.set_recipe("tool==1");
  environment.set_tree_digest(TreeDigest(sample.parent_tree));
  environment.set_work_path("/work");
  environment.set_driver("python");
  (*environment.mutable_variables())["TZ"] = "UTC";
  (*environment.mutable_variables())["LANG"] = "C.UTF-8";
  environment.mutable_limits()->set_wall_ms_max(600'000);
  environment.mutable_limits()->set_memory_bytes_max(int64_t{4} << 30);
  environment.mutable_limits()->set_processes_max(256);
  environment.mutable_limits()->set_disk_bytes_max(int64_t{1} << 30);
  task.mutable_solution()->set_patch_digest(Sha256Hex(sample.gold_patch));
  task.mutable_solution()->add_paths("src/part0.py");
  v1::TestVerifier& tests = *task.mutable_verifier()->mutable_tests();
  tests.set_overlay_digest(TreeDigest(sample.overlay));
  tests.add_removed_paths("tests/old-\xe9.py");
  tests.add_graded_files("tests/test_part.py");
  tests.add_fail_to_pass("tests/test_part.py::test_a[one two]");
  tests.add_error_to_pass("tests/test_part.py::test_b");
  tests.add_pass_to_pass("tests/test_part.py::test_c");
  task.mutable_provenance()->set_source("https://example.org/owner/part.git");
  task.mutable_provenance()->set_commit(Sha256Hex("commit " + n).substr(0, 40));
  task.mutable_provenance()->set_parent_commit(Sha256Hex("parent " + n).substr(0, 40));
  task.mutable_provenance()->set_commit_time_s(1'700'000'000 + number);
  task.mutable_provenance()->set_pipeline("taskmint test");
  task.mutable_licence()->set_spdx_id("MIT");
  task.mutable_licence()->set_path("LICENSE");
  task.set_id(TaskId(task));

  kept.set_commit(task.provenance().commit());
  kept.set_state(v1::Candidate::STATE_KEPT);
  for (const char* gate : {"lint", "oracle", "mutation"}) {
    v1::Evidence& evidence = *kept.add_evidence();
    evidence.set_gate(gate);
    evidence.set_outcome(v1::Evidence::OUTCOME_PASSED);
    evidence.set_log_digest(Sha256Hex(log));
    (*evidence.mutable_values())["mutation_score"] = 0.75;
  }
  kept.add_evidence()->set_gate("difficulty");
  return sample;
}

// Everything that the task refers to, but for its logs.
inline void PutSample(BlobStore& blobs, const ExportedTask& sample) {
  TASKMINT_CHECK(blobs.PutTree(sample.parent_tree).ok() && blobs.PutTree(sample.overlay).ok() &&
                 blobs.PutTree(SampleLayer()).ok() && blobs.Put(sample.gold_patch).ok());
  for (const auto& [digest, log] : sample.logs) TASKMINT_CHECK(blobs.Put(log).ok());
}

}  // namespace taskmint::datasets

#endif  // TASKMINT_TESTS_DATASETS_SAMPLE_TASK_H_
