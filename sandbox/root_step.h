// The steps that build a sandbox's root, and who takes them.
#ifndef TASKMINT_SANDBOX_ROOT_STEP_H_
#define TASKMINT_SANDBOX_ROOT_STEP_H_

#include <string>
#include <vector>

#include "sandbox/sandbox.h"

namespace taskmint::sandbox {

struct RootStep {
  enum class Kind {
    kLink,    // a symbolic link to `source`
    kFolder,  // an empty folder
    kData,    // a file with what the descriptor `fd` has, mode `mode`
    kStaged,  // what the staging namespace has at `source`, as the host's; read-only
    kShow,    // what the host has at `source`; read-only
    kOwn,     // the same, writable, and the folder becomes the slot's user's
    kBelow,   // what `base` has at the relative path `source`, no part of it a link; read-only
    kMemory,  // an empty file system in memory of `bytes` and `inodes`, mode `mode`
    kHide,    // nothing: an empty read-only folder or file over what is there
    kCover,   // an empty folder over what is there, in which more is put; kSeal follows
    kSeal,    // makes that read-only
    kLayers   // `layers`, lowest first; what is written over them, where `bytes` are not 0, goes
              // into memory, as kMemory
  };
  Kind kind;
  // Absolute, inside; no part of it is a link by the time of this step.
  std::string place = {};
  std::string source = {};
  std::string base = {};
  int fd = -1;
  std::string mode = {};  // octal
  int64_t bytes = 0;
  int64_t inodes = 0;
  bool folder = true;  // kHide: of what is there
  std::vector<Layer> layers = {};
};

// Arguments for our launcher (agent/modes.h).
std::vector<std::string> StepsForLauncher(const std::vector<RootStep>& steps);

// Arguments for bubblewrap, for where only it may mount: memory has no limit of inodes, and layers
// are one folder to be read.
std::vector<std::string> StepsForBubblewrap(const std::vector<RootStep>& steps);

// The options of a file system in memory.
std::string MemoryOptions(int64_t bytes, int64_t inodes, const std::string& mode);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_ROOT_STEP_H_
