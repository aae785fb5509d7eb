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
#include "sandbox/agent/staging.h"
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

// Empty for what is no link.
std::string LinkTargetOf(const std::string& path) {
  std::array<char, 4096> target;
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  return {target.data(), size > 0 ? static_cast<size_t>(size) : 0};
}

bool IsBelow(const std::string& path, const std::string& folder) {
  return path == folder || path.starts_with(folder + "/");
}

class Layout {
 public:
  Layout(const SandboxSpec& spec, const Abilities& abilities)
      : spec_(spec), abilities_(abilities) {}

  Result<RootLayout> Build(const std::vector<RootStep>& files) {
    if (!spec_.base_path.empty()) {
      TASKMINT_ASSIGN_OR_RETURN(base_, BaseTree::Open(spec_.base_path));
      TASKMINT_RETURN_IF_ERROR(OwnBase(files));
    } else {
      HostBase();
    }
    Folder("/proc");
    Folder("/dev");
    layout_.steps.insert(layout_.steps.end(), files.begin(), files.end());
    const std::vector<std::string> covers = Masks();
    Memory("/tmp", "1777");
    const auto& layered = spec_.layered_folders;
    if (std::none_of(layered.begin(), layered.end(), [&](const LayeredFolder& folder) {
          return folder.inside_path == spec_.work_path;
        })) {
      Memory(spec_.work_path, "0755");
    }
    for (const std::string& path : spec_.scratch_paths) Memory(path, "0755");
    TASKMINT_RETURN_IF_ERROR(MountsAndLayers());
    if (spec_.network.mode == Network::Mode::kProxy) ProxyParts();
    if (spec_.network.mode == Network::Mode::kPackages) {
      Show(spec_.network.proxy_socket_path, kProxySocketInside);
      layout_.variables = spec_.network.variables;
    }
    for (const std::string& path : covers) Add({.kind = Kind::kSeal, .place = path});
    Kernel();
    layout_.variables.insert({{"PATH", base_.has_value() ? kPathOfBase : kPath},
                              {"LANG", "C.UTF-8"},
                              {"TZ", "UTC"},
                              {"HOME", "/tmp"},
                              {"PYTHONHASHSEED", "0"}});
    for (const auto& [name, value] : spec_.variables) layout_.variables[name] = value;
    return std::move(layout_);
  }

 private:
  using Kind = RootStep::Kind;

  void Add(RootStep step) { layout_.steps.push_back(std::move(step)); }
  void Folder(const std::string& place) { Add({.kind = Kind::kFolder, .place = place}); }
  void Link(const std::string& target, const std::string& place) {
    Add({.kind = Kind::kLink, .place = place, .source = target});
  }
  void Staged(const std::string& path) {
    Add({.kind = Kind::kStaged, .place = path, .source = path});
  }
  void Show(const std::string& source, const std::string& place) {
    Add({.kind = Kind::kShow, .place = place, .source = source});
  }
  void Memory(const std::string& place, const std::string& mode) {
    Add(MemoryStep(place, mode, spec_.limits.disk_bytes_max));
  }
  RootStep MemoryStep(const std::string& place, const std::string& mode, int64_t bytes) const {
    return {.kind = Kind::kMemory,
            .place = place,
            .mode = mode,
            .bytes = bytes,
            .inodes = spec_.limits.inodes_max};
  }

  void HostBase() {
    Staged("/usr");
    for (const std::string path : kStagedTops) {
      const std::string target = LinkTargetOf(path);
      if (!target.empty())
        Link(target, path);
      else if (IsFolder(path))
        Staged(path);
    }
    if (IsFolder("/etc/alternatives")) Staged("/etc/alternatives");
    Link("../usr/lib/os-release", "/etc/os-release");
  }

  Status OwnBase(const std::vector<RootStep>& files) {
    std::vector<TakenPlace> places = {{spec_.work_path}};
    for (const std::string& path : spec_.scratch_paths) places.push_back({path});
    for (const Mount& mount : spec_.mounts) places.push_back({mount.inside_path});
    for (const LayeredFolder& folder : spec_.layered_folders)
      places.push_back({folder.inside_path});
    for (const RootStep& file : files) {
      if (file.place.starts_with("/etc/")) places.push_back({file.place, true});
    }
    if (spec_.network.mode == Network::Mode::kProxy) {
      places.push_back({"/etc/ssl/host", true});
      if (LacksCertificates()) places.push_back({kCertificates, true});
    }
    TASKMINT_ASSIGN_OR_RETURN(layout_.steps, LayOutBase(*base_, places));
    return OkStatus();
  }

  bool LacksCertificates() const {
    return base_.has_value() && !base_->Resolve(kCertificates).has_value() && IsFile(kCertificates);
  }

  // Where what is at this path inside, below /usr, lies on the host.
  std::string HostPathOf(const std::string& path) const {
    return base_.has_value() ? base_->path() + path : path;
  }

  void AddKernel(const std::vector<std::string>& arguments) {
    layout_.kernel_arguments.insert(layout_.kernel_arguments.end(), arguments.begin(),
                                    arguments.end());
  }

  void Kernel() {
    // Some settings of namespaces of its own would be its own to change.
    if (abilities_.own_proc)
      AddKernel({"--proc", "/proc"});
    else
      AddKernel({"--ro-bind", "/proc", "/proc"});
    AddKernel({"--ro-bind", "/proc/sys", "/proc/sys"});
    struct stat settings, formats;
    constexpr char kFormats[] = "/proc/sys/fs/binfmt_misc";  // may be mounted when it is looked at
    if (::stat("/proc/sys/fs", &settings) == 0 && ::lstat(kFormats, &formats) == 0 &&
        settings.st_dev != formats.st_dev) {
      AddKernel({"--tmpfs", kFormats, "--remount-ro", kFormats});
    }
    for (const char* path : kMaskedProcFiles) {
      struct stat info;
      if (::stat(path, &info) == 0 && (info.st_mode & (S_IROTH | S_IWOTH)) != 0) {
        AddKernel({"--ro-bind", "/dev/null", path});
      }
    }
    layout_.shared_memory = MemoryStep(
        "/dev/shm", "1777", std::min(spec_.limits.disk_bytes_max, kSharedMemoryBytesMax));
  }

  // Whether something of ours will be put below this path.
  bool HasPlacesBelow(const std::string& path) const {
    const auto below = [&](const std::string& place) { return place.starts_with(path + "/"); };
    return std::any_of(spec_.scratch_paths.begin(), spec_.scratch_paths.end(), below) ||
           std::any_of(spec_.mounts.begin(), spec_.mounts.end(),
                       [&](const Mount& mount) { return below(mount.inside_path); }) ||
           std::any_of(spec_.layered_folders.begin(), spec_.layered_folders.end(),
                       [&](const LayeredFolder& folder) { return below(folder.inside_path); });
  }

  // Those that exist, without what lies below another. Returns those to be made read-only at last.
  std::vector<std::string> Masks() {
    std::vector<std::string> masks;
    std::vector<std::string> covers;
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
      const auto hides = [&](const std::string& mask) { return IsBelow(real, mask); };
      if (std::any_of(masks.begin(), masks.end(), hides)) continue;
      masks.push_back(real);
      if (HasPlacesBelow(real)) {
        Add({.kind = Kind::kCover, .place = real});
        covers.push_back(real);
      } else {
        Add({.kind = Kind::kHide, .place = real, .folder = IsFolder(there)});
      }
    }
    return covers;
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
        Add({.kind = mount.writable ? Kind::kOwn : Kind::kShow,
             .place = mount.inside_path,
             .source = mount.host_path});
        return OkStatus();
      });
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [size, show] : all) TASKMINT_RETURN_IF_ERROR(show());
    return OkStatus();
  }

  Status ShowLayers(const LayeredFolder& folder) {
    if (!abilities_.stage &&
        (folder.writable || folder.layers.size() > 1 || folder.layers[0].is_image())) {
      return Error(Code::kUnavailable,
                   "cannot show layers at '" + folder.inside_path +
                       "': only bubblewrap may mount here, which shows one layer, as a folder, to "
                       "be read (" +
                       abilities_.stage_refusal + ")");
    }
    const bool has_image = std::any_of(folder.layers.begin(), folder.layers.end(),
                                       [](const Layer& layer) { return layer.is_image(); });
    if (!abilities_.map_owners && (folder.writable || has_image)) {
      return Error(Code::kUnavailable,
                   "cannot show layers at '" + folder.inside_path +
                       "': to write over them, or to mount images, root needs CAP_SYS_ADMIN; "
                       "folders can be read");
    }
    RootStep step =
        MemoryStep(folder.inside_path, "0755", folder.writable ? spec_.limits.disk_bytes_max : 0);
    step.kind = Kind::kLayers;
    step.layers = folder.layers;
    Add(std::move(step));
    return OkStatus();
  }

  void ProxyParts() {
    Show(spec_.network.proxy_socket_path, kProxySocketInside);
    const std::string proxy = "http://127.0.0.1:" + std::to_string(kForwarderPort);
    for (const char* name :
         {"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}) {
      layout_.variables[name] = proxy;
    }
    layout_.variables["no_proxy"] = layout_.variables["NO_PROXY"] = "localhost,127.0.0.1,::1";
    const bool has_folder = !base_.has_value() && IsFolder("/etc/ssl/certs");
    if (LacksCertificates()) Show(kCertificates, kCertificates);
    if (has_folder) Show("/etc/ssl/certs", "/etc/ssl/certs");
    int next = 0;
    for (const char* name : kCertificateVariables) {
      const char* value = std::getenv(name);
      if (value == nullptr || value[0] != '/' || !IsFile(value)) continue;
      std::string inside = value;
      if (!has_folder || !IsBelow(inside, "/etc/ssl/certs")) {
        inside = "/etc/ssl/host/" + std::to_string(next++) + ".pem";
        Show(value, inside);
      }
      layout_.variables[name] = inside;
    }
  }

  const SandboxSpec& spec_;
  const Abilities& abilities_;
  std::optional<BaseTree> base_;
  RootLayout layout_;
};

}  // namespace

Result<RootLayout> LayOutRoot(const SandboxSpec& spec, const std::vector<RootStep>& files,
                              const Abilities& abilities) {
  return Layout(spec, abilities).Build(files);
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
