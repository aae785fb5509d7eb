#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "environments/repository/candidate.h"
#include "environments/repository/prompt_cleaning.h"
#include "proto/base/check.h"
#include "proto/base/utf8.h"

// What people write about a fix, and exports of issues, hold anything.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace taskmint;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string prompt = environments::CleanPrompt(bytes);
  TASKMINT_CHECK(IsUtf8(prompt));
  (void)environments::WhyUnderspecified(prompt);
  for (const int64_t number : environments::FindReferences(bytes).closed) {
    TASKMINT_CHECK(number >= 0);
  }
  const Result<std::vector<environments::IssueRecord>> issues = environments::ParseIssues(bytes);
  if (issues.ok()) {
    for (const environments::IssueRecord& issue : *issues) {
      TASKMINT_CHECK(IsUtf8(environments::CleanPrompt(issue.title + "\n\n" + issue.body)));
    }
  }
  return 0;
}
