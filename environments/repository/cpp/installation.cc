#include "environments/repository/cpp/installation.h"

#include <unistd.h>

#include "environments/repository/cpp/session.h"
#include "proto/base/digest.h"

namespace taskmint::environments {
namespace {

// Part of every key: raise it when the same tree makes another environment.
constexpr char kCppDriverVersion[] = "cpp-1";

bool CanRun(const char* path) { return ::access(path, X_OK) == 0; }

Status Unsupported(const std::string& what) {
  return Status(Code::kFailedPrecondition, Boundary::kEnvironment, what);
}

}  // namespace

bool BaseHasCcache() { return CanRun("/usr/bin/ccache"); }

Status CheckCppTools() {
  std::string missing;
  for (const char* name : {"cmake", "ctest", "ninja", "g++", "gcc", "make", "python3"}) {
    if (CanRun((std::string("/usr/bin/") + name).c_str())) continue;
    missing += (missing.empty() ? "" : ", ") + std::string(name);
  }
  if (missing.empty()) return OkStatus();
  return Status(Code::kFailedPrecondition, Boundary::kConfig,
                "C and C++ tasks need " + missing +
                    " in /usr/bin: apt-get install cmake ninja-build g++ make python3 ccache");
}

Result<EnvironmentRecipe> ResolveCpp(const DriverContext& context, const FileTree& tree,
                                     const v1::RepositorySettings& settings) {
  if (settings.packages_size() > 0 || !settings.setup_script().empty()) {
    return Unsupported(
        "a C or C++ environment has no packages and no setup_script of its own: it is built with "
        "what is in the repository and in the base; remove them from the settings");
  }
  const std::string& command = settings.test_command();
  const bool cmake = command.empty() || ArgumentsOfCTest(command).has_value();
  if (cmake && !tree.Contains("CMakeLists.txt")) {
    return Unsupported(
        "there is no CMakeLists.txt at the root: give a test_command (\"make test\") in "
        "taskmint.toml or with --test-command");
  }
  EnvironmentRecipe recipe;
  recipe.key = DigestBuilder()
                   .Add(kCppDriverVersion)
                   .Add(context.base.package_list_digest)
                   .Add(cmake ? TreeDigest(tree) : "")
                   .Hex();
  recipe.description = cmake ? "CMake with the compilers of the base\n"
                             : "the compilers of the base, without CMake\n";
  recipe.recipe = cmake ? "cmake" : "command";
  if (cmake && tree.Contains(".gitmodules")) {
    recipe.notes.emplace_back(
        "submodules are not part of the tree: what they would bring is missing");
  }
  return recipe;
}

Result<std::vector<BuiltLayer>> BuildCpp(const EnvironmentRecipe& recipe, const FileTree& tree) {
  if (recipe.recipe != "cmake") return std::vector<BuiltLayer>();
  BuiltLayer layer;
  layer.mount_path = kCcachePath;
  for (const auto& [path, entry] : tree.files()) {
    TASKMINT_RETURN_IF_ERROR(layer.tree.Set(std::string(kCcacheSources) + "/" + path, entry));
  }
  return std::vector<BuiltLayer>{std::move(layer)};
}

}  // namespace taskmint::environments
