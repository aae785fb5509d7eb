// Real git repositories for tests, made by the git program in a folder of their own.
#ifndef TASKMINT_TESTS_ENVIRONMENTS_GIT_FIXTURE_H_
#define TASKMINT_TESTS_ENVIRONMENTS_GIT_FIXTURE_H_

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace taskmint::environments {

// A temporary folder, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "taskmint-test-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Output and exit code of a shell command, with git kept apart from the user's configuration.
struct ShellResult {
  int exit_code = -1;
  std::string output;
};

inline ShellResult Shell(const std::string& folder, const std::string& command) {
  const std::string line =
      "cd '" + folder +
      "' && export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null HOME=/nonexistent LC_ALL=C "
      "GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=C "
      "GIT_COMMITTER_EMAIL=c@example.org; unset GIT_DIR GIT_WORK_TREE; { " +
      command + "\n} 2>&1";
  ShellResult result;
  FILE* pipe = popen(line.c_str(), "r");
  if (pipe == nullptr) return result;
  char buffer[4096];
  for (size_t got; (got = fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
    result.output.append(buffer, got);
  }
  const int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

// A work tree on branch main.
class WorkTree {
 public:
  WorkTree() : path_(folder_.path() + "/repository") {
    std::filesystem::create_directory(path_);
    Git("init -q -b main .");
  }
  const std::string& path() const { return path_; }
  // A folder beside the work tree for further repositories.
  const std::string& folder() const { return folder_.path(); }

  // Runs git and returns its output without the last newline.
  std::string Git(const std::string& arguments) { return Run("git " + arguments); }
  std::string Run(const std::string& command) {
    ShellResult result = Shell(path_, command);
    EXPECT_EQ(result.exit_code, 0) << command << "\n" << result.output;
    while (!result.output.empty() && result.output.back() == '\n') result.output.pop_back();
    return result.output;
  }
  void Write(const std::string& name, const std::string& content) {
    const std::filesystem::path file = path_ + "/" + name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
  }
  // Commits everything, at `time_s` plus a second for each commit so far; returns the SHA.
  std::string Commit(const std::string& message, int64_t time_s = 1'600'000'000) {
    const std::string when = std::to_string(time_s + commits_++) + " +0000";
    std::ofstream(folder_.path() + "/message", std::ios::binary) << message;
    Run("git add -A && GIT_AUTHOR_DATE='" + when + "' GIT_COMMITTER_DATE='" + when +
        "' git commit -q --allow-empty --allow-empty-message -F ../message");
    return Git("rev-parse HEAD");
  }

 private:
  TemporaryFolder folder_;
  std::string path_;
  int64_t commits_ = 0;
};

}  // namespace taskmint::environments

#endif  // TASKMINT_TESTS_ENVIRONMENTS_GIT_FIXTURE_H_
