#include <algorithm>

#include "orchestrator/environment_build.h"
#include "orchestrator/evidence.h"
#include "orchestrator/stages/stages.h"

namespace taskmint::orchestrator {
namespace {

// True for failures that are the repository's own: its dependencies, its set-up script. Those of
// the machine's settings (config) and disk (store) would meet every candidate.
bool IsUnbuildable(const Status& status) {
  return status.boundary() == Boundary::kEnvironment && !status.transient() &&
         status.code() != Code::kCancelled;
}

Result<StageOutcome> Unbuildable(RunContext& context, v1::Candidate candidate,
                                 const Status& status) {
  v1::Evidence evidence;
  evidence.set_gate("build");
  evidence.set_outcome(v1::Evidence::OUTCOME_REJECTED);
  evidence.set_detail(status.message());
  StageOutcome outcome;
  TASKMINT_ASSIGN_OR_RETURN(outcome.log_digest, context.store.blobs().Put(status.message()));
  evidence.set_log_digest(outcome.log_digest);
  AddEvidence(candidate, std::move(evidence));
  Reject(candidate, "build", status.message());
  outcome.candidate = std::move(candidate);
  return outcome;
}

v1::Evidence BuildEvidence(const ProvidedEnvironment& provided) {
  const datasets::EnvironmentRow& built = provided.row;
  v1::Evidence evidence;
  evidence.set_gate("build");
  evidence.set_outcome(v1::Evidence::OUTCOME_PASSED);
  std::string detail = built.reproducible ? "two builds gave equal layers"
                                          : "the second build gave layers that differ";
  for (const std::string& note : provided.notes) detail += "; " + note;
  evidence.set_detail(detail);
  (*evidence.mutable_values())["reproducible"] = built.reproducible ? 1 : 0;
  (*evidence.mutable_values())["layers"] = static_cast<double>(built.layers.size());
  return evidence;
}

void FillEnvironment(const RunContext& context, const v1::RepositorySettings& settings,
                     const datasets::EnvironmentRow& built, const FileTree& parent_tree,
                     v1::RepositoryEnvironment& environment) {
  environment.Clear();
  environment.mutable_base()->set_package_list_digest(context.base.package_list_digest);
  environment.mutable_base()->set_name(context.base.name);
  for (const auto& [mount_path, tree_digest] : built.layers) {
    v1::Layer& layer = *environment.add_layers();
    layer.set_mount_path(mount_path);
    layer.set_tree_digest(tree_digest);
    layer.set_recipe(built.description);
  }
  environment.set_work_path("/work");
  environment.set_driver(std::string(context.driver.language()));
  environment.set_test_command(settings.test_command());
  auto& variables = *environment.mutable_variables();
  variables["LANG"] = "C.UTF-8";
  variables["PYTHONHASHSEED"] = "0";
  variables["TZ"] = "UTC";
  *environment.mutable_limits() = LimitsOf(settings);
  std::vector<std::string> masked = sandbox::SandboxSpec::DefaultMaskedPaths();
  for (std::string& path : context.driver.MaskedPaths(parent_tree)) {
    masked.push_back(std::move(path));
  }
  std::sort(masked.begin(), masked.end());
  for (std::string& path : masked) environment.add_masked_paths(std::move(path));
}

}  // namespace

Result<StageOutcome> RunBuild(RunContext& context, v1::Candidate candidate, std::stop_token stop) {
  TASKMINT_ASSIGN_OR_RETURN(const auto read, ReadProposal(context, candidate));
  const environments::Proposal& proposal = read->proposal;
  const auto settings = SettingsOf(context, proposal.parent_tree);
  if (!settings.ok()) return Unbuildable(context, std::move(candidate), settings.status());
  const auto built = ProvideEnvironment(context, proposal, *settings, stop);
  if (!built.ok() && IsUnbuildable(built.status())) {
    return Unbuildable(context, std::move(candidate), built.status());
  }
  TASKMINT_RETURN_IF_ERROR(built.status());
  FillEnvironment(context, *settings, built->row, proposal.parent_tree,
                  *candidate.mutable_task()->mutable_environment()->mutable_repository());
  AddEvidence(candidate, BuildEvidence(*built));
  StageOutcome outcome;
  outcome.candidate = std::move(candidate);
  outcome.next = "oracle";
  return outcome;
}

}  // namespace taskmint::orchestrator
