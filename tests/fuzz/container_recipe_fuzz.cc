// Dockerfiles come from folders that nobody vouches for; so do the logs of what they run.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "orchestrator/container_recipe.h"
#include "orchestrator/swebench_log.h"
#include "proto/base/check.h"
#include "proto/base/file_tree.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto recipe = taskmint::orchestrator::ParseContainerRecipe(bytes);
  if (!recipe.ok()) {
    TASKMINT_CHECK(recipe.status().code() == taskmint::Code::kInvalidArgument);
  } else {
    TASKMINT_CHECK(!recipe->image.empty());
    TASKMINT_CHECK(recipe->work_folder.starts_with('/'));
    for (const auto& step : recipe->steps) {
      const auto* unpack = std::get_if<taskmint::orchestrator::ContainerRecipe::Unpack>(&step);
      if (unpack == nullptr) continue;
      TASKMINT_CHECK(taskmint::IsTreePath(unpack->archive));
    }
  }
  const auto log = taskmint::orchestrator::ReadSwebenchLog(bytes);
  TASKMINT_CHECK(!log.valid || !log.statuses.empty());
  return 0;
}
