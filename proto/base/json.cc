#include "proto/base/json.h"

#include <google/protobuf/util/json_util.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "proto/base/check.h"

namespace taskmint {
namespace {

const nlohmann::json* Field(const nlohmann::json& value, const char* field) {
  if (!value.is_object()) return nullptr;
  const auto found = value.find(field);
  return found == value.end() ? nullptr : &*found;
}

}  // namespace

Result<nlohmann::json> ParseJson(std::string_view text) {
  constexpr int kDepthMax = 100;
  bool too_deep = false;
  const auto callback = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    too_deep = too_deep || depth > kDepthMax;
    return !too_deep;
  };
  nlohmann::json value =
      nlohmann::json::parse(text.begin(), text.end(), callback, /*allow_exceptions=*/false);
  if (too_deep) {
    return Status(Code::kInvalidArgument, Boundary::kConfig, "JSON nests deeper than 100 levels");
  }
  if (value.is_discarded()) {
    return Status(Code::kInvalidArgument, Boundary::kConfig, "not valid JSON");
  }
  return value;
}

std::string DumpJson(const nlohmann::json& value, bool pretty) {
  return value.dump(pretty ? 2 : -1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string StringOr(const nlohmann::json& value, const char* field, std::string fallback) {
  const nlohmann::json* found = Field(value, field);
  return found != nullptr && found->is_string() ? found->get<std::string>() : std::move(fallback);
}

int64_t IntOr(const nlohmann::json& value, const char* field, int64_t fallback) {
  const nlohmann::json* found = Field(value, field);
  if (found == nullptr || !found->is_number_integer()) return fallback;
  constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
  if (found->is_number_unsigned() && found->get<uint64_t>() > kMax) return fallback;
  return found->get<int64_t>();
}

bool BoolOr(const nlohmann::json& value, const char* field, bool fallback) {
  const nlohmann::json* found = Field(value, field);
  return found != nullptr && found->is_boolean() ? found->get<bool>() : fallback;
}

std::string RecordToJson(const google::protobuf::Message& record, bool pretty) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = pretty;
  options.preserve_proto_field_names = true;
  std::string text;
  TASKMINT_CHECK(google::protobuf::util::MessageToJsonString(record, &text, options).ok());
  return text;
}

}  // namespace taskmint
