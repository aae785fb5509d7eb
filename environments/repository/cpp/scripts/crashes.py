"""Names the test case within which a program ended, and the arguments that run it alone or leave
it out.

Without them one case that crashes takes the verdicts of all others of its program with it. Stands
before run.py.
"""
import html
import os
import re

# Ends of the code's own making: no limit's, and nobody's from outside.
FAULTS = (4, 5, 6, 7, 8, 11)  # SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV
REPORT_TAIL_BYTES = 1 << 20
GTEST_BEGIN = re.compile(r"^\[ RUN      \] (\S+)$", re.MULTILINE)
XML_BEGIN = re.compile(r'<TestCase name="([^"]*)"')
# Where the framework itself catches the signal, it ends its report before the program.
CAUGHT = re.compile(r'<FatalErrorCondition\b|<Exception crash="true"')
# What a filter can name. Catch2 takes a star at an end for any text, and doctest has no way, in all
# its releases, to mean a comma: there `?` means any one character.
GTEST_NAMABLE = re.compile(r"[\w./<>]+")
CATCH_NAMABLE = re.compile(r"(?![-~\"*]|exclude:)\S(?:.*[^\s*])?")
DOCTEST_NAMABLE = re.compile(r"\S(?:.*\S)?")
EMPTY_ELEMENT = re.compile(r'(?:\s+[\w:]+="[^"]*")*\s*/>')
GTEST_FILTER = re.compile(r"--?gtest_filter=(.*)", re.DOTALL)


def tail_of(path):
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        file.seek(max(0, os.fstat(descriptor).st_size - REPORT_TAIL_BYTES))
        return file.read(REPORT_TAIL_BYTES).decode("utf-8", "replace")


def case_at_the_end(framework, output, report):
    """The case that had begun and not ended, as the program itself tells it; None: none."""
    if framework == "gtest" and report is not None:
        return None  # it is written behind the last case
    text = output if framework == "gtest" else tail_of(report) if report is not None else ""
    begun = list((GTEST_BEGIN if framework == "gtest" else XML_BEGIN).finditer(text))
    if not begun:
        return None
    name, rest = begun[-1].group(1), text[begun[-1].end():]
    if framework == "gtest":
        ended = re.search(r"\[(?:       OK|  FAILED |  SKIPPED) \] %s\b" % re.escape(name), rest)
        return None if ended else name
    ended = "</TestCase>" in rest or EMPTY_ELEMENT.match(rest)
    return None if ended and not CAUGHT.search(rest) else html.unescape(name)


def only(framework, argv, name):
    """None where the case cannot be named."""
    namable = {"gtest": GTEST_NAMABLE, "catch": CATCH_NAMABLE, "doctest": DOCTEST_NAMABLE}
    if not namable[framework].fullmatch(name):
        return None
    if framework == "gtest":
        return argv + ["--gtest_filter=" + name]
    if framework == "catch":
        return argv + [for_catch(name)]
    return argv + ["--case-sensitive=true", "--test-case=" + for_doctest(name)]


def without(framework, argv, names):
    """None where these arguments choose by themselves, and the choice cannot be added to."""
    if framework == "gtest":
        chosen = [match.group(1) for match in map(GTEST_FILTER.fullmatch, argv[1:]) if match]
        keep, _, leave = (chosen[-1] if chosen else "*").partition("-")
        return argv + ["--gtest_filter=%s-%s" % (keep, ":".join(filter(None, [leave] + names)))]
    if len(argv) > 1:
        return None
    if framework == "catch":
        # Any filter takes in the hidden cases.
        return argv + ["~[.]"] + ["~" + for_catch(name) for name in names]
    return argv + ["--case-sensitive=true",
                   "--test-case-exclude=" + ",".join(map(for_doctest, names))]


def for_catch(name):
    return re.sub(r"([\\,\[\]])", r"\\\1", name)


def for_doctest(name):
    return re.sub(r"[,*?\\]", "?", name)
