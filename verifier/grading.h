// Grading: from a final state of the repository to a verdict.
#ifndef TASKMINT_VERIFIER_GRADING_H_
#define TASKMINT_VERIFIER_GRADING_H_

#include <cstdint>
#include <map>
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
  // By test id; the worst of duplicates.
  std::map<std::string, v1::TestStatus> tests;
  std::string log;
  int64_t wall_ms = 0;
  int64_t cpu_ms = 0;
};

// The state that is graded: `solution` without foreign steering files and removed paths, under the
// overlay.
FileTree GradedState(const GradingBench& bench, const FileTree& solution);

// A session over GradedState(solution), in which any number of runs can be observed.
class Observer {
 public:
  // The session is opened by the first Observe.
  Observer(const GradingBench& bench, const FileTree& solution);
  ~Observer();
  // One run of `files` (empty: the whole suite) with sentinels of its own beside them.
  Observation Observe(const std::vector<std::string>& files, std::optional<uint64_t> shuffle_seed,
                      int64_t wall_ms_max, std::stop_token stop);
  // TreeDigest of the graded state.
  const std::string& state_digest() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Judges an observation: pass (1) when every id of fail_to_pass, error_to_pass and pass_to_pass
// passed; fail (0) else; forged (0) and no-verdict as observed. `state_digest` goes into the
// verdict's digest. Every expected id is in `tests`, TEST_STATUS_MISSING when absent.
v1::Verdict Judge(const Observation& observation, const v1::TestVerifier& expected,
                  const std::string& state_digest);

// Observe and Judge once: the whole of `taskmint verify`, of a cheater and of a mutant.
struct GradeResult {
  v1::Verdict verdict;
  std::string log;
};
GradeResult Grade(const GradingBench& bench, const v1::TestVerifier& expected,
                  const FileTree& solution, std::stop_token stop);

}  // namespace taskmint::verifier

#endif  // TASKMINT_VERIFIER_GRADING_H_
