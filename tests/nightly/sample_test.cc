// The sample that ships, minted as ./mint does it: each commit ends as it was written to end.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "tests/orchestrator/command_process.h"
#include "tests/orchestrator/temporary_folder.h"

namespace taskmint::orchestrator {
namespace {

// Subjects of the sample's commits by SHA.
std::map<std::string, std::string> Subjects() {
  const std::string command = "git -c safe.directory='*' --git-dir '" TASKMINT_SAMPLE
                              "/ledgerline.git' log --format='%H %s'";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), &pclose);
  std::string output;
  for (int c = 0; pipe && (c = fgetc(pipe.get())) != EOF;) output += static_cast<char>(c);
  std::map<std::string, std::string> subjects;
  std::istringstream lines(output);
  for (std::string sha, subject; lines >> sha && std::getline(lines >> std::ws, subject);) {
    subjects[sha] = subject;
  }
  return subjects;
}

// What becomes of each candidate: "kept", or the word of its reason.
const std::map<std::string, std::string>& Expected() {
  static const std::map<std::string, std::string> outcomes = {
      {"Read amounts strictly, and the ways in which banks write them", "kept"},
      {"Do not lose cents when an amount is shared (fixes #3)", "kept"},
      {"Let tables end in a footer", "kept"},
      {"Keep month ends at month ends", "kept"},
      {"fix bug", "underspecified"},
      {"Refuse what is no duration, and carry when rounding", "kept"},
      {"Balance every transaction, a currency at a time (fixes #5)", "kept"},
      {"Measure tables apart from drawing them", "oracle"},  // no test fails before
      {"Count an account's own children only", "kept"},
      {"Number vouchers", "oracle"},
      {"Begin voucher numbers anew each year", "flaky"},  // its tests depend on their order
      {"Export postings as comma-separated values", "oracle"},
      {"Quote exported fields, and disarm formulas", "mutation"},     // its tests prove nothing
      {"Centre headings, and do not end lines in spaces", "oracle"},  // breaks another test
      {"Show only what is left in the balance report", "kept"},
      {"Measure table cells as terminals draw them (fixes #8)", "kept"},
      {"Fix quarters (#11)", "kept"},  // the issue says what its message does not
      {"Read the journals that people write", "kept"},
  };
  return outcomes;
}

TEST(SampleTest, EveryCommitEndsAsItWasWrittenToEnd) {
  const TemporaryFolder folder;
  const std::string store = folder.path() + "/store";
  const CommandOutcome synth =
      Taskmint({"synth", "code", "--repo", TASKMINT_SAMPLE "/ledgerline.git", "--issues",
                TASKMINT_SAMPLE "/ledgerline.issues.json", "--store", store});
  ASSERT_EQ(synth.code, 0) << synth.output << synth.errors;

  const std::map<std::string, std::string> subjects = Subjects();
  std::map<std::string, std::string> outcomes;
  for (const nlohmann::json& row : Taskmint({"list", "--json", "--store", store}).Json()) {
    const auto subject = subjects.find(row["commit"].get<std::string>());
    ASSERT_NE(subject, subjects.end()) << row;
    const std::string reason = row["reason"].is_null() ? "kept" : row["reason"].get<std::string>();
    outcomes[subject->second] = reason.substr(0, reason.find(':'));
  }
  EXPECT_EQ(outcomes, Expected());

  const CommandOutcome replay = Taskmint({"replay", "--all", "--store", store});
  EXPECT_EQ(replay.code, 0) << replay.output << replay.errors;
}

}  // namespace
}  // namespace taskmint::orchestrator
