// JSON that never throws: parsing foreign bytes with limits, printing any bytes.
#ifndef TASKMINT_PROTO_BASE_JSON_H_
#define TASKMINT_PROTO_BASE_JSON_H_

#include <google/protobuf/message.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace taskmint {

// INVALID_ARGUMENT (config) when `text` is not one JSON value (says the line) or nests deeper than
// 100.
Result<nlohmann::json> ParseJson(std::string_view text);

// Compact, or indented by two spaces when `pretty`; malformed UTF-8 becomes U+FFFD.
std::string DumpJson(const nlohmann::json& value, bool pretty = false);

// Compact, of printable ASCII alone: for rows of JSONL. Readers that cut rows apart by Python's
// str.splitlines, as SWE-bench does, end a line at U+0085, U+2028 and U+2029 as well.
std::string AsciiJson(const nlohmann::json& value);

// Any bytes as JSON and back: a string where they are UTF-8, else {"hex": "00ff..."}. Reading it,
// INVALID_ARGUMENT (config) for anything else.
nlohmann::json JsonOfBytes(std::string_view bytes);
Result<std::string> BytesOfJson(const nlohmann::json& value);

// Fields of foreign JSON: `fallback` where `value` is no object, lacks the field or has another
// type in it (or, for numbers, one that does not fit).
std::string StringOr(const nlohmann::json& value, const char* field, std::string fallback);
int64_t IntOr(const nlohmann::json& value, const char* field, int64_t fallback);
bool BoolOr(const nlohmann::json& value, const char* field, bool fallback);

// A record as JSON with its field names as in the .proto file.
std::string RecordToJson(const google::protobuf::Message& record, bool pretty = false);
// The inverse, for a parsed value. INVALID_ARGUMENT (config) where `value` is no such record; a
// field that the record does not have is an error.
Status RecordFromJson(const nlohmann::json& value, google::protobuf::Message& record);

}  // namespace taskmint

#endif  // TASKMINT_PROTO_BASE_JSON_H_
