#include "datasets/candidate_rows.h"

#include <algorithm>

#include "datasets/compression.h"
#include "proto/base/digest.h"
#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

constexpr uint64_t kRecordBytesMax = 256ULL << 20;
constexpr size_t kIdPrefixMin = 6;

std::string OutcomeName(v1::Evidence::Outcome outcome) {
  switch (outcome) {
    case v1::Evidence::OUTCOME_PASSED:
      return "passed";
    case v1::Evidence::OUTCOME_REJECTED:
      return "rejected";
    case v1::Evidence::OUTCOME_UNMEASURED:
      return "unmeasured";
    case v1::Evidence::OUTCOME_NO_VERDICT:
      return "no-verdict";
    default:
      return "";
  }
}

Status WriteEvidence(sqlite::Connection& connection, int64_t run, const v1::Candidate& candidate) {
  TASKMINT_RETURN_IF_ERROR(connection.Prepare("DELETE FROM evidence WHERE run = ? AND position = ?")
                               .Int(run)
                               .Int(candidate.position())
                               .Run());
  for (int i = 0; i < candidate.evidence_size(); ++i) {
    const v1::Evidence& evidence = candidate.evidence(i);
    TASKMINT_ASSIGN_OR_RETURN(const std::string packed, PackRecord(evidence));
    TASKMINT_RETURN_IF_ERROR(connection.Prepare("INSERT INTO evidence VALUES(?,?,?,?,?,?,?,?,?)")
                                 .Int(run)
                                 .Int(candidate.position())
                                 .Int(i)
                                 .Text(evidence.gate())
                                 .Text(OutcomeName(evidence.outcome()))
                                 .Text(evidence.detail())
                                 .Int(evidence.wall_ms())
                                 .Int(evidence.cpu_ms())
                                 .Blob(packed)
                                 .Run());
  }
  return OkStatus();
}

void BindMutationScore(sqlite::Statement& statement, const v1::Candidate& candidate) {
  for (const v1::Evidence& evidence : candidate.evidence()) {
    const auto value = evidence.values().find("mutation_score");
    if (evidence.gate() == "mutation" && value != evidence.values().end()) {
      statement.Real(value->second);
      return;
    }
  }
  statement.Null();
}

}  // namespace

std::string CategoryName(v1::Category category) {
  switch (category) {
    case v1::CATEGORY_CODE:
      return "code";
    case v1::CATEGORY_SEARCH:
      return "search";
    case v1::CATEGORY_INTERPRETER:
      return "interpreter";
    case v1::CATEGORY_GENERAL:
      return "general";
    default:
      return "";
  }
}

Result<int64_t> RunNumber(sqlite::Connection& connection, const std::string& run_id) {
  sqlite::Statement statement = connection.Prepare("SELECT number FROM runs WHERE id = ?");
  statement.Text(run_id);
  TASKMINT_ASSIGN_OR_RETURN(const bool found, statement.Step());
  if (!found) return Status(Code::kNotFound, Boundary::kStore, "no run " + run_id);
  return statement.GetInt(0);
}

Status WriteCandidate(sqlite::Connection& connection, int64_t run, const v1::Candidate& candidate,
                      int64_t now_ms) {
  const v1::Task& task = candidate.task();
  const v1::TestVerifier& tests = task.verifier().tests();
  sqlite::Statement row = connection.Prepare(
      "INSERT INTO candidates(run, position, id, task_id, state, commit_sha, language, reason, "
      "licence, fail_to_pass, error_to_pass, pass_to_pass, duplicate_key, created_ms, updated_ms, "
      "prompt, mutation_score) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) "
      "ON CONFLICT(run, position) DO UPDATE SET id = excluded.id, task_id = excluded.task_id, "
      "state = excluded.state, commit_sha = excluded.commit_sha, language = excluded.language, "
      "reason = excluded.reason, licence = excluded.licence, "
      "fail_to_pass = excluded.fail_to_pass, error_to_pass = excluded.error_to_pass, "
      "pass_to_pass = excluded.pass_to_pass, duplicate_key = excluded.duplicate_key, "
      "updated_ms = excluded.updated_ms, prompt = excluded.prompt, "
      "mutation_score = excluded.mutation_score");
  row.Int(run).Int(candidate.position()).Text(candidate.id()).Text(task.id());
  row.Int(candidate.state()).Text(candidate.commit()).Text(task.language());
  row.Text(candidate.reason()).Text(task.licence().spdx_id()).Int(tests.fail_to_pass_size());
  row.Int(tests.error_to_pass_size()).Int(tests.pass_to_pass_size()).Text(DuplicateKey(candidate));
  row.Int(now_ms).Int(now_ms).Text(task.prompt().text());
  BindMutationScore(row, candidate);
  TASKMINT_RETURN_IF_ERROR(row.Run());

  v1::Candidate record = candidate;
  record.clear_evidence();
  TASKMINT_ASSIGN_OR_RETURN(const std::string packed, PackRecord(record));
  TASKMINT_RETURN_IF_ERROR(
      connection.Prepare("INSERT OR REPLACE INTO candidate_records VALUES(?,?,?)")
          .Int(run)
          .Int(candidate.position())
          .Blob(packed)
          .Run());
  return WriteEvidence(connection, run, candidate);
}

Result<v1::Candidate> ReadCandidate(sqlite::Connection& connection, int64_t run, int64_t position) {
  const std::string what =
      "candidate " + std::to_string(position) + " of run " + std::to_string(run);
  v1::Candidate candidate;
  sqlite::Statement row = connection.Prepare(
      "SELECT record, state FROM candidate_records JOIN candidates USING(run, position) "
      "WHERE run = ? AND position = ?");
  row.Int(run).Int(position);
  TASKMINT_ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return Status(Code::kNotFound, Boundary::kStore, "no " + what);
  TASKMINT_RETURN_IF_ERROR(UnpackRecord(row.GetText(0), what, candidate));
  // SelectUpTo changes the column alone.
  candidate.set_state(static_cast<v1::Candidate::State>(row.GetInt(1)));
  sqlite::Statement evidence = connection.Prepare(
      "SELECT record FROM evidence WHERE run = ? AND position = ? ORDER BY ordinal");
  evidence.Int(run).Int(position);
  for (;;) {
    TASKMINT_ASSIGN_OR_RETURN(const bool more, evidence.Step());
    if (!more) return candidate;
    TASKMINT_RETURN_IF_ERROR(
        UnpackRecord(evidence.GetText(0), "evidence of " + what, *candidate.add_evidence()));
  }
}

Status WriteJobs(sqlite::Connection& connection, const std::vector<StageJob>& jobs) {
  for (const StageJob& job : jobs) {
    TASKMINT_RETURN_IF_ERROR(
        connection
            .Prepare("INSERT INTO jobs(id, run_id, position, stage) VALUES(?,?,?,?) "
                     "ON CONFLICT(id) DO NOTHING")
            .Text(job.id)
            .Text(job.run_id)
            .Int(job.position)
            .Text(job.stage)
            .Run());
  }
  return OkStatus();
}

std::string DuplicateKey(const v1::Candidate& candidate) {
  const v1::Task& task = candidate.task();
  if (task.solution().patch_digest().empty()) return "";
  DigestBuilder digest;
  digest.Add(task.environment().repository().base().package_list_digest());
  digest.Add(task.solution().patch_digest());
  for (const std::string& id : task.verifier().tests().fail_to_pass()) digest.Add(id);
  digest.Add("error-to-pass");
  for (const std::string& id : task.verifier().tests().error_to_pass()) digest.Add(id);
  return digest.Hex();
}

Status CheckIdPrefix(const std::string& id, const std::string& command) {
  const bool hex = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  if (hex && id.size() >= kIdPrefixMin && id.size() <= 64) return OkStatus();
  return {Code::kInvalidArgument, Boundary::kConfig,
          "'" + Printable(id.substr(0, 80)) +
              "' is not an id: give at least 6 of its hexadecimal digits, as `taskmint " + command +
              "` prints them"};
}

std::string IdPrefixEnd(const std::string& prefix) { return prefix + "g"; }

Result<std::string> PackRecord(const google::protobuf::MessageLite& record) {
  const std::string bytes = record.SerializeAsString();
  const std::unique_ptr<google::protobuf::MessageLite> copy(record.New());
  if (copy->ParseFromString(bytes)) return Compress(bytes);
  return Status(Code::kInternal, Boundary::kStore,
                "a record of type " + record.GetTypeName() +
                    " was not written, because it could not be read back: text in it is not UTF-8");
}

Status UnpackRecord(std::string_view packed, const std::string& what,
                    google::protobuf::MessageLite& record) {
  const Result<std::string> bytes = Decompress(packed, kRecordBytesMax);
  if (bytes.ok() && record.ParseFromString(*bytes)) return OkStatus();
  return {Code::kDataLoss, Boundary::kStore,
          "the record of " + what + " is damaged" +
              (bytes.ok() ? std::string() : " (" + bytes.status().message() + ")") +
              "; put the store back from a copy, or mint into a new one"};
}

}  // namespace taskmint::datasets
