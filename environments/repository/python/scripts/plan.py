"""Reads what a repository says of its package and of what its tests need; prints it as JSON.

setup.py is run with a setuptools of ours that only notes the arguments of setup().
"""
import ast
import configparser
import glob
import json
import os
import re
import sys
import tomllib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from poetry import normal, requirements as poetry_requirements
from setup_stub import Stub, run_setup_py

TEST_NAMES = ("test", "tests", "testing", "unittest", "unit-tests", "pytest", "test-requirements")
DEV_NAMES = ("dev", "develop", "development", "devel")
COMPILED_BACKENDS = ("maturin", "mesonpy", "meson", "scikit_build_core", "skbuild",
                     "setuptools_rust")


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def toml(path):
    try:
        return tomllib.loads(read(path))
    except tomllib.TOMLDecodeError as error:
        print("plan: %s: %s" % (path, error), file=sys.stderr)
        return {}


def ini(path):
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(read(path))
    except configparser.Error as error:
        print("plan: %s: %s" % (path, error), file=sys.stderr)
    return {name: dict(parser.items(name)) for name in parser.sections()}


def lines(text):
    """Requirement lines of a text or list, without comments."""
    if isinstance(text, (list, tuple)):
        return [line for item in text if isinstance(item, str) for line in lines(item)]
    if not isinstance(text, str):
        return []
    found = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
    return [line for line in found if line]


def requirement_file(path, depth=0):
    found = []
    if path.endswith(".txt") and os.path.isfile(path[:-4] + ".in"):
        path = path[:-4] + ".in"  # what the exact versions were made from
    if depth > 4 or not os.path.realpath(path).startswith(os.getcwd() + os.sep):
        return found
    text = re.sub(r"\\\n", " ", read(path))
    for line in lines(text):
        line = re.sub(r"\s--hash=\S+", "", line).strip()
        nested = re.match(r"(?:-r|--requirement)[ =]?(.+)", line)
        if nested:
            found += requirement_file(os.path.join(os.path.dirname(path), nested[1].strip()),
                                      depth + 1)
        elif not line.startswith("-"):
            found.append(line)
    return found


def literal_in(path, name):
    """The string that a module assigns to `name`, or "" when it is not plainly there."""
    try:
        body = ast.parse(read(path)).body
    except (SyntaxError, ValueError):
        return ""
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else \
            [node.target] if isinstance(node, ast.AnnAssign) else []
        if any(isinstance(target, ast.Name) and target.id == name for target in targets) and \
                isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return node.value.value
    return ""


class Plan:
    def __init__(self):
        self.name = self.version = ""
        self.requires, self.extras, self.groups = [], {}, {}
        self.tests, self.others, self.entry_points = [], [], {}
        self.roots, self.notes, self.extensions = [], [], []
        self.backend = ""

    def extra(self, name, requirements):
        self.extras.setdefault(normal(name), []).extend(lines(requirements))

    def read_pyproject(self):
        content = toml("pyproject.toml")
        project, tool = content.get("project", {}), content.get("tool", {})
        self.backend = str(content.get("build-system", {}).get("build-backend", ""))
        self.name = self.name or project.get("name", "")
        self.version = self.version or project.get("version", "")
        self.requires += lines(project.get("dependencies"))
        for name, requirements in project.get("optional-dependencies", {}).items():
            self.extra(name, requirements)
        for kind, table in [("console_scripts", project.get("scripts", {})),
                            *project.get("entry-points", {}).items()]:
            self.entry_points.setdefault(kind, {}).update(table)
        self.read_groups(content.get("dependency-groups", {}))
        self.read_tools(tool)

    def read_groups(self, table):
        def expand(name, seen):
            found = []
            for item in table.get(name, []):
                if isinstance(item, str):
                    found.append(item)
                elif isinstance(item, dict) and item.get("include-group") in by_name:
                    target = by_name[item["include-group"]]
                    if target not in seen:
                        found += expand(target, seen | {target})
            return found
        by_name = {name: name for name in table} | {normal(name): name for name in table}
        for name in table:
            self.groups[normal(name)] = expand(name, {name})

    def read_tools(self, tool):
        setuptools = tool.get("setuptools", {})
        dynamic = setuptools.get("dynamic", {})
        for key in ("dependencies",):
            files = dynamic.get(key, {}).get("file", [])
            for path in [files] if isinstance(files, str) else files:
                self.requires += requirement_file(path)
        for name, entry in dynamic.get("optional-dependencies", {}).items():
            files = entry.get("file", [])
            for path in [files] if isinstance(files, str) else files:
                self.extra(name, requirement_file(path))
        version = dynamic.get("version", {})
        if version.get("file"):
            path = version["file"]
            self.version = self.version or read(path if isinstance(path, str) else path[0]).strip()
        if version.get("attr"):
            self.version = self.version or self.attribute(version["attr"])
        packages = setuptools.get("packages", {})
        if isinstance(packages, dict):
            self.roots += packages.get("find", {}).get("where", [])
        self.roots += [path for name, path in setuptools.get("package-dir", {}).items() if not name]
        hatch = tool.get("hatch", {})
        self.version = self.version or literal_in(hatch.get("version", {}).get("path", ""),
                                                  "__version__")
        for environment in ("test", "tests", "hatch-test", "default"):
            entry = hatch.get("envs", {}).get(environment, {})
            self.tests += lines(entry.get("dependencies")) + lines(entry.get("extra-dependencies"))
        wheel = hatch.get("build", {}).get("targets", {}).get("wheel", {})
        self.roots += [os.path.dirname(path) for path in wheel.get("packages", [])]
        flit = tool.get("flit", {}).get("metadata", {})
        self.name = self.name or flit.get("dist-name", "") or flit.get("module", "")
        self.requires += lines(flit.get("requires"))
        for name, requirements in flit.get("requires-extra", {}).items():
            self.extra(name, requirements)
        self.read_poetry(tool.get("poetry", {}))
        self.groups.setdefault("dev", []).extend(lines(tool.get("uv", {}).get("dev-dependencies")))
        for name, requirements in tool.get("pdm", {}).get("dev-dependencies", {}).items():
            self.groups.setdefault(normal(name), []).extend(lines(requirements))

    def read_poetry(self, poetry):
        self.name = self.name or poetry.get("name", "")
        self.version = self.version or poetry.get("version", "")
        self.requires += poetry_requirements(poetry.get("dependencies", {}))
        self.groups.setdefault("dev", []).extend(
            poetry_requirements(poetry.get("dev-dependencies", {})))
        for name, group in poetry.get("group", {}).items():
            self.groups.setdefault(normal(name), []).extend(
                poetry_requirements(group.get("dependencies", {})))
        for package in poetry.get("packages", []):
            if isinstance(package, dict) and package.get("from"):
                self.roots.append(package["from"])
        self.entry_points.setdefault("console_scripts", {}).update(
            {k: v for k, v in poetry.get("scripts", {}).items() if isinstance(v, str)})
        for kind, table in poetry.get("plugins", {}).items():
            self.entry_points.setdefault(kind, {}).update(table)

    def read_setup_cfg(self):
        content = ini("setup.cfg")
        metadata, options = content.get("metadata", {}), content.get("options", {})
        self.name = self.name or metadata.get("name", "")
        version = metadata.get("version", "").strip()
        if version.startswith("attr:"):
            version = self.attribute(version[5:].strip())
        elif version.startswith("file:"):
            version = read(version[5:].strip()).strip()
        self.version = self.version or version
        self.requires += lines(options.get("install_requires"))
        self.tests += lines(options.get("tests_require"))
        for name, requirements in content.get("options.extras_require", {}).items():
            self.extra(name, requirements)
        for kind, text in content.get("options.entry_points", {}).items():
            pairs = (line.partition("=") for line in lines(text))
            self.entry_points.setdefault(kind, {}).update(
                {name.strip(): target.strip() for name, _, target in pairs if target})
        for line in lines(options.get("package_dir")):
            name, _, path = line.partition("=")
            if not name.strip():
                self.roots.append(path.strip())
        where = content.get("options.packages.find", {}).get("where", "").strip()
        self.roots += [where] if where else []

    def read_setup_py(self):
        if not os.path.isfile("setup.py"):
            return
        noted = run_setup_py()
        if isinstance(noted.get("name"), str):
            self.name = self.name or noted["name"]
        if isinstance(noted.get("version"), str):
            self.version = self.version or noted["version"]
        self.requires += lines(noted.get("install_requires") or noted.get("requires"))
        self.tests += lines(noted.get("tests_require"))
        extras = noted.get("extras_require")
        for name, requirements in (extras if isinstance(extras, dict) else {}).items():
            self.extra(name, requirements)
        points = noted.get("entry_points")
        for kind, table in (points if isinstance(points, dict) else {}).items():
            pairs = (line.partition("=") for line in lines(table))
            self.entry_points.setdefault(kind, {}).update(
                {name.strip(): target.strip() for name, _, target in pairs if target})
        package_dir = noted.get("package_dir")
        if isinstance(package_dir, dict) and isinstance(package_dir.get(""), str):
            self.roots.append(package_dir[""])
        if isinstance(noted.get("_where"), str) and noted["_where"] != ".":
            self.roots.append(noted["_where"])
        for extension in noted.get("ext_modules") or []:
            if isinstance(extension, Stub) and extension.args:
                if not extension.kwargs.get("optional"):
                    self.extensions.append(str(extension.args[0]))

    def attribute(self, dotted):
        module, _, name = dotted.rpartition(".")
        for root in ("src/", "lib/", ""):
            for end in ("/__init__.py", ".py"):
                found = literal_in(root + module.replace(".", "/") + end, name)
                if found:
                    return found
        return ""

    def read_requirement_files(self):
        paths = sorted(path for pattern in ("*.txt", "*.in", "requirements/*.txt",
                                            "requirements/*.in", "tests/*.txt", "test/*.txt",
                                            "tests/*.in")
                       for path in glob.glob(pattern))
        chosen = {}
        for path in paths:
            stem = os.path.splitext(os.path.basename(path))[0].lower()
            if "requirement" not in path.lower() or stem in chosen:
                continue
            kind = "tests" if re.search(r"test", stem) or path.startswith("test") else \
                "others" if re.search(r"dev", stem) else \
                "main" if stem == "requirements" else ""
            if kind:
                chosen[stem] = (kind, path)
        for kind, path in chosen.values():
            found = requirement_file(path)
            if kind == "main":
                self.others += found
            else:
                getattr(self, kind).extend(found)

    def read_tox(self):
        content = ini("tox.ini")
        for section, options in content.items():
            if section != "testenv":
                continue
            for line in lines(options.get("deps")):
                factor = re.match(r"([\w.,!{}-]+)\s*:\s*(?!//)(.+)", line)
                if factor and not re.search(r"(^|[,{-])(tests?|py3\d*|py)([,}-]|$)", factor[1]):
                    continue
                line = factor[2] if factor else line
                nested = re.match(r"-r\s*(?:\{toxinidir\}/)?(.+)", line)
                if nested:
                    self.tests += requirement_file(nested[1].strip())
                elif not line.startswith("-") and "{" not in line:
                    self.tests.append(line)

    def module_version(self):
        """The __version__ of the one package whose name is the project's."""
        stem = normal(self.name).replace("-", "_")
        for root in (*self.source_roots(), ""):
            for module in {stem, stem.rstrip("0123456789"), self.name}:
                for end in ("/__init__.py", "/__about__.py", "/version.py", "/_version.py", ".py"):
                    found = literal_in(os.path.join(root, module + end), "__version__")
                    if module and found:
                        return found
        return ""

    def source_roots(self):
        roots = [os.path.normpath(root or ".") for root in self.roots if isinstance(root, str)]
        for folder in ("src", "lib"):
            if not roots and (glob.glob(folder + "/*/__init__.py") or glob.glob(folder + "/*.py")):
                roots.append(folder)
        roots = [root for root in dict.fromkeys(roots)
                 if os.path.isdir(root) and not root.startswith(("/", ".."))]
        return roots or ["."]

    def modules(self):
        """The project's own top-level modules and packages, with the packages of namespaces."""
        aside = ("tests", "test", "testing", "docs", "doc", "examples", "setup.py", "conftest.py",
                 "noxfile.py", "tasks.py", "build", "dist", "scripts", "tools")
        found = set()
        for root in self.source_roots():
            for entry in os.listdir(root):
                path = os.path.join(root, entry)
                if entry in aside or entry.startswith(("test_", ".")) or not entry.isprintable():
                    continue
                if entry.endswith(".py") or os.path.isfile(path + "/__init__.py"):
                    found.add(entry)
                elif os.path.isdir(path):
                    found.update(os.path.relpath(os.path.dirname(inner), root)
                                 for inner in glob.glob(path + "/*/__init__.py"))
        return sorted(found)

    def test_requirements(self):
        """What the tests need, best source first; what only developers need, when nothing else."""
        found = list(self.tests)
        for table in (self.groups, self.extras):
            for name in TEST_NAMES:
                found += table.get(name, [])
        if not any(re.match(r"pytest\b", line) for line in found):
            for table in (self.groups, self.extras):
                for name in DEV_NAMES:
                    found += filter(self.tests_import, table.get(name, []))
            found += [line for line in self.others if self.tests_import(line)]
        return self.flat(found)

    def tests_import(self, requirement):
        """Whether a test file imports it, or pytest loads it: a developer's tools are left out."""
        name = normal(re.match(r"[\w.-]*", requirement)[0]).replace("-", "_")
        if not hasattr(self, "imported"):
            self.imported = {"pytest"}
            for path in glob.glob("**/*.py", recursive=True):
                if re.search(r"(^|/)(tests?|testing)/|(^|/)(test_|conftest)|_test\.py$", path):
                    found = re.findall(r"(?m)^\s*(?:import|from)\s+(\w+)", read(path))
                    self.imported.update(module.lower() for module in found)
        return name in self.imported or name.startswith("pytest_")

    def flat(self, requirements):
        """Requirements with the project's own extras replaced by what stands in them."""
        own, result, seen = normal(self.name), [], set()
        stack = list(reversed(requirements))
        while stack:
            line = stack.pop()
            match = re.match(r"([A-Za-z0-9][\w.-]*)\s*(\[([^\]]*)\])?", line)
            if match and own and normal(match[1]) == own:
                for extra in (match[3] or "").split(","):
                    stack += reversed(self.extras.get(normal(extra.strip()), []))
            elif match and line not in seen and "://" not in line.partition("#")[0]:
                seen.add(line)
                result.append(line)
            elif match and line not in seen:
                self.notes.append("left out, not from an index: " + line)
                seen.add(line)
        return result

    def as_json(self):
        self.name = self.name if isinstance(self.name, str) else ""
        self.name = self.name if re.fullmatch(r"[A-Za-z0-9._ -]{0,200}", self.name) else ""
        self.version = str(self.version)
        if not self.version or not re.match(r"v?\d", self.version):
            self.version = self.module_version()
        if not re.fullmatch(r"\d+(\.\d+)*[0-9A-Za-z.+_-]{0,60}", self.version):
            self.version = "0.0.0"
        points = {kind: dict(sorted((str(k), str(v)) for k, v in table.items()))
                  for kind, table in sorted(self.entry_points.items())
                  if table and isinstance(table, dict)}
        compiled = self.backend.split(".")[0] if self.backend.startswith(COMPILED_BACKENDS) else ""
        return {"name": self.name, "version": self.version, "requires": self.flat(self.requires),
                "tests": self.test_requirements(), "entry_points": points,
                "roots": self.source_roots(), "modules": self.modules(), "notes": self.notes,
                "extensions": self.extensions, "compiled_backend": compiled}


def main():
    os.chdir(sys.argv[1])
    plan = Plan()
    for step in (plan.read_pyproject, plan.read_setup_cfg, plan.read_setup_py,
                 plan.read_requirement_files, plan.read_tox):
        try:
            step()
        except Exception as error:
            plan.notes.append("%s: %s: %s" % (step.__name__, type(error).__name__, error))
    json.dump(plan.as_json(), sys.stdout)


main()
