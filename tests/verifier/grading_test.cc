#include "verifier/grading.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "proto/base/digest.h"
#include "tests/verifier/fake_driver.h"

namespace taskmint::verifier {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Trust = Observation::Trust;

class GradingTest : public testing::Test {
 protected:
  GradingTest() {
    expected_.add_fail_to_pass("tests/a.t::target");
    expected_.add_error_to_pass("tests/a.t::imported");
    expected_.add_pass_to_pass("tests/a.t::always");
    expected_.add_unjudged("tests/a.t::skip");
    expected_.add_graded_files("tests/a.t");
  }

  GradingBench Bench() const {
    return {driver_, host_, {}, {}, Tree({{"tests/a.t", kTests}}), {"tests/deleted.t"}, {}};
  }
  v1::Verdict GradeSource(const std::string& source) const {
    return Grade(Bench(), expected_, Tree({{"src/a", source}}), {}).verdict;
  }
  // Unjudged: what the run itself says.
  Observation ObserveSource(const std::string& source) const {
    const GradingBench bench = Bench();
    Observer observer(bench, Tree({{"src/a", source}}));
    return observer.Observe({"tests/a.t"}, std::nullopt, 2'500, {});
  }

  static constexpr char kTests[] =
      "target: needs FIX\nimported: import FIX\nalways: passed\nskip: skipped\n";
  FakeDriver driver_;
  mutable NoSandboxHost host_;
  v1::TestVerifier expected_;
};

TEST_F(GradingTest, TheFixPassesWithEveryExpectedTestNamed) {
  const v1::Verdict verdict = GradeSource("FIX");
  EXPECT_EQ(verdict.state(), v1::Verdict::STATE_PASS);
  EXPECT_EQ(verdict.score(), 1);
  ASSERT_EQ(verdict.tests_size(), 3);
  EXPECT_EQ(verdict.tests(0).id(), "tests/a.t::always");
  EXPECT_EQ(verdict.tests(0).role(), "pass-to-pass");
  EXPECT_EQ(verdict.tests(1).role(), "error-to-pass");
  EXPECT_EQ(verdict.tests(2).role(), "fail-to-pass");
  EXPECT_TRUE(IsDigest(verdict.digest()));
  EXPECT_EQ(verdict.cpu_ms(), 10);  // with its twin
}

TEST_F(GradingTest, DoingNothingFailsAndSaysWhichTestsDidNotPass) {
  const v1::Verdict verdict = GradeSource("nothing");
  EXPECT_EQ(verdict.state(), v1::Verdict::STATE_FAIL);
  EXPECT_EQ(verdict.score(), 0);
  EXPECT_EQ(verdict.reason(), "2 of 3 tests did not pass: tests/a.t::imported, tests/a.t::target");
  EXPECT_EQ(verdict.components(0).value(), 0);
  EXPECT_EQ(verdict.components(2).value(), 1);
}

TEST_F(GradingTest, EqualRunsHaveEqualDigestsAndOthersDoNot) {
  EXPECT_EQ(GradeSource("FIX").digest(), GradeSource("FIX").digest());
  EXPECT_NE(GradeSource("FIX").digest(), GradeSource("FIX ").digest());
  EXPECT_NE(GradeSource("FIX").digest(), GradeSource("").digest());
}

TEST_F(GradingTest, AMisreportedSentinelIsForgery) {
  const v1::Verdict verdict = GradeSource("FORGE_ALL");
  EXPECT_EQ(verdict.state(), v1::Verdict::STATE_FORGED);
  EXPECT_EQ(verdict.score(), 0);
  EXPECT_THAT(verdict.reason(), HasSubstr("reported passed"));
}

TEST_F(GradingTest, WithoutTheSentinelsTheForgerWouldPass) {
  Observation observation = ObserveSource("FORGE_ALL");
  EXPECT_EQ(observation.trust, Trust::kForged);
  observation.trust = Trust::kTrusted;
  EXPECT_EQ(Judge(observation, expected_, "").state(), v1::Verdict::STATE_PASS);
}

TEST_F(GradingTest, AForgerByNameIsFoundByTheTwinAndPassesWithoutIt) {
  const v1::Verdict verdict = GradeSource("FORGE_NAMED");
  EXPECT_EQ(verdict.state(), v1::Verdict::STATE_FORGED);
  EXPECT_EQ(verdict.score(), 0);
  EXPECT_EQ(verdict.components(0).value(), 0);
  EXPECT_THAT(verdict.reason(), HasSubstr("made to fail was reported passed"));
  const FileTree forger = Tree({{"src/a", "FORGE_NAMED"}});
  EXPECT_EQ(Grade(Bench(), expected_, forger, {}, {Depth::kOneRun}).verdict.state(),
            v1::Verdict::STATE_PASS);
  driver_.can_doctor = false;
  EXPECT_EQ(GradeSource("FORGE_NAMED").state(), v1::Verdict::STATE_PASS);
}

TEST_F(GradingTest, TheTwinOfAPassIsOneMoreRunInAFreshSandbox) {
  const GradeResult pass = Grade(Bench(), expected_, Tree({{"src/a", "FIX"}}), {});
  EXPECT_EQ(pass.verdict.state(), v1::Verdict::STATE_PASS) << pass.verdict.reason();
  EXPECT_EQ(pass.runs, 2);
  EXPECT_EQ(driver_.opened, 2);
  const GradeResult fail = Grade(Bench(), expected_, Tree({{"src/a", ""}}), {});
  EXPECT_EQ(fail.runs, 1);
  EXPECT_EQ(driver_.opened, 3);
}

TEST_F(GradingTest, FilesWithTargetsRunFirstAndTheOthersOnlyWhenThosePass) {
  GradingBench bench = Bench();
  bench.overlay = Tree({{"tests/a.t", kTests}, {"tests/b.t", "other: without BUG\n"}});
  expected_.add_pass_to_pass("tests/b.t::other");
  expected_.add_graded_files("tests/b.t");
  const GradeOptions options{Depth::kOneRun, 0, First::kTargetFiles};
  const auto grade = [&](const std::string& source) {
    return Grade(bench, expected_, Tree({{"src/a", source}}), {}, options);
  };
  const auto ran_other = [&] {
    return std::count(driver_.last_files.begin(), driver_.last_files.end(), "tests/b.t");
  };
  EXPECT_EQ(grade("nothing").verdict.state(), v1::Verdict::STATE_FAIL);
  EXPECT_EQ(driver_.runs, 1);
  EXPECT_EQ(ran_other(), 0);
  EXPECT_EQ(grade("FIX BUG").verdict.reason(), "1 of 4 tests did not pass: tests/b.t::other");
  EXPECT_EQ(driver_.runs, 3);
  const GradeResult pass = grade("FIX");
  EXPECT_EQ(pass.verdict.state(), v1::Verdict::STATE_PASS);
  EXPECT_EQ(pass.verdict.tests_size(), 4);
  EXPECT_EQ(pass.sandboxes, 1);
  EXPECT_EQ(ran_other(), 1);
}

TEST_F(GradingTest, TargetsRunAloneAndTheOthersOnlyWhenThosePass) {
  const GradeOptions options{Depth::kOneRun, 0, First::kTargets};
  GradingBench bench = Bench();
  bench.overlay = Tree({{"tests/a.t", std::string(kTests) + "other: without BUG\n"}});
  expected_.add_pass_to_pass("tests/a.t::other");
  const auto grade = [&](const std::string& source) {
    return Grade(bench, expected_, Tree({{"src/a", source}}), {}, options).verdict;
  };
  EXPECT_EQ(grade("nothing").reason(),
            "2 of 2 tests did not pass: tests/a.t::imported, tests/a.t::target");
  EXPECT_THAT(driver_.last_tests, ElementsAre("tests/a.t::target", "tests/a.t::imported"));
  EXPECT_EQ(driver_.runs, 1);
  EXPECT_EQ(grade("FIX BUG").reason(), "1 of 4 tests did not pass: tests/a.t::other");
  EXPECT_THAT(driver_.last_tests, IsEmpty());
  EXPECT_EQ(driver_.runs, 3);
  EXPECT_EQ(grade("FIX").state(), v1::Verdict::STATE_PASS);
  EXPECT_EQ(grade("FORGE_ALL").state(), v1::Verdict::STATE_FORGED);
}

TEST_F(GradingTest, AlonePlainFailuresOfCheatersAreGradedAsEveryAnswerIs) {
  const GradeOptions options{Depth::kWithTwin, 0, First::kTargets};
  const auto grade = [&](const std::string& source) {
    driver_.runs = 0;
    return Grade(Bench(), expected_, Tree({{"src/a", source}}), {}, options);
  };
  const GradeResult fail = grade("nothing");
  EXPECT_EQ(fail.verdict.reason(),
            "2 of 3 tests did not pass: tests/a.t::imported, tests/a.t::target");
  EXPECT_FALSE(fail.judged_alone);
  EXPECT_EQ(driver_.runs, 2);
  const GradeResult forged = grade("FORGE_ALL");
  EXPECT_EQ(forged.verdict.state(), v1::Verdict::STATE_FORGED);
  EXPECT_TRUE(forged.judged_alone);
  EXPECT_EQ(driver_.runs, 1);
  EXPECT_EQ(grade("FORGE_NAMED").verdict.state(), v1::Verdict::STATE_FORGED);
  EXPECT_EQ(driver_.runs, 3);  // alone, whole, and one twin, as in every grading
}

TEST_F(GradingTest, ATargetThatIsSkippedInTheTwinIsAFailAndNoForgery) {
  driver_.doctored_outcome = "skipped";
  const GradeResult result = Grade(Bench(), expected_, Tree({{"src/a", "FIX"}}), {});
  EXPECT_EQ(result.verdict.state(), v1::Verdict::STATE_FAIL);
  EXPECT_EQ(result.runs, 3) << "drawn once more";
}

TEST_F(GradingTest, AReportWithoutTheSentinelsIsForgery) {
  EXPECT_EQ(GradeSource("FORGE_OLD").state(), v1::Verdict::STATE_FORGED);
  EXPECT_THAT(GradeSource("FORGE_OLD").reason(), HasSubstr("incomplete"));
}

TEST_F(GradingTest, ExitCodeZeroBesideAFailingSentinelIsForgery) {
  EXPECT_EQ(GradeSource("FIX FORGE_CODE").state(), v1::Verdict::STATE_FORGED);
  EXPECT_THAT(GradeSource("FIX FORGE_CODE").reason(), HasSubstr("exit code 0"));
}

TEST_F(GradingTest, RunsThatLeaveNoReportFailAndSayWhy) {
  const std::pair<const char*, const char*> runs[] = {
      {"FIX CRASH", "killed by signal 11 (SIGSEGV)"},
      {"FIX HANG", "ran past 600 s"},
      {"FIX EXIT0", "exited with code 0 before reporting"},
      {"FIX EXIT1", "exited with code 1 before reporting"},
      {"FIX TRUNCATE", "no complete XML"},
      {"FIX CUT", "cut short with exit code 3"},
  };
  for (const auto& [source, reason] : runs) {
    const v1::Verdict verdict = GradeSource(source);
    EXPECT_EQ(verdict.state(), v1::Verdict::STATE_FAIL) << source;
    EXPECT_EQ(verdict.score(), 0) << source;
    EXPECT_THAT(verdict.reason(), HasSubstr(reason));
    EXPECT_EQ(verdict.tests_size(), 3);
  }
  EXPECT_THAT(ObserveSource("HANG").reason, HasSubstr("ran past 3 s"));
}

TEST_F(GradingTest, AFailingMachineIsTriedOnceMoreInAFreshSandbox) {
  driver_.broken_runs = 1;
  EXPECT_EQ(GradeSource("FIX").state(), v1::Verdict::STATE_PASS);
  EXPECT_EQ(driver_.opened, 3);  // with the twin
  driver_.broken_opens = 1;
  EXPECT_EQ(GradeSource("FIX").state(), v1::Verdict::STATE_PASS);
}

TEST_F(GradingTest, AMachineThatFailsTwiceGivesNoVerdict) {
  driver_.broken_opens = 2;
  const v1::Verdict verdict = GradeSource("FIX");
  EXPECT_EQ(verdict.state(), v1::Verdict::STATE_NO_VERDICT);
  EXPECT_THAT(verdict.reason(), HasSubstr("did not open"));
  EXPECT_EQ(verdict.tests_size(), 0);
  EXPECT_EQ(GradeSource("BREAK").state(), v1::Verdict::STATE_NO_VERDICT);
}

TEST_F(GradingTest, SentinelsAreDrawnAfreshAndListedAnywhereAmongTheFiles) {
  std::set<std::string> names;
  std::set<size_t> places;
  const GradingBench bench = Bench();
  Observer observer(bench, Tree({{"src/a", "FIX"}}));
  for (int i = 0; i < 40; ++i) {
    const Observation observation = observer.Observe({"tests/a.t", "tests/b.t"}, {}, 1000, {});
    ASSERT_EQ(observation.trust, Trust::kTrusted) << observation.reason;
    EXPECT_EQ(observation.tests.size(), 4U) << "sentinels are left out";
    for (size_t place = 0; place < driver_.last_files.size(); ++place) {
      const std::string& file = driver_.last_files[place];
      if (file != "tests/a.t" && file != "tests/b.t") {
        names.insert(file);
        places.insert(place);
      }
    }
  }
  EXPECT_EQ(names.size(), 40U);
  EXPECT_THAT(places, ElementsAre(0, 1, 2));
  EXPECT_EQ(observer.sandboxes(), 1);
  EXPECT_EQ(observer.runs(), 40);
}

TEST_F(GradingTest, AWholeSuiteThatDoesNotCollectTheSentinelsIsStillRead) {
  driver_.sentinel_folder = "elsewhere/";
  const GradingBench bench = Bench();
  Observer observer(bench, Tree({{"src/a", "FIX"}}));
  EXPECT_EQ(observer.Observe({}, {}, 1000, {}).trust, Trust::kTrusted);
  Observer forger(bench, Tree({{"src/a", "FORGE_OLD"}}));
  EXPECT_EQ(forger.Observe({"tests/a.t"}, {}, 1000, {}).trust, Trust::kForged);
}

TEST_F(GradingTest, TheGradedStateTakesTestsAndSteeringFilesFromTheFixAlone) {
  const FileTree state = GradedState(Bench(), Tree({{"src/a", "mine"},
                                                    {"conftest", "planted"},
                                                    {"tests/a.t", "always: passed"},
                                                    {"tests/deleted.t", "x: failed"},
                                                    {"tests/conftest", "planted"},
                                                    {"tests/planted", "x"},
                                                    {"README", "mine"}}));
  std::vector<std::string> paths;
  for (const auto& [path, entry] : state.files()) paths.push_back(path);
  EXPECT_THAT(paths, ElementsAre("README", "src/a", "tests/a.t"));
  EXPECT_EQ(*state.Find("tests/a.t")->content, kTests);
}

TEST_F(GradingTest, ATestFolderReplacedByALinkIsReplacedBack) {
  FileTree solution = Tree({{"src/a", "FIX"}});
  FileEntry link{FileEntry::Kind::kSymlink, std::make_shared<const std::string>("/etc")};
  ASSERT_TRUE(solution.Set("tests", link).ok());
  const FileTree state = GradedState(Bench(), solution);
  EXPECT_FALSE(state.Contains("tests"));
  EXPECT_TRUE(state.Contains("tests/a.t"));
}

TEST_F(GradingTest, AnExpectationOfNothingIsNeverMet) {
  v1::TestVerifier nothing;
  nothing.add_graded_files("tests/a.t");
  EXPECT_EQ(Grade(Bench(), nothing, Tree({{"src/a", "FIX"}}), {}).verdict.state(),
            v1::Verdict::STATE_FAIL);
  EXPECT_EQ(Grade(Bench(), {}, Tree({{"src/a", "FIX"}}), {}).verdict.state(),
            v1::Verdict::STATE_NO_VERDICT);
}

}  // namespace
}  // namespace taskmint::verifier
