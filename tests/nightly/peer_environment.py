"""Virtual environments that hold somebody else's package, and runs of the real binary."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77


def _make(python: str, folder: str, requirement: str) -> str:
    inside = os.path.join(folder, "venv", "bin", "python")
    uv = os.environ.get("TASKMINT_UV") or shutil.which("uv")
    if uv:
        environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
        subprocess.run([uv, "venv", "-q", "--python", python, os.path.join(folder, "venv")],
                       check=True, env=environment)
        subprocess.run([uv, "pip", "install", "-q", "--python", inside, requirement], check=True,
                       env=environment)
    else:
        subprocess.run([python, "-m", "venv", os.path.join(folder, "venv")], check=True)
        subprocess.run([inside, "-m", "pip", "--disable-pip-version-check", "install", "-q",
                        requirement], check=True)
    return inside


def enter(program: str, requirement: str, python: str = sys.executable) -> None:
    """Runs `program`, which must see PEER_TEST, where the package is. Does not return."""
    with tempfile.TemporaryDirectory(prefix="taskmint-peer-") as folder:
        inside = _make(python, folder, requirement)
        # Nothing of the package may ask for models, data sets or telemetry over the network.
        code = subprocess.run(
            [inside, program, *sys.argv[1:]], check=False,
            env={**os.environ, "PEER_TEST": folder, "HOME": folder, "HF_HUB_OFFLINE": "1",
                 "LITELLM_LOCAL_MODEL_COST_MAP": "True"}).returncode
    sys.exit(code)


def is_inside() -> bool:
    return bool(os.environ.get("PEER_TEST"))


class Taskmint:
    """The binary, on a copy of a store."""

    def __init__(self, binary: str, toy_store: str, folder: str):
        self.binary, self.store = binary, os.path.join(folder, "store")
        shutil.copytree(os.path.join(toy_store, "store"), self.store,
                        ignore=shutil.ignore_patterns("cache"))

    def run(self, *arguments: str, **settings) -> str:
        done = subprocess.run([self.binary, *arguments, "--store", self.store], check=False,
                              capture_output=True, text=True, **settings)
        if done.returncode != 0:
            raise AssertionError(f"taskmint {arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    def json(self, *arguments: str):
        return json.loads(self.run(*arguments, "--json"))

    def export(self, form: str, out: str) -> pathlib.Path:
        proof = [] if form == "atif" else ["--no-prove"]
        self.run("export", "--format", form, *proof, "--licence-unknown-ok", "--out", out)
        return pathlib.Path(out)
