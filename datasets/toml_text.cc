#include "datasets/toml_text.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "datasets/toml_guard.h"
#include "datasets/toml_parser.h"
#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::datasets {
namespace {

using nlohmann::json;

// The guard has bounded how deep this goes.
json JsonOfNode(const toml::node& node) {  // NOLINT(misc-no-recursion)
  if (const auto* table = node.as_table()) {
    json object = json::object();
    for (const auto& [key, value] : *table) object[TomlOfAscii(key.str())] = JsonOfNode(value);
    return object;
  }
  if (const auto* array = node.as_array()) {
    json list = json::array();
    for (const toml::node& item : *array) list.push_back(JsonOfNode(item));
    return list;
  }
  if (const auto* text = node.as_string()) return TomlOfAscii(text->get());
  if (const auto* number = node.as_integer()) return number->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* flag = node.as_boolean()) return flag->get();
  std::ostringstream text;
  if (const auto* date = node.as_date()) text << date->get();
  if (const auto* time = node.as_time()) text << time->get();
  if (const auto* both = node.as_date_time()) text << both->get();
  return text.str();
}

// What stands in a table or an array, before it is put there.
struct TomlSink {
  toml::table* table = nullptr;
  std::string key;
  toml::array* array = nullptr;

  template <typename Value>
  void Put(Value&& value) const {
    if (table != nullptr) {
      table->insert_or_assign(key, std::forward<Value>(value));
    } else {
      array->push_back(std::forward<Value>(value));
    }
  }
};

void PutInto(const TomlSink& sink, const json& value) {  // NOLINT(misc-no-recursion)
  if (value.is_object()) {
    toml::table table;
    for (const auto& [key, item] : value.items()) {
      PutInto({&table, AsciiOfToml(ToUtf8(key)), nullptr}, item);
    }
    sink.Put(std::move(table));
  } else if (value.is_array()) {
    toml::array list;
    for (const json& item : value) PutInto({nullptr, "", &list}, item);
    sink.Put(std::move(list));
  } else if (value.is_string()) {
    sink.Put(AsciiOfToml(ToUtf8(value.get_ref<const std::string&>())));
  } else if (value.is_boolean()) {
    sink.Put(value.get<bool>());
  } else if (value.is_number_integer()) {
    sink.Put(value.get<int64_t>());
  } else if (value.is_number_float()) {
    sink.Put(value.get<double>());
  }
}

Status RefuseToml(const std::string& name, int64_t line, const std::string& why) {
  return {Code::kInvalidArgument, Boundary::kConfig,
          name + ":" + std::to_string(line) + ": " + OneLine(TomlOfAscii(why))};
}

}  // namespace

Result<json> ReadToml(std::string_view text, const std::string& name) {
  if (text.size() > kTomlBytesMax) return RefuseToml(name, 1, "larger than 64 MiB");
  if (!IsUtf8(text)) return RefuseToml(name, 1, "this is no UTF-8");
  if (const std::optional<TomlFault> fault = FindTomlFault(text, /*tables=*/true)) {
    return RefuseToml(name, fault->line, std::string(fault->what));
  }
  try {
    const toml::parse_result parsed = toml::parse(AsciiOfToml(text));
    if (!parsed) {
      return RefuseToml(name, parsed.error().source().begin.line,
                        std::string(parsed.error().description()));
    }
    return JsonOfNode(parsed.table());
  } catch (const TomlParserFault&) {
    return RefuseToml(name, 1, "this is no TOML");
  }
}

std::string WriteToml(const json& table) {
  toml::table root;
  for (const auto& [key, value] : table.items()) {
    PutInto({&root, AsciiOfToml(ToUtf8(key)), nullptr}, value);
  }
  std::ostringstream text;
  text << toml::toml_formatter(root, toml::format_flags::none);
  return TomlOfAscii(text.str()) + "\n";
}

}  // namespace taskmint::datasets
