// Grading: from a final state of the repository to a verdict.
#ifndef TASKMINT_VERIFIER_GRADING_H_
#define TASKMINT_VERIFIER_GRADING_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "environments/repository/language_driver.h"
#include "proto/base/file_tree.h"
#include "proto/environment.pb.h"
#include "proto/task.pb.h"
#include "proto/verdict.pb.h"
#include "sandbox/sandbox.h"

namespace taskmint::verifier {

// Everything that a graded run needs, loaded.
struct GradingBench {
  const environments::LanguageDriver& driver;
  sandbox::SandboxHost& sandboxes;
  v1::RepositoryEnvironment environment;
  environments::BuiltEnvironment built;
  // The fix's tests and steering files, and those that it deleted.
  FileTree overlay;
  std::vector<std::string> removed_paths;
  // What the agent starts from: modules that it has may be named like the runner's own.
  FileTree parent_tree;
};

// What one test run showed, before anything is judged. Never holds sentinels.
struct Observation {
  enum class Trust {
    kTrusted,    // sentinels as expected, exit code agrees
    kForged,     // a sentinel was misreported, or the report contradicts itself
    kNoReport,   // no usable report: crashed, hung, os._exit, truncated
    kNoVerdict,  // the infrastructure failed
  };
  Trust trust = Trust::kNoVerdict;
  // Why, unless trusted: one sentence.
  std::string reason;
  // See TestRunOutput::built.
  bool built = true;
  // By test id; the worst of duplicates. Empty unless a report could be read.
  std::map<std::string, v1::TestStatus> tests;
  std::string log;
  int64_t wall_ms = 0;
  int64_t cpu_ms = 0;
};

// The state that is graded: `solution` without foreign steering files, removed paths, and test
// files that the fix does not have, under the overlay.
FileTree GradedState(const GradingBench& bench, const FileTree& solution);

// A session over GradedState(solution), in which any number of runs can be observed. Not
// thread-safe.
//
// What makes an observation trusted: every sentinel is reported, and as its file says; the exit
// code is 1, as an honest run's with a failing sentinel is. Exit code 0, or a sentinel misreported,
// or one left out while others are reported: forged. A run that did not exit by itself, left no
// readable report, or was cut short (another exit code, unless a command such as make has turned it
// into its own), or in which a sentinel could not import what the tests import: no report. A
// whole-suite run may collect from folders where a sentinel file does not lie: one of which nothing
// is reported, or whose tests the user's selection leaves out, is no forgery there. Graded runs
// always name their files.
class Observer {
 public:
  // The session is opened by the first Observe, or Open.
  Observer(const GradingBench& bench, const FileTree& solution);
  ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  // Opens the session ahead of the first Observe, which will open another where this fails. What
  // is slow about it goes on in the sandbox while the caller does something else.
  void Open(std::stop_token stop);
  // One run of `files` (empty: the whole suite) with sentinels of its own beside them. When the
  // infrastructure fails, once more in a fresh sandbox.
  Observation Observe(const std::vector<std::string>& files, std::optional<uint64_t> shuffle_seed,
                      int64_t wall_ms_max, std::stop_token stop);
  // The same, but of the files that hold some of `tests` these tests alone.
  Observation ObserveTests(const std::vector<std::string>& files,
                           const std::vector<std::string>& tests, int64_t wall_ms_max,
                           std::stop_token stop);
  // TreeDigest of the graded state; computed when first asked for.
  const std::string& state_digest() const;
  // Sandboxes opened and runs made so far.
  int64_t sandboxes() const;
  int64_t runs() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Judges an observation: pass (1) when every id of fail_to_pass, error_to_pass and pass_to_pass
// passed; fail (0) else; forged (0) and no-verdict as observed. `state_digest` goes into the
// verdict's digest. `tests` are the expected ids and no others (unjudged tests may vary, and the
// digest must not), TEST_STATUS_MISSING when absent; empty without a verdict. Components: "tests"
// (weight 1, the score), and the shares "fail_to_pass" (error-to-pass included) and "pass_to_pass"
// that passed (weight 0).
v1::Verdict Judge(const Observation& observation, const v1::TestVerifier& expected,
                  const std::string& state_digest);

// What a twin run showed.
struct TwinResult {
  // PASS (0 tests doctored included: nothing speaks against the run), FAIL, FORGED or NO_VERDICT.
  v1::Verdict::State state = v1::Verdict::STATE_NO_VERDICT;
  // Why, unless PASS.
  std::string reason;
  // Expected tests that were made to fail; 0 where the language or the tests do not allow it.
  int64_t doctored = 0;
  std::string log;
  int64_t wall_ms = 0;
  int64_t cpu_ms = 0;
  int64_t sandboxes = 0;
  int64_t runs = 0;
};

// The twin of a run that passes. Sentinels are other tests in other files; who forges results by
// the name of a test or its file (both may be guessed from the history) reports them honestly. So
// the same files are run once more in a fresh sandbox, after some of the expected tests were made
// to fail: one of those reported passed is FORGED, one that was skipped or is missing is FAIL, and
// so is a fail-to-pass test left as it was (or a copy of one) that does not pass. A FAIL is drawn
// once more before it counts: a test made to fail may have left something undone. Costs two
// sandboxes (one to parse the tests) and one run a draw.
TwinResult RunTwin(const GradingBench& bench, const v1::TestVerifier& expected,
                   const FileTree& solution, std::stop_token stop, int64_t wall_ms_max = 0);

// Whether a passing run is doubted.
enum class Depth {
  kOneRun,    // no: for mutants, which do not cheat
  kWithTwin,  // yes, by RunTwin
};

// What of a solution that is expected to fail runs first. The rest runs only for one that passes
// it; else the verdict names the tests of the first run alone.
enum class First {
  kEverything,
  // The files that hold fail-to-pass and error-to-pass tests; all where ids do not name files.
  kTargetFiles,
  // Those tests without the others of their files; for tasks whose fix passes so (GradeTargets). At
  // kWithTwin only a forged run is the last. At kOneRun a failing one is, too, which is an
  // approximation: a mutant that would pass only because another test ran before it counts as
  // killed.
  kTargets,
};

struct GradeOptions {
  Depth depth = Depth::kWithTwin;
  // For one run; 0: the environment's own.
  int64_t wall_ms_max = 0;
  First first = First::kEverything;
};

// Observes and judges: the whole of `taskmint verify`, of a cheater and of a mutant. Times are
// those of both runs; the digest and the tests are the first one's.
struct GradeResult {
  v1::Verdict verdict;
  std::string log;
  int64_t sandboxes = 0;
  int64_t runs = 0;
  // The verdict is that of a run of the targets without the other tests of their files.
  bool judged_alone = false;
  // Of the run that the verdict is of; see TestRunOutput::built.
  bool built = true;
};
GradeResult Grade(const GradingBench& bench, const v1::TestVerifier& expected,
                  const FileTree& solution, std::stop_token stop, const GradeOptions& options = {});

// Grades by the fail-to-pass and error-to-pass tests alone, without the others of their files.
// `observer` is of `solution`. For a runner that can be told which tests to run.
GradeResult GradeTargets(const GradingBench& bench, const v1::TestVerifier& expected,
                         const FileTree& solution, Observer& observer, std::stop_token stop,
                         const GradeOptions& options = {});

}  // namespace taskmint::verifier

#endif  // TASKMINT_VERIFIER_GRADING_H_
