#include "sandbox/spare_sandboxes.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace taskmint::sandbox {
namespace {

using Clock = std::chrono::steady_clock;

// Equal for equal specs only; empty for a kind that has no spares.
std::string KindOf(const SandboxSpec& spec) {
  if (spec.network.mode != Network::Mode::kNone) return "";
  std::string key;
  const auto add = [&](std::string_view text) {
    key += std::to_string(text.size()) + ":";
    key += text;
  };
  add(spec.base_path);
  add(spec.work_path);
  add(std::to_string(spec.scratch_paths.size()));
  for (const std::string& path : spec.scratch_paths) add(path);
  add(std::to_string(spec.mounts.size()));
  for (const Mount& mount : spec.mounts) {
    if (mount.writable) return "";
    add(mount.host_path);
    add(mount.inside_path);
  }
  add(std::to_string(spec.layered_folders.size()));
  for (const LayeredFolder& folder : spec.layered_folders) {
    add(folder.inside_path);
    add(folder.writable ? "w" : "");
    add(std::to_string(folder.layers.size()));
    for (const Layer& layer : folder.layers) {
      add(layer.host_path);
      add(layer.image_digest);
    }
  }
  add(std::to_string(spec.masked_paths.size()));
  for (const std::string& path : spec.masked_paths) add(path);
  for (const auto& [name, value] : spec.variables) {
    add(name);
    add(value);
  }
  const Limits& limits = spec.limits;
  for (const int64_t number : {limits.processes_max, limits.memory_bytes_max, limits.disk_bytes_max,
                               limits.file_bytes_max, limits.open_files_max, limits.inodes_max}) {
    static_assert(sizeof(Limits) == 6 * sizeof(int64_t), "each limit is part of the key");
    add(std::to_string(number));
  }
  return key;
}

}  // namespace

SpareSandboxes::SpareSandboxes(SandboxHost& host, SpareLimits limits)
    : host_(host), limits_(limits), worker_([this](const std::stop_token& stop) { Work(stop); }) {}

SpareSandboxes::~SpareSandboxes() {
  worker_.request_stop();
  worker_.join();
}

Result<std::unique_ptr<Sandbox>> SpareSandboxes::Open(const SandboxSpec& spec,
                                                      std::stop_token stop) {
  const std::string name = KindOf(spec);
  std::unique_ptr<Sandbox> spare;
  if (!name.empty()) {
    const std::lock_guard lock(mutex_);
    const auto [place, is_new] = kinds_.try_emplace(name);
    Kind& kind = place->second;
    if (is_new) kind.spec = spec;
    kind.wanted = !is_new;
    kind.failed = false;
    kind.asked = Clock::now();
    changed_.notify_all();
    if (!kind.ready.empty()) {
      spare = std::move(kind.ready.back());
      kind.ready.pop_back();
    }
  }
  // One that died while it waited, for want of memory say, is none.
  if (spare != nullptr && spare->KillAll().ok()) return spare;
  return host_.Open(spec, std::move(stop));
}

size_t SpareSandboxes::spares() const {
  const std::lock_guard lock(mutex_);
  size_t count = 0;
  for (const auto& [name, kind] : kinds_) count += kind.ready.size();
  return count;
}

std::vector<std::unique_ptr<Sandbox>> SpareSandboxes::TakeIdle() {
  std::vector<std::unique_ptr<Sandbox>> idle;
  const auto drop = [&](std::map<std::string, Kind>::iterator place) {
    for (auto& spare : place->second.ready) idle.push_back(std::move(spare));
    return kinds_.erase(place);
  };
  const auto oldest_asked = Clock::now() - std::chrono::milliseconds(limits_.idle_ms_max);
  for (auto place = kinds_.begin(); place != kinds_.end();) {
    place = place->second.asked < oldest_asked ? drop(place) : std::next(place);
  }
  while (kinds_.size() > limits_.kinds_max) {
    drop(std::min_element(kinds_.begin(), kinds_.end(), [](const auto& a, const auto& b) {
      return a.second.asked < b.second.asked;
    }));
  }
  return idle;
}

void SpareSandboxes::Work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const auto lacking = [&] {
    return std::find_if(kinds_.begin(), kinds_.end(), [&](const auto& place) {
      const Kind& kind = place.second;
      return kind.wanted && !kind.failed && kind.ready.size() < limits_.spares_max;
    });
  };
  while (!stop.stop_requested()) {
    std::vector<std::unique_ptr<Sandbox>> idle = TakeIdle();
    const auto place = lacking();
    if (place == kinds_.end() && idle.empty()) {
      const auto pause = std::chrono::milliseconds(std::max<int64_t>(1, limits_.idle_ms_max / 4));
      changed_.wait_for(lock, stop, pause, [&] { return lacking() != kinds_.end(); });
      continue;
    }
    const std::string name = place == kinds_.end() ? "" : place->first;
    const SandboxSpec spec = place == kinds_.end() ? SandboxSpec() : place->second.spec;
    lock.unlock();
    idle.clear();
    Result<std::unique_ptr<Sandbox>> opened =
        name.empty() ? Status(Code::kUnknown, Boundary::kSandbox, "") : host_.Open(spec, stop);
    lock.lock();
    const auto now = kinds_.find(name);
    if (now == kinds_.end()) {
      lock.unlock();
      opened = Status(Code::kUnknown, Boundary::kSandbox, "");  // nobody wants it any more
      lock.lock();
    } else if (opened.ok()) {
      now->second.ready.push_back(std::move(opened).value());
    } else {
      now->second.failed = true;
    }
  }
}

}  // namespace taskmint::sandbox
