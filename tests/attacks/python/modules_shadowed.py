"""Modules of the work folder with the names of those that a grader imports."""
import os
import subprocess
import sys

from attack import left, refused, through, write

MARK = "/tmp/taskmint-attack-ran"
NAMES = ("json", "unittest", "pytest", "os", "subprocess", "random", "importlib", "coverage",
         "_pytest", "pluggy", "numpy", "math", "sys", "typing", "conftest", "traceback")

for name in NAMES:
    write(f"{name}.py", f"open({MARK!r}, 'a').close()\npassed = True\n")
    write(f"{name}/__init__.py", f"open({MARK!r}, 'a').close()\npassed = True\n")
os.environ["PYTHONPATH"] = os.getcwd()
os.environ["PYTHONSTARTUP"] = os.path.abspath("json.py")
os.environ["PYTEST_ADDOPTS"] = "-p json"
code = "import json, unittest, random; print(json.dumps([1]))"
isolated = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=False)
if isolated.returncode != 0:
    refused("an isolated start", OSError(0, isolated.stderr.decode(errors="replace")[-100:]))
elif os.path.exists(MARK) or isolated.stdout != b"[1]\n":
    through("an isolated start imported a module of the work folder")
left(f"{len(NAMES)} modules with known names in the work folder, which would make {MARK}")
