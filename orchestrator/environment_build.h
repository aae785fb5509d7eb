// Environments by key: found in the store, or built twice and stored.
#ifndef TASKMINT_ORCHESTRATOR_ENVIRONMENT_BUILD_H_
#define TASKMINT_ORCHESTRATOR_ENVIRONMENT_BUILD_H_

#include <stop_token>
#include <string>
#include <vector>

#include "datasets/store.h"
#include "environments/repository/candidate.h"
#include "orchestrator/run_context.h"
#include "proto/base/status.h"
#include "proto/job.pb.h"

namespace taskmint::orchestrator {

struct ProvidedEnvironment {
  datasets::EnvironmentRow row;
  // Where it is not what the commit asked for; for people.
  std::vector<std::string> notes;
};

// The environment of a proposal's parent tree. Of the threads of this process, one builds a key;
// another process may build the same at the same time, which only costs time. Errors as
// LanguageDriver::Resolve and Build, and the store's.
Result<ProvidedEnvironment> ProvideEnvironment(RunContext& context,
                                               const environments::Proposal& proposal,
                                               const v1::RepositorySettings& settings,
                                               std::stop_token stop);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_ENVIRONMENT_BUILD_H_
