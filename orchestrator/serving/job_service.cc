#include "orchestrator/serving/job_service.h"

#include <string>

#include "orchestrator/serving/slots.h"

namespace taskmint::orchestrator {
namespace {

// Bundles are held in memory while they arrive.
constexpr int64_t kUploadsMax = 4;
constexpr int64_t kWatchersMax = 256;

grpc::Status Busy(const std::string& what, int64_t most) {
  return {grpc::StatusCode::RESOURCE_EXHAUSTED,
          std::to_string(most) + " " + what +
              " already, as many as this server takes: try again in a second"};
}

// The bundle's bytes after the first message.
Status ReadBundle(grpc::ServerReader<v1::SubmitRequest>& reader, int64_t bytes_max,
                  v1::SubmitRequest message, std::string& bundle) {
  do {
    if (bundle.size() + message.bundle_chunk().size() > static_cast<size_t>(bytes_max)) {
      return {Code::kResourceExhausted, Boundary::kConfig,
              "the bundle is larger than " + std::to_string(bytes_max >> 20) +
                  " MiB: send fewer branches, or a shallower history"};
    }
    bundle += message.bundle_chunk();
  } while (reader.Read(&message));
  return OkStatus();
}

}  // namespace

grpc::Status JobServer::Submit(grpc::ServerContext* context,
                               grpc::ServerReader<v1::SubmitRequest>* reader,
                               v1::JobStatus* response) {
  const Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  const Slot slot(uploads_, kUploadsMax);
  if (!slot.taken()) return Busy("jobs are being submitted", kUploadsMax);
  v1::SubmitRequest first;
  if (!reader->Read(&first)) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "no request: the first message must hold one"};
  }
  const v1::SynthRequest request = first.request();
  if (const Status status = desk_.Check(request); !status.ok()) return call.End(status);
  std::string bundle;
  const Status read =
      ReadBundle(*reader, desk_.limits().bundle_bytes_max, std::move(first), bundle);
  if (!read.ok()) return call.End(read);
  // A client that is gone has sent half a bundle.
  if (context->IsCancelled()) return grpc::Status::CANCELLED;
  auto accepted = desk_.Submit(request, bundle);
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
  const auto tell = [writer](const v1::JobEvent& event) { return writer->Write(event); };
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

grpc::Status JobServer::List(grpc::ServerContext* context, const v1::ListJobsRequest* /*request*/,
                             v1::ListJobsResponse* response) {
  const Call call(rules_, context);
  if (!call.admission().ok()) return call.admission();
  for (v1::JobStatus& status : desk_.List()) *response->add_jobs() = std::move(status);
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
