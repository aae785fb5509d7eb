// toml++ as it is used here; the only file that includes it.
#ifndef TASKMINT_DATASETS_TOML_PARSER_H_
#define TASKMINT_DATASETS_TOML_PARSER_H_

namespace taskmint::datasets {
// The parser of toml++ 3.3 asserts on damaged input ("[}" for one), and without assertions goes on
// into undefined behaviour. Here a failed assertion is an error like any other: whoever parses
// catches this.
struct TomlParserFault {};
[[noreturn]] inline void ThrowTomlParserFault() { throw TomlParserFault(); }
}  // namespace taskmint::datasets

#undef NDEBUG
#define TOML_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::taskmint::datasets::ThrowTomlParserFault())
// Without exceptions the parser returns its error; this needs the header-only form.
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#endif  // TASKMINT_DATASETS_TOML_PARSER_H_
