// What the host sees of a sandbox: its processes, by a word in their command line.
#ifndef TASKMINT_TESTS_SANDBOX_HOST_VIEW_H_
#define TASKMINT_TESTS_SANDBOX_HOST_VIEW_H_

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "proto/base/random.h"
#include "sandbox/fd.h"

namespace taskmint::sandbox {

inline int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// A word that no other process of the machine has: a number of seconds to sleep.
inline std::string Marker() {
  return std::to_string(1'000'000'000 + SystemRandom() % 1'000'000'000);
}

// Empty where it cannot be read: processes end while they are looked at.
inline std::string ReadAll(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string content;
  char buffer[4096];
  for (ssize_t size; (size = ::read(file.get(), buffer, sizeof buffer)) > 0;) {
    content.append(buffer, static_cast<size_t>(size));
  }
  return content;
}

// Processes of the host with an argument equal to `marker`.
inline std::vector<pid_t> ProcessesWith(const std::string& marker) {
  std::vector<pid_t> pids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0 || pid == ::getpid()) continue;
    const std::string line = std::string(1, '\0') + ReadAll(entry.path().string() + "/cmdline");
    if (line.find('\0' + marker + '\0') != std::string::npos) pids.push_back(pid);
  }
  return pids;
}

// Waits until `condition` holds, at most ten seconds.
template <typename Condition>
bool Eventually(const Condition& condition) {
  const int64_t deadline_ms = NowMs() + 10'000;
  while (!condition()) {
    if (NowMs() > deadline_ms) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

inline pid_t ParentOf(pid_t pid) {
  const std::string stat = ReadAll("/proc/" + std::to_string(pid) + "/stat");
  const size_t paren = stat.rfind(')');
  return paren == std::string::npos ? 0 : std::atoi(stat.c_str() + paren + 4);
}

// A folder of the host that goes away with the test.
class HostFolder {
 public:
  HostFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "taskmint-test-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~HostFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  const std::string& path() const { return path_; }
  std::string Write(const std::string& name, const std::string& content) const {
    const std::string file = path_ + "/" + name;
    std::ofstream(file) << content;
    return file;
  }

 private:
  std::string path_;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_TESTS_SANDBOX_HOST_VIEW_H_
