#include "proto/base/json.h"

#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>

#include "proto/base/check.h"

namespace taskmint {

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

std::string RecordToJson(const google::protobuf::Message& record, bool pretty) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = pretty;
  options.preserve_proto_field_names = true;
  std::string text;
  TASKMINT_CHECK(google::protobuf::util::MessageToJsonString(record, &text, options).ok());
  return text;
}

}  // namespace taskmint
