#include "verifier/junit.h"

#include <expat.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "proto/base/utf8.h"

namespace taskmint::verifier {
namespace {

constexpr size_t kMessageBytesMax = 500;
constexpr size_t kPathBytesMax = 4 << 10;   // of a file or class: no path is that long
constexpr size_t kNameBytesMax = 64 << 10;  // parametrized tests are named by their values

void AppendUtf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

// UTF-16 as UTF-8; lone surrogates and an odd last byte become U+FFFD.
std::string FromUtf16(std::string_view bytes, bool big_endian) {
  const auto unit = [&](size_t i) {
    const auto first = static_cast<uint8_t>(bytes[i]);
    const auto second = static_cast<uint8_t>(bytes[i + 1]);
    return static_cast<uint32_t>(big_endian ? (first << 8) | second : (second << 8) | first);
  };
  std::string text;
  text.reserve(bytes.size());
  size_t i = 0;
  for (; i + 1 < bytes.size(); i += 2) {
    uint32_t code = unit(i);
    if (code >= 0xD800 && code < 0xDC00 && i + 3 < bytes.size() && unit(i + 2) >= 0xDC00 &&
        unit(i + 2) < 0xE000) {
      code = 0x10000 + ((code - 0xD800) << 10) + (unit(i + 2) - 0xDC00);
      i += 2;
    } else if (code >= 0xD800 && code < 0xE000) {
      code = 0xFFFD;
    }
    AppendUtf8(text, code);
  }
  if (i < bytes.size()) AppendUtf8(text, 0xFFFD);
  return text;
}

bool IsXmlChar(uint64_t code) {
  return code == 0x9 || code == 0xA || code == 0xD || (code >= 0x20 && code < 0xD800) ||
         (code >= 0xE000 && code < 0xFFFE) || (code >= 0x10000 && code < 0x110000);
}

// Length of a numeric character reference at the front of `text` that XML forbids ("&#27;"), else
// 0.
size_t ForbiddenReference(std::string_view text) {
  if (!text.starts_with("&#")) return 0;
  const bool hex = text.size() > 2 && text[2] == 'x';
  uint64_t code = 0;
  size_t i = hex ? 3 : 2;
  const size_t digits = i;
  for (; i < text.size() && i < digits + 12; ++i) {
    const char c = text[i];
    int digit = -1;
    if (c >= '0' && c <= '9') digit = c - '0';
    if (hex && c >= 'a' && c <= 'f') digit = c - 'a' + 10;
    if (hex && c >= 'A' && c <= 'F') digit = c - 'A' + 10;
    if (digit < 0) break;
    code = code * (hex ? 16 : 10) + static_cast<uint64_t>(digit);
  }
  if (i == digits || i >= text.size() || text[i] != ';') return 0;
  return IsXmlChar(code) ? 0 : i + 1;
}

// What XML does not allow, replaced by U+FFFD.
std::string MendCharacters(std::string_view text) {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  std::string mended;
  mended.reserve(text.size());
  size_t kept = 0;  // everything before it is in `mended`
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<uint8_t>(text[i]);
    size_t length = 0;  // of what must go
    if (c < 0x20) {
      length = c != '\t' && c != '\n' && c != '\r' ? 1 : 0;
    } else if (c == '&') {
      length = ForbiddenReference(text.substr(i));
    } else if (c == 0xEF) {
      const std::string_view three = text.substr(i, 3);
      length = three == "\xEF\xBF\xBE" || three == "\xEF\xBF\xBF" ? 3 : 0;
    }
    if (length == 0) {
      ++i;
      continue;
    }
    mended.append(text.substr(kept, i - kept)).append(kReplacement);
    i += length;
    kept = i;
  }
  mended.append(text.substr(kept));
  return mended;
}

// Bytes of any encoding that runners write, as UTF-8 that expat takes.
std::string ToXmlText(std::string_view xml) {
  using namespace std::string_view_literals;
  std::string decoded;
  if (xml.starts_with("\xEF\xBB\xBF")) {
    xml.remove_prefix(3);
  } else if (xml.starts_with("\xFF\xFE"sv) || xml.starts_with("<\0"sv)) {
    decoded = FromUtf16(xml.substr(xml[0] == '<' ? 0 : 2), false);
    xml = decoded;
  } else if (xml.starts_with("\xFE\xFF"sv) || xml.starts_with("\0<"sv)) {
    decoded = FromUtf16(xml.substr(xml[0] == '\0' ? 0 : 2), true);
    xml = decoded;
  }
  while (!xml.empty() && (xml[0] == ' ' || xml[0] == '\t' || xml[0] == '\n' || xml[0] == '\r')) {
    xml.remove_prefix(1);  // an XML declaration must stand first
  }
  return MendCharacters(IsUtf8(xml) ? xml : std::string_view(decoded = ToUtf8(xml)));
}

std::string FirstLine(std::string_view text) {
  while (!text.empty() && (text[0] == '\n' || text[0] == '\r' || text[0] == ' ')) {
    text.remove_prefix(1);
  }
  text = text.substr(0, text.find_first_of("\r\n"));
  if (text.size() <= kMessageBytesMax) return std::string(text);
  size_t end = kMessageBytesMax;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end));
}

v1::TestStatus OutcomeElement(std::string_view element) {
  if (element == "failure") return v1::TEST_STATUS_FAILED;
  if (element == "error") return v1::TEST_STATUS_ERROR;
  if (element == "skipped") return v1::TEST_STATUS_SKIPPED;
  return v1::TEST_STATUS_UNSPECIFIED;
}

class Reader {
 public:
  Reader(XML_Parser parser, const JUnitLimits& limits) : parser_(parser), limits_(limits) {
    XML_SetUserData(parser_, this);
    XML_SetElementHandler(parser_, &Reader::OnStart, &Reader::OnEnd);
    XML_SetCharacterDataHandler(parser_, &Reader::OnText);
    XML_SetStartDoctypeDeclHandler(parser_, &Reader::OnDoctype);
  }

  Result<JUnitReport> Read(const std::string& text) {
    // One call over the whole text: nothing is buffered, nothing parsed twice.
    const auto status = XML_Parse(parser_, text.data(), static_cast<int>(text.size()), XML_TRUE);
    if (!refusal_.ok()) return refusal_;
    if (status != XML_STATUS_OK) {
      return Status(Code::kInvalidArgument, Boundary::kVerifier,
                    std::string("the JUnit report is no complete XML: ") +
                        XML_ErrorString(XML_GetErrorCode(parser_)) + " at line " +
                        std::to_string(XML_GetCurrentLineNumber(parser_)));
    }
    return std::move(report_);
  }

 private:
  static Reader& Self(void* data) { return *static_cast<Reader*>(data); }

  void Refuse(Code code, std::string message) {
    if (refusal_.ok()) refusal_ = Status(code, Boundary::kVerifier, std::move(message));
    XML_StopParser(parser_, XML_FALSE);
  }

  static void OnDoctype(void* data, const XML_Char*, const XML_Char*, const XML_Char*, int) {
    Self(data).Refuse(Code::kInvalidArgument, "the JUnit report declares a document type");
  }

  static void OnStart(void* data, const XML_Char* name, const XML_Char** attributes) {
    Self(data).Start(name, attributes);
  }

  static void OnEnd(void* data, const XML_Char*) {
    Reader& self = Self(data);
    if (self.depth_ == self.case_depth_) self.case_depth_ = 0;
    if (self.depth_ == self.outcome_depth_) self.FinishOutcome();
    --self.depth_;
  }

  static void OnText(void* data, const XML_Char* text, int length) {
    Reader& self = Self(data);
    if (self.depth_ != self.outcome_depth_ || self.text_.size() > 2 * kMessageBytesMax) return;
    self.text_.append(text, std::min(static_cast<size_t>(length), 2 * kMessageBytesMax));
  }

  void Start(std::string_view element, const XML_Char** attributes) {
    if (!refusal_.ok()) return;  // expat may deliver a few more events after being stopped
    if (++depth_ > limits_.depth_max) {
      Refuse(Code::kResourceExhausted, "the JUnit report nests deeper than " +
                                           std::to_string(limits_.depth_max) + " elements");
    } else if (depth_ == 1 && element != "testsuites" && element != "testsuite") {
      Refuse(Code::kInvalidArgument,
             "not a JUnit report: the root element is <" + Printable(element.substr(0, 100)) + ">");
    } else if (element == "testcase") {
      StartCase(attributes);
    } else if (case_depth_ > 0 && depth_ == case_depth_ + 1) {
      StartOutcome(OutcomeElement(element), attributes);
    }
  }

  void StartCase(const XML_Char** attributes) {
    if (case_depth_ > 0) {
      return Refuse(Code::kInvalidArgument, "the JUnit report has a test case inside another");
    }
    if (report_.cases.size() >= limits_.cases_max) {
      return Refuse(Code::kResourceExhausted, "the JUnit report has more than " +
                                                  std::to_string(limits_.cases_max) + " cases");
    }
    case_depth_ = depth_;
    JUnitCase test;
    test.status = v1::TEST_STATUS_PASSED;
    for (; attributes[0] != nullptr; attributes += 2) {
      const std::string_view key = attributes[0];
      const std::string_view value = attributes[1];
      if (value.size() > (key == "name" ? kNameBytesMax : kPathBytesMax)) continue;
      if (key == "file") test.file = value;
      if (key == "classname") test.class_name = value;
      if (key == "name") test.name = value;
    }
    report_.cases.push_back(std::move(test));
  }

  void StartOutcome(v1::TestStatus status, const XML_Char** attributes) {
    if (status == v1::TEST_STATUS_UNSPECIFIED) return;
    JUnitCase& test = report_.cases.back();
    if (Severity(status) <= Severity(test.status)) return;
    test.status = status;
    outcome_depth_ = depth_;
    text_.clear();
    test.message.clear();
    for (; attributes[0] != nullptr; attributes += 2) {
      if (std::string_view(attributes[0]) == "message") test.message = FirstLine(attributes[1]);
    }
  }

  void FinishOutcome() {
    JUnitCase& test = report_.cases.back();
    if (test.message.empty()) test.message = FirstLine(text_);
    outcome_depth_ = 0;
  }

  XML_Parser parser_;
  const JUnitLimits& limits_;
  JUnitReport report_;
  Status refusal_;
  int depth_ = 0;
  int case_depth_ = 0;     // depth of the open <testcase>, 0 outside
  int outcome_depth_ = 0;  // depth of the open <failure>, ... that counts, 0 outside
  std::string text_;
};

}  // namespace

int Severity(v1::TestStatus status) {
  switch (status) {
    case v1::TEST_STATUS_ERROR:
      return 3;
    case v1::TEST_STATUS_FAILED:
      return 2;
    case v1::TEST_STATUS_SKIPPED:
      return 1;
    default:
      return 0;
  }
}

Result<JUnitReport> ParseJUnit(std::string_view xml, const JUnitLimits& limits) {
  if (xml.size() > limits.bytes_max) {
    return Status(Code::kResourceExhausted, Boundary::kVerifier,
                  "the JUnit report has " + std::to_string(xml.size()) + " bytes, more than " +
                      std::to_string(limits.bytes_max));
  }
  const std::string text = ToXmlText(xml);
  if (text.empty()) {
    return Status(Code::kInvalidArgument, Boundary::kVerifier, "the JUnit report is empty");
  }
  if (text.size() > size_t{1} << 30) {  // expat counts in int; mending may have tripled the bytes
    return Status(Code::kResourceExhausted, Boundary::kVerifier, "the JUnit report is too large");
  }
  const std::unique_ptr<XML_ParserStruct, void (*)(XML_Parser)> parser(XML_ParserCreate("UTF-8"),
                                                                       &XML_ParserFree);
  if (parser == nullptr) {
    return Status(Code::kResourceExhausted, Boundary::kVerifier, "no memory for an XML parser");
  }
  return Reader(parser.get(), limits).Read(text);
}

}  // namespace taskmint::verifier
