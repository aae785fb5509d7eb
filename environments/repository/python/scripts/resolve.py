"""Finds the packages that a repository's tests run with, as of a date; prints them as JSON.

Runs inside a sandbox whose only way out is the package index. Two commands:
  hosts    which hosts the index's pages link to
  resolve  plan, lock, try to start pytest, lift what does not start to the oldest version that does
"""
import datetime
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from package_index import Index, NoNetwork, normal, off_limits, version_key

TRY_S_MAX = 120
# How much later than a lifted package what it needs may be: pytest 6.2.5 starts under Python 3.11
# with a release of py that came two months after it.
CLOSURE_DAYS = 365


class Refusal(Exception):
    """The environment cannot be made; the text says why, to a person."""


def days_after(date, days):
    return (datetime.date.fromisoformat(date) + datetime.timedelta(days=days)).isoformat()


class Uv:
    def __init__(self, request):
        self.request = request
        self.dates = {}      # package -> date that replaces the commit's
        self.overrides = {}  # package -> version that was lifted
        if request["date"] < request["tools_date"]:
            for name in ("setuptools", "wheel"):
                self.dates[name] = request["tools_date"]

    def run(self, *arguments, text=None):
        command = [self.request["uv"], *arguments]
        if os.environ.get("UV_NO_INDEX") and arguments[0] == "pip":  # uv itself does not read it
            command.append("--no-index")
        return subprocess.run(command, input=text, capture_output=True, text=True, errors="replace",
                              check=False)

    def choices(self, until=None):
        found = ["--no-config", "--no-managed-python", "--no-python-downloads", "--no-sources",
                 "--exclude-newer", until or self.request["date"]]
        for name, date in sorted(self.dates.items()) if not until else ():
            found += ["--exclude-newer-package", "%s=%s" % (name, date)]
        return found

    def compile(self, requirements, until=None):
        """(packages by name, "") or (None, uv's message); `until` replaces all other dates."""
        arguments = ["pip", "compile", "-", "-q", "--no-header", "--no-annotate",
                     "--format", "pylock.toml", "--python", self.request["python"]]
        if self.overrides and not until:
            with open("/tmp/overrides.txt", "w") as file:
                file.writelines("%s==%s\n" % item for item in sorted(self.overrides.items()))
            arguments += ["--override", "/tmp/overrides.txt"]
        arguments += self.choices(until)
        done = self.run(*arguments, text="\n".join(requirements) + "\n")
        if done.returncode != 0:
            return None, self.explained(done.stderr)
        packages = tomllib.loads(done.stdout).get("packages", [])
        return {normal(package["name"]): package for package in packages}, ""

    def explained(self, message):
        """uv's message, led by what to do where it asks for a host that the proxy refuses."""
        asked = re.findall(r"(?:Failed to fetch: `?|for url \(|unable to access ')"
                           r"(https?://[^\s)`']+)", message)
        for url in asked:
            refused = off_limits(url, self.request["hosts"])
            if refused:
                return refused + ": " + message
        if re.search(r"error sending request|Could not connect|dns error|tunnel|timed out"
                     r"|429 Too Many|error trying to connect|HTTP status server error",
                     message, re.I):
            raise NoNetwork(" ".join(message.split())[:400])
        return message

    def install(self, folder, packages):
        """uv's message when a package cannot be installed, else ""."""
        shutil.rmtree(folder, ignore_errors=True)
        made = self.run("venv", "-q", "--no-config", "--no-managed-python",
                        "--no-python-downloads", "--python", self.request["python"], folder)
        if made.returncode != 0:
            raise Refusal("no virtual environment: " + made.stderr.strip())
        names = ["%s==%s" % (name, package["version"]) for name, package in packages.items()]
        done = self.run("pip", "install", "-q", "--no-deps", "--python", folder, *self.choices(),
                        *names)
        if done.returncode != 0:
            return self.explained(done.stderr)
        return ""


class Resolver:
    def __init__(self, request, plan):
        self.request, self.plan = request, plan
        self.index, self.uv = Index(request), Uv(request)
        self.notes = list(plan["notes"])
        self.own = normal(plan["name"])
        self.closure = set()  # of the package that is being lifted
        self.requirements = []
        self.venv = "/tmp/try"

    # The requirements, loosened step by step where old pins contradict each other or this base.
    def lock(self):
        core = self.plan["requires"] + self.request["packages"]
        tests = [line for line in self.plan["tests"]]
        if not any(re.match(r"pytest\s*($|[<>=!~;\[(])", line) for line in tests + core):
            tests.append("pytest")
        unpinned = [re.sub(r"===?\s*[^\s,;]+,?", "", line) for line in tests]
        bare = [re.sub(r"^([\w.-]+\s*(?:\[[^\]]*\])?)[^;]*", r"\1 ", line) for line in tests]
        for choice, note in ((tests, ""),
                             (unpinned, "exact versions of test packages were dropped"),
                             (bare, "version limits of test packages were dropped")):
            packages, message = self.compile(core + choice)
            if packages is not None:
                self.requirements = core + choice
                self.notes += [note] if note else []
                return packages
        kept = ["pytest"]
        packages, message = self.compile(core + kept)
        if packages is None:
            raise Refusal("the dependencies cannot be resolved as of %s: %s"
                          % (self.request["date"], one_line(message)))
        for line in bare:
            more, _ = self.compile(core + kept + [line])
            if more is not None:
                packages, kept = more, kept + [line]
            else:
                self.notes.append("left out, cannot be resolved: " + line.strip())
        self.requirements = core + kept
        return packages

    def compile(self, requirements):
        for _ in range(8):
            packages, message = self.uv.compile(requirements)
            if packages is not None:
                return packages, message
            if re.search(r"no versions? of pytest and", message) and \
                    "pytest" not in self.uv.overrides:
                broken, good = ("pytest", "0"), self.pytest_starts
            else:
                broken, good = unbuildable(message), self.builds
            if not broken or not self.lift(broken[0], broken[1], good, requirements):
                return None, message
            requirements = self.unpinned(requirements)
        return None, message

    def again(self):
        packages, message = self.compile(self.requirements)
        if packages is None:
            raise Refusal("the dependencies cannot be resolved: " + one_line(message))
        return packages

    def others(self, packages):
        return {name: package for name, package in packages.items() if name != self.own}

    # Lifting one package to the oldest later version for which `good` holds.
    def lift(self, name, version, good, requirements=None):
        later = sorted((item for item in self.index.versions(name).items()
                        if version_key(item[0]) > version_key(version)),
                       key=lambda item: version_key(item[0]))
        before = (dict(self.uv.dates), dict(self.uv.overrides))
        requirements = requirements or self.requirements
        hints = self.request["hints"]  # what other commits' searches found

        def attempt(place):
            candidate, date = later[place]
            if hints.get("%s==%s" % (name, candidate)) == "does not work":
                return False
            limit = days_after(date, CLOSURE_DAYS) if date else self.request["today"]
            closure, _ = self.uv.compile(["%s==%s" % (name, candidate)], until=limit)
            self.closure = set(closure or ()) | {name}
            self.uv.dates, self.uv.overrides = dict(before[0]), dict(before[1])
            for member in self.closure:
                self.uv.dates[member] = max(limit, self.uv.dates.get(member, self.request["date"]))
            self.uv.overrides[name] = candidate
            packages, _ = self.uv.compile(self.unpinned(requirements))
            if packages is None:
                return False
            if good(name, packages):
                return True
            # Elsewhere it is the project, or its other packages, that fail.
            if self.own not in self.closure and good != self.starts_among_all:
                hints["%s==%s" % (name, candidate)] = "does not work"
            return False

        hint = hints.get("%s for %s" % (name, self.own)) or hints.get(name)
        for place, (candidate, _) in enumerate(later):
            if candidate == hint and (place == 0 or not attempt(place - 1)) and attempt(place):
                return self.lifted(name, version, candidate)
        failed, step, passed = -1, 1, None
        while passed is None and failed < len(later) - 1:
            place = min(failed + step, len(later) - 1)
            if attempt(place):
                passed = place
            else:
                failed, step = place, step * 2
        while passed is not None and passed - failed > 1:
            middle = (passed + failed) // 2
            if attempt(middle):
                passed = middle
            else:
                failed = middle
        if passed is None or not attempt(passed):
            self.uv.dates, self.uv.overrides = before
            return False
        return self.lifted(name, version, later[passed][0])

    def lifted(self, name, version, found):
        self.notes.append("%s %s does not work here: the oldest that does is %s"
                          % (name, version, found) if version != "0" else
                          "%s was not there yet: the oldest that works is %s" % (name, found))
        own = " for " + self.own if self.own in self.closure else ""
        self.request["hints"][name + own] = found
        self.requirements = self.unpinned(self.requirements)
        return True

    def unpinned(self, requirements):
        """Without exact versions of what the lifted package needs: they fitted the old one."""
        return [re.sub(r"===?\s*[^\s,;]+,?", "", line)
                if normal(re.match(r"[\w.-]*", line)[0]) in self.closure else line
                for line in requirements]

    def builds(self, name, packages):
        broken = unbuildable(self.uv.install("/tmp/build", {name: packages[name]})) \
            if name in packages else None
        return not broken

    # Starting pytest as the runs will: the repository's own modules from its tree.
    def try_start(self, *plugins, autoload=False):
        folder = "/tmp/empty"
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        with open(folder + "/pytest.ini", "w") as file:
            file.write("[pytest]\n")
        with open(folder + "/test_nothing.py", "w") as file:
            file.write("def test_nothing(tmp_path):\n    assert tmp_path\n")
        variables = dict(os.environ)
        if not autoload:
            variables["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        command = [self.venv + "/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider",
                   "-p", "no:randomly", *plugins, "test_nothing.py"]
        try:
            done = subprocess.run(command, cwd=folder, env=variables, capture_output=True,
                                  text=True, errors="replace", timeout=TRY_S_MAX, check=False)
        except subprocess.TimeoutExpired:
            return "it hangs"
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def install(self, packages):
        packages = self.others(packages)
        for _ in range(8):
            message = self.uv.install(self.venv, packages)
            if not message:
                break
            broken = unbuildable(message)
            if not broken or not self.lift(broken[0], broken[1], self.builds):
                raise Refusal("a dependency cannot be installed: " + one_line(message))
            packages = self.others(self.again())
        self.add_roots()
        return packages

    def add_roots(self):
        purelib = subprocess.run([self.venv + "/bin/python", "-c", "import sysconfig;"
                                  "print(sysconfig.get_path('purelib'))"],
                                 capture_output=True, text=True, check=True).stdout.strip()
        with open(purelib + "/_roots.pth", "w") as file:
            for root in self.plan["roots"]:
                file.write(os.path.normpath(self.request["tree"] + "/" + root) + "\n")

    def pytest_starts(self, name, packages):
        packages = self.others(packages)
        needed = {member: package for member, package in packages.items()
                  if member in self.closure}
        if name not in needed or self.uv.install(self.venv, needed):
            return False
        self.add_roots()
        return not self.try_start()

    def starts_among_all(self, name, packages):
        packages = self.others(packages)
        if name not in packages or self.uv.install(self.venv, packages):
            return False
        self.add_roots()
        return not self.try_start()

    def plugins(self):
        """[(entry point, package)] of the environment."""
        script = ("import importlib.metadata as m\n"
                  "for d in m.distributions():\n"
                  "  for e in d.entry_points:\n"
                  "    if e.group == 'pytest11': print(e.name, d.metadata['Name'])\n")
        done = subprocess.run([self.venv + "/bin/python", "-c", script], capture_output=True,
                              text=True, check=False)
        return sorted(tuple(line.split(" ", 1)) for line in done.stdout.splitlines())

    def make_start(self, packages):
        """Lifts pytest and its plugins until they start; returns the packages that do."""
        packages = self.install(packages)
        version = packages["pytest"]["version"] if "pytest" in packages else "0"
        for good in (self.pytest_starts, self.starts_among_all):
            message = self.try_start() if self.own != "pytest" else ""
            if not message:
                break
            if not self.lift("pytest", version, good):
                raise Refusal("no version of pytest from %s on starts under Python %s: %s"
                              % (version, self.plan["python"], one_line(message)))
            packages = self.install(self.again())
        if self.own == "pytest" or not self.try_start(autoload=True):
            return packages
        for entry, package in self.plugins():
            name = normal(package)
            message = self.try_start("-p", entry)
            if not message or name not in packages:
                continue

            def good(lifted, found, entry=entry):
                self.closure |= {"pytest", *found}
                return self.pytest_starts(lifted, found) and not self.try_start("-p", entry)
            if not self.lift(name, packages[name]["version"], good):
                self.drop(name, message)
            packages = self.install(self.again())
        message = self.try_start(autoload=True)
        if message:
            raise Refusal("pytest does not start with its plugins: " + one_line(message))
        return packages

    def drop(self, name, message):
        kept = [line for line in self.requirements
                if normal(re.match(r"[\w.-]*", line)[0]) != name]
        if len(kept) == len(self.requirements):
            raise Refusal("the pytest plugin %s does not start: %s" % (name, one_line(message)))
        self.requirements = kept
        self.notes.append("left out, no version starts: " + name)

    def check_extensions(self):
        if not self.plan["extensions"] and not self.plan["compiled_backend"]:
            return
        for root in self.plan["roots"]:
            folder = os.path.join(self.request["tree"], root)
            for name in sorted(os.listdir(folder)):
                if not os.path.isfile(os.path.join(folder, name, "__init__.py")) or \
                        name in ("tests", "test", "docs", "examples"):
                    continue
                done = subprocess.run([self.venv + "/bin/python", "-c", "import " + name],
                                      cwd="/", capture_output=True, text=True, timeout=TRY_S_MAX,
                                      errors="replace", check=False)
                if done.returncode != 0 and re.search("ImportError|ModuleNotFoundError",
                                                      done.stderr):
                    what = ", ".join(self.plan["extensions"]) or self.plan["compiled_backend"]
                    raise Refusal("the package %s does not import without its compiled extension "
                                  "(%s); compile it in a set-up script: %s"
                                  % (name, what, one_line(done.stderr)))

    def resolve(self):
        packages = self.lock()
        key = self.memo_key(packages)
        try:
            with open(os.path.join(self.request["memo"], key)) as file:
                known = json.load(file)
            return {"packages": known["packages"], "notes": self.notes + known["notes"], "key": ""}
        except (OSError, ValueError, KeyError):
            pass
        before = len(self.notes)
        packages = self.make_start(packages)
        self.check_extensions()
        files = [locked_file(name, package) for name, package in sorted(packages.items())]
        return {"packages": files, "notes": self.notes, "key": key, "memo": {
            "packages": files, "notes": self.notes[before:]}, "hints": self.request["hints"]}

    def memo_key(self, packages):
        digest = hashlib.sha256()
        locked = sorted("%s==%s" % (name, package["version"]) for name, package in packages.items())
        known = [self.plan["python"], self.own, self.plan["roots"], locked, self.requirements,
                 self.request["date"] if self.uv.overrides else ""]
        digest.update(json.dumps(known).encode())
        if self.own in packages or self.plan["extensions"] or self.plan["compiled_backend"] or \
                "pytest11" in self.plan["entry_points"]:
            for root, folders, names in os.walk(self.request["tree"]):
                folders.sort()
                for name in sorted(names):
                    if name.endswith(".py"):
                        with open(os.path.join(root, name), "rb") as file:
                            digest.update(name.encode() + hashlib.sha256(file.read()).digest())
        return digest.hexdigest()


def unbuildable(message):
    match = re.search(r"(?:Failed to build|Failed to download and build|Failed to prepare"
                      r"|Failed to parse metadata from built wheel)[^`]*`([\w.-]+)==([^`]+)`",
                      message)
    return (normal(match[1]), match[2]) if match else None


def locked_file(name, package):
    wheels = package.get("wheels") or []
    file, kind = (wheels[0], "wheel") if wheels else (package.get("sdist"), "sdist")
    if not file or "sha256" not in file.get("hashes", {}) or "url" not in file:
        raise Refusal("%s %s has no file with a SHA-256 on the index" % (name, package["version"]))
    leaf = urllib.parse.unquote(urllib.parse.urlsplit(file["url"]).path).rpartition("/")[2]
    return {"name": name, "version": package["version"], "kind": kind, "file": leaf,
            "url": file["url"], "sha256": file["hashes"]["sha256"]}


def one_line(text):
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    if len(lines) > 12:
        lines = lines[:4] + ["..."] + lines[-8:]
    return " | ".join(lines)[:1500]


def main():
    request = json.load(sys.stdin)
    try:
        if sys.argv[1] == "hosts":
            answer = {"hosts": Index(request).hosts(["pytest", "pluggy"])}
        else:
            clean = {name: value for name, value in os.environ.items()
                     if not name.startswith(("UV_", "PIP_"))}
            plan = subprocess.run([request["python"], "-I", request["plan"], request["tree"]],
                                  env=clean, capture_output=True, text=True, timeout=TRY_S_MAX,
                                  check=False)
            if plan.returncode != 0:
                raise Refusal("the project's metadata cannot be read: " + one_line(plan.stderr))
            plan = json.loads(plan.stdout)
            answer = Resolver(request, plan).resolve()
            answer["plan"] = plan
    except Refusal as error:
        answer = {"refusal": str(error)}
    except NoNetwork as error:
        answer = {"offline": str(error)}
    except subprocess.TimeoutExpired as error:
        answer = {"refusal": "this took longer than %d s: %s" % (error.timeout, error.cmd[:4])}
    json.dump(answer, sys.stdout)


main()
