// What the tests of the Python driver share: trees, a folder of wheels, sandboxes.
#ifndef TASKMINT_TESTS_ENVIRONMENTS_PYTHON_FIXTURE_H_
#define TASKMINT_TESTS_ENVIRONMENTS_PYTHON_FIXTURE_H_

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

inline FileTree TreeOf(const std::map<std::string, std::string>& files) {
  FileTree tree;
  for (const auto& [path, text] : files) {
    EXPECT_TRUE(tree.Set(path, RegularFile(text)).ok()) << path;
  }
  return tree;
}

inline const LanguageDriver& PythonUnderTest() { return *FindDriver("python"); }

// A folder that disappears; everybody may read it.
class TestFolder {
 public:
  TestFolder() {
    std::string pattern = testing::TempDir() + "pythonXXXXXX";
    path_ = ::mkdtemp(pattern.data());
    ::chmod(path_.c_str(), 0755);
  }
  ~TestFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The wheels that set-up downloaded; the tests say so when they are missing.
inline std::filesystem::path WheelFolder() {
  const char* given = ::getenv("TASKMINT_TEST_WHEELS");
  const std::filesystem::path folder =
      given != nullptr ? given : std::filesystem::path(TASKMINT_SOURCE_DIR) / "build/tools/wheels";
  EXPECT_TRUE(std::filesystem::is_directory(folder))
      << "no wheels in " << folder << ": ./mint test downloads them";
  return folder;
}

// Writes a tree as the store does.
inline void WriteTree(const FileTree& tree, const std::filesystem::path& root) {
  namespace fs = std::filesystem;
  const fs::file_time_type time =
      fs::file_time_type::clock::from_sys(std::chrono::sys_seconds(std::chrono::seconds(1)));
  for (const auto& [path, entry] : tree.files()) {
    const fs::path full = root / path;
    fs::create_directories(full.parent_path());
    if (entry.kind == FileEntry::Kind::kSymlink) {
      fs::create_symlink(*entry.content, full);
      continue;
    }
    std::ofstream(full, std::ios::binary) << *entry.content;
    fs::permissions(full, fs::perms(entry.kind == FileEntry::Kind::kExecutable ? 0755 : 0644));
    fs::last_write_time(full, time);
  }
}

class PythonSandboxTest : public testing::Test {
 protected:
  PythonSandboxTest() {
    auto host = sandbox::MakeBubblewrapHost();
    EXPECT_TRUE(host.ok()) << host.status().ToString();
    if (host.ok()) host_ = std::move(*host);
  }

  std::unique_ptr<sandbox::SandboxHost> host_;
  TestFolder folder_;
};

// With the layer that a session needs: pytest, and /work/src as a source root.
class PythonLayerTest : public PythonSandboxTest {
 protected:
  PythonLayerTest() {
    const std::string script =
        "cd '" + folder_.path() +
        "' && mkdir bin && ln -s /usr/bin/python3 bin/python && "
        "printf 'home = /usr/bin\\ninclude-system-site-packages = false\\n' >pyvenv.cfg && "
        "site=lib/python$(/usr/bin/python3 -c 'import sys; print(\"%d.%d\" % "
        "sys.version_info[:2])')/site-packages && mkdir -p $site && echo /work/src "
        ">$site/_roots.pth";
    EXPECT_EQ(std::system(script.c_str()), 0) << "the layer cannot be made";
    Unpack({"iniconfig", "packaging", "pluggy", "pytest"});
    built_.layers = {{folder_.path(), "/venv", false}};
  }

  std::string SitePackages() const {
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path() + "/lib")) {
      return entry.path().string() + "/site-packages";
    }
    return {};
  }

  // Unpacking is all that installing these wheels is.
  void Unpack(const std::vector<std::string>& names) const {
    std::string script = "cd '" + folder_.path() + "'";
    for (const std::string& name : names) {
      script += " && /usr/bin/python3 -m zipfile -e '" + WheelFolder().string() + "/'" + name +
                "-[0-9]*.whl '" + SitePackages() + "'";
    }
    script += " && chmod -R a+rX .";
    EXPECT_EQ(std::system(script.c_str()), 0) << "the wheels cannot be unpacked";
  }

  BuiltEnvironment built_;
};

// One <testcase>: its id, and the name of the element inside it, or "passed".
struct Case {
  std::string id;
  std::string status;
};

inline std::vector<Case> CasesOf(const TestRunOutput& output, const FileTree& tree) {
  std::vector<Case> cases;
  const auto names = PythonUnderTest().NamesOfTests(tree);
  const std::string xml = output.junit_xml.value_or("");
  static const std::regex kCase(R"re(<testcase ([^>]*?)(/>|>(<(\w+))?))re");
  const auto attribute = [](const std::string& text, const std::string& name) {
    std::smatch found;
    const std::regex pattern("(?:^| )" + name + "=\"([^\"]*)\"");
    std::string value = std::regex_search(text, found, pattern) ? found[1].str() : std::string();
    for (const auto& [from, to] : std::map<std::string, std::string>{
             {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&amp;", "&"}}) {
      for (size_t at; (at = value.find(from)) != std::string::npos;) {
        value.replace(at, from.size(), to);
      }
    }
    return value;
  };
  for (auto it = std::sregex_iterator(xml.begin(), xml.end(), kCase); it != std::sregex_iterator();
       ++it) {
    const std::string text = (*it)[1];
    cases.push_back(
        {names->Id(attribute(text, "file"), attribute(text, "classname"), attribute(text, "name")),
         (*it)[4].length() > 0 ? (*it)[4].str() : "passed"});
  }
  return cases;
}

}  // namespace taskmint::environments

#endif  // TASKMINT_TESTS_ENVIRONMENTS_PYTHON_FIXTURE_H_
