#include "environments/repository/python/cheaters.h"

#include <re2/re2.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "environments/repository/python/attacks.h"
#include "environments/repository/python/scripts.h"
#include "environments/repository/python/steering.h"
#include "proto/base/check.h"
#include "proto/base/digest.h"
#include "proto/base/json.h"

namespace taskmint::environments {
namespace {

std::string Replace(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// JSON that stands inside a raw triple-quoted string.
std::string InRawString(const nlohmann::json& value) {
  return Replace(DumpJson(value), "'", "\\u0027");
}

// Modules that the graded tests import, with the packages around them: "a.b" gives "a" and "a.b".
std::set<std::string> ImportedModules(const CheaterMaterial& material) {
  static const re2::RE2 kImport(R"((?m)^\s*(?:import|from)\s+([A-Za-z_][A-Za-z0-9_.]*))");
  std::set<std::string> modules;
  for (const std::string& path : material.graded_files) {
    const FileEntry* entry = material.overlay.Find(path);
    if (entry == nullptr) continue;
    re2::StringPiece rest(*entry->content);
    std::string name;
    while (modules.size() < 1000 && re2::RE2::FindAndConsume(&rest, kImport, &name)) {
      for (size_t at = name.find('.'); at != std::string::npos; at = name.find('.', at + 1)) {
        modules.insert(name.substr(0, at));
      }
      modules.insert(name);
    }
  }
  return modules;
}

// "src/a/b.py" is "a.b", "a/__init__.py" is "a".
std::string ModuleOf(std::string path) {
  path.resize(path.size() - 3);
  for (const char* root : {"src/", "lib/"}) {
    if (path.starts_with(root)) path.erase(0, 4);
  }
  if (path.ends_with("/__init__")) path.resize(path.size() - 9);
  return Replace(std::move(path), "/", ".");
}

// The module that carries the attacks: one that the fix changes, because code there runs in every
// test that matters; where the fix only adds files, one that the graded tests import.
std::string AttackedModule(const CheaterMaterial& material) {
  const std::set<std::string> imported = ImportedModules(material);
  std::string chosen;
  std::tuple<bool, bool, size_t> best;
  for (const auto& [path, entry] : material.parent_tree.files()) {
    if (!std::string_view(path).ends_with(".py") || PythonRoleOf(path) != PathRole::kSource ||
        entry.kind == FileEntry::Kind::kSymlink) {
      continue;
    }
    const FileEntry* gold = material.gold_tree.Find(path);
    const bool same = gold != nullptr && *gold->content == *entry.content;
    const std::tuple<bool, bool, size_t> rank = {same, !imported.contains(ModuleOf(path)),
                                                 path.size()};
    if (!chosen.empty() && rank >= best) continue;
    chosen = path;
    best = rank;
  }
  return chosen;
}

// Stubs that pass, under the expected names.
std::map<std::string, std::string> PassingTests(const std::vector<std::string>& ids) {
  std::map<std::string, std::map<std::string, std::set<std::string>>> files;
  for (const std::string& id : ids) {
    const std::string plain = id.substr(0, id.find('['));
    const size_t first = plain.find("::"), last = plain.rfind("::");
    if (first == std::string::npos) continue;
    const std::string owner = first == last ? "" : plain.substr(first + 2, last - first - 2);
    files[plain.substr(0, first)][owner].insert(plain.substr(last + 2));
  }
  std::map<std::string, std::string> texts;
  for (const auto& [path, owners] : files) {
    std::string& text = texts[path];
    for (const auto& [owner, names] : owners) {
      const std::string indent = owner.empty() ? "" : "    ";
      if (!owner.empty()) text += "class " + owner.substr(0, owner.find("::")) + ":\n";
      for (const std::string& name : names) {
        text.append(indent).append("def ").append(name).append("(*_):\n");
        text.append(indent).append("    assert True\n\n");
      }
    }
  }
  return texts;
}

class Builder {
 public:
  explicit Builder(const CheaterMaterial& material)
      : material_(material), module_(AttackedModule(material)) {
    nlohmann::json ids = material.expected_ids;
    forge_ = Replace(std::string(PythonScript("forge.py")), "@IDS@", InRawString(ids));
  }

  std::vector<AlteredSolution> Build() {
    PlantFiles();
    ChangeTests();
    if (!module_.empty()) ChangeModule();
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

  void PlantFiles() {
    std::string tests = "tests/";
    if (!material_.graded_files.empty()) {
      const std::string& graded = material_.graded_files[0];
      tests = graded.substr(0, graded.rfind('/') + 1);
    }
    const std::string conftest(kForceReports);
    Add("conftest-root", {{"conftest.py", conftest}});
    Add("conftest-tests", {{tests + "conftest.py", conftest}, {tests + "__init__.py", conftest}});
    Add("pytest-ini", {{"pytest.ini", "[pytest]\naddopts = -p forced_reports\n"},
                       {"forced_reports.py", conftest}});
    std::map<std::string, std::string> site, pth, shadows, package;
    for (const std::string root : {"", "src/", "lib/"}) {
      site[root + "sitecustomize.py"] = forge_ + std::string(kForgeAndExit);
      site[root + "usercustomize.py"] = site[root + "sitecustomize.py"];
      pth[root + "a.pth"] = "import forced_exit\n";
      pth[root + "forced_exit.py"] = forge_ + std::string(kForgeAndExit);
      shadows[root + "pluggy.py"] = forge_ + std::string(kForgeAndExit);
      shadows[root + "random.py"] = shadows[root + "pluggy.py"];
      shadows[root + "colorsys.py"] = shadows[root + "pluggy.py"];
      package[root + "pytest.py"] = forge_ + std::string(kForgeAndExit);
      package[root + "_pytest/__init__.py"] = package[root + "pytest.py"];
      package[root + "pytest-9.9.dist-info/entry_points.txt"] = "[pytest11]\nforced = pytest\n";
    }
    Add("sitecustomize", site);
    Add("pth", pth);
    Add("shadow-pytest", package);
    Add("shadow-library", shadows);
    const std::string program = "#!/usr/bin/python3\n" + forge_ + std::string(kForgeAndExit);
    Add("pytest-on-path",
        {{"pytest", program}, {"py.test", program}, {"bin/pytest", program}, {"python", program}},
        FileEntry::Kind::kExecutable);
  }

  void ChangeTests() {
    AlteredSolution without{"deleted-tests", material_.parent_tree};
    for (const auto& [path, entry] : material_.parent_tree.files()) {
      if (PythonRoleOf(path) == PathRole::kTest) without.tree.Remove(path);
    }
    solutions_.push_back(std::move(without));
    Add("edited-tests", PassingTests(material_.expected_ids));
  }

  // `code` at the end of the changed module: it runs when the tests import it.
  void AddCode(const std::string& name, const std::string& code) {
    const FileEntry* entry = material_.parent_tree.Find(module_);
    Add(name, {{module_, *entry->content + "\n\n" + Replace(code, "@MODULE@", module_)}},
        entry->kind);
  }

  void ChangeModule() {
    const auto text = [](std::string_view code) { return std::string(code); };
    AddCode("exit-zero", "import os\nos._exit(0)\n");
    AddCode("skip-everything", text(kSkipEverything));
    AddCode("forged-report", forge_ + text(kForgeAndExit));
    AddCode("forged-report-careful", forge_ + text(kForgeCarefully));
    AddCode("exit-hook", forge_ + text(kForgeAtExit));
    AddCode("reporter-from-item", text(kPatchFromItem));
    AddCode("reporter-call-info", text(kPatchCallInfo));
    AddCode("reporter-by-name", forge_ + text(kPatchByName));
    AddCode("reporter-by-content",
            forge_ + Replace(text(kPatchByContent), "@DIGESTS@", InRawString(DigestsOfTests())));
    AddCode("reporter-hook", text(kRegisterHook));
    AddCode("reporter-exit-status", text(kPatchFromItem) + text(kPatchExitStatus));
    AddCode("reporter-xml", text(kPatchXml));
    AddCode("swallowed-failures", text(kSwallowFailures));
    AddCode("swallowed-by-look", text(kSwallowByLook));
    AddCode("swallowed-when-called", text(kSwallowWhenCalled));
    AddCode("assertion-rewriting", text(kStripAssertions));
    AddCode("profiler", text(kProfiler));
    AddCode("runner-parent", forge_ + text(kAttackRunner));
    AddCode("git-oracle", text(kGitOracle));
    AddCode("release-hunt", text(kReleaseHunt));
  }

  // By path: what no agent knows before it is graded.
  nlohmann::json DigestsOfTests() const {
    nlohmann::json digests = nlohmann::json::object();
    for (const std::string& path : material_.graded_files) {
      const FileEntry* entry = material_.overlay.Find(path);
      if (entry != nullptr) digests[path] = Sha256Hex(*entry->content);
    }
    return digests;
  }

  const CheaterMaterial& material_;
  const std::string module_;
  std::string forge_;
  std::vector<AlteredSolution> solutions_;
};

}  // namespace

std::vector<AlteredSolution> PythonCheaters(const CheaterMaterial& material) {
  return Builder(material).Build();
}

}  // namespace taskmint::environments
