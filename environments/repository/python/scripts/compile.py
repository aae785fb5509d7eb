"""Compiles sources in the work folder, tests as pytest rewrites them. Runs none of their code.

Reads {"tests": [path], "sources": [path]}. Started with -I -S: site-packages is added here without
its .pth files, which point at the sources.
"""
import glob
import json
import os
import pathlib
import py_compile
import sys


def rewrite_tests(paths):
    sys.path += glob.glob("/venv/lib/python3*/site-packages")
    try:
        from _pytest.assertion import rewrite
    except Exception:
        return  # it needs the repository itself
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


def main():
    request = json.load(sys.stdin)
    for path in request["sources"]:
        try:
            py_compile.compile(os.path.abspath(path), doraise=True, quiet=2)
        except Exception:
            pass
    rewrite_tests(request["tests"])


main()
