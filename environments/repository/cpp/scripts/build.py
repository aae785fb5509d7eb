"""Configures and builds one state of a repository, and says which tests there are.

Stands behind tokens.py, listing.py, linking.py, processes.py and sentinels.py. Reads a JSON object
on standard input and answers with one on standard output. Of the repository nothing runs here but
what its own CMake files run; test programs are only linked.
"""
import copy
import ctypes
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

PR_SET_DUMPABLE = 4
TEST_OPTION = re.compile(r"(?:^|_)(?:BUILD_?|ENABLE_?|WITH_?)*(?:UNIT_?|ALL_?)?"
                         r"TEST(?:S|ING)?(?:_ENABLED)?$", re.IGNORECASE)
NO_OPTION = re.compile(r"FUZZ|PERF|BENCH|COVER|VALGRIND|INSTALL|CUDA|SANITI|ONLINE|NETWORK|PACKAGE|"
                       r"DOWNLOAD|EXAMPLE|LOCALE|MODULE|WINDOWS|MSVC", re.IGNORECASE)
OPTION = re.compile(r"\b(?:cmake_dependent_)?option\s*\(\s*([A-Za-z0-9_]+)", re.IGNORECASE)
ERROR = re.compile(r"\b[Ee]rror\b|^FAILED|undefined reference|cannot find|not found", re.MULTILINE)
# What ninja says, and makes nothing at all.
UNTOLD_FILE = "missing and no known rule to make it"
LOG_BYTES_MAX = 96 << 10
# What sources of an earlier day need of today's base. GCC's headers of every year include less of
# one another, and the size of a signal's stack, which the frameworks that repositories bring along
# take for a constant, is none since glibc 2.34.
STANDARD_HEADER = """#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#if __cplusplus >= 201103L
#include <array>
#include <cstdint>
#endif
"""
OF_FRAMEWORKS = "-DCATCH_CONFIG_NO_POSIX_SIGNALS -DDOCTEST_CONFIG_NO_POSIX_SIGNALS"


def tests_options(work):
    """-D arguments that switch the tests on, from the options that the CMake files declare."""
    names = set()
    for folder, folders, files in os.walk(work):
        depth = folder[len(work):].count("/")
        folders[:] = [name for name in folders if not name.startswith(".")] if depth < 2 else []
        for name in files:
            if name == "CMakeLists.txt" or name.endswith(".cmake"):
                try:
                    with open(os.path.join(folder, name), errors="replace") as file:
                        names.update(OPTION.findall(file.read(1 << 20)))
                except OSError:
                    pass
    return ["-D%s=ON" % name for name in sorted(names)
            if TEST_OPTION.search(name) and not NO_OPTION.search(name)]


def bundled_sources():
    """Sources of test frameworks that the base has, for builds that would fetch them."""
    found = []
    for name in ("GOOGLETEST", "GTEST"):
        if os.path.isfile("/googletest/CMakeLists.txt"):
            found.append("-DFETCHCONTENT_SOURCE_DIR_%s=/googletest" % name)
    return found


class Build(TestListing, ProgramLinking, SentinelBuilding):
    """One configuration of the sources, kept between the runs of a session."""

    def __init__(self, request):
        self.request = request
        self.work, self.build = request["work"], "/build"
        self.log = []
        self.unbuilt = []
        self.left_out = {}  # target -> objects that take no part in its program
        self.carriers = []  # programs that are to be made anew by the next build
        self.environment = dict(os.environ)
        self.listing = None  # all tests
        self.steering = {}  # path -> digest of what says how things are built
        self.touched = False
        self.place_launcher()
        self.read_models()

    def say(self, text):
        self.log.append(text)

    def place_launcher(self):
        """The compilers' launcher: warnings of newer compilers are no errors."""
        os.makedirs(PLACE, exist_ok=True)
        cache = self.request["ccache"]
        self.launcher = PLACE + "/launch"
        self.place(self.launcher, '#!/bin/sh\nexec %s"$@" -w\n' %
                   ("/usr/bin/ccache " if cache else ""))
        os.chmod(self.launcher, 0o755)
        self.place(PLACE + "/standard.h", STANDARD_HEADER)
        if cache:
            self.environment.update({
                "CCACHE_DIR": self.request["ccache_folder"], "CCACHE_NOSTATS": "1",
                "CCACHE_CONFIGPATH": "/dev/null",
                "CCACHE_REMOTE_STORAGE": self.request["ccache_storage"],
                "CCACHE_COMPILERCHECK": "content", "CCACHE_MAXSIZE": "400M",
                "CCACHE_SLOPPINESS": "include_file_mtime,include_file_ctime",
                "CCACHE_TEMPDIR": PLACE + "/ccache.tmp"})

    @staticmethod
    def place(path, text):
        """Leaves a file alone that is as it should be: what is built from it is, too."""
        try:
            with open(path) as file:
                if file.read() == text:
                    return
        except (OSError, UnicodeDecodeError):
            pass
        with open(path, "w") as file:
            file.write(text)

    @staticmethod
    def remove(paths):
        for path in paths:
            if os.path.lexists(path):
                os.unlink(path)

    def run(self, argv, folder, quiet=False):
        done = subprocess.run(argv, cwd=folder, env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text = done.stdout.decode(errors="replace")
        if not quiet or done.returncode:
            self.say(text)
        return done.returncode, text

    # --- configuring

    def configure(self):
        if os.path.exists(self.build + "/build.ninja"):
            return True
        query = self.build + "/.cmake/api/v1/query"
        os.makedirs(query, exist_ok=True)
        open(query + "/codemodel-v2", "w").close()
        arguments = ["cmake", "-S", self.work, "-B", self.build, "-G", "Ninja",
                     "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O0",
                     "-DCMAKE_CXX_FLAGS_DEBUG=-O0 -include %s/standard.h %s" %
                     (PLACE, OF_FRAMEWORKS),
                     "-DBUILD_TESTING=ON",
                     "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", "-DFETCHCONTENT_FULLY_DISCONNECTED=ON",
                     "-DFETCHCONTENT_TRY_FIND_PACKAGE_MODE=ALWAYS",
                     "-DCMAKE_POLICY_VERSION_MINIMUM=3.5", "-DCMAKE_COMPILE_WARNING_AS_ERROR=OFF",
                     "-DCMAKE_GTEST_DISCOVER_TESTS_DISCOVERY_MODE=PRE_TEST",
                     "-DCMAKE_CATCH_DISCOVER_TESTS_DISCOVERY_MODE=PRE_TEST",
                     "--no-warn-unused-cli", "-Wno-dev"]
        for language in ("C", "CXX"):
            arguments.append("-DCMAKE_%s_COMPILER_LAUNCHER=%s" % (language, self.launcher))
        code, text = self.run(arguments + bundled_sources() + tests_options(self.work), "/", True)
        return code == 0

    def read_model(self):
        """name -> target, of the build as CMake describes it."""
        self.steering = self.digests_of_steering()
        reply = self.build + "/.cmake/api/v1/reply"
        self.targets, by_id = {}, {}
        for name in sorted(os.listdir(reply)):
            if not name.startswith("target-"):
                continue
            with open(os.path.join(reply, name)) as file:
                target = json.load(file)
            made = {"name": target["name"], "type": target["type"],
                    "sources": [os.path.normpath(os.path.join(self.work, source["path"]))
                                for source in target.get("sources", [])],
                    "artifacts": [os.path.normpath(os.path.join(self.build, part["path"]))
                                  for part in target.get("artifacts", [])],
                    "needs": [need["id"] for need in target.get("dependencies", [])]}
            by_id[target["id"]] = made
            self.targets[target["name"]] = made
        self.by_id = by_id
        self.programs = {path: target for target in self.targets.values()
                         if target["type"] == "EXECUTABLE" for path in target["artifacts"]}
        with open(self.build + "/compile_commands.json") as file:
            self.commands = json.load(file)
        for one in self.commands:
            if "output" not in one:  # older CMake
                words = shlex.split(one["command"])
                one["output"] = words[words.index("-o") + 1] if "-o" in words[:-1] else ""

    def digests_of_steering(self):
        paths = [self.launcher, PLACE + "/standard.h"]
        for name in ("build.ninja", "CMakeFiles/rules.ninja", "compile_commands.json"):
            paths.append(os.path.join(self.build, name))
        return {path: digest_of(path) for path in paths if os.path.isfile(path)}

    def is_untouched(self):
        """Whether what the build ran has left alone how things are built; ends what it left
        running."""
        kill_others()
        if not self.steering or self.steering == self.digests_of_steering():
            return True
        self.say("the build changed how it is built: nothing of it is believed")
        self.touched = True
        return False

    def sources_of(self, target):
        seen, todo, sources = set(), [target], set()
        while todo:
            one = todo.pop()
            if one["name"] in seen:
                continue
            seen.add(one["name"])
            sources.update(one["sources"])
            todo += [self.by_id[need] for need in one["needs"] if need in self.by_id]
        return sources

    # --- building

    def shared_targets(self, tests):
        """Libraries, and the tests of one that is not all headers: what other states share."""
        libraries = [target for target in self.targets.values()
                     if target["type"].endswith("_LIBRARY") and target["artifacts"]]
        own = any(source.startswith(self.work + "/") and "/test" not in source and
                  not source.endswith((".h", ".hpp"))
                  for target in libraries for source in target["sources"])
        names = {target["name"] for target in libraries}
        return names | {test["target"] for test in tests if test["target"] and own}

    def compile(self, tests):
        names = sorted({test["target"] for test in tests if test["target"]})
        if self.request["only_shared"]:
            names = sorted(self.shared_targets(tests))
        elif not all(test["target"] for test in tests):
            names = ["all"]
        else:
            self.leave_out_other_tests(names)
            names = self.make_parts(names)
        self.make(names)

    def make(self, names):
        if not names:
            return True
        command = ["ninja", "-k", "0", "-j", str(self.request["jobs"])]
        code, text = self.run(command + names, self.build, True)
        if code and UNTOLD_FILE in text:
            # A library that another project, built within, does not say that it leaves.
            needs = {need for name in names for need in self.targets.get(name, {}).get("needs", [])}
            others = sorted(self.by_id[need]["name"] for need in needs if need in self.by_id and
                            self.by_id[need]["type"] == "UTILITY")
            if others and self.run(command + others, self.build, True)[0] == 0:
                code, text = self.run(command + names, self.build, True)
        if code:
            self.unbuilt += re.findall(r"^FAILED: (\S+)", text, re.MULTILINE)
        return code == 0

    def leave_out_other_tests(self, names):
        """Of the programs that hold the files that are run: the objects of other files of tests,
        which take no part. Where all is run nothing is left out."""
        files = {os.path.join(self.work, path) for path in self.request["files"]}
        for name in names if files else []:
            target = self.targets[name]
            if not files & set(target["sources"]):
                continue
            others = {one["output"] for one in self.objects_of(target)
                      if one["file"] not in files and is_test_file(one["file"], self.work)}
            if others:
                self.left_out[name] = others

    def make_parts(self, names):
        """Makes the programs of which something is left out; the names of those that remain. One
        that cannot do without what is left out is made whole."""
        for name in [name for name in names if name in self.left_out]:
            target = self.targets[name]
            needed = [self.by_id[need] for need in target["needs"] if need in self.by_id]
            self.make([one["output"] for one in self.objects_of(target)
                       if one["output"] not in self.left_out[name]] +
                      [one["name"] for one in needed])
            if self.link(target, [], target["artifacts"][0]):
                self.carriers.append(target["artifacts"][0])
            else:
                del self.left_out[name]
        return [name for name in names if name not in self.left_out]

    def mend_programs(self, tests):
        """Programs of which some objects could not be compiled, from the others."""
        for name in sorted({test["target"] for test in tests if test["target"]}):
            target = self.targets[name]
            program = target["artifacts"][0]
            broken = any(not os.path.exists(os.path.join(one["directory"], one["output"]))
                         for one in self.objects_of(target))
            if broken and not os.path.exists(program):
                self.link(target, [], program)

    # --- the whole

    def go(self):
        if self.request["command"]:
            tests = [{"name": self.request["command"],
                      "argv": ["/bin/sh", "-c", self.request["command"]], "folder": self.work,
                      "variables": [], "will_fail": False, "pass": [], "fail": [], "skip": None,
                      "target": None, "plain": True}]
            self.commands, self.targets = [], {}
            return tests + self.place_sentinels([])
        if not self.configure():
            self.unbuilt.append("the configuration")
            return None
        self.read_model()
        if self.listing is None:  # before the build: CTest runs programs to list their tests
            self.listing = self.list_tests()
        tests = self.select(copy.deepcopy(self.listing))
        self.compile(tests)
        if self.request["only_shared"]:
            return []
        self.mend_programs(tests)
        return tests + self.place_sentinels(tests)

    def text(self):
        log = "\n".join(self.log)
        if len(log) <= LOG_BYTES_MAX:
            return log
        lines = [line for line in log.splitlines() if ERROR.search(line) and ": note:" not in line]
        return "\n".join(lines)[:LOG_BYTES_MAX // 2] + "\n...\n" + log[-LOG_BYTES_MAX // 2:]


def digest_of(path):
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def manifest(skipped):
    """path -> what its file is, of the build folder."""
    found = {}
    for folder, folders, files in os.walk("/build"):
        for name in files + [name for name in folders if os.path.islink(folder + "/" + name)]:
            path = os.path.join(folder, name)
            if path in skipped or path.startswith(PLACE + "/ccache"):
                continue
            if os.path.islink(path):
                found[path] = "link " + os.readlink(path)
            elif os.path.isfile(path):
                found[path] = "%o %s" % (os.stat(path).st_mode, digest_of(path))
            else:
                found[path] = "other"
    return found


def restore(known):
    """The build folder as the last build left it; whether that was possible."""
    now = manifest(())
    for path in set(now) - set(known):
        os.unlink(path)
    return all(now.get(path) == value for path, value in known.items())


def empty(folder):
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)


def main():
    # What the build runs of the repository's own cannot read the sentinels from here.
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    request = json.load(sys.stdin)
    known = request["manifest"]
    if known is not None and not restore(known["files"]):
        known = None
    if known is None:
        empty("/build")
    build = Build(request)
    if known is not None:
        build.listing = known["tests"]
    tests = build.go()
    for test in tests or []:
        program = test["argv"][0]
        test["digest"] = digest_of(program) if program.startswith("/build/") and \
            os.path.isfile(program) else None
    unbuilt = [one["path"] for one in request["sentinels"] if not one.get("built")]
    json.dump({"tests": tests, "log": build.text(), "unbuilt": build.unbuilt[:20],
               "sentinels_unbuilt": unbuilt,
               "manifest": None if build.touched else
               {"files": manifest(build.carriers), "tests": build.listing}},
              sys.stdout)


main()
