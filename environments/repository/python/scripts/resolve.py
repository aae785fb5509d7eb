"""Finds the packages that a repository's tests run with, as of a date; prints them as JSON.

Runs inside a sandbox whose only way out is the package index. Two commands:
  hosts    which hosts the index's pages link to
  resolve  plan, lock, try to start pytest, lift what does not start to the oldest version that does
"""
import ctypes
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from locking import Refusal, Uv, days_after, locked_file, one_line, unbuildable, versions
from package_index import Index, NoNetwork, normal, version_key

TRY_S_MAX = 120
# How much later than a lifted package what it needs may be: pytest 6.2.5 starts under Python 3.11
# with a release of py that came two months after it.
CLOSURE_DAYS = 365
PYTHON = sys.version.split()[0]
PR_SET_DUMPABLE = 4


def without_exact_version(requirement):
    versions, semicolon, marker = requirement.partition(";")
    return re.sub(r"===?\s*[^\s,;]+,?", "", versions) + semicolon + marker


class Resolver:
    def __init__(self, request, plan):
        self.request, self.plan = request, plan
        self.index, self.uv = Index(request), Uv(request)
        self.notes = list(plan["notes"])
        self.own = normal(plan["name"])
        self.tried = {}       # digest of packages -> whether they start
        self.closure = set()  # of the package that is being lifted
        self.own_is_needed = False
        self.requirements = []
        self.venv = "/tmp/try"

    # The requirements, loosened step by step where old pins contradict each other or this base.
    def lock(self):
        core = self.plan["requires"] + self.request["packages"]
        tests = [line for line in self.plan["tests"]]
        if not any(re.match(r"pytest\s*($|[<>=!~;\[(])", line) for line in tests + core):
            tests.append("pytest")
        unpinned = [without_exact_version(line) for line in tests]
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
                broken, good, alone = ("pytest", "0"), self.pytest_starts, self.pytest_alone
            else:
                broken, good, alone = unbuildable(message), self.builds, None
            if not broken or not self.lift(*broken, good, alone, requirements):
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

    # Lifting one package to the oldest later version for which `good` holds. What is found depends
    # on nothing but the index and this repository's tree: not on what was found out before.
    def lift(self, name, version, good, alone=None, requirements=None):
        later = sorted((item for item in self.index.versions(name).items()
                        if version_key(item[0]) > version_key(version)),
                       key=lambda item: version_key(item[0]))
        before = (dict(self.uv.dates), dict(self.uv.overrides))
        requirements = requirements or self.requirements

        def limit_of(place):
            date = later[place][1]
            return days_after(date, CLOSURE_DAYS) if date else self.request["today"]

        def alone_works(place):
            return alone(later[place][0], limit_of(place))

        def attempt(place):
            candidate, limit = later[place][0], limit_of(place)
            closure, _ = self.uv.compile(["%s==%s" % (name, candidate)], until=limit)
            self.closure = set(closure or ()) | {name}
            self.uv.dates, self.uv.overrides = dict(before[0]), dict(before[1])
            for member in self.closure:
                self.uv.dates[member] = max(limit, self.uv.dates.get(member, self.request["date"]))
            self.uv.overrides[name] = candidate
            packages, _ = self.uv.compile(self.unpinned(requirements))
            return packages is not None and good(name, packages)

        def search(failed, works):
            step, passed = 1, None
            while passed is None and failed < len(later) - 1:
                place = min(failed + step, len(later) - 1)
                if works(place):
                    passed = place
                else:
                    failed, step = place, step * 2
            while passed is not None and passed - failed > 1:
                middle = (passed + failed) // 2
                if works(middle):
                    passed = middle
                else:
                    failed = middle
            return passed

        # Which is the oldest that starts without the rest is known from earlier searches, mostly,
        # and the answer in most cases.
        passed = search(-1, alone_works) if alone else None
        if passed is None or not attempt(passed):
            passed = search(-1 if passed is None else passed, attempt)
            passed = passed if passed is not None and attempt(passed) else None
        if passed is None:
            self.uv.dates, self.uv.overrides = before
            return False
        return self.lifted(name, version, later[passed][0])

    def lifted(self, name, version, found):
        self.notes.append("%s %s does not work here: the oldest that does is %s"
                          % (name, version, found) if version != "0" else
                          "%s was not there yet: the oldest that works is %s" % (name, found))
        self.requirements = self.unpinned(self.requirements)
        return True

    def unpinned(self, requirements):
        """Without exact versions of what the lifted package needs: they fitted the old one."""
        return [without_exact_version(line)
                if normal(re.match(r"[\w.-]*", line)[0]) in self.closure else line
                for line in requirements]

    def builds(self, name, packages):
        broken = unbuildable(self.uv.install("/tmp/build", {name: packages[name]})) \
            if name in packages else None
        return not broken

    @staticmethod
    def bare_variables():
        """Without those that name indexes, with their credentials."""
        return {name: value for name, value in os.environ.items()
                if not name.startswith(("UV_", "PIP_"))}

    # Starting pytest as the runs will: the repository's own modules from its tree.
    def try_start(self, *plugins, autoload=False):
        folder = "/tmp/empty"
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        with open(folder + "/pytest.ini", "w") as file:
            file.write("[pytest]\n")
        with open(folder + "/test_nothing.py", "w") as file:
            file.write("def test_nothing(tmp_path):\n    assert tmp_path\n")
        variables = self.bare_variables()
        if not autoload:
            variables["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        command = [self.venv + "/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider",
                   "-p", "no:randomly", *plugins, "test_nothing.py"]
        for _ in range(2):  # a machine that stood still for a while says nothing of the package
            try:
                done = subprocess.run(command, cwd=folder, env=variables, capture_output=True,
                                      text=True, errors="replace", timeout=TRY_S_MAX, check=False)
            except subprocess.TimeoutExpired:
                continue
            return "" if done.returncode == 0 else done.stdout + done.stderr
        return "it hangs"

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

    def pytest_alone(self, version, limit):
        return self.starts_alone(["pytest==" + version], limit)

    def starts_alone(self, requirements, limit, *options):
        """Whether releases start with what they need as of a date, and nothing of the repository:
        a fact, remembered."""
        key = self.digest(["alone", requirements, limit, options])
        if self.known(key) is None:
            packages, _ = self.uv.compile(requirements, until=limit)
            self.tried[key] = packages is not None and \
                not self.uv.install(self.venv, packages, until=limit) and \
                not self.try_start() and not (options and self.try_start(*options))
        return self.known(key)

    def known(self, key):
        """What an earlier search, or this one, found; None when nothing did."""
        if key not in self.tried:
            try:
                with open(os.path.join(self.request["memo"], key)) as file:
                    self.tried[key] = file.read() == "1"
            except OSError:
                return None
        return self.tried[key]

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
                              env=self.bare_variables(), text=True, check=False)
        return sorted(tuple(line.split(" ", 1)) for line in done.stdout.splitlines())

    def make_start(self, packages):
        """Lifts pytest and its plugins until they start; returns the packages that do."""
        packages = self.install(packages)
        version = packages["pytest"]["version"] if "pytest" in packages else "0"
        for good, alone in ((self.pytest_starts, self.pytest_alone), (self.starts_among_all, None)):
            message = self.try_start() if self.own != "pytest" else ""
            if not message:
                break
            if not self.lift("pytest", version, good, alone):
                raise Refusal("no version of pytest from %s on starts under Python %s: %s"
                              % (version, PYTHON, one_line(message)))
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

            def alone(version, limit, name=name, entry=entry, pytest=packages["pytest"]["version"]):
                limit = max(limit, self.uv.dates.get("pytest", self.request["date"]))
                return self.starts_alone(["%s==%s" % (name, version), "pytest==" + pytest], limit,
                                         "-p", entry)
            if not self.lift(name, packages[name]["version"], good, alone):
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
                                      env=self.bare_variables(), errors="replace", check=False)
                if done.returncode != 0 and re.search("ImportError|ModuleNotFoundError",
                                                      done.stderr):
                    what = ", ".join(self.plan["extensions"]) or self.plan["compiled_backend"]
                    raise Refusal("the package %s does not import without its compiled extension "
                                  "(%s); compile it in a set-up script: %s"
                                  % (name, what, one_line(done.stderr)))

    def resolve(self):
        packages = self.lock()
        self.own_is_needed = self.own in packages
        packages = self.others(packages)
        key = self.starts_key(packages)
        if not self.known(key):
            locked = versions(packages)
            packages = self.make_start(packages)
            self.check_extensions()
            if versions(packages) == locked:
                self.tried[key] = True
        files = [locked_file(name, package) for name, package in sorted(packages.items())]
        return {"packages": files, "notes": self.notes, "tried": self.tried, "python": PYTHON}

    def starts_key(self, packages):
        """Names all that it depends on whether pytest and its plugins start."""
        known = ["all", self.own, self.plan["roots"], self.plan["modules"], versions(packages)]
        if not all(package.get("wheels") for package in packages.values()):
            known.append(self.request["date"])  # what builds them is as of it
        if self.own_is_needed or self.plan["extensions"] or self.plan["compiled_backend"] or \
                "pytest11" in self.plan["entry_points"]:
            known.append(self.sources_digest())
        return self.digest(known)

    def sources_digest(self):
        digest = hashlib.sha256()
        for root, folders, names in os.walk(self.request["tree"]):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(root, name)
                if name.endswith(".py") and os.path.isfile(path):
                    with open(path, "rb") as file:
                        digest.update(os.fsencode(name) + hashlib.sha256(file.read()).digest())
        return digest.hexdigest()

    @staticmethod
    def digest(value):
        return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def hide():
    """From the code that runs here as the same user: this process's memory and pipes, and the
    request, which names indexes with their credentials."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def main():
    request = json.load(sys.stdin)
    hide()
    try:
        if sys.argv[1] == "hosts":
            answer = {"hosts": Index(request).hosts(["pytest", "pluggy"])}
        else:
            answer = Resolver(request, request["plan"]).resolve()
    except Refusal as error:
        answer = {"refusal": str(error)}
    except NoNetwork as error:
        answer = {"offline": str(error)}
    except subprocess.TimeoutExpired as error:
        answer = {"refusal": "this took longer than %d s: %s" % (error.timeout, error.cmd[:4])}
    json.dump(answer, sys.stdout)


main()
