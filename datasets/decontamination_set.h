// `--decontaminate FILE`: a set that training data must not hold, as users have it.
#ifndef TASKMINT_DATASETS_DECONTAMINATION_SET_H_
#define TASKMINT_DATASETS_DECONTAMINATION_SET_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace taskmint::datasets {

// One document of the set. What is compared with a task, each by kNearDuplicate:
// - of a row with a patch: problem statement and patch with the task's prompt and patch, the
//   statement with the prompt, and the patch with the patch (the same fix asked for in other
//   words);
// - of a row without one, and of a line of text: its text with the prompt, and with prompt and
//   patch.
// A patch is the solution's; the row's test patch and hints are not compared.
struct DecontaminationDocument {
  // instance_id, else the line's number.
  std::string id;
  // problem_statement, or the line.
  std::string text;
  // Empty where there is none.
  std::string patch;
};

// Calls `each` with every document of a file, in order, until it returns false. The file is
// SWE-bench JSONL where its first line that is not blank is a JSON object (rows of the Hugging Face
// set and of v5; only instance_id, problem_statement and patch are read, null counts as absent),
// else plain text, a document a line. Blank lines, a byte order mark and Windows line ends are
// dropped. `name` stands in messages. INVALID_ARGUMENT (config), with the line, for rows that are
// no JSON object or have neither problem_statement nor patch, fields that are no text, NUL bytes,
// bytes that are not UTF-8, lines beyond 16 MiB, what is compressed, Parquet or one JSON array, and
// a file without a document. The bytes may be hostile. Linear; holds one document at a time.
// Thread-safe.
Status ReadDecontaminationSet(std::string_view bytes, const std::string& name,
                              const std::function<bool(const DecontaminationDocument&)>& each);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_DECONTAMINATION_SET_H_
