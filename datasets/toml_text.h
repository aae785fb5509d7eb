// TOML documents with tables, as JSON values: what Harbor's files are written in.
#ifndef TASKMINT_DATASETS_TOML_TEXT_H_
#define TASKMINT_DATASETS_TOML_TEXT_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace taskmint::datasets {

// Largest document that is read.
constexpr size_t kTomlBytesMax = 64 << 20;

// Foreign TOML. Dates and times become strings. INVALID_ARGUMENT (config) "NAME:LINE: why".
Result<nlohmann::json> ReadToml(std::string_view text, const std::string& name);

// `table` as TOML, keys sorted. It is an object of strings (any UTF-8), numbers, booleans, arrays
// and objects; null is left out.
std::string WriteToml(const nlohmann::json& table);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_TOML_TEXT_H_
