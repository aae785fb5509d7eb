// A Python library with a fix, an environment with pytest, and real sandboxes to grade it in.
#ifndef TASKMINT_TESTS_VERIFIER_PYTHON_BENCH_H_
#define TASKMINT_TESTS_VERIFIER_PYTHON_BENCH_H_

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/verifier/fake_driver.h"
#include "verifier/gate.h"

namespace taskmint::verifier {

// The layer at /venv: pytest as the tests' wheels give it, made once a process.
class PythonLayer {
 public:
  PythonLayer() {
    namespace fs = std::filesystem;
    const char* given = ::getenv("TASKMINT_TEST_WHEELS");
    const fs::path wheels =
        given != nullptr ? given : fs::path(TASKMINT_SOURCE_DIR) / "build/tools/wheels";
    std::string pattern = testing::TempDir() + "venvXXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    ::chmod(folder_.c_str(), 0755);
    // Unpacking is all that installing these wheels is.
    const std::string script =
        "cd '" + folder_ +
        "' && mkdir -p bin && ln -s /usr/bin/python3 bin/python && "
        "printf 'home = /usr/bin\ninclude-system-site-packages = false\n' >pyvenv.cfg && "
        "site=lib/python$(/usr/bin/python3 -c 'import sys; print(\"%d.%d\" % "
        "sys.version_info[:2])')"
        "/site-packages && mkdir -p $site && for name in iniconfig packaging pluggy pytest; do "
        "/usr/bin/python3 -m zipfile -e '" +
        wheels.string() +
        "/'$name-[0-9]*.whl $site; done && "
        "/usr/bin/python3 -m compileall -q $site && chmod -R a+rX .";
    EXPECT_EQ(std::system(script.c_str()), 0)
        << "no wheels in " << wheels << ": ./mint test downloads them";
  }
  ~PythonLayer() { std::filesystem::remove_all(folder_); }
  const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
};

class PythonTest : public testing::Test {
 protected:
  PythonTest() {
    static const PythonLayer layer;
    auto host = sandbox::MakeBubblewrapHost();
    EXPECT_TRUE(host.ok()) << host.status().ToString();
    if (host.ok()) host_ = std::move(*host);
    built_.layers = {{layer.folder(), "/venv", false}};
    environment_.mutable_limits()->set_wall_ms_max(60'000);
    proposal_.commit.sha = "0123456789abcdef0123456789abcdef01234567";
    proposal_.parent_tree = Source("    return value if value > low else low\n");
    proposal_.gold_tree =
        Source("    if value > high:\n        return high\n    return max(value, low)\n");
    SetTests("");
  }

  static FileTree Source(const std::string& body) {
    return Tree({{"bounds/__init__.py", "from .clamp import clamp\n"},
                 {"bounds/clamp.py", "def clamp(value, low, high):\n" + body},
                 {"pyproject.toml", "[project]\nname = \"bounds\"\nversion = \"1\"\n"}});
  }
  void SetTests(const std::string& more) {
    proposal_.overlay =
        Tree({{"tests/test_clamp.py",
               "from bounds import clamp\n\n\ndef test_low():\n    assert clamp(1, 2, 3) == 2\n\n\n"
               "def test_high():\n    assert clamp(9, 2, 3) == 3\n\n\n"
               "def test_within():\n    assert clamp(2, 1, 3) == 2\n" +
                   more},
              {"tests/test_other.py", "def test_other():\n    assert True\n"},
              {"pyproject.toml", "[project]\nname = \"bounds\"\nversion = \"1\"\n"}});
    proposal_.test_files = {"tests/test_clamp.py"};
  }
  // The parent with code at the end of the module under test.
  FileTree WithCode(const std::string& code) const {
    FileTree tree = proposal_.parent_tree;
    const std::string module = *tree.Find("bounds/clamp.py")->content + "\n\n" + code;
    EXPECT_TRUE(tree.Set("bounds/clamp.py", RegularFile(module)).ok());
    return tree;
  }
  GradingBench Bench() {
    return {*environments::FindDriver("python"),
            *host_,
            environment_,
            built_,
            proposal_.overlay,
            proposal_.removed_paths,
            proposal_.parent_tree};
  }
  v1::TestVerifier Expected() {
    v1::TestVerifier expected;
    expected.add_fail_to_pass("tests/test_clamp.py::test_high");
    expected.add_pass_to_pass("tests/test_clamp.py::test_low");
    expected.add_pass_to_pass("tests/test_clamp.py::test_within");
    expected.add_graded_files("tests/test_clamp.py");
    return expected;
  }
  v1::Verdict GradeTree(const FileTree& tree) {
    return Grade(Bench(), Expected(), tree, {}).verdict;
  }

  std::unique_ptr<sandbox::SandboxHost> host_;
  environments::BuiltEnvironment built_;
  v1::RepositoryEnvironment environment_;
  environments::Proposal proposal_;
};

}  // namespace taskmint::verifier

#endif  // TASKMINT_TESTS_VERIFIER_PYTHON_BENCH_H_
