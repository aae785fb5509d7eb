#include "orchestrator/task_shelf.h"

#include <algorithm>
#include <utility>

#include "orchestrator/regrade.h"

namespace taskmint::orchestrator {
namespace {

uint64_t FileBytes(const LoadedTask& task) {
  return task.bench.parent_tree.content_bytes() + task.bench.bench.overlay.content_bytes() +
         task.bench.gold_patch.size();
}

}  // namespace

Result<TaskShelf::Entry> TaskShelf::Load(const std::string& id, std::stop_token stop) {
  {
    const std::lock_guard lock(mutex_);
    if (Entry found = Find(id)) return found;
  }
  TASKMINT_ASSIGN_OR_RETURN(v1::Candidate kept, FindServed(store_, id));
  const std::string whole_id = kept.task().id();
  {
    std::unique_lock lock(mutex_);
    const bool mine = loaded_.wait(lock, stop, [&] { return loading_.count(whole_id) == 0; });
    if (!mine) return Status(Code::kCancelled, Boundary::kAgent, "interrupted before the call");
    if (Entry found = Find(whole_id)) return found;
    loading_.insert(whole_id);
  }
  Result<Entry> loaded = LoadTask(store_, sandboxes_, std::move(kept), std::move(stop));
  const std::lock_guard lock(mutex_);
  loading_.erase(whole_id);
  loaded_.notify_all();
  if (!loaded.ok()) return loaded.status();
  std::erase_if(played_, [](const auto& place) { return place.second.expired(); });
  played_[whole_id] = *loaded;
  PutFirst(*loaded);
  return loaded;
}

TaskShelf::Entry TaskShelf::Find(const std::string& id) {
  const auto found = played_.find(id);
  if (found == played_.end()) return nullptr;
  Entry entry = found->second.lock();
  if (entry == nullptr) {
    played_.erase(found);
    return nullptr;
  }
  PutFirst(entry);
  return entry;
}

void TaskShelf::PutFirst(const Entry& entry) {
  latest_.remove(entry);
  latest_.push_front(entry);
  uint64_t bytes = 0;
  size_t kept = 0;
  auto it = latest_.begin();
  for (; it != latest_.end() && kept < entries_max_; ++it, ++kept) {
    bytes += FileBytes(**it);
    if (bytes > bytes_max_ && kept > 0) break;
  }
  latest_.erase(it, latest_.end());
}

}  // namespace taskmint::orchestrator
