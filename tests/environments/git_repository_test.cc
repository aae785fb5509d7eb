#include "environments/repository/git_repository.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/environments/git_fixture.h"
#include "tests/environments/must_open.h"

namespace taskmint::environments {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string OpenError(const std::string& path, Code code) {
  const auto opened = GitRepository::Open(path);
  EXPECT_FALSE(opened.ok());
  if (opened.ok()) return "";
  EXPECT_EQ(opened.status().code(), code) << opened.status().ToString();
  EXPECT_EQ(opened.status().boundary(), Boundary::kEnvironment);
  return opened.status().message();
}

TEST(GitRepositoryTest, ReadsCommitsChangesAndTrees) {
  WorkTree work;
  work.Write("a.py", "one\n");
  work.Write("gone.txt", "x");
  const std::string first = work.Commit("first");
  work.Write("a.py", "two\n");
  work.Write("run.sh", "#!/bin/sh\n");
  work.Run("chmod +x run.sh && rm gone.txt && ln -s ../../etc/passwd link");
  const std::string second = work.Commit("second\n\nbody\n");
  auto repository = MustOpen(work.path());
  ASSERT_NE(repository, nullptr);
  ASSERT_EQ(repository->Head().value(), second);
  const auto commits = repository->Commits(second, {}).value();
  ASSERT_EQ(commits.size(), 2u);
  EXPECT_EQ(commits[0].message, "second\n\nbody\n");
  EXPECT_EQ(commits[0].parents, std::vector<std::string>{first});
  EXPECT_EQ(commits[1].author_time_s, 1'600'000'000);
  const auto changes = repository->Changes(first, second, {}).value();
  ASSERT_EQ(changes.size(), 4u);
  EXPECT_EQ(changes[0].path, "a.py");
  EXPECT_EQ(changes[1].kind, PathChange::Kind::kDeleted);
  EXPECT_EQ(changes[3].new_bytes, 10u);
  const FileTree tree = repository->ReadTree(second, {}).value();
  ASSERT_EQ(tree.size(), 3u);
  EXPECT_EQ(*tree.Find("a.py")->content, "two\n");
  EXPECT_EQ(tree.Find("link")->kind, FileEntry::Kind::kSymlink);
  EXPECT_EQ(*tree.Find("link")->content, "../../etc/passwd");
  EXPECT_EQ(tree.Find("run.sh")->kind, FileEntry::Kind::kExecutable);
}

TEST(GitRepositoryTest, ReadsOneFileOfTheTopFolder) {
  WorkTree work;
  work.Write("settings", "1\n");
  work.Write("folder/inner", "2\n");
  work.Run("ln -s settings link");
  const std::string sha = work.Commit("first");
  auto repository = MustOpen(work.path());
  ASSERT_NE(repository, nullptr);
  EXPECT_EQ(repository->ReadTopFile(sha, "settings", 2).value(), "1\n");
  for (const char* name : {"absent", "folder", "link", "inner"}) {
    EXPECT_EQ(repository->ReadTopFile(sha, name, 100).value(), std::nullopt) << name;
  }
  EXPECT_EQ(repository->ReadTopFile(sha, "settings", 1).status().code(), Code::kResourceExhausted);
  EXPECT_EQ(repository->ReadTopFile(std::string(40, '0'), "settings", 100).status().code(),
            Code::kNotFound);
}

TEST(GitRepositoryTest, FileThatBecomesAFolderIsADeletionAndAnAddition) {
  WorkTree work;
  work.Write("a", "1");
  work.Write("a.b", "1");
  const std::string first = work.Commit("first");
  work.Run("rm a");
  work.Write("a/x", "2");
  const std::string second = work.Commit("second");
  const auto changes = MustOpen(work.path())->Changes(first, second, {}).value();
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].path, "a");
  EXPECT_EQ(changes[0].kind, PathChange::Kind::kDeleted);
  EXPECT_EQ(changes[1].path, "a/x");
  EXPECT_EQ(changes[1].kind, PathChange::Kind::kAdded);
}

TEST(GitRepositoryTest, SaysWhatIsWrongWithAPath) {
  TemporaryFolder folder;
  EXPECT_THAT(OpenError(folder.path() + "/none", Code::kNotFound), HasSubstr("no such path"));
  EXPECT_THAT(OpenError(folder.path(), Code::kNotFound), HasSubstr("not a git repository"));
  EXPECT_THAT(OpenError("", Code::kNotFound), HasSubstr("empty"));
  std::ofstream(folder.path() + "/file") << "x";
  EXPECT_THAT(OpenError(folder.path() + "/file", Code::kNotFound), HasSubstr("not a folder"));
}

TEST(GitRepositoryTest, SaysThatARepositoryIsEmptyOrItsHeadUnborn) {
  WorkTree work;
  EXPECT_THAT(OpenError(work.path(), Code::kFailedPrecondition), HasSubstr("no commits yet"));
  work.Commit("one");
  work.Git("symbolic-ref HEAD refs/heads/elsewhere");
  EXPECT_THAT(OpenError(work.path(), Code::kFailedPrecondition),
              HasSubstr("git symbolic-ref HEAD refs/heads/main"));
}

TEST(GitRepositoryTest, SaysHowToConvertSha256) {
  TemporaryFolder folder;
  ASSERT_EQ(Shell(folder.path(),
                  "git init -q --object-format=sha256 x && cd x && "
                  "git commit -q --allow-empty -m x && cd .. && "
                  "git clone -q --bare x bare")
                .exit_code,
            0);
  for (const char* name : {"/x", "/bare"}) {
    const std::string error = OpenError(folder.path() + name, Code::kFailedPrecondition);
    EXPECT_THAT(error, HasSubstr("sha256"));
    EXPECT_THAT(error, HasSubstr("fast-export"));
  }
}

TEST(GitRepositoryTest, SaysThatAnotherUsersRepositoryCannotBeRead) {
  WorkTree work;
  work.Commit("one");
  ASSERT_EQ(chmod(work.path().c_str(), 0), 0);
  const uid_t before = geteuid();
  if (before == 0) {
    ASSERT_EQ(seteuid(65534), 0);
  }
  const std::string error = OpenError(work.path(), Code::kFailedPrecondition);
  if (before == 0) {
    ASSERT_EQ(seteuid(0), 0);
  }
  EXPECT_THAT(error, HasSubstr("cannot be read by this user"));
  ASSERT_EQ(chmod(work.path().c_str(), 0755), 0);
}

TEST(GitRepositoryTest, OpensAForeignOwnersRepository) {
  WorkTree work;
  const std::string sha = work.Commit("one");
  if (geteuid() == 0) work.Run("chown -R 12345:12345 .");
  EXPECT_EQ(MustOpen(work.path())->Head().value(), sha);
}

TEST(GitRepositoryTest, FollowsDetachedHeadsBareOnesAndLinkedWorkTrees) {
  WorkTree work;
  work.Write("a", "1");
  const std::string first = work.Commit("one");
  work.Write("a", "2");
  const std::string second = work.Commit("two");
  work.Git("worktree add -q ../linked " + second);
  work.Git("clone -q --bare . ../bare");
  work.Git("checkout -q --detach " + first);
  EXPECT_EQ(MustOpen(work.path())->Head().value(), first);
  EXPECT_EQ(MustOpen(work.folder() + "/linked")->Head().value(), second);
  EXPECT_EQ(MustOpen(work.folder() + "/bare")->Head().value(), second);
}

TEST(GitRepositoryTest, WalksAShallowCloneToItsEdge) {
  WorkTree work;
  for (int i = 0; i < 5; ++i) {
    work.Write("a", std::to_string(i));
    work.Commit("commit " + std::to_string(i));
  }
  work.Git("clone -q --bare --depth 3 file://" + work.path() + " ../shallow");
  auto repository = MustOpen(work.folder() + "/shallow");
  const auto commits = repository->Commits(repository->Head().value(), {}).value();
  ASSERT_EQ(commits.size(), 3u);
  ASSERT_EQ(commits[2].parents.size(), 1u);
  const auto changes = repository->Changes(commits[2].parents[0], commits[2].sha, {});
  EXPECT_EQ(changes.status().code(), Code::kNotFound);
  EXPECT_THAT(changes.status().message(), HasSubstr("--unshallow"));
}

TEST(GitRepositoryTest, MissingObjectSpoilsItsOwnCommitsOnly) {
  WorkTree work;
  work.Write("a", "first\n");
  const std::string first = work.Commit("one");
  work.Write("a", "second\n");
  const std::string second = work.Commit("two");
  work.Write("a", "third\n");
  const std::string third = work.Commit("three");
  const std::string blob = work.Git("rev-parse " + first + ":a");
  work.Run("rm -f .git/objects/" + blob.substr(0, 2) + "/" + blob.substr(2));
  auto repository = MustOpen(work.path());
  EXPECT_EQ(repository->Commits(third, {}).value().size(), 3u);
  EXPECT_EQ(repository->ReadTree(first, {}).status().code(), Code::kNotFound);
  EXPECT_THAT(repository->Changes(first, second, {}).status().message(), HasSubstr(blob));
  EXPECT_TRUE(repository->Changes(second, third, {}).ok());
  EXPECT_TRUE(repository->ReadTree(third, {}).ok());
}

TEST(GitRepositoryTest, PathsAreReadWithoutContentsAndAroundWhatIsMissing) {
  WorkTree work;
  work.Write("a.py", "1");
  work.Write("gone/b.py", "2");
  work.Write("kept/c.py", "3");
  const std::string sha = work.Commit("one");
  for (const char* object : {"HEAD:a.py", "HEAD:gone"}) {
    const std::string id = work.Git(std::string("rev-parse ") + object);
    work.Run("rm -f .git/objects/" + id.substr(0, 2) + "/" + id.substr(2));
  }
  EXPECT_THAT(MustOpen(work.path())->ReadPaths(sha, {}).value(), ElementsAre("a.py", "kept/c.py"));
}

TEST(GitRepositoryTest, NamesTheAlternateThatPointsNowhere) {
  WorkTree work;
  work.Write("a", "1");
  work.Commit("one");
  work.Git("clone -q --bare --shared . ../borrower");
  std::filesystem::rename(work.path(), work.folder() + "/moved");
  const std::string error = OpenError(work.folder() + "/borrower", Code::kFailedPrecondition);
  EXPECT_THAT(error, HasSubstr("alternates"));
  EXPECT_THAT(error, HasSubstr(work.path()));
}

TEST(GitRepositoryTest, DamagedObjectIsDataLoss) {
  WorkTree work;
  work.Write("a", "content\n");
  const std::string sha = work.Commit("one");
  const std::string blob = work.Git("rev-parse HEAD:a");
  const std::string other = work.Run("echo other | git hash-object -w --stdin");
  const std::string objects = ".git/objects/";
  work.Run("cp -f " + objects + other.substr(0, 2) + "/" + other.substr(2) + " " + objects +
           blob.substr(0, 2) + "/" + blob.substr(2));
  EXPECT_EQ(MustOpen(work.path())->ReadTree(sha, {}).status().code(), Code::kDataLoss);
}

TEST(GitRepositoryTest, LeavesSubmodulesOutAndLfsPointersAsTheyAre) {
  WorkTree work;
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 9\n";
  work.Write("big.bin", pointer);
  work.Write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
  const std::string first = work.Commit("one");
  work.Git("update-index --add --cacheinfo 160000," + first + ",vendored");
  work.Git("commit -q -m submodule");
  auto repository = MustOpen(work.path());
  const std::string second = repository->Head().value();
  const FileTree tree = repository->ReadTree(second, {}).value();
  EXPECT_EQ(tree.size(), 2u);
  EXPECT_EQ(*tree.Find("big.bin")->content, pointer);
  EXPECT_TRUE(repository->Changes(first, second, {}).value().empty());
}

TEST(GitRepositoryTest, KeepsNamesAndContentsThatAreNotUtf8) {
  WorkTree work;
  work.Git("config i18n.commitEncoding latin1");
  work.Write("caf\xe9 \"q\"\n.txt", "\xff\xfe\x00z");
  const std::string sha = work.Commit("latin \xe9");
  auto repository = MustOpen(work.path());
  EXPECT_TRUE(repository->ReadTree(sha, {}).value().Contains("caf\xe9 \"q\"\n.txt"));
  EXPECT_EQ(repository->ReadCommit(sha).value().message, "latin \xe9\n");
}

// A tree of 2^40 paths in 41 objects.
std::string MakeTreeBomb(WorkTree& work, bool with_file) {
  std::string id = with_file ? work.Run(
                                   "printf '100644 blob %s\\tf\\n' $(echo x | git hash-object -w "
                                   "--stdin) | git mktree")
                             : work.Run("git mktree < /dev/null");
  for (int level = 0; level < 40; ++level) {
    id = work.Run("printf '040000 tree " + id + "\\ta\\n040000 tree " + id +
                  "\\tb\\n' | git mktree");
  }
  const std::string commit = work.Git("commit-tree -m bomb " + id);
  work.Git("update-ref HEAD " + commit);
  return commit;
}

TEST(GitRepositoryTest, TreeBombEndsAtALimit) {
  for (const bool with_file : {true, false}) {
    WorkTree work;
    const std::string base = work.Commit("base");
    const std::string bomb = MakeTreeBomb(work, with_file);
    auto repository = MustOpen(work.path());
    const auto tree = repository->ReadTree(bomb, {});
    EXPECT_EQ(tree.status().code(), Code::kResourceExhausted);
    EXPECT_THAT(tree.status().message(), HasSubstr("limit: more than 100000 f"));
    EXPECT_EQ(repository->Changes(base, bomb, {}).status().code(), Code::kResourceExhausted);
    EXPECT_LE(repository->ReadPaths(bomb, {}).value().size(), 100'000U);
  }
}

TEST(GitRepositoryTest, LimitsDepthSizeAndNumber) {
  WorkTree work;
  const std::string base = work.Commit("base");
  work.Write("d/d/d/d/d/deep", "x");
  work.Write("large", std::string(100'000, 'x'));
  const std::string sha = work.Commit("more");
  auto repository = MustOpen(work.path());
  ReadLimits limits;
  limits.depth_max = 3;
  EXPECT_THAT(repository->ReadTree(sha, limits).status().message(), HasSubstr("deeper than 3"));
  limits = {};
  limits.tree_bytes_max = 50'000;
  EXPECT_THAT(repository->ReadTree(sha, limits).status().message(), HasSubstr("50000 bytes"));
  limits = {};
  limits.change_bytes_max = 50'000;
  EXPECT_THAT(repository->Changes(base, sha, limits).status().message(), HasSubstr("50000 bytes"));
  limits = {};
  limits.changes_max = 1;
  EXPECT_THAT(repository->Changes(base, sha, limits).status().message(),
              HasSubstr("more than 1 changed"));
}

TEST(GitRepositoryTest, RefusesNamesThatGitForbids) {
  for (const char* name : {".git", ".GIT", "..", ".", "git~1", ".git ", ".g\xE2\x80\x8Cit"}) {
    WorkTree work;
    // A tree object written raw, as git itself would not.
    const std::string blob = work.Run("echo x | git hash-object -w --stdin");
    std::string raw = "100644 " + std::string(name) + '\0';
    for (size_t i = 0; i < 40; i += 2) {
      raw += static_cast<char>(std::stoi(blob.substr(i, 2), nullptr, 16));
    }
    std::ofstream(work.folder() + "/raw", std::ios::binary) << raw;
    const std::string tree = work.Git("hash-object -w --literally -t tree ../raw");
    const std::string commit = work.Git("commit-tree -m x " + tree);
    work.Git("update-ref HEAD " + commit);
    const auto files = MustOpen(work.path())->ReadTree(commit, {});
    ASSERT_FALSE(files.ok()) << name;
    EXPECT_EQ(files.status().code(), Code::kDataLoss);
    EXPECT_THAT(files.status().message(), HasSubstr("which git forbids"));
  }
}

TEST(GitRepositoryTest, OriginIsNamedWithoutCredentials) {
  WorkTree work;
  work.Commit("one");
  EXPECT_EQ(MustOpen(work.path())->OriginUrl(), "");
  work.Git("remote add origin https://me:secret@example.org/a/b.git?token=x");
  EXPECT_EQ(MustOpen(work.path())->OriginUrl(), "https://example.org/a/b.git");
}

TEST(PublicUrlTest, DropsEverythingThatIsNotThePlace) {
  EXPECT_EQ(PublicUrl("https://github.com/a/b.git"), "https://github.com/a/b.git");
  EXPECT_EQ(PublicUrl("HTTPS://u:p@w@host:8443/a#f"), "https://host:8443/a");
  EXPECT_EQ(PublicUrl("git@github.com:a/b.git"), "ssh://github.com/a/b.git");
  EXPECT_EQ(PublicUrl("ssh://git@host/a"), "ssh://host/a");
  for (const char* local :
       {"/srv/a", "../a", "file:///srv/a", "C", "ext::sh -c x", "", "https://"}) {
    EXPECT_EQ(PublicUrl(local), "") << local;
  }
}

}  // namespace
}  // namespace taskmint::environments
