#include "environments/repository/source_import.h"

#include <re2/re2.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "environments/errors.h"
#include "environments/repository/git_clone.h"
#include "environments/repository/git_repository.h"
#include "environments/repository/imported_files.h"
#include "proto/base/digest.h"
#include "proto/base/utf8.h"
#include "sandbox/proxy.h"

namespace taskmint::environments {
namespace {

namespace fs = std::filesystem;

std::string LastComponent(std::string path) {
  std::error_code ignored;
  if (const fs::path real = fs::weakly_canonical(path, ignored); !ignored) path = real.string();
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  std::string name = path.substr(path.rfind('/') + 1);
  if (name == ".git") return LastComponent(path.substr(0, path.size() - 5));
  for (const std::string_view suffix : {".bundle", ".git"}) {
    if (name.size() > suffix.size() && name.ends_with(suffix)) {
      name.resize(name.size() - suffix.size());
    }
  }
  return Printable(name.empty() ? "repository" : name);
}

// What names the state of a bundle.
std::string MarkOfBundle(const std::string& source) {
  std::error_code ignored;
  const auto time = fs::last_write_time(source, ignored).time_since_epoch().count();
  return DigestBuilder()
      .Add(fs::weakly_canonical(source, ignored).string())
      .Add(std::to_string(fs::file_size(source, ignored)))
      .Add(std::to_string(time))
      .Hex();
}

// Imports of one URL lie side by side, each named by the URL's place and the HEAD it has.
std::string PrefixOfUrl(const std::string& url) {
  return Sha256Hex(PlaceOfUrl(url)).substr(0, 16) + "-";
}

// The import of `url` that was used last.
std::optional<fs::path> LatestImport(const std::string& url, const fs::path& folder) {
  const std::string prefix = PrefixOfUrl(url);
  std::optional<fs::path> latest;
  fs::file_time_type latest_time;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(".git")) continue;
    const auto time = fs::last_write_time(entry.path(), ignored);
    if (latest && time <= latest_time) continue;
    latest = entry.path();
    latest_time = time;
  }
  return latest;
}

// Sees to it that the newest state of the URL is in `folder`, and returns where.
Result<fs::path> FetchUrl(sandbox::SandboxHost& host, const std::string& url,
                          const std::string& name, const fs::path& folder, bool has_earlier,
                          std::stop_token stop) {
  if (has_earlier) {
    TASKMINT_ASSIGN_OR_RETURN(const std::string head, HeadOfUrl(host, url, name, stop));
    const fs::path known = folder / (PrefixOfUrl(url) + head + ".git");
    std::error_code ignored;
    if (!head.empty() && fs::is_directory(known, ignored)) return known;
  }
  TASKMINT_ASSIGN_OR_RETURN(const FileTree files, CloneUrl(host, url, name, stop));
  return WriteImported(files, name, folder,
                       [&](const std::string& head) { return PrefixOfUrl(url) + head + ".git"; });
}

Status ImportUrl(sandbox::SandboxHost& host, const std::string& url, const std::string& folder,
                 ImportedSource& imported, std::stop_token stop) {
  imported.name = PublicUrl(url);
  const std::optional<fs::path> earlier = LatestImport(url, folder);
  Result<fs::path> path = FetchUrl(host, url, imported.name, folder, earlier.has_value(), stop);
  if (!path.ok()) {
    const Status& error = path.status();
    const bool is_remote =
        error.boundary() == Boundary::kEnvironment && error.code() != Code::kCancelled;
    if (!earlier || !is_remote) return error.WithContext(imported.name);
    imported.warning = "not refreshed, what was fetched earlier is used: " + error.message();
    path = *earlier;
  }
  std::error_code ignored;
  fs::last_write_time(*path, fs::file_time_type::clock::now(), ignored);
  imported.repository_path = path->string();
  return OkStatus();
}

Status ImportBundle(sandbox::SandboxHost& host, const std::string& source,
                    const std::string& folder, ImportedSource& imported, std::stop_token stop) {
  imported.name = LastComponent(source);
  std::string name = MarkOfBundle(source) + ".git";
  imported.repository_path = folder + "/" + name;
  std::error_code ignored;
  if (fs::is_directory(imported.repository_path, ignored)) return OkStatus();
  TASKMINT_ASSIGN_OR_RETURN(const FileTree files, CloneBundle(host, source, imported.name, stop));
  return WriteImported(files, "", folder, [&name](const std::string&) { return name; })
      .status()
      .WithContext(imported.name);
}

}  // namespace

Result<SourceKind> ClassifySource(const std::string& source) {
  static const RE2 kScheme(R"(([A-Za-z][A-Za-z0-9+.-]*)://(?s:.*))");
  static const RE2 kHelper(R"(([A-Za-z][A-Za-z0-9+.-]*)::(?s:.*))");
  static const RE2 kScp(R"((?:[^/:\s]+@)?[^/:\s]+:[^\s]*)");
  if (source.empty()) return Error(Code::kInvalidArgument, "no repository named: it is empty");
  if (source.find('\0') != std::string::npos) {
    return Error(Code::kInvalidArgument, "the repository's name holds a NUL");
  }
  std::string scheme;
  if (RE2::FullMatch(source, kScheme, &scheme)) {
    scheme = LowerCase(scheme);
    if (scheme == "file") {
      return Error(Code::kInvalidArgument,
                   "file:// URLs are not taken: name the folder itself, without file://");
    }
    if (scheme != "http" && scheme != "https") {
      return Error(Code::kInvalidArgument,
                   Printable(scheme) + ":// is not supported: give an https:// URL, or clone the " +
                       "repository yourself and name its folder");
    }
    // Whatever it is, it may hold a secret: messages do not repeat it.
    const bool odd = std::any_of(source.begin(), source.end(), [](char c) {
      return static_cast<unsigned char>(c) <= ' ' || c == 0x7f || c == '\\' || c == '"';
    });
    if (odd || !sandbox::HostOfUrl(source).ok()) {
      return Error(Code::kInvalidArgument, "this is no usable " + scheme +
                                               " URL: it needs a host and no spaces, as in " +
                                               "https://example.org/owner/repository.git");
    }
    return SourceKind::kUrl;
  }
  struct stat info {};
  if (stat(source.c_str(), &info) != 0) {
    if (errno == EACCES) {
      return Error(Code::kFailedPrecondition,
                   "'" + Printable(source) + "' cannot be read by this user: run as its owner");
    }
    if (RE2::FullMatch(source, kHelper, &scheme)) {
      return Error(Code::kInvalidArgument, "git's remote helper " + Printable(scheme) +
                                               ":: is not supported: clone the " +
                                               "repository yourself and name its folder");
    }
    if (RE2::FullMatch(source, kScp)) {
      return Error(Code::kInvalidArgument,
                   "ssh is not supported: give an https:// URL, or clone the repository yourself " +
                       std::string("and name its folder"));
    }
    return Error(Code::kNotFound, "no such path: '" + Printable(source) + "'");
  }
  if (S_ISDIR(info.st_mode)) return SourceKind::kLocalRepository;
  if (S_ISREG(info.st_mode)) return SourceKind::kBundle;
  return Error(Code::kInvalidArgument,
               "'" + Printable(source) + "' is neither a folder nor a bundle file");
}

std::optional<ImportedSource> FindImported(const std::string& source, const std::string& folder) {
  const auto kind = ClassifySource(source);
  if (!kind.ok() || *kind != SourceKind::kUrl) return std::nullopt;
  const std::optional<fs::path> path = LatestImport(source, folder);
  if (!path) return std::nullopt;
  return ImportedSource{SourceKind::kUrl, path->string(), PublicUrl(source), ""};
}

Result<ImportedSource> ImportSource(sandbox::SandboxHost& host, const std::string& source,
                                    const std::string& folder, std::stop_token stop) {
  ImportedSource imported;
  TASKMINT_ASSIGN_OR_RETURN(imported.kind, ClassifySource(source));
  if (imported.kind == SourceKind::kUrl) {
    TASKMINT_RETURN_IF_ERROR(ImportUrl(host, source, folder, imported, stop));
  } else if (imported.kind == SourceKind::kBundle) {
    TASKMINT_RETURN_IF_ERROR(ImportBundle(host, source, folder, imported, stop));
  } else {
    TASKMINT_ASSIGN_OR_RETURN(const std::unique_ptr<GitRepository> repository,
                              GitRepository::Open(source));
    imported.repository_path = source;
    imported.name = repository->OriginUrl();
    if (imported.name.empty()) imported.name = LastComponent(source);
  }
  return imported;
}

}  // namespace taskmint::environments
