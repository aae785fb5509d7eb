"""Compiles the packages of /venv, which is read-only, into the work folder; pytest's plugins as
pytest rewrites them, too. For that it imports the environment's pytest and what that imports: code
of the environment runs here, and may do anything that its sandbox allows. Nothing else of it runs.

Started with -I -S, so no variable fixes the hash seed. Equal layers give equal byte code even so:
marshal writes sets in an order of their own (since Python 3.11), and what is written tells no time
but that of the layer's files, which is always the same.

What is compiled lies below the work folder as below a PYTHONPYCACHEPREFIX.
"""
import glob
import importlib.metadata
import os
import pathlib
import py_compile
import sys
import warnings

UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH


def compile_all(site):
    for folder, folders, names in os.walk(site):
        folders.sort()
        for name in sorted(names):
            if not name.endswith(".py"):
                continue
            try:
                py_compile.compile(os.path.join(folder, name), doraise=True, quiet=2,
                                   invalidation_mode=UNCHECKED)
            except Exception:
                pass  # left to fail when, and if, it is imported


def sources_of_plugins(site):
    paths = set()
    for distribution in importlib.metadata.distributions(path=[site]):
        try:
            if any(point.group == "pytest11" for point in distribution.entry_points):
                paths.update(os.path.join(site, str(file)) for file in distribution.files or ())
        except Exception:
            pass  # damaged metadata
    return sorted(path for path in paths if path.endswith(".py") and ".." not in path)


def rewrite(paths):
    try:
        from _pytest.assertion import rewrite as hook
    except Exception:
        return  # no pytest here, or it needs the repository itself
    for path in paths:
        file = pathlib.Path(path)
        try:
            stat, code = hook._rewrite_test(file, None)
            folder = hook.get_cache_dir(file)
            folder.mkdir(parents=True, exist_ok=True)
            # As pytest's own import hook does.
            with open(folder / (file.name[:-3] + hook.PYC_TAIL), "wb") as compiled:
                hook._write_pyc_fp(compiled, stat, code)
        except Exception:
            pass


def main():
    warnings.simplefilter("ignore")
    sys.pycache_prefix = os.getcwd()
    for site in glob.glob("/venv/lib/python3*/site-packages"):
        compile_all(site)
        sys.path.append(site)
        rewrite(sources_of_plugins(site))


main()
