#include "environments/repository/python/python_driver.h"

#include "environments/repository/python/byte_code.h"
#include "environments/repository/python/cheaters.h"
#include "environments/repository/python/doctoring.h"
#include "environments/repository/python/installation.h"
#include "environments/repository/python/mutants.h"
#include "environments/repository/python/portable_parts.h"
#include "environments/repository/python/pytest_command.h"
#include "environments/repository/python/sentinels.h"
#include "environments/repository/python/session.h"
#include "environments/repository/python/steering.h"
#include "environments/repository/python/test_id.h"

namespace taskmint::environments {
namespace {

class PythonDriver : public LanguageDriver {
 public:
  std::string_view language() const override { return "python"; }
  bool Detect(const std::vector<std::string>& paths) const override {
    return IsPythonRepository(paths);
  }
  PathRole RoleOf(std::string_view path) const override { return PythonRoleOf(path); }
  bool IsTestFile(std::string_view path) const override { return IsPythonTestFile(path); }
  std::vector<std::string> ForeignSteering(const FileTree& solution,
                                           const FileTree& reference) const override {
    return PythonForeignSteering(solution, reference);
  }
  Result<EnvironmentRecipe> Resolve(const DriverContext& context, const FileTree& tree,
                                    int64_t commit_time_s, const v1::RepositorySettings& settings,
                                    std::stop_token stop) const override {
    return ResolvePython(context, tree, commit_time_s, settings, stop);
  }
  Result<std::vector<BuiltLayer>> Build(const DriverContext& context,
                                        const EnvironmentRecipe& recipe, const FileTree& tree,
                                        const v1::RepositorySettings& settings,
                                        std::stop_token stop) const override {
    return BuildPython(context, recipe, tree, settings, stop);
  }
  Result<FileTree> DerivedFiles(sandbox::SandboxHost& sandboxes, const sandbox::Mount& layer,
                                std::stop_token stop) const override {
    return ByteCodeOfLayer(sandboxes, layer, stop);
  }
  std::map<std::string, std::string> Variables() const override { return PythonVariables(); }
  bool IsDerived(std::string_view path) const override { return IsPythonDerived(path); }
  Result<std::unique_ptr<TestSession>> OpenSession(sandbox::SandboxHost& sandboxes,
                                                   const v1::RepositoryEnvironment& environment,
                                                   const BuiltEnvironment& built,
                                                   const FileTree& tree,
                                                   std::stop_token stop) const override {
    return OpenPythonSession(sandboxes, environment, built, tree, stop);
  }
  bool StartsRunner(const std::string& test_command) const override {
    return test_command.empty() || ArgumentsOfPytest(test_command).has_value();
  }
  std::unique_ptr<TestNames> NamesOfTests(const FileTree& tree) const override {
    return std::make_unique<PytestNodeIds>(tree);
  }
  std::vector<SentinelFile> DrawSentinels(const FileTree& overlay,
                                          const std::vector<std::string>& graded_files,
                                          uint64_t draw) const override {
    return DrawPythonSentinels(overlay, graded_files, draw);
  }
  Result<DoctoredTests> Doctor(sandbox::SandboxHost& sandboxes, const FileTree& overlay,
                               const std::vector<std::string>& targets,
                               const std::vector<std::string>& others, uint64_t draw,
                               std::stop_token stop) const override {
    return DoctorPythonTests(sandboxes, overlay, targets, others, draw, stop);
  }
  Result<PortableParts> Portable(const v1::RepositoryEnvironment& environment,
                                 const FileTree& reference) const override {
    return PythonPortableParts(environment, reference);
  }
  Result<std::vector<AlteredSolution>> Mutants(sandbox::SandboxHost& sandboxes,
                                               const FileTree& parent_tree,
                                               const FileTree& gold_tree, uint64_t seed,
                                               int64_t mutants_max,
                                               std::stop_token stop) const override {
    return MutatePython(sandboxes, parent_tree, gold_tree, seed, mutants_max, stop);
  }
  std::vector<AlteredSolution> Cheaters(const CheaterMaterial& material) const override {
    return PythonCheaters(material);
  }
};

}  // namespace

const LanguageDriver& Python() {
  static const auto* driver = new PythonDriver();
  return *driver;
}

}  // namespace taskmint::environments
