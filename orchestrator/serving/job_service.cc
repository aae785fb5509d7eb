#include "orchestrator/serving/job_service.h"

#include <chrono>
#include <string>

#include "orchestrator/serving/page.h"
#include "orchestrator/serving/slots.h"

namespace taskmint::orchestrator {
namespace {

// Bundles are held in memory while they arrive.
constexpr int64_t kUploadsMax = 4;
constexpr int64_t kWatchersMax = 256;
// An upload that is slower than this only keeps others out.
constexpr int64_t kUploadBytesPerSecondMin = 16 << 10;

grpc::Status Busy(const std::string& what, int64_t most) {
  return {grpc::StatusCode::RESOURCE_EXHAUSTED,
          std::to_string(most) + " " + what +
              " already, as many as this server takes: try again in a second"};
}

std::chrono::steady_clock::time_point InMs(int64_t ms) {
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
}

// The bundle's bytes, of `message` and what follows it.
Status ReadBundle(Call& call, grpc::ServerReader<v1::SubmitRequest>& reader,
                  const JobLimits& limits, v1::SubmitRequest message, std::string& bundle) {
  const int64_t bytes_max = limits.bundle_bytes_max;
  const auto begin = InMs(limits.upload_wait_ms_max);
  do {
    if (bundle.size() + message.bundle_chunk().size() > static_cast<size_t>(bytes_max)) {
      return {Code::kResourceExhausted, Boundary::kConfig,
              "the bundle is larger than " + std::to_string(bytes_max >> 20) +
                  " MiB: send fewer branches, or a shallower history"};
    }
    bundle += message.bundle_chunk();
    const auto bytes = static_cast<int64_t>(bundle.size());
    call.Expect(begin + std::chrono::milliseconds(bytes * 1000 / kUploadBytesPerSecondMin));
  } while (reader.Read(&message));
  call.Expect({});
  return OkStatus();
}

}  // namespace

grpc::Status JobServer::Submit(grpc::ServerContext* context,
                               grpc::ServerReader<v1::SubmitRequest>* reader,
                               v1::JobStatus* response) {
  Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  call.Expect(InMs(desk_.limits().upload_wait_ms_max));
  v1::SubmitRequest first;
  if (!reader->Read(&first)) {
    if (context->IsCancelled()) return grpc::Status::CANCELLED;
    return {grpc::StatusCode::INVALID_ARGUMENT, "no request: the first message must hold one"};
  }
  const v1::SynthRequest request = first.request();
  if (const Status status = desk_.Check(request); !status.ok()) return call.End(status);
  const Slot slot(uploads_, kUploadsMax);
  if (!slot.taken()) return Busy("jobs are being submitted", kUploadsMax);
  const auto place = desk_.Reserve();
  if (!place.ok()) return call.End(place.status());
  std::string bundle;
  const Status read = ReadBundle(call, *reader, desk_.limits(), std::move(first), bundle);
  if (!read.ok()) return call.End(read);
  // A client that is gone has sent half a bundle.
  if (context->IsCancelled()) return grpc::Status::CANCELLED;
  auto accepted = desk_.Submit(request, bundle, *place);
  if (!accepted.ok()) return call.End(accepted.status());
  *response = *std::move(accepted);
  return grpc::Status::OK;
}

grpc::Status JobServer::Watch(grpc::ServerContext* context, const v1::WatchRequest* request,
                              grpc::ServerWriter<v1::JobEvent>* writer) {
  Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  const Slot slot(watchers_, kWatchersMax);
  if (!slot.taken()) return Busy("watchers are there", kWatchersMax);
  const auto tell = [writer, reveal = call.may_reveal()](const v1::JobEvent& event) {
    if (reveal || !event.has_decision()) return writer->Write(event);
    v1::JobEvent shown = event;
    shown.mutable_decision()->clear_commit();
    return writer->Write(shown);
  };
  return call.End(desk_.Watch(request->id(), tell, call.stop()));
}

grpc::Status JobServer::Get(grpc::ServerContext* context, const v1::GetJobRequest* request,
                            v1::JobStatus* response) {
  const Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  auto status = desk_.Get(request->id());
  if (!status.ok()) return call.End(status.status());
  *response = *std::move(status);
  return grpc::Status::OK;
}

grpc::Status JobServer::List(grpc::ServerContext* context, const v1::ListJobsRequest* request,
                             v1::ListJobsResponse* response) {
  const Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  const auto asked = ReadPage(request->page_token(), request->page_size());
  if (!asked.ok()) return call.End(asked.status());
  JobPage page = desk_.List(asked->begin, asked->rows_max, kPageBytesMax);
  for (v1::JobStatus& status : page.jobs) *response->add_jobs() = std::move(status);
  if (page.next) response->set_next_page_token(std::to_string(*page.next));
  return grpc::Status::OK;
}

grpc::Status JobServer::Cancel(grpc::ServerContext* context, const v1::CancelJobRequest* request,
                               v1::JobStatus* response) {
  const Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  auto status = desk_.Cancel(request->id());
  if (!status.ok()) return call.End(status.status());
  *response = *std::move(status);
  return grpc::Status::OK;
}

}  // namespace taskmint::orchestrator
