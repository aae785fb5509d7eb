#include "orchestrator/serving/served_tasks.h"

#include "orchestrator/regrade.h"
#include "orchestrator/serving/public_task.h"

namespace taskmint::orchestrator {
namespace {

constexpr int64_t kFreshMs = 2'000;
constexpr size_t kPlacesMax = 4'096;

}  // namespace

Result<ServedTasks::Place> ServedTasks::Read(const std::string& id) {
  const int64_t now_ms = clock_.MonotonicMs();
  {
    const std::lock_guard lock(mutex_);
    const auto found = places_.find(id);
    if (found != places_.end() && now_ms - found->second.read_ms < kFreshMs) return found->second;
  }
  TASKMINT_ASSIGN_OR_RETURN(v1::Candidate kept, FindServed(store_, id));
  Place place;
  place.task = std::make_shared<const std::string>(PublicTask(kept.task()).SerializeAsString());
  place.candidate = std::make_shared<const v1::Candidate>(std::move(kept));
  place.read_ms = now_ms;
  const std::lock_guard lock(mutex_);
  if (const auto found = places_.find(id); found != places_.end()) {
    ages_.erase(found->second.age);
    places_.erase(found);
  }
  ages_.push_front(id);
  place.age = ages_.begin();
  places_.emplace(id, place);
  if (places_.size() > kPlacesMax) {
    places_.erase(ages_.back());
    ages_.pop_back();
  }
  return place;
}

Result<ServedTasks::Entry> ServedTasks::Find(const std::string& id) {
  TASKMINT_ASSIGN_OR_RETURN(const Place place, Read(id));
  return place.candidate;
}

Result<ServedTasks::PublicEntry> ServedTasks::FindPublic(const std::string& id) {
  TASKMINT_ASSIGN_OR_RETURN(const Place place, Read(id));
  return place.task;
}

}  // namespace taskmint::orchestrator
