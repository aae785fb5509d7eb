"""Compiled modules that pretend to belong to sources they do not come from."""
import importlib.util
import marshal
import os
import struct
import subprocess
import sys

from attack import left, refused, through, write

SOURCE = "def answer():\n    return 'honest'\n"
FORGED = "open('/tmp/taskmint-attack-ran', 'a').close()\ndef answer():\n    return 'forged'\n"
for name in ("answer_module", "test_answer", "conftest"):
    write(f"{name}.py", SOURCE)
    os.utime(f"{name}.py", (1_000_000_000, 1_000_000_000))
    head = importlib.util.MAGIC_NUMBER + struct.pack("<III", 0, 1_000_000_000, len(SOURCE))
    unchecked = importlib.util.MAGIC_NUMBER + struct.pack("<I", 1) + b"attacked"
    body = marshal.dumps(compile(FORGED, f"{name}.py", "exec"))
    os.makedirs("__pycache__", exist_ok=True)
    path = importlib.util.cache_from_source(f"{name}.py")
    with open(path, "wb") as file:
        file.write((unchecked if name == "conftest" else head) + body)
    with open(path.replace(".pyc", "-pytest-7.4.0.pyc"), "wb") as file:
        file.write(head + body)
code = "import sys; sys.path.insert(0, '.'); import answer_module; print(answer_module.answer())"
naive = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=False)
left(f"__pycache__ that a plain import takes for the source: {naive.stdout.decode().strip()}")
# Of the host's own modules none may be replaced.
for module in (subprocess, os):
    folder = os.path.join(os.path.dirname(module.__file__), "__pycache__")
    path = os.path.join(folder, f"attack.{sys.implementation.cache_tag}.pyc")
    try:
        with open(path, "xb"):
            os.unlink(path)
    except OSError as error:
        refused(path, error)
    else:
        through(f"{path} can be planted")
