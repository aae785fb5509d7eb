"""A test runner changed from within, so that what fails is told as passed."""
import os
import subprocess
import sys
import unittest

from attack import left, must_fail, refused, through, write

TEST = "import unittest\nclass T(unittest.TestCase):\n  def test(self): self.assertEqual(1, 2)\n"
write("test_fails.py", TEST)


def pass_everything(self, result=None):
    if result is None:
        result = self.defaultTestResult()
    result.testsRun += 1
    result.addSuccess(self)
    return result


class Fails(unittest.TestCase):
    def test(self):
        self.assertEqual(1, 2)


unittest.TestCase.run = pass_everything
unittest.TestResult.wasSuccessful = lambda self: True
outcome = unittest.TestResult()
Fails("test").run(outcome)
left(f"in this process a failing test is told as passed: {outcome.wasSuccessful()}")

# It must not reach another process, neither by files nor by compiled ones.
for module in (unittest, unittest.case, unittest.runner, os, subprocess):
    path = module.__file__
    must_fail(f"write {path}", open, path, "r+b")
    folder = os.path.join(os.path.dirname(path), "__pycache__")
    compiled = getattr(module, "__cached__", None) or os.path.join(folder, "none.pyc")
    must_fail(f"write {compiled}", open, compiled, "r+b")
    must_fail(f"a file in {folder}", open, os.path.join(folder, "attack.pyc"), "xb")
fresh = subprocess.run(
    [sys.executable, "-I", "-B", "-c",
     "import sys, unittest; sys.path.insert(0, '.');"
     " unittest.main('test_fails', argv=['x'])"],
    capture_output=True, check=False)
if fresh.returncode == 0:
    through("a fresh runner tells a failing test as passed")
refused("another process's runner", OSError(0, f"status {fresh.returncode}"))
