#include "environments/repository/cpp/cpp_driver.h"

#include "environments/repository/cpp/cheaters.h"
#include "environments/repository/cpp/installation.h"
#include "environments/repository/cpp/mutants.h"
#include "environments/repository/cpp/paths.h"
#include "environments/repository/cpp/sentinels.h"
#include "environments/repository/cpp/session.h"
#include "environments/repository/cpp/test_id.h"

namespace taskmint::environments {
namespace {

class CppDriver : public LanguageDriver {
 public:
  std::string_view language() const override { return "cpp"; }
  bool Detect(const std::vector<std::string>& paths) const override {
    return IsCppRepository(paths);
  }
  PathRole RoleOf(std::string_view path) const override { return CppRoleOf(path); }
  bool IsTestFile(std::string_view path) const override { return IsCppTestFile(path); }
  std::vector<std::string> ForeignSteering(const FileTree& solution,
                                           const FileTree& reference) const override {
    return CppForeignSteering(solution, reference);
  }
  bool IsCoarse(std::string_view id) const override { return IsCoarseCTestId(id); }
  std::vector<std::string> MaskedPaths(const FileTree& tree) const override {
    return InstalledReleases(tree);
  }
  Result<EnvironmentRecipe> Resolve(const DriverContext& context, const FileTree& tree,
                                    int64_t /*commit_time_s*/,
                                    const v1::RepositorySettings& settings,
                                    std::stop_token /*stop*/) const override {
    return ResolveCpp(context, tree, settings);
  }
  Result<std::vector<BuiltLayer>> Build(const DriverContext& /*context*/,
                                        const EnvironmentRecipe& recipe, const FileTree& tree,
                                        const v1::RepositorySettings& /*settings*/,
                                        std::stop_token /*stop*/) const override {
    return BuildCpp(recipe, tree);
  }
  Result<FileTree> DerivedFiles(sandbox::SandboxHost& sandboxes, const sandbox::Mount& layer,
                                std::stop_token stop) const override {
    return ObjectsOfLayer(sandboxes, layer, stop);
  }
  Result<std::unique_ptr<TestSession>> OpenSession(sandbox::SandboxHost& sandboxes,
                                                   const v1::RepositoryEnvironment& environment,
                                                   const BuiltEnvironment& built,
                                                   const FileTree& tree,
                                                   std::stop_token stop) const override {
    return OpenCppSession(sandboxes, environment, built, tree, stop);
  }
  // Building is what costs.
  bool RunsTestsAlone() const override { return false; }
  std::unique_ptr<TestNames> NamesOfTests(const FileTree& /*tree*/) const override {
    return std::make_unique<CTestIds>();
  }
  std::vector<SentinelFile> DrawSentinels(const FileTree& overlay,
                                          const std::vector<std::string>& graded_files,
                                          uint64_t draw) const override {
    return DrawCppSentinels(overlay, graded_files, draw);
  }
  Result<DoctoredTests> Doctor(sandbox::SandboxHost& sandboxes, const FileTree& overlay,
                               const std::vector<std::string>& targets,
                               const std::vector<std::string>& others, uint64_t draw,
                               std::stop_token stop) const override {
    return DoctorCppTests(sandboxes, overlay, targets, others, draw, stop);
  }
  Result<std::vector<AlteredSolution>> Mutants(sandbox::SandboxHost& sandboxes,
                                               const FileTree& parent_tree,
                                               const FileTree& gold_tree, uint64_t seed,
                                               int64_t mutants_max,
                                               std::stop_token stop) const override {
    return MutateCpp(sandboxes, parent_tree, gold_tree, seed, mutants_max, stop);
  }
  std::vector<AlteredSolution> Cheaters(const CheaterMaterial& material) const override {
    return CppCheaters(material);
  }
};

}  // namespace

const LanguageDriver& Cpp() {
  static const auto* driver = new CppDriver();
  return *driver;
}

}  // namespace taskmint::environments
