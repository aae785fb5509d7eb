// Test runs of the Python driver in real sandboxes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/environments/forwarding_sandbox.h"
#include "tests/environments/python_fixture.h"

namespace taskmint::environments {
namespace {

using sandbox::Ending;
using testing::HasSubstr;
using testing::Not;

class PythonSessionTest : public PythonLayerTest {
 protected:
  std::unique_ptr<TestSession> Open(const std::map<std::string, std::string>& files) {
    tree_ = TreeOf(files);
    auto session = PythonUnderTest().OpenSession(*host_, environment_, built_, tree_, {});
    EXPECT_TRUE(session.ok()) << session.status().ToString();
    return session.ok() ? std::move(*session) : nullptr;
  }

  static TestRunOutput Run(TestSession& session, std::vector<std::string> files,
                           int64_t wall_ms_max = 60'000, std::optional<uint64_t> shuffle = {}) {
    TestRun run;
    run.files = std::move(files);
    run.wall_ms_max = wall_ms_max;
    run.shuffle_seed = shuffle;
    auto output = session.Run(run, {});
    EXPECT_TRUE(output.ok()) << output.status().ToString();
    return output.ok() ? *std::move(output) : TestRunOutput();
  }

  std::vector<Case> Cases(const TestRunOutput& output) { return CasesOf(output, tree_); }
  std::map<std::string, std::string> Statuses(const TestRunOutput& output) {
    std::map<std::string, std::string> statuses;
    for (const Case& found : Cases(output)) statuses[found.id] = found.status;
    return statuses;
  }

  v1::RepositoryEnvironment environment_;
  FileTree tree_;
};

// On a machine whose memory runs out: the kernel kills inside.
class StarvedSandbox : public sandbox::ForwardingSandbox {
 public:
  using ForwardingSandbox::ForwardingSandbox;
  bool HostRanOutOfMemory() override { return ++calls_ > 1; }

 private:
  int calls_ = 0;
};

TEST_F(PythonSessionTest, EveryOutcomeIsReportedWithItsId) {
  auto session = Open(
      {{"src/pkg/__init__.py", "VALUE = 3\n"},
       {"tests/test_a.py",
        "import pytest, unittest\nimport pkg\n"
        "def test_pass(): assert pkg.VALUE == 3\n"
        "def test_fail(): assert pkg.VALUE == 4\n"
        "def test_skip(): pytest.skip('no')\n"
        "@pytest.fixture\ndef broken(): return 1 / 0\n"
        "def test_error(broken): pass\n"
        "@pytest.mark.parametrize('text', ['a::b', 'x[0]', '\u00e9\u4e16', 'a/b.py::c'])\n"
        "def test_many(text): pass\n"
        "class TestOld(unittest.TestCase):\n    def test_case(self): self.assertEqual(1, 1)\n"},
       {"tests/test_broken.py", "import no_such_module\n"}});
  const TestRunOutput output = Run(*session, {"tests/test_a.py", "tests/test_broken.py"});
  EXPECT_EQ(output.ending, Ending::kExited);
  EXPECT_EQ(output.exit_code, 1);
  const auto statuses = Statuses(output);
  const std::string a = "tests/test_a.py::";
  // Not ASCII: as pytest writes it into its own node ids.
  const std::map<std::string, std::string> expected = {{a + "test_pass", "passed"},
                                                       {a + "test_fail", "failure"},
                                                       {a + "test_skip", "skipped"},
                                                       {a + "test_error", "error"},
                                                       {a + "test_many[a::b]", "passed"},
                                                       {a + "test_many[x[0]]", "passed"},
                                                       {a + "test_many[\\xe9\\u4e16]", "passed"},
                                                       {a + "test_many[a/b.py::c]", "passed"},
                                                       {a + "TestOld::test_case", "passed"},
                                                       {"tests/test_broken.py", "error"}};
  EXPECT_EQ(statuses, expected);
  EXPECT_THAT(output.log, HasSubstr("no_such_module"));
  EXPECT_GT(output.cpu_ms, 0);
}

TEST_F(PythonSessionTest, ARunLooksLikePythonDashM) {
  auto session =
      Open({{"src/pkg.py", ""},
            {"test_a.py",
             "import os, sys, subprocess, multiprocessing\n"
             "def test_place():\n"
             "    assert os.getcwd() == '/work' and sys.path[0] == '/work'\n"
             "    assert '/work/src' in sys.path\n"
             "    assert sys.argv[0].endswith('pytest/__main__.py')\n"
             "    assert sys.modules['__main__'].__spec__.name == 'pytest.__main__'\n"
             "    assert os.read(0, 1) == b''\n"
             "def test_environment():\n"
             "    assert os.environ['PYTHONHASHSEED'] == '0'\n"
             "    assert os.environ['TZ'] == 'UTC'\n"
             "    assert open('/proc/self/environ').read()\n"
             "    assert subprocess.run(['python', '-c', 'import pytest']).returncode == 0\n"
             "def double(n): return 2 * n\n"
             "def test_spawn():\n"
             "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
             "        assert pool.map(double, [4]) == [8]\n"}});
  const TestRunOutput output = Run(*session, {});
  EXPECT_EQ(output.exit_code, 0) << output.log;
  EXPECT_EQ(Cases(output).size(), 3U);
  EXPECT_THAT(output.log, Not(HasSubstr("1 passed")));  // nothing of the warming
}

TEST_F(PythonSessionTest, EveryRunStartsFromTheSameFilesWithNothingRunning) {
  auto session =
      Open({{"data.txt", "first"},
            {"test_a.py",
             "import os, pathlib, subprocess, random\n"
             "def test_clean():\n"
             "    assert open('data.txt').read() == 'first'\n"
             "    assert not os.path.exists('new') and not os.path.exists('/tmp/left')\n"
             "    assert 'sleep' not in subprocess.run(['sh', '-c',"
             " 'cat /proc/[0-9]*/comm'], capture_output=True, text=True).stdout\n"
             "def test_dirty():\n"
             "    open('data.txt', 'w').write('second'); open('new', 'w').close()\n"
             "    os.mkdir('/tmp/left'); os.chmod('/tmp/left', 0)\n"
             "    subprocess.Popen(['setsid', 'sleep', '600'])\n"
             "def test_random(): print(); assert random.random() == 0.8444218515250481\n"}});
  for (int i = 0; i < 3; ++i) {
    const TestRunOutput output = Run(*session, {"test_a.py"});
    EXPECT_EQ(output.exit_code, 0) << i << output.log;
    EXPECT_EQ(Cases(output).size(), 3U);
  }
}

TEST_F(PythonSessionTest, AddedFilesAreThereForOneRun) {
  auto session =
      Open({{"test_a.py", "import os\ndef test_a(): assert not os.path.exists('test_b.py')\n"}});
  TestRun run;
  run.files = {"test_b.py"};
  run.added = TreeOf({{"test_b.py", "def test_b(): pass\n"}});
  ASSERT_TRUE(session->Run(run, {}).ok());
  EXPECT_EQ(Run(*session, {"test_a.py"}).exit_code, 0);
}

TEST_F(PythonSessionTest, NamedTestsRunAloneInTheirFile) {
  auto session = Open({{"test_a.py",
                        "import pytest, unittest\n"
                        "def test_other(): assert False\n"
                        "@pytest.mark.parametrize('x', ['a::b', 'c]['])\n"
                        "def test_many(x): pass\n"
                        "class TestOuter:\n"
                        "    class TestInner:\n"
                        "        def test_deep(self): pass\n"
                        "        def test_other(self): assert False\n"
                        "class Old(unittest.TestCase):\n"
                        "    def test_old(self): pass\n"
                        "    def test_other(self): self.fail()\n"},
                       {"test_b.py", "def test_whole(): pass\n"}});
  TestRun run;
  run.files = {"test_a.py", "test_b.py"};
  run.tests = {"test_a.py::test_many[a::b]", "test_a.py::TestOuter::TestInner::test_deep",
               "test_a.py::Old::test_old"};
  auto output = session->Run(run, {});
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  EXPECT_EQ(output->exit_code, 0) << output->log;
  EXPECT_EQ(Cases(*output).size(), 5U) << output->log;  // both parameters, and the other file's
  run.tests = {"test_a.py::what is this?"};             // no function's name: the whole file
  output = session->Run(run, {});
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  EXPECT_EQ(Cases(*output).size(), 8U) << output->log;
}

TEST_F(PythonSessionTest, ClassesAreFoundInTheirSourceAsInspectFindsThem) {
  auto session = Open({{"plain.py", "import inspect\n\n\nclass Plain:\n    pass\n"},
                       {"test_a.py",
                        "import importlib, inspect, os, subprocess, sys\n"
                        "import plain\n"
                        "def keep(cls): return cls\n"
                        "class A:\n"
                        "    @keep\n"
                        "    class B: pass\n"
                        "def make():\n"
                        "    class C: pass\n"
                        "    return C\n"
                        "if sys.flags.debug:\n"
                        "    class Twice: pass\n"
                        "else:\n"
                        "    class Twice: pass\n"
                        "exec('class Nowhere: pass')\n"
                        "def line(cls):\n"
                        "    try: return inspect.findsource(cls)[1]\n"
                        "    except (OSError, TypeError) as error: return type(error).__name__\n"
                        "def test_lines():\n"
                        "    code = 'import test_a as t\\nprint([t.line(c) for c in '\n"
                        "    code += '(t.A, t.A.B, t.make(), t.Twice, t.Nowhere, int)])'\n"
                        "    plainly = subprocess.check_output([sys.executable, '-c', code])\n"
                        "    here = [line(c) for c in (A, A.B, make(), Twice, Nowhere, int)]\n"
                        "    assert eval(plainly) == here\n"
                        "    assert here[:3] == [3, 4, 7] and here[5] == 'TypeError'\n"
                        "def test_a_file_that_changes():\n"
                        "    assert inspect.findsource(plain.Plain)[1] == 3\n"
                        "    with open('plain.py', 'w') as file: file.write('class Plain: pass')\n"
                        "    importlib.reload(plain)\n"
                        "    assert inspect.findsource(plain.Plain)[1] == 0\n"}});
  const TestRunOutput output = Run(*session, {"test_a.py"});
  EXPECT_EQ(output.exit_code, 0) << output.log;
  EXPECT_EQ(Cases(output).size(), 2U);
}

TEST_F(PythonSessionTest, ShufflingChangesTheOrderAndNothingElse) {
  std::map<std::string, std::string> files;
  for (const char* name : {"a", "b", "c", "d"}) {
    std::string text = "class TestX:\n";
    for (int i = 0; i < 5; ++i) text += "    def test_" + std::to_string(i) + "(self): pass\n";
    for (int i = 0; i < 5; ++i) text += "def test_" + std::to_string(i) + "(): pass\n";
    files["test_" + std::string(name) + ".py"] = text;
  }
  auto session = Open(files);
  std::vector<std::vector<std::string>> orders;
  for (const std::optional<uint64_t> seed : std::vector<std::optional<uint64_t>>{{}, 7, 7, 8}) {
    std::vector<std::string> order;
    for (const Case& found : Cases(Run(*session, {}, 60'000, seed))) order.push_back(found.id);
    ASSERT_EQ(order.size(), 40U);
    orders.push_back(order);
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_EQ(orders[1], orders[2]);
  EXPECT_NE(orders[1], orders[3]);
  // A module's tests, and a class's, stay together.
  std::set<std::string> closed;
  std::string last;
  for (const std::string& id : orders[1]) {
    const std::string module = id.substr(0, id.find("::"));
    if (module != last) {
      EXPECT_TRUE(closed.insert(module).second) << id;
    }
    last = module;
  }
  for (auto& order : orders) std::sort(order.begin(), order.end());
  EXPECT_EQ(orders[0], orders[1]);
}

TEST_F(PythonSessionTest, WhateverTheCodeDoesIsAResultAndTheNextRunIsSound) {
  auto session = Open(
      {{"test_ok.py", "def test_ok(): pass\n"},
       {"test_hang.py", "import time\ndef test_hang(): time.sleep(600)\n"},
       {"test_crash.py", "import os, signal\ndef test_c(): os.kill(os.getpid(), signal.SIGSEGV)\n"},
       {"test_exit.py", "import os\ndef test_exit(): os._exit(0)\n"},
       {"test_killer.py", "import os\ndef test_k(): os.kill(os.getppid(), 9); os._exit(0)\n"},
       {"test_stop.py", "import os\ndef test_s(): os.kill(os.getppid(), 19); os._exit(0)\n"},
       {"test_all.py", "import os\ndef test_all(): os.kill(-1, 9)\n"},
       {"test_fork.py", "import os\ndef test_fork():\n    while True:\n        os.fork()\n"},
       {"test_write.py",
        "def test_write():\n    with open('big', 'wb') as f:\n"
        "        for _ in range(10 * 1024): f.write(bytes(1 << 20))\n"},
       {"test_print.py",
        "def test_print():\n    for _ in range(9000): print('x' * 1000)\n"
        "    assert False\n"}});
  const auto check = [&](const char* file, int64_t wall_ms_max) {
    const TestRunOutput output = Run(*session, {file}, wall_ms_max);
    EXPECT_EQ(Run(*session, {"test_ok.py"}).exit_code, 0) << "after " << file;
    return output;
  };
  TestRunOutput output = check("test_hang.py", 2'000);
  EXPECT_EQ(output.ending, Ending::kWallTime);
  EXPECT_FALSE(output.junit_xml);
  output = check("test_crash.py", 30'000);
  EXPECT_EQ(output.ending, Ending::kSignalled);
  EXPECT_EQ(output.signal, 11);
  EXPECT_FALSE(output.junit_xml);
  output = check("test_exit.py", 30'000);
  EXPECT_EQ(output.exit_code, 0);
  EXPECT_FALSE(output.junit_xml);
  EXPECT_NE(check("test_killer.py", 30'000).ending, Ending::kExited);
  EXPECT_EQ(check("test_stop.py", 2'000).ending, Ending::kWallTime);
  check("test_all.py", 30'000);
  check("test_fork.py", 4'000);
  output = check("test_write.py", 60'000);
  EXPECT_NE(output.exit_code, 0);
  EXPECT_THAT(output.log, testing::AnyOf(HasSubstr("No space left"), HasSubstr("File too large")));
  output = check("test_print.py", 60'000);
  EXPECT_LT(output.log.size(), 300U << 10);
  EXPECT_THAT(output.log, HasSubstr("cut"));
}

TEST_F(PythonSessionTest, TheRunnersPipeIsOutOfReach) {
  auto session = Open({{"test_a.py",
                        "import os\n"
                        "def test_pipe():\n"
                        "    parent = os.getppid()\n"
                        "    for what in ('fd', 'environ', 'mem', 'maps'):\n"
                        "        try:\n"
                        "            path = '/proc/%d/%s' % (parent, what)\n"
                        "            os.listdir(path) if what == 'fd' else open(path, 'rb')\n"
                        "        except PermissionError:\n"
                        "            continue\n"
                        "        assert False, what\n"
                        "    for name in os.listdir('/proc/self/fd'):\n"
                        "        try:\n"
                        "            assert 'pipe' not in os.readlink('/proc/self/fd/' + name)\n"
                        "            assert 'socket' not in os.readlink('/proc/self/fd/' + name)\n"
                        "        except FileNotFoundError:\n"
                        "            pass\n"}});
  const TestRunOutput output = Run(*session, {"test_a.py"});
  EXPECT_EQ(output.exit_code, 0) << output.log;
}

TEST_F(PythonSessionTest, AnswersThatAreNotTheRunnersAreNoVerdict) {
  // Imported before the runner has hidden its pipe.
  auto session =
      Open({{"test_a.py", "def test_a(): pass\n"},
            {"src/sitecustomize.py", "import os\nos.write(1, b'{}\\n{\"signal\": \"x\"}\\n')\n"}});
  TestRun run;
  run.files = {"test_a.py"};
  const auto output = session->Run(run, {});
  ASSERT_FALSE(output.ok());
  EXPECT_EQ(output.status().boundary(), Boundary::kSandbox);
  EXPECT_THAT(output.status().message(), HasSubstr("answers nonsense"));
}

TEST_F(PythonSessionTest, ARunThatTheMachinesWantOfMemoryKilledIsNoVerdict) {
  sandbox::ForwardingHost<StarvedSandbox> host(*host_);
  auto session = PythonUnderTest().OpenSession(
      host, environment_, built_,
      TreeOf({{"test_a.py", "import os\ndef test_a(): os.kill(os.getpid(), 9)\n"}}), {});
  ASSERT_TRUE(session.ok()) << session.status().ToString();
  TestRun run;
  run.files = {"test_a.py"};
  const auto output = (*session)->Run(run, {});
  ASSERT_FALSE(output.ok());
  EXPECT_TRUE(output.status().transient());
  EXPECT_EQ(output.status().boundary(), Boundary::kSandbox);
  EXPECT_THAT(output.status().message(), HasSubstr("out of memory"));
}

TEST_F(PythonSessionTest, AStateThatDoesNotFitIsAResultWithoutAReport) {
  environment_.mutable_limits()->set_disk_bytes_max(4 << 20);
  auto session =
      Open({{"test_a.py", "def test_a(): pass\n"}, {"big.bin", std::string(8 << 20, 'x')}});
  ASSERT_NE(session, nullptr);
  for (int i = 0; i < 2; ++i) {
    const TestRunOutput output = Run(*session, {"test_a.py"});
    EXPECT_EQ(output.ending, Ending::kExited);
    EXPECT_FALSE(output.junit_xml);
    EXPECT_THAT(output.log, HasSubstr("do not fit"));
  }
  // One that leaves no room for what the verifier adds.
  session = Open({{"test_a.py", "def test_a(): pass\n"},
                  {"big.bin", std::string((4 << 20) - (64 << 10), 'x')}});
  ASSERT_NE(session, nullptr);
  TestRun run;
  run.files = {"test_a.py"};
  ASSERT_TRUE(run.added.Set("test_b.py", RegularFile(std::string(1 << 20, '#'))).ok());
  const auto output = session->Run(run, {});
  ASSERT_TRUE(output.ok()) << output.status().ToString();
  EXPECT_FALSE(output->junit_xml);
}

TEST_F(PythonSessionTest, AReportThatIsNoFileIsNoReport) {
  auto session = Open({{"test_a.py",
                        "import os, sys\n"
                        "def test_link():\n"
                        "    path = [a for a in sys.argv if a.startswith('--junitxml=')][0][11:]\n"
                        "    os.makedirs(os.path.dirname(path), exist_ok=True)\n"
                        "    os.symlink('/etc/passwd', path)\n"
                        "    os._exit(1)\n"
                        "def test_pipe():\n"
                        "    path = [a for a in sys.argv if a.startswith('--junitxml=')][0][11:]\n"
                        "    os.mkfifo(path)\n"
                        "    os._exit(1)\n"}});
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(Run(*session, {"test_a.py"}).junit_xml);
}

TEST_F(PythonSessionTest, WhatNeedsTheProjectItselfIsLoadedInTheRun) {
  // Plugins of the environment import the package under test, at once or if it is there.
  const auto add = [site = SitePackages()](const std::string& name, const std::string& source) {
    std::filesystem::create_directories(site + "/" + name + "-1.dist-info");
    std::ofstream(site + "/" + name + ".py") << source;
    std::ofstream(site + "/" + name + "-1.dist-info/METADATA")
        << "Name: " << name << "\nVersion: 1\n";
    std::ofstream(site + "/" + name + "-1.dist-info/entry_points.txt")
        << "[pytest11]\n"
        << name << " = " << name << "\n";
  };
  add("needy", "import pkg\ndef pytest_report_header(): return 'needy ' + pkg.SAYS\n");
  add("polite", "import midway\ndef pytest_report_header(): return 'polite ' + midway.SAYS\n");
  std::ofstream(SitePackages() + "/midway.py")
      << "try: from pkg import SAYS\nexcept ImportError: SAYS = 'nothing'\n";
  auto session = Open({{"src/pkg.py", "SAYS = 'from the repository'\n"},
                       {"test_a.py", "import pkg\ndef test_a(): assert pkg.SAYS\n"}});
  for (int i = 0; i < 2; ++i) {
    const TestRunOutput output = Run(*session, {"test_a.py"});
    EXPECT_EQ(output.exit_code, 0);
    EXPECT_THAT(output.log, HasSubstr("needy from the repository"));
    EXPECT_THAT(output.log, HasSubstr("polite from the repository"));
  }
}

TEST_F(PythonSessionTest, GeneratedTestsDrawTheSameInEveryRunWithoutADeadline) {
  Unpack({"hypothesis", "sortedcontainers"});
  const std::string tables =  // as the build leaves them
      "PYTHONPATH='" + SitePackages() + "' /usr/bin/python3 -c \"" +
      "from hypothesis import configuration\n" + "configuration.set_hypothesis_home_dir('" +
      folder_.path() + "/share/hypothesis')\n" +
      "from hypothesis.internal import charmap\n"
      "charmap.charmap(); charmap.intervals_from_codec('utf-8')\"";
  ASSERT_EQ(std::system(tables.c_str()), 0);
  const std::map<std::string, std::string> files = {
      {"src/pkg.py", "ONE = 1\n"},
      {"test_a.py",
       "import time\n"
       "from hypothesis import given, settings, strategies\n"
       "drawn = []\n"
       "@given(strategies.integers(), strategies.text())\n"
       "def test_draws(number, text): drawn.append((number, text))\n"
       "def test_says_what(): assert False, 'drawn: %r' % drawn\n"
       "@settings(max_examples=2)\n"
       "@given(strategies.booleans())\n"
       "def test_slow(value): time.sleep(0.3)\n"}};
  std::set<std::string> said;
  for (int sessions = 0; sessions < 2; ++sessions) {
    auto session = Open(files);
    for (int runs = 0; runs < 2; ++runs) {
      const TestRunOutput output = Run(*session, {"test_a.py"});
      EXPECT_EQ(Statuses(output)["test_a.py::test_draws"], "passed") << output.log;
      EXPECT_EQ(Statuses(output)["test_a.py::test_slow"], "passed") << output.log;
      const std::string xml = output.junit_xml.value_or("");
      const size_t at = xml.find("drawn: [(");
      ASSERT_NE(at, std::string::npos) << xml;
      said.insert(xml.substr(at, xml.find('"', at) - at));
    }
  }
  EXPECT_EQ(said.size(), 1);
}

TEST_F(PythonSessionTest, TheTestCommandsArgumentsCount) {
  const std::map<std::string, std::string> files = {
      {"test_a.py", "def test_one(): pass\ndef test_two(): pass\n"},
      {"test_b.py", "def test_one(): pass\n"},
      {"pytest.ini", "[pytest]\naddopts = --no-such-option\n"}};
  environment_.set_test_command("python -m pytest -k one test_b.py");
  auto session = Open(files);
  EXPECT_EQ(Cases(Run(*session, {"test_a.py"})).size(), 2U) << "a named file is run whole";
  EXPECT_EQ(Statuses(Run(*session, {})).count("test_b.py::test_one"), 1U);
  environment_.set_test_command("python -m pytest -x -k one");
  EXPECT_EQ(Cases(Run(*Open(files), {})).size(), 2U) << "the whole suite is what -k selects";

  environment_.set_test_command("echo begun && cd /work && python -m pytest test_a.py; exit 7");
  session = Open(files);
  for (int i = 0; i < 2; ++i) {
    const TestRunOutput output = Run(*session, {});
    EXPECT_EQ(output.exit_code, 7);
    EXPECT_THAT(output.log, HasSubstr("begun"));
    EXPECT_EQ(Cases(output).size(), 2U);
  }
}

TEST_F(PythonSessionTest, SentinelsDoWhatTheyWereDrawnFor) {
  const std::map<std::string, std::string> tests = {
      {"tests/test_make.py",
       "class TestMake:\n    def test_make_default(self): pass\ndef test_empty_order(): pass\n"},
      {"checks/parse_test.py", "def test_parse_nested(): pass\n"}};
  auto session = Open(tests);
  const FileTree overlay = TreeOf(tests);
  std::set<std::string> drawn;
  for (uint64_t draw = 0; draw < 12; ++draw) {
    TestRun run;
    std::map<std::string, std::string> expected;
    for (const SentinelFile& sentinel : PythonUnderTest().DrawSentinels(
             overlay, {"tests/test_make.py", "checks/parse_test.py"}, draw)) {
      EXPECT_TRUE(PythonUnderTest().IsTestFile(sentinel.path)) << sentinel.path;
      EXPECT_TRUE(drawn.insert(sentinel.path + sentinel.content).second);
      EXPECT_THAT(sentinel.content, Not(HasSubstr("sentinel")));
      ASSERT_TRUE(run.added.Set(sentinel.path, RegularFile(sentinel.content)).ok());
      ASSERT_TRUE(tree_.Set(sentinel.path, RegularFile(sentinel.content)).ok());
      run.files.push_back(sentinel.path);
      for (const auto& [id, status] : sentinel.expected) {
        expected[id] = status == "failed" ? "failure" : status;
      }
    }
    auto output = session->Run(run, {});
    ASSERT_TRUE(output.ok());
    EXPECT_EQ(output->exit_code, 1);
    EXPECT_EQ(Statuses(*output), expected) << run.added.files().begin()->second.content->c_str();
    std::set<std::string> kinds;
    for (const auto& [id, status] : expected) kinds.insert(status);
    EXPECT_EQ(kinds, (std::set<std::string>{"passed", "failure", "error", "skipped"}));
  }
}

}  // namespace
}  // namespace taskmint::environments
