// The repository checks itself. Every check is also tried on a made-up breach: a check that finds
// nothing there would find nothing here either.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/structure/checks.h"

namespace taskmint::structure {
namespace {

constexpr uint64_t kTreeBytesMax = uint64_t{48} << 20;
constexpr uint64_t kFileBytesMax = uint64_t{40} << 20;

std::string Read(const std::string& path) {
  std::ifstream stream(std::string(TASKMINT_SOURCE_DIR) + "/" + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

// Every file of the tree as git sees it, or without git everything outside of build folders.
std::vector<std::string> ListFiles() {
  const std::string root = TASKMINT_SOURCE_DIR;
  std::vector<std::string> files;
  if (std::filesystem::exists(root + "/.git")) {
    const std::string command = "git -c safe.directory='*' -C '" + root +
                                "' ls-files -z --cached --others --exclude-standard";
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), &pclose);
    std::string name;
    for (int c = 0; pipe && (c = fgetc(pipe.get())) != EOF;) {
      if (c != 0) {
        name += static_cast<char>(c);
      } else {
        if (std::filesystem::is_regular_file(root + "/" + name)) files.push_back(name);
        name.clear();
      }
    }
    return files;
  }
  using Walk = std::filesystem::recursive_directory_iterator;
  for (Walk it(root); it != Walk(); ++it) {
    const std::string path = std::filesystem::relative(it->path(), root).string();
    if (path == "build" || path == "taskmint-store") it.disable_recursion_pending();
    if (it->is_regular_file()) files.push_back(path);
  }
  return files;
}

const std::vector<std::string>& Files() {
  static const std::vector<std::string> files = ListFiles();
  return files;
}

// The sample is another project, with rules of its own.
bool IsOurs(const std::string& path) {
  return !path.starts_with("datasets/sample/base/") &&
         !path.starts_with("datasets/sample/patches/");
}

std::string Joined(const Breaches& breaches) {
  std::string text;
  for (const std::string& breach : breaches) text += breach + "\n";
  return text;
}

using Check = std::function<Breaches(const std::string& path, const std::string& text)>;

std::string BreachesOfTree(const Check& check) {
  Breaches all;
  for (const std::string& path : Files()) {
    if (!IsOurs(path)) continue;
    for (std::string& breach : check(path, Read(path))) all.push_back(std::move(breach));
  }
  return Joined(all);
}

const Layers& Table() {
  static const Layers layers = ParseLayers(Read("tests/structure/layers.txt"));
  return layers;
}

TEST(StructureTest, SeesTheTree) {
  EXPECT_GT(Files().size(), 50U);
  EXPECT_GE(Table().rooms.size(), 7U);
  EXPECT_GE(Table().libraries.size(), 10U);
}

TEST(StructureTest, RoomsIncludeOnlyWhatTheirLayerAllows) {
  EXPECT_EQ(BreachesOfTree([](const std::string& path, const std::string& text) {
              return CheckLayering(Table(), path, text);
            }),
            "");
}

TEST(StructureTest, ReportsMadeUpBreachesOfLayering) {
  const auto breaches = [](const std::string& path, const std::string& line) {
    return CheckLayering(Table(), path, "#include <string>\n" + line + "\n").size();
  };
  EXPECT_EQ(breaches("verifier/a.cc", "#include \"datasets/store.h\""), 1U);
  EXPECT_EQ(breaches("datasets/a.h", "#include \"sandbox/sandbox.h\""), 1U);
  EXPECT_EQ(breaches("sandbox/a.cc", "#  include  \"environments/repository/patch.h\""), 1U);
  EXPECT_EQ(breaches("proto/base/a.h", "#include \"datasets/store.h\""), 1U);
  EXPECT_EQ(breaches("proto/base/a.h", "#include \"tests/x.h\""), 1U);
  EXPECT_EQ(breaches("orchestrator/a.cc", "#include \"store.h\""), 1U);
  EXPECT_EQ(breaches("newroom/a.cc", ""), 1U);
  EXPECT_EQ(breaches("orchestrator/a.cc", "#include <sqlite3.h>"), 1U);
  EXPECT_EQ(breaches("environments/a.cc", "#include <git2/blob.h>"), 1U);
  EXPECT_EQ(breaches("sandbox/a.cc", "#include <grpcpp/grpcpp.h>"), 1U);
  EXPECT_EQ(breaches("orchestrator/a.cc", "#include <grpc/grpc.h>"), 1U);
  EXPECT_EQ(breaches("tests/a_test.cc", "#include <absl/strings/match.h>"), 1U);
  EXPECT_EQ(breaches("datasets/a.h", "#include <nlohmann/json.hpp>"), 1U);

  EXPECT_EQ(breaches("datasets/a.h", "#include <nlohmann/json_fwd.hpp>"), 0U);
  EXPECT_EQ(breaches("datasets/a.cc", "#include <sqlite3.h>"), 0U);
  EXPECT_EQ(breaches("proto/base/a.cc", "#include \"proto/task.pb.h\""), 0U);
  EXPECT_EQ(breaches("orchestrator/a.cc", "#include \"datasets/store.h\""), 0U);
  EXPECT_EQ(breaches("tests/a_test.cc", "#include <sqlite3.h>"), 0U);
}

TEST(StructureTest, FilesAreShortPlainText) {
  EXPECT_EQ(BreachesOfTree(CheckText), "");
  EXPECT_EQ(CheckText("a.cc", std::string(101, 'x') + "\n").size(), 1U);
  EXPECT_EQ(CheckText("a.cc", "\tx;\n").size(), 1U);
  EXPECT_EQ(CheckText("a.cc", "x;\r\n").size(), 1U);
  EXPECT_EQ(CheckText("a.h", "// \xE2\x80\xAE hidden\n").size(), 1U);
  EXPECT_EQ(CheckText("a.py", std::string(501, '\n')).size(), 1U);
  EXPECT_EQ(CheckText("a.cc", "x;").size(), 1U);
  EXPECT_EQ(CheckText("a.cc", "// na\xC3\xAFve\n").size(), 0U);
}

TEST(StructureTest, HeadersAreGuarded) {
  EXPECT_EQ(BreachesOfTree(CheckHeaderGuard), "");
  EXPECT_EQ(CheckHeaderGuard("sandbox/proxy.h", "#pragma once\n").size(), 1U);
  EXPECT_EQ(CheckHeaderGuard("a/b.h", "#ifndef TASKMINT_A_B_H_\n#define TASKMINT_A_C_H_\n").size(),
            1U);
}

TEST(StructureTest, FilesOfARoomCanBeCompiledAsOne) {
  std::map<std::string, std::string> first;  // the file that defines a name, by room and name
  Breaches breaches;
  for (const std::string& path : Files()) {
    if (!path.ends_with(".cc") || path.starts_with("tests/")) continue;
    const std::string room = path.substr(0, path.find('/'));
    for (const std::string& name : UnnamedDefinitions(Read(path))) {
      const auto [it, fresh] = first.emplace(room + " " + name, path);
      if (!fresh) breaches.push_back(path + ": " + name + " stands in " + it->second + ", too");
    }
  }
  EXPECT_EQ(Joined(breaches), "");
  EXPECT_GT(first.size(), 300U);

  const auto found = UnnamedDefinitions(
      "namespace a {\nint Outer() { return 1; }\nnamespace {\n\nusing b::C;\n"
      "constexpr size_t kBytesMax = 1 << 2;\nconst char kNames[][4] = {\"x(\"};\n"
      "struct Plan {\n  int Member() { return 1; }\n};\nclass Reader final : public Base {\n};\n"
      "template <typename T>\nstd::map<T, std::string>& FolderOf(\n    T path) {\n"
      "  return Call(path);\n}\nResult<int> Joined(const A& a) { return 1; }\n"
      "}  // namespace\nint After() { return 1; }\n}  // namespace a\n");
  const std::set<std::string> expected = {"kBytesMax", "kNames",   "Plan",
                                          "Reader",    "FolderOf", "Joined"};
  EXPECT_EQ(found, expected);
}

TEST(StructureTest, NamesSaySomething) {
  EXPECT_EQ(
      BreachesOfTree([](const std::string& path, const std::string&) { return CheckName(path); }),
      "");
  EXPECT_EQ(CheckName("sandbox/string_utils.h").size(), 1U);
  EXPECT_EQ(CheckName("common/a.h").size(), 1U);
  EXPECT_EQ(CheckName("sandbox/utility_meter.h").size(), 0U);
}

TEST(StructureTest, NothingNamesSomebodysMachine) {
  const auto check = [](const std::string& path, const std::string& text) {
    return CheckHostPaths(path, text, TASKMINT_SOURCE_DIR);
  };
  EXPECT_EQ(BreachesOfTree(check), "");
  const std::string home = std::string("/home") + "/someone/x";
  EXPECT_EQ(CheckHostPaths("a.cc", "open(\"" + home + "\")", "/a/b/c").size(), 1U);
  EXPECT_EQ(CheckHostPaths("a.md", "see /a/b/c/d\n", "/a/b/c").size(), 1U);
}

TEST(StructureTest, NoPackageRegistryIsWrittenDown) {
  EXPECT_EQ(BreachesOfTree(CheckRegistries), "");
  EXPECT_EQ(CheckRegistries("a.cc", std::string("https://pypi") + ".org/simple").size(), 1U);
}

TEST(StructureTest, EveryFieldOfTheRecordsIsExplained) {
  EXPECT_EQ(BreachesOfTree(CheckProtoComments), "");
  EXPECT_EQ(CheckProtoComments("a.proto", "message A {\n  string b = 1;\n}\n").size(), 1U);
  EXPECT_EQ(CheckProtoComments("a.proto",
                               "message A {\n  // B.\n  map<string, int32> b = 1;\n"
                               "  repeated C d = 2;\n}\n")
                .size(),
            1U);
  EXPECT_EQ(CheckProtoComments("a.proto", "enum A {\n  B = 0;\n}\n").size(), 0U);
}

TEST(StructureTest, TheTreeIsSmall) {
  uint64_t total = 0;
  for (const std::string& path : Files()) {
    const uint64_t size = std::filesystem::file_size(std::string(TASKMINT_SOURCE_DIR) + "/" + path);
    EXPECT_LT(size, kFileBytesMax) << path;
    total += size;
  }
  EXPECT_LT(total, kTreeBytesMax);
}

}  // namespace
}  // namespace taskmint::structure
