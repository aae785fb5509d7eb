#include "environments/tool_arguments.h"

#include <nlohmann/json.hpp>
#include <string>

#include "proto/base/json.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

using nlohmann::json;

Status Wrong(const std::string& what) { return {Code::kInvalidArgument, Boundary::kTool, what}; }

// A name from outside, fit for one line.
std::string Quoted(const std::string& name) { return "'" + OneLine(CutMiddle(name, 80)) + "'"; }

// 60.0 is whole, too; beyond 9e15 a double is none any more.
bool IsWhole(const json& value) {
  if (!value.is_number()) return false;
  const double number = value.get<double>();
  return number >= -9e15 && number <= 9e15 &&
         number == static_cast<double>(static_cast<int64_t>(number));
}

bool HasType(const json& value, const std::string& type) {
  if (type == "string") return value.is_string();
  if (type == "integer") return IsWhole(value);
  if (type == "number") return value.is_number();
  if (type == "boolean") return value.is_boolean();
  return true;
}

Status CheckNumber(const std::string& name, const json& value, const json& rule) {
  const double number = value.get<double>();
  const bool low = rule.contains("minimum") && number < rule["minimum"].get<double>();
  const bool high = rule.contains("maximum") && number > rule["maximum"].get<double>();
  if (!low && !high) return OkStatus();
  return Wrong(Quoted(name) + " must be at " +
               (low ? "least " + rule["minimum"].dump() : "most " + rule["maximum"].dump()));
}

// Checks one argument and brings it into its type.
Status CheckArgument(const std::string& name, const json& rule, json& value) {
  const std::string type = StringOr(rule, "type", "");
  if (!HasType(value, type)) {
    return Wrong(Quoted(name) + " must be of type " + type + ", not " + value.type_name());
  }
  if (value.is_string()) {
    const bool missing = value.get_ref<const std::string&>().empty();
    return missing && IntOr(rule, "minLength", 0) > 0 ? Wrong(Quoted(name) + " must not be empty")
                                                      : OkStatus();
  }
  if (!value.is_number()) return OkStatus();
  TASKMINT_RETURN_IF_ERROR(CheckNumber(name, value, rule));
  if (type == "integer") value = static_cast<int64_t>(value.get<double>());
  return OkStatus();
}

std::string Names(const json& properties) {
  std::string names;
  for (const auto& [name, rule] : properties.items()) names += (names.empty() ? "" : ", ") + name;
  return names.empty() ? "takes no arguments" : "takes " + names;
}

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

}  // namespace

Result<json> ReadArguments(const v1::Tool& tool, std::string_view arguments_json) {
  if (arguments_json.size() > kArgumentsBytesMax) {
    return Wrong("the arguments are longer than " + std::to_string(kArgumentsBytesMax) + " bytes");
  }
  Result<json> schema = ParseJson(tool.parameters_json_schema());
  if (!schema.ok() || !schema->is_object() || !schema->contains("properties")) {
    return Wrong("the schema of " + tool.name() + " cannot be read");
  }
  const json& properties = (*schema)["properties"];
  Result<json> parsed =
      IsBlank(arguments_json) ? Result<json>(json::object()) : ParseJson(arguments_json);
  if (!parsed.ok()) {
    return Wrong("the arguments are not JSON: " +
                 OneLine(CutMiddle(parsed.status().message(), 300)));
  }
  json arguments = *std::move(parsed);
  if (!arguments.is_object()) {
    return Wrong(std::string("the arguments must be a JSON object, not ") + arguments.type_name());
  }
  for (auto& [name, value] : arguments.items()) {
    const auto rule = properties.find(name);
    if (rule == properties.end()) {
      return Wrong("unknown argument " + Quoted(name) + ": " + tool.name() + " " +
                   Names(properties));
    }
    TASKMINT_RETURN_IF_ERROR(CheckArgument(name, *rule, value));
  }
  for (const json& name : schema->value("required", json::array())) {
    if (!arguments.contains(name.get_ref<const std::string&>())) {
      return Wrong("the argument " + Quoted(name) + " is missing");
    }
  }
  for (const auto& [name, rule] : properties.items()) {
    if (!arguments.contains(name) && rule.contains("default")) arguments[name] = rule["default"];
  }
  return arguments;
}

}  // namespace taskmint::environments
