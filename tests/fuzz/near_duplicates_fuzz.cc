#include <cstddef>
#include <cstdint>
#include <string_view>

#include "datasets/decontamination_set.h"
#include "datasets/near_duplicates.h"
#include "proto/base/check.h"

// Prompts and patches of hostile repositories, and files that users name.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace taskmint;
  using namespace taskmint::datasets;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string masked = MaskLiterals(bytes);
  TASKMINT_CHECK(masked.size() <= bytes.size());
  TASKMINT_CHECK(MaskLiterals(masked) == masked);
  const Shingles shingles = ShinglesOf(bytes);
  TASKMINT_CHECK(ShinglesOf(masked) == shingles);
  TASKMINT_CHECK(Jaccard(shingles, shingles) == (shingles.empty() ? 0 : 1));
  const std::string without = PatchText(bytes);
  TASKMINT_CHECK(PatchText(without) == without);
  const Shingles others = ShinglesOf(without);
  NearDuplicateIndex index;
  TASKMINT_CHECK(!index.Add(shingles).has_value());
  const auto matches = index.Take(others);
  TASKMINT_CHECK(matches.empty() || Jaccard(shingles, others) == matches[0].similarity);
  TASKMINT_CHECK(matches.empty() || matches[0].similarity >= kNearDuplicate);
  TASKMINT_CHECK(shingles != others || matches.size() == (shingles.empty() ? 0U : 1U));
  size_t documents = 0;
  const Status status = ReadDecontaminationSet(bytes, "set", [&](const auto& document) {
    TASKMINT_CHECK(!document.id.empty());
    ++documents;
    return true;
  });
  TASKMINT_CHECK(!status.ok() || documents > 0);
  return 0;
}
