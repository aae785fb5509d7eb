// The small Python task of tests/verifier, written as exports write it.
#ifndef TASKMINT_TESTS_ORCHESTRATOR_EXPORTED_FIXTURE_H_
#define TASKMINT_TESTS_ORCHESTRATOR_EXPORTED_FIXTURE_H_

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "datasets/archive.h"
#include "datasets/exported_task.h"
#include "datasets/folder_writing.h"
#include "datasets/harbor_export.h"
#include "datasets/swebench_export.h"
#include "environments/repository/patch.h"
#include "proto/base/digest.h"
#include "tests/orchestrator/temporary_folder.h"
#include "tests/verifier/portable_bench.h"

namespace taskmint::orchestrator {

inline std::string FileText(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

// A folder of this machine as a tree.
inline FileTree TreeOfFolder(const std::string& root) {
  namespace fs = std::filesystem;
  FileTree tree;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const std::string path = entry.path().lexically_relative(root).string();
    FileEntry file;
    if (entry.is_symlink()) {
      file.kind = FileEntry::Kind::kSymlink;
      file.content = std::make_shared<const std::string>(fs::read_symlink(entry.path()).string());
    } else if (entry.is_regular_file()) {
      file = RegularFile(FileText(entry.path()));
    } else {
      continue;
    }
    EXPECT_TRUE(tree.Set(path, file).ok());
  }
  return tree;
}

class ExportedTest : public verifier::PortableTest {
 protected:
  ExportedTest() {
    auto archive = datasets::WriteArchive(TreeOfFolder(built_.layers[0].host_path));
    EXPECT_TRUE(archive.ok()) << archive.status().ToString();
    layer_ = {"/venv", folder_.path() + "/layer.tar.gz", Sha256Hex(*archive),
              "layer-0123456789ab.tar.gz"};
    EXPECT_TRUE(datasets::WriteFileWhole(layer_.host_path, *archive).ok());
  }

  datasets::ExportedTask Exported() {
    datasets::ExportedTask exported;
    *exported.kept.mutable_task() = Task();
    v1::Task& task = *exported.kept.mutable_task();
    task.set_id(std::string(64, 'a'));
    task.set_language("python");
    task.mutable_prompt()->set_text("Keep values within both bounds");
    task.mutable_provenance()->set_source("https://example.org/owner/bounds.git");
    const auto base = sandbox::ReadBaseLayer();
    EXPECT_TRUE(base.ok());
    auto* said = task.mutable_environment()->mutable_repository()->mutable_base();
    said->set_name(base->name);
    exported.parent_tree = proposal_.parent_tree;
    exported.overlay = proposal_.overlay;
    exported.gold_patch = Patch(proposal_.parent_tree, proposal_.gold_tree);
    exported.test_patch = Patch(proposal_.parent_tree, proposal_.overlay);
    exported.grader = Grader();
    return exported;
  }
  static std::string Patch(const FileTree& before, const FileTree& after) {
    const auto patch = environments::MakePatch(before, after);
    EXPECT_TRUE(patch.ok()) << patch.status().ToString();
    return patch.ok() ? *patch : std::string();
  }
  // Writes a task and says where.
  std::string Write(const Result<datasets::TaskFolder>& task) {
    EXPECT_TRUE(task.ok()) << task.status().ToString();
    const std::string path = folder_.path() + "/task";
    if (task.ok()) {
      const Status written = datasets::WriteTaskFolder(*task, path);
      EXPECT_TRUE(written.ok()) << written.ToString();
    }
    return path;
  }
  Result<datasets::TaskFolder> Harbor() {
    return datasets::HarborTask(Exported(), {layer_}, "acme");
  }
  Result<datasets::TaskFolder> Swebench() {
    auto made = datasets::MakeSwebenchTask(Exported(), {layer_},
                                           {"acme/bounds", "test", verifier::PytestLineId});
    if (!made.ok()) return made.status();
    return std::move(made->folder);
  }

  TemporaryFolder folder_;
  datasets::LayerArchive layer_;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_TESTS_ORCHESTRATOR_EXPORTED_FIXTURE_H_
