#include "environments/repository/python/steering.h"

#include <algorithm>
#include <set>

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

bool IsIn(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Steers the runner, or is loaded in its place, wherever it stands.
bool IsSteering(std::string_view path) {
  const std::string_view name = BaseName(path);
  if (IsIn(name, {"conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml",
                  "tox.ini", "setup.cfg", "pyproject.toml", "noxfile.py", ".coveragerc", "pytest",
                  "py.test", "pyvenv.cfg"})) {
    return true;
  }
  if (name.ends_with(".pth") || name.ends_with(".pyc") || name.ends_with(".pyo")) return true;
  for (const std::string_view part : Components(path)) {
    // importlib.metadata takes them in any case.
    const std::string lower = LowerCase(std::string(part));
    if (part == "__pycache__" || lower.ends_with(".egg-info") || lower.ends_with(".dist-info")) {
      return true;
    }
    // As a package, a source or an extension module ("sitecustomize.abi3.so").
    if (IsIn(part.substr(0, part.find('.')), {"sitecustomize", "usercustomize"})) return true;
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
  if (module.starts_with("pytest") || module.starts_with("_pytest")) return true;
  if (IsIn(module, {"pluggy",         "iniconfig",
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
                    "pathlib2",       "taskmint"})) {
    return true;
  }
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

// A module of the runner's, new at an import root, would be imported in the real one's place.
bool Shadows(const std::string& path, const std::set<std::string>& roots,
             const FileTree& reference) {
  for (const std::string& root : roots) {
    if (!path.starts_with(root)) continue;
    const std::string rest = path.substr(root.size());
    const size_t slash = rest.find('/');
    const std::string first = rest.substr(0, slash);
    if (slash == std::string::npos && !first.ends_with(".py") &&
        first.find(".so") == std::string::npos) {
      continue;
    }
    const std::string module = first.substr(0, first.find('.'));
    if (IsModuleOfRunner(module) && !HasModule(reference, root + module)) return true;
  }
  return false;
}

}  // namespace

bool IsPythonRepository(const std::vector<std::string>& paths) {
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
  const auto parts = Components(path);
  const bool aside =
      parts.size() > 1 && IsIn(parts[0], {"docs", "doc", "examples", "example", "bench",
                                          "benchmarks", "scripts", "tools", ".github"});
  const std::string_view name = parts.back();
  const bool code = name.ends_with(".py") || name.ends_with(".pyx") || name.ends_with(".pxd");
  const bool tool = parts.size() == 1 && IsIn(name, {"setup.py", "fabfile.py", "tasks.py"});
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
    const bool package_of_tests = BaseName(path) == "__init__.py" && IsBelowTestFolder(path);
    if (IsSteering(path) || package_of_tests || Shadows(path, roots, reference)) {
      foreign.push_back(path);
    }
  }
  return foreign;
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
