// Environments of the Python driver, made from an index that the test builds.
#ifndef TASKMINT_TESTS_ENVIRONMENTS_PYTHON_INSTALLATION_FIXTURE_H_
#define TASKMINT_TESTS_ENVIRONMENTS_PYTHON_INSTALLATION_FIXTURE_H_

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "proto/base/digest.h"
#include "tests/environments/python_fixture.h"

namespace taskmint::environments {

inline constexpr int64_t kIn2024 = 1'718'000'000;

inline constexpr char kTestPackage[] = "[project]\nname = \"bounds\"\nversion = \"1.2\"\n";

class PythonInstallationTest : public PythonSandboxTest {
 protected:
  PythonInstallationTest() {
    for (const char* name : {"UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "PIP_INDEX_URL",
                             "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"}) {
      ::unsetenv(name);
    }
    ::setenv("HOME", folder_.path().c_str(), 1);
    index_ = folder_.path() + "/index";
    std::filesystem::create_directory(index_);
    for (const auto& file : std::filesystem::directory_iterator(WheelFolder())) {
      std::filesystem::copy_file(file.path(), index_ + "/" + file.path().filename().string());
    }
    ::setenv("UV_NO_INDEX", "1", 1);
    ::setenv("UV_FIND_LINKS", index_.c_str(), 1);
    ::unsetenv("UV_DEFAULT_INDEX");
  }

  void AddWheel(const std::string& name, const std::string& version, const std::string& files,
                const std::string& requirements = "", const std::string& date = "") {
    const std::string command = "/usr/bin/python3 '" + std::string(TASKMINT_SOURCE_DIR) +
                                "/tests/environments/make_wheel.py' '" + index_ + "' " + name +
                                " " + version + " " + requirements;
    FILE* program = ::popen(command.c_str(), "w");
    std::fwrite(files.data(), 1, files.size(), program);
    EXPECT_EQ(::pclose(program), 0);
    if (!date.empty()) {
      std::ofstream(index_ + "/" + name + "-" + version + "-py3-none-any.whl.date") << date;
    }
  }

  static void UseIndex(int port) {
    ::unsetenv("UV_NO_INDEX");
    ::unsetenv("UV_FIND_LINKS");
    const std::string url = "http://127.0.0.1:" + std::to_string(port) + "/simple";
    ::setenv("UV_DEFAULT_INDEX", url.c_str(), 1);
  }
  DriverContext Context(sandbox::SandboxHost& host) {
    return {host, {Sha256Hex("base"), "test"}, folder_.path() + "/cache", repository_};
  }
  Result<EnvironmentRecipe> Resolve(const FileTree& tree, int64_t time_s = kIn2024) {
    return PythonUnderTest().Resolve(Context(*host_), tree, time_s, settings_, {});
  }
  FileTree Build(const EnvironmentRecipe& recipe, const FileTree& tree) {
    auto layers = PythonUnderTest().Build(Context(*host_), recipe, tree, settings_, {});
    EXPECT_TRUE(layers.ok()) << layers.status().ToString();
    if (!layers.ok()) return {};
    EXPECT_EQ(layers->size(), 1U);
    EXPECT_EQ(layers->front().mount_path, "/venv");
    return layers->front().tree;
  }
  // Whether a file of that ending is in the layer.
  static bool Has(const FileTree& layer, const std::string& ending) {
    for (const auto& [path, entry] : layer.files()) {
      if (path.ends_with(ending)) return true;
    }
    return false;
  }

  std::string index_;
  std::string repository_;
  v1::RepositorySettings settings_;
};

}  // namespace taskmint::environments

#endif  // TASKMINT_TESTS_ENVIRONMENTS_PYTHON_INSTALLATION_FIXTURE_H_
