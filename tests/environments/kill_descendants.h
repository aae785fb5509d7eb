// An operator's mistake, or the machine's: what this process started is killed from outside.
#ifndef TASKMINT_TESTS_ENVIRONMENTS_KILL_DESCENDANTS_H_
#define TASKMINT_TESTS_ENVIRONMENTS_KILL_DESCENDANTS_H_

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

namespace taskmint {

// Kills all processes below this one and returns how many there were.
inline size_t KillDescendants() {
  std::set<pid_t> family = {::getpid()};
  std::vector<pid_t> descendants;
  for (size_t before = 0; before != family.size();) {
    before = family.size();
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const pid_t pid = std::atoi(entry.path().filename().c_str());
      std::ifstream status(pid > 0 ? entry.path() / "status" : "");
      for (std::string field, value; status >> field && std::getline(status, value);) {
        if (field != "PPid:" || family.count(std::atoi(value.c_str())) == 0) continue;
        if (family.insert(pid).second) descendants.push_back(pid);
      }
    }
  }
  for (const pid_t pid : descendants) ::kill(pid, SIGKILL);
  return descendants.size();
}

}  // namespace taskmint

#endif  // TASKMINT_TESTS_ENVIRONMENTS_KILL_DESCENDANTS_H_
