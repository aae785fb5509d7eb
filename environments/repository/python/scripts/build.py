"""Makes /venv from locked files: the packages, the project's metadata, and where its sources lie.

Equal input gives equal files: nothing that differs from build to build is left behind, nor byte
code, which is made where the layer is used.
"""
import csv
import glob
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from locking import Refusal, explained
from package_index import NoNetwork, normal

VENV = "/venv"
TOOLS = "/tmp/set-up"  # what the set-up script finds beside the base's
# Written by installers: paths and times of this build.
LEFT_BY_INSTALLERS = ("direct_url.json", "uv_cache.json", "uv_build.json", "REQUESTED")
PIP = """
import os, sys
arguments = sys.argv[1:]
if arguments[:1] == ["install"] and os.environ.get("UV_NO_INDEX"):  # uv itself does not read it
    arguments.insert(1, "--no-index")
os.execv("%(uv)s", ["%(uv)s", "pip", *arguments])
"""
HYPOTHESIS = """
from hypothesis.configuration import set_hypothesis_home_dir
set_hypothesis_home_dir(%r)
from hypothesis.internal import charmap
charmap.charmap()
charmap.intervals_from_codec("utf-8")
"""


def run(command, hosts=None, **rest):
    """`hosts`: what the command may fetch from; None where it fetches nothing."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False,
                          **rest)
    if done.returncode != 0:
        message = done.stderr or done.stdout
        if hosts is not None:
            message = explained(message, hosts)
        raise Refusal(one_line(message))
    return done.stdout


def one_line(message):
    text = " | ".join(message.split("\n")).strip(" |")
    return text if len(text) <= 1500 else text[:300] + " ... " + text[-1200:]


def install(recipe, request):
    run([request["uv"], "venv", "-q", "--no-config", "--no-managed-python",
         "--no-python-downloads", "--allow-existing", "--python", request["python"], VENV])
    base = [request["uv"], "pip", "install", "-q", "--no-config", "--no-deps", "--python", VENV,
            "--link-mode", "copy", "--no-managed-python", "--no-python-downloads"]
    path = {entry["sha256"]: "/files/%s/%s" % (entry["sha256"], entry["file"])
            for entry in recipe["packages"]}
    wheels = [path[entry["sha256"]] for entry in recipe["packages"] if entry["kind"] == "wheel"]
    sources = [entry for entry in recipe["packages"] if entry["kind"] != "wheel"]
    if wheels:
        run(base + ["--offline", "--no-index", *wheels])
    dates = ["--exclude-newer", max(recipe["date"], request["tools_date"])]
    for entry in sources:
        try:
            run(base + dates + [path[entry["sha256"]]], request["hosts"])
        except Refusal as error:
            raise Refusal("%s %s cannot be built: %s"
                          % (entry["name"], entry["version"], error)) from error


def site_packages():
    return run([VENV + "/bin/python", "-c",
                "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()


def remove_own_modules(site, plan):
    """Another release of the project, or a copy of its modules, would give the fix away."""
    for info in glob.glob(site + "/*-info"):
        stem = os.path.basename(info).rsplit("-", 2)[0]
        if plan["name"] and normal(stem) == normal(plan["name"]):
            remove_distribution(site, info)
    for module in plan["modules"]:
        copy = os.path.normpath(os.path.join(site, module))
        if not copy.startswith(site + "/") or not os.path.lexists(copy):
            continue
        shutil.rmtree(copy) if os.path.isdir(copy) and not os.path.islink(copy) else os.unlink(copy)


def remove_distribution(site, info):
    try:
        with open(info + "/RECORD", encoding="utf-8", newline="") as file:
            paths = [row[0] for row in csv.reader(file) if row]
    except OSError:
        paths = []
    for path in paths:
        full = os.path.normpath(os.path.join(site, path))
        if full.startswith(VENV + "/") and os.path.lexists(full) and not os.path.isdir(full):
            os.unlink(full)
    shutil.rmtree(info, ignore_errors=True)


def write_metadata(site, plan):
    """A dist-info of the project: name, version and entry points, without any of its code."""
    if plan["name"]:
        stem = re.sub(r"[-_.]+", "_", plan["name"])
        info = "%s/%s-%s.dist-info" % (site, stem, plan["version"])
        os.makedirs(info, exist_ok=True)
        with open(info + "/METADATA", "w", encoding="utf-8") as file:
            file.write("Metadata-Version: 2.1\nName: %s\nVersion: %s\n"
                       % (plan["name"], plan["version"]))
            file.writelines("Requires-Dist: %s\n" % line for line in plan["requires"])
        with open(info + "/entry_points.txt", "w", encoding="utf-8") as file:
            for kind, table in sorted(plan["entry_points"].items()):
                file.write("[%s]\n" % kind)
                file.writelines("%s = %s\n" % item for item in sorted(table.items()))
        with open(info + "/INSTALLER", "w", encoding="utf-8") as file:
            file.write("taskmint\n")
        with open(info + "/RECORD", "w", encoding="utf-8") as file:
            file.write("")
        for name, target in sorted(plan["entry_points"].get("console_scripts", {}).items()):
            write_script(name, target)
    with open(site + "/_roots.pth", "w", encoding="utf-8") as file:
        for root in plan["roots"]:
            file.write(os.path.normpath("/work/" + root) + "\n")


def write_script(name, target):
    module, _, function = target.partition("[")[0].strip().partition(":")
    if not re.fullmatch(r"[\w.-]+", name) or not re.fullmatch(r"[\w.]+", module) or \
            not re.fullmatch(r"[\w.]+", function):
        return
    path = "%s/bin/%s" % (VENV, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!%s/bin/python\nimport sys\nfrom %s import %s\n"
                   "if __name__ == \"__main__\":\n    sys.exit(%s())\n"
                   % (VENV, module, function.split(".")[0], function))
    os.chmod(path, 0o755)


def make_equal(site):
    for name in (".lock", ".gitignore", "CACHEDIR.TAG"):
        if os.path.exists(VENV + "/" + name):
            os.unlink(VENV + "/" + name)
    for path in glob.glob(VENV + "/bin/*"):
        if re.match(r"(activate|deactivate|pydoc)", os.path.basename(path)):
            os.unlink(path)
    for info in glob.glob(site + "/*.dist-info"):
        for name in LEFT_BY_INSTALLERS:
            if os.path.exists(info + "/" + name):
                os.unlink(info + "/" + name)
        record = info + "/RECORD"
        if os.path.exists(record):
            with open(record, encoding="utf-8", newline="") as file:
                rows = [row for row in csv.reader(file) if row]
            rows = [row for row in rows if not row[0].endswith(LEFT_BY_INSTALLERS)
                    and os.path.lexists(os.path.join(site, row[0]))]
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(sorted(rows))
            with open(record, "w", encoding="utf-8", newline="") as file:
                file.write(text.getvalue())
    for folder, folders, names in os.walk(VENV):
        if "__pycache__" in folders:
            shutil.rmtree(os.path.join(folder, "__pycache__"))
            folders.remove("__pycache__")


def prepare(site):
    """What hypothesis computes at its first use, once: tables of Unicode. Nothing of it is needed,
    so nothing of it may fail."""
    if not os.path.isdir(site + "/hypothesis"):
        return
    variables = {**os.environ, "PYTHONHASHSEED": "0"}
    try:
        program = HYPOTHESIS % (VENV + "/share/hypothesis")
        subprocess.run([VENV + "/bin/python", "-B", "-c", program], cwd="/tmp", env=variables,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        pass
    for path in glob.glob(VENV + "/share/hypothesis/**/*.gz", recursive=True):
        with gzip.open(path) as file:
            content = file.read()
        with open(path, "wb") as file:
            file.write(gzip.compress(content, mtime=0))


def run_setup_script(recipe, request):
    """With `pip` and `python -m pip`, which are uv's, and versions as of the environment's date."""
    os.makedirs(TOOLS + "/bin")
    with open(TOOLS + "/pip.py", "w", encoding="utf-8") as file:
        file.write(PIP % {"uv": request["uv"]})
    for name in ("pip", "pip3"):
        with open("%s/bin/%s" % (TOOLS, name), "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\nexec %s %s/pip.py \"$@\"\n" % (request["python"], TOOLS))
        os.chmod("%s/bin/%s" % (TOOLS, name), 0o755)
    variables = dict(
        os.environ, VIRTUAL_ENV=VENV, PYTHONPATH=TOOLS, UV_LINK_MODE="copy", UV_NO_CONFIG="1",
        UV_PYTHON_DOWNLOADS="never", UV_EXCLUDE_NEWER=max(recipe["date"], request["tools_date"]),
        PATH=":".join([TOOLS + "/bin", VENV + "/bin", os.environ["PATH"]]))
    done = subprocess.run(["/bin/sh", "-eu", "-c", request["setup_script"]], cwd=request["tree"],
                          env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise Refusal("the set-up script failed with exit code %d: %s" % (
            done.returncode,
            one_line(explained(done.stdout, request["hosts"])) or "it printed nothing"))


def main():
    request = json.load(sys.stdin)
    recipe = request["recipe"]
    plan = recipe["plan"]
    try:
        install(recipe, request)
        site = site_packages()
        write_metadata(site, plan)
        if request["setup_script"]:
            run_setup_script(recipe, request)
        remove_own_modules(site, plan)
        write_metadata(site, plan)
        prepare(site)
        make_equal(site)
    except Refusal as error:
        json.dump({"refusal": str(error)}, sys.stdout)
        return
    except NoNetwork as error:
        json.dump({"offline": str(error)}, sys.stdout)
        return
    json.dump({}, sys.stdout)


main()
