// Layers on disk: made by many, made twice, made by halves, damaged.
#include "sandbox/layer_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "tests/sandbox/host_view.h"
#include "tests/sandbox/layer_forms.h"
#include "tests/sandbox/other_users.h"

namespace taskmint::sandbox {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

FileTree SmallTree() {
  FileTree tree;
  EXPECT_TRUE(tree.Set("b/deep/file", RegularFile("content\n")).ok());
  EXPECT_TRUE(tree.Set("b/empty", RegularFile("")).ok());
  FileEntry tool = RegularFile("#!/bin/sh\necho ran\n");
  tool.kind = FileEntry::Kind::kExecutable;
  EXPECT_TRUE(tree.Set("a.sh", tool).ok());
  FileEntry link = RegularFile("b/deep");
  link.kind = FileEntry::Kind::kSymlink;
  EXPECT_TRUE(tree.Set("link", link).ok());
  EXPECT_TRUE(tree.Set("large", RegularFile(std::string(3'000'000, 'x'))).ok());
  return tree;
}

// The same, written by other means, in another order, by another hand.
void WriteSmallTree(const HostFolder& folder) {
  folder.Write("large", std::string(3'000'000, 'x'));
  fs::create_symlink("b/deep", folder.path() + "/link");
  fs::create_directories(folder.path() + "/b/deep");
  folder.Write("b/empty", "");
  folder.Write("b/deep/file", "content\n");
  folder.Write("a.sh", "#!/bin/sh\necho ran\n");
  ASSERT_EQ(::chmod((folder.path() + "/a.sh").c_str(), 04710), 0);
  ASSERT_EQ(::chmod((folder.path() + "/large").c_str(), 0600), 0);
  ASSERT_EQ(::chmod((folder.path() + "/b").c_str(), 02700), 0);
}

std::unique_ptr<LayerStore> OpenStore(const std::string& folder, const LayerStoreOptions& options) {
  auto store = LayerStore::Open(folder, options);
  if (!store.ok()) ADD_FAILURE() << store.status().ToString();
  return store.ok() ? std::move(*store) : nullptr;
}

std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

bool IsBuilding(const std::string& folder) {
  if (!fs::exists(folder)) return false;
  const std::vector<std::string> names = NamesIn(folder);
  return std::any_of(names.begin(), names.end(),
                     [](const std::string& name) { return name.starts_with("building-"); });
}

// How many layers there are.
size_t Built(const std::string& folder) {
  const std::vector<std::string> names = NamesIn(folder);
  return static_cast<size_t>(std::count_if(names.begin(), names.end(), [&](const auto& name) {
    return !name.starts_with("building-") && !NamesIn(folder + "/" + name).empty();
  }));
}

class LayerStoreTest : public testing::TestWithParam<LayerForm> {
 protected:
  std::unique_ptr<LayerStore> Store() const { return OpenStore(place(), GetParam().options()); }
  std::string place() const { return folder_.path() + "/layers"; }

  const HostFolder folder_;
};

TEST_P(LayerStoreTest, BuiltTwiceFromATreeAndAFolderItIsOneLayer) {
  const FileTree tree = SmallTree();
  const Result<Layer> first = Store()->Build(tree, {});
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  EXPECT_EQ(first->digest, TreeDigest(tree));
  EXPECT_EQ(first->is_image(), GetParam().images);
  const HostFolder written, elsewhere;
  WriteSmallTree(written);
  const Result<Layer> second = OpenStore(elsewhere.path() + "/a/b", GetParam().options())
                                   ->BuildFromFolder(written.path(), {});
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  EXPECT_EQ(second->digest, first->digest);
  EXPECT_EQ(second->image_digest, first->image_digest);
  const Result<Layer> again = Store()->BuildFromFolder(written.path(), {});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->host_path, first->host_path);
  EXPECT_THAT(NamesIn(place()), testing::ElementsAre(first->digest));
  EXPECT_EQ(Store()->Find(first->digest)->host_path, first->host_path);
  EXPECT_EQ(Store()->Find(std::string(64, '0')).status().code(), Code::kNotFound);
  EXPECT_EQ(Store()->Find("../x").status().code(), Code::kInvalidArgument);
}

TEST_P(LayerStoreTest, FoldersWithoutFilesCountAndPermissionsDoNot) {
  const HostFolder folder;
  WriteSmallTree(folder);
  const auto store = Store();
  const std::string digest = store->BuildFromFolder(folder.path(), {})->digest;
  ASSERT_EQ(::chmod((folder.path() + "/large").c_str(), 0666), 0);
  EXPECT_EQ(store->BuildFromFolder(folder.path(), {})->digest, digest);
  ASSERT_EQ(::chmod((folder.path() + "/large").c_str(), 0766), 0);
  EXPECT_NE(store->BuildFromFolder(folder.path(), {})->digest, digest);
  ASSERT_EQ(::chmod((folder.path() + "/large").c_str(), 0666), 0);
  fs::create_directory(folder.path() + "/b/nothing");
  EXPECT_NE(store->BuildFromFolder(folder.path(), {})->digest, digest);
}

TEST_P(LayerStoreTest, ManyBuildersMakeOneLayer) {
  const FileTree tree = SmallTree();
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        const auto store = Store();
        for (int round = 0; round < 3; ++round) {
          const Result<Layer> layer = store->Build(tree, {});
          if (layer.ok() && layer->digest == TreeDigest(tree)) ++good;
          if (!layer.ok()) ADD_FAILURE() << layer.status().ToString();
        }
      });
    }
  }
  EXPECT_EQ(good, 12);
  EXPECT_THAT(NamesIn(place()), testing::ElementsAre(TreeDigest(tree)));
  EXPECT_EQ(NamesIn(place() + "/" + TreeDigest(tree)).size(), 1U);
}

TEST_P(LayerStoreTest, ADamagedLayerIsNotFoundAndBuiltAgain) {
  const FileTree tree = SmallTree();
  const Layer layer = *Store()->Build(tree, {});
  const std::string file = layer.is_image() ? layer.host_path : layer.host_path + "/large";
  fs::permissions(file, fs::perms(0644));
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  ASSERT_TRUE(stream.seekp(2'000'000).put('y').flush().good());
  EXPECT_EQ(Store()->Find(layer.digest).status().code(), Code::kDataLoss);
  const auto store = Store();
  ASSERT_TRUE(store->Build(tree, {}).ok());
  EXPECT_TRUE(Store()->Find(layer.digest).ok());
  EXPECT_THAT(NamesIn(place()), testing::ElementsAre(layer.digest));
}

TEST_P(LayerStoreTest, AKilledBuilderLeavesNothingHalf) {
  const std::string builder = fs::read_symlink("/proc/self/exe").parent_path() / "layer_builder";
  if (!fs::exists(builder)) return;  // an ordinary user's copy of this program stands alone
  std::string folder = place(), form = GetParam().images ? "images" : "folders";
  std::string tool = LayerForm::MkfsPath();
  size_t built = 0;
  for (int round = 0; round < 12; ++round) {
    char name[] = "layer_builder";
    char* const argv[] = {name, folder.data(), form.data(), tool.data(), nullptr};
    pid_t child = -1;
    ASSERT_EQ(::posix_spawn(&child, builder.c_str(), nullptr, nullptr, argv, environ), 0);
    // Somewhere in the middle of a layer, some layers on.
    const size_t wanted = built + static_cast<size_t>(round % 3);
    ASSERT_TRUE(Eventually([&] { return IsBuilding(place()) && Built(place()) >= wanted; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(round * 3));
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    // A program that it was just starting holds its lock until it runs.
    std::unique_ptr<LayerStore> store;
    EXPECT_TRUE(Eventually([&] {
      store = Store();
      return !IsBuilding(place());
    })) << "it was not swept away";
    for (const std::string& digest : NamesIn(place())) {
      // A folder that was made for a layer is nothing yet.
      if (NamesIn(place() + "/" + digest).empty()) continue;
      EXPECT_TRUE(store->Find(digest).ok()) << store->Find(digest).status().ToString();
    }
    built = Built(place());
  }
  EXPECT_GT(built, 0U);
}

TEST_P(LayerStoreTest, ALivingBuilderIsNotSweptAway) {
  const HostFolder folder;
  for (int i = 0; i < 300; ++i) folder.Write(std::to_string(i), std::string(20'000, 'x'));
  std::atomic<bool> done = false;
  std::jthread sweeper([&] {
    while (!done) Store();
  });
  const Result<Layer> layer = Store()->BuildFromFolder(folder.path(), {});
  done = true;
  EXPECT_TRUE(layer.ok()) << layer.status().ToString();
}

TEST_P(LayerStoreTest, WhatIsNoLayerIsRefusedAndNothingStays) {
  const auto store = Store();
  const HostFolder folder;
  const auto refused = [&](const Result<Layer>& layer) {
    EXPECT_EQ(layer.status().code(), Code::kInvalidArgument) << layer.status().ToString();
    return layer.status().message();
  };
  EXPECT_THAT(refused(store->BuildFromFolder("/no/such", {})), HasSubstr("No such file"));
  ASSERT_EQ(::mkfifo((folder.path() + "/fifo").c_str(), 0600), 0);
  EXPECT_THAT(refused(store->BuildFromFolder(folder.path(), {})), HasSubstr("fifo' is neither"));
  FileTree crossed;
  ASSERT_TRUE(crossed.Set("a", RegularFile("")).ok());
  ASSERT_TRUE(crossed.Set("a/b", RegularFile("")).ok());
  EXPECT_THAT(refused(store->Build(crossed, {})), HasSubstr("below a file"));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(store->Build(SmallTree(), stop.get_token()).status().code(), Code::kCancelled);
  EXPECT_THAT(NamesIn(place()), IsEmpty());
  ASSERT_EQ(::chmod(folder.path().c_str(), 0777), 0);
  EXPECT_EQ(LayerStore::Open(folder.path()).status().code(), Code::kInvalidArgument);
}

TEST_P(LayerStoreTest, LinksOfAFolderAreNotFollowed) {
  const HostFolder secret, folder;
  secret.Write("told", "secret");
  fs::create_symlink(secret.path(), folder.path() + "/out");
  const Layer layer =
      *OpenStore(place(), {.images = false, .mkfs_path = ""})->BuildFromFolder(folder.path(), {});
  EXPECT_TRUE(fs::is_symlink(layer.host_path + "/out"));
}

INSTANTIATE_TEST_SUITE_P(Forms, LayerStoreTest, testing::ValuesIn(LayerForms()),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(LayersTest, AnOrdinaryUserHasThemLikewise) {
  if (::geteuid() != 0) return;  // the tests above were it
  EXPECT_EQ(RunAsOrdinaryUser("*LayerStoreTest.*"), 0) << "see above";
}

}  // namespace
}  // namespace taskmint::sandbox
