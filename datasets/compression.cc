#include "datasets/compression.h"

#include <zstd.h>

#include <memory>

#include "proto/base/check.h"

namespace taskmint::datasets {
namespace {

constexpr int kLevel = 9;  // beyond it, a little less space costs much more time

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

Status DamagedFrame(const std::string& why) { return {Code::kDataLoss, Boundary::kStore, why}; }

}  // namespace

std::string Compress(std::string_view bytes) {
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  TASKMINT_CHECK(context != nullptr);
  std::string frame(ZSTD_compressBound(bytes.size()), '\0');
  const size_t size = ZSTD_compressCCtx(context.get(), frame.data(), frame.size(), bytes.data(),
                                        bytes.size(), kLevel);
  TASKMINT_CHECK(ZSTD_isError(size) == 0);
  frame.resize(size);
  return frame;
}

Result<std::string> Decompress(std::string_view frame, uint64_t bytes_max) {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
  TASKMINT_CHECK(context != nullptr);
  const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (size == ZSTD_CONTENTSIZE_ERROR) return DamagedFrame("not a zstd frame");
  if (size == ZSTD_CONTENTSIZE_UNKNOWN) return DamagedFrame("a zstd frame without its size");
  if (size > bytes_max) {
    return DamagedFrame("expands to " + std::to_string(size) + " bytes, more than the " +
                        std::to_string(bytes_max) + " allowed");
  }
  std::string bytes(static_cast<size_t>(size), '\0');
  const size_t got =
      ZSTD_decompressDCtx(context.get(), bytes.data(), bytes.size(), frame.data(), frame.size());
  if (ZSTD_isError(got) != 0) return DamagedFrame(ZSTD_getErrorName(got));
  if (got != bytes.size()) return DamagedFrame("shorter than it says");
  return bytes;
}

}  // namespace taskmint::datasets
