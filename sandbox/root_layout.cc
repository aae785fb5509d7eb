#include "sandbox/root_layout.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <optional>

#include "proto/base/file_tree.h"
#include "proto/base/utf8.h"
#include "sandbox/base_layout.h"
#include "sandbox/base_tree.h"
#include "sandbox/errors.h"
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
constexpr size_t kLayersMax = 64;
// What Debian's programs are built to trust.
constexpr char kCertificates[] = "/etc/ssl/certs/ca-certificates.crt";
// Of the host's /usr alone, and of a base, which may keep what it is for in /usr/local.
constexpr char kPath[] = "/usr/bin:/bin";
constexpr char kPathOfBase[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

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
  Layout(const SandboxSpec& spec, const Abilities& abilities, const std::string& agent_path)
      : spec_(spec), abilities_(abilities), agent_path_(agent_path) {}

  Result<RootLayout> Build(const std::vector<std::string>& data_arguments) {
    if (!spec_.base_path.empty()) {
      TASKMINT_ASSIGN_OR_RETURN(base_, BaseTree::Open(spec_.base_path));
      TASKMINT_RETURN_IF_ERROR(OwnBase(data_arguments));
    } else {
      HostBase();
    }
    Kernel();
    Add(data_arguments);
    if (!agent_path_.empty()) Bind({agent_path_, kAgentInside, false});
    const std::vector<std::string> masks = Masks();
    for (const std::string& path : masks) {
      if (IsFolder(HostPathOf(path)))
        Add({"--tmpfs", path});
      else
        Add({"--ro-bind", "/dev/null", path});
    }
    Tmpfs("/tmp", spec_.limits.disk_bytes_max, "1777");
    const auto& layered = spec_.layered_folders;
    if (std::none_of(layered.begin(), layered.end(), [&](const LayeredFolder& folder) {
          return folder.inside_path == spec_.work_path;
        })) {
      Tmpfs(spec_.work_path, spec_.limits.disk_bytes_max, "0755");
    }
    for (const std::string& path : spec_.scratch_paths) {
      Tmpfs(path, spec_.limits.disk_bytes_max, "0755");
    }
    TASKMINT_RETURN_IF_ERROR(MountsAndLayers());
    if (spec_.network.mode == Network::Mode::kProxy) ProxyParts();
    if (spec_.network.mode == Network::Mode::kPackages) {
      Bind({spec_.network.proxy_socket_path, kProxySocketInside, false});
      layout_.variables = spec_.network.variables;
    }
    for (const std::string& path : masks) {
      if (IsFolder(HostPathOf(path))) Add({"--remount-ro", path});
    }
    Add({"--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"});
    layout_.variables.insert({{"PATH", base_.has_value() ? kPathOfBase : kPath},
                              {"LANG", "C.UTF-8"},
                              {"TZ", "UTC"},
                              {"HOME", "/tmp"},
                              {"PYTHONHASHSEED", "0"}});
    for (const auto& [name, value] : spec_.variables) layout_.variables[name] = value;
    return std::move(layout_);
  }

 private:
  void Add(const std::vector<std::string>& arguments) {
    layout_.arguments.insert(layout_.arguments.end(), arguments.begin(), arguments.end());
  }

  void Tmpfs(const std::string& path, int64_t bytes, const std::string& mode) {
    if (!abilities_.stage) {
      Add({"--perms", mode, "--size", std::to_string(bytes), "--tmpfs", path});
      return;
    }
    Add({"--bind", Stage({"--stage-tmpfs", MemoryOptions(bytes, mode)}), path});
  }

  std::string MemoryOptions(int64_t bytes, const std::string& mode) const {
    return "size=" + std::to_string(bytes) +
           ",nr_inodes=" + std::to_string(spec_.limits.inodes_max) + ",mode=" + mode;
  }

  // The path that it will have. One of the arguments asks for a stage, the others belong to it.
  std::string Stage(const std::vector<std::string>& arguments) {
    layout_.stages.insert(layout_.stages.end(), arguments.begin(), arguments.end());
    return "/tmp/" + std::to_string(staged_++);
  }

  void HostBase() {
    Add({"--ro-bind", "/usr", "/usr"});
    for (const std::string path : {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}) {
      std::array<char, 4096> target;
      const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
      if (size > 0)
        Add({"--symlink", {target.data(), static_cast<size_t>(size)}, path});
      else if (IsFolder(path))
        Add({"--ro-bind", path, path});
    }
    Add({"--ro-bind-try", "/etc/alternatives", "/etc/alternatives"});
    Add({"--symlink", "../usr/lib/os-release", "/etc/os-release"});
  }

  Status OwnBase(const std::vector<std::string>& data_arguments) {
    std::vector<TakenPlace> places = {{spec_.work_path}};
    for (const std::string& path : spec_.scratch_paths) places.push_back({path});
    for (const Mount& mount : spec_.mounts) places.push_back({mount.inside_path});
    for (const LayeredFolder& folder : spec_.layered_folders)
      places.push_back({folder.inside_path});
    for (const std::string& argument : data_arguments) {
      if (argument.starts_with("/etc/")) places.push_back({argument, true});
    }
    if (spec_.network.mode == Network::Mode::kProxy) {
      places.push_back({"/etc/ssl/host", true});
      if (LacksCertificates()) places.push_back({kCertificates, true});
    }
    const auto source_of = [this](const std::string& path) {
      return abilities_.stage ? Stage({"--base", base_->path(), "--stage-below", path})
                              : base_->path() + "/" + path;
    };
    TASKMINT_ASSIGN_OR_RETURN(const std::vector<std::string> shown,
                              LayOutBase(*base_, places, source_of));
    Add(shown);
    return OkStatus();
  }

  bool LacksCertificates() const {
    return base_.has_value() && !base_->Resolve(kCertificates).has_value() && IsFile(kCertificates);
  }

  // Where what is at this path inside, below /usr, lies on the host.
  std::string HostPathOf(const std::string& path) const {
    return base_.has_value() ? base_->path() + path : path;
  }

  void Kernel() {
    // Some settings of namespaces of its own would be its own to change.
    if (abilities_.own_proc)
      Add({"--proc", "/proc"});
    else
      Add({"--ro-bind", "/proc", "/proc"});
    Add({"--ro-bind", "/proc/sys", "/proc/sys"});
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
  }

  // Those that exist, without what lies below another.
  std::vector<std::string> Masks() const {
    std::vector<std::string> masks;
    std::vector<std::string> sorted = spec_.masked_paths;
    if (!base_.has_value()) {
      const std::vector<std::string>& applications = PythonApplicationsOfHost();
      sorted.insert(sorted.end(), applications.begin(), applications.end());
    }
    std::sort(sorted.begin(), sorted.end());
    for (const std::string& path : sorted) {
      // Only /usr is the base's; a link there would move the mask elsewhere.
      const std::string real = IsBelow(path, "/usr") ? Resolved(path) : "";
      const std::string there = HostPathOf(real);
      if (!IsBelow(real, "/usr") || (!IsFolder(there) && !IsFile(there))) continue;
      const auto covers = [&](const std::string& mask) { return IsBelow(real, mask); };
      if (std::none_of(masks.begin(), masks.end(), covers)) masks.push_back(real);
    }
    return masks;
  }

  // Without links; empty where there is nothing.
  std::string Resolved(const std::string& path) const {
    if (base_.has_value()) {
      const std::optional<std::string> found = base_->Resolve(path);
      return found.has_value() ? "/" + *found : "";
    }
    std::array<char, 4096> resolved;
    return ::realpath(path.c_str(), resolved.data()) == nullptr ? "" : resolved.data();
  }

  // Those above before those below.
  Status MountsAndLayers() {
    std::vector<std::pair<size_t, std::function<Status()>>> all;
    for (const LayeredFolder& folder : spec_.layered_folders) {
      all.emplace_back(folder.inside_path.size(), [&] { return ShowLayers(folder); });
    }
    for (const Mount& mount : spec_.mounts) {
      all.emplace_back(mount.inside_path.size(), [&] {
        Bind(mount);
        return OkStatus();
      });
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [size, show] : all) TASKMINT_RETURN_IF_ERROR(show());
    return OkStatus();
  }

  Status ShowLayers(const LayeredFolder& folder) {
    if (!abilities_.stage) {
      if (folder.writable || folder.layers.size() > 1 || folder.layers[0].is_image()) {
        return Error(
            Code::kUnavailable,
            "cannot show layers at '" + folder.inside_path +
                "': only bubblewrap may mount here, which shows one layer, as a folder, to "
                "be read");
      }
      Add({"--ro-bind", folder.layers[0].host_path, folder.inside_path});
      return OkStatus();
    }
    std::vector<std::string> arguments;
    for (const Layer& layer : folder.layers) {
      arguments.insert(arguments.end(),
                       {layer.is_image() ? "--layer-image" : "--layer-folder", layer.host_path});
    }
    const std::string options =
        folder.writable ? MemoryOptions(spec_.limits.disk_bytes_max, "0755") : "";
    arguments.insert(arguments.end(), {"--stage-layers", options});
    Add({folder.writable ? "--bind" : "--ro-bind", Stage(arguments), folder.inside_path});
    return OkStatus();
  }

  void Bind(const Mount& mount) {
    std::string source = mount.host_path;
    if (abilities_.stage) {
      source = Stage({mount.writable ? "--stage-own" : "--stage", mount.host_path});
    }
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
    const bool has_folder = !base_.has_value() && IsFolder("/etc/ssl/certs");
    if (LacksCertificates()) Bind({kCertificates, kCertificates, false});
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
  const Abilities abilities_;
  const std::string& agent_path_;
  std::optional<BaseTree> base_;
  size_t staged_ = 0;
  RootLayout layout_;
};

}  // namespace

Result<RootLayout> LayOutRoot(const SandboxSpec& spec,
                              const std::vector<std::string>& data_arguments,
                              const Abilities& abilities, const std::string& agent_path) {
  return Layout(spec, abilities, agent_path).Build(data_arguments);
}

Status CheckLayers(const SandboxSpec& spec) {
  const auto bad = [](const std::string& what) { return Error(Code::kInvalidArgument, what); };
  for (const LayeredFolder& folder : spec.layered_folders) {
    if (folder.layers.empty() || folder.layers.size() > kLayersMax) {
      return bad("'" + folder.inside_path + "' is made of 1 to 64 layers");
    }
    for (const Layer& layer : folder.layers) {
      const std::string& path = layer.host_path;
      if (path.empty() || path[0] != '/' || !(layer.is_image() ? IsFile(path) : IsFolder(path))) {
        return bad("there is no layer at '" + Printable(path) + "'");
      }
      if (layer.is_image() && ::geteuid() != 0) {
        return bad("only root mounts the image '" + Printable(path) +
                   "': take the layer as a folder (LayerStore::Find)");
      }
    }
  }
  return OkStatus();
}

bool IsPlainAbsolutePath(const std::string& path) {
  return path.size() > 1 && path[0] == '/' && IsTreePath(std::string_view(path).substr(1));
}

}  // namespace taskmint::sandbox
