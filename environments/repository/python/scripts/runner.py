"""Warm pytest runner: loads pytest and the environment's packages once, then forks for each run.

Stands behind class_lines.py and compile.py. Reads one JSON object a line on standard input and
answers one a line on the pipe that was its standard output. The forked child, in which the code
under test runs, never has that pipe.
"""
import ctypes
import gc
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import json
import os
import random
import re
import shlex
import shutil
import signal
import sys
import tempfile
import threading
import time
import types

WORK = "/work"
SETTLE_S_MAX = 5.0
PR_SET_DUMPABLE = 4
# Young objects between two collections: what lives on is frozen, so looking often finds little.
GC_THRESHOLD = 20_000
UNICODE_TABLES = sys.prefix + "/share/hypothesis"  # made when the environment was built
# How modules are found. What else is there at the start may lead into the work folder, as the
# finder of an editable package does.
STANDARD_FINDERS = [importlib.machinery.BuiltinImporter, importlib.machinery.FrozenImporter,
                    importlib.machinery.PathFinder]
FOREIGN_FINDERS = [finder for finder in sys.meta_path if finder not in STANDARD_FINDERS and
                   finder.__module__ not in ("_distutils_hack", "_virtualenv")]
# Expressions that hold for a test without marks, as people write them.
WITHOUT_MARKS = re.compile(r"\s*not\s+\w+(\s+and\s+not\s+\w+)*\s*"
                           r"|\s*not\s*\(\s*\w+(\s+or\s+\w+)*\s*\)\s*")
PLAIN = ["-p", "no:cacheprovider", "-p", "no:randomly"]


def set_dumpable(value):
    # A process that is not dumpable keeps its /proc/PID/fd and memory from others of its user.
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, value, 0, 0, 0)


def below_work(path):
    return path == WORK or path.startswith(WORK + "/")


class Apart:
    """A context in which nothing of the repository can be imported."""

    def __enter__(self):
        self.path, self.finders = sys.path[:], sys.meta_path[:]
        sys.path[:] = [entry for entry in self.path
                       if os.path.isabs(entry) and not below_work(os.path.realpath(entry))]
        sys.meta_path[:] = [finder for finder in self.finders if finder not in FOREIGN_FINDERS]
        sys.path_importer_cache.clear()

    def __exit__(self, *_):
        sys.path[:] = self.path
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder not in self.finders]
        sys.meta_path[:0] = self.finders
        sys.path_importer_cache.clear()


class Order:
    """Shuffles modules, and tests within each, keeping the tests of a class together."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def pytest_collection_modifyitems(self, items):
        modules = {}
        for item in items:
            path, _, rest = item.nodeid.partition("::")
            head = rest.partition("[")[0]
            group = head.rpartition("::")[0] or item.nodeid
            modules.setdefault(path, {}).setdefault(group, []).append(item)
        ordered = []
        for groups in self.shuffled(modules.values()):
            for group in self.shuffled(groups.values()):
                ordered.extend(self.shuffled(group))
        items[:] = ordered

    def shuffled(self, values):
        values = list(values)
        self.random.shuffle(values)
        return values


def place_unicode_tables():
    """Those that hypothesis would otherwise compute in every run, for seconds: where a first run
    leaves them."""
    place = WORK + "/.hypothesis"
    if os.path.isdir(UNICODE_TABLES) and not os.path.lexists(place):
        shutil.copytree(UNICODE_TABLES, place)


class Settle:
    """Runs of one state must agree: hypothesis with fixed examples, no deadline on a busy machine,
    no memory. After the repository's own settings, before its tests are imported."""

    def __init__(self, imports):
        self.imports = imports

    def pytest_configure(self):
        if "hypothesis" not in sys.modules and "hypothesis" not in self.imports:
            return
        try:
            from hypothesis import settings
            phases = [phase for phase in settings.default.phases
                      if phase.name not in ("shrink", "explain")]
            settings.register_profile("taskmint", settings.default, derandomize=True,
                                      deadline=None, database=None, phases=phases)
            settings.load_profile("taskmint")
        except Exception:
            pass  # there is none, or a version that lacks one of these: the repeats will tell


class Selection:
    """Leaves out the tests of the marks that the repository's own addopts leave out, and nothing
    else of addopts: stress tests may run for hours. Tests without marks, as sentinels are, stay."""

    def addopts(self, config):
        """As the file says, whatever options override."""
        try:
            from _pytest.config.findpaths import load_config_dict_from_file
            value = load_config_dict_from_file(config.inipath)["addopts"]
        except ImportError:  # before pytest 6
            value = config.inicfg["addopts"]
        return getattr(value, "value", value)

    def pytest_configure(self, config):
        if config.option.markexpr:
            return  # the user's
        try:
            value = self.addopts(config)
            words = shlex.split(value) if isinstance(value, str) else list(value)
            expression = words[words.index("-m") + 1]
        except Exception:
            return  # it leaves out nothing
        if WITHOUT_MARKS.fullmatch(expression):
            config.option.markexpr = expression


class Loader:
    """Imports, once, what comes from the environment alone. What depends on the repository, even if
    it can do without, is left to the runs."""

    def __init__(self):
        self.tried = set()
        self.work = [entry for entry in sys.path if below_work(entry)]
        self.complete = None  # the modules that were loaded when the repository was first asked for

    def find_spec(self, name, path=None, target=None):
        """The last finder asked: nobody else has the module."""
        if self.complete is None and self.of_repository(name.partition(".")[0]):
            self.complete = {loaded for loaded, module in list(sys.modules.items())
                             if not getattr(getattr(module, "__spec__", None), "_initializing", 0)}
        return None

    def of_repository(self, name):
        return importlib.machinery.PathFinder.find_spec(name, self.work) or \
            any(finder.find_spec(name, None) for finder in FOREIGN_FINDERS)

    def call(self, load, *arguments):
        """What `load` returns, or nothing when it needs the repository or fails."""
        before, self.complete, value = set(sys.modules), None, None
        sys.meta_path.append(self)
        try:
            value = load(*arguments)
            failed = False
        except BaseException:
            failed = True
        finally:
            sys.meta_path.remove(self)
        if failed or self.complete is not None:
            self.forget(before if self.complete is None else before | self.complete)
            return None
        return value

    def forget(self, kept):
        """Removes the modules that are not among `kept`, and what is below them."""
        gone = set(sys.modules) - kept
        for name in list(sys.modules):
            parts = name.split(".")
            if any(".".join(parts[:count]) in gone for count in range(1, len(parts))):
                gone.add(name)
        for name in gone:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if not file.startswith(sys.prefix + "/"):
                continue  # the standard library's own
            if not file.endswith(".py"):
                raise ImportError("%s cannot be loaded again" % name)
            del sys.modules[name]

    def load(self, names):
        """Says why the process can no longer be forked from."""
        gc.disable()
        try:
            with Apart():
                for name in names:
                    if name not in self.tried:
                        self.tried.add(name)
                        self.call(self.load_one, name)
            if threading.active_count() > 1:
                return "a package starts threads when it is imported"
            return ""
        except BaseException as error:
            return "%s: %s" % (type(error).__name__, error)
        finally:
            gc.freeze()
            gc.enable()

    def load_one(self, name):
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
            if name == "hypothesis":
                self.load_hypothesis()

    def load_hypothesis(self):
        """Its tables, and what it computes at the first use of a strategy."""
        from hypothesis import configuration, given, settings, strategies

        @settings(database=None, deadline=None, max_examples=2)
        @given(strategies.text(), strategies.integers(), strategies.lists(strategies.booleans()))
        def nothing(*_):
            pass

        state = random.getstate()
        configuration.set_hypothesis_home_dir(UNICODE_TABLES)
        nothing()
        configuration.set_hypothesis_home_dir(None)
        random.setstate(state)


def warm_up(loader):
    """Says why it could not."""
    with Apart():
        return run_nothing(loader)


def run_nothing(loader):
    """An empty session."""
    load_plugin = importlib.metadata.EntryPoint.load

    def load_only(entry):
        loader.call(load_plugin, entry)
        return types.ModuleType("no_hooks")  # those of a plugin may need the repository

    folder = tempfile.mkdtemp()
    variables, modules = dict(os.environ), set(sys.modules)
    keep = os.dup(2)
    gc.disable()  # next to nothing of what is loaded is garbage
    try:
        os.chdir(folder)
        with open("test_nothing.py", "w") as file:
            file.write("import gc\n\n\ndef test_nothing(tmp_path, capsys, monkeypatch):\n"
                       "    assert tmp_path\n    gc.freeze()  # pytest collects at its end\n")
        with open("pytest.ini", "w") as file:
            file.write("[pytest]\n")
        os.dup2(1, 2)
        importlib.metadata.EntryPoint.load = load_only
        import pytest
        code = pytest.main(PLAIN + ["-q", "--junitxml=report.xml", "test_nothing.py"])
        if code != 0:
            return "an empty pytest session ends with %d" % code
        return ""
    except BaseException as error:
        return "%s: %s" % (type(error).__name__, error)
    finally:
        importlib.metadata.EntryPoint.load = load_plugin
        sys.stdout.flush()  # what is left would be in the log of every run
        sys.stderr.flush()
        os.dup2(keep, 2)
        os.close(keep)
        os.chdir("/")
        os.environ.clear()
        os.environ.update(variables)
        for name in set(sys.modules) - modules:
            if getattr(sys.modules[name], "__file__", None) and \
                    sys.modules[name].__file__.startswith(folder):
                del sys.modules[name]
        shutil.rmtree(folder, ignore_errors=True)


def run_tests(request):
    """Becomes `python -m pytest` in the repository. Does not return."""
    code = 1
    try:
        os.chdir(WORK)
        random.seed(0)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(0)
        sys.path.insert(0, WORK)
        importlib.invalidate_caches()
        spec = importlib.util.find_spec("pytest.__main__")
        main = types.ModuleType("__main__")
        main.__spec__, main.__file__ = spec, spec.origin
        sys.modules["__main__"] = main
        sys.argv = [spec.origin] + request["arguments"]
        sys.orig_argv = [sys.executable, "-m", "pytest"] + request["arguments"]
        import pytest
        gc.set_threshold(GC_THRESHOLD)
        plugins = [Settle(request["imports"]), Selection()]
        if request["shuffle"] is not None:
            order = Order(request["shuffle"])
            hook = pytest.hookimpl(trylast=True)
            Order.pytest_collection_modifyitems = hook(Order.pytest_collection_modifyitems)
            plugins.append(order)
        code = int(pytest.main(request["arguments"], plugins))
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        import traceback
        traceback.print_exc()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code & 0xFF)


def start_child(request, report, warm):
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        os.close(report)
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        if not warm:
            script = sys.orig_argv[sys.orig_argv.index("-c") + 1]
            os.execv(sys.executable, [sys.executable, "-c", script, "once", json.dumps(request)])
        set_dumpable(1)
        run_tests(request)
    finally:
        os._exit(125)


def start_compiler(request, report):
    """Of a warm process before its first run: nothing of the repository has been, or will be,
    imported there."""
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        os.close(report)
        os.close(0)
        os.chdir(WORK)
        with Apart():
            compile_sources(request)
    finally:
        os._exit(0)


def others():
    """Live processes that are neither this one nor an ancestor of it."""
    spared, pid = {1}, os.getpid()
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                table[int(name)] = (fields[0], int(fields[1]))
            except (OSError, IndexError):
                pass
    while pid and pid not in spared:
        spared.add(pid)
        pid = table.get(pid, (b"", 0))[1]
    return [pid for pid, (state, _) in table.items() if pid not in spared and state != b"Z"]


def kill_leftovers():
    limit = time.monotonic() + SETTLE_S_MAX
    while time.monotonic() < limit:
        left = others()
        if not left:
            return True
        if os.getppid() == 1:
            try:
                os.kill(-1, signal.SIGKILL)  # at once: a fork bomb cannot outrun it
            except ProcessLookupError:
                pass
        else:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        time.sleep(0.002)
    return False


def cut_log(path, bytes_max):
    """Keeps head and tail of a long log, in place: the file system may be full."""
    try:
        log = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        size = os.fstat(log).st_size
        if size > bytes_max:
            half = bytes_max // 2 - 64
            tail = os.pread(log, half, size - half)
            mark = b"\n[... %d bytes cut ...]\n" % (size - 2 * half)
            os.pwrite(log, mark + tail, half)
            os.ftruncate(log, half + len(mark) + len(tail))
    finally:
        os.close(log)


def serve():
    report = os.dup(1)
    null = os.open("/dev/null", os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    set_dumpable(0)
    os.chdir("/")
    lines = os.fdopen(0, "rb", closefd=False)

    def answer(value):
        os.write(report, json.dumps(value).encode() + b"\n")

    loader = Loader()
    why = warm_up(loader)
    gc.freeze()  # never looked at again, and so not copied when a child collects
    gc.enable()
    ran = False
    answer({})
    for line in lines:
        request = json.loads(line)
        if "compile" in request:
            if not why and not ran:
                os.waitpid(start_compiler(request["compile"], report), 0)
            answer({})
            continue
        ran = True
        os.makedirs(os.path.dirname(request["log"]), 0o700, exist_ok=True)
        why = why or loader.load(request["imports"])
        try:
            place_unicode_tables()
        except OSError:
            pass  # the run finds a full file system as well
        _, status, usage = os.wait4(start_child(request, report, not why), 0)
        settled = kill_leftovers()
        cut_log(request["log"], request["log_bytes_max"])
        answer({"exit": os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1,
                "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
                "cpu_ms": int((usage.ru_utime + usage.ru_stime) * 1000), "settled": settled,
                "cold": why})


if sys.path and sys.path[0] == "":
    del sys.path[0]
if sys.argv[1:2] == ["once"]:
    run_tests(json.loads(sys.argv[2]))
else:
    serve()
