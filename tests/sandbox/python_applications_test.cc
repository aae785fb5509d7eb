#include "sandbox/python_applications.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/sandbox/open_sandbox.h"

namespace taskmint::sandbox {
namespace {

namespace fs = std::filesystem;

void WriteSources(const fs::path& folder, int count) {
  fs::create_directories(folder);
  for (int i = 0; i < count; ++i) std::ofstream(folder / (std::to_string(i) + ".py")) << "x = 1\n";
}

TEST(PythonApplicationsTest, FoldersWithManySourcesAreFoundButForTheInterpreters) {
  const fs::path root = fs::path(testing::TempDir()) / ("applications-" + std::to_string(getpid()));
  WriteSources(root / "kit/platform/lib/package", 300);
  WriteSources(root / "kit/platform/lib/other", 300);
  WriteSources(root / "debugger/python", 30);
  WriteSources(root / "python3.11/json", 600);
  fs::create_directory_symlink(root / "kit", root / "link");
  EXPECT_EQ(FindPythonApplications({root / "absent", root}),
            std::vector<std::string>{(root / "kit").string()});
  fs::remove_all(root);
}

TEST(PythonApplicationsTest, NoneOfThemIsSeenInside) {
  auto sandbox = OpenSandbox();
  const CommandResult result = RunIn(*sandbox, Python(R"py(
import os
for root in ("/usr/lib", "/usr/libexec", "/usr/share"):
    for name in os.listdir(root):
        if not name.startswith(("python", "pypy")):
            count = sum(file.endswith(".py") for _, _, files in os.walk(os.path.join(root, name))
                        for file in files)
            if count > 400:
                print(root, name, count)
print("searched")
)py"));
  EXPECT_EQ(result.output, "searched\n");
}

}  // namespace
}  // namespace taskmint::sandbox
