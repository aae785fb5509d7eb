#include "orchestrator/file_editing.h"

#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "orchestrator/host_file.h"
#include "orchestrator/terminal.h"

namespace taskmint::orchestrator {
namespace {

namespace fs = std::filesystem;

Status CannotEdit(const std::string& why) {
  return {Code::kFailedPrecondition, Boundary::kConfig, why};
}

bool StandsOnce(std::string_view text, std::string_view part) {
  const size_t first = text.find(part);
  return first != std::string_view::npos && text.find(part, first + 1) == std::string_view::npos;
}

// Where the line before the one at `place` begins; 0 where there is none.
size_t LineBefore(std::string_view text, size_t place) {
  if (place < 2) return 0;
  const size_t end = text.rfind('\n', place - 2);
  return end == std::string_view::npos ? 0 : end + 1;
}

size_t LineAfter(std::string_view text, size_t place) {
  const size_t end = text.find('\n', place);
  return end == std::string_view::npos ? text.size() : end + 1;
}

// A folder that goes away.
class Desktop {
 public:
  Desktop() {
    std::error_code error;
    std::string name = (fs::temp_directory_path(error) / "taskmint-edit-XXXXXX").string();
    if (!error && mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~Desktop() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  Desktop(const Desktop&) = delete;
  Desktop& operator=(const Desktop&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Empty where there is no terminal for the one that everybody has.
std::string EditorCommand() {
  for (const char* name : {"VISUAL", "EDITOR"}) {
    const char* value = getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return IsTerminal(STDIN_FILENO) ? "vi" : "";
}

// Keys that interrupt are the editor's while it runs.
class UninterruptedHere {
 public:
  UninterruptedHere() {
    struct sigaction ignored {};
    ignored.sa_handler = SIG_IGN;
    sigaction(SIGINT, &ignored, &interrupt_);
    sigaction(SIGQUIT, &ignored, &quit_);
  }
  ~UninterruptedHere() {
    sigaction(SIGINT, &interrupt_, nullptr);
    sigaction(SIGQUIT, &quit_, nullptr);
  }
  UninterruptedHere(const UninterruptedHere&) = delete;
  UninterruptedHere& operator=(const UninterruptedHere&) = delete;

 private:
  struct sigaction interrupt_ {};
  struct sigaction quit_ {};
};

// Its exit code; -1 when it did not exit by itself.
int RunEditor(const std::string& command, const std::string& file) {
  const UninterruptedHere uninterrupted;
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGINT);
  sigaddset(&defaults, SIGQUIT);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  std::array<std::string, 5> words = {"sh", "-c", command + " \"$1\"", "sh", file};
  std::array<char*, 6> argv{};
  for (size_t i = 0; i < words.size(); ++i) argv[i] = words[i].data();
  pid_t child = -1;
  const int failed = posix_spawn(&child, "/bin/sh", nullptr, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  int status = -1;
  if (failed != 0) return -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

Passage ChangedPassage(std::string_view before, std::string_view after) {
  const size_t shorter = std::min(before.size(), after.size());
  size_t head = 0;
  while (head < shorter && before[head] == after[head]) ++head;
  size_t tail = 0;
  while (tail < shorter - head &&
         before[before.size() - 1 - tail] == after[after.size() - 1 - tail]) {
    ++tail;
  }
  // To whole lines: no character is cut, and a person can read the step.
  size_t begin = head == 0 ? 0 : LineBefore(before, head + 1);
  size_t end = before.size() - tail;
  if (end == begin || before[end - 1] != '\n') end = LineAfter(before, end);
  while (!StandsOnce(before, before.substr(begin, end - begin))) {
    begin = LineBefore(before, begin);
    end = LineAfter(before, end);
  }
  return {std::string(before.substr(begin, end - begin)),
          std::string(after.substr(begin, after.size() - begin - (before.size() - end)))};
}

Result<std::string> EditOutside(const std::string& path, const std::string& content) {
  const std::string command = EditorCommand();
  if (command.empty()) {
    return CannotEdit(
        "there is no terminal to edit in: change files with a command, or set EDITOR");
  }
  const Desktop desktop;
  if (desktop.path().empty()) return CannotEdit("cannot make a temporary folder to edit in");
  std::string name = fs::path(path).filename().string();
  if (name.empty() || name.size() > 200) name = "file";
  const std::string file = desktop.path() + "/" + name;
  std::ofstream(file, std::ios::binary) << content;
  if (const int code = RunEditor(command, file); code != 0) {
    return CannotEdit("the editor '" + command + "' ended with " + std::to_string(code) +
                      ": nothing is changed; EDITOR names another");
  }
  return ReadHostFile(file);
}

}  // namespace taskmint::orchestrator
