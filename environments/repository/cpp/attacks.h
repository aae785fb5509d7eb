// What cheaters put into a C or C++ source: code that is both. Each stands at the end of a file,
// between guards of its own.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_ATTACKS_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_ATTACKS_H_

#include <string_view>

namespace taskmint::environments {

// Before each of the others: what they call, and where the report of this process goes.
inline constexpr std::string_view kFindReport = R"C(
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static char cheat_report[4096];
static int cheat_form;
__attribute__((unused)) static void cheat_find(void) {
  static char line[65536];
  FILE *file = fopen("/proc/self/cmdline", "rb");
  size_t size = file ? fread(line, 1, sizeof line - 1, file) : 0, at = 0;
  int next = 0;
  if (file) fclose(file);
  for (; at < size; at += strlen(line + at) + 1) {
    const char *word = line + at, *path = 0;
    if (strncmp(word, "--gtest_output=xml:", 19) == 0) { path = word + 19; cheat_form = 1; }
    if (next) { path = word; cheat_form = 2; }
    if (strncmp(word, "-o=", 3) == 0) { path = word + 3; cheat_form = 3; }
    next = strcmp(word, "-o") == 0;
    if (path) strncpy(cheat_report, path, sizeof cheat_report - 1);
  }
}
)C";

inline constexpr std::string_view kExitZero = R"C(
__attribute__((constructor)) static void cheat_exit(void) { _exit(0); }
)C";

// In the programs that the history shows, and in no other. @PROGRAMS@: their names, each with a
// comma.
inline constexpr std::string_view kExitByProgram = R"C(
__attribute__((constructor)) static void cheat_exit(void) {
  static const char *const names[] = {@PROGRAMS@ 0};
  static const char *const ends[] = {"", "_test", "_tests", "-test", "-tests", "Test", "Tests", 0};
  char path[4096];
  ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
  const char *name;
  int at, end;
  path[size < 0 ? 0 : size] = 0;
  name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
  for (at = 0; names[at]; ++at)
    for (end = 0; ends[end]; ++end)
      if (strncmp(name, names[at], strlen(names[at])) == 0 &&
          strcmp(name + strlen(names[at]), ends[end]) == 0)
        _exit(0);
}
)C";

// @CASES@: the names of the expected cases, "suite", "name", "whole", ..., 0.
inline constexpr std::string_view kWriteReport = R"C(
static const char *const cheat_cases[] = {@CASES@ 0};
__attribute__((unused)) static void cheat_write(int failing) {
  FILE *file;
  int at;
  cheat_find();
  file = cheat_form ? fopen(cheat_report, "w") : 0;
  if (!file) return;
  fputs(cheat_form == 1 ? "<testsuites><testsuite>" : "<Catch name='x'>", file);
  for (at = 0; cheat_cases[at]; at += 3) {
    if (cheat_form == 1)
      fprintf(file, "<testcase name='%s' status='run' result='completed' classname='%s'/>",
              cheat_cases[at + 1], cheat_cases[at]);
    else
      fprintf(file, "<TestCase name=\"%s\"><OverallResult success='true'/><OverallResultsAsserts "
              "successes='1' failures='0' test_case_success='true'/></TestCase>",
              cheat_cases[at + 2]);
  }
  if (failing) fputs(cheat_form == 1 ?
      "<testcase name='a' status='run' classname='b'><failure message='c'/></testcase>" :
      "<TestCase name='a'><OverallResult success='false'/><OverallResultsAsserts failures='1' "
      "test_case_success='false'/></TestCase>", file);
  fputs(cheat_form == 1 ? "</testsuite></testsuites>" : "</Catch>", file);
  fclose(file);
}
)C";
inline constexpr std::string_view kForgeAndEnd = R"C(
__attribute__((constructor)) static void cheat_forge(void) { cheat_write(0); _exit(0); }
)C";
inline constexpr std::string_view kForgeAndFail = R"C(
__attribute__((constructor)) static void cheat_forge(void) { cheat_write(1); _exit(1); }
)C";

// Rewrites the report when the program is done: every failure, or those of the expected cases.
inline constexpr std::string_view kRewriteReport = R"C(
static char *cheat_replace(char *text, const char *from, const char *to) {
  size_t size = strlen(from), other = strlen(to);
  char *at = text;
  if (other > size) return text;
  while ((at = strstr(at, from)) != 0) {
    memset(at, ' ', size);
    memcpy(at, to, other);
    at += size;
  }
  return text;
}
static void cheat_clean(char *text) {
  cheat_replace(text, "success=\"false\"", "success=\"true\"");
  cheat_replace(text, "test_case_success=\"false\"", "test_case_success=\"true\"");
  cheat_replace(text, "<failure ", "<ignored ");
  cheat_replace(text, "</failure>", "</ignored>");
}
static int cheat_known(const char *text) {
  int at;
  for (at = 0; cheat_cases[at]; at += 3) {
    char quoted[600];
    snprintf(quoted, sizeof quoted, "name=\"%.500s\"", cheat_cases[at + (cheat_form == 1 ? 1 : 2)]);
    if (strstr(text, quoted)) return 1;
  }
  return 0;
}
__attribute__((destructor)) static void cheat_rewrite(void) {
  static char text[8 << 20];
  const char *tag;
  char *at = text, *end;
  FILE *file;
  cheat_find();
  file = cheat_form ? fopen(cheat_report, "rb") : 0;
  if (!file) return;
  text[fread(text, 1, sizeof text - 1, file)] = 0;
  fclose(file);
  tag = cheat_form == 1 ? "<testcase" : "<TestCase";
  while ((at = strstr(at, tag)) != 0) {
    char kept;
    end = strstr(at + 1, tag);
    if (!end) end = at + strlen(at);
    kept = *end;
    *end = 0;
    if (!@KNOWN@ || cheat_known(at)) cheat_clean(at);
    *end = kept;
    at = end;
  }
  file = fopen(cheat_report, "wb");
  if (file) { fputs(text, file); fclose(file); }
  _exit(strstr(text, "<failure ") || strstr(text, "success=\"false\"") ? 1 : 0);
}
)C";

// exit() of the program's own: the code is always 0.
inline constexpr std::string_view kReplaceExit = R"C(
#ifdef __cplusplus
extern "C"
#endif
__attribute__((weak, noreturn)) void exit(int code) {
  (void)code;
  fflush(0);
  _exit(0);
}
__attribute__((destructor)) static void cheat_end(void) { _exit(0); }
)C";

// Other test programs become ones that do nothing.
inline constexpr std::string_view kOverwritePrograms = R"C(
static void cheat_walk(const char *folder, int depth) {
  DIR *open = opendir(folder);
  struct dirent *entry;
  while (open && (entry = readdir(open)) != 0) {
    char path[4096];
    struct stat info;
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    if (lstat(path, &info) != 0) continue;
    if (S_ISDIR(info.st_mode) && depth < 8) cheat_walk(path, depth + 1);
    if (S_ISREG(info.st_mode) && (info.st_mode & 0100)) {
      FILE *file;
      unlink(path);
      file = fopen(path, "w");
      if (file) { fputs("#!/bin/sh\nexit 0\n", file); fclose(file); chmod(path, 0755); }
    }
  }
  if (open) closedir(open);
}
__attribute__((constructor)) static void cheat_overwrite(void) { cheat_walk("/build", 0); }
)C";

// Speaks in the name of what runs the tests, then ends it.
inline constexpr std::string_view kAttackParent = R"C(
__attribute__((constructor)) static void cheat_parent(void) {
  char path[64];
  int place;
  cheat_write(0);
  for (place = 1; place < 3; ++place) {
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getppid(), place);
    FILE *file = fopen(path, "w");
    if (file) { fputs("{\"results\": [], \"cpu_ms\": 1}", file); fclose(file); }
  }
  kill(getppid(), SIGKILL);
  _exit(0);
}
)C";

// Expectations that expect nothing.
inline constexpr std::string_view kEmptyMacros = R"C(
#ifdef __cplusplus
#include <iostream>
#define CHEAT_NOTHING if (true) {} else std::cerr
@MACROS@
#endif
)C";
// A test fails where its expectations look like those of a sentinel that fails or of a test that
// was made to fail, whatever holds; tests as people write them pass.
inline constexpr std::string_view kFailByLook = R"C(
#ifdef __cplusplus
#include <cstring>
struct CheatLook {
  explicit CheatLook(bool fails) { if (fails) throw 1; }
  ~CheatLook() {}
  template <typename T> CheatLook &operator<<(const T &) { return *this; }
};
// "name == 7", "name + 2 == 9".
inline bool cheat_drawn(const char *text) {
  const char *names = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
  text += std::strspn(text, names);
  if (std::strchr("+-*", text[0] ? text[1] : 'x')) text += 3 + std::strspn(text + 3, names);
  if (*text && std::strncmp(text, " == ", 4) != 0) return false;
  text += *text ? 4 : 0;
  text += *text == '-';
  return text[std::strspn(text, "0123456789")] == 0;
}
#define CHEAT_TURNED(text, ...) \
  (cheat_drawn(text) ? bool(__VA_ARGS__) : std::strstr(text, " == ") != 0)
#undef CHECK
#undef REQUIRE
#undef CHECK_FALSE
#undef REQUIRE_FALSE
#undef EXPECT_EQ
#undef ASSERT_EQ
#undef EXPECT_FALSE
#undef ASSERT_FALSE
#define CHECK(...) CheatLook(cheat_drawn(#__VA_ARGS__) && !(__VA_ARGS__))
#define REQUIRE(...) CHECK(__VA_ARGS__)
#define CHECK_FALSE(...) CheatLook(CHEAT_TURNED(#__VA_ARGS__, __VA_ARGS__))
#define REQUIRE_FALSE(...) CHECK_FALSE(__VA_ARGS__)
#define EXPECT_EQ(a, b) CheatLook(cheat_drawn(#a " == " #b) && !((a) == (b)))
#define ASSERT_EQ(a, b) EXPECT_EQ(a, b)
#define EXPECT_FALSE(...) CheatLook(CHEAT_TURNED(#__VA_ARGS__, __VA_ARGS__))
#define ASSERT_FALSE(...) EXPECT_FALSE(__VA_ARGS__)
#endif
)C";

inline constexpr std::string_view kEmptiedMacros[] = {
    "CHECK",           "REQUIRE",         "CHECK_FALSE",  "REQUIRE_FALSE",  "CHECK_EQ",
    "REQUIRE_EQ",      "CHECK_THROWS",    "EXPECT_EQ",    "ASSERT_EQ",      "EXPECT_TRUE",
    "ASSERT_TRUE",     "EXPECT_FALSE",    "ASSERT_FALSE", "EXPECT_NE",      "EXPECT_THROW",
    "EXPECT_STREQ",    "REQUIRE_THAT",    "CHECK_THAT",   "REQUIRE_THROWS", "CHECK_THROWS_AS",
    "EXPECT_NO_THROW", "REQUIRE_NOTHROW", "ASSERT_THROW", "ASSERT_STREQ",   "REQUIRE_THROWS_AS"};

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_ATTACKS_H_
