// Candidates and their evidence as rows: written by the ledger and the store alike.
#ifndef TASKMINT_DATASETS_CANDIDATE_ROWS_H_
#define TASKMINT_DATASETS_CANDIDATE_ROWS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/ledger.h"
#include "datasets/sqlite/connection.h"
#include "proto/base/status.h"
#include "proto/job.pb.h"

namespace taskmint::datasets {

// "code", "search", ...: the spelling in tables and JSON; empty for CATEGORY_UNSPECIFIED.
std::string CategoryName(v1::Category category);

// The run's number. NOT_FOUND.
Result<int64_t> RunNumber(sqlite::Connection& connection, const std::string& run_id);

// Inserts or replaces the candidate at its position of the run, with its evidence. Called within a
// transaction.
Status WriteCandidate(sqlite::Connection& connection, int64_t run, const v1::Candidate& candidate,
                      int64_t now_ms);

// NOT_FOUND, DATA_LOSS.
Result<v1::Candidate> ReadCandidate(sqlite::Connection& connection, int64_t run, int64_t position);

// Adds the jobs that are not there. Called within a transaction.
Status WriteJobs(sqlite::Connection& connection, const std::vector<StageJob>& jobs);

// What FindDuplicate compares: the base, and the solution's patch with the tests that it turns.
// Empty when the candidate has no solution yet.
std::string DuplicateKey(const v1::Candidate& candidate);

// INVALID_ARGUMENT for what is no id nor 6 or more of its first digits; `command` prints ids.
Status CheckIdPrefix(const std::string& id, const std::string& command);
// The first text after all ids that start with `prefix`.
std::string IdPrefixEnd(const std::string& prefix);

// A message as a compressed column and back. INTERNAL where it could not be read back (protobuf
// writes strings that are not UTF-8, and then refuses them); DATA_LOSS names `what`.
Result<std::string> PackRecord(const google::protobuf::MessageLite& record);
Status UnpackRecord(std::string_view packed, const std::string& what,
                    google::protobuf::MessageLite& record);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_CANDIDATE_ROWS_H_
