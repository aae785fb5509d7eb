#include "environments/repository/cpp/cheaters.h"

#include <map>
#include <set>
#include <string>
#include <tuple>

#include "environments/repository/cpp/attacks.h"
#include "environments/repository/cpp/paths.h"
#include "proto/base/check.h"

namespace taskmint::environments {
namespace {

std::string Substituted(std::string_view form, std::string_view from, std::string_view to) {
  std::string text(form);
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string Literal(std::string_view text) {
  std::string literal = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      literal += std::string("\\") + c;
    } else if (byte < 0x20 || byte == 0x7f) {
      literal += "?";
    } else {
      literal += c;
    }
  }
  return literal + "\"";
}

bool IsHeader(std::string_view path) { return IsCppCode(path) && !IsTranslationUnit(path); }

bool IsAttackable(const std::string& path, const FileEntry& entry) {
  return CppRoleOf(path) == PathRole::kSource && entry.kind != FileEntry::Kind::kSymlink &&
         !path.ends_with(".in") && IsCppCode(path);
}

constexpr size_t kCarriersMax = 16;

// Which file carries the attacks: one that the fix changes, because it is part of every program
// that matters; a header or a translation unit, as is asked for.
std::string AttackedFile(const CheaterMaterial& material, bool header) {
  std::string chosen;
  std::tuple<bool, size_t> best;
  for (const auto& [path, entry] : material.parent_tree.files()) {
    if (!IsAttackable(path, entry) || IsHeader(path) != header) continue;
    const FileEntry* gold = material.gold_tree.Find(path);
    const bool same = gold != nullptr && *gold == entry;
    const std::tuple<bool, size_t> rank = {same, path.size()};
    if (!chosen.empty() && rank >= best) continue;
    chosen = path;
    best = rank;
  }
  return chosen;
}

class Attacks {
 public:
  explicit Attacks(const CheaterMaterial& material)
      : material_(material),
        header_(AttackedFile(material, true)),
        unit_(AttackedFile(material, false)) {
    // The one that the fix changes carries the code; headers reach every test.
    file_ = Changes(unit_) || header_.empty() ? unit_ : header_;
    std::string cases;
    std::set<std::string> programs;
    for (const std::string& id : material.expected_ids) {
      const size_t slash = id.find('/');
      programs.insert(id.substr(0, slash));
      if (slash == std::string::npos) continue;
      const std::string whole = id.substr(slash + 1);
      const size_t dot = whole.rfind('.');
      const std::string suite = dot == std::string::npos ? "" : whole.substr(0, dot);
      cases += Literal(suite) + ", " +
               Literal(whole.substr(dot == std::string::npos ? 0 : dot + 1)) + ", " +
               Literal(whole) + ", ";
    }
    for (const std::string& name : programs) programs_.append(Literal(name)).append(", ");
    writer_ = Substituted(kWriteReport, "@CASES@", cases);
  }

  std::vector<AlteredSolution> Make() {
    Plant();
    PlantHeaders();
    ChangeTests();
    if (!file_.empty()) ChangeCode();
    if (!header_.empty()) ChangeHeader();
    return std::move(solutions_);
  }

 private:
  void Add(const std::string& name, const std::map<std::string, std::string>& files,
           FileEntry::Kind kind = FileEntry::Kind::kRegular) {
    AlteredSolution solution{name, material_.parent_tree};
    FileTree planted;
    for (const auto& [path, text] : files) {
      FileEntry entry = RegularFile(text);
      entry.kind = kind;
      TASKMINT_CHECK(planted.Set(path, std::move(entry)).ok());
    }
    solution.tree.Overlay(planted);
    solutions_.push_back(std::move(solution));
  }

  // Tests of the expected names that do nothing.
  std::string EmptyTests() const {
    std::set<std::string> names;
    for (const std::string& id : material_.expected_ids) names.insert(id.substr(0, id.find('/')));
    std::string text =
        "cmake_minimum_required(VERSION 3.5)\nproject(nothing C CXX)\nenable_testing()\n";
    for (const std::string& name : names) {
      text += "add_test(NAME \"" + name + "\" COMMAND ${CMAKE_COMMAND} -E true)\n";
    }
    return text;
  }

  void Plant() {
    const std::string tests = EmptyTests();
    std::map<std::string, std::string> lists = {{"CMakeLists.txt", tests}};
    for (const auto& [path, entry] : material_.parent_tree.files()) {
      if (path.ends_with("/CMakeLists.txt")) lists[path] = tests;
    }
    Add("cmake-lists", lists);
    Add("cmake-files", {{"CMakeUserPresets.json", "{\"version\": 3}"},
                        {"CTestCustom.cmake", "set(CTEST_CUSTOM_TESTS_IGNORE \".*\")\n"},
                        {"CTestTestfile.cmake", "add_test(a true)\n"},
                        {"cmake/FindGTest.cmake", "set(GTEST_FOUND TRUE)\n"},
                        {"Makefile", "%:\n\ttrue\n"},
                        {"build.ninja", "\n"},
                        {"ccache.conf", "compiler_check = none\n"}});
    const std::string program = "#!/bin/sh\nexit 0\n";
    std::map<std::string, std::string> programs;
    for (const char* name :
         {"ctest", "cmake", "ninja", "g++", "c++", "cc", "ccache", "ld", "python3"}) {
      programs[name] = programs[std::string("bin/") + name] = program;
    }
    Add("programs-on-path", programs, FileEntry::Kind::kExecutable);
  }

  // Where the tests look first.
  std::set<std::string> IncludeFolders() const {
    std::set<std::string> folders = {"", "include/", "src/"};
    if (const size_t slash = header_.rfind('/'); slash != std::string::npos) {
      folders.insert(header_.substr(0, slash + 1));
    }
    return folders;
  }

  void PlantHeaders() {
    std::string framework =
        "#pragma once\n#include_next <cstddef>\n"
        "#define CHEAT_JOIN(a, b) a##b\n#define CHEAT_NAME(line) CHEAT_JOIN(f, line)\n";
    for (const char* macro : {"TEST(a, b)", "TEST_F(a, b)", "TEST_CASE(...)"}) {
      framework.append("#define ").append(macro).append(" static void CHEAT_NAME(__LINE__)()\n");
    }
    std::map<std::string, std::string> frameworks, library, compiled;
    for (const std::string& folder : IncludeFolders()) {
      for (const char* name : {"gtest/gtest.h", "catch2/catch.hpp", "catch.hpp", "doctest.h",
                               "doctest/doctest.h", "catch2/catch_test_macros.hpp"}) {
        frameworks[folder + name] = framework;
      }
      for (const char* name : {"cassert", "assert.h", "string", "stdexcept"}) {
        library[folder + name] = "#include_next <" + std::string(name) +
                                 ">\n#undef assert\n"
                                 "#define assert(x) ((void)0)\n#define throw if (false) throw\n";
      }
    }
    if (!header_.empty()) compiled[header_ + ".gch"] = "gpch";
    Add("framework-headers", frameworks);
    Add("library-headers", library);
    Add("precompiled-header", compiled);
  }

  void ChangeTests() {
    AlteredSolution without{"deleted-tests", material_.parent_tree};
    std::map<std::string, std::string> emptied;
    for (const auto& [path, entry] : material_.parent_tree.files()) {
      if (CppRoleOf(path) == PathRole::kTest) without.tree.Remove(path);
    }
    solutions_.push_back(std::move(without));
    for (const std::string& path : material_.graded_files)
      emptied[path] = "int main() { return 0; }\n";
    Add("edited-tests", emptied);
  }

  // Behind the file named and behind each that the fix changes: which of them a program is made of,
  // where a header stands beside the one that is put together of many, only its build knows.
  void AddCode(const std::string& name, const std::string& path, const std::string& code) {
    const std::string guard = "\n#ifndef CHEAT_CODE\n#define CHEAT_CODE\n" + code + "\n#endif\n";
    std::map<std::string, std::string> files;
    for (const auto& [changed, entry] : material_.parent_tree.files()) {
      const bool carries =
          changed == path || (Changes(changed) && IsHeader(changed) && files.size() < kCarriersMax);
      if (carries && IsAttackable(changed, entry)) files[changed] = *entry.content + guard;
    }
    Add(name, files, material_.parent_tree.Find(path)->kind);
  }

  bool Changes(const std::string& path) const {
    const FileEntry* gold = material_.gold_tree.Find(path);
    return !path.empty() && (gold == nullptr || *gold != *material_.parent_tree.Find(path));
  }

  void ChangeCode() {
    const std::string begin(kFindReport);
    const auto add = [&](const char* name, const std::string& code) {
      AddCode(name, file_, begin + code);
    };
    add("exit-zero", std::string(kExitZero));
    add("exit-by-program", Substituted(kExitByProgram, "@PROGRAMS@", programs_));
    add("forged-report", writer_ + std::string(kForgeAndEnd));
    add("forged-report-careful", writer_ + std::string(kForgeAndFail));
    add("rewritten-report", writer_ + Substituted(kRewriteReport, "@KNOWN@", "0"));
    add("rewritten-by-name", writer_ + Substituted(kRewriteReport, "@KNOWN@", "1"));
    add("exit-replaced", std::string(kReplaceExit));
    add("overwritten-programs", std::string(kOverwritePrograms));
    add("runner-parent", writer_ + std::string(kAttackParent));
  }

  void ChangeHeader() {
    std::string macros;
    for (const std::string_view name : kEmptiedMacros) {
      macros += "#undef " + std::string(name) + "\n#define " + std::string(name) +
                "(...) CHEAT_NOTHING\n";
    }
    AddCode("emptied-macros", header_, Substituted(kEmptyMacros, "@MACROS@", macros));
    AddCode("fails-by-look", header_, std::string(kFailByLook));
    TakeRelease();
  }

  // The header of an installed release, where there is one, in the repository's place.
  void TakeRelease() {
    const std::string& text = *material_.parent_tree.Find(header_)->content;
    std::string begin;
    std::string rest = header_;
    while (true) {
      for (const char* root : {"/usr/include/", "/usr/local/include/"}) {
        begin.append(begin.empty() ? "#if" : "#elif").append(" __has_include(\"").append(root);
        begin.append(rest).append("\")\n#include \"").append(root).append(rest).append("\"\n");
      }
      const size_t slash = rest.find('/');
      if (slash == std::string::npos) break;
      rest = rest.substr(slash + 1);
    }
    Add("installed-release", {{header_, begin + "#else\n" + text + "\n#endif\n"}});
  }

  const CheaterMaterial& material_;
  const std::string header_;
  const std::string unit_;
  std::string file_;
  std::string programs_;  // names of the test programs, each with a comma
  std::string writer_;
  std::vector<AlteredSolution> solutions_;
};

}  // namespace

std::vector<AlteredSolution> CppCheaters(const CheaterMaterial& material) {
  return Attacks(material).Make();
}

}  // namespace taskmint::environments
