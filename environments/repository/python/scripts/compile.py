"""Compiles sources in the work folder, tests as pytest rewrites them. Runs none of their code.

Stands before the runner, whose interpreter has what is needed loaded: an import could find a module
of the repository.
"""
import os
import pathlib
import py_compile
import sys


def rewrite_tests(paths):
    rewrite = sys.modules["_pytest.assertion.rewrite"]
    for path in paths:
        file = pathlib.Path(os.path.abspath(path))
        try:
            stat, code = rewrite._rewrite_test(file, None)
            folder = file.parent / "__pycache__"
            folder.mkdir(exist_ok=True)
            # As pytest's own import hook does.
            with open(folder / (file.name[:-3] + rewrite.PYC_TAIL), "wb") as compiled:
                rewrite._write_pyc_fp(compiled, stat, code)
        except Exception:
            pass  # what does not compile says so when it is imported


def compile_sources(request):
    for path in request["sources"]:
        try:
            py_compile.compile(os.path.abspath(path), doraise=True, quiet=2)
        except Exception:
            pass
    rewrite_tests(request["tests"])
