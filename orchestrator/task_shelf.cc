#include "orchestrator/task_shelf.h"

#include <algorithm>
#include <utility>

namespace taskmint::orchestrator {
namespace {

uint64_t FileBytes(const LoadedTask& task) {
  return task.bench.parent_tree.content_bytes() + task.bench.bench.overlay.content_bytes() +
         task.bench.gold_patch.size();
}

}  // namespace

Result<TaskShelf::Entry> TaskShelf::Load(const std::string& id, std::stop_token stop) {
  if (Entry found = Find(id)) return found;
  const std::shared_ptr<std::mutex> mutex = loading_.For(id);
  const std::lock_guard lock(*mutex);
  if (Entry found = Find(id)) return found;
  TASKMINT_ASSIGN_OR_RETURN(Entry loaded, LoadTask(store_, sandboxes_, id, std::move(stop)));
  const std::string& whole_id = loaded->kept.task().id();
  if (whole_id != id) {  // a prefix may stand for a task that is there
    if (Entry found = Find(whole_id)) return found;
  }
  Keep(whole_id, loaded);
  return loaded;
}

TaskShelf::Entry TaskShelf::Find(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = played_.find(id);
  if (found == played_.end()) return nullptr;
  Entry entry = found->second.lock();
  if (entry == nullptr) {
    played_.erase(found);
    return nullptr;
  }
  latest_.remove(entry);
  latest_.push_front(entry);
  if (latest_.size() > entries_max_) latest_.pop_back();
  return entry;
}

void TaskShelf::Keep(const std::string& id, const Entry& entry) {
  const std::lock_guard lock(mutex_);
  std::erase_if(played_, [](const auto& place) { return place.second.expired(); });
  played_[id] = entry;
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
