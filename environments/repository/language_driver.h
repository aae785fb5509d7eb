// Everything that depends on a repository's language, behind one interface.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_LANGUAGE_DRIVER_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_LANGUAGE_DRIVER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/file_tree.h"
#include "proto/base/status.h"
#include "proto/environment.pb.h"
#include "proto/job.pb.h"
#include "sandbox/sandbox.h"

namespace taskmint::environments {

// What a path of the repository is to the grader.
enum class PathRole {
  kSource,    // code that a solution may change
  kTest,      // a test, or data below a test folder: always the fix commit's
  kSteering,  // steers the test runner (conftest.py, pytest.ini, ...): always the fix commit's
  kOther,     // documentation, change logs, ...: part of a solution, but never code
};

// A recipe: what an environment is made of, before it is made. Equal keys give equal environments.
struct EnvironmentRecipe {
  // SHA-256 over the base, the driver's version and everything below.
  std::string key;
  // For people: the interpreter and the resolved packages, one a line. A function of the key.
  std::string description;
  // For the driver: opaque text that Build reads.
  std::string recipe;
  // For people: where the environment is not what the commit asked for. Not part of the key.
  std::vector<std::string> notes;
};

// A built environment on this machine.
struct BuiltEnvironment {
  std::vector<sandbox::Mount> layers;  // read-only trees on the host
};

// A layer as Build returns it.
struct BuiltLayer {
  std::string mount_path;
  FileTree tree;
};

// One test run to make.
struct TestRun {
  // Test files to run, relative; empty: the whole suite.
  std::vector<std::string> files;
  // Ids of tests of `files`: of a file that holds some of them no other test runs, but for other
  // parameters of these. A driver that cannot tell a test apart runs its whole file.
  std::vector<std::string> tests;
  // Draws the order of modules, and of tests within them, when set.
  std::optional<uint64_t> shuffle_seed;
  // Files of this run alone (sentinels), put over the session's tree and gone after the run.
  FileTree added;
  int64_t wall_ms_max = 600'000;
};

// What a test run left behind. The verifier judges it; nothing here is trusted.
struct TestRunOutput {
  sandbox::Ending ending = sandbox::Ending::kExited;
  int exit_code = 0;
  int signal = 0;
  // False where the state, or a part of it, could not be compiled: what was to be tested does not
  // exist. Languages that are not compiled leave it true.
  bool built = true;
  // JUnit XML (for pytest junit_family xunit1); nothing when the run left none.
  std::optional<std::string> junit_xml;
  // Standard output and error, cut at 256 KiB.
  std::string log;
  // Milliseconds, with the start of the interpreter where it was started for this run.
  int64_t wall_ms = 0;
  int64_t cpu_ms = 0;
};

// One sandbox holding one state of the repository (one patch). Runs fork from one warm runner and
// each starts from the same files. Not thread-safe.
class TestSession {
 public:
  virtual ~TestSession() = default;
  // Errors are of the sandbox boundary and mean: no verdict. Whatever the code under test does is
  // a TestRunOutput.
  virtual Result<TestRunOutput> Run(const TestRun& run, std::stop_token stop) = 0;
};

// Node ids of JUnit test cases. Thread-safe.
class TestNames {
 public:
  virtual ~TestNames() = default;
  // From a case's attributes, which are hostile: time and space are linear in their bytes. Empty
  // when it cannot be told.
  virtual std::string Id(std::string_view junit_file, std::string_view junit_class,
                         std::string_view junit_name) const = 0;
};

// A test of known outcome that the verifier adds to a run.
struct SentinelFile {
  std::string path;
  std::string content;
  // Test id -> expected status name: "passed", "failed", "error" or "skipped".
  std::map<std::string, std::string> expected;
};

// Tests of the fix, some of them made to fail.
struct DoctoredTests {
  // Changed test files, to be put over the overlay; empty when no test could be made to fail.
  FileTree files;
  // Ids of the tests that must now fail, among those asked for.
  std::vector<std::string> failing;
  // Ids that were understood and left as they are. Those in no list may do anything.
  std::vector<std::string> untouched;
  // Ids of verbatim copies under fresh names: they pass where the target would.
  std::vector<std::string> copies;
};

// A damaged or a cheating solution: the state of the repository that the "agent" leaves behind.
struct AlteredSolution {
  std::string name;  // "condition inverted at src/a.py:12", "conftest"
  FileTree tree;
};

// What a cheater may know: more than any agent does.
struct CheaterMaterial {
  const FileTree& parent_tree;
  const FileTree& gold_tree;
  // Tests and steering files of the fix.
  const FileTree& overlay;
  std::vector<std::string> expected_ids;
  std::vector<std::string> graded_files;
};

// What a grader that travels without this program takes from a driver.
struct PortableParts {
  // Programs, by file name.
  FileTree programs;
  // What they are told of the language and of one environment: a JSON object.
  std::string data_json;
  // Variables of a run, beside the sandbox's own.
  std::map<std::string, std::string> variables;
};

// Where a driver works.
struct DriverContext {
  sandbox::SandboxHost& sandboxes;
  sandbox::BaseLayer base;
  // Host folder for read-only caches shared by builds (downloads made without running foreign
  // code, and below a folder of each repository what was found out while its code ran); made when
  // absent.
  std::string cache_path;
  // Tells repositories apart.
  std::string repository = {};
};

// One language. Stateless and thread-safe.
class LanguageDriver {
 public:
  virtual ~LanguageDriver() = default;

  // "python", "cpp".
  virtual std::string_view language() const = 0;
  // Whether a repository with files of these paths is of this language.
  virtual bool Detect(const std::vector<std::string>& paths) const = 0;
  virtual PathRole RoleOf(std::string_view path) const = 0;
  // Whether `path` is a file that the runner collects tests from.
  virtual bool IsTestFile(std::string_view path) const = 0;
  // Steering files among `solution`'s that do not stand in `reference` (the fix's files): they are
  // removed before grading. Covers files that would shadow the runner or the standard library.
  virtual std::vector<std::string> ForeignSteering(const FileTree& solution,
                                                   const FileTree& reference) const = 0;

  // Whether a test id stands for a whole program, whose cases could not be told apart. Languages
  // whose runner names every case have none.
  virtual bool IsCoarse(std::string_view /*id*/) const { return false; }

  // Absolute paths of the base, sorted, that are hidden beside SandboxSpec::DefaultMaskedPaths:
  // where a release of the repository's own may be installed. A function of the tree, not of the
  // machine.
  virtual std::vector<std::string> MaskedPaths(const FileTree& /*tree*/) const { return {}; }

  // Finds out what the environment of `tree` at `commit_time_s` is made of. May use the network
  // through the allow-list proxy. Errors (environment): FAILED_PRECONDITION when the dependencies
  // cannot be resolved (says which), UNAVAILABLE when the network is away. Those of the machine are
  // of the config boundary (no interpreter, no index) or of the store's (a full disk).
  virtual Result<EnvironmentRecipe> Resolve(const DriverContext& context, const FileTree& tree,
                                            int64_t commit_time_s,
                                            const v1::RepositorySettings& settings,
                                            std::stop_token stop) const = 0;
  // Builds the layers of a recipe; two builds give equal trees. Same errors; DEADLINE_EXCEEDED
  // when a step hangs.
  virtual Result<std::vector<BuiltLayer>> Build(const DriverContext& context,
                                                const EnvironmentRecipe& recipe,
                                                const FileTree& tree,
                                                const v1::RepositorySettings& settings,
                                                std::stop_token stop) const = 0;

  // Files that are made from a layer and spare its use time (byte code), by their path in it: kept
  // beside it where it is unpacked, never in a store. Nothing depends on them, so what cannot be
  // made is left out. By default none. Errors are of the sandbox boundary.
  virtual Result<FileTree> DerivedFiles(sandbox::SandboxHost& /*sandboxes*/,
                                        const sandbox::Mount& /*layer*/,
                                        std::stop_token /*stop*/) const {
    return FileTree();
  }

  // Variables that whatever runs in an environment of this language finds, PATH among them: those
  // of test runs and of agents alike. The environment's own go before them.
  virtual std::map<std::string, std::string> Variables() const { return {}; }

  // Whether files of this path come of running code (byte code, caches): no part of the state that
  // an agent leaves.
  virtual bool IsDerived(std::string_view /*path*/) const { return false; }

  // Opens a sandbox over `environment` with `tree` in it; the runner warms up until the first run.
  virtual Result<std::unique_ptr<TestSession>> OpenSession(
      sandbox::SandboxHost& sandboxes, const v1::RepositoryEnvironment& environment,
      const BuiltEnvironment& built, const FileTree& tree, std::stop_token stop) const = 0;

  // Whether a test command starts the runner itself, so that its exit code is the runner's; `make
  // test` has its own. Empty: the language's default.
  virtual bool StartsRunner(const std::string& /*test_command*/) const { return true; }

  // Whether TestRun::tests spares anything: false where a run runs its files whole, whatever it is
  // asked for.
  virtual bool RunsTestsAlone() const { return true; }

  // The names of the test cases of reports about `tree`, which outlives them.
  virtual std::unique_ptr<TestNames> NamesOfTests(const FileTree& tree) const = 0;

  // Sentinels to stand beside `graded_files`, drawn from `draw`: at least one must pass and one
  // fail, and one be in error where the language tells that from a failure; named like the tests
  // in `overlay`.
  virtual std::vector<SentinelFile> DrawSentinels(const FileTree& overlay,
                                                  const std::vector<std::string>& graded_files,
                                                  uint64_t draw) const = 0;

  // Makes some of the tests of `overlay` fail, drawn from `draw`: at least one of `targets`, and
  // some of `others`. Each fails by an expectation of its own turned into a false one, so that only
  // an honest run knows which. Something must pass as well: a target is left as it is, or a clean
  // copy of one stands beside it. By default a language cannot do it. Parses the tests
  // inside a sandbox; errors are of the sandbox boundary.
  virtual Result<DoctoredTests> Doctor(sandbox::SandboxHost& /*sandboxes*/,
                                       const FileTree& /*overlay*/,
                                       const std::vector<std::string>& /*targets*/,
                                       const std::vector<std::string>& /*others*/,
                                       uint64_t /*draw*/, std::stop_token /*stop*/) const {
    return DoctoredTests();
  }

  // For graded runs in `environment`; `reference` is what the agent starts from, under the fix's
  // tests and steering files. FAILED_PRECONDITION (verifier) where the language has none: the
  // default.
  virtual Result<PortableParts> Portable(const v1::RepositoryEnvironment& /*environment*/,
                                         const FileTree& /*reference*/) const {
    return Status(Code::kFailedPrecondition, Boundary::kVerifier,
                  "tasks in " + std::string(language()) + " cannot be graded outside of taskmint");
  }

  // Damaged versions of the reference solution: code hunks dropped in turn, conditions inverted,
  // constants changed; at most `mutants_max`, chosen by `seed`. Never equal to the parent or to
  // the gold tree. Parses the code inside a sandbox.
  virtual Result<std::vector<AlteredSolution>> Mutants(sandbox::SandboxHost& sandboxes,
                                                       const FileTree& parent_tree,
                                                       const FileTree& gold_tree, uint64_t seed,
                                                       int64_t mutants_max,
                                                       std::stop_token stop) const = 0;

  // Attempts to pass without solving; each must score 0.
  virtual std::vector<AlteredSolution> Cheaters(const CheaterMaterial& material) const = 0;
};

// Every driver, in order of detection. Static lifetime.
const std::vector<const LanguageDriver*>& Drivers();
// By its language; null when unknown.
const LanguageDriver* FindDriver(std::string_view language);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_LANGUAGE_DRIVER_H_
