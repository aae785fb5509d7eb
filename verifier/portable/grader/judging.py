"""From test runs to a verdict.

A run is trusted when every sentinel is reported as it must be, and the exit code is that of a run
with a failing test. One that passes has a twin: the same tests once more after some of them were
made to fail; whoever reports one of those passed lies.
"""
import random
import signal

from grader.junit import SEVERITY, Unreadable, statuses
from grader.runs import sentinel_entry
from grader.sentinels import draw_sentinels
from grader.state import Broken, overlay as put_over_tree, printable

PASS, FAIL, FORGED = "pass", "fail", "forged"
TRUSTED, NO_REPORT = "trusted", "no report"
REASON_CHARACTERS_MAX = 600


class Observation:
    def __init__(self, trust, reason="", tests=None):
        self.trust, self.reason, self.tests = trust, reason, tests or {}


class Verdict:
    def __init__(self, state, reason, tests=None, f2p_rate=0.0, p2p_rate=0.0):
        self.state, self.reason = state, reason[:REASON_CHARACTERS_MAX]
        self.tests = tests or {}  # of the expected ids
        self.observed = {}        # of a trusted run
        self.f2p_rate, self.p2p_rate = f2p_rate, p2p_rate
        self.doctored = 0


class SentinelCheck:
    """Takes the sentinels out of what was reported, and compares them with what they must be."""

    def __init__(self):
        self.misreported = self.missing = self.uncollected = 0
        self.failing_reported, self.first = False, ""

    def take(self, sentinel, tests):
        if tests.get(sentinel.path) == "error" and not any(
                test in tests for test in sentinel.expected):
            self.uncollected += 1
        for test, must in sorted(sentinel.expected.items()):
            found = tests.pop(test, None)
            if found is None:
                self.missing += 1
            elif found != must:
                self.misreported += 1
            elif SEVERITY[must] > SEVERITY["skipped"]:
                self.failing_reported = True
            if found != must and not self.first:
                self.first = "a test that must be %s was reported %s" % (must, found or "missing")
        for test in [test for test in tests if test.startswith(sentinel.path)]:
            del tests[test]


def trust_of(check, exit_code, runners_code):
    if check.misreported:
        return FORGED, "the report is false: " + check.first
    if check.uncollected and exit_code != 0:
        return NO_REPORT, "what the tests import or include could not be had"
    if exit_code == 0:
        return FORGED, "exit code 0, although a test that must fail was among the tests"
    if exit_code != 1 and (runners_code or not check.failing_reported):
        return NO_REPORT, "the run was cut short with exit code %d" % exit_code
    if check.missing:
        return FORGED, "the report is incomplete: " + check.first
    return TRUSTED, ""


def interruption(ending, wall_ms_max):
    if ending.why == "signalled":
        try:
            name = " (%s)" % signal.Signals(ending.signal).name
        except ValueError:
            name = ""
        return "killed by signal %d%s" % (ending.signal, name)
    return {"wall-time": "ran past %d s" % ((wall_ms_max + 999) // 1000),
            "output": "wrote more output than allowed"}.get(ending.why)


class Grader:
    """Of one graded state."""

    def __init__(self, bench, state, overlay, log):
        self.bench, self.state, self.overlay, self.log = bench, state, overlay, log
        expected = bench.spec["expected"]
        self.graded_files = expected["graded_files"]
        self.targets = expected["fail_to_pass"] + expected["error_to_pass"]
        self.others = expected["pass_to_pass"]
        self.random = random.SystemRandom()

    def draw(self, state):
        for _ in range(8):
            sentinels = draw_sentinels(self.overlay, self.graded_files,
                                       frozenset(self.bench.language["standard_modules"]))
            if not any(sentinel.path in state for sentinel in sentinels):
                return sentinels
        raise Broken("no sentinels could be drawn for this repository")

    def observe(self, state):
        sentinels = self.draw(state)
        files = list(self.graded_files)
        for sentinel in sentinels:
            files.insert(self.random.randrange(len(files) + 1), sentinel.path)
        added = {sentinel.path: sentinel_entry(sentinel.text) for sentinel in sentinels}
        output = self.bench.run(state, files, added)
        self.log.append(output.log)
        why = interruption(output.ending, self.bench.wall_ms_max)
        if why:
            return Observation(NO_REPORT, "the test run " + why)
        if not self.bench.intact:
            return Observation(FORGED, "the code under test changed the grader's files")
        if output.report is None:
            return Observation(NO_REPORT, "the test run exited with code %d before reporting" %
                               output.ending.exit_code)
        try:
            tests = statuses(output.report, list(state) + list(added))
        except Unreadable as error:
            return Observation(NO_REPORT, str(error))
        check = SentinelCheck()
        for sentinel in sentinels:
            check.take(sentinel, tests)
        runners_code = self.bench.language["starts_runner"]
        trust, reason = trust_of(check, output.ending.exit_code, runners_code)
        return Observation(trust, reason, tests)

    def judge(self, observation):
        seen = observation.tests
        tests = {test: seen.get(test, "missing") for test in sorted(self.targets + self.others)}
        if observation.trust == FORGED:
            return Verdict(FORGED, observation.reason, tests)
        if observation.trust != TRUSTED:
            return Verdict(FAIL, observation.reason, tests)
        failed = [test for test, status in tests.items() if status != "passed"]
        shares = [sum(tests[test] == "passed" for test in ids) / len(ids) if ids else 1.0
                  for ids in (self.targets, self.others)]
        if tests and not failed:
            verdict = Verdict(PASS, "all %d tests passed" % len(tests), tests, *shares)
        else:
            named = ", ".join(printable(test) for test in failed[:3])
            verdict = Verdict(FAIL, "%d of %d tests did not pass: %s%s" % (
                len(failed), len(tests), named, ", ..." if len(failed) > 3 else ""), tests,
                *shares)
        verdict.observed = seen
        return verdict

    def doctored(self):
        for attempt in range(2):
            try:
                return self.bench.doctor(self.overlay, self.targets, self.others)
            except Broken:
                if attempt:
                    raise

    def twin(self, verdict):
        """One draw: (state, reason)."""
        doctored = self.doctored()
        verdict.doctored = len(doctored.failing)
        if not doctored.failing:
            return PASS, ""
        state = dict(self.state)
        put_over_tree(state, doctored.files)
        seen = self.observe(state)
        if seen.trust != TRUSTED:
            return FORGED if seen.trust == FORGED else FAIL, "twin run: " + seen.reason
        for test in doctored.failing:
            status = seen.tests.get(test, "missing")
            if status == "passed":
                return FORGED, "twin run: a test that was made to fail was reported passed: " + \
                    printable(test)
        for test in doctored.failing:
            if seen.tests.get(test, "missing") not in ("failed", "error"):
                return FAIL, "twin run: a test that was made to fail was not reported failed: " + \
                    printable(test)
        must_pass = doctored.copies + [test for test in doctored.untouched if test in self.targets]
        for test in must_pass:
            if seen.tests.get(test) != "passed":
                return FAIL, "twin run: did not pass again: " + printable(test)
        return PASS, ""

    def grade(self):
        verdict = self.judge(self.observe(self.state))
        if verdict.state != PASS:
            return verdict
        # A failure is drawn once more before it counts: a test made to fail may have left
        # something undone.
        for _ in range(2):
            state, reason = self.twin(verdict)
            if state != FAIL:
                break
        if state != PASS:
            doubted = Verdict(state, reason, verdict.tests)
            doubted.doctored = verdict.doctored
            return doubted
        return verdict
