"""Grades the final state of a repository: python3 -I -S grade.py --state /work --reward-dir FOLDER

Exit codes: 0 graded (with --pytest-lines: 0 passed, 1 did not), 2 bad arguments, 3 no verdict, and
then no reward is left. Standard library only; nothing is fetched.
"""
import argparse
import json
import os
import shutil
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(HERE)  # after the standard library: nothing here may stand for a module of it

from grader import judging, runs, state, steering  # noqa: E402
from grader.containment import Containment  # noqa: E402

FORGED_REWARDS = ["/tmp/rllm/reward.json"]
REWARDS = ["reward.json", "reward.txt"]
LINE_STATUS = {"passed": "PASSED", "failed": "FAILED", "error": "ERROR"}


def read_json(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return json.load(file)


def read_overlay():
    tree = {}
    for row in read_json("overlay.json")["files"]:
        content = row["content"]
        content = content.encode() if isinstance(content, str) else bytes.fromhex(content["hex"])
        tree[steering.decoded(row["path"])] = state.Entry(row["kind"], content)
    return tree


def read_programs():
    programs, folder = {}, os.path.join(HERE, "grader", "programs")
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            programs[name] = file.read()
    return programs


def one_word(test):
    """White space and control characters as %XX."""
    return "".join("".join("%%%02X" % byte for byte in c.encode("utf-8", "replace"))
                   if c.isspace() or ord(c) < 32 or 127 <= ord(c) < 160 else c for c in test)


def pytest_lines(verdict, expected):
    """All expected ids PASSED exactly where the verdict is a pass; only what is trusted."""
    honest = verdict.state == judging.FAIL and verdict.observed and \
        any(status != "passed" for status in verdict.tests.values())
    lines = {}

    def say(test, status):
        word = one_word(test)
        if lines.get(word, "PASSED") == "PASSED" or status == "FAILED":
            lines[word] = status

    for test, status in verdict.tests.items():
        if verdict.state == judging.PASS:
            status = "passed"
        elif not honest:
            status = "failed"
        say(test, LINE_STATUS.get(status, "FAILED"))
    for test in expected["unjudged"] if verdict.observed else ():
        status = verdict.observed.get(test)
        if status and one_word(test) not in lines:
            say(test, LINE_STATUS.get(status, "SKIPPED"))
    return ["%s %s" % (status, word) for word, status in sorted(lines.items())]


class Rewards:
    """Where the reward goes. Its folder is the verifier's; what lies there before is forged."""

    def __init__(self, folder):
        self.folder = folder
        for path in FORGED_REWARDS:
            state.remove_any(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
            info = os.lstat(folder)
            self.place = info.st_dev, info.st_ino
            self.remove()

    def remove(self):
        for name in (REWARDS + ["report.json"]) if self.folder else ():
            state.remove_any(os.path.join(self.folder, name))

    def write_file(self, name, text):
        fresh = os.path.join(self.folder, "." + name + ".%d" % os.getpid())
        state.remove_any(fresh)
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(file, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        target = os.path.join(self.folder, name)
        state.remove_any(target)
        os.rename(fresh, target)

    def write(self, verdict, report, log):
        if not self.folder:
            return
        info = os.lstat(self.folder)
        if (info.st_dev, info.st_ino) != self.place:
            raise state.Broken("the reward's folder was replaced while the tests ran")
        passed = verdict.state == judging.PASS
        reward = {"reward": 1 if passed else 0, "f2p_rate": verdict.f2p_rate,
                  "p2p_rate": verdict.p2p_rate,
                  "forged": 1 if verdict.state == judging.FORGED else 0}
        self.write_file("tests.log", "\n--- next run ---\n".join(log))
        self.write_file("report.json", json.dumps(report, indent=1, ensure_ascii=True) + "\n")
        self.write_file("reward.txt", "%d\n" % reward["reward"])
        self.write_file("reward.json", json.dumps(reward) + "\n")


def wall_ms_max(spec):
    shorter = os.environ.get("TASKMINT_WALL_MS_MAX", "")
    most = spec["wall_ms_max"]
    return min(most, int(shorter)) if shorter.isdigit() and int(shorter) > 0 else most


def graded_state(options, spec, language, overlay):
    tree = state.collect(options.state, spec["files_max"], spec["bytes_max"])
    removed = {steering.decoded(path) for path in spec["removed_paths"]}
    return steering.graded_state(tree, steering.Rules(language), removed, overlay)


def grade(options, rewards):
    begin = time.monotonic()
    spec, language, overlay = read_json("spec.json"), read_json("language.json"), read_overlay()
    spec["wall_ms_max"] = wall_ms_max(spec)
    programs, log = read_programs(), []
    private = tempfile.mkdtemp(prefix="grading-")
    contained = None
    try:
        work = spec["work_path"]
        if not os.path.lexists(work):
            os.makedirs(work)  # an agent that left nothing left an empty state
        fault, graded, digest = None, {}, ""
        try:
            graded = graded_state(options, spec, language, overlay)
            digest = state.digest(graded)
        except state.Fault as error:
            fault = str(error)
        if os.path.islink(work) or not os.path.isdir(work):
            state.remove_any(work)
            os.makedirs(work)
        contained = Containment(work, private, HERE, options.reward_dir,
                                spec["limits"])
        bench = runs.Bench(spec, language, programs, contained, private)
        if fault is None:
            bench.place({}, {})
            bench.check()
            verdict = judging.Grader(bench, graded, overlay, log).grade()
        else:
            verdict = judging.Verdict(judging.FAIL, fault, {
                test: "missing" for key in ("fail_to_pass", "error_to_pass", "pass_to_pass")
                for test in spec["expected"][key]})
        contained.settle()
        shutil.rmtree(private, ignore_errors=True)
        report = {"verdict": verdict.state, "reason": verdict.reason, "tests": verdict.tests,
                  "state_digest": digest, "doctored": verdict.doctored, "runs": bench.runs,
                  "wall_ms": int((time.monotonic() - begin) * 1000)}
        rewards.write(verdict, report, log)
        return verdict, spec["expected"]
    finally:
        shutil.rmtree(private, ignore_errors=True)
        if contained is not None:
            contained.release()


def parse(arguments):
    parser = argparse.ArgumentParser(description="Grades the final state of a repository.")
    parser.add_argument("--state", required=True, help="the folder that the agent left behind")
    parser.add_argument("--reward-dir", help="where reward.json and reward.txt go")
    parser.add_argument("--pytest-lines", action="store_true",
                        help="print a line for each expected test")
    parser.add_argument("--digest", action="store_true",
                        help="only print a digest of the state that would be graded")
    options = parser.parse_args(arguments)
    if not (options.reward_dir or options.pytest_lines or options.digest):
        parser.error("name --reward-dir, --pytest-lines or --digest")
    return options


def main(arguments):
    options = parse(arguments)
    rewards = None
    try:
        if options.digest:
            tree = graded_state(options, read_json("spec.json"), read_json("language.json"),
                                read_overlay())
            print(state.digest(tree))
            return 0
        rewards = Rewards(options.reward_dir)
        verdict, expected = grade(options, rewards)
    except BaseException as error:
        try:
            if rewards is not None:
                rewards.remove()
        except state.Broken:
            pass
        if isinstance(error, state.Fault):
            print("no verdict: %s" % error, file=sys.stderr)
            return 3
        kind = "" if isinstance(error, state.Broken) else type(error).__name__ + ": "
        print("no verdict: %s%s" % (kind, " ".join(str(error).split())[:1000]), file=sys.stderr)
        return 3
    if not options.pytest_lines:
        return 0
    print("\n".join(pytest_lines(verdict, expected)), flush=True)
    return 0 if verdict.state == judging.PASS else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
