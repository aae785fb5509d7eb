"""Which tests a configured build has, and which of its programs hold them.

Stands between tokens.py and build.py.
"""
import json
import os
import re

FILTERS = re.compile(r"--?(?:gtest_filter|gtest_also_run_disabled_tests|gtest_output|tc|test-case|"
                     r"test-suite|ts)=")
TEST_SOURCE = re.compile(r"(?i:(?:^|/)(?:unit_?)?tests?(?:/|[_.-][^/]*$)|[_.-]tests?\.\w+$)|"
                         r"Tests?\.\w+$")
# As GoogleTest's and CMake's own modules name it, and those of Catch2 and doctest.
NOT_BUILT = re.compile(r"^(.*)_NOT_BUILT(?:-[0-9a-f]{7})?$", re.DOTALL)
FRAMEWORK_ITSELF = re.compile(r"define\s+\w*CONFIG_(?:MAIN|RUNNER|IMPLEMENT)")


def is_test_file(path, work):
    """Whether it holds tests of a framework, and nothing that other files need: neither main nor
    the framework itself."""
    if not path.startswith(work + "/"):
        return False
    try:
        with open(path, errors="replace") as file:
            tokens = tokens_of(file.read())
    except OSError:
        return False
    names = {token.text for token in tokens if token.kind == "name"}
    return bool(names & TEST_MACROS) and "main" not in names and \
        not any(token.kind == "directive" and FRAMEWORK_ITSELF.search(token.text)
                for token in tokens)


class TestListing:
    """Of a build: self.request, self.work, self.build, self.targets, self.programs."""

    def shown_tests(self):
        # What it asks to be run before and after all tests may not be built, and fails the listing.
        for name in ("CTestCustom.cmake", "CTestCustom.ctest"):
            if os.path.lexists(self.build + "/" + name):
                os.unlink(self.build + "/" + name)
        code, text = self.run(["ctest", "--show-only=json-v1"] + self.request["ctest"], self.build,
                              True)
        return json.loads(text).get("tests", []) if code == 0 else []

    def commands_of_absent(self):
        """name -> command of tests, when every program is there: ctest leaves out the others'."""
        placed = [path for path in self.programs if not os.path.exists(path)]
        for path in placed:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write("#!/bin/sh\n")
            os.chmod(path, 0o755)
        try:
            return {test["name"]: test["command"] for test in self.shown_tests()
                    if test.get("command")}
        finally:
            for path in placed:
                os.unlink(path)

    def list_tests(self):
        shown = self.shown_tests()
        if not all(test.get("command") for test in shown):
            known = self.commands_of_absent()
            for test in shown:
                if not test.get("command") and test["name"] in known:
                    test["command"] = known[test["name"]]
        tests = []
        for test in shown:
            values = {one["name"]: one["value"] for one in test.get("properties", [])}
            name, command = test["name"], test.get("command") or []
            unbuilt = NOT_BUILT.match(name)
            if unbuilt:  # what a discovery after the build would split up
                target = self.targets.get(unbuilt.group(1))
                if target is not None and target["artifacts"]:
                    name, command = target["name"], [target["artifacts"][0]]
            if not command or values.get("DISABLED") in (True, "TRUE", "ON"):
                continue
            program = os.path.normpath(command[0])
            tests.append({"name": name, "argv": [program] + command[1:],
                          "folder": values.get("WORKING_DIRECTORY") or self.build,
                          "variables": values.get("ENVIRONMENT") or [],
                          "will_fail": values.get("WILL_FAIL") in (True, "TRUE", "ON"),
                          "pass": values.get("PASS_REGULAR_EXPRESSION") or [],
                          "fail": values.get("FAIL_REGULAR_EXPRESSION") or [],
                          "skip": values.get("SKIP_RETURN_CODE"),
                          "target": self.programs.get(program, {}).get("name")})
        return self.joined(tests) if shown else self.untold_tests()

    def untold_tests(self):
        """Programs made of test files, where the CMake files tell CTest of no test at all."""
        return [{"name": target["name"], "argv": [target["artifacts"][0]],
                 "folder": os.path.dirname(target["artifacts"][0]), "variables": [],
                 "will_fail": False, "pass": [], "fail": [], "skip": None,
                 "target": target["name"]}
                for _, target in sorted(self.targets.items())
                if target["type"] == "EXECUTABLE" and target["artifacts"] and
                any(source.startswith(self.work + "/") and
                    TEST_SOURCE.search(source[len(self.work) + 1:])
                    for source in target["sources"])]

    def joined(self, tests):
        """One test for each program of which there is one for each of its cases."""
        groups, result = {}, []
        for test in tests:
            plain = [word for word in test["argv"] if not FILTERS.match(word)]
            if test["target"] is None or len(plain) == len(test["argv"]):
                result.append(test)
                continue
            key = json.dumps([plain, test["variables"]])
            if key not in groups:
                groups[key] = dict(test, argv=plain, name=test["target"])
                result.append(groups[key])
        return result

    def select(self, tests):
        files = {os.path.join(self.work, path) for path in self.request["files"]}
        if not files:
            return tests
        chosen = [test for test in tests if test["target"] is not None and
                  files & self.sources_of(self.targets[test["target"]])]
        return chosen or tests
