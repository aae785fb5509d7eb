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

// Counts the byte code that is put into any sandbox; taking files out fails on demand.
class WatchedSandbox : public sandbox::ForwardingSandbox {
 public:
  using ForwardingSandbox::ForwardingSandbox;
  Status Put(const FileTree& tree, std::string_view path, int64_t modified_s) override {
    for (const auto& [name, entry] : tree.files()) put += name.ends_with(".pyc") ? 1 : 0;
    return ForwardingSandbox::Put(tree, path, modified_s);
  }
  Result<FileTree> Collect(std::string_view path, const sandbox::CollectLimits& limits) override {
    ++collected;
    if (failing) return Status(Code::kResourceExhausted, Boundary::kSandbox, "more than the limit");
    return ForwardingSandbox::Collect(path, limits);
  }
  static inline int put = 0;
  static inline int collected = 0;
  static inline bool failing = false;
};

// A source of 80 KB of which every run needs `value`.
std::string LongSource(const std::string& value) {
  std::string text = "VALUE = " + value + "\n";
  while (text.size() < (80 << 10)) text += "def f" + std::to_string(text.size()) + "(): pass\n";
  return text;
}

class PythonSourcesTest : public PythonLayerTest {
 protected:
  PythonSourcesTest() {
    WatchedSandbox::put = WatchedSandbox::collected = 0;
    WatchedSandbox::failing = false;
  }
  // The exit code of a run of tests/test_a.py in a session of its own.
  int Run(const std::map<std::string, std::string>& files) {
    sandbox::ForwardingHost<WatchedSandbox> host(*host_);
    auto session = PythonUnderTest().OpenSession(host, {}, built_, TreeOf(files), {});
    EXPECT_TRUE(session.ok()) << session.status().ToString();
    if (!session.ok()) return -1;
    auto output = (*session)->Run({{"tests/test_a.py"}, {}, {}, {}, 60'000}, {});
    EXPECT_TRUE(output.ok()) << output.status().ToString();
    log_ = output.ok() ? output->log : "";
    return output.ok() ? output->exit_code : -1;
  }
  std::string log_;
};

TEST_F(PythonSourcesTest, AreCompiledOnceForTheStatesThatShareThem) {
  const std::string test = "import pkg\ndef test_a(): assert pkg.VALUE == 1\n";
  EXPECT_EQ(Run({{"src/pkg.py", LongSource("1")}, {"tests/test_a.py", test}}), 0) << log_;
  EXPECT_EQ(WatchedSandbox::put, 0);
  EXPECT_EQ(WatchedSandbox::collected, 1);
  EXPECT_EQ(Run({{"src/pkg.py", LongSource("1")}, {"src/b.py", ""}, {"tests/test_a.py", test}}), 0);
  EXPECT_EQ(WatchedSandbox::put, 2) << "of the source and of the test";
  EXPECT_EQ(WatchedSandbox::collected, 1);
  EXPECT_EQ(Run({{"src/pkg.py", LongSource("2")}, {"tests/test_a.py", test}}), 1) << log_;
  EXPECT_EQ(WatchedSandbox::put, 3) << "of the test alone";
}

TEST_F(PythonSourcesTest, ThatCannotBeTakenOutAreLeftToTheRuns) {
  WatchedSandbox::failing = true;
  const std::map<std::string, std::string> files = {
      {"src/pkg.py", LongSource("3")},
      {"tests/test_a.py", "import pkg\ndef test_a(): assert pkg.VALUE == 3\n"}};
  EXPECT_EQ(Run(files), 0) << log_;
  EXPECT_EQ(Run(files), 0) << log_;
  EXPECT_EQ(WatchedSandbox::collected, 1) << "and not tried again";
}

// A repository of which pytest itself is made: its code must not write what others will run.
TEST_F(PythonSourcesTest, OfWhatPytestImportsAreNotCompiledByThemselves) {
  fs::create_directories(folder_.path() + "/aside");
  fs::rename(SitePackages() + "/iniconfig", folder_.path() + "/aside/iniconfig");
  std::map<std::string, std::string> honest = {
      {"src/pkg.py", LongSource("4")},
      {"tests/test_a.py", "import pkg\ndef test_a(): assert pkg.VALUE == 0\n"}};
  for (const auto& entry : fs::directory_iterator(folder_.path() + "/aside/iniconfig")) {
    if (entry.path().extension() != ".py") continue;
    std::ifstream file(entry.path());
    honest["src/iniconfig/" + entry.path().filename().string()].assign(
        std::istreambuf_iterator<char>(file), {});
  }
  std::map<std::string, std::string> hostile = honest;
  hostile["src/iniconfig/__init__.py"] +=
      "\nimport marshal\nreal = marshal.dumps\n"
      "marshal.dumps = lambda code: real(compile('def test_a(): pass', 'tests/test_a.py', "
      "'exec'))\n";
  (void)Run(hostile);
  EXPECT_EQ(Run(honest), 1) << log_;
}

// The finder of an editable package leads into the work folder; the package is the repository's.
TEST_F(PythonSourcesTest, OfEditablePackagesAreNotImportedByTheRunner) {
  Write(SitePackages() + "/_editable.py",
        "import importlib.util, sys\n"
        "class Finder:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name == 'plug':\n"
        "            return importlib.util.spec_from_file_location(name, '/work' "
        "'/plugins/plug.py')\n"
        "sys.meta_path.append(Finder)\n");
  Write(SitePackages() + "/_editable.pth", "import _editable\n");
  const std::map<std::string, std::string> files = {
      {"plugins/plug.py", "import os\nPID = os.getpid()\n"},
      {"tests/test_a.py",
       "import os\nimport plug\ndef test_a(): assert plug.PID == os.getpid()\n"}};
  EXPECT_EQ(Run(files), 0) << log_;
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
