#include "sandbox/packages/recorded_answer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "proto/base/digest.h"
#include "proto/base/json.h"
#include "sandbox/errors.h"
#include "sandbox/packages/package_url.h"

namespace taskmint::sandbox {
namespace {

using nlohmann::json;

bool IsUrl(const std::string& text) {
  const auto url = ParsePackageUrl(text);
  return url.ok() && url->Text() == text;
}

}  // namespace

bool IsHeaderText(std::string_view text) {
  return text.size() <= 1000 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

std::string WriteRecordedAnswer(const RecordedAnswer& answer) {
  json value = {{"method", answer.method}, {"url", answer.url},       {"status", answer.status},
                {"bytes", answer.bytes},   {"sha256", answer.digest}, {"headers", json::object()}};
  if (answer.final_url != answer.url) value["final_url"] = answer.final_url;
  if (!answer.content_type.empty()) value["headers"]["content-type"] = answer.content_type;
  if (!answer.content_encoding.empty()) {
    value["headers"]["content-encoding"] = answer.content_encoding;
  }
  return DumpJson(value, true) + "\n";
}

Result<RecordedAnswer> ReadRecordedAnswer(std::string_view bytes) {
  const auto value = ParseJson(bytes);
  if (!value.ok()) return Error(Code::kDataLoss, value.status().message());
  RecordedAnswer answer;
  answer.method = StringOr(*value, "method", "");
  answer.url = StringOr(*value, "url", "");
  answer.final_url = StringOr(*value, "final_url", answer.url);
  answer.status = static_cast<int>(std::clamp<int64_t>(IntOr(*value, "status", 0), 0, 1000));
  answer.digest = StringOr(*value, "sha256", "?");
  answer.bytes = IntOr(*value, "bytes", -2);
  if (value->is_object() && value->contains("headers")) {
    answer.content_type = StringOr((*value)["headers"], "content-type", "");
    answer.content_encoding = StringOr((*value)["headers"], "content-encoding", "");
  }
  const auto bad = [](const char* what) {
    return Error(Code::kDataLoss, std::string("its ") + what + " is none");
  };
  if (answer.method != "GET" && answer.method != "HEAD") return bad("method");
  if (!IsUrl(answer.url) || !IsUrl(answer.final_url)) return bad("URL");
  if (answer.status < 200 || answer.status > 599) return bad("status");
  if (!answer.digest.empty() && !IsDigest(answer.digest)) return bad("digest");
  if (answer.bytes < (answer.has_body() ? 0 : -1)) return bad("size");
  if (answer.has_body() != (answer.method == "GET" && answer.status == 200)) return bad("body");
  if (!IsHeaderText(answer.content_type) || !IsHeaderText(answer.content_encoding)) {
    return bad("header");
  }
  return answer;
}

}  // namespace taskmint::sandbox
