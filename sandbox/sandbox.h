// A sandbox: a place to run something untrusted, with an agent of ours inside as PID 1.
#ifndef TASKMINT_SANDBOX_SANDBOX_H_
#define TASKMINT_SANDBOX_SANDBOX_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/file_tree.h"
#include "proto/base/status.h"

namespace taskmint::sandbox {

// Limits of a sandbox. Every limit is enforced; 0 is not "unlimited" but invalid.
struct Limits {
  // Processes and threads alive at once.
  int64_t processes_max = 256;
  // Memory of all processes and file systems in bytes, where cgroups are ours to make; address
  // space of each process elsewhere.
  int64_t memory_bytes_max = int64_t{4} << 30;
  // Size of each writable file system in memory (work folder, /tmp) in bytes.
  int64_t disk_bytes_max = int64_t{1} << 30;
  // Files, folders and links of each of them; where we may not mount, the kernel's default: half as
  // many as the machine has pages.
  int64_t inodes_max = 1'000'000;
  // Size of any one file in bytes.
  int64_t file_bytes_max = int64_t{1} << 30;
  int64_t open_files_max = 1024;
};

// A folder or file of the host shown inside.
struct Mount {
  // Absolute, on the host.
  std::string host_path;
  // Absolute, inside.
  std::string inside_path;
  // False: read-only. True only for a folder that no other sandbox reads.
  bool writable = false;
};

// A tree that never changes, made by a LayerStore (sandbox/layer_store.h).
struct Layer {
  // TreeDigest of its files: the same for an image and a folder.
  std::string digest;
  // Absolute, on the host: an EROFS image or a folder.
  std::string host_path;
  // SHA-256 of the image; empty for a folder.
  std::string image_digest;

  bool is_image() const { return !image_digest.empty(); }
};

// Layers shown inside as one folder. Where several hold the same name, the highest one's counts.
struct LayeredFolder {
  // Lowest first; at most 64.
  std::vector<Layer> layers;
  // Absolute, inside; SandboxSpec::work_path, too, where it is writable.
  std::string inside_path;
  // What is written goes into a file system in memory of this sandbox alone, with its limits of
  // bytes and files, and is thrown away with it. Needs a machine where we may mount; so do images,
  // and more than one layer. Where we are not root: layers of our own making, and a rename of a
  // folder of theirs fails with EXDEV, which programs take for a rename across file systems. Before
  // Linux 6.6 a folder of theirs can then not be made again once it was removed, either (EIO).
  bool writable = false;
};

// What a sandbox may reach.
struct Network {
  enum class Mode {
    // Nothing: an empty network namespace with a loopback of its own.
    kNone,
    // HTTP and HTTPS through the allow-list proxy only, at http://127.0.0.1:3128 inside; the
    // variables http_proxy, https_proxy, HTTP_PROXY, HTTPS_PROXY and ALL_PROXY are set.
    kProxy,
    // Packages through the cache only, over HTTP at http://127.0.0.1:3128 inside: recorded, or
    // replayed without any network (packages/package_cache.h). `variables` are set.
    kPackages,
  };
  Mode mode = Mode::kNone;
  // Host path of the unix socket of the proxy (Proxy::socket_path()) or of the cache; not kNone's.
  std::string proxy_socket_path;
  // kPackages only: what points the package managers to it; `SandboxSpec::variables` come over it.
  std::map<std::string, std::string> variables = {};
};

// What to open. Without a base of its own, the root is the host's /usr read-only (with /bin, /lib,
// /lib64, /sbin as on the host) and the few files of /etc that programs need (ld.so.cache, passwd
// and group of our own, alternatives, ssl certificates when the network is kProxy); /proc, /dev, an
// empty /tmp and an empty work folder on tmpfs. PATH=/usr/bin:/bin, LANG=C.UTF-8, TZ=UTC,
// HOME=/tmp, PYTHONHASHSEED=0, and nothing else of the caller's environment.
//
// So that a run can be repeated, these are always the same inside: the variables above, host name,
// machine id, user and group (1000), umask (022), the first process's number, and the monotonic and
// boot clocks, which begin at 100 s where the kernel lets us make a time namespace (`doctor` says
// so). Not fixed, because no user can: the wall clock, addresses in memory, inode numbers, the
// kernel's release, boot id and random numbers, the number and speed of processors, the memory of
// the machine, and the order in which processes run.
struct SandboxSpec {
  // Empty, or a folder of the host that is a whole root tree of this machine's architecture (made
  // by mmdebstrap, or unpacked from an OCI image): all of it but /proc, /sys, /dev, /run and /tmp
  // is shown, read-only, instead of the host's. Of /etc, passwd, group, hosts, nsswitch.conf and
  // gitconfig are ours. PATH also has /usr/local/bin and the sbin folders. The tree may be hostile:
  // its links lead nowhere but inside, setuid files and device nodes have no force. It must not
  // change while it is used. Cost: a few ms more to open.
  std::string base_path;
  // Absolute path of the writable work folder, a tmpfs.
  std::string work_path = "/work";
  // Further writable folders, each an empty tmpfs with the same limit ("/venv" while it is built).
  std::vector<std::string> scratch_paths;
  std::vector<Mount> mounts;
  std::vector<LayeredFolder> layered_folders;
  // Absolute paths hidden under an empty read-only folder. Those the base lacks are ignored. The
  // default, which is sorted, hides what the package list does not describe, and Python packages
  // of the host.
  std::vector<std::string> masked_paths = DefaultMaskedPaths();
  // Added to, or replacing, the variables above.
  std::map<std::string, std::string> variables;
  Network network;
  Limits limits;

  static std::vector<std::string> DefaultMaskedPaths();
};

// How a command ended.
enum class Ending {
  kExited,     // by itself: exit_code holds
  kSignalled,  // by a signal: signal holds
  kWallTime,   // killed at wall_ms_max
  kCpuTime,    // killed at cpu_ms_max
  kOutput,     // killed because it wrote more than output_bytes_max
  kMemory,     // killed by the sandbox's memory limit
  kCancelled,  // by the stop token
};
std::string_view EndingName(Ending ending);  // "exited", "signalled", "wall-time", ...

struct Command {
  // argv[0] is looked up on the sandbox's PATH. Not empty.
  std::vector<std::string> argv;
  // Absolute folder inside; empty: the work folder.
  std::string folder;
  // Added to the sandbox's variables.
  std::map<std::string, std::string> variables;
  // Bytes given to standard input.
  std::string input;
  // Instead of them, where not -1: what can be read from this descriptor of the caller's, until its
  // end, as it comes. It stays open.
  int input_fd = -1;
  // Where not -1: standard input, output and error are one terminal inside, of the size of this
  // terminal of the caller's, which is looked at twice a second. `input_fd` is what is typed.
  int terminal_fd = -1;
  int64_t wall_ms_max = 600'000;
  // User and system time of everything inside, looked at ten times a second. Where no control group
  // counts it, that of processes which nobody waited for is lost. 0: none.
  int64_t cpu_ms_max = 0;
  // Standard output and error each; beyond it head and tail are kept and the cut is said, and the
  // command goes on, unless more than `written_bytes_max` was written (kOutput).
  int64_t output_bytes_max = 1 << 20;
  // 0: 64 times output_bytes_max.
  int64_t written_bytes_max = 0;
  // Standard error goes where standard output goes, so that their order is the one in which they
  // were written; `error_output` stays empty.
  bool joined_output = false;
  // Called, in the thread of Run, with every byte of standard output and error as it comes.
  std::function<void(std::string_view)> on_output;
  std::function<void(std::string_view)> on_error_output;
};

// What a command did. A non-zero exit is a value, not an error.
struct CommandResult {
  Ending ending = Ending::kExited;
  int exit_code = 0;
  int signal = 0;
  std::string output;
  std::string error_output;
  // Bytes of either that were left out of it.
  int64_t output_cut_bytes = 0;
  int64_t error_output_cut_bytes = 0;
  int64_t wall_ms = 0;
  // User and system time of the command and of the children that it waited for, in milliseconds.
  int64_t cpu_ms = 0;
  // Bytes written to standard output and error, and those by which the file systems of the sandbox
  // grew meanwhile.
  int64_t written_bytes = 0;
  // The most memory that all processes and file systems of the sandbox used since it was opened;
  // where no control group counts it, what the largest of these processes used.
  int64_t memory_peak_bytes = 0;
  // The most processes and threads inside at once since it was opened, ours left out; 0 where no
  // control group counts them.
  int64_t processes_peak = 0;
  // A process or thread was refused for processes_max meanwhile; known where a control group
  // counts.
  bool hit_processes_max = false;
  // The kernel killed a process inside for want of memory meanwhile; known likewise.
  bool hit_memory_max = false;
  // It failed, and a file system of the sandbox was full then, or a file at its limit.
  bool hit_disk_max = false;
};

// What ended a command, in one word: that of its ending, or, where it failed by itself after it had
// met a limit that kills others or nobody, "memory", "processes" or "disk".
std::string_view CauseOf(const CommandResult& result);

// A long-running process spoken to in lines, such as a warm test runner. Its standard input and
// output are ours; its standard error is kept up to 1 MiB. Not thread-safe. Destroying it kills it.
class LineProcess {
 public:
  virtual ~LineProcess() = default;
  // Sends `line` and a newline. UNAVAILABLE (sandbox) once the process has ended.
  virtual Status WriteLine(std::string_view line) = 0;
  // The next line without its newline, at most 1 MiB. DEADLINE_EXCEEDED (sandbox) after
  // wall_ms_max, UNAVAILABLE when the process ended first, CANCELLED by the token.
  virtual Result<std::string> ReadLine(int64_t wall_ms_max, std::stop_token stop) = 0;
  // Standard error so far (tail).
  virtual std::string error_output() = 0;
  // Sends a signal to the process and its group. INVALID_ARGUMENT for what is no signal; fine once
  // it has ended.
  virtual Status Signal(int number) = 0;
  // Waits for the end: exit code or signal, and nothing else of the result. DEADLINE_EXCEEDED
  // (sandbox) after wall_ms_max, UNAVAILABLE when the sandbox died, CANCELLED by the token.
  virtual Result<CommandResult> Wait(int64_t wall_ms_max, std::stop_token stop) = 0;
};

// Limits of what is taken out of a sandbox.
struct CollectLimits {
  int64_t files_max = 200'000;
  int64_t bytes_max = int64_t{2} << 30;
};

// One open sandbox. One thread uses it at a time. Everything inside dies with it, and with this
// process, however it dies. Errors are of the sandbox boundary; after one the sandbox is unusable,
// except where noted.
class Sandbox {
 public:
  // Kills everything inside and waits until it is gone.
  virtual ~Sandbox() = default;

  // Runs a command to its end. Errors: INVALID_ARGUMENT for an empty argv, NOT_FOUND when the
  // program does not exist (the sandbox stays usable), UNAVAILABLE when the sandbox died.
  virtual Result<CommandResult> Run(const Command& command, std::stop_token stop) = 0;

  // Starts a long-running process, of which folder, argv and variables are heeded and nothing else.
  virtual Result<std::unique_ptr<LineProcess>> Start(const Command& command) = 0;

  // Writes a tree below the absolute folder `path`, creating folders, replacing what is in the
  // way; file times are set to `modified_s` (seconds since the epoch) so that equal trees look
  // equal. Never follows a symbolic link that was there before. RESOURCE_EXHAUSTED when the file
  // system is full.
  virtual Status Put(const FileTree& tree, std::string_view path, int64_t modified_s) = 0;

  // Removes files or folders (absolute paths); what is absent is fine.
  virtual Status Remove(const std::vector<std::string>& paths) = 0;

  // Empties a folder.
  virtual Status Clear(std::string_view path) = 0;

  // One regular file's bytes. NOT_FOUND (usable), RESOURCE_EXHAUSTED above bytes_max (usable),
  // FAILED_PRECONDITION when it is not a regular file (usable). Follows no symbolic link.
  virtual Result<std::string> Get(std::string_view path, int64_t bytes_max) = 0;

  // The regular files and symbolic links below a folder; anything else is left out. Follows no
  // link. RESOURCE_EXHAUSTED beyond the limits, or nested too deeply, and for nothing else
  // (usable).
  virtual Result<FileTree> Collect(std::string_view path, const CollectLimits& limits) = 0;

  // Kills every process inside but the agent, and waits for them.
  virtual Status KillAll() = 0;

  // Whether the kernel killed a process inside since the last call because the machine, not the
  // sandbox, ran out of memory. False where memory is not limited by a group.
  virtual bool HostRanOutOfMemory() = 0;

  // Processes inside that the kernel killed for want of memory so far, the machine's or the
  // sandbox's. 0 where memory is not limited by a group.
  virtual int64_t MemoryKills() { return 0; }
};

// Opens sandboxes. Thread-safe; one for the whole process.
class SandboxHost {
 public:
  virtual ~SandboxHost() = default;
  // UNAVAILABLE (sandbox) with what to do about it when this machine cannot isolate, ABORTED when
  // it may work next time, INVALID_ARGUMENT for a spec that contradicts itself.
  virtual Result<std::unique_ptr<Sandbox>> Open(const SandboxSpec& spec, std::stop_token stop) = 0;
  // Walls that a sandbox lacks here because the machine cannot give them and HostOptions::weak let
  // that pass, in words for people and evidence: "own /proc". Empty: all stand.
  virtual std::vector<std::string> MissingWalls() const { return {}; }
};

struct HostOptions {
  // Go on without a wall that this machine cannot give. What runs inside then sees the processes of
  // the container around it, and, as its user, what they show to it.
  bool weak = false;
};

// Bubblewrap as an unprivileged user (as root: as a uid of its own), seccomp, cgroups where they
// can be made. UNAVAILABLE with the mend when bubblewrap is missing, namespaces are refused or, not
// `weak`, a wall cannot be had.
Result<std::unique_ptr<SandboxHost>> MakeBubblewrapHost(const HostOptions& options = {});

// One thing that isolation needs, as found on this machine; for `taskmint doctor`.
struct Finding {
  std::string name;  // "user namespaces"
  bool ok = false;
  std::string detail;  // what was found
  std::string mend;    // what to run or set, when not ok
};
std::vector<Finding> ExamineHost();

// Digest and name of the base layer: SHA-256 over the sorted "name version architecture" lines of
// its package list, or, of a tree without one (/var/lib/dpkg/status), of its files.
struct BaseLayer {
  std::string package_list_digest;
  std::string name;
  // Names of the installed packages, without their architecture.
  std::set<std::string, std::less<>> packages = {};
  // The digest is TreeDigest of what SandboxSpec::base_path shows.
  bool is_of_files = false;
};
// Of the host's /usr where `base_path` is empty, or of such a tree. UNAVAILABLE when the host has
// no package list, INVALID_ARGUMENT for what is no root tree, or one whose packages are being
// changed. Cost: of the host's, nothing while its list stays as it is; else one run of dpkg-query,
// or a reading of all files, which `stop` ends: CANCELLED. Thread-safe.
Result<BaseLayer> ReadBaseLayer(const std::string& base_path = {}, std::stop_token stop = {});

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_SANDBOX_H_
