#include "datasets/repository_settings.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "datasets/toml_guard.h"
#include "datasets/toml_parser.h"
#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

constexpr size_t kListItemsMax = 1'000;
constexpr size_t kItemBytesMax = 1'000;
constexpr double kMinutesMin = 0.1;
constexpr double kMinutesMax = 1'440;
constexpr double kMsPerMinute = 60'000;
constexpr std::string_view kKeys =
    "setup, test_command, packages, build_hosts and test_wall_minutes_max";

// "host" or "host:port": what the build's proxy compares.
bool IsHost(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view host = text.substr(0, colon);
  if (host.empty() || host.front() == '-' || host.front() == '.') return false;
  const bool host_ok = std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.';
  });
  if (!host_ok || colon == std::string_view::npos) return host_ok;
  const std::string_view port = text.substr(colon + 1);
  const bool digits =
      !port.empty() && port.size() <= 5 &&
      std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return false;
  const int number = std::stoi(std::string(port));
  return number > 0 && number <= 65'535;
}

// A package never reads as an option of the package manager.
bool IsPackage(std::string_view text) { return !text.empty() && text.front() != '-'; }

bool HasControls(std::string_view text, std::string_view allowed) {
  return std::any_of(text.begin(), text.end(), [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 || byte == 0x7f) && allowed.find(c) == std::string_view::npos;
  });
}

class SettingsReader {
 public:
  explicit SettingsReader(const std::string& name) : name_(name) {}

  Result<v1::RepositorySettings> Read(const toml::table& table) {
    for (const auto& [key, value] : table) {
      TASKMINT_RETURN_IF_ERROR(ReadKey(key.str(), key.source().begin.line, value));
    }
    return settings_;
  }

  Status Refuse(int64_t line, const std::string& why) const {
    return {Code::kInvalidArgument, Boundary::kConfig,
            name_ + ":" + std::to_string(line) + ": " + Printable(TomlOfAscii(why))};
  }

 private:
  Status ReadKey(std::string_view key, int64_t line, const toml::node& value) {
    if (key == "setup")
      return ReadText(key, line, value, "\t\n\r", *settings_.mutable_setup_script());
    if (key == "test_command") {
      return ReadText(key, line, value, "\t", *settings_.mutable_test_command());
    }
    if (key == "packages") {
      return ReadList(key, line, value, IsPackage, "package", *settings_.mutable_packages());
    }
    if (key == "build_hosts") {
      return ReadList(key, line, value, IsHost, "host or host:port",
                      *settings_.mutable_build_hosts());
    }
    if (key == "test_wall_minutes_max") return ReadMinutes(key, line, value);
    return Refuse(line, "unknown key '" + std::string(key.substr(0, 100)) + "'; known are " +
                            std::string(kKeys));
  }

  Status ReadText(std::string_view key, int64_t line, const toml::node& value,
                  std::string_view allowed, std::string& text) const {
    const auto* string = value.as_string();
    if (string == nullptr) return Refuse(line, std::string(key) + " must be a string");
    text = TomlOfAscii(string->get());
    if (HasControls(text, allowed) || !IsUtf8(text)) {
      return Refuse(line, std::string(key) + " holds control characters");
    }
    return OkStatus();
  }

  Status ReadList(std::string_view key, int64_t line, const toml::node& value,
                  bool (*is_usable)(std::string_view), const std::string& kind,
                  google::protobuf::RepeatedPtrField<std::string>& items) const {
    const toml::array* array = value.as_array();
    if (array == nullptr) return Refuse(line, std::string(key) + " must be a list of strings");
    if (array->size() > kListItemsMax) return Refuse(line, std::string(key) + " is too long");
    for (const toml::node& node : *array) {
      const auto* string = node.as_string();
      const int64_t item_line = node.source().begin.line;
      if (string == nullptr)
        return Refuse(item_line, std::string(key) + " must be a list of strings");
      const std::string item = TomlOfAscii(string->get());
      if (item.size() > kItemBytesMax || HasControls(item, "") || !IsUtf8(item) ||
          !is_usable(item)) {
        return Refuse(item_line,
                      "'" + item.substr(0, 100) + "' in " + std::string(key) + " is no " + kind);
      }
      *items.Add() = item;
    }
    return OkStatus();
  }

  Status ReadMinutes(std::string_view key, int64_t line, const toml::node& value) {
    const std::optional<double> minutes = value.is_number() ? value.value<double>() : std::nullopt;
    if (!minutes || !(*minutes >= kMinutesMin && *minutes <= kMinutesMax)) {
      return Refuse(line, std::string(key) + " must be a number from 0.1 to 1440");
    }
    settings_.set_test_wall_ms_max(std::llround(*minutes * kMsPerMinute));
    return OkStatus();
  }

  const std::string& name_;
  v1::RepositorySettings settings_;
};

}  // namespace

Result<v1::RepositorySettings> ParseRepositorySettings(std::string_view bytes,
                                                       const std::string& name) {
  SettingsReader reader(name);
  if (bytes.size() > kSettingsBytesMax) return reader.Refuse(1, "larger than 64 KiB");
  if (!IsUtf8(bytes)) return reader.Refuse(1, "this is no UTF-8");
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (bytes.starts_with(kByteOrderMark)) bytes.remove_prefix(kByteOrderMark.size());
  if (const std::optional<TomlFault> fault = FindTomlFault(bytes, /*tables=*/false)) {
    return reader.Refuse(fault->line, std::string(fault->what));
  }
  try {
    const toml::parse_result parsed = toml::parse(AsciiOfToml(bytes));
    if (!parsed) {
      return reader.Refuse(parsed.error().source().begin.line,
                           std::string(parsed.error().description()));
    }
    return reader.Read(parsed.table());
  } catch (const TomlParserFault&) {
    return reader.Refuse(1, "this is no TOML");
  }
}

}  // namespace taskmint::datasets
