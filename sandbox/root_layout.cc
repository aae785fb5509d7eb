#include "sandbox/root_layout.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "proto/base/file_tree.h"
#include "sandbox/python_applications.h"
#include "sandbox/wire.h"

namespace taskmint::sandbox {
namespace {

// Say too much about the host, or act on it. Each mask costs bubblewrap a reading of all mounts, so
// those that an ordinary user cannot open anyway are left alone.
constexpr std::array kMaskedProcFiles = {
    "/proc/keys",       "/proc/key-users",   "/proc/kallsyms",     "/proc/config.gz",
    "/proc/timer_list", "/proc/sched_debug", "/proc/sysrq-trigger"};

// Where programs look for the certificates that they trust.
constexpr std::array kCertificateVariables = {"SSL_CERT_FILE",  "REQUESTS_CA_BUNDLE",
                                              "CURL_CA_BUNDLE", "PIP_CERT",
                                              "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS"};

constexpr int64_t kSharedMemoryBytesMax = int64_t{64} << 20;

bool IsFolder(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool IsFile(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

bool IsBelow(const std::string& path, const std::string& folder) {
  return path == folder || path.starts_with(folder + "/");
}

class Layout {
 public:
  Layout(const SandboxSpec& spec, bool staging, const std::string& agent_path)
      : spec_(spec), staging_(staging), agent_path_(agent_path) {}

  RootLayout Build(const std::vector<std::string>& data_arguments) {
    Base();
    Add(data_arguments);
    if (!agent_path_.empty()) Bind({agent_path_, kAgentInside, false});
    const std::vector<std::string> masks = Masks();
    for (const std::string& path : masks) {
      if (IsFolder(path))
        Add({"--tmpfs", path});
      else
        Add({"--ro-bind", "/dev/null", path});
    }
    Tmpfs("/tmp", spec_.limits.disk_bytes_max, "1777");
    Tmpfs(spec_.work_path, spec_.limits.disk_bytes_max, "0755");
    for (const std::string& path : spec_.scratch_paths) {
      Tmpfs(path, spec_.limits.disk_bytes_max, "0755");
    }
    std::vector<Mount> mounts = spec_.mounts;
    std::stable_sort(mounts.begin(), mounts.end(), [](const Mount& a, const Mount& b) {
      return a.inside_path.size() < b.inside_path.size();
    });
    for (const Mount& mount : mounts) Bind(mount);
    if (spec_.network.mode == Network::Mode::kProxy) ProxyParts();
    for (const std::string& path : masks) {
      if (IsFolder(path)) Add({"--remount-ro", path});
    }
    Add({"--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"});
    layout_.variables.insert(
        {{"PATH", "/usr/bin:/bin"}, {"LANG", "C.UTF-8"}, {"TZ", "UTC"}, {"HOME", "/tmp"}});
    for (const auto& [name, value] : spec_.variables) layout_.variables[name] = value;
    return std::move(layout_);
  }

 private:
  void Add(const std::vector<std::string>& arguments) {
    layout_.arguments.insert(layout_.arguments.end(), arguments.begin(), arguments.end());
  }

  void Tmpfs(const std::string& path, int64_t bytes, const std::string& mode) {
    if (!staging_) {
      Add({"--perms", mode, "--size", std::to_string(bytes), "--tmpfs", path});
      return;
    }
    Add({"--bind",
         Stage("--stage-tmpfs", "size=" + std::to_string(bytes) + ",nr_inodes=" +
                                    std::to_string(spec_.limits.inodes_max) + ",mode=" + mode),
         path});
  }

  // The path that it will have.
  std::string Stage(const std::string& how, const std::string& what) {
    std::string place = "/tmp/" + std::to_string(layout_.stages.size() / 2);
    layout_.stages.insert(layout_.stages.end(), {how, what});
    return place;
  }

  void Base() {
    Add({"--ro-bind", "/usr", "/usr"});
    for (const std::string path : {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}) {
      std::array<char, 4096> target;
      const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
      if (size > 0)
        Add({"--symlink", {target.data(), static_cast<size_t>(size)}, path});
      else if (IsFolder(path))
        Add({"--ro-bind", path, path});
    }
    // Some settings of namespaces of its own would be its own to change.
    Add({"--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"});
    struct stat settings, formats;
    constexpr char kFormats[] = "/proc/sys/fs/binfmt_misc";  // may be mounted when it is looked at
    if (::stat("/proc/sys/fs", &settings) == 0 && ::lstat(kFormats, &formats) == 0 &&
        settings.st_dev != formats.st_dev) {
      Add({"--tmpfs", kFormats, "--remount-ro", kFormats});
    }
    for (const char* path : kMaskedProcFiles) {
      struct stat info;
      if (::stat(path, &info) == 0 && (info.st_mode & (S_IROTH | S_IWOTH)) != 0) {
        Add({"--ro-bind", "/dev/null", path});
      }
    }
    Add({"--dev", "/dev"});
    Tmpfs("/dev/shm", std::min(spec_.limits.disk_bytes_max, kSharedMemoryBytesMax), "1777");
    Add({"--ro-bind-try", "/etc/alternatives", "/etc/alternatives"});
    Add({"--symlink", "../usr/lib/os-release", "/etc/os-release"});
  }

  // Those that exist, without what lies below another.
  std::vector<std::string> Masks() const {
    std::vector<std::string> masks;
    std::vector<std::string> sorted = spec_.masked_paths;
    const std::vector<std::string>& applications = PythonApplicationsOfHost();
    sorted.insert(sorted.end(), applications.begin(), applications.end());
    std::sort(sorted.begin(), sorted.end());
    for (const std::string& path : sorted) {
      // Only /usr is the host's; a link there would move the mask elsewhere.
      std::array<char, 4096> resolved;
      if (!IsBelow(path, "/usr") || ::realpath(path.c_str(), resolved.data()) == nullptr) continue;
      const std::string real = resolved.data();
      if (!IsBelow(real, "/usr") || (!IsFolder(real) && !IsFile(real))) continue;
      const auto covers = [&](const std::string& mask) { return IsBelow(real, mask); };
      if (std::none_of(masks.begin(), masks.end(), covers)) masks.push_back(real);
    }
    return masks;
  }

  void Bind(const Mount& mount) {
    std::string source = mount.host_path;
    if (staging_) source = Stage(mount.writable ? "--stage-own" : "--stage", mount.host_path);
    Add({mount.writable ? "--bind" : "--ro-bind", source, mount.inside_path});
  }

  void ProxyParts() {
    Bind({spec_.network.proxy_socket_path, kProxySocketInside, false});
    const std::string proxy = "http://127.0.0.1:" + std::to_string(kForwarderPort);
    for (const char* name :
         {"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}) {
      layout_.variables[name] = proxy;
    }
    layout_.variables["no_proxy"] = layout_.variables["NO_PROXY"] = "localhost,127.0.0.1,::1";
    const bool has_folder = IsFolder("/etc/ssl/certs");
    if (has_folder) Bind({"/etc/ssl/certs", "/etc/ssl/certs", false});
    int next = 0;
    for (const char* name : kCertificateVariables) {
      const char* value = std::getenv(name);
      if (value == nullptr || value[0] != '/' || !IsFile(value)) continue;
      std::string inside = value;
      if (!has_folder || !IsBelow(inside, "/etc/ssl/certs")) {
        inside = "/etc/ssl/host/" + std::to_string(next++) + ".pem";
        Bind({value, inside, false});
      }
      layout_.variables[name] = inside;
    }
  }

  const SandboxSpec& spec_;
  const bool staging_;
  const std::string& agent_path_;
  RootLayout layout_;
};

}  // namespace

RootLayout LayOutRoot(const SandboxSpec& spec, const std::vector<std::string>& data_arguments,
                      bool staging, const std::string& agent_path) {
  return Layout(spec, staging, agent_path).Build(data_arguments);
}

bool IsPlainAbsolutePath(const std::string& path) {
  return path.size() > 1 && path[0] == '/' && IsTreePath(std::string_view(path).substr(1));
}

}  // namespace taskmint::sandbox
