"""Writes one JUnit report from those that the test programs left. Runs when they are gone.

What they left is hostile: a report counts as far as it can be read. Ends with 1 where any test
failed or any program did not end with 0.
"""
import json
import os
import re
import signal
import sys
import xml.etree.ElementTree as ET
from xml.sax.saxutils import quoteattr

REPORT_BYTES_MAX = 32 << 20
CASES_MAX = 200_000
ENDED_EARLY = "ended early"
NAME_MAX = 2000
CONTROL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def events_of(path):
    """Elements as they end, with their parent's tag, as far as the text is XML."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        text = file.read(REPORT_BYTES_MAX).decode("utf-8", "replace")
    text = CONTROL.sub("?", text)
    if "<!" in re.sub(r"<!\[CDATA\[.*?\]\]>", "", text, flags=re.DOTALL):
        return
    text = re.sub(r"^\s*<\?xml.*?\?>", "", text)
    parser = ET.XMLPullParser(("start", "end"))
    try:
        for begin in range(0, len(text), 1 << 16):
            parser.feed(text[begin:begin + (1 << 16)])
            yield from parser.read_events()
    except ET.ParseError:
        try:
            yield from parser.read_events()
        except ET.ParseError:
            pass


def cases_of_gtest(path):
    for event, element in events_of(path):
        if event == "start" or element.tag != "testcase":
            continue
        name = "%s.%s" % (element.get("classname", ""), element.get("name", ""))
        failure = element.find("failure")
        skipped = element.get("status") == "notrun" or element.find("skipped") is not None or \
            element.get("result") in ("skipped", "suppressed")
        if failure is not None:
            yield name, "failed", failure.get("message", "")
        else:
            yield name, "skipped" if skipped else "passed", ""
        element.clear()


def message_of(case):
    for expression in case.iter("Expression"):
        if expression.get("success") == "false":
            return "%s:%s: %s" % (expression.get("filename", ""), expression.get("line", ""),
                                  " ".join(expression.findtext("Original", "").split()))
    for tag in ("Exception", "FatalErrorCondition", "Failure"):
        for found in case.iter(tag):
            return " ".join((found.text or tag).split())
    return ""


def cases_of_catch(path):
    for event, element in events_of(path):
        if event == "start" or element.tag != "TestCase":
            continue
        result = element.find("OverallResult")
        name = element.get("name", "")
        if result is None:
            yield name, "failed", ENDED_EARLY
        elif result.get("success") == "true":
            skips = result.get("skips", "0") not in ("0", "")
            yield name, "skipped" if skips else "passed", ""
        else:
            yield name, "failed", message_of(element)
        element.clear()


def cases_of_doctest(path):
    for event, element in events_of(path):
        if event == "start" or element.tag != "TestCase":
            continue
        name, result = element.get("name", ""), element.find("OverallResultsAsserts")
        if element.get("skipped") == "true":
            yield name, "skipped", ""
        elif result is None:
            yield name, "failed", ENDED_EARLY
        else:
            verdict = result.get("test_case_success")
            passed = verdict == "true" if verdict is not None else \
                result.get("failures") == "0" and element.find(".//Exception") is None
            yield name, "passed" if passed else "failed", "" if passed else message_of(element)
        element.clear()


CASES = {"gtest": cases_of_gtest, "catch": cases_of_catch, "doctest": cases_of_doctest}


class Report:
    def __init__(self):
        self.lines = []
        self.failed = False

    def add(self, class_name, name, status, message=""):
        if len(self.lines) >= CASES_MAX:
            return
        self.failed |= status in ("failed", "error")
        child = {"failed": "<failure message=%s/>", "error": "<error message=%s/>",
                 "skipped": "<skipped message=%s/>"}.get(status, "")
        if child:
            child = child % quoteattr(message[:500])
        self.lines.append("<testcase classname=%s name=%s>%s</testcase>" % (
            quoteattr(class_name[:NAME_MAX]), quoteattr(name[:NAME_MAX]), child))

    def unbuilt(self, path):
        self.failed = True
        self.lines.append("<testcase file=%s classname='' name=''>"
                          "<error message='could not be built'/></testcase>" % quoteattr(path))

    def whole(self, test, status, message=""):
        self.add("", test["name"], status, message)

    def ended(self, result):
        if result["timeout"]:
            return "hung"
        if result["signal"]:
            return "killed by signal %d" % result["signal"]
        return "exit code %s" % result["exit"]

    def plain(self, test, result):
        """By exit code, as CTest judges, and by output that must not be there."""
        output = result["output"]
        if result["signal"] == signal.SIGABRT:
            status = "failed"  # as assert() does
        elif result["timeout"] or result["signal"]:
            status = "error"
        elif test["skip"] is not None and result["exit"] == test["skip"]:
            status = "skipped"
        elif test["pass"] or test["will_fail"]:
            # Whatever runs in the program may write what is waited for, or end as is waited for.
            self.whole(test, "skipped", "judged by its output or its failure alone")
            return
        else:
            status = "passed" if result["exit"] == 0 else "failed"
        if status == "passed" and self.matches(test["fail"], output):
            status = "failed"
        self.whole(test, status, self.ended(result))

    @staticmethod
    def matches(patterns, text):
        for pattern in patterns if isinstance(patterns, list) else [patterns]:
            try:
                if re.search(pattern, text):
                    return True
            except (re.error, RecursionError):
                pass
        return False

    def program(self, test, result):
        if result.get("changed") or result.get("absent"):
            self.failed = True
            self.whole(test, "error", result["output"])
            return
        if result.get("framework") is None:
            self.plain(test, result)
            return
        found, sentinels = [], test.get("sentinels", {})
        if result["report"] is not None:
            try:
                found.extend(CASES[result["framework"]](result["report"]))
            except OSError:
                pass
        # As they did by themselves: the report is that of the others.
        crashed = dict(result.get("crashed", []))
        found = [case for case in found if case[0] not in crashed]
        for name, ending in crashed.items():
            self.add(sentinels.get(name, test["name"]), name, "failed", ending)
        failed = any(status == "failed" for _, status, _ in found)
        wrong = result["timeout"] or result["signal"] or (result["exit"] != 0) != failed
        # What goes wrong behind the last test is the fault of all of them.
        behind = wrong and not any(message == ENDED_EARLY for _, _, message in found)
        for name, status, message in found:
            if behind and name not in sentinels:
                status, message = "error", "the program " + self.ended(result)
            self.add(sentinels.get(name, test["name"]), name, status, message)
        self.failed |= result["exit"] != 0
        if wrong or (not found and result["exit"] != 0):
            self.whole(test, "error", "%s, although %s" % (
                self.ended(result), "a test failed" if failed else "no test failed"))


def main():
    request = json.load(sys.stdin)
    report = Report()
    for path in request["sentinels_unbuilt"]:
        report.unbuilt(path)
    for test, result in zip(request["tests"], request["results"]):
        report.program(test, result)
    text = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<testsuites><testsuite>\n%s\n" \
        "</testsuite></testsuites>\n" % "\n".join(report.lines)
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    sys.stdout.flush()
    sys.exit(1 if report.failed else 0)


main()
