#include "tests/orchestrator/minted_store.h"

#include <filesystem>
#include <nlohmann/json.hpp>

namespace taskmint::orchestrator {

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Minted::Minted() { synth = Synth(store); }

std::vector<std::string> Minted::SynthLine(const std::string& where,
                                           std::vector<std::string> options) const {
  options.insert(options.begin(),
                 {"synth", "code", "--repo", repository.tree.path(), "--store", where});
  return options;
}

CommandOutcome Minted::Synth(const std::string& where, std::vector<std::string> options) const {
  return Taskmint(SynthLine(where, std::move(options)), variables);
}

CommandOutcome Minted::Run(std::vector<std::string> line) const {
  line.insert(line.end(), {"--store", store});
  return Taskmint(line, variables);
}

nlohmann::json Minted::List(const std::string& where) const {
  return Taskmint({"list", "--json", "--store", where}, variables).Json();
}

std::map<std::string, std::string> Minted::Kept(const std::string& where) const {
  std::map<std::string, std::string> ids;
  for (const nlohmann::json& row : List(where)) {
    if (row["kept"].get<bool>()) ids[row["commit"]] = row["id"];
  }
  return ids;
}

std::string Minted::Copy(const std::string& name) const {
  namespace fs = std::filesystem;
  const std::string copy = folder.path() + "/" + name;
  fs::copy(store, copy, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  return copy;
}

const Minted& Shared() {
  static const auto* const minted = new Minted;
  return *minted;
}

}  // namespace taskmint::orchestrator
