#include "environments/repository/source_import.h"

#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "environments/repository/git_repository.h"
#include "tests/environments/git_fixture.h"
#include "tests/environments/http_server.h"

namespace taskmint::environments {
namespace {

using testing::HasSubstr;
using testing::Not;

class SourceImportTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto host = sandbox::MakeBubblewrapHost();
    ASSERT_TRUE(host.ok()) << host.status().ToString();
    host_ = std::move(host).value().release();
  }
  static void TearDownTestSuite() {
    delete host_;
    host_ = nullptr;
  }
  Result<ImportedSource> Import(const std::string& source) {
    return ImportSource(*host_, source, folder_.path() + "/imports", {});
  }
  std::string ImportError(const std::string& source, Code code) {
    const auto imported = Import(source);
    EXPECT_FALSE(imported.ok()) << source;
    if (imported.ok()) return "";
    EXPECT_EQ(imported.status().code(), code) << imported.status().ToString();
    EXPECT_EQ(Imports(), 0);
    EXPECT_THAT(imported.status().message(), Not(HasSubstr("\n")));
    return imported.status().message();
  }
  // What lies in the folder of imports.
  int64_t Imports() const {
    std::error_code ignored;
    const std::filesystem::directory_iterator entries(folder_.path() + "/imports", ignored);
    return std::distance(begin(entries), end(entries));
  }
  // The history of a clone: every commit and file is there.
  void ExpectWhole(const std::string& path, const std::string& head, size_t commits) {
    const auto repository = GitRepository::Open(path);
    ASSERT_TRUE(repository.ok()) << repository.status().ToString();
    EXPECT_EQ((*repository)->Head().value(), head);
    EXPECT_EQ((*repository)->Commits(head, {}).value().size(), commits);
    EXPECT_TRUE((*repository)->ReadTree(head, {}).ok());
  }

  static sandbox::SandboxHost* host_;
  TemporaryFolder folder_;
};
sandbox::SandboxHost* SourceImportTest::host_ = nullptr;

TEST(ClassifySourceTest, TellsFoldersBundlesAndUrlsApart) {
  TemporaryFolder folder;
  std::ofstream(folder.path() + "/file") << "x";
  EXPECT_EQ(ClassifySource(folder.path()).value(), SourceKind::kLocalRepository);
  EXPECT_EQ(ClassifySource(folder.path() + "/file").value(), SourceKind::kBundle);
  EXPECT_EQ(ClassifySource("https://example.org/a.git").value(), SourceKind::kUrl);
  EXPECT_EQ(ClassifySource("HTTP://u:p@example.org:8080/a").value(), SourceKind::kUrl);
}

TEST(ClassifySourceTest, SaysWhatToDoInstead) {
  const std::tuple<const char*, Code, const char*> kCases[] = {
      {"", Code::kInvalidArgument, "empty"},
      {"/nonexistent/x", Code::kNotFound, "no such path"},
      {"ssh://git@github.com/a/b", Code::kInvalidArgument, "https://"},
      {"git@github.com:a/b.git", Code::kInvalidArgument, "ssh is not supported"},
      {"git://example.org/a", Code::kInvalidArgument, "git:// is not supported"},
      {"file:///srv/a", Code::kInvalidArgument, "without file://"},
      {"ext::sh -c 'touch /tmp/x'", Code::kInvalidArgument, "remote helper"},
      {"--upload-pack=touch", Code::kNotFound, "no such path"},
      {"https://", Code::kInvalidArgument, "needs a host"},
      {"https://user:secret@/a b", Code::kInvalidArgument, "needs a host"},
      {"/dev/null", Code::kInvalidArgument, "neither a folder"},
  };
  for (const auto& [source, code, words] : kCases) {
    const auto kind = ClassifySource(source);
    ASSERT_FALSE(kind.ok()) << source;
    EXPECT_EQ(kind.status().code(), code) << source;
    EXPECT_THAT(kind.status().message(), HasSubstr(words));
    EXPECT_THAT(kind.status().message(), Not(HasSubstr("secret")));
  }
}

TEST_F(SourceImportTest, UsesALocalRepositoryWhereItLies) {
  WorkTree work;
  work.Commit("one");
  auto imported = Import(work.path());
  ASSERT_TRUE(imported.ok()) << imported.status().ToString();
  EXPECT_EQ(imported->repository_path, work.path());
  EXPECT_EQ(imported->name, "repository");
  EXPECT_EQ(Import(work.path() + "/.git/").value().name, "repository");
  work.Git("remote add origin https://me:secret@example.org/a/b.git");
  EXPECT_EQ(Import(work.path()).value().name, "https://example.org/a/b.git");
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/imports"));
}

TEST_F(SourceImportTest, ClonesABundleOnceAndAgainWhenItChanges) {
  WorkTree work;
  work.Write("a", "1");
  work.Commit("one");
  const std::string head = work.Commit("two");
  const std::string bundle = work.folder() + "/history.bundle";
  work.Git("bundle create -q " + bundle + " --all");
  const auto imported = Import(bundle);
  ASSERT_TRUE(imported.ok()) << imported.status().ToString();
  EXPECT_EQ(imported->name, "history");
  ExpectWhole(imported->repository_path, head, 2);
  std::ofstream(imported->repository_path + "/witness") << "x";
  ASSERT_TRUE(Import(bundle).ok());
  EXPECT_TRUE(std::filesystem::exists(imported->repository_path + "/witness"));
  const std::string later = work.Commit("three");
  work.Git("bundle create -q " + bundle + " --all");
  const auto again = Import(bundle);
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  ExpectWhole(again->repository_path, later, 3);
  ExpectWhole(imported->repository_path, head, 2);  // whoever reads it goes on
}

// As many processes do that share one store.
TEST_F(SourceImportTest, ImportsAtTheSameTimeDoNotDisturbEachOther) {
  WorkTree work;
  for (int i = 0; i < 20; ++i) {
    work.Write("a" + std::to_string(i), std::string(10'000, static_cast<char>('a' + i)));
    work.Commit("commit " + std::to_string(i));
  }
  const std::string head = work.Git("rev-parse HEAD");
  const std::string bundle = work.folder() + "/history.bundle";
  work.Git("bundle create -q " + bundle + " --all");
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const auto imported = Import(bundle);
      ASSERT_TRUE(imported.ok()) << imported.status().ToString();
      const auto repository = GitRepository::Open(imported->repository_path);
      ASSERT_TRUE(repository.ok()) << repository.status().ToString();
      for (int read = 0; read < 50; ++read) {
        ASSERT_EQ((*repository)->Commits(head, {}).value().size(), 20U);
        ASSERT_TRUE((*repository)->ReadTree(head, {}).ok());
        ASSERT_TRUE(GitRepository::Open(imported->repository_path).ok());
      }
    });
  }
  threads.clear();
  EXPECT_EQ(Imports(), 1);
}

TEST_F(SourceImportTest, BundleWithoutHeadFollowsItsBranch) {
  WorkTree work;
  work.Commit("one");
  work.Git("checkout -q -b develop");
  const std::string head = work.Commit("two");
  const std::string bundle = work.folder() + "/b.bundle";
  work.Git("bundle create -q " + bundle + " develop");
  const auto imported = Import(bundle);
  ASSERT_TRUE(imported.ok()) << imported.status().ToString();
  ExpectWhole(imported->repository_path, head, 2);
}

TEST_F(SourceImportTest, SaysWhatIsWrongWithABundle) {
  WorkTree work;
  work.Commit("one");
  work.Commit("two");
  std::ofstream(work.folder() + "/text") << "hello";
  EXPECT_THAT(ImportError(work.folder() + "/text", Code::kInvalidArgument),
              HasSubstr("no git bundle"));
  work.Git("bundle create -q ../part.bundle HEAD~1..HEAD");
  EXPECT_THAT(ImportError(work.folder() + "/part.bundle", Code::kFailedPrecondition),
              HasSubstr("part of a history"));
  work.Run(
      "git bundle create -q ../whole.bundle --all && head -c 200 ../whole.bundle > ../cut.bundle");
  EXPECT_THAT(ImportError(work.folder() + "/cut.bundle", Code::kFailedPrecondition),
              HasSubstr("cannot be read"));
  ASSERT_EQ(Shell(work.folder(),
                  "git init -q --object-format=sha256 x && cd x && git commit -q "
                  "--allow-empty -m x && git bundle create -q ../sha256.bundle --all")
                .exit_code,
            0);
  EXPECT_THAT(ImportError(work.folder() + "/sha256.bundle", Code::kFailedPrecondition),
              HasSubstr("sha256"));
}

TEST_F(SourceImportTest, ClonesAUrlThroughTheProxyAndForgetsTheSecret) {
  WorkTree work;
  work.Write("a", "1");
  work.Commit("one");
  const std::string head = work.Commit("two");
  work.Git("clone -q --bare . ../served.git");
  ASSERT_EQ(Shell(work.folder() + "/served.git", "git update-server-info").exit_code, 0);
  const HttpServer server(work.folder(), "me:s3cr@t/");
  const auto imported = Import(server.Url("me:s3cr%40t%2F@", "/served.git"));
  ASSERT_TRUE(imported.ok()) << imported.status().ToString();
  EXPECT_EQ(imported->name, server.Url("", "/served.git"));
  ExpectWhole(imported->repository_path, head, 2);
  EXPECT_NE(Shell(imported->repository_path, "grep -rE 's3cr|bWU6' .").exit_code, 0);
}

TEST_F(SourceImportTest, AUrlIsFetchedAgainWhereItCanBeReached) {
  WorkTree work;
  const std::string first = work.Commit("one");
  work.Git("clone -q --bare . ../served.git");
  const auto publish = [&work] {
    work.Git("push -q ../served.git main");
    ASSERT_EQ(Shell(work.folder() + "/served.git", "git update-server-info").exit_code, 0);
  };
  publish();
  std::string url;
  std::string second;
  {
    const HttpServer server(work.folder(), "");
    url = server.Url("", "/served.git");
    EXPECT_FALSE(FindImported(url, folder_.path() + "/imports").has_value());
    const auto imported = Import(url);
    ASSERT_TRUE(imported.ok()) << imported.status().ToString();
    ExpectWhole(imported->repository_path, first, 1);
    EXPECT_EQ(Import(url).value().repository_path, imported->repository_path);
    EXPECT_EQ(Imports(), 1);

    second = work.Commit("two");
    publish();
    const auto again = Import(url);
    ASSERT_TRUE(again.ok()) << again.status().ToString();
    EXPECT_EQ(again->warning, "");
    ExpectWhole(again->repository_path, second, 2);
    ExpectWhole(imported->repository_path, first, 1);
  }
  const auto offline = Import(url);
  ASSERT_TRUE(offline.ok()) << offline.status().ToString();
  EXPECT_THAT(offline->warning, HasSubstr("not refreshed"));
  ExpectWhole(offline->repository_path, second, 2);
  EXPECT_EQ(FindImported(url, folder_.path() + "/imports")->repository_path,
            offline->repository_path);
}

TEST_F(SourceImportTest, SaysWhyAUrlCannotBeCloned) {
  TemporaryFolder empty;
  const HttpServer server(empty.path(), "");
  const std::string missing = ImportError(server.Url("me:s3cret@", "/none.git"), Code::kNotFound);
  EXPECT_THAT(missing, HasSubstr("no git repository at http://127.0.0.1"));
  EXPECT_THAT(missing, Not(HasSubstr("s3cret")));
  const HttpServer closed(empty.path(), "someone:else");
  EXPECT_THAT(ImportError(closed.Url("", "/none.git"), Code::kNotFound), HasSubstr("private"));
  // Port 1 of the loopback device: nobody listens.
  const std::string refused = ImportError("http://127.0.0.1:1/a.git", Code::kUnavailable);
  EXPECT_THAT(refused, HasSubstr("check the network"));
  EXPECT_THAT(ImportError("https://nowhere.invalid/a.git", Code::kUnavailable),
              HasSubstr("nowhere.invalid"));
}

TEST_F(SourceImportTest, EmptyRemoteHasNoCommits) {
  WorkTree work;
  work.Git("init -q --bare ../empty.git");
  ASSERT_EQ(Shell(work.folder() + "/empty.git", "git update-server-info").exit_code, 0);
  const HttpServer server(work.folder(), "");
  EXPECT_THAT(ImportError(server.Url("", "/empty.git"), Code::kFailedPrecondition),
              HasSubstr("no commits yet"));
}

}  // namespace
}  // namespace taskmint::environments
