// make_toy_store FOLDER: mints the toy repository into FOLDER/store, offline, for the tests that
// need kept tasks and do not care how they came about. FOLDER/repository is the repository.
#include <filesystem>
#include <iostream>

#include "tests/orchestrator/command_process.h"
#include "tests/orchestrator/offline.h"
#include "tests/orchestrator/toy_repository.h"

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  using namespace taskmint::orchestrator;  // NOLINT(google-build-using-namespace)
  if (argc != 2) return 2;
  const fs::path folder = argv[1];
  fs::remove_all(folder);
  fs::create_directories(folder);
  const ToyRepository toy;
  const fs::path repository = folder / "toy";
  fs::copy(toy.tree.path(), repository, fs::copy_options::recursive);
  const CommandOutcome minted = Taskmint(
      {"synth", "code", "--repo", repository.string(), "--store", (folder / "store").string()},
      Offline(folder.string()));
  std::cerr << minted.output << minted.errors;
  return minted.code;
}
