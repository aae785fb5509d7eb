// Text from outside, made safe for protobuf strings, JSON and terminals.
#ifndef TASKMINT_PROTO_BASE_UTF8_H_
#define TASKMINT_PROTO_BASE_UTF8_H_

#include <string>
#include <string_view>

namespace taskmint {

// True for well-formed UTF-8 (Unicode 15, table 3-7).
bool IsUtf8(std::string_view bytes);

// `bytes` with every malformed sequence replaced by U+FFFD.
std::string ToUtf8(std::string_view bytes);

// ToUtf8, with control characters other than newline and tab written as \xNN: what may be printed
// to a terminal whatever a hostile repository put into it.
std::string Printable(std::string_view bytes);

// Printable, with spaces for line breaks and tabs.
std::string OneLine(std::string_view bytes);

// ASCII letters only.
std::string LowerCase(std::string text);

// At most `bytes_max` bytes: head and tail with a line in between that says how much was cut.
// Cuts at character boundaries where the text is UTF-8.
std::string CutMiddle(std::string_view text, size_t bytes_max);

// Bytes of Latin-1 as UTF-8: each byte is a character.
std::string Utf8OfLatin1(std::string_view bytes);
// The inverse; characters beyond Latin-1 come out as anything.
std::string Latin1OfUtf8(std::string_view text);

}  // namespace taskmint

#endif  // TASKMINT_PROTO_BASE_UTF8_H_
