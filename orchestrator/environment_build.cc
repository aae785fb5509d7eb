#include "orchestrator/environment_build.h"

#include <filesystem>
#include <optional>

#include "proto/base/log.h"

namespace taskmint::orchestrator {
namespace {

using environments::BuiltLayer;

bool SameLayers(const std::vector<BuiltLayer>& a, const std::vector<BuiltLayer>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].mount_path != b[i].mount_path || TreeDigest(a[i].tree) != TreeDigest(b[i].tree)) {
      return false;
    }
  }
  return true;
}

}  // namespace

Result<ProvidedEnvironment> ProvideEnvironment(RunContext& context,
                                               const environments::Proposal& proposal,
                                               const v1::RepositorySettings& settings,
                                               std::stop_token stop) {
  const environments::DriverContext where{
      context.sandboxes, context.base,
      std::filesystem::absolute(std::filesystem::path(context.store.cache_folder()) / "driver")
          .string(),
      context.source.name + "\n" + context.source.repository_path};
  const FileTree& tree = proposal.parent_tree;
  TASKMINT_ASSIGN_OR_RETURN(
      const environments::EnvironmentRecipe recipe,
      context.driver.Resolve(where, tree, proposal.commit.author_time_s, settings, stop));
  const std::shared_ptr<std::mutex> key_mutex = context.builds.For(recipe.key);
  std::lock_guard lock(*key_mutex);
  TASKMINT_ASSIGN_OR_RETURN(std::optional<datasets::EnvironmentRow> found,
                            context.store.FindEnvironment(recipe.key));
  if (found) return ProvidedEnvironment{*std::move(found), recipe.notes};

  Log(LogLevel::kInfo, "environment is built",
      {{"key", recipe.key}, {"commit", proposal.commit.sha}});
  TASKMINT_ASSIGN_OR_RETURN(const std::vector<BuiltLayer> first,
                            context.driver.Build(where, recipe, tree, settings, stop));
  TASKMINT_ASSIGN_OR_RETURN(const std::vector<BuiltLayer> second,
                            context.driver.Build(where, recipe, tree, settings, stop));
  datasets::EnvironmentRow row;
  row.key = recipe.key;
  row.description = recipe.description;
  row.reproducible = SameLayers(first, second);
  for (const BuiltLayer& layer : first) {
    TASKMINT_ASSIGN_OR_RETURN(std::string digest, context.store.blobs().PutTree(layer.tree));
    row.layers.emplace_back(layer.mount_path, std::move(digest));
  }
  TASKMINT_RETURN_IF_ERROR(context.store.blobs().Sync());
  TASKMINT_ASSIGN_OR_RETURN(datasets::EnvironmentRow kept, context.store.PutEnvironment(row));
  return ProvidedEnvironment{std::move(kept), recipe.notes};
}

}  // namespace taskmint::orchestrator
