// Layers inside: merged, written over, limited, gone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "sandbox/layer_store.h"
#include "tests/sandbox/host_view.h"
#include "tests/sandbox/layer_forms.h"
#include "tests/sandbox/open_sandbox.h"
#include "tests/sandbox/other_users.h"

namespace taskmint::sandbox {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class LayeredFolderTest : public testing::TestWithParam<LayerForm> {
 protected:
  void SetUp() override {
    auto store = LayerStore::Open(folder_.path() + "/layers", GetParam().options());
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = std::move(*store);
  }

  Layer Make(const std::map<std::string, std::string>& files) const {
    FileTree tree;
    for (const auto& [path, content] : files) {
      EXPECT_TRUE(tree.Set(path, RegularFile(content)).ok());
    }
    const Result<Layer> layer = store_->Build(tree, {});
    EXPECT_TRUE(layer.ok()) << layer.status().ToString();
    return layer.ok() ? *layer : Layer();
  }
  static SandboxSpec Showing(std::vector<Layer> layers, bool writable,
                             const std::string& path = "/layers") {
    SandboxSpec spec;
    spec.layered_folders = {{std::move(layers), path, writable}};
    return spec;
  }
  // Whether a layer is what it was, by a reader that has not seen it.
  bool IsWhole(const Layer& layer) const {
    const auto store = LayerStore::Open(folder_.path() + "/layers", GetParam().options());
    return store.ok() && (*store)->Find(layer.digest).ok();
  }

  const HostFolder folder_;
  std::unique_ptr<LayerStore> store_;
};

std::string Seen(Sandbox& sandbox, const std::string& script) {
  const CommandResult result = RunIn(sandbox, Shell(script));
  return result.output + result.error_output;
}

TEST_P(LayeredFolderTest, OneLayerIsReadAndNotWritten) {
  const Layer layer = Make({{"a", "one\n"}, {"b/c", "two\n"}});
  const auto sandbox = OpenSandbox(Showing({layer}, false));
  EXPECT_EQ(Seen(*sandbox, "cat /layers/a /layers/b/c; stat -c '%Y %a' /layers/a /layers/b"),
            "one\ntwo\n0 644\n0 755\n");
  EXPECT_THAT(Seen(*sandbox, "touch /layers/b/d; rm /layers/a; echo x > /layers/a"),
              HasSubstr("Read-only file system"));
  EXPECT_TRUE(IsWhole(layer));
}

TEST_P(LayeredFolderTest, TheHighestLayerCounts) {
  const Layer low = Make({{"same", "low\n"}, {"low", "l\n"}, {"d/low", ""}});
  const Layer middle = Make({{"same", "middle\n"}, {"d/middle", ""}});
  const Layer high = Make({{"same", "high\n"}, {"d/high", ""}});
  for (const bool writable : {false, true}) {
    const auto sandbox = OpenSandbox(Showing({low, middle, high}, writable));
    EXPECT_EQ(Seen(*sandbox, "cat /layers/same /layers/low; ls /layers/d"),
              "high\nl\nhigh\nlow\nmiddle\n");
    EXPECT_EQ(Seen(*sandbox, "touch /layers/d/x 2>/dev/null && echo wrote"),
              writable ? "wrote\n" : "");
  }
}

TEST_P(LayeredFolderTest, WhatIsWrittenLiesOverThemAndIsThrownAway) {
  const std::map<std::string, std::string> files = {
      {"gone", "g\n"},    {"moved", "m\n"}, {"mode", "#!/bin/sh\necho ran\n"},
      {"more", "one\n"},  {"d/a", "a\n"},   {"d/b", "b\n"},
      {"e/f/g", "deep\n"}};
  const Layer layer = Make(files);
  const SandboxSpec spec = Showing({Make({{"under", "u\n"}}), layer}, true);
  auto sandbox = OpenSandbox(spec);
  EXPECT_EQ(Seen(*sandbox,
                 "cd /layers && stat -c %u:%g . gone d && rm gone && mv moved renamed && "
                 "chmod 755 mode && ./mode && echo two >> more && cat more renamed under && "
                 "rm -r d && mkdir d && echo new > d/c && ls d && mv e h && cat h/f/g && "
                 "ln more linked && ln -s more soft && cat linked soft | wc -l && touch -d @7 mode "
                 "&& stat -c %Y mode && ls"),
            "1000:1000\n1000:1000\n1000:1000\nran\none\ntwo\nm\nu\nc\ndeep\n4\n7\n"
            "d\nh\nlinked\nmode\nmore\nrenamed\nsoft\nunder\n");
  // A sandbox beside it, and the next one, see the layers alone.
  const auto beside = OpenSandbox(spec);
  sandbox.reset();
  const auto next = OpenSandbox(spec);
  for (Sandbox* other : {beside.get(), next.get()}) {
    EXPECT_EQ(Seen(*other, "cd /layers && ls && cat more d/a && stat -c %a mode"),
              "d\ne\ngone\nmode\nmore\nmoved\nunder\none\na\n644\n");
  }
  EXPECT_TRUE(IsWhole(layer));
}

TEST_P(LayeredFolderTest, TheWorkFolderMayBeMadeOfThem) {
  const Layer layer = Make({{"src/a", "old\n"}, {"src/b", "b\n"}, {"top", "t\n"}});
  const auto sandbox = OpenSandbox(Showing({layer}, true, "/work"));
  FileTree patch;
  ASSERT_TRUE(patch.Set("src/a", RegularFile("new\n")).ok());
  ASSERT_TRUE(patch.Set("src/n/x", RegularFile("x\n")).ok());
  ASSERT_TRUE(sandbox->Put(patch, "/work", 5).ok());
  ASSERT_TRUE(sandbox->Remove({"/work/top"}).ok());
  EXPECT_EQ(Seen(*sandbox, "pwd; cat src/a src/b src/n/x; ls"), "/work\nnew\nb\nx\nsrc\n");
  const Result<FileTree> tree = sandbox->Collect("/work", {});
  ASSERT_TRUE(tree.ok()) << tree.status().ToString();
  EXPECT_EQ(tree->size(), 3U);
  EXPECT_EQ(*sandbox->Get("/work/src/b", 10), "b\n");
  ASSERT_TRUE(sandbox->Clear("/work").ok());
  EXPECT_EQ(Seen(*sandbox, "ls -a"), ".\n..\n");
  EXPECT_TRUE(IsWhole(layer));
}

TEST_P(LayeredFolderTest, BytesAndFilesWrittenOverThemAreLimited) {
  const Layer layer = Make({{"large", std::string(3'000'000, 'x')}, {"small", "s"}});
  SandboxSpec spec = Showing({layer}, true);
  spec.limits.disk_bytes_max = 2 << 20;
  spec.limits.inodes_max = 100;
  const auto sandbox = OpenSandbox(spec);
  CommandResult result = RunIn(*sandbox, Shell("exec head -c 5000000 /dev/zero > /layers/new"));
  EXPECT_EQ(CauseOf(result), "disk");
  EXPECT_THAT(result.error_output, HasSubstr("No space left"));
  EXPECT_GE(result.written_bytes, 2'000'000);
  result = RunIn(*sandbox, Shell("rm /layers/new; echo more >> /layers/large"));
  EXPECT_THAT(result.error_output, HasSubstr("No space left")) << "the whole file is copied";
  EXPECT_EQ(Seen(*sandbox, "cat /layers/small"), "s");
  result = RunIn(*sandbox, Shell("i=0; while [ $i -lt 200 ]; do : > /layers/$i || exit 1; "
                                 "i=$((i + 1)); done"));
  EXPECT_EQ(CauseOf(result), "disk");
  EXPECT_EQ(Seen(*sandbox, "rm /layers/1*; : > /layers/fits && echo fits"), "fits\n");
}

TEST_P(LayeredFolderTest, NothingIsLeftBehind) {
  const Layer layer = Make({{"a", "one\n"}});
  const SandboxSpec spec = Showing({layer, Make({{"b", "two\n"}})}, true);
  OpenSandbox(spec);
  const auto open_fds = [] {
    const fs::directory_iterator fds("/proc/self/fd");
    return std::distance(begin(fds), end(fds));
  };
  const auto fds = open_fds();
  const std::string mounts = ReadAll("/proc/self/mountinfo");
  for (int i = 0; i < 5; ++i) {
    const auto sandbox = OpenSandbox(spec);
    RunIn(*sandbox, Shell("echo x > /layers/a; setsid sleep 1000 & true"));
  }
  EXPECT_EQ(open_fds(), fds);
  EXPECT_EQ(ReadAll("/proc/self/mountinfo"), mounts);
  // No mount of a dead sandbox holds the layer.
  std::error_code error;
  EXPECT_GT(fs::remove_all(folder_.path() + "/layers", error), 0U);
  EXPECT_FALSE(error) << error.message();
}

TEST_P(LayeredFolderTest, LayersThatCannotBeShownAreRefused) {
  const Layer layer = Make({{"a", ""}});
  const auto refused = [](const SandboxSpec& spec) {
    const Status status = TestHost().Open(spec, {}).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << status.ToString();
    return status.message();
  };
  EXPECT_THAT(refused(Showing({}, true)), HasSubstr("1 to 64 layers"));
  EXPECT_THAT(refused(Showing(std::vector<Layer>(65, layer), true)), HasSubstr("1 to 64 layers"));
  EXPECT_THAT(refused(Showing({layer}, false, "/work")), HasSubstr("two things"));
  EXPECT_THAT(refused(Showing({layer}, true, "/etc/x")), HasSubstr("of its own"));
  EXPECT_THAT(refused(Showing({{layer.digest, "/no/such", ""}}, true)), HasSubstr("no layer"));
  EXPECT_THAT(refused(Showing({{layer.digest, "/usr", std::string(64, '0')}}, true)),
              HasSubstr("no layer"));
  // Not what it is said to be: the kernel finds out.
  const std::string file = folder_.Write("file", std::string(100'000, 'x'));
  if (::geteuid() == 0) {
    const auto opened = TestHost().Open(Showing({{layer.digest, file, layer.digest}}, false), {});
    EXPECT_EQ(opened.status().code(), Code::kUnavailable);
    EXPECT_THAT(opened.status().message(), HasSubstr("mount layer"));
  } else {
    EXPECT_THAT(refused(Showing({{layer.digest, file, layer.digest}}, false)),
                HasSubstr("only root mounts"));
  }
}

TEST_P(LayeredFolderTest, ManySandboxesShareThem) {
  const Layer layer = Make({{"a", "one\n"}});
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 3; ++round) {
          const auto sandbox = OpenSandbox(Showing({layer}, true));
          if (sandbox == nullptr) return;
          if (Seen(*sandbox, "cat /layers/a; echo two > /layers/a; cat /layers/a") == "one\ntwo\n")
            ++good;
        }
      });
    }
  }
  EXPECT_EQ(good, 12);
}

INSTANTIATE_TEST_SUITE_P(Forms, LayeredFolderTest, testing::ValuesIn(LayerForms()),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(LayersInsideTest, ARootWhoMayNotMountReadsThemOnly) {
  if (::geteuid() != 0) return;
  if (!IsBoundedRoot()) {
    EXPECT_EQ(RunAsBoundedRoot("LayersInsideTest.ARootWhoMayNotMountReadsThemOnly"), 0)
        << "see above";
    return;
  }
  const HostFolder folder;
  std::ofstream(folder.path() + "/a") << "one\n";
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  Layer layer;
  layer.host_path = folder.path();
  SandboxSpec spec;
  spec.layered_folders = {{{layer}, "/layers", false}};
  EXPECT_EQ(Seen(*OpenSandbox(spec), "cat /layers/a"), "one\n");
  spec.layered_folders[0].writable = true;
  const auto refused = TestHost().Open(spec, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kUnavailable);
  EXPECT_THAT(refused.status().message(), HasSubstr("CAP_SYS_ADMIN"));
}

TEST(LayersInsideTest, AnOrdinaryUserHasThemLikewise) {
  if (::geteuid() != 0) return;  // the tests above were it
  EXPECT_EQ(RunAsOrdinaryUser("*LayeredFolderTest.*"), 0) << "see above";
}

}  // namespace
}  // namespace taskmint::sandbox
