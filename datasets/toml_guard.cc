#include "datasets/toml_guard.h"

#include <algorithm>
#include <charconv>

namespace taskmint::datasets {
namespace {

constexpr int kTomlNestingMax = 32;

class StructureScan {
 public:
  explicit StructureScan(bool tables) : tables_(tables) {}

  std::optional<TomlFault> Find(std::string_view text) {
    for (size_t i = 0; i < text.size();) {
      const char c = text[i];
      if (c == '"' || c == '\'') {
        i = AfterString(text, i);
        last_ = c;
        continue;
      }
      if (!tables_ && c == '[' && open_ == 0 && last_ != '=') {
        return TomlFault{line_, "tables are not known; keys stand at the top level"};
      }
      if (c != ' ' && c != '\t') last_ = c;
      if (c == '#') {
        i = std::min(text.find('\n', i), text.size());
        continue;
      }
      if (c == '\n') {
        ++line_;
        dots_ = 0;
      } else if (c == '.') {
        ++dots_;
      } else if (c == '[' || c == '{') {
        ++open_;
      } else if ((c == ']' || c == '}') && open_ > 0) {
        --open_;
      } else if (c == ',' || c == '=') {
        dots_ = 0;
      }
      if (dots_ > kTomlNestingMax || open_ > kTomlNestingMax) {
        return TomlFault{line_, "nested too deep"};
      }
      ++i;
    }
    return std::nullopt;
  }

 private:
  size_t AfterString(std::string_view text, size_t i) {
    const char quote = text[i];
    const std::string three(3, quote);
    const bool is_long = text.substr(i, 3) == three;
    i += is_long ? 3 : 1;
    while (i < text.size()) {
      if (quote == '"' && text[i] == '\\') {
        if (i + 1 < text.size() && text[i + 1] == '\n') ++line_;
        i += 2;
        continue;
      }
      if (is_long && text.substr(i, 3) == three) {
        i += 3;
        // Up to two quotes of the content may stand before the closing three.
        for (int extra = 0; extra < 2 && i < text.size() && text[i] == quote; ++extra) ++i;
        return i;
      }
      if (!is_long && (text[i] == quote || text[i] == '\n')) return i + (text[i] == quote ? 1 : 0);
      if (text[i] == '\n') ++line_;
      ++i;
    }
    return text.size();
  }

  bool tables_;
  int64_t line_ = 1;
  char last_ = '\n';  // that is no white space
  int dots_ = 0;
  int open_ = 0;
};

}  // namespace

std::optional<TomlFault> FindTomlFault(std::string_view text, bool tables) {
  return StructureScan(tables).Find(text);
}

std::string AsciiOfToml(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string ascii;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && c != '%') {
      ascii += c;
    } else {
      ascii += {'%', kDigits[byte >> 4U], kDigits[byte & 0xFU]};
    }
  }
  return ascii;
}

std::string TomlOfAscii(std::string_view ascii) {
  std::string text;
  for (size_t i = 0; i < ascii.size(); ++i) {
    unsigned value = 0;
    const char* digits = ascii.data() + i + 1;
    const bool is_code = ascii[i] == '%' && i + 2 < ascii.size() &&
                         std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2;
    if (is_code && (value >= 0x80 || value == '%')) {
      text += static_cast<char>(value);
      i += 2;
    } else {
      text += ascii[i];
    }
  }
  return text;
}

}  // namespace taskmint::datasets
