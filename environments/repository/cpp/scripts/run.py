"""Runs the test programs that build.py named, one after the other, and says how each ended.

Code under test runs here, in children: none has this program's standard output, and all are gone
before the reports are read. Stands behind processes.py and crashes.py.
"""
import ctypes
import hashlib
import json
import mmap
import os
import random
import resource
import subprocess
import sys
import time

PR_SET_DUMPABLE = 4
OUTPUT_BYTES_MAX = 64 << 20
CRASHES_MAX = 32  # cases of one program, each of which takes two more runs of it
CRASH_OUTPUT_MAX = 2000
RERUNS_SHARE = 0.1  # of the time that is left
# Text that the programs of each framework hold.
MARKS = (("gtest", (b"gtest_output", b"InitGoogleTest")), ("doctest", (b"[doctest] ", b"dt-")),
         ("catch", (b"reporter to use (defaults to console)", b"CATCH_CONFIG_")))


def frameworks_of(path):
    """Those that a program may be written with; only it can tell."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:4] != b"\x7fELF":
                return []
            return [name for name, marks in MARKS if any(data.find(mark) >= 0 for mark in marks)]
    except (OSError, ValueError):
        return []


def arguments_of(framework, report, seed):
    if framework == "gtest":
        order = [] if seed is None else ["--gtest_shuffle",
                                         "--gtest_random_seed=%d" % (1 + seed % 99999)]
        return ["--gtest_output=xml:" + report, "--gtest_color=no"] + order
    number = "%d" % (1 if seed is None else 1 + seed % 1000000)
    if framework == "catch":
        return ["-r", "xml", "-o", report, "--order", "decl" if seed is None else "rand",
                "--rng-seed", number]
    return ["-r=xml", "-o=" + report, "--order-by=" + ("file" if seed is None else "rand"),
            "--rand-seed=" + number]


class Run:
    def __init__(self, request):
        self.request = request
        self.limit = time.monotonic() + request["wall_ms_max"] / 1000
        self.folder = request["folder"]
        os.makedirs(self.folder, mode=0o700)

    def run(self, number, test, argv, seconds_max=None):
        """How a program ended, with what it wrote."""
        log = "%s/%d.log" % (self.folder, number)
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("GTEST_", "TASKMINT"))}
        for line in test["variables"]:
            name, _, value = line.partition("=")
            environment[name] = value
        left = self.limit - time.monotonic()
        # A program that hangs must leave time for the others. The repository's own limits are for
        # machines that it knows.
        seconds = max(1.0, min(0.8 * left, seconds_max or left))
        result = {"exit": None, "signal": 0, "timeout": False}
        with open(log, "wb") as output:
            try:
                child = subprocess.Popen(argv, cwd=test["folder"], env=environment, stdout=output,
                                         stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                         start_new_session=True, preexec_fn=self.limits)
            except (OSError, ValueError) as error:
                return dict(result, exit=127, output=str(error))
            try:
                code = child.wait(seconds)
                result.update({"exit": code} if code >= 0 else {"signal": -code})
            except subprocess.TimeoutExpired:
                result["timeout"] = True
                child.kill()
                child.wait()
        kill_others()
        with open(log, "rb") as output:
            size = output.seek(0, os.SEEK_END)
            output.seek(max(0, size - 65536))
            result["output"] = output.read().decode(errors="replace")
        os.unlink(log)
        return result

    @staticmethod
    def limits():
        resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT_BYTES_MAX, OUTPUT_BYTES_MAX))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    @staticmethod
    def is_as_built(test):
        try:
            with open(test["argv"][0], "rb") as file:
                return hashlib.sha256(file.read()).hexdigest() == test["digest"]
        except OSError:
            return False

    def test(self, number, test):
        program = test["argv"][0]
        if test["digest"] is not None:
            if not self.is_as_built(test):
                return {"changed": True, "output": "the program changed after it was built"}
        elif program.startswith("/build/"):
            return {"absent": True, "output": "the program was not built"}
        begun = time.monotonic()
        for framework in [] if test.get("plain") else frameworks_of(program):
            result = self.reported(number, test, framework, test["argv"])
            if result["report"] is not None or result["signal"] or result["timeout"] or \
                    case_at_the_end(framework, result["output"], None) is not None:
                return self.apart(number, test, result, time.monotonic() - begun)
        return self.run(number, test, test["argv"])

    def reported(self, number, test, framework, argv, seconds_max=None):
        report = "%s/%s" % (self.folder, os.urandom(12).hex())
        result = self.run(number, test, argv + arguments_of(framework, report,
                                                            self.request["shuffle"]), seconds_max)
        written = os.path.isfile(report) and not os.path.islink(report)
        return dict(result, framework=framework, report=report if written else None)

    def apart(self, number, test, first, took):
        """`first`, or how the program ends without the cases that end it by themselves."""
        framework, last, crashed, outputs = first["framework"], first, [], ""
        if any(line.startswith("GTEST_FILTER=") for line in test["variables"]):
            return first
        # Programs that come later need time, too.
        now = time.monotonic()
        until = now + max(5 * took, RERUNS_SHARE * (self.limit - now))
        while not last["timeout"] and last["signal"] in (0,) + FAULTS:
            name = case_at_the_end(framework, last["output"], last["report"])
            if name is None:
                return dict(last, crashed=crashed, output=outputs + last["output"])
            known = [case[0] for case in crashed]
            itself = only(framework, test["argv"], name)
            others = without(framework, test["argv"], known + [name])
            if name in known or len(crashed) == CRASHES_MAX or time.monotonic() > until or \
                    itself is None or others is None:
                break
            alone = self.reported(number, test, framework, itself, until - time.monotonic())
            if any(alone[how] != last[how] for how in ("exit", "signal", "timeout")) or \
                    case_at_the_end(framework, alone["output"], alone["report"]) != name:
                break  # what went before it has a part in it
            crashed.append([name, "killed by signal %d" % alone["signal"] if alone["signal"] else
                            "ended the program with %s" % alone["exit"]])
            outputs += alone["output"][-CRASH_OUTPUT_MAX:] + "\n"
            if test["digest"] is not None and not self.is_as_built(test):
                break
            last = self.reported(number, test, framework, others, until - time.monotonic())
        return first

    def go(self):
        order = list(range(len(self.request["tests"])))
        if self.request["shuffle"] is not None:
            random.Random(self.request["shuffle"]).shuffle(order)
        results = [None] * len(order)
        for number in order:
            results[number] = self.test(number, self.request["tests"][number])
        return results


def main():
    # Its memory and its files are hidden from others of its user.
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    request = json.load(sys.stdin)
    results = Run(request).go()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    json.dump({"results": results, "cpu_ms": int(1000 * (used.ru_utime + used.ru_stime))},
              sys.stdout)


main()
