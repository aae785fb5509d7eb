// What host and agent say to each other over the control socket: frames of a 32-bit little-endian
// length and that many bytes, the first of which is the operation. Fields are 64-bit little-endian
// integers and byte strings with their length in front (paths and arguments need not be UTF-8, so
// this is no JSON). No dependency: the agent is built from this file too.
#ifndef TASKMINT_SANDBOX_WIRE_H_
#define TASKMINT_SANDBOX_WIRE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace taskmint::sandbox {

// Longest body of a frame, either way.
inline constexpr uint32_t kFrameBytesMax = 4U << 20;
// File content carried by one frame, at most.
inline constexpr size_t kBatchBytesMax = size_t{1} << 20;
// Standard error of a line process and one of its lines, at most.
inline constexpr size_t kLineBytesMax = size_t{1} << 20;
// Where the forwarder listens inside.
inline constexpr uint16_t kForwarderPort = 3128;

enum class Op : uint8_t {
  // Host to agent. Every request but kKill has one reply, or a sequence that ends in kOk or kError.
  // folder, wall_ms, cpu_ms, argv, variables; fds: stdin, stdout, stderr -> kStarted, kExited
  kRun = 1,
  kStart,  // folder, wall_ms (0), cpu_ms (0), argv, variables; fds: stdin, stdout, life -> kStarted
  kKill,   // id of a kRun: no reply of its own, kExited follows
  kStop,   // id of a kStart: killed and forgotten
  kSignal,       // id of a kStart, number -> kOk, also where it has ended
  kErrorOutput,  // id of a kStart -> kData, kOk
  kPut,          // folder, modified_s, file parts
  kRemove,       // paths
  kClear,        // path
  kGet,          // path, bytes_max -> kData..., kOk
  kCollect,      // path, files_max, bytes_max -> kFiles..., kOk
  kKillAll,
  // Agent to host.
  kHello = 64,
  kOk,
  kError,    // errno, text
  kStarted,  // id
  kExited,   // id, wait status, cpu microseconds, bytes by which file systems grew,
             // largest resident KiB, the flags below
  kData,     // bytes
  kFiles,    // file parts
};

// What kExited says beside the wait status.
inline constexpr uint64_t kHitCpuLimit = 1;   // killed for it
inline constexpr uint64_t kHitDiskLimit = 2;  // failed with a full file system or file

// Builds a frame's body.
class WireWriter {
 public:
  explicit WireWriter(Op op) : bytes_(1, static_cast<char>(op)) {}
  WireWriter& Int(uint64_t value);
  WireWriter& Bytes(std::string_view value);
  WireWriter& List(const std::vector<std::string>& values);
  const std::string& body() const { return bytes_; }
  size_t size() const { return bytes_.size(); }

 private:
  std::string bytes_;
};

// Takes a body apart. After the first malformed field ok() is false and every field reads as empty;
// nothing is ever read beyond the body, whatever it claims.
class WireReader {
 public:
  explicit WireReader(std::string_view body);
  Op op() const { return op_; }
  uint64_t Int();
  std::string_view Bytes();
  std::vector<std::string> List();
  bool ok() const { return ok_; }
  bool at_end() const { return rest_.empty(); }
  // All fields were well-formed and none is left.
  bool Done() const { return ok_ && rest_.empty(); }

 private:
  Op op_ = Op::kError;
  std::string_view rest_;
  bool ok_ = true;
};

// A file, or a piece of one that is too large for a frame.
struct FilePart {
  enum Kind : uint64_t { kRegular = 0, kExecutable = 1, kSymlink = 2 };
  std::string_view path;
  Kind kind = kRegular;
  // The content goes on where the last part, of the same path, ended.
  bool append = false;
  std::string_view content;
};
void WriteFilePart(const FilePart& part, WireWriter& writer);
// False when malformed.
bool ReadFilePart(WireReader& reader, FilePart* part);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_WIRE_H_
