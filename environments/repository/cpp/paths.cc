#include "environments/repository/cpp/paths.h"

#include <algorithm>
#include <set>

#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

std::string_view LastPart(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::vector<std::string> LowerParts(std::string_view path) {
  std::vector<std::string> parts;
  const std::string lower = LowerCase(std::string(path));
  for (size_t begin = 0; begin <= lower.size();) {
    const size_t end = std::min(lower.find('/', begin), lower.size());
    parts.push_back(lower.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

template <typename List>
bool Has(const List& list, std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

std::string_view ExtensionOf(std::string_view name) {
  const size_t dot = name.rfind('.');
  return dot == std::string_view::npos || dot == 0 ? std::string_view() : name.substr(dot + 1);
}

constexpr std::string_view kUnits[] = {"c", "cc", "cpp", "cxx", "c++", "C"};
constexpr std::string_view kHeaders[] = {"h",   "hh",  "hpp", "hxx", "h++", "ipp", "inl",
                                         "tcc", "tpp", "txx", "ixx", "def", "inc"};
constexpr std::string_view kTestFolders[] = {"test",      "tests",      "testing", "unittest",
                                             "unittests", "unit_tests", "unit",    "gtest-tests"};
constexpr std::string_view kAside[] = {"doc",     "docs",  "example",   "examples",   "bench",
                                       "fuzz",    "demo",  "benchmark", "benchmarks", "demos",
                                       "fuzzing", "tools", "scripts",   "fuzzers",    "book",
                                       "util",    "utils", "samples",   ".github"};
// Folders of test frameworks that repositories bundle; "googletest-1.16.0" begins like one.
constexpr std::string_view kFrameworkFolders[] = {
    "gtest",    "googletest", "gmock",      "googlemock", "catch2",
    "doctest",  "unity",      "thirdparty", "catch",      "third_party",
    "3rdparty", "vendor",     "extern",     "external",   "third-party"};

bool IsFrameworkFolder(std::string_view part) {
  return std::any_of(std::begin(kFrameworkFolders), std::end(kFrameworkFolders),
                     [&](std::string_view name) {
                       if (!part.starts_with(name)) return false;
                       const std::string_view rest = part.substr(name.size());
                       return rest.empty() || rest[0] == '-' || rest[0] == '_';
                     });
}

bool IsSteeringFile(std::string_view path) {
  const std::string name = LowerCase(std::string(LastPart(path)));
  static const auto* kNames = new std::set<std::string, std::less<>>{"cmakelists.txt",
                                                                     "cmakepresets.json",
                                                                     "cmakeuserpresets.json",
                                                                     "ctestconfig.cmake",
                                                                     "ctestcustom.cmake",
                                                                     "dartconfiguration.tcl",
                                                                     "makefile",
                                                                     "gnumakefile",
                                                                     "makefile.am",
                                                                     "makefile.in",
                                                                     "configure",
                                                                     "configure.ac",
                                                                     "configure.in",
                                                                     "conanfile.py",
                                                                     "conanfile.txt",
                                                                     "vcpkg.json",
                                                                     "meson.build",
                                                                     "meson_options.txt",
                                                                     "meson.options",
                                                                     "vcpkg-configuration.json",
                                                                     "cmakecache.txt",
                                                                     "build.ninja",
                                                                     "ctesttestfile.cmake",
                                                                     "ccache.conf",
                                                                     "cmake_install.cmake",
                                                                     "compile_commands.json"};
  return kNames->contains(name) || name.ends_with(".cmake") || name.ends_with(".cmake.in") ||
         name.ends_with(".mk") || name.ends_with(".gch") || name.ends_with(".pch") ||
         name.ends_with(".ctest");
}

// "FooTest.cpp", "foo_test.cc", "test_foo.c", "unit-foo.cpp", "test.c".
bool IsNamedLikeATest(std::string_view path) {
  const std::string_view name = LastPart(path);
  const std::string stem(name.substr(0, name.rfind('.')));
  const std::string lower = LowerCase(stem);
  if (lower == "test" || lower == "tests" || lower == "unittest") return true;
  for (const std::string_view end : {"_test", "_tests", "-test", "-tests", ".test", "_unittest"}) {
    if (lower.ends_with(end)) return true;
  }
  for (const std::string_view begin : {"test_", "test-", "unit-", "tests_"}) {
    if (lower.starts_with(begin)) return true;
  }
  return stem.ends_with("Test") || stem.ends_with("Tests");
}

bool IsBelowTests(std::string_view path) {
  const std::vector<std::string> parts = LowerParts(path);
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    if (Has(kTestFolders, parts[i])) return true;
  }
  return false;
}

// Headers that test programs include before or with those of the repository: of the frameworks, and
// of C's and C++'s library by their names without an extension or with ".h".
bool IsHeaderOfOthers(std::string_view path) {
  const std::vector<std::string> parts = LowerParts(path);
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    if (Has(std::initializer_list<std::string_view>{"gtest", "gmock", "catch2", "doctest"},
            parts[i])) {
      return true;
    }
  }
  static const auto* kNames = new std::set<std::string, std::less<>>{
      "catch.hpp", "catch_all.hpp", "doctest.h", "gtest.h",  "gmock.h",  "unity.h",  "assert.h",
      "ctype.h",   "errno.h",       "float.h",   "limits.h", "locale.h", "math.h",   "setjmp.h",
      "signal.h",  "stdarg.h",      "stddef.h",  "stdint.h", "stdio.h",  "stdlib.h", "string.h",
      "time.h",    "inttypes.h",    "stdbool.h", "wchar.h",  "unistd.h"};
  if (kNames->contains(parts.back())) return true;
  static const auto* kStandard = new std::set<std::string, std::less<>>{"algorithm",
                                                                        "any",
                                                                        "array",
                                                                        "atomic",
                                                                        "bitset",
                                                                        "cassert",
                                                                        "cctype",
                                                                        "cerrno",
                                                                        "cfloat",
                                                                        "charconv",
                                                                        "chrono",
                                                                        "cinttypes",
                                                                        "climits",
                                                                        "clocale",
                                                                        "cmath",
                                                                        "complex",
                                                                        "concepts",
                                                                        "condition_variable",
                                                                        "csetjmp",
                                                                        "csignal",
                                                                        "cstdarg",
                                                                        "cstddef",
                                                                        "cstdint",
                                                                        "cstdio",
                                                                        "cstdlib",
                                                                        "cstring",
                                                                        "ctime",
                                                                        "deque",
                                                                        "exception",
                                                                        "filesystem",
                                                                        "forward_list",
                                                                        "fstream",
                                                                        "functional",
                                                                        "future",
                                                                        "initializer_list",
                                                                        "iomanip",
                                                                        "ios",
                                                                        "iosfwd",
                                                                        "iostream",
                                                                        "istream",
                                                                        "iterator",
                                                                        "limits",
                                                                        "list",
                                                                        "locale",
                                                                        "map",
                                                                        "memory",
                                                                        "mutex",
                                                                        "new",
                                                                        "numeric",
                                                                        "optional",
                                                                        "ostream",
                                                                        "queue",
                                                                        "random",
                                                                        "ratio",
                                                                        "regex",
                                                                        "set",
                                                                        "span",
                                                                        "sstream",
                                                                        "stack",
                                                                        "stdexcept",
                                                                        "streambuf",
                                                                        "string",
                                                                        "string_view",
                                                                        "system_error",
                                                                        "thread",
                                                                        "tuple",
                                                                        "type_traits",
                                                                        "typeindex",
                                                                        "typeinfo",
                                                                        "unordered_map",
                                                                        "unordered_set",
                                                                        "utility",
                                                                        "valarray",
                                                                        "variant",
                                                                        "vector",
                                                                        "version"};
  return kStandard->contains(parts.back());
}

}  // namespace

bool IsTranslationUnit(std::string_view path) { return Has(kUnits, ExtensionOf(LastPart(path))); }

bool IsCppCode(std::string_view path) {
  if (path.ends_with(".in")) path.remove_suffix(3);
  return IsTranslationUnit(path) || Has(kHeaders, ExtensionOf(LastPart(path)));
}

bool IsCppRepository(const std::vector<std::string>& paths) {
  bool built = false;
  size_t cpp = 0;
  size_t python = 0;
  for (const std::string& path : paths) {
    if (path == "pyproject.toml" || path == "setup.py" || path == "setup.cfg") return false;
    built |= path == "CMakeLists.txt" || path == "Makefile" || path == "GNUmakefile";
    cpp += IsCppCode(path) ? 1 : 0;
    python += path.ends_with(".py") ? 1 : 0;
  }
  return built && cpp > python;
}

PathRole CppRoleOf(std::string_view path) {
  if (IsSteeringFile(path)) return PathRole::kSteering;
  if (IsBelowTests(path)) return PathRole::kTest;
  const std::vector<std::string> parts = LowerParts(path);
  const bool aside = parts.size() > 1 && Has(kAside, parts.front());
  if (!IsCppCode(path) || aside) return PathRole::kOther;
  const bool test = IsTranslationUnit(path) && IsNamedLikeATest(path);
  return test ? PathRole::kTest : PathRole::kSource;
}

bool IsCppTestFile(std::string_view path) {
  if (!IsTranslationUnit(path) || CppRoleOf(path) != PathRole::kTest) return false;
  const std::vector<std::string> parts = LowerParts(path);
  return std::none_of(parts.begin(), parts.end() - 1,
                      [](const std::string& part) { return IsFrameworkFolder(part); });
}

std::vector<std::string> CppForeignSteering(const FileTree& solution, const FileTree& reference) {
  std::vector<std::string> foreign;
  for (const auto& [path, entry] : solution.files()) {
    if (reference.Contains(path)) continue;
    if (IsSteeringFile(path) || IsHeaderOfOthers(path)) foreign.push_back(path);
  }
  return foreign;
}

std::vector<std::string> InstalledReleases(const FileTree& tree) {
  // Of the C library and the kernel: needed by everything.
  static const auto* kKept = new std::set<std::string, std::less<>>{"arpa",
                                                                    "asm",
                                                                    "asm-generic",
                                                                    "bits",
                                                                    "c++",
                                                                    "gnu",
                                                                    "linux",
                                                                    "net",
                                                                    "netinet",
                                                                    "rpc",
                                                                    "sys",
                                                                    "x86_64-linux-gnu",
                                                                    "aarch64-linux-gnu",
                                                                    "src",
                                                                    "include",
                                                                    "test",
                                                                    "tests"};
  std::set<std::string> names;
  for (const auto& [path, entry] : tree.files()) {
    if (!Has(kHeaders, ExtensionOf(LastPart(path))) || CppRoleOf(path) != PathRole::kSource) {
      continue;
    }
    std::string_view rest = path;
    for (const std::string_view root : {"include/", "single_include/", "single-include/", "src/"}) {
      const size_t at = rest.find(root);
      if (at != std::string_view::npos && (at == 0 || rest[at - 1] == '/')) {
        rest.remove_prefix(at + root.size());
        break;
      }
    }
    const std::string name(rest.substr(0, rest.find('/')));
    const bool standard = IsHeaderOfOthers(name) || kKept->contains(name);
    if (!standard && names.size() < 64) names.insert(name);
  }
  std::set<std::string> masks;
  for (const std::string& name : names) {
    masks.insert("/usr/include/" + name);
    const std::string folder = name.substr(0, name.rfind('.'));
    for (const std::string& one : {folder, LowerCase(folder)}) {
      if (!kKept->contains(one)) masks.insert("/usr/include/" + one);
    }
  }
  return {masks.begin(), masks.end()};
}

}  // namespace taskmint::environments
