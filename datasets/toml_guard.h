// What stands between foreign TOML and toml++.
#ifndef TASKMINT_DATASETS_TOML_GUARD_H_
#define TASKMINT_DATASETS_TOML_GUARD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace taskmint::datasets {

struct TomlFault {
  int64_t line = 0;  // from 1
  std::string_view what;
};

// What the parser must not see: dots and brackets that nest deeply, because its own recursion and
// that of its destructors follows them; and headings of tables, unless `tables`. The first fault;
// nothing when there is none.
std::optional<TomlFault> FindTomlFault(std::string_view text, bool tables);

// toml++ 3.3 reaches what it declares unreachable at some characters beyond ASCII, so that it is
// given none: they pass through it percent-encoded, and so does the percent sign.
std::string AsciiOfToml(std::string_view text);
// The inverse, for what the parser made of it.
std::string TomlOfAscii(std::string_view ascii);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_TOML_GUARD_H_
