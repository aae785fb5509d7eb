// A language small enough to be run by the test itself: what a test file says of its tests depends
// on what the sources say, and a source may cheat.
//
// Test files are "tests/*.t", one test a line: "NAME: OUTCOME" where OUTCOME is passed, failed,
// error, skipped, or
//   needs WORD    passes when some source holds the word, else fails
//   import WORD   passes when some source holds the word, else is in error
//   without WORD  passes when no source holds the word, else fails
//   crowded WORD  fails in runs of the whole suite when some source holds the word
//   flips         passes and fails in turn, from one run of the process to the next
//   ordered       fails in shuffled runs
//   alone         fails in runs of the whole suite
//   accompanied WORD  passes when some source holds the word, but in runs of some tests of a file
// Sources are "src/*". A source that holds one of these words acts on the run of the whole suite:
//   CRASH, HANG, EXIT0, EXIT1   no report
//   FORGE_ALL     every test is reported passed, exit code 0
//   FORGE_OLD     passing reports for the tests in the overlay only, sentinels left out
//   FORGE_CODE    an honest report with exit code 0
//   FORGE_NAMED   the tests of the overlay are reported passed, the others honestly
//   BREAK         the machine fails (a Status)
#ifndef TASKMINT_TESTS_VERIFIER_FAKE_DRIVER_H_
#define TASKMINT_TESTS_VERIFIER_FAKE_DRIVER_H_

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "environments/repository/language_driver.h"
#include "proto/base/random.h"

namespace taskmint::verifier {

// Opens nothing: sessions of the fake driver need no sandbox.
class NoSandboxHost final : public sandbox::SandboxHost {
 public:
  Result<std::unique_ptr<sandbox::Sandbox>> Open(const sandbox::SandboxSpec&,
                                                 std::stop_token) override {
    return Status(Code::kUnavailable, Boundary::kSandbox, "this host opens no sandboxes");
  }
};

// A tree from pairs of path and content.
inline FileTree Tree(const std::vector<std::pair<std::string, std::string>>& files) {
  FileTree tree;
  for (const auto& [path, content] : files) {
    TASKMINT_CHECK(tree.Set(path, RegularFile(content)).ok());
  }
  return tree;
}

class FakeDriver : public environments::LanguageDriver {
 public:
  // What Mutants and Cheaters return.
  std::vector<environments::AlteredSolution> mutants;
  std::vector<environments::AlteredSolution> cheaters;
  // Fails the next so many openings and runs as a broken machine does.
  mutable int broken_opens = 0;
  mutable int broken_runs = 0;
  // Counts.
  mutable int opened = 0;
  mutable int runs = 0;
  // Sentinels of the last run, and the files that it listed.
  mutable std::vector<std::string> last_files;
  // The tests that the last run was told to run alone.
  mutable std::vector<std::string> last_tests;
  // Where sentinels lie; elsewhere than "tests/" a whole-suite run does not collect them.
  std::string sentinel_folder = "tests/";

  std::string_view language() const override { return "fake"; }
  bool Detect(const std::vector<std::string>&) const override { return true; }
  environments::PathRole RoleOf(std::string_view path) const override {
    if (path.starts_with("tests/")) return environments::PathRole::kTest;
    if (path.ends_with("conftest")) return environments::PathRole::kSteering;
    if (path.starts_with("src/")) return environments::PathRole::kSource;
    return environments::PathRole::kOther;
  }
  bool IsTestFile(std::string_view path) const override {
    return path.starts_with("tests/") && path.ends_with(".t");
  }
  std::vector<std::string> ForeignSteering(const FileTree& solution,
                                           const FileTree& reference) const override {
    std::vector<std::string> foreign;
    for (const auto& [path, entry] : solution.files()) {
      if (path.ends_with("conftest") && !reference.Contains(path)) foreign.push_back(path);
    }
    return foreign;
  }
  Result<environments::EnvironmentRecipe> Resolve(const environments::DriverContext&,
                                                  const FileTree&, int64_t,
                                                  const v1::RepositorySettings&,
                                                  std::stop_token) const override {
    return environments::EnvironmentRecipe{};
  }
  Result<std::vector<environments::BuiltLayer>> Build(const environments::DriverContext&,
                                                      const environments::EnvironmentRecipe&,
                                                      const FileTree&,
                                                      const v1::RepositorySettings&,
                                                      std::stop_token) const override {
    return std::vector<environments::BuiltLayer>{};
  }
  Result<std::unique_ptr<environments::TestSession>> OpenSession(
      sandbox::SandboxHost&, const v1::RepositoryEnvironment&,
      const environments::BuiltEnvironment&, const FileTree& tree, std::stop_token) const override {
    if (broken_opens > 0) {
      --broken_opens;
      return Status(Code::kUnavailable, Boundary::kSandbox, "the sandbox did not open");
    }
    ++opened;
    return std::unique_ptr<environments::TestSession>(std::make_unique<Session>(*this, tree));
  }
  std::unique_ptr<environments::TestNames> NamesOfTests(const FileTree& tree) const override {
    return std::make_unique<Names>(tree);
  }
  std::vector<environments::SentinelFile> DrawSentinels(const FileTree&,
                                                        const std::vector<std::string>&,
                                                        uint64_t draw) const override {
    environments::SentinelFile file;
    file.path = sentinel_folder + "s" + std::to_string(draw) + ".t";
    file.content = "one: passed\ntwo: failed\nthree: error\n";
    file.expected = {{file.path + "::one", "passed"},
                     {file.path + "::two", "failed"},
                     {file.path + "::three", "error"}};
    return {file};
  }
  // Off: this language cannot doctor tests.
  bool can_doctor = true;
  // What a doctored test does.
  std::string doctored_outcome = "failed";
  Result<environments::DoctoredTests> Doctor(sandbox::SandboxHost&, const FileTree& overlay,
                                             const std::vector<std::string>& targets,
                                             const std::vector<std::string>& others, uint64_t draw,
                                             std::stop_token) const override {
    environments::DoctoredTests doctored;
    if (!can_doctor || targets.empty()) return doctored;
    doctored.untouched = targets;
    doctored.failing = {targets[draw % targets.size()]};
    doctored.untouched.erase(doctored.untouched.begin() +
                             static_cast<std::ptrdiff_t>(draw % targets.size()));
    doctored.untouched.insert(doctored.untouched.end(), others.begin(), others.end());
    const std::string& id = doctored.failing[0];
    const std::string path = id.substr(0, id.find("::"));
    const std::string name = id.substr(id.find("::") + 2) + ": ";
    std::string text = *overlay.Find(path)->content;
    const size_t begin = text.find(name) + name.size();
    text.replace(begin, text.find('\n', begin) - begin, doctored_outcome);
    TASKMINT_CHECK(doctored.files.Set(path, RegularFile(text)).ok());
    return doctored;
  }
  Result<std::vector<environments::AlteredSolution>> Mutants(sandbox::SandboxHost&, const FileTree&,
                                                             const FileTree&, uint64_t,
                                                             int64_t mutants_max,
                                                             std::stop_token) const override {
    auto some = mutants;
    if (some.size() > static_cast<size_t>(mutants_max))
      some.resize(static_cast<size_t>(mutants_max));
    return some;
  }
  std::vector<environments::AlteredSolution> Cheaters(
      const environments::CheaterMaterial&) const override {
    return cheaters;
  }

 private:
  class Names final : public environments::TestNames {
   public:
    explicit Names(const FileTree& tree) : tree_(tree) {}
    std::string Id(std::string_view file, std::string_view, std::string_view name) const override {
      if (!tree_.Contains(file)) return "";
      return std::string(file) + (name.empty() ? "" : "::" + std::string(name));
    }

   private:
    const FileTree& tree_;
  };
  class Session final : public environments::TestSession {
   public:
    Session(const FakeDriver& driver, FileTree tree) : driver_(driver), tree_(std::move(tree)) {}
    Result<environments::TestRunOutput> Run(const environments::TestRun& run,
                                            std::stop_token) override;

   private:
    bool SourceHolds(std::string_view word) const {
      for (const auto& [path, entry] : tree_.files()) {
        if (path.starts_with("src/") && entry.content->find(word) != std::string::npos) return true;
      }
      return false;
    }
    std::string Outcome(const std::string& says, const environments::TestRun& run) const;

    const FakeDriver& driver_;
    FileTree tree_;
  };
};

inline std::string FakeDriver::Session::Outcome(const std::string& says,
                                                const environments::TestRun& run) const {
  const auto holds = [&](std::string_view verb) {
    return SourceHolds(std::string_view(says).substr(verb.size()));
  };
  if (says.starts_with("needs ")) return holds("needs ") ? "passed" : "failed";
  if (says.starts_with("import ")) return holds("import ") ? "passed" : "error";
  if (says.starts_with("without ")) return holds("without ") ? "failed" : "passed";
  if (says.starts_with("crowded ")) {
    return run.files.empty() && holds("crowded ") ? "failed" : "passed";
  }
  if (says == "flips") return driver_.runs % 2 == 0 ? "failed" : "passed";
  if (says == "ordered") return run.shuffle_seed.has_value() ? "failed" : "passed";
  if (says.starts_with("accompanied ")) {
    return run.tests.empty() && holds("accompanied ") ? "passed" : "failed";
  }
  if (says == "alone") return run.files.empty() ? "failed" : "passed";
  return says;
}

inline Result<environments::TestRunOutput> FakeDriver::Session::Run(
    const environments::TestRun& run, std::stop_token) {
  ++driver_.runs;
  driver_.last_files = run.files;
  driver_.last_tests = run.tests;
  if (driver_.broken_runs > 0 || SourceHolds("BREAK")) {
    --driver_.broken_runs;
    return Status(Code::kUnavailable, Boundary::kSandbox, "the sandbox died");
  }
  environments::TestRunOutput output;
  output.log = "ran";
  output.cpu_ms = 5;
  output.wall_ms = 7;
  if (SourceHolds("CRASH")) {
    output.ending = sandbox::Ending::kSignalled;
    output.signal = 11;
    return output;
  }
  if (SourceHolds("HANG")) {
    output.ending = sandbox::Ending::kWallTime;
    return output;
  }
  if (SourceHolds("EXIT0") || SourceHolds("EXIT1")) {
    output.exit_code = SourceHolds("EXIT0") ? 0 : 1;
    return output;
  }
  FileTree all = tree_;
  all.Overlay(run.added);
  std::vector<std::string> files = run.files;
  if (files.empty()) {
    for (const auto& [path, entry] : all.files()) {
      if (driver_.IsTestFile(path)) files.push_back(path);
    }
  }
  std::string xml = "<testsuites><testsuite>";
  for (const std::string& path : files) {
    const FileEntry* file = all.Find(path);
    if (file == nullptr) continue;
    const bool sentinel = run.added.Contains(path);
    if (SourceHolds("FORGE_OLD") && sentinel) continue;
    const auto of_file = [&](const std::string& id) { return id.starts_with(path + "::"); };
    const bool selected = std::any_of(run.tests.begin(), run.tests.end(), of_file);
    std::istringstream lines(*file->content);
    for (std::string line; std::getline(lines, line);) {
      const size_t colon = line.find(": ");
      const std::string id = path + "::" + line.substr(0, colon);
      if (selected && std::count(run.tests.begin(), run.tests.end(), id) == 0) continue;
      std::string outcome = Outcome(line.substr(colon + 2), run);
      if (SourceHolds("FORGE_ALL") || SourceHolds("FORGE_OLD")) outcome = "passed";
      if (SourceHolds("FORGE_NAMED") && !sentinel) outcome = "passed";
      if (outcome == "failed" || outcome == "error") output.exit_code = 1;
      if (outcome == "gone") continue;
      xml += "<testcase file='" + path + "' name='" + line.substr(0, colon) + "'>";
      if (outcome == "failed") xml += "<failure/>";
      if (outcome == "error") xml += "<error/>";
      if (outcome == "skipped") xml += "<skipped/>";
      xml += "</testcase>";
    }
  }
  if (SourceHolds("FORGE_OLD")) output.exit_code = 1;
  if (SourceHolds("FORGE_CODE")) output.exit_code = 0;
  output.junit_xml = xml + (SourceHolds("TRUNCATE") ? "" : "</testsuite></testsuites>");
  if (SourceHolds("CUT")) output.exit_code = 3;
  return output;
}

}  // namespace taskmint::verifier

#endif  // TASKMINT_TESTS_VERIFIER_FAKE_DRIVER_H_
