// Environments of the Python driver, made from a local index that the test builds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "environments/repository/python/plan.h"
#include "environments/repository/python/sources.h"
#include "proto/base/digest.h"
#include "proto/base/json.h"
#include "tests/environments/forwarding_sandbox.h"
#include "tests/environments/index_server.h"
#include "tests/environments/python_fixture.h"

namespace taskmint::environments {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr int64_t kIn2024 = 1'718'000'000;

const char kTestPackage[] = "[project]\nname = \"bounds\"\nversion = \"1.2\"\n";

class PythonInstallationTest : public PythonSandboxTest {
 protected:
  PythonInstallationTest() {
    for (const char* name : {"UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "PIP_INDEX_URL",
                             "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"}) {
      ::unsetenv(name);
    }
    ::setenv("HOME", folder_.path().c_str(), 1);
    index_ = folder_.path() + "/index";
    fs::create_directory(index_);
    for (const auto& file : fs::directory_iterator(WheelFolder())) {
      fs::copy_file(file.path(), index_ + "/" + file.path().filename().string());
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
  const FileTree layer = Build(*recipe, tree);
  EXPECT_EQ(TreeDigest(layer), TreeDigest(Build(*recipe, tree)));
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
  EXPECT_THAT(failing.status().message(), HasSubstr("the set-up script failed"));
  EXPECT_THAT(failing.status().message(), HasSubstr("no-such-program"));
}

TEST_F(PythonInstallationTest, ASetUpScriptThatSpeaksOfTheNetworkFailsByItself) {
  settings_.add_build_hosts("files.example:443");
  const FileTree tree = TreeOf({{"pyproject.toml", kTestPackage}, {"bounds.py", ""}});
  const auto recipe = Resolve(tree);
  ASSERT_TRUE(recipe.ok()) << recipe.status().ToString();
  const auto build = [&](const std::string& said) {
    settings_.set_setup_script("echo \"" + said + "\" >&2; exit 1");
    return PythonUnderTest().Build(Context(*host_), *recipe, tree, settings_, {}).status();
  };
  for (const char* said :
       {"timed out: tunnel", "Could not connect, dns error: HTTP status server error",
        "error sending request for url (https:/files.example/a)"}) {
    EXPECT_EQ(build(said).code(), Code::kFailedPrecondition) << build(said).ToString();
  }
  const Status other = build("error sending request for url (https://other.example/a)");
  EXPECT_EQ(other.code(), Code::kFailedPrecondition) << other.ToString();
  EXPECT_THAT(other.message(), HasSubstr("build_hosts"));
  for (const char* said :
       {"error sending request for url (https://files.example/a)",
        "  cause: HTTP status server error (502 Bad Gateway) for url\n  (https://files.example/)",
        "unable to access 'https://files.example/x.git/': CONNECT tunnel failed, response 502",
        "HTTPSConnectionPool(host='files.example', port=443): Max retries exceeded with url: /"}) {
    EXPECT_EQ(build(said).code(), Code::kUnavailable) << build(said).ToString();
  }
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
TEST_F(PythonInstallationTest, WhatTheIndexDoesNotServeIsNoAbsentNetwork) {
  AddWheel("stone", "1.0", R"({"stone.py": ""})", "", "2020-01-01");
  const IndexServer server(index_);
  UseIndex(server.port);
  const auto needs = [](const std::string& line) {
    return TreeOf(
        {{"pyproject.toml", std::string(kTestPackage) + "dependencies = [\"" + line + "\"]\n"},
         {"bounds.py", ""}});
  };
  settings_.add_packages("stone @ https://stones.example/stone-1.0.tar.gz");
  const auto elsewhere = Resolve(needs("pytest"));
  ASSERT_FALSE(elsewhere.ok());
  EXPECT_EQ(elsewhere.status().code(), Code::kFailedPrecondition) << elsewhere.status().ToString();
  EXPECT_THAT(elsewhere.status().message(), HasSubstr("stones.example:443"));
  EXPECT_THAT(elsewhere.status().message(), HasSubstr("build_hosts"));
  settings_.clear_packages();
  const auto recipe = Resolve(needs("stone"));
  ASSERT_TRUE(recipe.ok()) << recipe.status().ToString();
  fs::remove(index_ + "/stone-1.0-py3-none-any.whl");
  const auto gone =
      PythonUnderTest().Build(Context(*host_), *recipe, needs("stone"), settings_, {});
  ASSERT_FALSE(gone.ok());
  EXPECT_EQ(gone.status().code(), Code::kFailedPrecondition) << gone.status().ToString();
  EXPECT_THAT(gone.status().message(), HasSubstr("answers 404"));
}

TEST_F(PythonInstallationTest, ANetworkThatIsAwayIsSaid) {
  UseIndex(9);
  auto recipe = Resolve(TreeOf({{"a.py", ""}}));
  ASSERT_FALSE(recipe.ok());
  EXPECT_EQ(recipe.status().code(), Code::kUnavailable);
  EXPECT_THAT(recipe.status().message(), HasSubstr("no network"));
  EXPECT_THAT(recipe.status().message(), HasSubstr("127.0.0.1:9"));
}

TEST_F(PythonInstallationTest, ANetworkThatGoesAwayWhileAPackageIsBuiltIsSaid) {
  const FileTree tree = TreeOf({{"pyproject.toml", kTestPackage}, {"bounds.py", ""}});
  EnvironmentRecipe recipe;
  {
    const IndexServer server(index_);
    UseIndex(server.port);
    auto resolved = Resolve(tree);
    ASSERT_TRUE(resolved.ok()) << resolved.status().ToString();
    recipe = *std::move(resolved);
    Build(recipe, tree);  // fetches the wheels
  }
  const std::string sources = folder_.path() + "/stone-1.0";
  WriteTree(TreeOf({{"pyproject.toml",
                     "[build-system]\nrequires = [\"setuptools\"]\n"
                     "build-backend = \"setuptools.build_meta\"\n"},
                    {"PKG-INFO", "Metadata-Version: 2.2\nName: stone\nVersion: 1.0\n"}}),
            sources);
  const std::string pack =
      "cd '" + folder_.path() + "' && tar czf stone-1.0.tar.gz stone-1.0 && mkdir -p '";
  const std::string digest(64, 'a');
  const std::string kept = folder_.path() + "/cache/python/files/" + digest;
  ASSERT_EQ(std::system((pack + kept + "' && mv stone-1.0.tar.gz '" + kept + "'").c_str()), 0);
  auto json = *ParseJson(recipe.recipe);
  json["packages"].push_back({{"name", "stone"},
                              {"version", "1.0"},
                              {"kind", "sdist"},
                              {"file", "stone-1.0.tar.gz"},
                              {"url", ""},
                              {"sha256", digest}});
  json["date"] = "2024-06-11";
  recipe.recipe = DumpJson(json);
  const auto built = PythonUnderTest().Build(Context(*host_), recipe, tree, settings_, {});
  ASSERT_FALSE(built.ok());
  EXPECT_EQ(built.status().code(), Code::kUnavailable) << built.status().ToString();
  EXPECT_THAT(built.status().message(), HasSubstr("no network"));
}

TEST_F(PythonInstallationTest, DependenciesAreAsOfTheCommitsDate) {
  AddWheel("stone", "1.0", R"({"stone.py": ""})", "", "2020-01-01");
  AddWheel("stone", "2.0", R"({"stone.py": ""})", "", "2024-06-01");
  AddWheel("stone", "3.0", R"({"stone.py": ""})", "", "2024-07-01");
  const IndexServer server(index_);
  UseIndex(server.port);
  const FileTree tree =
      TreeOf({{"pyproject.toml", std::string(kTestPackage) + "dependencies = [\"stone\"]\n"},
              {"bounds.py", ""}});
  auto recipe = Resolve(tree);
  ASSERT_TRUE(recipe.ok()) << recipe.status().ToString();
  EXPECT_THAT(recipe->description, HasSubstr("stone==2.0"));
  auto early = Resolve(tree, 1'600'000'000);
  ASSERT_TRUE(early.ok()) << early.status().ToString();
  EXPECT_THAT(early->description, HasSubstr("stone==1.0"));
  EXPECT_NE(early->key, recipe->key);
  EXPECT_TRUE(Has(Build(*recipe, tree), "/stone-2.0.dist-info/METADATA"));
  // Once fetched, a build needs no network.
  ::setenv("UV_NO_INDEX", "1", 1);
  EXPECT_TRUE(Has(Build(*recipe, tree), "/stone-2.0.dist-info/METADATA"));
}

}  // namespace
}  // namespace taskmint::environments
