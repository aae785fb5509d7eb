// zstd with a bound on what it may expand to.
#ifndef TASKMINT_DATASETS_COMPRESSION_H_
#define TASKMINT_DATASETS_COMPRESSION_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace taskmint::datasets {

// One zstd frame that carries its content size. Thread-safe.
std::string Compress(std::string_view bytes);

// The inverse. DATA_LOSS (store) when `frame` is damaged, does not say its size, or says one beyond
// `bytes_max`: nothing larger is ever allocated. Thread-safe.
Result<std::string> Decompress(std::string_view frame, uint64_t bytes_max);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_COMPRESSION_H_
