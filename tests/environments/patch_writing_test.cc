#include "environments/repository/git_repository.h"
#include "proto/base/random.h"
#include "tests/environments/git_fixture.h"
#include "tests/environments/random_tree.h"

namespace taskmint::environments {
namespace {

// Writes a tree to a folder, reads one from it.
void WriteTree(const FileTree& tree, const std::string& folder) {
  namespace fs = std::filesystem;
  for (const auto& [path, entry] : tree.files()) {
    const fs::path file = folder + "/" + path;
    fs::create_directories(file.parent_path());
    if (entry.kind == FileEntry::Kind::kSymlink) {
      fs::create_symlink(*entry.content, file);
      continue;
    }
    std::ofstream(file, std::ios::binary) << *entry.content;
    if (entry.kind == FileEntry::Kind::kExecutable) {
      fs::permissions(file, fs::perms::owner_exec, fs::perm_options::add);
    }
  }
}

FileTree ReadFolder(const std::string& folder) {
  namespace fs = std::filesystem;
  FileTree tree;
  for (const auto& item : fs::recursive_directory_iterator(folder)) {
    const std::string name = item.path().string().substr(folder.size() + 1);
    FileEntry entry;
    if (item.is_symlink()) {
      entry = {FileEntry::Kind::kSymlink,
               std::make_shared<const std::string>(fs::read_symlink(item.path()).string())};
    } else if (item.is_regular_file()) {
      std::ifstream in(item.path(), std::ios::binary);
      entry = RegularFile(std::string(std::istreambuf_iterator<char>(in), {}));
      if ((item.status().permissions() & fs::perms::owner_exec) != fs::perms::none) {
        entry.kind = FileEntry::Kind::kExecutable;
      }
    } else {
      continue;
    }
    EXPECT_TRUE(tree.Set(name, entry).ok());
  }
  return tree;
}

TEST(MakePatchTest, OfEqualTreesIsEmpty) {
  Random random(1);
  const FileTree tree = RandomTree(random);
  EXPECT_EQ(MakePatch(tree, tree).value(), "");
}

TEST(MakePatchTest, IsWhatGitWrites) {
  FileTree from;
  FileTree to;
  ASSERT_TRUE(from.Set("a.txt", RegularFile("1\n2\n3\n")).ok());
  ASSERT_TRUE(to.Set("a.txt", RegularFile("1\n2\nthree")).ok());
  ASSERT_TRUE(to.Set("new", RegularFile("x\n")).ok());
  WorkTree work;
  WriteTree(from, work.path());
  work.Commit("from");
  WriteTree(to, work.path());
  work.Commit("to");
  EXPECT_EQ(MakePatch(from, to).value(), work.Git("diff --full-index HEAD~1 HEAD") + "\n");
}

TEST(MakePatchTest, GitAppliesWhatItWrites) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Random random(seed);
    const FileTree from = RandomTree(random);
    const FileTree to = RandomVariation(from, random);
    const auto patch = MakePatch(from, to);
    ASSERT_TRUE(patch.ok()) << patch.status().ToString();
    TemporaryFolder folder;
    std::filesystem::create_directory(folder.path() + "/tree");
    WriteTree(from, folder.path() + "/tree");
    std::ofstream(folder.path() + "/patch", std::ios::binary) << *patch;
    if (!patch->empty()) {
      const ShellResult result = Shell(
          folder.path() + "/tree", "GIT_DIR=/nonexistent git apply --whitespace=nowarn ../patch");
      ASSERT_EQ(result.exit_code, 0) << "seed " << seed << "\n" << result.output << *patch;
    }
    ASSERT_EQ(TreeDigest(ReadFolder(folder.path() + "/tree")), TreeDigest(to))
        << "seed " << seed << "\n"
        << *patch;
  }
}

}  // namespace
}  // namespace taskmint::environments
