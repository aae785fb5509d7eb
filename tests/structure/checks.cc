#include "tests/structure/checks.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <sstream>

namespace taskmint::structure {
namespace {

constexpr size_t kColumnsMax = 100;
constexpr size_t kLinesMax = 500;

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  std::istringstream stream{std::string(text)};
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

bool EndsWithAny(const std::string& path, std::initializer_list<std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(),
                     [&](std::string_view ending) { return path.ends_with(ending); });
}

bool IsCpp(const std::string& path) { return EndsWithAny(path, {".h", ".cc"}); }

std::string At(const std::string& path, size_t index, const std::string& what) {
  return path + ":" + std::to_string(index + 1) + ": " + what;
}

bool IsBelow(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && path.size() > folder.size() && path[folder.size()] == '/';
}

// The row of the longest folder that holds `path`; null when none does.
const Layers::Row* RoomOf(const Layers& layers, std::string_view path) {
  const Layers::Row* best = nullptr;
  for (const Layers::Row& row : layers.rooms) {
    if (IsBelow(path, row.first) && (!best || row.first.size() > best->first.size())) best = &row;
  }
  return best;
}

bool MayUse(const Layers::Row& library, const std::string& path) {
  return std::any_of(library.second.begin(), library.second.end(), [&](const std::string& home) {
    if (home == "nowhere") return false;
    if (home.starts_with('*')) return path.ends_with(home.substr(1));
    return IsBelow(path, home) || IsBelow(path, "tests");
  });
}

size_t Columns(std::string_view line) {
  return static_cast<size_t>(std::count_if(line.begin(), line.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;  // not a continuation byte
  }));
}

bool HasControlCharacter(std::string_view line) {
  for (size_t i = 0; i < line.size(); ++i) {
    const auto byte = static_cast<unsigned char>(line[i]);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7F) return true;
    // U+202A to U+202E and U+2066 to U+2069 turn the direction of text: code that lies to a reader.
    const std::string_view three = line.substr(i, 3);
    if (three.size() == 3 &&
        ((three.starts_with("\xE2\x80") && three[2] >= '\xAA' && three[2] <= '\xAE') ||
         (three.starts_with("\xE2\x81") && three[2] >= '\xA6' && three[2] <= '\xA9'))) {
      return true;
    }
  }
  return false;
}

}  // namespace

Layers ParseLayers(std::string_view text) {
  Layers layers;
  for (const std::string& line : Lines(text)) {
    if (line.empty() || line[0] == '#') continue;
    std::string kind;
    std::string name;
    std::string rest;
    static const RE2 row("(room|library) ([^:]+):(.*)");
    if (!RE2::FullMatch(line, row, &kind, &name, &rest)) return {};
    std::istringstream words(rest);
    std::vector<std::string> values;
    for (std::string word; words >> word;) values.push_back(word);
    (kind == "room" ? layers.rooms : layers.libraries).emplace_back(name, values);
  }
  return layers;
}

Breaches CheckLayering(const Layers& layers, const std::string& path, std::string_view text) {
  if (!IsCpp(path)) return {};
  const Layers::Row* room = RoomOf(layers, path);
  if (!room) return {path + ": lies in no room of layers.txt"};
  Breaches breaches;
  const std::vector<std::string> lines = Lines(text);
  for (size_t i = 0; i < lines.size(); ++i) {
    static const RE2 include(R"(\s*#\s*include\s*(["<])([^">]+)[">].*)");
    std::string bracket;
    std::string header;
    if (!RE2::FullMatch(lines[i], include, &bracket, &header)) continue;
    if (bracket == "\"") {
      const Layers::Row* target = RoomOf(layers, header);
      if (!target) {
        breaches.push_back(At(
            path, i, "\"" + header + "\" is no path from the root (libraries in angle brackets)"));
        continue;
      }
      const std::string to = target->first.substr(0, target->first.find('/'));
      if (path.starts_with(to + "/") && !room->first.starts_with("proto/")) continue;
      if (std::find(room->second.begin(), room->second.end(), to) == room->second.end()) {
        breaches.push_back(At(path, i, room->first + " must not include " + header));
      }
      continue;
    }
    const Layers::Row* library = nullptr;  // the most particular row counts
    for (const Layers::Row& row : layers.libraries) {
      if (header.starts_with(row.first) && (!library || row.first.size() > library->first.size())) {
        library = &row;
      }
    }
    if (library && !MayUse(*library, path)) {
      breaches.push_back(At(path, i, "<" + header + "> is not at home here"));
    }
  }
  return breaches;
}

Breaches CheckText(const std::string& path, std::string_view text) {
  if (!EndsWithAny(path, {".h", ".cc", ".proto", ".py", ".sh", "mint"})) return {};
  Breaches breaches;
  const std::vector<std::string> lines = Lines(text);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (Columns(lines[i]) > kColumnsMax) breaches.push_back(At(path, i, "over 100 columns"));
    if (lines[i].find('\t') != std::string::npos) breaches.push_back(At(path, i, "a tab"));
    if (HasControlCharacter(lines[i])) breaches.push_back(At(path, i, "a control character"));
  }
  if (lines.size() > kLinesMax) breaches.push_back(path + ": over 500 lines; split it");
  if (!text.empty() && text.back() != '\n') breaches.push_back(path + ": no newline at the end");
  return breaches;
}

Breaches CheckHeaderGuard(const std::string& path, std::string_view text) {
  if (!path.ends_with(".h")) return {};
  std::string guard = "TASKMINT_";
  for (const char c : path) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
    guard += plain ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : '_';
  }
  guard += '_';
  for (const std::string& line :
       {"#ifndef " + guard + "\n", "#define " + guard + "\n", "#endif  // " + guard + "\n"}) {
    if (text.find(line) == std::string_view::npos) return {path + ": header guard is not " + guard};
  }
  return {};
}

Breaches CheckName(const std::string& path) {
  std::string word;
  for (const char c : path + "/") {
    if (std::isalpha(static_cast<unsigned char>(c)) != 0) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      continue;
    }
    for (const char* banned : {"util", "utils", "helper", "helpers", "common", "manager", "misc"}) {
      if (word == banned) return {path + ": \"" + word + "\" says nothing; name what it holds"};
    }
    word.clear();
  }
  return {};
}

Breaches CheckHostPaths(const std::string& path, std::string_view text,
                        const std::string& checkout) {
  if (IsBelow(path, "tests")) return {};
  Breaches breaches;
  const bool is_telling = std::count(checkout.begin(), checkout.end(), '/') >= 3;
  const std::vector<std::string> lines = Lines(text);
  for (size_t i = 0; i < lines.size(); ++i) {
    static const RE2 home(R"((^|[^A-Za-z0-9_.])/(home|Users)/[a-z][a-z0-9_-]*/)");
    if (RE2::PartialMatch(lines[i], home) ||
        (is_telling && lines[i].find(checkout) != std::string::npos)) {
      breaches.push_back(At(path, i, "a path of somebody's machine"));
    }
  }
  return breaches;
}

Breaches CheckRegistries(const std::string& path, std::string_view text) {
  // Put together here, so that this file does not breach its own rule.
  static const std::array<std::string, 5> names = {
      std::string("pypi") + ".org", std::string("python") + "hosted.org",
      std::string("registry.npm") + "js.org", std::string("crates") + ".io",
      std::string("proxy.golang") + ".org"};
  Breaches breaches;
  for (const std::string& name : names) {
    if (text.find(name) != std::string_view::npos) {
      breaches.push_back(path + ": names the package registry " + name);
    }
  }
  return breaches;
}

Breaches CheckProtoComments(const std::string& path, std::string_view text) {
  if (!path.ends_with(".proto")) return {};
  Breaches breaches;
  bool in_enum = false;
  bool commented = false;
  const std::vector<std::string> lines = Lines(text);
  for (size_t i = 0; i < lines.size(); ++i) {
    static const RE2 opens_enum(R"(\s*enum\s+\w+\s*\{\s*)");
    static const RE2 field(
        R"(\s*(repeated |optional )?[\w.]+(<[\w., ]+>)?\s+(\w+)\s*=\s*\d+.*;.*)");
    static const RE2 comment(R"(\s*//.*)");
    static const RE2 closes(R"(\s*\}\s*)");
    std::string name;
    if (RE2::FullMatch(lines[i], opens_enum)) in_enum = true;
    if (RE2::FullMatch(lines[i], closes)) in_enum = false;
    if (!in_enum && RE2::FullMatch(lines[i], field, nullptr, nullptr, &name) && !commented &&
        lines[i].find("//") == std::string::npos) {
      breaches.push_back(At(path, i, "field " + name + " has no comment"));
    }
    commented = RE2::FullMatch(lines[i], comment);
  }
  return breaches;
}

std::set<std::string> UnnamedDefinitions(std::string_view text) {
  // As clang-format leaves them: what stands in the first column is no member and no statement.
  static const RE2 type(R"((?:class|struct|enum|enum class) (\w+)(?: final)?(?: :.*)? ?\{.*)");
  static const RE2 function(R"([A-Za-z_][^=("]* [*&]?(\w+)\([^"]*)");
  static const RE2 value(R"([A-Za-z_][^=(]* [*&]?(k[A-Z]\w*)(?:\[.*\])?(?: =|\{).*)");
  std::set<std::string> names;
  bool inside = false;
  for (const std::string& line : Lines(text)) {
    if (line == "namespace {") inside = true;
    if (line == "}  // namespace") inside = false;
    std::string name;
    if (inside && (RE2::FullMatch(line, type, &name) || RE2::FullMatch(line, value, &name) ||
                   RE2::FullMatch(line, function, &name))) {
      names.insert(name);
    }
  }
  return names;
}

}  // namespace taskmint::structure
