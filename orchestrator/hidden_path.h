// A path of this machine that those who are told of a failure elsewhere have no business with.
#ifndef TASKMINT_ORCHESTRATOR_HIDDEN_PATH_H_
#define TASKMINT_ORCHESTRATOR_HIDDEN_PATH_H_

#include <string>
#include <vector>

namespace taskmint::orchestrator {

class HiddenPath {
 public:
  // `path` as it may occur: as given, absolute, and with its links resolved. `shown` stands for it.
  HiddenPath(const std::string& path, std::string shown);
  std::string Hide(std::string text) const;

 private:
  std::vector<std::string> forms_;
  std::string shown_;
};

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_HIDDEN_PATH_H_
