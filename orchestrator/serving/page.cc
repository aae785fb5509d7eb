#include "orchestrator/serving/page.h"

#include <charconv>

#include "proto/base/utf8.h"

namespace taskmint::orchestrator {

Result<Page> ReadPage(const std::string& token, int64_t size) {
  if (size < 0) return Status(Code::kInvalidArgument, Boundary::kConfig, "page_size is negative");
  Page page;
  page.rows_max = static_cast<size_t>(size);
  if (token.empty()) return page;
  size_t begin = 0;
  const char* const last = token.data() + token.size();
  const auto [end, error] = std::from_chars(token.data(), last, begin);
  if (error != std::errc() || end != last) {
    return Status(Code::kInvalidArgument, Boundary::kConfig,
                  "page_token '" + OneLine(token.substr(0, 40)) + "' is none of this server's");
  }
  page.begin = begin;
  return page;
}

}  // namespace taskmint::orchestrator
