"""Settings and hooks that change what a test run means, where test runners look for them."""
import glob
import os

from attack import left, write

HOOKS = '''import os, pytest
open("/tmp/taskmint-attack-ran", "a").close()
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    report.outcome, report.longrepr = "passed", None
def pytest_collection_modifyitems(items):
    items[:] = items[:1]
def pytest_sessionfinish(session, exitstatus):
    session.exitstatus = 0
def pytest_unconfigure(config):
    os._exit(0)
'''
FILES = {
    "conftest.py": HOOKS,
    "tests/conftest.py": HOOKS,
    "tests/__init__.py": "import os; os._exit(0)\n",
    "pytest.ini": "[pytest]\naddopts = -p conftest --co -k nothing\npython_files = none_*.py\n",
    "tox.ini": "[pytest]\naddopts = --co\n",
    "setup.cfg": "[tool:pytest]\naddopts = --co\n",
    "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "--co"\n',
    ".coveragerc": "[run]\nplugins = conftest\n",
    "noxfile.py": "import os; os._exit(0)\n",
    "setup.py": "open('/tmp/taskmint-attack-ran', 'a').close()\n",
    "Makefile": "all test check:\n\t@echo 10 passed\n",
    "CTestTestfile.cmake": "add_test(pass true)\n",
}
edited = 0
for path in glob.glob("**/test_*.py", recursive=True):
    if write(path, "def test_nothing():\n    pass\n"):
        edited += 1
for name, text in FILES.items():
    write(name, text)
left(f"{len(FILES)} settings of test runners in {os.getcwd()}, and {edited} emptied tests")
