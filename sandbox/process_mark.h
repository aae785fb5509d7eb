// Whose is what was left behind: marks in the names of groups, folders and files.
#ifndef TASKMINT_SANDBOX_PROCESS_MARK_H_
#define TASKMINT_SANDBOX_PROCESS_MARK_H_

#include <string>
#include <string_view>

namespace taskmint::sandbox {

// "0f3a52c1-1234": this process's number, behind what tells the machine's start and the process
// namespace in which the number holds. Thread-safe.
std::string ProcessMark();

// Whether `text` begins with the mark of a process that is dead. False for all that this process
// cannot know: other machines, earlier starts, and containers beside or around this one may keep
// what they are using in the same place.
bool IsOfDeadProcess(std::string_view text);

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_PROCESS_MARK_H_
