// The agent as a file that sandboxes mount instead of copying it.
#ifndef TASKMINT_SANDBOX_AGENT_FILE_H_
#define TASKMINT_SANDBOX_AGENT_FILE_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>

namespace taskmint::sandbox {

// A file in memory with a name, since the kernel mounts nothing without one: its pages are held
// once, however many sandboxes run it. Read-only, for its owner too; gone with this object.
// Immutable, thread-safe.
class AgentFile {
 public:
  // Nothing where there is no folder in which it could lie and be run. Removes the files that dead
  // processes of ours left.
  static std::unique_ptr<const AgentFile> Make(std::string_view bytes);
  ~AgentFile();
  AgentFile(const AgentFile&) = delete;
  AgentFile& operator=(const AgentFile&) = delete;

  const std::string& path() const { return path_; }
  // False once somebody has removed it or put something else in its place.
  bool is_there() const;

 private:
  AgentFile(std::string path, dev_t device, ino_t number)
      : path_(std::move(path)), device_(device), number_(number) {}

  const std::string path_;
  const dev_t device_;
  const ino_t number_;
};

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_AGENT_FILE_H_
