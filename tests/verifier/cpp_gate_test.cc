// The gates over the real C++ driver and real sandboxes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/environments/cpp_fixture.h"
#include "tests/verifier/fake_driver.h"
#include "verifier/gate.h"

namespace taskmint::verifier {
namespace {

using environments::BoundsLibrary;
using environments::kRightClamp;
using environments::kWrongClamp;
using testing::ElementsAre;
using testing::HasSubstr;
using Trust = Observation::Trust;

FileTree TreeOfFiles(const std::map<std::string, std::string>& files) {
  return Tree({files.begin(), files.end()});
}

class CppTest : public testing::Test {
 protected:
  CppTest() {
    auto host = sandbox::MakeBubblewrapHost();
    EXPECT_TRUE(host.ok()) << host.status().ToString();
    if (host.ok()) host_ = std::move(*host);
    environment_.mutable_limits()->set_wall_ms_max(60'000);
    proposal_.commit.sha = "0123456789abcdef0123456789abcdef01234567";
    proposal_.parent_tree = SourceOf(kWrongClamp);
    proposal_.gold_tree = SourceOf(kRightClamp);
    for (const auto& [path, text] : BoundsLibrary(kRightClamp)) {
      if (cpp_.RoleOf(path) == environments::PathRole::kSource) continue;
      EXPECT_TRUE(proposal_.overlay.Set(path, RegularFile(text)).ok());
    }
    proposal_.test_files = {"tests/clamp_test.cpp"};
  }

  static FileTree SourceOf(const std::string& body) { return TreeOfFiles(BoundsLibrary(body)); }
  FileTree WithCode(const std::string& path, const std::string& code) const {
    FileTree tree = proposal_.parent_tree;
    EXPECT_TRUE(tree.Set(path, RegularFile(*tree.Find(path)->content + code)).ok());
    return tree;
  }
  GradingBench Bench() {
    return {cpp_,
            *host_,
            environment_,
            {},
            proposal_.overlay,
            proposal_.removed_paths,
            proposal_.parent_tree};
  }
  static v1::TestVerifier Expected() {
    v1::TestVerifier expected;
    expected.add_fail_to_pass("clamp/Clamp: high");
    expected.add_pass_to_pass("clamp/Clamp: low");
    expected.add_pass_to_pass("clamp/Clamp: within");
    expected.add_graded_files("tests/clamp_test.cpp");
    return expected;
  }

  const environments::LanguageDriver& cpp_ = *environments::FindDriver("cpp");
  std::unique_ptr<sandbox::SandboxHost> host_;
  v1::RepositoryEnvironment environment_;
  environments::Proposal proposal_;
};

TEST_F(CppTest, TheOracleAcceptsAnHonestFixAndTheTwinAgrees) {
  const OracleResult result = OracleGates(Bench(), proposal_, {}, {});
  for (const auto* gate : {&result.oracle, &result.null, &result.repeat}) {
    EXPECT_EQ(gate->evidence.outcome(), v1::Evidence::OUTCOME_PASSED)
        << gate->evidence.gate() << ": " << gate->evidence.detail();
  }
  EXPECT_THAT(result.expected.fail_to_pass(), ElementsAre("clamp/Clamp: high"));
  EXPECT_THAT(result.expected.pass_to_pass(),
              ElementsAre("clamp/Clamp: low", "clamp/Clamp: within"));
  const auto& values = result.oracle.evidence.values();
  EXPECT_GT(values.at("doctored"), 0);
  EXPECT_EQ(values.at("suite_tests"), 4);
  EXPECT_EQ(values.count("coarse"), 0U);
}

TEST_F(CppTest, EveryCheaterScoresZeroAndTheSentinelsFindForgers) {
  const GateResult gate = CheatersGate(Bench(), Expected(), proposal_, {}, {});
  EXPECT_EQ(gate.evidence.outcome(), v1::Evidence::OUTCOME_PASSED) << gate.evidence.detail();
  std::map<std::string, v1::Verdict> verdicts;
  for (const auto& attempt : gate.evidence.attempts()) {
    verdicts[attempt.name()] = attempt.verdict();
  }
  for (const char* name : {"forged-report", "rewritten-report", "rewritten-by-name"}) {
    ASSERT_EQ(verdicts.count(name), 1U) << name;
    EXPECT_EQ(verdicts[name].state(), v1::Verdict::STATE_FORGED)
        << name << ": " << verdicts[name].reason();
  }
  EXPECT_GE(verdicts.size(), 15U);
}

TEST_F(CppTest, AForgerByNameIsFoundByTheTwinAndPassesWithoutIt) {
  const environments::CheaterMaterial material{
      proposal_.parent_tree,
      proposal_.gold_tree,
      proposal_.overlay,
      {"clamp/Clamp: high", "clamp/Clamp: low", "clamp/Clamp: within"},
      {"tests/clamp_test.cpp"}};
  for (const auto& cheater : cpp_.Cheaters(material)) {
    if (cheater.name != "rewritten-by-name") continue;
    const GradeResult graded = Grade(Bench(), Expected(), cheater.tree, {}, {Depth::kOneRun});
    EXPECT_EQ(graded.verdict.state(), v1::Verdict::STATE_PASS)
        << graded.verdict.reason() << graded.log;
    return;
  }
  FAIL() << "no such cheater";
}

TEST_F(CppTest, DamagedFixesFailAndThoseThatDoNotCompileAreNoMutants) {
  auto files = BoundsLibrary(
      "  const int top = high;\n  if (value > top) {\n    return top;\n  }\n"
      "  return value > low ? value : low;\n");
  proposal_.gold_tree = TreeOfFiles(files);
  GateSettings settings;
  settings.mutants_max = 6;
  const GateResult gate = MutationGate(Bench(), Expected(), proposal_, settings, {});
  EXPECT_EQ(gate.evidence.outcome(), v1::Evidence::OUTCOME_PASSED) << gate.evidence.detail();
  const auto& values = gate.evidence.values();
  EXPECT_GE(values.at("mutants"), 3);
  EXPECT_GE(values.at("mutation_score"), 0.5);

  FileTree broken = proposal_.gold_tree;
  ASSERT_TRUE(broken.Set("src/clamp.cpp", RegularFile("int clamp(\n")).ok());
  const GradeResult graded = Grade(Bench(), Expected(), broken, {});
  EXPECT_FALSE(graded.built);
  EXPECT_EQ(graded.verdict.state(), v1::Verdict::STATE_FAIL) << graded.verdict.reason();
}

TEST_F(CppTest, DoctoredTestsFailAndTheOthersAreAsTheyWere) {
  const std::vector<std::string> targets = {"clamp/Clamp: high", "clamp/Clamp: low"};
  const std::vector<std::string> others = {"clamp/Clamp: within", "plain"};
  const GradingBench bench = Bench();
  for (uint64_t draw = 0; draw < 3; ++draw) {
    const auto doctored = cpp_.Doctor(*host_, bench.overlay, targets, others, draw, {});
    ASSERT_TRUE(doctored.ok()) << doctored.status().ToString();
    ASSERT_FALSE(doctored->failing.empty());
    EXPECT_EQ(doctored->failing.size() + doctored->untouched.size(), 3U);
    GradingBench changed = bench;
    changed.overlay.Overlay(doctored->files);
    Observer observer(changed, proposal_.gold_tree);
    const Observation seen = observer.Observe({"tests/clamp_test.cpp"}, {}, 60'000, {});
    ASSERT_EQ(seen.trust, Trust::kTrusted) << seen.reason << seen.log;
    for (const std::string& id : doctored->failing) {
      EXPECT_EQ(seen.tests.at(id), v1::TEST_STATUS_FAILED) << id;
    }
    for (const std::string& id : doctored->untouched) {
      EXPECT_EQ(seen.tests.at(id), v1::TEST_STATUS_PASSED) << id;
    }
  }
}

TEST_F(CppTest, ALoneTargetIsDoctoredBesideACopyThatPasses) {
  const auto doctored = cpp_.Doctor(*host_, Bench().overlay, {"clamp/Clamp: high"}, {}, 1, {});
  ASSERT_TRUE(doctored.ok()) << doctored.status().ToString();
  EXPECT_THAT(doctored->failing, ElementsAre("clamp/Clamp: high"));
  ASSERT_EQ(doctored->copies.size(), 1U);
  EXPECT_THAT(doctored->copies[0], testing::StartsWith("clamp/Clamp: high "));
}

// Whole suites call a function of their own for each expectation.
TEST_F(CppTest, CallsOfWhatComparesItsArgumentAreTurned) {
  const std::string before =
      "static void ExpectHigh(bool& failed, int low, const int expected) {\n"
      "  CHECK(clamp(9, low, 3) == expected);\n}\n"
      "static void ExpectSame(bool& failed, int value) {\n  CHECK(clamp(value, 0, 99) == "
      "value);\n}\n"
      "static void ExpectSome(bool& failed, int value) {\n  if (value > 3) return;\n  "
      "CHECK(clamp(2, 0, 9) == value);\n}\n"
      "static void ExpectNear(bool& failed, int value) {\n  CHECK(clamp(2, 0, 9) <= value);\n}\n";
  const auto test = [](const std::string& name, const std::string& body) {
    return "TEST_CASE(\"" + name + "\") {\n  " + body + "\n}\n";
  };
  FileTree overlay = Bench().overlay;
  ASSERT_TRUE(overlay
                  .Set("tests/clamp_test.cpp",
                       RegularFile("#define CATCH_CONFIG_MAIN\n#include \"catch.hpp\"\n"
                                   "#include \"bounds/clamp.h\"\n" +
                                   before + test("turned", "ExpectHigh(failed, 2, 3);") +
                                   test("same", "ExpectSame(failed, 5);") +
                                   test("some", "ExpectSome(failed, 2);") +
                                   test("near", "ExpectNear(failed, 2);")))
                  .ok());
  for (const char* name : {"clamp/same", "clamp/some", "clamp/near"}) {
    const auto none = cpp_.Doctor(*host_, overlay, {name}, {}, 1, {});
    ASSERT_TRUE(none.ok()) << none.status().ToString();
    EXPECT_THAT(none->failing, testing::IsEmpty()) << name;
  }
  const auto doctored = cpp_.Doctor(*host_, overlay, {"clamp/turned"}, {}, 1, {});
  ASSERT_TRUE(doctored.ok()) << doctored.status().ToString();
  EXPECT_THAT(doctored->failing, ElementsAre("clamp/turned"));
  GradingBench changed = Bench();
  changed.overlay.Overlay(overlay);
  changed.overlay.Overlay(doctored->files);
  Observer observer(changed, proposal_.gold_tree);
  const Observation seen = observer.Observe({"tests/clamp_test.cpp"}, {}, 60'000, {});
  ASSERT_EQ(seen.trust, Trust::kTrusted) << seen.reason << seen.log;
  EXPECT_EQ(seen.tests.at("clamp/turned"), v1::TEST_STATUS_FAILED);
  EXPECT_EQ(seen.tests.at(doctored->copies.at(0)), v1::TEST_STATUS_PASSED);
}

TEST_F(CppTest, CasesWithDecoratorsAreTurnedUnlessOneSwallowsFailures) {
  const auto doctor = [&](const std::string& decorators) {
    FileTree overlay;
    const std::string test = "TEST_CASE(\"a \\\"case\\\"\" \"!\" * " + decorators +
                             ") {\n  SUBCASE(\"s\") {\n    REQUIRE(1 == 1);\n  }\n}\n";
    EXPECT_TRUE(overlay.Set("tests/t.cpp", RegularFile("#include \"doctest.h\"\n" + test)).ok());
    auto doctored = cpp_.Doctor(*host_, overlay, {"t/a \"case\"!"}, {}, 1, {});
    EXPECT_TRUE(doctored.ok()) << doctored.status().ToString();
    return doctored.ok() ? std::move(*doctored) : environments::DoctoredTests();
  };
  EXPECT_THAT(doctor("should_fail()").failing, testing::IsEmpty());
  EXPECT_THAT(doctor("test_suite(\"s\") * may_fail(true)").failing, testing::IsEmpty());
  const auto doctored = doctor("doctest::test_suite(\"s\") * doctest::description(\"d\")");
  EXPECT_THAT(doctored.failing, ElementsAre("t/a \"case\"!"));
  ASSERT_EQ(doctored.copies.size(), 1U);
  EXPECT_THAT(doctored.copies[0], testing::StartsWith("t/a \"case\"! "));
  EXPECT_THAT(*doctored.files.Find("tests/t.cpp")->content,
              HasSubstr(doctored.copies[0].substr(12) + "\" * doctest::test_suite(\"s\")"));
}

TEST_F(CppTest, PlainArgumentsOfMockedCallsAreTurned) {
  FileTree overlay = Bench().overlay;
  const std::string test =
      "TEST_F(Emit, Mock) {\n  EXPECT_CALL(handler, OnScalar(_, \"?\", 0, \"eggs\"));\n  "
      "Parse(\"eggs\");\n}\n"
      "TEST_F(Emit, Matcher) {\n  EXPECT_CALL(handler, OnScalar(Not(\"eggs\")));\n}\n"
      "TEST_F(Emit, Own) {\n  CheckRoundTrip(\"eggs\");\n}\n";
  ASSERT_TRUE(overlay.Set("tests/emit_test.cpp", RegularFile(test)).ok());
  const auto turned = [&](const std::string& name) {
    const auto doctored = cpp_.Doctor(*host_, overlay, {"all/Emit." + name}, {}, 3, {});
    EXPECT_TRUE(doctored.ok()) << doctored.status().ToString();
    if (!doctored.ok() || doctored->failing.empty()) return std::string();
    return *doctored->files.Find("tests/emit_test.cpp")->content;
  };
  EXPECT_THAT(turned("Mock"), testing::ContainsRegex("\"\\?\", 0, \"[aeiou]eggs\"\\)\\);"));
  EXPECT_EQ(turned("Matcher"), "");
  EXPECT_EQ(turned("Own"), "");
}

// A header beside the one that is put together of many: tests include either.
TEST_F(CppTest, AttacksStandInEveryHeaderThatTheFixChanges) {
  FileTree parent = proposal_.parent_tree;
  FileTree gold = proposal_.gold_tree;
  const std::vector<std::string> headers = {"include/bounds/detail/more.h", "single/bounds.h"};
  for (const std::string& path : headers) {
    ASSERT_TRUE(parent.Set(path, RegularFile("int Before();\n")).ok());
    ASSERT_TRUE(gold.Set(path, RegularFile("int After();\n")).ok());
  }
  const environments::CheaterMaterial material{
      parent, gold, proposal_.overlay, {"clamp/Clamp: high"}, {"tests/clamp_test.cpp"}};
  int attacks = 0;
  for (const auto& cheater : cpp_.Cheaters(material)) {
    if (cheater.name != "exit-zero" && cheater.name != "emptied-macros") continue;
    ++attacks;
    for (const std::string& path : headers) {
      EXPECT_THAT(*cheater.tree.Find(path)->content, testing::HasSubstr("CHEAT_CODE")) << path;
    }
  }
  EXPECT_EQ(attacks, 2);
}

// What a run may leave before is never turned: an honest answer would be taken for a liar.
TEST_F(CppTest, OnlyExpectationsThatEveryRunReachesAreTurned) {
  FileTree overlay = Bench().overlay;
  const std::string test =
      "#include \"catch.hpp\"\nTEST_CASE(\"sizes\") {\n  const auto same = [](int n) { return n; "
      "};\n  CHECK(same(41) == 41);\n  if (sizeof(long) == 8) {\n    CHECK(same(42) == 42);\n    "
      "return;\n  }\n  CHECK(same(43) == 43);\n}\n";
  ASSERT_TRUE(overlay.Set("tests/sizes_test.cpp", RegularFile(test)).ok());
  for (uint64_t draw = 0; draw < 8; ++draw) {
    const auto doctored = cpp_.Doctor(*host_, overlay, {"sizes/sizes"}, {}, draw, {});
    ASSERT_TRUE(doctored.ok()) << doctored.status().ToString();
    EXPECT_THAT(doctored->failing, ElementsAre("sizes/sizes"));
    const std::string text = *doctored->files.Find("tests/sizes_test.cpp")->content;
    const std::string first = text.substr(0, text.find("return;"));
    EXPECT_EQ(first.find("CHECK(same(41) == 41)"), std::string::npos) << text;
    EXPECT_NE(first.find("CHECK(same(42) == 42)"), std::string::npos) << text;
    EXPECT_NE(text.find("CHECK(same(43) == 43)"), std::string::npos) << text;
  }
}

TEST_F(CppTest, CoarseTestsAreCountedAndAForgerOfAKnownProgramNeedsTheTwin) {
  const std::string test =
      "#include <assert.h>\n#include \"bounds/clamp.h\"\n"
      "int main() {\n  assert(clamp(9, 1, 5) == 5);\n  return 0;\n}\n";
  FileTree named = Tree({{"tests/plain.cpp", test}});
  std::string lists = *proposal_.overlay.Find("CMakeLists.txt")->content;
  lists.replace(lists.find("tests/plain_test.cpp"), 20, "tests/plain.cpp");
  ASSERT_TRUE(named.Set("CMakeLists.txt", RegularFile(lists)).ok());
  proposal_.overlay.Overlay(named);
  proposal_.test_files = {"tests/plain.cpp"};
  const OracleResult result = OracleGates(Bench(), proposal_, {}, {});
  EXPECT_EQ(result.oracle.evidence.outcome(), v1::Evidence::OUTCOME_PASSED)
      << result.oracle.evidence.detail();
  EXPECT_THAT(result.expected.fail_to_pass(), ElementsAre("plain"));
  EXPECT_EQ(result.oracle.evidence.values().at("coarse"), 1);
  EXPECT_EQ(result.oracle.evidence.values().at("doctored"), 1);
  const environments::CheaterMaterial material{proposal_.parent_tree,
                                               proposal_.gold_tree,
                                               proposal_.overlay,
                                               {"plain"},
                                               {"tests/plain.cpp"}};
  for (const auto& cheater : cpp_.Cheaters(material)) {
    if (cheater.name != "exit-by-program") continue;
    EXPECT_EQ(Grade(Bench(), result.expected, cheater.tree, {}, {Depth::kOneRun}).verdict.state(),
              v1::Verdict::STATE_PASS);
    EXPECT_EQ(Grade(Bench(), result.expected, cheater.tree, {}).verdict.state(),
              v1::Verdict::STATE_FORGED);
    return;
  }
  FAIL() << "no such cheater";
}

}  // namespace
}  // namespace taskmint::verifier
