// Test runs of C and C++ repositories in one sandbox: configured and built out of tree in /build,
// run by us as CTest lists them.
#ifndef TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_SESSION_H_
#define TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_SESSION_H_

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "environments/repository/language_driver.h"

namespace taskmint::environments {

// Where the compiler cache of an environment is inside, and what of it the session reads.
inline constexpr char kCcachePath[] = "/ccache";
inline constexpr char kCcacheStorage[] = "/ccache/objects";
// The parent's files, from which it is filled where the layer is unpacked.
inline constexpr char kCcacheSources[] = "source";

// The arguments that a test command of the form `ctest ...` gives to ctest to choose tests (-R, -E,
// -L, -LE and the like); nothing for any other command.
std::optional<std::vector<std::string>> ArgumentsOfCTest(const std::string& command);

// See LanguageDriver::OpenSession. A run builds what the session has not built before, which counts
// as its time: the programs of which a file of the run is a source (all of them where none is), and
// those of sentinels. A state that cannot be configured leaves no report; one of which a part
// cannot be built lacks the tests of that part; `built` is false for both.
Result<std::unique_ptr<TestSession>> OpenCppSession(sandbox::SandboxHost& sandboxes,
                                                    const v1::RepositoryEnvironment& environment,
                                                    const BuiltEnvironment& built,
                                                    const FileTree& tree, std::stop_token stop);

// The objects that a build of the layer's sources leaves in a compiler cache, at most ten minutes
// of it; nothing on a base without ccache. See LanguageDriver::DerivedFiles.
Result<FileTree> ObjectsOfLayer(sandbox::SandboxHost& sandboxes, const sandbox::Mount& layer,
                                std::stop_token stop);

}  // namespace taskmint::environments

#endif  // TASKMINT_ENVIRONMENTS_REPOSITORY_CPP_SESSION_H_
