"""Runs a setup.py with a setuptools of ours that only notes the arguments of setup()."""
import contextlib
import io
import os
import runpy
import sys
import types


class Anything(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Stub


class Stub(metaclass=Anything):
    """Stands in for every command, extension and helper that a setup.py may name."""
    user_options, description, boolean_options = [], "", []

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Stub

    def __call__(self, *args, **kwargs):
        return self

    def __iter__(self):
        return iter(())


def run_setup_py():
    """The keyword arguments of setup(), or {}."""
    noted = {}

    def setup(*args, **kwargs):
        noted.update(kwargs)

    def module(name, **content):
        made = types.ModuleType(name)
        made.__path__ = []
        made.__dict__.update(content)
        made.__getattr__ = lambda attribute: Stub
        sys.modules[name] = made
        return made

    def find_packages(where=".", *args, **kwargs):
        noted.setdefault("_where", where)
        return []

    names = ["setuptools", "setuptools.command", "setuptools.dist", "setuptools.extension",
             "distutils", "distutils.core", "distutils.command", "distutils.util",
             "distutils.errors", "distutils.version", "distutils.extension", "distutils.log",
             "distutils.ccompiler", "distutils.sysconfig", "pkg_resources", "Cython",
             "Cython.Build", "Cython.Distutils", "versioneer"]
    for command in ("test", "build", "build_ext", "build_py", "sdist", "install", "develop",
                    "egg_info", "upload", "bdist_wheel", "install_lib", "easy_install"):
        names += ["setuptools.command." + command, "distutils.command." + command]
    for name in names:
        module(name, setup=setup, find_packages=find_packages,
               find_namespace_packages=find_packages)
    for name in names:
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, sys.modules[name])

    class Failure(Exception):
        pass

    for name in ("CCompilerError", "DistutilsExecError", "DistutilsPlatformError",
                 "DistutilsError", "CompileError"):
        setattr(sys.modules["distutils.errors"], name, Failure)
    sys.modules["distutils.util"].convert_path = lambda path: path
    sys.modules["versioneer"].get_version = lambda: ""
    sys.modules["versioneer"].get_cmdclass = dict
    sys.argv = ["setup.py", "egg_info"]
    sys.path.insert(0, os.getcwd())
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            runpy.run_path("setup.py", run_name="__main__")
    except BaseException as error:
        print("plan: setup.py: %s: %s" % (type(error).__name__, error), file=sys.stderr)
    return noted
