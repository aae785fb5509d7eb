// The exported grader decides as Grade does, whatever is done to it.
#include "verifier/portable_grader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/verifier/portable_bench.h"

namespace taskmint::verifier {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string StateName(v1::Verdict::State state) {
  switch (state) {
    case v1::Verdict::STATE_PASS:
      return "pass";
    case v1::Verdict::STATE_FAIL:
      return "fail";
    case v1::Verdict::STATE_FORGED:
      return "forged";
    default:
      return "none";
  }
}

std::string StatusName(v1::TestStatus status) {
  switch (status) {
    case v1::TEST_STATUS_PASSED:
      return "passed";
    case v1::TEST_STATUS_FAILED:
      return "failed";
    case v1::TEST_STATUS_ERROR:
      return "error";
    case v1::TEST_STATUS_SKIPPED:
      return "skipped";
    default:
      return "missing";
  }
}

std::map<std::string, std::string> StatusesOf(const v1::Verdict& verdict) {
  std::map<std::string, std::string> statuses;
  for (const auto& test : verdict.tests()) statuses[test.id()] = StatusName(test.status());
  return statuses;
}

class PortableContractTest : public PortableTest {
 protected:
  // The same state through both.
  void ExpectAgreement(const std::string& name, const FileTree& tree) {
    SCOPED_TRACE(name);
    const v1::Verdict here = GradeTree(tree);
    const PortableRun there = RunGrader(tree);
    EXPECT_EQ(there.exit_code, 0) << there.reason;
    EXPECT_EQ(there.verdict, StateName(here.state()))
        << "here: " << here.reason() << "\nthere: " << there.reason << "\n"
        << there.log;
    EXPECT_EQ(there.reward, here.score()) << there.reason;
    EXPECT_EQ(there.reward_txt, here.score() > 0 ? "1\n" : "0\n");
    EXPECT_EQ(there.forged, here.state() == v1::Verdict::STATE_FORGED ? 1 : 0);
    if (here.state() == v1::Verdict::STATE_FORGED) return;  // what is said there is not believed
    EXPECT_EQ(there.tests, StatusesOf(here));
  }
};

TEST_F(PortableContractTest, TheFixPassesAndDoingNothingFailsAsHere) {
  ExpectAgreement("gold", proposal_.gold_tree);
  ExpectAgreement("null", proposal_.parent_tree);
  ExpectAgreement("empty", FileTree());
  const PortableRun gold = RunGrader(proposal_.gold_tree);
  EXPECT_EQ(gold.f2p_rate, 1.0);
  EXPECT_EQ(gold.p2p_rate, 1.0);
  EXPECT_GT(gold.doctored, 0);
  EXPECT_EQ(gold.runs, 2);
  const PortableRun null = RunGrader(proposal_.parent_tree);
  EXPECT_EQ(null.f2p_rate, 0.0);
  EXPECT_EQ(null.p2p_rate, 1.0);
  EXPECT_EQ(null.reason, "1 of 3 tests did not pass: tests/test_clamp.py::test_high");
  EXPECT_EQ(null.runs, 1);
}

TEST_F(PortableContractTest, EveryCheaterIsJudgedAsHere) {
  const GradingBench bench = Bench();
  std::vector<std::string> ids;
  const v1::TestVerifier expected = Expected();
  for (const auto* list : {&expected.fail_to_pass(), &expected.pass_to_pass()}) {
    ids.insert(ids.end(), list->begin(), list->end());
  }
  const auto cheaters = bench.driver.Cheaters({proposal_.parent_tree,
                                               proposal_.gold_tree,
                                               proposal_.overlay,
                                               ids,
                                               {"tests/test_clamp.py"}});
  ASSERT_GT(cheaters.size(), 25U);
  for (const auto& cheater : cheaters) {
    // Whether one is found lying or only failing is in part a matter of what is drawn for a run.
    std::set<std::string> here, there;
    std::string reasons;
    for (int draw = 0; draw < 4; ++draw) {
      const v1::Verdict verdict = GradeTree(cheater.tree);
      const PortableRun run = RunGrader(cheater.tree);
      EXPECT_EQ(run.exit_code, 0) << cheater.name << ": " << run.reason;
      EXPECT_EQ(run.reward, 0) << cheater.name;
      EXPECT_EQ(verdict.score(), 0) << cheater.name;
      here.insert(StateName(verdict.state()));
      there.insert(run.verdict);
      reasons += "\nhere: " + verdict.reason() + "\nthere: " + run.reason;
      if (here.count(run.verdict) > 0 || there.count(StateName(verdict.state())) > 0) break;
    }
    EXPECT_TRUE(std::any_of(here.begin(), here.end(),
                            [&](const std::string& verdict) { return there.count(verdict) > 0; }))
        << cheater.name << reasons;
  }
}

TEST_F(PortableTest, WhatAnAgentLeavesIsNeitherFollowedNorTrusted) {
  const FileTree gold = proposal_.gold_tree;
  // Links out of the tree, special files, what cannot be read, deep folders, strange names.
  const PortableRun odd = RunGrader(
      gold, "",
      "cd /work && ln -s /etc/passwd link && ln -s / root && ln -s loop loop && mkfifo pipe && "
      "mkdir closed && echo x > closed/file && chmod 000 closed/file closed && "
      "echo x > \"$(printf 'n\\303')\" && echo x > 'new\nline' && "
      "python3 -c \"import os, socket; socket.socket(socket.AF_UNIX).bind('socket'); "
      "[(os.mkdir('d'), os.chdir('d')) for _ in range(900)]\"");
  EXPECT_EQ(odd.verdict, "pass") << odd.reason << odd.log;
  // Over a limit: the agent's own fault, and a reward of 0.
  for (const char* flood : {"python3 -c \"import os; os.chdir('/work'); "
                            "[(os.mkdir('d' * 200), os.chdir('d' * 200)) for _ in range(30)]\"",
                            "cd /work && truncate -s 600M a && truncate -s 600M b"}) {
    const PortableRun run = RunGrader(gold, "", flood);
    EXPECT_EQ(run.exit_code, 0) << run.reason;
    EXPECT_EQ(run.verdict, "fail") << flood;
    EXPECT_THAT(run.reason, HasSubstr("more than")) << flood;
    EXPECT_EQ(run.reward_txt, "0\n");
  }
}

// What an agent left is at fault, not the machine: a 0, never no verdict.
TEST_F(PortableTest, AWorkFolderThatIsNoneIsAFail) {
  FileTree grader = Grader();
  std::string spec = *grader.Find("spec.json")->content;
  const size_t at = spec.find("\"/work\"");
  ASSERT_NE(at, std::string::npos);
  ASSERT_TRUE(grader.Set("spec.json", RegularFile(spec.replace(at, 7, "\"/logs/place\""))).ok());
  for (const char* before : {"echo x > /logs/place", "ln -s /work /logs/place",
                             "mkfifo /logs/place", "ln -s nowhere /logs/place"}) {
    const auto opened = Open(proposal_.gold_tree, grader);
    ASSERT_NE(opened, nullptr);
    const PortableRun run = RunIn(*opened, "--state /logs/place", before);
    EXPECT_EQ(run.exit_code, 0) << before << run.reason;
    EXPECT_EQ(run.verdict, "fail") << before;
    EXPECT_EQ(run.reward_txt, "0\n") << before;
    EXPECT_EQ(run.reason, "the state is no folder") << before;
  }
}

TEST_F(PortableTest, ForgedRewardsGoFirstAndABrokenMachineLeavesNone) {
  const std::string forged =
      "mkdir -p /logs/verifier/reward.txt /tmp/rllm && echo '{\"reward\": 1}' | "
      "tee /logs/verifier/reward.json /tmp/rllm/reward.json >/logs/verifier/report.json";
  const PortableRun null = RunGrader(proposal_.parent_tree, "; ls /tmp/rllm", forged);
  EXPECT_EQ(null.verdict, "fail") << null.reason;
  EXPECT_EQ(null.reward, 0);
  EXPECT_EQ(null.reward_txt, "0\n");
  EXPECT_THAT(null.output, Not(HasSubstr("reward.json")));
  // No layer, no data, no state: no verdict, never a 0.
  built_.layers.clear();
  for (const std::string& broken :
       {std::string("true"), std::string("rm /tests/overlay.json"),
        std::string("rm -r /tests/grader/programs"), std::string("echo '{}' >/tests/spec.json")}) {
    const PortableRun run = RunGrader(proposal_.gold_tree, "", forged + " && " + broken);
    EXPECT_EQ(run.exit_code, 3) << broken;
    EXPECT_THAT(run.error_output, StartsWith("no verdict: ")) << broken;
    EXPECT_EQ(std::count(run.error_output.begin(), run.error_output.end(), '\n'), 1) << broken;
    EXPECT_EQ(run.reward_txt, "") << broken;
    EXPECT_EQ(run.reward, -1) << broken;
    EXPECT_EQ(run.verdict, "none") << broken;
  }
}

TEST_F(PortableTest, NothingOfARunOutlivesIt) {
  // Daemons that wait for the reward, and notes for the run that comes after.
  const std::string daemon =
      "import os, time\n"
      "if os.path.exists('/tmp/note') or os.path.exists('/dev/shm/note'):\n"
      "    import _pytest.reports as r\n"
      "    make = r.TestReport.from_item_and_call.__func__\n"
      "    def lie(cls, item, call):\n"
      "        report = make(cls, item, call)\n"
      "        report.outcome, report.longrepr = 'passed', None\n"
      "        return report\n"
      "    r.TestReport.from_item_and_call = classmethod(lie)\n"
      "for place in ('/tmp/note', '/dev/shm/note', '/logs/note'):\n"
      "    try:\n        open(place, 'w').close()\n"
      "    except OSError:\n        pass\n"
      "if os.fork() == 0:\n"
      "    os.setsid()\n"
      "    if os.fork() == 0:\n"
      "        os.setsid()\n"
      "        for _ in range(3000):\n"
      "            time.sleep(0.01)\n"
      "            for name in ('reward.json', 'reward.txt'):\n"
      "                try:\n"
      "                    open('/logs/verifier/' + name, 'w').write('{\"reward\": 7}')\n"
      "                except OSError:\n                    pass\n"
      "    os._exit(0)\n";
  FileTree gold = proposal_.gold_tree;
  const std::string text = *gold.Find("bounds/clamp.py")->content + "\n" + daemon;
  ASSERT_TRUE(gold.Set("bounds/clamp.py", RegularFile(text)).ok());
  const PortableRun run = RunGrader(gold, "; sleep 0.3; ls /tmp /dev/shm /logs; ps ax | wc -l");
  EXPECT_EQ(run.verdict, "pass") << run.reason << run.log;
  EXPECT_EQ(run.reward_txt, "1\n");
  EXPECT_EQ(run.reward, 1);
  EXPECT_THAT(run.output, Not(HasSubstr("note")));
  EXPECT_THAT(run.left, ElementsAre("report.json", "reward.json", "reward.txt", "tests.log"));
}

TEST_F(PortableTest, HangingAndFloodingFailAndSayHow) {
  const std::pair<const char*, const char*> runs[] = {
      {"while True: pass\n", "ran past 4 s"},
      {"import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "SIGSEGV"},
      {"import os\n"
       "for fd in os.listdir('/proc/self/fd'):\n"
       "    while os.path.exists('/proc/self/fd/' + fd) and "
       "'/log-' in os.readlink('/proc/self/fd/' + fd):\n"
       "        os.write(int(fd), b'x' * 100000)\n",
       "wrote more output than allowed"},
  };
  for (const auto& [code, reason] : runs) {
    const PortableRun run = RunGrader(WithCode(code), "", "export TASKMINT_WALL_MS_MAX=4000");
    EXPECT_EQ(run.verdict, "fail") << code;
    EXPECT_THAT(run.reason, HasSubstr(reason));
    EXPECT_EQ(run.reward_txt, "0\n");
    EXPECT_LT(run.log.size(), 300'000U);
  }
}

TEST_F(PortableTest, LinesForParsersAreTheGradersOwn) {
  // What the code under test prints is no line of ours.
  const PortableRun null =
      RunGrader(WithCode("_clamp = clamp\n\n\ndef clamp(*values):\n"
                         "    print('\\nPASSED tests/test_clamp.py::test_high')\n"
                         "    return _clamp(*values)\n"),
                "--pytest-lines");
  EXPECT_EQ(null.exit_code, 1);
  EXPECT_EQ(null.output,
            "FAILED tests/test_clamp.py::test_high\nPASSED tests/test_clamp.py::test_low\n"
            "PASSED tests/test_clamp.py::test_within\n");
  EXPECT_NE(null.log.find("\nPASSED tests/test_clamp.py::test_high"), std::string::npos);
  const PortableRun gold = RunGrader(proposal_.gold_tree, "--pytest-lines");
  EXPECT_EQ(gold.exit_code, 0);
  EXPECT_THAT(gold.output, HasSubstr("PASSED tests/test_clamp.py::test_high\n"));
  const PortableRun forged = RunGrader(WithCode("import os\nos._exit(0)\n"), "--pytest-lines");
  EXPECT_EQ(forged.exit_code, 1);
  EXPECT_THAT(forged.output, Not(HasSubstr("PASSED")));
}

TEST(PortableGraderTest, IdsAreOneWordForParsers) {
  EXPECT_EQ(PytestLineId("a.py::t[x]"), "a.py::t[x]");
  EXPECT_EQ(PytestLineId("a.py::t[a b\tc\nd]"), "a.py::t[a%20b%09c%0Ad]");
  EXPECT_EQ(PytestLineId("t[\xC2\xA0\xE2\x80\x83\xC3\xA9\xF0\x9F\x98\x80%20]"),
            "t[%C2%A0%E2%80%83\xC3\xA9\xF0\x9F\x98\x80%20]");
}

TEST_F(PortableTest, ItsFilesCanBeReadBack) {
  proposal_.removed_paths = {"tests/old\xff.py"};
  ASSERT_TRUE(
      proposal_.overlay.Set("tests/data\xc3/x.bin", RegularFile(std::string("\0\xff", 2))).ok());
  FileTree files = Grader();
  const auto task = ReadPortableGrader(files);
  ASSERT_TRUE(task.ok()) << task.status().ToString();
  EXPECT_TRUE(task->overlay == proposal_.overlay);
  EXPECT_EQ(task->driver, "python");
  EXPECT_EQ(task->work_path, "/work");
  EXPECT_EQ(task->wall_ms_max, 60'000);
  v1::TestVerifier expected = Expected();
  expected.add_removed_paths("tests/old\xff.py");
  EXPECT_EQ(task->expected.SerializeAsString(), expected.SerializeAsString());
  for (const char* text : {"", "[]", "{", "{\"files\": [{}]}",
                           "{\"files\": [{\"kind\": \"file\", "
                           "\"path\": \"../x\", \"content\": \"\"}]}"}) {
    ASSERT_TRUE(files.Set("overlay.json", RegularFile(text)).ok());
    EXPECT_EQ(ReadPortableGrader(files).status().code(), Code::kInvalidArgument) << text;
  }
}

TEST_F(PortableTest, AnotherLanguageSaysThatItHasNone) {
  v1::Task task = Task();
  task.mutable_environment()->mutable_repository()->set_driver("cobol");
  const auto files = PortableGraderFiles(task, {}, {});
  EXPECT_EQ(files.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(files.status().message(), HasSubstr("cobol"));
}

}  // namespace
}  // namespace taskmint::verifier
