// The programs of the C++ driver that run inside sandboxes, embedded.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_SCRIPTS_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_SCRIPTS_H_

#include <string>
#include <string_view>

namespace taskmint::environments {

// Text of one script by its file name ("build.py"); a CHECK when there is none.
std::string_view CppScript(std::string_view name);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_SCRIPTS_H_
