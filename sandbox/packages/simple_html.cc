#include "sandbox/packages/simple_html.h"

#include <libxml/HTMLparser.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#include "proto/base/utf8.h"
#include "sandbox/errors.h"

namespace taskmint::sandbox {
namespace {

constexpr size_t kAnchorsMax = 1'000'000;
constexpr size_t kPieceBytes = 1 << 20;

struct PageReader {
  SimpleHtml page;
  bool in_anchor = false;
  bool full = false;
};

std::string TextOf(const xmlChar* text) {
  return text == nullptr ? std::string() : reinterpret_cast<const char*>(text);
}

// "data-" and what such names are made of; anything else could not be written as it is.
bool IsDataAttribute(std::string_view name) {
  return name.starts_with("data-") && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

void StartElement(void* context, const xmlChar* name, const xmlChar** attributes) {
  auto& reader = *static_cast<PageReader*>(context);
  const std::string element = LowerCase(TextOf(name));
  SimpleHtml::Anchor anchor;
  std::string meta_name, meta_content;
  bool has_href = false;
  for (; attributes != nullptr && attributes[0] != nullptr; attributes += 2) {
    const std::string attribute = LowerCase(TextOf(attributes[0]));
    std::string value = TextOf(attributes[1]);
    if (attribute == "href" && !has_href) {
      anchor.href = std::move(value);
      has_href = true;
    } else if (IsDataAttribute(attribute)) {
      anchor.data.emplace_back(attribute, std::move(value));
    } else if (attribute == "name") {
      meta_name = std::move(value);
    } else if (attribute == "content") {
      meta_content = std::move(value);
    }
  }
  if (element == "base" && reader.page.base.empty()) reader.page.base = anchor.href;
  if (element == "meta" && meta_name.starts_with("pypi:")) {
    reader.page.meta.emplace_back(std::move(meta_name), std::move(meta_content));
  }
  if (element != "a") return;
  reader.full = reader.full || reader.page.anchors.size() >= kAnchorsMax;
  reader.in_anchor = has_href && !reader.full;
  if (reader.in_anchor) reader.page.anchors.push_back(std::move(anchor));
}

void EndElement(void* context, const xmlChar* name) {
  if (LowerCase(TextOf(name)) == "a") static_cast<PageReader*>(context)->in_anchor = false;
}

void Characters(void* context, const xmlChar* text, int size) {
  auto& reader = *static_cast<PageReader*>(context);
  if (!reader.in_anchor || size <= 0) return;
  reader.page.anchors.back().text.append(reinterpret_cast<const char*>(text),
                                         static_cast<size_t>(size));
}

struct FreeContext {
  void operator()(htmlParserCtxt* context) const { htmlFreeParserCtxt(context); }
};

void Escape(std::string_view text, std::string* out) {
  for (const char c : text) {
    switch (c) {
      case '&':
        *out += "&amp;";
        break;
      case '<':
        *out += "&lt;";
        break;
      case '>':
        *out += "&gt;";
        break;
      case '"':
        *out += "&quot;";
        break;
      default:
        *out += c;
    }
  }
}

void WriteAttribute(std::string_view name, std::string_view value, std::string* out) {
  *out += ' ';
  *out += name;
  *out += "=\"";
  Escape(value, out);
  *out += '"';
}

}  // namespace

Result<SimpleHtml> ReadSimpleHtml(std::string_view bytes) {
  PageReader reader;
  htmlSAXHandler handler{};
  handler.startElement = StartElement;
  handler.endElement = EndElement;
  handler.characters = Characters;
  handler.ignorableWhitespace = Characters;
  const std::string text = ToUtf8(bytes);
  const std::unique_ptr<htmlParserCtxt, FreeContext> context(
      htmlCreatePushParserCtxt(&handler, &reader, nullptr, 0, nullptr, XML_CHAR_ENCODING_UTF8));
  if (context == nullptr) return Error(Code::kResourceExhausted, "no memory for an index page");
  htmlCtxtUseOptions(context.get(), HTML_PARSE_NONET | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                                        HTML_PARSE_IGNORE_ENC);
  for (size_t at = 0; at < text.size() && !reader.full; at += kPieceBytes) {
    const size_t size = std::min(kPieceBytes, text.size() - at);
    htmlParseChunk(context.get(), text.data() + at, static_cast<int>(size), 0);
  }
  htmlParseChunk(context.get(), nullptr, 0, 1);
  if (reader.full) {
    return Error(Code::kResourceExhausted, "an index page has over a million links");
  }
  return std::move(reader.page);
}

std::string WriteSimpleHtml(const SimpleHtml& page) {
  std::string html = "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n";
  for (const auto& [name, content] : page.meta) {
    html += "<meta";
    WriteAttribute("name", name, &html);
    WriteAttribute("content", content, &html);
    html += ">\n";
  }
  html += "</head>\n<body>\n";
  for (const SimpleHtml::Anchor& anchor : page.anchors) {
    html += "<a";
    WriteAttribute("href", anchor.href, &html);
    for (const auto& [name, value] : anchor.data) WriteAttribute(name, value, &html);
    html += '>';
    Escape(anchor.text, &html);
    html += "</a><br>\n";
  }
  return html + "</body>\n</html>\n";
}

}  // namespace taskmint::sandbox
