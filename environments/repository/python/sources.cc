#include "environments/repository/python/sources.h"

#include <re2/re2.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace taskmint::environments {
namespace {

namespace fs = std::filesystem;

using Settings = std::map<std::string, std::string>;

std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// "index-url" -> value of [global] and [install] of a pip.conf; continued lines are joined.
void ReadPipFile(const std::string& path, Settings& settings) {
  static const re2::RE2 kSection(R"(^\s*\[([^\]]+)\])");
  static const re2::RE2 kOption(R"(^([A-Za-z_-]+)\s*[=:]\s*(.*)$)");
  std::istringstream text(ReadText(path));
  std::string line, section, name;
  while (std::getline(text, line)) {
    std::string value;
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (re2::RE2::PartialMatch(line, kSection, &section)) {
      name.clear();
    } else if (re2::RE2::PartialMatch(line, kOption, &name, &value)) {
      for (char& c : name) c = c == '_' ? '-' : c;
      if (section == "global" || section == "install") settings[name] = value;
    } else if (!name.empty() && (line[0] == ' ' || line[0] == '\t')) {
      if (section == "global" || section == "install") settings[name] += " " + line;
    }
  }
}

// The few lines of a uv.toml that name sources.
void ReadUvFile(const std::string& path, Settings& settings) {
  static const re2::RE2 kTable(R"(^\s*\[\[?([^\]]+)\]\]?)");
  static const re2::RE2 kText(R"re(^\s*([a-z-]+)\s*=\s*"([^"]*)")re");
  static const re2::RE2 kDefault(R"(^\s*default\s*=\s*true)");
  std::istringstream text(ReadText(path));
  std::string line, table, url;
  bool is_default = false;
  const auto finish = [&] {
    if (!url.empty()) settings[is_default ? "index-url" : "extra-index-url"] += " " + url;
    url.clear();
    is_default = false;
  };
  while (std::getline(text, line)) {
    std::string name, value;
    if (re2::RE2::PartialMatch(line, kTable, &table)) {
      finish();
    } else if (re2::RE2::PartialMatch(line, kText, &name, &value)) {
      if (table == "index" && name == "url") url = value;
      if ((table.empty() || table == "pip") && name == "index-url") settings[name] = value;
    } else if (table == "index" && re2::RE2::PartialMatch(line, kDefault)) {
      is_default = true;
    }
  }
  finish();
}

std::vector<std::string> SplitWords(const std::string& text, bool commas) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text + " ") {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || (commas && c == ',')) {
      if (!word.empty()) words.push_back(std::move(word));
      word.clear();
    } else {
      word += c;
    }
  }
  return words;
}

class Reader {
 public:
  Reader(const Settings& variables, const std::string& home, const std::string& etc)
      : variables_(variables) {
    for (const std::string& path : {etc + "/pip.conf", home + "/.pip/pip.conf",
                                    home + "/.config/pip/pip.conf", Get("PIP_CONFIG_FILE")}) {
      ReadPipFile(path, pip_);
    }
    for (const std::string& path :
         {etc + "/uv/uv.toml", home + "/.config/uv/uv.toml", Get("UV_CONFIG_FILE")}) {
      ReadUvFile(path, uv_);
    }
  }

  PackageSources Read() {
    sources_.no_index = IsTrue(First({Get("UV_NO_INDEX"), Get("PIP_NO_INDEX"), pip_["no-index"]}));
    const std::string index = First({Get("UV_DEFAULT_INDEX"), Get("UV_INDEX_URL"), uv_["index-url"],
                                     Get("PIP_INDEX_URL"), pip_["index-url"]});
    if (!sources_.no_index) {
      for (const std::string& url : SplitWords(index, false)) AddIndex(url, true);
      for (const std::string& text :
           {Get("UV_INDEX"), Get("UV_EXTRA_INDEX_URL"), uv_["extra-index-url"],
            Get("PIP_EXTRA_INDEX_URL"), pip_["extra-index-url"]}) {
        for (const std::string& url : SplitWords(text, false)) AddIndex(url, false);
      }
    }
    for (const std::string& text :
         {Get("UV_FIND_LINKS"), Get("PIP_FIND_LINKS"), pip_["find-links"]}) {
      for (const std::string& link : SplitWords(text, true)) {
        const std::string inside = Inside(link);
        if (!inside.empty()) sources_.find_links.push_back(inside);
      }
    }
    AddCertificates();
    const std::string insecure =
        First({Get("UV_INSECURE_HOST"), Get("PIP_TRUSTED_HOST"), pip_["trusted-host"]});
    if (!insecure.empty()) sources_.variables["UV_INSECURE_HOST"] = insecure;
    return std::move(sources_);
  }

 private:
  std::string Get(const char* name) const {
    const auto found = variables_.find(name);
    return found == variables_.end() ? std::string() : found->second;
  }

  static std::string First(std::initializer_list<std::string> values) {
    for (const std::string& value : values) {
      if (!value.empty()) return value;
    }
    return {};
  }

  static bool IsTrue(const std::string& text) {
    return text == "1" || text == "true" || text == "True" || text == "yes" || text == "on";
  }

  void AddIndex(std::string url, bool is_default) {
    static const re2::RE2 kNamed(R"(^[A-Za-z0-9_-]+=(.+))");
    std::string rest;
    if (re2::RE2::FullMatch(url, kNamed, &rest)) url = rest;
    const std::string inside = Inside(url);
    if (inside.empty()) return;
    sources_.has_default_index = sources_.has_default_index || is_default;
    sources_.index_urls.push_back(inside[0] == '/' ? "file://" + inside : inside);
  }

  // A URL as it is; a local path or file:// URL as the path of its mount; "" for what is absent.
  std::string Inside(const std::string& link) {
    std::string path = link;
    if (link.starts_with("http://") || link.starts_with("https://")) return link;
    if (link.starts_with("file://")) path = link.substr(link.find('/', 7));
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    if (error || !fs::is_directory(real, error)) return {};
    std::string inside = "/index/" + std::to_string(sources_.mounts.size());
    sources_.mounts.push_back({real.string(), inside, false});
    return inside;
  }

  void AddCertificates() {
    const std::string path =
        First({Get("SSL_CERT_FILE"), Get("PIP_CERT"), pip_["cert"], Get("REQUESTS_CA_BUNDLE")});
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    if (path.empty() || error) return;
    sources_.mounts.push_back({real.string(), "/index/certificates.pem", false});
    sources_.variables["SSL_CERT_FILE"] = "/index/certificates.pem";
  }

  const Settings& variables_;
  Settings pip_, uv_;
  PackageSources sources_;
};

bool IsProgram(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

PackageSources ReadPackageSources(const std::map<std::string, std::string>& variables,
                                  const std::string& home, const std::string& etc) {
  return Reader(variables, home, etc).Read();
}

std::map<std::string, std::string> PackageVariables() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals == std::string::npos) continue;
    const std::string name = text.substr(0, equals);
    if (name.starts_with("UV_") || name.starts_with("PIP_") || name == "SSL_CERT_FILE" ||
        name == "REQUESTS_CA_BUNDLE") {
      variables[name] = text.substr(equals + 1);
    }
  }
  return variables;
}

Result<std::string> FindUv() {
  if (const char* given = std::getenv("TASKMINT_UV"); given != nullptr && *given != '\0') {
    if (IsProgram(given)) return fs::absolute(given).string();
    return Status(Code::kFailedPrecondition, Boundary::kConfig,
                  std::string("TASKMINT_UV names no program: ") + given);
  }
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& path : {folder / "../libexec/taskmint/uv", folder / "uv"}) {
    if (IsProgram(path)) return fs::weakly_canonical(path).string();
  }
  for (fs::path up = folder; up.has_relative_path(); up = up.parent_path()) {
    const fs::path path = up / "tools/uv/bin/uv";
    if (IsProgram(path)) return path.string();
  }
  std::istringstream path(std::getenv("PATH") != nullptr ? std::getenv("PATH") : "");
  for (std::string entry; std::getline(path, entry, ':');) {
    if (!entry.empty() && IsProgram(fs::path(entry) / "uv")) {
      return fs::canonical(fs::path(entry) / "uv").string();
    }
  }
  return Status(Code::kFailedPrecondition, Boundary::kConfig,
                "uv, which installs Python packages, is not on this machine: run ./mint, which "
                "brings it, or put uv on PATH");
}

Result<std::string> DefaultIndexIn(const std::string& uv_help) {
  static const re2::RE2 kDefault(R"((?s)--default-index.*?by default:\s*<(https?://[^>]+)>)");
  std::string url;
  if (re2::RE2::PartialMatch(uv_help, kDefault, &url)) return url;
  return Status(Code::kFailedPrecondition, Boundary::kConfig,
                "uv does not say which package index it uses: set UV_DEFAULT_INDEX");
}

Status NoBasePython(const std::string& why) {
  return {Code::kFailedPrecondition, Boundary::kConfig,
          "Python tasks need " + std::string(kBasePython) + " (" + why +
              "): install the package python3"};
}

Status CheckPythonTools(const std::string& python) {
  if (!IsProgram(python)) return NoBasePython(python + " is not on this machine");
  return FindUv().status();
}

}  // namespace taskmint::environments
