#include "orchestrator/bench.h"

#include <filesystem>

#include "environments/repository/language_driver.h"

namespace taskmint::orchestrator {
namespace {

// Of the threads of this process, one unpacks a layer.
Result<std::string> Unpack(const datasets::BlobStore& blobs, sandbox::SandboxHost& sandboxes,
                           const environments::LanguageDriver& driver, const v1::Layer& layer,
                           const std::string& cache, std::stop_token stop) {
  static auto* locks = new BuildLocks();
  const std::shared_ptr<std::mutex> mutex = locks->For(cache + "/" + layer.tree_digest());
  const std::lock_guard lock(*mutex);
  return blobs.Materialize(layer.tree_digest(), cache, [&](const std::string& folder) {
    return driver.DerivedFiles(sandboxes, {folder, layer.mount_path(), false}, stop);
  });
}

}  // namespace

Result<verifier::GradingBench> MakeBench(datasets::Store& store, sandbox::SandboxHost& sandboxes,
                                         const v1::RepositoryEnvironment& environment,
                                         FileTree overlay, std::vector<std::string> removed_paths,
                                         FileTree parent_tree, std::stop_token stop) {
  const environments::LanguageDriver* driver = environments::FindDriver(environment.driver());
  if (driver == nullptr) {
    return Status(Code::kFailedPrecondition, Boundary::kEnvironment,
                  "no driver for '" + environment.driver() +
                      "' in this version; the task was minted by a newer one");
  }
  environments::BuiltEnvironment built;
  const std::string cache =
      std::filesystem::absolute(std::filesystem::path(store.cache_folder()) / "layers").string();
  for (const v1::Layer& layer : environment.layers()) {
    TASKMINT_ASSIGN_OR_RETURN(std::string path,
                              Unpack(store.blobs(), sandboxes, *driver, layer, cache, stop));
    built.layers.push_back({std::move(path), layer.mount_path(), false});
  }
  return verifier::GradingBench{*driver,
                                sandboxes,
                                environment,
                                std::move(built),
                                std::move(overlay),
                                std::move(removed_paths),
                                std::move(parent_tree)};
}

Result<verifier::GradingBench> CandidateBench(RunContext& context, const v1::Candidate& candidate,
                                              const environments::Proposal& proposal,
                                              std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(const std::string difference, BaseDifference(candidate.task()));
  if (!difference.empty()) {
    return Status(
        Code::kFailedPrecondition, Boundary::kConfig,
        difference + "; packages were installed or upgraded: the same command begins anew");
  }
  return MakeBench(context.store, context.sandboxes, candidate.task().environment().repository(),
                   proposal.overlay, proposal.removed_paths, proposal.parent_tree, stop);
}

Result<TaskBench> LoadTaskBench(datasets::Store& store, sandbox::SandboxHost& sandboxes,
                                const v1::Task& task, std::stop_token stop) {
  if (!task.environment().has_repository() || !task.verifier().has_tests()) {
    return Status(Code::kFailedPrecondition, Boundary::kVerifier,
                  "task " + task.id() + " is of a kind that this version cannot grade");
  }
  const v1::RepositoryEnvironment& environment = task.environment().repository();
  const v1::TestVerifier& expected = task.verifier().tests();
  datasets::BlobStore& blobs = store.blobs();
  TASKMINT_ASSIGN_OR_RETURN(FileTree parent, blobs.GetTree(environment.tree_digest()));
  TASKMINT_ASSIGN_OR_RETURN(FileTree overlay, blobs.GetTree(expected.overlay_digest()));
  TASKMINT_ASSIGN_OR_RETURN(std::string patch, blobs.Get(task.solution().patch_digest()));
  std::vector<std::string> removed(expected.removed_paths().begin(),
                                   expected.removed_paths().end());
  TASKMINT_ASSIGN_OR_RETURN(verifier::GradingBench bench,
                            MakeBench(store, sandboxes, environment, std::move(overlay),
                                      std::move(removed), parent, stop));
  return TaskBench{std::move(bench), std::move(parent), std::move(patch)};
}

Result<std::string> BaseDifference(const v1::Task& task) {
  const v1::Base& wanted = task.environment().repository().base();
  TASKMINT_ASSIGN_OR_RETURN(const sandbox::BaseLayer here, sandbox::ReadBaseLayer());
  if (here.package_list_digest == wanted.package_list_digest()) return std::string();
  return "base differs: minted on " + wanted.name() + " with packages " +
         wanted.package_list_digest().substr(0, 12) + ", this machine is " + here.name + " with " +
         here.package_list_digest.substr(0, 12);
}

}  // namespace taskmint::orchestrator
