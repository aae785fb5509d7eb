// Applications of the host that carry a library of Python packages, such as the kits of clouds.
#ifndef TASKMINT_SANDBOX_PYTHON_APPLICATIONS_H_
#define TASKMINT_SANDBOX_PYTHON_APPLICATIONS_H_

#include <string>
#include <vector>

namespace taskmint::sandbox {

// Folders directly below one of `roots` that hold many Python sources, sorted: a copy of what a
// task is made from may be among them, in a version that has the fix. The homes of the interpreters
// (python*, pypy*) are left out. Unreadable folders count as empty. Reads names only.
std::vector<std::string> FindPythonApplications(const std::vector<std::string>& roots);

// Those of this machine, found once in the life of the process (a fraction of a second).
// Thread-safe.
const std::vector<std::string>& PythonApplicationsOfHost();

}  // namespace taskmint::sandbox

#endif  // TASKMINT_SANDBOX_PYTHON_APPLICATIONS_H_
