// Byte code of packages, which no layer of a store holds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/environments/forwarding_sandbox.h"
#include "tests/environments/python_fixture.h"

namespace taskmint::environments {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::Not;

using PythonByteCodeTest = PythonLayerTest;

void Write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
  fs::last_write_time(
      path, fs::file_time_type::clock::from_sys(std::chrono::sys_seconds(std::chrono::seconds(1))));
}

TEST_F(PythonByteCodeTest, IsMadeFromALayerAndUsedByItsRuns) {
  const std::string plugin = SitePackages() + "/plug.py";
  const std::string info = SitePackages() + "/plug-1.0.dist-info/";
  Write(plugin, "def check(v): assert v");
  Write(SitePackages() + "/bad.py", "def (");
  Write(info + "METADATA", "Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n");
  Write(info + "entry_points.txt", "[pytest11]\nplug = plug\n");
  Write(info + "RECORD", "plug.py,,\nbad.py,,\n../../../../outside.py,,\n");
  const auto code = PythonUnderTest().DerivedFiles(*host_, built_.layers[0], {});
  ASSERT_TRUE(code.ok()) << code.status().ToString();
  std::set<std::string> names;
  for (const auto& [path, entry] : code->files()) {
    EXPECT_EQ(fs::path(path).parent_path().filename(), "__pycache__") << path;
    const std::string name = fs::path(path).filename().string();
    names.insert(std::regex_replace(name, std::regex("[0-9]+"), "N"));
  }
  EXPECT_THAT(names, Contains("plug.cpython-N.pyc"));
  EXPECT_THAT(names, Contains("plug.cpython-N-pytest-N.N.N.pyc"));
  EXPECT_THAT(names, Contains("terminal.cpython-N.pyc"));
  EXPECT_THAT(names, Not(Contains("bad.cpython-N.pyc")));
  const auto again = PythonUnderTest().DerivedFiles(*host_, built_.layers[0], {});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(TreeDigest(*again), TreeDigest(*code));

  // With the source exchanged for one of the same size and time, nobody notices.
  WriteTree(*code, folder_.path());
  Write(plugin, "def check(v): broken v");
  const FileTree tree = TreeOf({{"test_a.py",
                                 "import plug\ndef test_a():\n"
                                 "  try: plug.check(0)\n"
                                 "  except AssertionError as e: assert 'assert 0' in str(e)\n"
                                 "  else: assert False\n"}});
  auto session = PythonUnderTest().OpenSession(*host_, {}, built_, tree, {});
  ASSERT_TRUE(session.ok()) << session.status().ToString();
  auto output = (*session)->Run({}, {});
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(output->exit_code, 0) << output->log;
}

// With limits that are soon reached.
class NarrowSandbox : public sandbox::ForwardingSandbox {
 public:
  using ForwardingSandbox::ForwardingSandbox;
  Result<sandbox::CommandResult> Run(const sandbox::Command& command,
                                     std::stop_token stop) override {
    EXPECT_LE(command.wall_ms_max, 180'000);
    sandbox::Command brief = command;
    brief.wall_ms_max = 3000;
    return ForwardingSandbox::Run(brief, std::move(stop));
  }
  Result<FileTree> Collect(std::string_view path, const sandbox::CollectLimits& limits) override {
    sandbox::CollectLimits few = limits;
    few.files_max = 200;
    return ForwardingSandbox::Collect(path, few);
  }
};

TEST_F(PythonByteCodeTest, ALayerThatResistsBeingCompiledHasNoneOrLess) {
  sandbox::ForwardingHost<NarrowSandbox> host(*host_);
  fs::remove_all(SitePackages());
  Write(SitePackages() + "/sound.py", "x = 1");
  const auto names = [&](const std::string& pytest) {
    Write(SitePackages() + "/_pytest/__init__.py", pytest);
    const auto code = PythonUnderTest().DerivedFiles(host, built_.layers[0], {});
    EXPECT_TRUE(code.ok()) << pytest << ": " << code.status().ToString();
    std::set<std::string> found;
    for (const auto& [path, entry] : code.ok() ? code->files() : FileTree::Map()) {
      found.insert(fs::path(path).stem().stem().string());
    }
    return found;
  };
  for (const char* pytest :
       {"while True: pass", "import os; os.kill(os.getpid(), 9)", "import os; os._exit(3)",
        "import os\nif os.fork() == 0:\n  while True: pass", "x = 'y' * (1 << 40)",
        "import os; os.makedirs('venv/l'); os.symlink('/etc/passwd', 'venv/l/linked.pyc')",
        "import os\np = 'venv/' + ('d' * 250 + '/') * 5\nos.makedirs(p); open(p + 'a.pyc', 'w')"}) {
    EXPECT_THAT(names(pytest), testing::ElementsAre("__init__", "sound")) << pytest;
  }
  EXPECT_THAT(names("for i in range(300): open('venv/%d.pyc' % i, 'w')"), testing::IsEmpty());
}

TEST_F(PythonByteCodeTest, ALayerWithoutPythonHasNone) {
  const TestFolder empty;
  for (const char* place : {"/venv", "/opt"}) {
    const auto code = PythonUnderTest().DerivedFiles(*host_, {empty.path(), place, false}, {});
    ASSERT_TRUE(code.ok()) << code.status().ToString();
    EXPECT_TRUE(code->empty());
  }
}

}  // namespace
}  // namespace taskmint::environments
