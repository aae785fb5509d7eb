#include "environments/repository/python/steering.h"

#include <algorithm>
#include <set>

#include "environments/repository/cpp/paths.h"
#include "environments/repository/python/standard_modules.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

std::string_view BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view FolderOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::vector<std::string_view> Components(std::string_view path) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

// What follows travels with the portable grader (see SteeringRules) but for the code that reads it.
constexpr std::string_view kSteeringNames[] = {
    "conftest.py", "pytest.ini", ".pytest.ini",    "pytest.toml", ".pytest.toml",
    "tox.ini",     "setup.cfg",  "pyproject.toml", "noxfile.py",  ".coveragerc",
    "pytest",      "py.test",    "pyvenv.cfg"};
constexpr std::string_view kSteeringEndings[] = {".pth", ".pyc", ".pyo"};
constexpr std::string_view kSiteModules[] = {"sitecustomize", "usercustomize"};
constexpr std::string_view kRunnerPrefixes[] = {"pytest", "_pytest"};
constexpr std::string_view kRunnerModules[] = {"pluggy",         "iniconfig",
                                               "packaging",      "py",
                                               "attr",           "attrs",
                                               "tomli",          "exceptiongroup",
                                               "hypothesis",     "_hypothesis_globals",
                                               "xdist",          "execnet",
                                               "pygments",       "coverage",
                                               "colorama",       "importlib_metadata",
                                               "zipp",           "six",
                                               "toml",           "typing_extensions",
                                               "more_itertools", "atomicwrites",
                                               "wcwidth",        "anyio",
                                               "mock",           "pkg_resources",
                                               "setuptools",     "numpy",
                                               "psutil",         "sortedcontainers",
                                               "pathlib2",       "taskmint"};

template <typename Names>
bool IsIn(std::string_view name, const Names& names) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// Steers the runner, or is loaded in its place, wherever it stands.
bool IsSteering(std::string_view path) {
  const std::string_view name = BaseName(path);
  if (IsIn(name, kSteeringNames)) return true;
  for (const std::string_view ending : kSteeringEndings) {
    if (name.ends_with(ending)) return true;
  }
  for (const std::string_view part : Components(path)) {
    // importlib.metadata takes them in any case.
    const std::string lower = LowerCase(std::string(part));
    if (part == "__pycache__" || lower.ends_with(".egg-info") || lower.ends_with(".dist-info")) {
      return true;
    }
    // As a package, a source or an extension module ("sitecustomize.abi3.so").
    if (IsIn(part.substr(0, part.find('.')), kSiteModules)) return true;
  }
  return false;
}

bool IsBelowTestFolder(std::string_view path) {
  const auto parts = Components(path);
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    if (parts[i] == "tests" || parts[i] == "test") return true;
    if (parts[i] == "testing" && i == 0) return true;  // deeper it is often a library's own module
  }
  return false;
}

// A top-level module that the runner or its plugins import, or that Python brings along.
bool IsModuleOfRunner(std::string_view module) {
  for (const std::string_view prefix : kRunnerPrefixes) {
    if (module.starts_with(prefix)) return true;
  }
  if (IsIn(module, kRunnerModules)) return true;
  return std::binary_search(std::begin(kStandardModules), std::end(kStandardModules), module);
}

// The first folder upwards that is no package: what pytest puts on sys.path for a test file.
std::string ImportRootOf(std::string_view path, const FileTree& tree) {
  std::string_view folder = FolderOf(path);
  while (!folder.empty() && tree.Contains(std::string(folder) + "/__init__.py")) {
    folder = FolderOf(folder);
  }
  return std::string(folder);
}

// Folders, "" or ending in '/', that stand on sys.path during a run.
std::set<std::string> ImportRoots(const FileTree& reference) {
  std::set<std::string> roots = {"", "src/", "lib/", "tests/", "test/", "testing/"};
  for (const auto& [path, entry] : reference.files()) {
    if (!IsPythonTestFile(path) && BaseName(path) != "conftest.py") continue;
    const std::string root = ImportRootOf(path, reference);
    roots.insert(root.empty() ? root : root + "/");
  }
  return roots;
}

bool HasModule(const FileTree& tree, const std::string& stem) {
  if (tree.Contains(stem + ".py")) return true;
  const auto found = tree.files().lower_bound(stem + "/");
  return found != tree.files().end() && found->first.starts_with(stem + "/");
}

// The module that `path` is, or is a part of, at an import root; empty where it is none.
std::string ModuleAt(const std::string& root, const std::string& path) {
  if (!path.starts_with(root)) return {};
  const std::string rest = path.substr(root.size());
  const size_t slash = rest.find('/');
  const std::string first = rest.substr(0, slash);
  if (slash == std::string::npos && !first.ends_with(".py") &&
      first.find(".so") == std::string::npos) {
    return {};
  }
  return first.substr(0, first.find('.'));
}

// A module of the runner's, new at an import root, would be imported in the real one's place.
bool Shadows(const std::string& path, const std::set<std::string>& roots,
             const FileTree& reference) {
  for (const std::string& root : roots) {
    const std::string module = ModuleAt(root, path);
    if (IsModuleOfRunner(module) && !HasModule(reference, root + module)) return true;
  }
  return false;
}

bool IsPackageOfTests(std::string_view path) {
  return BaseName(path) == "__init__.py" && IsBelowTestFolder(path);
}

template <typename Names>
std::vector<std::string> NamesIn(const Names& names) {
  return {std::begin(names), std::end(names)};
}

}  // namespace

bool IsPythonRepository(const std::vector<std::string>& paths) {
  if (IsCppRepository(paths)) return false;
  return std::any_of(paths.begin(), paths.end(), [](const std::string& path) {
    return path == "pyproject.toml" || path == "setup.cfg" || path.ends_with(".py");
  });
}

bool IsPythonTestFile(std::string_view path) {
  const std::string_view name = BaseName(path);
  return name.ends_with(".py") && (name.starts_with("test_") || name.ends_with("_test.py"));
}

PathRole PythonRoleOf(std::string_view path) {
  if (IsSteering(path)) return PathRole::kSteering;
  if (IsPythonTestFile(path) || IsBelowTestFolder(path)) return PathRole::kTest;
  constexpr std::string_view kAside[] = {"docs",       "doc",     "examples", "example", "bench",
                                         "benchmarks", "scripts", "tools",    ".github"};
  constexpr std::string_view kTools[] = {"setup.py", "fabfile.py", "tasks.py"};
  const auto parts = Components(path);
  const bool aside = parts.size() > 1 && IsIn(parts[0], kAside);
  const std::string_view name = parts.back();
  const bool code = name.ends_with(".py") || name.ends_with(".pyx") || name.ends_with(".pxd");
  const bool tool = parts.size() == 1 && IsIn(name, kTools);
  if (!code || aside || tool) {
    return PathRole::kOther;
  }
  return PathRole::kSource;
}

std::vector<std::string> PythonForeignSteering(const FileTree& solution,
                                               const FileTree& reference) {
  const std::set<std::string> roots = ImportRoots(reference);
  std::vector<std::string> foreign;
  for (const auto& [path, entry] : solution.files()) {
    if (reference.Contains(path)) continue;
    if (IsSteering(path) || IsPackageOfTests(path) || Shadows(path, roots, reference)) {
      foreign.push_back(path);
    }
  }
  return foreign;
}

SteeringRules SteeringRulesBeside(const FileTree& reference) {
  SteeringRules rules;
  rules.names = NamesIn(kSteeringNames);
  rules.endings = NamesIn(kSteeringEndings);
  rules.site_modules = NamesIn(kSiteModules);
  rules.runner_prefixes = NamesIn(kRunnerPrefixes);
  rules.runner_modules = NamesIn(kRunnerModules);
  rules.import_roots = ImportRoots(reference);
  for (const auto& [path, entry] : reference.files()) {
    bool of_runner = false;
    for (const std::string& root : rules.import_roots) {
      const std::string module = ModuleAt(root, path);
      if (!IsModuleOfRunner(module)) continue;
      of_runner = true;
      if (HasModule(reference, root + module)) rules.known_modules.insert(root + module);
    }
    if (of_runner || IsSteering(path) || IsPackageOfTests(path)) rules.known_files.insert(path);
  }
  return rules;
}

bool IsPythonDerived(std::string_view path) {
  const std::string below = "/" + std::string(path);
  for (const char* folder :
       {"/__pycache__/", "/.pytest_cache/", "/.mypy_cache/", "/.ruff_cache/", "/.hypothesis/"}) {
    if (below.find(folder) != std::string::npos) return true;
  }
  return false;
}

}  // namespace taskmint::environments
