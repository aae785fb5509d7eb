// What the launcher mounts before bubblewrap binds it: in a mount namespace that dies with it.
#ifndef TASKMINT_SANDBOX_AGENT_STAGES_H_
#define TASKMINT_SANDBOX_AGENT_STAGES_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace taskmint::sandbox {

struct LayerSource {
  std::string path;
  bool image = false;  // EROFS; else a folder
};

struct Stage {
  enum class Kind {
    kPath,    // `text` is a path of the host
    kOwn,     // the same, a folder that becomes the user's
    kBelow,   // `text` is a path below `base`, which no link may be part of
    kMemory,  // `text` are the options of a tmpfs
    kLayers   // `layers`, lowest first; `text` are the options of the tmpfs for what is written
              // over them, empty: nothing is
  };
  Kind kind = Kind::kPath;
  std::string text;
  std::string base;
  std::vector<LayerSource> layers;
};

// Mounts each at /tmp/N, N counting from 0, for the user `uid` (0: this process's own). Who may not
// mount, as others than root and as root without CAP_SYS_ADMIN, becomes that user and enters a user
// namespace. 0, or 1 with a line on standard error. Nothing for no stages.
int MountStages(const std::vector<Stage>& stages, uid_t uid);

// Becomes the user, with no other groups; nothing for 0, and for who is that user. 0 or 1 likewise.
int DropUser(uid_t uid);

// Writes a small file of /proc; false with errno set.
bool WriteText(const char* path, const std::string& text);

// Writes "what subject: errno" to standard error; 1.
int Fail(const char* what, const std::string& subject);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_AGENT_STAGES_H_
