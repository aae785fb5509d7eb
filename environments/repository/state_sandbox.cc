#include "environments/repository/state_sandbox.h"

namespace taskmint::environments {

sandbox::SandboxSpec StateSandboxSpec(const v1::RepositoryEnvironment& environment,
                                      const BuiltEnvironment& built,
                                      const std::map<std::string, std::string>& variables) {
  sandbox::SandboxSpec spec;
  spec.work_path = kStateWork;
  spec.mounts = built.layers;
  if (environment.masked_paths_size() > 0) {
    spec.masked_paths = {environment.masked_paths().begin(), environment.masked_paths().end()};
  }
  spec.variables = variables;
  for (const auto& [name, value] : environment.variables()) spec.variables[name] = value;
  const v1::RunLimits& limits = environment.limits();
  if (limits.memory_bytes_max() > 0) spec.limits.memory_bytes_max = limits.memory_bytes_max();
  if (limits.processes_max() > 0) spec.limits.processes_max = limits.processes_max();
  if (limits.disk_bytes_max() > 0) spec.limits.disk_bytes_max = limits.disk_bytes_max();
  return spec;
}

}  // namespace taskmint::environments
