// What was minted once, for all cases of a test program.
#ifndef TASKMINT_TESTS_ORCHESTRATOR_MINTED_STORE_H_
#define TASKMINT_TESTS_ORCHESTRATOR_MINTED_STORE_H_

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tests/orchestrator/command_process.h"
#include "tests/orchestrator/offline.h"
#include "tests/orchestrator/toy_repository.h"

namespace taskmint::orchestrator {

bool Contains(const std::string& text, const std::string& part);

// The toy repository and a store with the tasks that were minted from it.
struct Minted {
  ToyRepository repository;
  environments::TemporaryFolder folder;
  std::map<std::string, std::string> variables = Offline(folder.path());
  std::string store = folder.path() + "/store";
  CommandOutcome synth;

  Minted();

  std::vector<std::string> SynthLine(const std::string& where,
                                     std::vector<std::string> options = {}) const;
  CommandOutcome Synth(const std::string& where, std::vector<std::string> options = {}) const;
  CommandOutcome Run(std::vector<std::string> line) const;
  nlohmann::json List(const std::string& where) const;
  // Task ids by commit.
  std::map<std::string, std::string> Kept(const std::string& where) const;
  std::string Id(const std::string& commit) const { return Kept(store)[commit]; }
  // A copy of the store, to be harmed.
  std::string Copy(const std::string& name) const;
};

// Made when it is first asked for.
const Minted& Shared();

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_TESTS_ORCHESTRATOR_MINTED_STORE_H_
