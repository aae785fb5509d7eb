// SqliteStore's submitted jobs.
#include "datasets/candidate_rows.h"
#include "datasets/sqlite_store.h"

namespace taskmint::datasets {
namespace {

using sqlite::Statement;

}  // namespace

Status SqliteStore::PutSubmission(const v1::Submission& submission) {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  TASKMINT_ASSIGN_OR_RETURN(const std::string packed, PackRecord(submission));
  return connection
      ->Prepare(
          "INSERT INTO submissions(id, created_ms, record) VALUES(?,?,?) "
          "ON CONFLICT(id) DO UPDATE SET record = excluded.record")
      .Text(submission.status().id())
      .Int(submission.status().created_ms())
      .Blob(packed)
      .Run();
}

Result<std::vector<v1::Submission>> SqliteStore::Submissions() {
  TASKMINT_ASSIGN_OR_RETURN(auto connection, pool_.Borrow());
  std::vector<v1::Submission> submissions;
  {
    Statement table = connection->Prepare(
        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'submissions'");
    TASKMINT_ASSIGN_OR_RETURN(const bool there, table.Step());
    if (!there) return submissions;
  }
  Statement row =
      connection->Prepare("SELECT id, record FROM submissions ORDER BY created_ms DESC, id");
  for (;;) {
    TASKMINT_ASSIGN_OR_RETURN(const bool more, row.Step());
    if (!more) return submissions;
    v1::Submission& submission = submissions.emplace_back();
    TASKMINT_RETURN_IF_ERROR(UnpackRecord(row.GetText(1), "job " + row.GetText(0), submission));
  }
}

}  // namespace taskmint::datasets
