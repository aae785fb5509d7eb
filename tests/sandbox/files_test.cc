// Putting, getting and collecting files under the eyes of code that plants traps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/sandbox/host_view.h"
#include "tests/sandbox/open_sandbox.h"

namespace taskmint::sandbox {
namespace {

using ::testing::ElementsAre;

FileTree TreeOf(std::vector<std::pair<std::string, std::string>> files) {
  FileTree tree;
  for (auto& [path, content] : files) {
    EXPECT_TRUE(tree.Set(path, RegularFile(std::move(content))).ok()) << path;
  }
  return tree;
}

std::vector<std::string> PathsOf(const FileTree& tree) {
  std::vector<std::string> paths;
  for (const auto& [path, entry] : tree.files()) paths.push_back(path);
  return paths;
}

TEST(FilesTest, PutReplacesWhatIsInTheWayAndFollowsNoLink) {
  auto sandbox = OpenSandbox();
  RunIn(*sandbox,
        Shell("mkdir -p /tmp/elsewhere t/file; touch t/file/x; ln -s /tmp/elsewhere t/dir;"
              "ln -s /tmp/elsewhere/f t/link; mkfifo t/fifo; echo old > t/under;"
              "ln t/under hard; mkdir t/closed; chmod 000 t/closed"));
  const Status put = sandbox->Put(TreeOf({{"dir/a", "1"},
                                          {"link", "2"},
                                          {"fifo", "3"},
                                          {"file", "4"},
                                          {"under/b", "5"},
                                          {"closed/c", "6"}}),
                                  "/work/t", 0);
  ASSERT_TRUE(put.ok()) << put.ToString();
  EXPECT_EQ(RunIn(*sandbox, Shell("cd t && cat dir/a link fifo file under/b closed/c; "
                                  "find /tmp/elsewhere -type f; cat /work/hard"))
                .output,
            "123456old\n");
}

TEST(FilesTest, PutReplacesALinkOnTheWayToItsFolder) {
  auto sandbox = OpenSandbox();
  RunIn(*sandbox, Shell("mkdir /tmp/elsewhere; ln -s /tmp/elsewhere /work/a"));
  ASSERT_TRUE(sandbox->Put(TreeOf({{"f", "x"}}), "/work/a/b", 0).ok());
  EXPECT_EQ(RunIn(*sandbox, Shell("ls /tmp/elsewhere; cat /work/a/b/f")).output, "x");
}

TEST(FilesTest, PutOfAnEmptyTreeMakesTheFolder) {
  auto sandbox = OpenSandbox();
  ASSERT_TRUE(sandbox->Put({}, "/work/new/folder", 0).ok());
  EXPECT_EQ(RunIn(*sandbox, Shell("ls -d new/folder")).output, "new/folder\n");
}

TEST(FilesTest, PlacesThatCannotBeWrittenAreToldAndTheSandboxLives) {
  auto sandbox = OpenSandbox();
  EXPECT_EQ(sandbox->Put(TreeOf({{"f", "x"}}), "/usr/share", 0).code(), Code::kFailedPrecondition);
  EXPECT_EQ(RunIn(*sandbox, Shell("echo alive")).output, "alive\n");
}

TEST(FilesTest, PathsThatAreNotPlainAreRefused) {
  auto sandbox = OpenSandbox();
  for (const std::string& path :
       {std::string("relative"), std::string("/work/../usr"), std::string("/"), std::string(""),
        std::string("/work//x"), std::string("/work/x/"), std::string("/wo\0rk", 6)}) {
    EXPECT_EQ(sandbox->Put({}, path, 0).code(), Code::kInvalidArgument) << path;
    EXPECT_EQ(sandbox->Clear(path).code(), Code::kInvalidArgument) << path;
    EXPECT_EQ(sandbox->Remove({path}).code(), Code::kInvalidArgument) << path;
    EXPECT_EQ(sandbox->Get(path, 10).status().code(), Code::kInvalidArgument) << path;
    EXPECT_EQ(sandbox->Collect(path, {}).status().code(), Code::kInvalidArgument) << path;
  }
}

TEST(FilesTest, GetTakesRegularFilesOnly) {
  SandboxSpec spec;
  spec.limits.file_bytes_max = int64_t{1} << 50;
  auto sandbox = OpenSandbox(spec);
  RunIn(*sandbox,
        Shell("printf 12345 > f; ln -s f link; mkfifo fifo; mkdir d; ln -s d dl; touch d/x;"
              "truncate -s 1T sparse; printf secret > closed; chmod 0 closed"));
  const auto code = [&](const char* path) { return sandbox->Get(path, 100).status().code(); };
  EXPECT_EQ(*sandbox->Get("/work/f", 5), "12345");
  EXPECT_EQ(sandbox->Get("/work/f", 4).status().code(), Code::kResourceExhausted);
  EXPECT_EQ(code("/work/absent"), Code::kNotFound);
  EXPECT_EQ(code("/work/absent/f"), Code::kNotFound);
  EXPECT_EQ(code("/work/link"), Code::kFailedPrecondition);
  EXPECT_EQ(code("/work/dl/x"), Code::kFailedPrecondition);
  EXPECT_EQ(code("/work/fifo"), Code::kFailedPrecondition);
  EXPECT_EQ(code("/work/d"), Code::kFailedPrecondition);
  EXPECT_EQ(code("/dev/null"), Code::kFailedPrecondition);
  EXPECT_EQ(code("/work/sparse"), Code::kResourceExhausted);
  EXPECT_EQ(*sandbox->Get("/work/closed", 100), "secret");
  EXPECT_EQ(RunIn(*sandbox, Shell("echo alive")).output, "alive\n");
}

TEST(FilesTest, GetOfALargeFileIsWhole) {
  auto sandbox = OpenSandbox();
  std::string content(9'000'001, '\0');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7919 >> 5);
  ASSERT_TRUE(sandbox->Put(TreeOf({{"big", content}}), "/work", 0).ok());
  auto got = sandbox->Get("/work/big", 10'000'000);
  ASSERT_TRUE(got.ok()) << got.status().ToString();
  EXPECT_TRUE(*got == content);
  EXPECT_EQ(sandbox->Get("/work/big", 9'000'000).status().code(), Code::kResourceExhausted);
}

TEST(FilesTest, CollectTakesFilesAndLinksAndLeavesTheRest) {
  auto sandbox = OpenSandbox();
  RunIn(*sandbox, Shell("mkdir -p c/empty c/d c/closed; cd c; echo 1 > d/f; chmod +x d/f; mkfifo p;"
                        "ln -s /etc/passwd l; ln -s loop loop; touch \"$(printf 'n\\nl\\377')\";"
                        "echo 2 > closed/f; chmod 0 closed/f closed; touch -- '-rf *'; "
                        "python3 -c \"import socket; socket.socket(1).bind('s')\""));
  auto tree = sandbox->Collect("/work/c", {});
  ASSERT_TRUE(tree.ok()) << tree.status().ToString();
  EXPECT_THAT(PathsOf(*tree), ElementsAre("-rf *", "closed/f", "d/f", "l", "loop", "n\nl\xff"));
  EXPECT_EQ(tree->Find("d/f")->kind, FileEntry::Kind::kExecutable);
  EXPECT_EQ(tree->Find("l")->kind, FileEntry::Kind::kSymlink);
  EXPECT_EQ(*tree->Find("l")->content, "/etc/passwd");
  EXPECT_EQ(*tree->Find("closed/f")->content, "2\n");
  EXPECT_EQ(sandbox->Collect("/work/absent", {}).status().code(), Code::kNotFound);
  EXPECT_EQ(sandbox->Collect("/work/c/d/f", {}).status().code(), Code::kFailedPrecondition);
  RunIn(*sandbox, Shell("ln -s c cl"));
  EXPECT_EQ(sandbox->Collect("/work/cl", {}).status().code(), Code::kFailedPrecondition);
}

TEST(FilesTest, CollectStopsAtItsLimits) {
  SandboxSpec spec;
  spec.limits.file_bytes_max = int64_t{1} << 50;
  auto sandbox = OpenSandbox(spec);
  RunIn(*sandbox, Shell("mkdir many big sparse dirs; cd many; seq 50 | xargs touch; cd ..;"
                        "head -c 3000000 /dev/zero > big/a; truncate -s 100T sparse/a;"
                        "cd dirs; seq 1100 | xargs mkdir"));
  const auto code = [&](const char* path, CollectLimits limits) {
    return sandbox->Collect(path, limits).status().code();
  };
  EXPECT_EQ(code("/work/many", {50, 1000}), Code::kOk);
  EXPECT_EQ(code("/work/many", {49, 1000}), Code::kResourceExhausted);
  EXPECT_EQ(code("/work/big", {10, 3'000'000}), Code::kOk);
  EXPECT_EQ(code("/work/big", {10, 2'999'999}), Code::kResourceExhausted);
  EXPECT_EQ(code("/work/sparse", {}), Code::kResourceExhausted);
  EXPECT_EQ(code("/work/dirs", {10, 1000}), Code::kResourceExhausted);
  EXPECT_EQ(RunIn(*sandbox, Shell("echo alive")).output, "alive\n");
}

TEST(FilesTest, ClearEmptiesWhateverWasLeft) {
  auto sandbox = OpenSandbox();
  RunIn(*sandbox, Shell("mkdir -p a/b c; touch a/b/c .hidden; chmod 000 a/b; chmod 500 a; mkfifo p;"
                        "ln -s /usr l; chmod 000 c"));
  RunIn(*sandbox, Python("import os\n"
                         "for i in range(3000):\n"
                         "  os.mkdir('d'); os.chdir('d')\n"
                         "open('f', 'w'); os.chmod('.', 0o500)\n"));
  const Status cleared = sandbox->Clear("/work");
  ASSERT_TRUE(cleared.ok()) << cleared.ToString();
  EXPECT_EQ(RunIn(*sandbox, Shell("ls -A /work; ls -d /usr/bin")).output, "/usr/bin\n");
  RunIn(*sandbox, Shell("touch x; chmod 000 /work"));
  ASSERT_TRUE(sandbox->Clear("/work").ok());
  EXPECT_EQ(RunIn(*sandbox, Shell("ls -A; touch usable && echo yes")).output, "yes\n");
  // A folder that became a link becomes a folder again.
  RunIn(*sandbox, Shell("mkdir /tmp/other; touch /tmp/other/f; ln -s /tmp/other /work/l"));
  ASSERT_TRUE(sandbox->Clear("/work/l").ok());
  EXPECT_EQ(RunIn(*sandbox, Shell("ls /tmp/other; test -L l || echo folder")).output,
            "f\nfolder\n");
}

TEST(FilesTest, ClearAndRemoveStopAtMounts) {
  const HostFolder folder;
  ::chmod(folder.path().c_str(), 0777);
  folder.Write("kept", "x");
  SandboxSpec spec;
  spec.mounts = {{folder.path(), "/work/mounted", true}};
  auto sandbox = OpenSandbox(spec);
  RunIn(*sandbox, Shell("touch /work/gone"));
  ASSERT_TRUE(sandbox->Clear("/work").ok());
  EXPECT_EQ(RunIn(*sandbox, Shell("ls -A /work /work/mounted")).output,
            "/work:\nmounted\n\n/work/mounted:\nkept\n");
}

TEST(FilesTest, RemoveTakesAwayWhatIsThereAndMindsNothingElse) {
  auto sandbox = OpenSandbox();
  RunIn(*sandbox,
        Shell("mkdir -p a/b /tmp/t; touch a/b/f g /tmp/t/kept; ln -s /tmp/t l; chmod 0 a"));
  ASSERT_TRUE(
      sandbox->Remove({"/work/a", "/work/g", "/work/absent", "/work/no/such", "/work/l/kept"})
          .ok());
  EXPECT_EQ(RunIn(*sandbox, Shell("ls -A; ls /tmp/t")).output, "l\nkept\n");
  ASSERT_TRUE(sandbox->Remove({"/work/l"}).ok());
  EXPECT_EQ(RunIn(*sandbox, Shell("ls -A; ls /tmp/t")).output, "kept\n");
  ASSERT_TRUE(
      sandbox->Remove(std::vector<std::string>(50'000, "/work/absent/" + std::string(40, 'x')))
          .ok());
}

TEST(FilesTest, MountsOfFoldersBelowPrivateOnesAreSeen) {
  const HostFolder folder;  // mode 0700
  std::filesystem::create_directories(folder.path() + "/layer");
  folder.Write("layer/file", "content\n");
  ::chmod((folder.path() + "/layer").c_str(), 0755);
  const HostFolder written;
  SandboxSpec spec;
  spec.mounts = {{folder.path() + "/layer", "/venv", false},
                 {folder.path() + "/layer/file", "/opt/one/file", false},
                 {written.path(), "/out", true}};
  auto sandbox = OpenSandbox(spec);
  ASSERT_NE(sandbox, nullptr);
  EXPECT_EQ(RunIn(*sandbox, Shell("cat /venv/file /opt/one/file; echo made > /out/f && cat /out/f; "
                                  "touch /venv/x || echo read-only"))
                .output,
            "content\ncontent\nmade\nread-only\n");
  EXPECT_EQ(ReadAll(written.path() + "/f"), "made\n");
}

}  // namespace
}  // namespace taskmint::sandbox
