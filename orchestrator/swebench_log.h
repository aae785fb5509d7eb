// Logs of test runs as SWE-bench reads them.
#ifndef TASKMINT_ORCHESTRATOR_SWEBENCH_LOG_H_
#define TASKMINT_ORCHESTRATOR_SWEBENCH_LOG_H_

#include <map>
#include <string>
#include <string_view>

namespace taskmint::orchestrator {

// What SWE-bench (swebench/harness/grading.py, log_parsers/python.py) makes of a log of pytest:
// statuses by test id between the markers, or, where there are none, in the whole log. Not valid
// where the log lacks the markers or any status, says itself that the run came to nothing, or ends
// with an exit code that no status explains. Linear time.
struct SwebenchLog {
  bool valid = false;
  std::map<std::string, std::string> statuses;
};
SwebenchLog ReadSwebenchLog(std::string_view log);

}  // namespace taskmint::orchestrator

#endif  // TASKMINT_ORCHESTRATOR_SWEBENCH_LOG_H_
