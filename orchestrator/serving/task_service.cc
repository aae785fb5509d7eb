#include "orchestrator/serving/task_service.h"

#include "orchestrator/regrade.h"
#include "orchestrator/serving/audit_record.h"
#include "orchestrator/serving/export_call.h"
#include "orchestrator/serving/page.h"
#include "orchestrator/serving/public_task.h"
#include "orchestrator/serving/slots.h"
#include "orchestrator/store_stats.h"

namespace taskmint::orchestrator {
namespace {

// Each runs over the whole store.
constexpr int64_t kReadersMax = 8;

void FillRow(const datasets::ListRow& row, const HiddenPath& store, bool reveal,
             v1::TaskRow& filled) {
  if (reveal) filled.set_commit(row.commit);
  filled.set_id(row.id);
  filled.set_category(row.category);
  filled.set_language(row.language);
  filled.set_source(row.source);
  filled.set_kept(row.kept);
  filled.set_reason(store.Hide(row.reason));
}

Status FillPage(const std::vector<datasets::ListRow>& rows, const v1::ListRequest& request,
                const HiddenPath& store, bool reveal, v1::ListResponse& response) {
  TASKMINT_ASSIGN_OR_RETURN(const Page page, ReadPage(request.page_token(), request.page_size()));
  size_t at = page.begin.value_or(0);
  size_t bytes = 0;
  for (size_t begin = at; at < rows.size() && (page.rows_max == 0 || at - begin < page.rows_max);
       ++at) {
    v1::TaskRow& row = *response.add_tasks();
    FillRow(rows[at], store, reveal, row);
    bytes += row.ByteSizeLong() + 8;
    if (bytes > kPageBytesMax && at > begin) {
      response.mutable_tasks()->RemoveLast();
      break;
    }
  }
  if (at < rows.size()) response.set_next_page_token(std::to_string(at));
  return OkStatus();
}

grpc::Status NotShown() {
  return {grpc::StatusCode::PERMISSION_DENIED,
          "solutions, hidden tests, verifiers and rejected candidates are shown to bearers of the "
          "token in the server's --reveal-token-file only"};
}

Result<ProposedSolution> SolutionAsked(const v1::VerifyRequest& request) {
  using Kind = ProposedSolution::Kind;
  if (request.has_patch()) return ProposedSolution{Kind::kPatch, request.patch()};
  if (request.has_gold() && request.gold()) return ProposedSolution{Kind::kGold, ""};
  if (request.has_null() && request.null()) return ProposedSolution{Kind::kNull, ""};
  return Status(Code::kInvalidArgument, Boundary::kConfig,
                "no solution: set patch to a unified diff, or gold or null to true");
}

}  // namespace

grpc::Status TaskServer::Get(grpc::ServerContext* context, const v1::GetRequest* request,
                             v1::GetResponse* response) {
  const Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  if (request->reveal()) {
    if (!call.may_reveal()) return NotShown();
    return call.End(Reveal(request->id(), *response));
  }
  const auto task = served_.FindPublic(request->id());
  if (!task.ok()) return call.End(task.status());
  // Goes out as the field `task` does, and is not copied and encoded anew for each client.
  v1::GetResponse::GetReflection()->MutableUnknownFields(response)->AddLengthDelimited(
      v1::GetResponse::kTaskFieldNumber, **task);
  return grpc::Status::OK;
}

Status TaskServer::Reveal(const std::string& id, v1::GetResponse& response) {
  TASKMINT_ASSIGN_OR_RETURN(const ServedTasks::Entry kept, served_.Find(id));
  const v1::Task& task = kept->task();
  *response.mutable_task() = task;
  *response.mutable_evidence() = kept->evidence();
  TASKMINT_ASSIGN_OR_RETURN(*response.mutable_gold_patch(),
                            store_.blobs().Get(task.solution().patch_digest()));
  TASKMINT_ASSIGN_OR_RETURN(const FileTree overlay,
                            store_.blobs().GetTree(task.verifier().tests().overlay_digest()));
  for (const auto& [path, entry] : overlay.files()) {
    v1::HiddenFile& file = *response.add_hidden_files();
    file.set_path(path);
    file.set_content(*entry.content);
  }
  return OkStatus();
}

grpc::Status TaskServer::TooManyReaders() {
  return {grpc::StatusCode::RESOURCE_EXHAUSTED,
          std::to_string(kReadersMax) +
              " calls read the whole store, as many as this server does at once: try again in a "
              "second"};
}

grpc::Status TaskServer::List(grpc::ServerContext* context, const v1::ListRequest* request,
                              v1::ListResponse* response) {
  using Which = datasets::Store::Which;
  Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  // Which commits of a public source were rejected narrows down which ones fix the tasks.
  if (request->include_rejected() && !call.may_reveal()) return NotShown();
  const Slot slot(readers_, kReadersMax);
  if (!slot.taken()) return TooManyReaders();
  const auto rows = store_.List(request->include_rejected() ? Which::kAll : Which::kKept,
                                request->where(), {call.may_reveal(), call.stop()});
  if (!rows.ok()) return call.End(rows.status());
  return call.End(FillPage(*rows, *request, rules_.store, call.may_reveal(), *response));
}

grpc::Status TaskServer::TooManyGradings() const {
  return {grpc::StatusCode::RESOURCE_EXHAUSTED,
          std::to_string(gradings_max_) +
              " gradings are running, as many as this server does at once: try again in a second"};
}

grpc::Status TaskServer::Verify(grpc::ServerContext* context, const v1::VerifyRequest* request,
                                v1::VerifyResponse* response) {
  Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  const auto solution = SolutionAsked(*request);
  if (!solution.ok()) return call.End(solution.status());
  const Slot slot(gradings_, gradings_max_);
  if (!slot.taken()) return TooManyGradings();
  const auto kept = served_.Find(request->id());
  if (!kept.ok()) return call.End(kept.status());
  const auto graded = GradeSolution(store_, sandboxes_, **kept, *solution, call.stop());
  if (!graded.ok()) return call.End(graded.status());
  const v1::Verdict& verdict = graded->verdict;
  if (verdict.state() != v1::Verdict::STATE_NO_VERDICT) response->set_score(verdict.score());
  *response->mutable_verdict() = call.may_reveal() ? verdict : PublicVerdict(verdict);
  return grpc::Status::OK;
}

grpc::Status TaskServer::Replay(grpc::ServerContext* context, const v1::ReplayRequest* request,
                                v1::ReplayReport* response) {
  Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  if (!call.may_reveal()) return NotShown();
  const Slot slot(gradings_, gradings_max_);
  if (!slot.taken()) return TooManyGradings();
  const auto kept = served_.Find(request->id());
  if (!kept.ok()) return call.End(kept.status());
  auto report = orchestrator::Replay(store_, sandboxes_, **kept, clock_, call.stop());
  if (!report.ok()) return call.End(report.status());
  *response = *std::move(report);
  return grpc::Status::OK;
}

grpc::Status TaskServer::Stats(grpc::ServerContext* context, const v1::StatsRequest*,
                               v1::StoreStats* response) {
  Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  const Slot slot(readers_, kReadersMax);
  if (!slot.taken()) return TooManyReaders();
  auto stats = StatsOf(store_, call.stop());
  if (!stats.ok()) return call.End(stats.status());
  *response = *std::move(stats);
  return grpc::Status::OK;
}

grpc::Status TaskServer::Audit(grpc::ServerContext* context, const v1::AuditRequest* request,
                               v1::AuditReport* response) {
  Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  if (!call.may_reveal()) return NotShown();
  const Slot slot(readers_, kReadersMax);
  if (!slot.taken()) return TooManyReaders();
  return call.End(AuditKept(request->where(), call.stop(), *response));
}

Status TaskServer::AuditKept(const std::string& where, std::stop_token stop,
                             v1::AuditReport& response) {
  TASKMINT_ASSIGN_OR_RETURN(const std::vector<std::string> ids, store_.KeptTaskIds(where));
  TASKMINT_ASSIGN_OR_RETURN(const AuditReport report, AuditTasks(store_, ids, {}, std::move(stop)));
  response = ToRecord(report);
  return OkStatus();
}

grpc::Status TaskServer::Export(grpc::ServerContext* context, const v1::ExportRequest* request,
                                grpc::ServerWriter<v1::ExportChunk>* writer) {
  Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  if (!call.may_reveal()) return NotShown();
  const Slot slot(exports_, 1);
  if (!slot.taken()) {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED,
            "another export is being made: try again when it has ended"};
  }
  const auto send = [writer](const v1::ExportChunk& chunk) { return writer->Write(chunk); };
  return call.End(SendExport(store_, sandboxes_, *request, send, call.stop()));
}

}  // namespace taskmint::orchestrator
