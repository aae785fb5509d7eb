// Environments of the Python driver, made from a local index that the test builds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <future>
#include <nlohmann/json.hpp>

#include "environments/repository/python/plan.h"
#include "environments/repository/python/sources.h"
#include "proto/base/digest.h"
#include "proto/base/json.h"
#include "tests/environments/forwarding_sandbox.h"
#include "tests/environments/python_installation_fixture.h"

namespace taskmint::environments {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

TEST_F(PythonInstallationTest, AnEnvironmentIsTheSameTwiceAndRunsTests) {
  const FileTree tree =
      TreeOf({{"pyproject.toml",
               std::string(kTestPackage) + "[project.scripts]\nbounds = \"bounds:main\"\n"},
              {"src/bounds/__init__.py", "def main(): return 3\n"},
              {"tests/test_a.py",
               "import importlib.metadata, subprocess\nimport bounds\n"
               "def test_version(): assert importlib.metadata.version('bounds') == '1.2'\n"
               "def test_place(): assert bounds.__file__ == '/work/src/bounds/__init__.py'\n"
               "def test_script(): assert subprocess.run(['bounds']).returncode == 3\n"}});
  auto recipe = Resolve(tree);
  ASSERT_TRUE(recipe.ok()) << recipe.status().ToString();
  EXPECT_THAT(recipe->description, HasSubstr("pytest==8."));
  // At once, with one empty folder of downloads.
  auto same = std::async(std::launch::async, [&] { return Build(*recipe, tree); });
  const FileTree layer = Build(*recipe, tree);
  EXPECT_EQ(TreeDigest(layer), TreeDigest(same.get()));
  EXPECT_FALSE(Has(layer, "bounds/__init__.py"));
  EXPECT_FALSE(Has(layer, ".pyc"));

  // Another state of the sources with the same needs shares the environment.
  FileTree other = tree;
  ASSERT_TRUE(other.Set("src/bounds/__init__.py", RegularFile("def main(): return 4\n")).ok());
  ASSERT_TRUE(other.Set("tests/test_b.py", RegularFile("")).ok());
  auto again = Resolve(other, kIn2024 + 86'400);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->key, recipe->key);

  BuiltEnvironment built;
  WriteTree(layer, folder_.path() + "/venv");
  built.layers = {{folder_.path() + "/venv", "/venv", false}};
  auto session = PythonUnderTest().OpenSession(*host_, {}, built, tree, {});
  ASSERT_TRUE(session.ok()) << session.status().ToString();
  auto output = (*session)->Run({}, {});
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(output->exit_code, 0) << output->log;
}

TEST_F(PythonInstallationTest, NoCopyOfTheProjectGetsIn) {
  AddWheel("bounds", "9.0", R"({"bounds/__init__.py": "FIXED = 1", "extra_bounds.py": ""})");
  AddWheel("helper", "1.0", R"({"helper.py": "", "bounds_data.py": ""})", "bounds");
  const FileTree tree =
      TreeOf({{"pyproject.toml", std::string(kTestPackage) + "[project.optional-dependencies]\n"
                                                             "tests = [\"pytest\", \"helper\"]\n"},
              {"bounds/__init__.py", ""},
              {"bounds_data.py", ""}});
  auto recipe = Resolve(tree);
  ASSERT_TRUE(recipe.ok()) << recipe.status().ToString();
  const FileTree layer = Build(*recipe, tree);
  EXPECT_TRUE(Has(layer, "/helper.py"));
  for (const char* name : {"bounds/__init__.py", "extra_bounds.py", "bounds_data.py"}) {
    EXPECT_FALSE(Has(layer, name)) << name;
  }
}

TEST_F(PythonInstallationTest, APytestThatDoesNotStartGivesWayToTheOldestThatDoes) {
  for (const char* version : {"1.0", "2.0", "2.5"}) {
    AddWheel("pytest", version, R"({"pytest.py": "import no_such_module"})");
  }
  const std::string points = R"("entry_points.txt": "[pytest11]\nold = pytest_old\n"})";
  AddWheel("pytest_old", "1.0", R"({"pytest_old.py": "1 / 0", )" + points);
  AddWheel("pytest_old", "2.0", R"({"pytest_old.py": "", )" + points);
  AddWheel("pytest_old", "3.0", R"({"pytest_old.py": "", )" + points);
  const FileTree tree = TreeOf({{"setup.py",
                                 "from setuptools import setup\n"
                                 "setup(name='bounds', version='1.2', py_modules=['bounds'],\n"
                                 "      tests_require=['pytest<3', 'pytest-old<2'])\n"},
                                {"bounds.py", ""}});
  auto recipe = Resolve(tree);
  ASSERT_TRUE(recipe.ok()) << recipe.status().ToString();
  EXPECT_THAT(recipe->description, HasSubstr("pytest==8.3"));
  EXPECT_THAT(recipe->description, HasSubstr("pytest-old==2.0"));
  // Notes tell the search, which is no part of what the environment is.
  EXPECT_THAT(recipe->description, Not(HasSubstr("#")));
  EXPECT_THAT(recipe->notes, Contains(HasSubstr("pytest 2.5 does not work here")));
  // What was found is remembered for this repository alone, and gives the same.
  for (const char* name : {"", "another"}) {
    repository_ = name;
    auto again = Resolve(tree);
    ASSERT_TRUE(again.ok()) << again.status().ToString();
    EXPECT_EQ(again->key, recipe->key);
    EXPECT_EQ(again->description, recipe->description);
  }
  const auto scopes = fs::directory_iterator(folder_.path() + "/cache/python/starts");
  EXPECT_EQ(std::distance(begin(scopes), end(scopes)), 2);
}

TEST_F(PythonInstallationTest, DroppedVersionsLeaveMarkersWhole) {
  auto recipe = Resolve(
      TreeOf({{"setup.py",
               "from setuptools import setup\n"
               "setup(name='bounds', version='1.2', py_modules=['bounds'], tests_require=[\n"
               "    'pytest', 'pluggy==0.1',\n"
               "    \"absent<2; python_version <= '3.0' and platform_python_implementation == "
               "'PyPy'\"])\n"},
              {"bounds.py", ""}}));
  ASSERT_TRUE(recipe.ok()) << recipe.status().ToString();
  EXPECT_THAT(recipe->description, HasSubstr("pluggy==1.6"));
  EXPECT_THAT(recipe->notes, Contains("exact versions of test packages were dropped"));
}

TEST_F(PythonInstallationTest, WhatIsFoundDoesNotDependOnWhatWasFoundBefore) {
  const std::string points = R"("entry_points.txt": "[pytest11]\nold = pytest_old\n"})";
  for (const char* broken : {"1.0", "2.5"}) {
    AddWheel("pytest_old", broken, R"({"pytest_old.py": "1 / 0", )" + points);
  }
  for (const char* sound : {"2.0", "3.0"}) {
    AddWheel("pytest_old", sound, R"({"pytest_old.py": "", )" + points);
  }
  const auto tree = [](const std::string& limits) {
    return TreeOf({{"pyproject.toml", std::string(kTestPackage) +
                                          "[project.optional-dependencies]\ntests = [\"pytest-old" +
                                          limits + "\"]\n"},
                   {"bounds.py", ""}});
  };
  const auto late = Resolve(tree(">=2.1,<3"));
  ASSERT_TRUE(late.ok()) << late.status().ToString();
  EXPECT_THAT(late->description, HasSubstr("pytest-old==3.0"));
  const auto early = Resolve(tree("<2"));
  ASSERT_TRUE(early.ok()) << early.status().ToString();
  EXPECT_THAT(early->description, HasSubstr("pytest-old==2.0"));
}

// A setup.py that prints a plan of its own, and ends the process that would print the real one.
std::string PrintsPlan(const std::string& changes) {
  return "import json, os\n"
         "plan = {'name': 'bounds', 'version': '1.2', 'requires': [], 'tests': [],\n"
         "        'entry_points': {}, 'roots': ['.'], 'modules': ['bounds.py'], 'notes': [],\n"
         "        'extensions': [], 'compiled_backend': ''}\n" +
         changes + "\nos.write(1, json.dumps(plan).encode())\nos._exit(0)\n";
}

TEST_F(PythonInstallationTest, APlanThatSetupPyForgesIsReadByType) {
  const auto resolve = [&](const std::string& changes) {
    return Resolve(TreeOf({{"setup.py", PrintsPlan(changes)}, {"bounds.py", ""}}));
  };
  auto odd = resolve("plan['python'] = 3; plan['surplus'] = [1]");
  ASSERT_TRUE(odd.ok()) << odd.status().ToString();
  EXPECT_THAT(odd->description, HasSubstr("Python 3."));
  for (const char* changes :
       {"plan['name'] = 3", "plan['version'] = None", "plan['tests'] = 'pytest'",
        "plan['requires'] = [{}]", "plan['entry_points'] = {'pytest11': {'x': 1}}",
        "plan['entry_points'] = {'pytest11': []}", "plan['modules'] = ['../../bin/python']",
        "plan['roots'] = ['/usr']", "plan['version'] = '1/../../x'", "del plan['notes']",
        "plan = []", "plan = 7", "os.write(1, b'{}')", "os._exit(0)", "os._exit(3)",
        "os.kill(os.getpid(), 9)"}) {
    auto refused = resolve(changes);
    ASSERT_FALSE(refused.ok()) << changes;
    EXPECT_EQ(refused.status().code(), Code::kFailedPrecondition) << changes;
    EXPECT_EQ(refused.status().boundary(), Boundary::kEnvironment) << changes;
    EXPECT_THAT(refused.status().message(), HasSubstr("metadata cannot be read")) << changes;
  }
}

TEST_F(PythonInstallationTest, ASetupPySeesNeitherIndexesNorOtherProcesses) {
  ::setenv("PIP_EXTRA_INDEX_URL", "https://user:hunter2@index.invalid/simple", 1);
  auto plan = ReadPythonPlan(
      Context(*host_),
      TreeOf({{"setup.py",
               "import glob, os\nseen = os.read(0, 1 << 20)\n"
               "for path in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/fd/0'):\n"
               "    try:\n        seen += open(path, 'rb').read()\n"
               "    except OSError:\n        pass\n"
               "from setuptools import setup\n"
               "bad = [w for w in (b'hunter2', b'UV_', b'PIP_', b'index_urls', b'proxy')"
               " if w in seen]\n"
               "setup(name='clean' if not bad else b'-'.join(bad).decode())\n"}}),
      {});
  ::unsetenv("PIP_EXTRA_INDEX_URL");
  ASSERT_TRUE(plan.ok()) << plan.status().ToString();
  EXPECT_EQ(StringOr(*plan, "name", ""), "clean");
}

TEST_F(PythonInstallationTest, AnAnswerForgedByKillingTheResolverIsNone) {
  // Imported by every Python of the trial environment, as the resolver's child.
  const FileTree tree = TreeOf(
      {{"pyproject.toml", kTestPackage},
       {"src/bounds/__init__.py", ""},
       {"src/sitecustomize.py",
        "import json, os\n"
        "answer = {'packages': [], 'notes': [], 'python': '3.0', 'tried': {'a' * 64: True},\n"
        "          'key': 'a' * 64, 'memo': {'packages': []}, 'plan': {}}\n"
        "try:\n"
        "    with open('/proc/%d/fd/1' % os.getppid(), 'wb') as file:\n"
        "        file.write(json.dumps(answer).encode())\n"
        "except OSError:\n"
        "    pass\n"
        "os.kill(os.getppid(), 9)\n"}});
  auto forged = Resolve(tree);
  ASSERT_FALSE(forged.ok());
  EXPECT_EQ(forged.status().boundary(), Boundary::kSandbox);
  EXPECT_EQ(forged.status().code(), Code::kAborted);
  for (const auto& entry :
       fs::recursive_directory_iterator(folder_.path() + "/cache/python/starts")) {
    EXPECT_NE(entry.path().filename(), std::string(64, 'a'));
  }
}

TEST_F(PythonInstallationTest, TheSetUpScriptChangesTheEnvironment) {
  const FileTree tree = TreeOf({{"pyproject.toml", kTestPackage}, {"bounds.py", ""}});
  settings_.set_setup_script("test -f bounds.py\necho data >/venv/data.txt\n");
  auto recipe = Resolve(tree);
  ASSERT_TRUE(recipe.ok()) << recipe.status().ToString();
  const FileTree layer = Build(*recipe, tree);
  ASSERT_TRUE(layer.Contains("data.txt"));
  EXPECT_EQ(*layer.Find("data.txt")->content, "data\n");

  settings_.set_setup_script("echo before; no-such-program; echo after");
  auto failing = PythonUnderTest().Build(Context(*host_), *recipe, tree, settings_, {});
  ASSERT_FALSE(failing.ok());
  EXPECT_EQ(failing.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(failing.status().message(),
              HasSubstr("the set-up script failed with exit code 127: before | "));
  EXPECT_THAT(failing.status().message(), HasSubstr("no-such-program"));
  settings_.set_setup_script("exit 3");
  failing = PythonUnderTest().Build(Context(*host_), *recipe, tree, settings_, {});
  EXPECT_THAT(failing.status().message(), HasSubstr("exit code 3: it printed nothing"));
}

TEST_F(PythonInstallationTest, TheSetUpScriptHasPip) {
  const std::string backend =
      "[build-system]\nrequires = [\"setuptools\"]\nbuild-backend = \"setuptools.build_meta\"\n";
  AddWheel("indexed", "1.0", R"({"indexed.py": "x = 1"})");
  std::map<std::string, std::string> files = {{"pyproject.toml", kTestPackage}, {"bounds.py", ""}};
  for (const std::string name : {"first", "second", "third"}) {
    files["vendored/" + name + "/" + name + ".py"] = "x = 1\n";
    files["vendored/" + name + "/pyproject.toml"] =
        backend + "[project]\nname = \"" + name + "\"\nversion = \"1\"\n";
  }
  const FileTree tree = TreeOf(files);
  settings_.set_setup_script(
      "pip install ./vendored/first\npython -m pip install ./vendored/second\n"
      "pip3 install -e ./vendored/third\npip install indexed\n"
      "python -c 'import first, second, third, indexed'\n");
  auto recipe = Resolve(tree);
  ASSERT_TRUE(recipe.ok()) << recipe.status().ToString();
  const FileTree layer = Build(*recipe, tree);
  for (const char* file : {"/first.py", "/second.py", "/indexed.py"}) {
    EXPECT_TRUE(Has(layer, file)) << file;
  }
  EXPECT_FALSE(Has(layer, "/third.py"));
  EXPECT_FALSE(Has(layer, "bin/pip")) << "it is gone with the build";
}

TEST_F(PythonInstallationTest, WhatCannotBeMadeSaysWhy) {
  const std::string project = kTestPackage;
  auto missing =
      Resolve(TreeOf({{"pyproject.toml", project + "dependencies = [\"no-such-package>3\"]\n"},
                      {"bounds.py", ""}}));
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(missing.status().boundary(), Boundary::kEnvironment);
  EXPECT_THAT(missing.status().message(), HasSubstr("no-such-package"));

  auto compiled =
      Resolve(TreeOf({{"setup.py",
                       "from setuptools import setup, Extension\n"
                       "setup(name='bounds', ext_modules=[Extension('bounds._fast', ['f.c'])])\n"},
                      {"bounds/__init__.py", "from bounds import _fast\n"}}));
  ASSERT_FALSE(compiled.ok());
  EXPECT_THAT(compiled.status().message(), HasSubstr("compiled extension (bounds._fast)"));

  // An optional one may be absent, and an unreadable setup.py or pyproject.toml is no obstacle.
  EXPECT_TRUE(Resolve(TreeOf({{"setup.py",
                               "from setuptools import setup, Extension\n"
                               "setup(name='bounds', ext_modules=[Extension('bounds._f', [])])\n"
                               "raise SystemExit('no')\n"},
                              {"pyproject.toml", "[project\n"},
                              {"bounds/__init__.py", ""}}))
                  .ok());
}

TEST_F(PythonInstallationTest, AMissingInterpreterIsSaid) {
  sandbox::ForwardingHost<> host(*host_, fs::canonical("/usr/bin/python3").string());
  auto recipe =
      PythonUnderTest().Resolve(Context(host), TreeOf({{"a.py", ""}}), kIn2024, settings_, {});
  ASSERT_FALSE(recipe.ok());
  EXPECT_EQ(recipe.status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(recipe.status().boundary(), Boundary::kConfig) << "it is not the repository's fault";
  EXPECT_THAT(recipe.status().message(), HasSubstr("/usr/bin/python3"));
  EXPECT_THAT(recipe.status().message(), HasSubstr("install the package python3"));
}

TEST_F(PythonInstallationTest, MissingToolsAreTheMachinesFault) {
  EXPECT_TRUE(CheckPythonTools().ok());
  const Status python = CheckPythonTools(folder_.path() + "/no-python3");
  EXPECT_EQ(python.boundary(), Boundary::kConfig);
  EXPECT_THAT(python.message(), HasSubstr("install the package python3"));
  const std::string uv = *FindUv();
  ::setenv("TASKMINT_UV", "/no/such/uv", 1);
  EXPECT_EQ(CheckPythonTools().boundary(), Boundary::kConfig);
  ::setenv("TASKMINT_UV", uv.c_str(), 1);
}

TEST_F(PythonInstallationTest, ACacheThatCannotBeWrittenIsTheDisksFault) {
  DriverContext context = Context(*host_);
  context.cache_path = "/dev/null/cache";
  const auto recipe =
      PythonUnderTest().Resolve(context, TreeOf({{"a.py", ""}}), kIn2024, settings_, {});
  ASSERT_FALSE(recipe.ok());
  EXPECT_EQ(recipe.status().boundary(), Boundary::kStore) << recipe.status().ToString();
}

TEST_F(PythonInstallationTest, ABuildHostThatIsNoneIsTheRepositorysFault) {
  ::unsetenv("UV_NO_INDEX");
  for (const char* host : {"example.org:many", "ftp://example.org"}) {
    settings_.clear_build_hosts();
    settings_.add_build_hosts(host);
    const auto recipe = Resolve(TreeOf({{"a.py", ""}}));
    ASSERT_FALSE(recipe.ok());
    EXPECT_EQ(recipe.status().boundary(), Boundary::kEnvironment) << recipe.status().ToString();
    EXPECT_THAT(recipe.status().message(), HasSubstr("build_hosts"));
  }
}

// The network works: what one repository asks for beyond it does not look like an absent one.
}  // namespace
}  // namespace taskmint::environments
