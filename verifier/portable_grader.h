// The grader that travels: a Python program and its data, with which an exported task is graded
// where this program is not, from plain files and the standard library alone.
#ifndef TASKMINT_VERIFIER_PORTABLE_GRADER_H_
#define TASKMINT_VERIFIER_PORTABLE_GRADER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/file_tree.h"
#include "proto/base/status.h"
#include "proto/task.pb.h"

namespace taskmint::verifier {

// Everything that stands in an exported task's tests/ folder but its Dockerfile and the script that
// starts it: grade.py, grader/*.py, spec.json (what is expected, limits, variables, what steers the
// runner), overlay.json (the files of `overlay`, names and contents of any bytes). `parent_tree` is
// what the agent starts from: only its paths are looked at. It decides as Grade does, twin run
// included:
//
//   python3 -I -S /tests/grade.py --state /work --reward-dir /logs/verifier
//
// removes forged rewards, grades the files below --state (any state that an agent may leave: what
// is neither a file, a folder nor a link is ignored), writes report.json {"verdict": "pass" |
// "fail" | "forged", "reason", "tests": {id: status}, ...} and, last of all, when nothing of the
// code under test runs any more, reward.json {"reward": 0 | 1, "f2p_rate", "p2p_rate", "forged"}
// and reward.txt with the same number. Exits with 0 then. When the infrastructure fails there is no
// reward, the exit code is 3, and one line on standard error says why.
//
//   python3 -I -S /tests/grade.py --state /work --pytest-lines
//
// prints "PASSED id", "FAILED id" and so on for pytest log parsers (ids as PytestLineId has them):
// all expected ids PASSED exactly where the reward is 1. Exits with 0 then, with 1 when something
// failed, with 3 and without any line when the infrastructure failed. May be asked for along with
// --reward-dir. Nothing that the code under test prints is shown; --log FILE keeps it.
//
// The folder that the task names (/work) is emptied and written anew for each run. As root the code
// under test runs as a user of its own; without root it can do to the grader whatever the same user
// can, but for rewriting the reward of a grader that lives to write it. TASKMINT_WALL_MS_MAX in the
// environment shortens a run's limit.
//
// Errors (verifier): FAILED_PRECONDITION where the task's language or kind has no portable grader.
Result<FileTree> PortableGraderFiles(const v1::Task& task, const FileTree& overlay,
                                     const FileTree& parent_tree);

// A test id as one word, as log parsers that split lines at white space read it: white space and
// control characters are written %XX, byte by byte, and nothing else changes. FAIL_TO_PASS and
// PASS_TO_PASS of a SWE-bench row hold ids in this form.
std::string PytestLineId(std::string_view id);

// What the files of PortableGraderFiles say, read back: for imports and proofs.
struct PortableTask {
  v1::TestVerifier expected;  // all but overlay_digest
  FileTree overlay;
  std::string driver;     // "python"
  std::string work_path;  // "/work"
  int64_t wall_ms_max = 0;
};
// From the files of a tests/ folder, which may come from anywhere. INVALID_ARGUMENT (verifier) with
// the file and what is wrong with it.
Result<PortableTask> ReadPortableGrader(const FileTree& tests);

}  // namespace taskmint::verifier

#endif  // TASKMINT_VERIFIER_PORTABLE_GRADER_H_
