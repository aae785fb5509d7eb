#include "orchestrator/store_stats.h"

#include <set>

namespace taskmint::orchestrator {

Result<v1::StoreStats> StatsOf(datasets::Store& store, std::stop_token stop) {
  v1::StoreStats stats;
  TASKMINT_ASSIGN_OR_RETURN(const std::vector<datasets::FunnelRow> funnel, store.Funnel());
  for (const datasets::FunnelRow& row : funnel) {
    v1::StoreStats::FunnelRow& counted = *stats.add_funnel();
    counted.set_source(row.source);
    counted.set_reason(row.reason);
    counted.set_count(row.count);
  }
  TASKMINT_ASSIGN_OR_RETURN(const std::vector<std::string> ids, store.KeptTaskIds(""));
  stats.set_tasks(static_cast<int64_t>(ids.size()));
  std::set<std::string> layers;
  int64_t layer_uses = 0;
  const auto interrupted = [&]() -> Status {
    if (!stop.stop_requested()) return OkStatus();
    return {Code::kCancelled, Boundary::kNone, "interrupted"};
  };
  for (const std::string& id : ids) {
    TASKMINT_RETURN_IF_ERROR(interrupted());
    TASKMINT_ASSIGN_OR_RETURN(const v1::Candidate candidate, store.FindById(id));
    const std::string& spdx_id = candidate.task().licence().spdx_id();
    ++(*stats.mutable_licences())[spdx_id.empty() ? "unknown" : spdx_id];
    for (const v1::Layer& layer : candidate.task().environment().repository().layers()) {
      layers.insert(layer.tree_digest());
      ++layer_uses;
    }
  }
  stats.set_layers(static_cast<int64_t>(layers.size()));
  stats.set_layer_uses(layer_uses);
  TASKMINT_RETURN_IF_ERROR(store.blobs().ForEach([&](const datasets::BlobStore::BlobOnDisk& blob) {
    stats.set_blobs(stats.blobs() + 1);
    stats.set_blob_bytes(stats.blob_bytes() + blob.disk_bytes);
  }));
  TASKMINT_RETURN_IF_ERROR(interrupted());
  stats.set_database_bytes(store.database_bytes());
  return stats;
}

}  // namespace taskmint::orchestrator
