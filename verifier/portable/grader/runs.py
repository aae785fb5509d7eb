"""Test runs of one state, and tests that are made to fail, by the programs of the driver."""
import json
import os
import re
import secrets
import stat

from grader.state import Broken, Entry, FILE, LINK, clear, put
from grader.steering import base_name, is_test_file

REPORT_BYTES_MAX = 64 << 20
LOG_BYTES_MAX = 256 << 10
OUTPUT_BYTES_MAX = 64 * LOG_BYTES_MAX
DOCTORED_FILE_BYTES_MAX = 4 << 20
DOCTORING_MS_MAX = 120_000
ANSWER_BYTES_MAX = 256 << 20
TEMPORARY = "/tmp"
IMPORT = re.compile(rb"^(?:import|from) +([A-Za-z_][A-Za-z0-9_]*)", re.MULTILINE)
# doctor.py imports the other by its name.
DOCTOR = """
import sys, types
expectations = types.ModuleType("expectations")
exec(compile(%r, "expectations.py", "exec"), expectations.__dict__)
sys.modules["expectations"] = expectations
__file__ = "/doctor.py"
exec(compile(%r, "doctor.py", "exec"))
"""


class Output:
    """What a run left behind; nothing of it is trusted."""

    def __init__(self, ending, report, log):
        self.ending, self.report, self.log = ending, report, log


class Doctored:
    def __init__(self, answer, files):
        self.files = files
        self.failing, self.untouched, self.copies = (
            answer[key] for key in ("failing", "untouched", "copies"))


class Bench:
    """The programs and the data are in memory from the start: what runs may change files."""

    def __init__(self, spec, language, programs, containment, private):
        self.spec, self.language, self.contained = spec, language, containment
        self.work, self.private = spec["work_path"], private
        self.script = "".join(programs[name] + "\n\n" for name in language["runner_programs"])
        self.doctoring = DOCTOR % (programs["expectations.py"], programs["doctor.py"])
        self.wall_ms_max = spec["wall_ms_max"]
        self.runs = 0
        self.intact = True

    def own(self, path):
        if self.contained.root:
            os.chown(path, *self.contained.user)

    def log_file(self):
        return os.open(os.path.join(self.private, "log-" + secrets.token_hex(8)),
                       os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def empty(self):
        """Nothing of a run is left for the next one."""
        clear(self.work)
        self.intact = self.contained.clean() and self.intact

    def check(self):
        """Before any foreign code has run: the environment has what a run needs."""
        python = self.language["python"]
        if not os.access(python, os.X_OK):
            raise Broken("the environment has no %s: is its layer there?" % python)
        log = self.log_file()
        probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pytest') is None)"
        ending = self.contained.run([python, "-c", probe], self.spec["variables"], "/", log,
                                    60_000, LOG_BYTES_MAX)
        if ending.why != "exited" or ending.exit_code != 0:
            raise Broken("the environment has no pytest: %s" % ascii(read_cut(log, 500)))
        os.close(log)

    def place(self, tree, added):
        os.makedirs(self.work, exist_ok=True)
        self.empty()
        os.chmod(self.work, 0o755)
        self.own(self.work)
        put(tree, self.work, self.contained.user)
        put_over(added, self.work, self.contained.user)
        tables, place = self.language["unicode_tables"], os.path.join(self.work, ".hypothesis")
        if os.path.isdir(tables) and not os.path.lexists(place):
            self.copy(tables, place)

    def copy(self, source, target):
        for folder, _, names in os.walk(source):
            here = os.path.join(target, os.path.relpath(folder, source))
            os.makedirs(here, exist_ok=True)
            self.own(here)
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    content = file.read()
                with open(os.path.join(here, name), "wb") as file:
                    file.write(content)
                self.own(os.path.join(here, name))
        self.own(target)

    def imports_of_tests(self, tree, files):
        names = set()
        for path in set(files) | {path for path in tree if base_name(path) == "conftest.py"}:
            if path in tree and tree[path].kind != LINK:
                names.update(name.decode() for name in IMPORT.findall(tree[path].content()))
        return sorted(names)[:200]

    def command(self, tree, files, report):
        options = [option.replace("{report}", report) for option in self.language["options"]]
        variables = dict(self.spec["variables"])
        if self.language["arguments"] is None:  # another command: pytest finds ours there
            variables["PYTEST_ADDOPTS"] = " ".join("'%s'" % option for option in options)
            return ["/bin/sh", "-c", self.language["test_command"]], variables
        arguments = self.language["arguments"] + options + ["-k", "", "-m", ""] + files
        request = {"arguments": arguments, "imports": self.imports_of_tests(tree, files),
                   "shuffle": None}
        return [self.language["python"], "-c", self.script, "once",
                json.dumps(request)], variables

    def run(self, tree, files, added):
        """The tests of `files`, with the files of `added` beside them."""
        self.place(tree, added)
        folder = os.path.join(TEMPORARY, secrets.token_hex(10))
        os.mkdir(folder, 0o700)
        self.own(folder)
        name = secrets.token_hex(10) + ".xml"
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        argv, variables = self.command({**tree, **added}, files, os.path.join(folder, name))
        log = self.log_file()
        try:
            self.runs += 1
            ending = self.contained.run(argv, variables, self.work, log, self.wall_ms_max,
                                        OUTPUT_BYTES_MAX)
            report = read_regular(opened, name)
            text = read_cut(log, LOG_BYTES_MAX)
        finally:
            os.close(opened)
            os.ftruncate(log, 0)
            os.close(log)
        self.empty()
        return Output(ending, report, text)

    def doctor(self, overlay, targets, others):
        files, latin = {}, set()
        for test in targets + others:
            path = test.partition("::")[0]
            entry = overlay.get(path)
            if path in files or entry is None or entry.kind == LINK or \
                    entry.size > DOCTORED_FILE_BYTES_MAX:
                continue
            try:
                files[path] = entry.content().decode()
            except UnicodeDecodeError:
                files[path] = entry.content().decode("latin-1")
                latin.add(path)
        if not files:
            return Doctored({"failing": [], "untouched": [], "copies": []}, {})
        request = json.dumps({"files": files, "targets": targets, "others": others,
                              "draw": secrets.randbits(64)}).encode()
        answer = json.loads(self.speak([self.language["base_python"], "-I", "-c", self.doctoring],
                                       request))
        fresh = {path: Entry(overlay[path].kind,
                             text.encode("latin-1" if path in latin else "utf-8"))
                 for path, text in answer["files"].items() if path in overlay}
        return Doctored(answer, fresh)

    def speak(self, argv, request):
        given, answered = self.log_file(), self.log_file()
        try:
            with os.fdopen(os.dup(given), "wb") as file:
                file.write(request)
            os.lseek(given, 0, os.SEEK_SET)
            ending = self.contained.run(argv, {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}, "/",
                                        answered, DOCTORING_MS_MAX, ANSWER_BYTES_MAX, given)
            if ending.why != "exited" or ending.exit_code != 0:
                raise Broken("doctoring the tests ended with %d: %s" % (
                    ending.exit_code, ascii(read_cut(answered, 500))))
            return os.pread(answered, ANSWER_BYTES_MAX, 0)
        finally:
            for file in (given, answered):
                os.ftruncate(file, 0)
                os.close(file)


def put_over(added, root, owner):
    """Fresh files into folders that may be there already."""
    for path, entry in added.items():
        folder = os.path.join(root, os.path.dirname(path))
        missing = []
        while not os.path.isdir(folder):
            missing.append(folder)
            folder = os.path.dirname(folder)
        for folder in reversed(missing):
            os.mkdir(folder, 0o755)
            if owner is not None:
                os.chown(folder, *owner)
        put({base_name(path): entry}, os.path.join(root, os.path.dirname(path)), owner)


def sentinel_entry(text):
    return Entry(FILE, text.encode("latin-1"))


def read_regular(folder, name):
    """A file that foreign code wrote; nothing where it is none, or too large."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode) or info.st_size > REPORT_BYTES_MAX:
                return None
            return file.read(REPORT_BYTES_MAX)
    except OSError:
        return None


def read_cut(log, bytes_max):
    size = os.fstat(log).st_size
    if size <= bytes_max:
        return os.pread(log, size, 0).decode("utf-8", "replace")
    half = bytes_max // 2
    return "%s\n[... %d bytes cut ...]\n%s" % (
        os.pread(log, half, 0).decode("utf-8", "replace"), size - 2 * half,
        os.pread(log, half, size - half).decode("utf-8", "replace"))
