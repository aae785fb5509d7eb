// The sandbox that holds one state of a repository: what test runs and agents see is the same.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_STATE_SANDBOX_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_STATE_SANDBOX_H_

#include <cstdint>
#include <map>
#include <string>

#include "environments/repository/language_driver.h"
#include "proto/environment.pb.h"
#include "sandbox/sandbox.h"

namespace taskmint::environments {

// Where the repository lies inside.
inline constexpr char kStateWork[] = "/work";

// Modification time of its files, in seconds since the epoch: 2020-01-01, any fixed one that zip
// files can hold.
inline constexpr int64_t kStateFileTimeS = 1'577'836'800;

// The environment's layers, masks, variables and limits over the base, without a network.
// `variables` are the driver's.
sandbox::SandboxSpec StateSandboxSpec(const v1::RepositoryEnvironment& environment,
                                      const BuiltEnvironment& built,
                                      const std::map<std::string, std::string>& variables);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_STATE_SANDBOX_H_
