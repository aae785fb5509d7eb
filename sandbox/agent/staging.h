// The staging namespace: a mount namespace with little in it, in which bubblewrap starts. It reads
// the table of all mounts again for each mount that it makes, and a machine may have thousands.
#ifndef TASKMINT_SANDBOX_AGENT_STAGING_H_
#define TASKMINT_SANDBOX_AGENT_STAGING_H_

namespace taskmint::sandbox {

// Of the host's root, beside /usr: folders, or links where they are merged with it.
inline constexpr const char* kStagedTops[] = {"/bin",   "/sbin",  "/lib",
                                              "/lib32", "/lib64", "/libx32"};

// Devices that every program may use.
inline constexpr const char* kStagedDevices[] = {"/dev/null",   "/dev/zero",    "/dev/full",
                                                 "/dev/random", "/dev/urandom", "/dev/tty"};

// Its root has the host's /usr, these beside it, /proc, these
// devices, /etc/alternatives and /etc/ld.so.cache as they were there when it was made, and of ours:
inline constexpr char kStagedAgent[] = "/agent";      // this program, as a file
inline constexpr char kStagedNothing[] = "/nothing";  // an empty folder
// Places to mount at: the root of a sandbox, and parts of layers.
inline constexpr char kStagedRoot[] = "/root";
inline constexpr char kStagedParts[] = "/tmp";

// Makes one, in a user namespace where this process may not mount, which then maps all users that
// this one has (to an ordinary user: that user). Sends a byte through the socket with descriptors
// of the mount namespace and, where there is one, the user namespace. 0, or 1 with a line on
// standard error.
int MakeStaging(int socket);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_AGENT_STAGING_H_
