#include "proto/base/json.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "proto/base/check.h"
#include "proto/base/utf8.h"

namespace taskmint {
namespace {

const nlohmann::json* Field(const nlohmann::json& value, const char* field) {
  if (!value.is_object()) return nullptr;
  const auto found = value.find(field);
  return found == value.end() ? nullptr : &*found;
}

// Keeps nothing but where the text ceases to be JSON.
class FaultFinder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    position_ = position;
    return false;
  }
  size_t position() const { return position_; }

 private:
  size_t position_ = 0;
};

// From 1.
int64_t LineOfFault(std::string_view text) {
  FaultFinder finder;
  nlohmann::json::sax_parse(text.begin(), text.end(), &finder);
  const std::string_view before = text.substr(0, std::min(finder.position(), text.size()));
  return 1 + std::count(before.begin(), before.end(), '\n');
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
    return Status(Code::kInvalidArgument, Boundary::kConfig,
                  "not valid JSON (line " + std::to_string(LineOfFault(text)) + ")");
  }
  return value;
}

std::string DumpJson(const nlohmann::json& value, bool pretty) {
  return value.dump(pretty ? 2 : -1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string AsciiJson(const nlohmann::json& value) {
  std::string text =
      value.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
  // The one character of ASCII that is not printable and that JSON lets stand.
  for (size_t at = text.find('\x7f'); at != std::string::npos; at = text.find('\x7f', at)) {
    text.replace(at, 1, "\\u007f");
  }
  return text;
}

nlohmann::json JsonOfBytes(std::string_view bytes) {
  if (IsUtf8(bytes)) return std::string(bytes);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return {{"hex", std::move(hex)}};
}

Result<std::string> BytesOfJson(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  const nlohmann::json* hex = Field(value, "hex");
  const Status bad(Code::kInvalidArgument, Boundary::kConfig,
                   "neither a string nor {\"hex\": ...} with pairs of digits");
  if (hex == nullptr || !hex->is_string()) return bad;
  const auto& digits = hex->get_ref<const std::string&>();
  if (digits.size() % 2 != 0) return bad;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  std::string bytes;
  bytes.reserve(digits.size() / 2);
  for (size_t i = 0; i < digits.size(); i += 2) {
    const int high = digit(digits[i]), low = digit(digits[i + 1]);
    if (high < 0 || low < 0) return bad;
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
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

Status RecordFromJson(const nlohmann::json& value, google::protobuf::Message& record) {
  const auto status = google::protobuf::util::JsonStringToMessage(DumpJson(value), &record);
  if (status.ok()) return OkStatus();
  return {Code::kInvalidArgument, Boundary::kConfig,
          "no " + record.GetTypeName() + ": " +
              OneLine(std::string_view(status.message().data(), status.message().size()))};
}

}  // namespace taskmint
