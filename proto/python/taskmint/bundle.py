"""A local repository as a git bundle, which a server takes instead of a path."""

import os
import pathlib
import re
import subprocess
import tempfile

CHUNK_BYTES = 1 << 20


def bundle_of(source: str) -> tuple[str, bytes]:
    """A portable name and the bundle's bytes, of a repository or of a bundle file."""
    path = pathlib.Path(source).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"{source}: neither a repository, nor a bundle, nor a URL")
    real = path.resolve()
    name = re.sub(r"\.(git|bundle)$", "", real.parent.name if real.name == ".git" else real.name)
    name = re.sub(r"[^A-Za-z0-9._~+-]", "-", name).lstrip(".") or "repository"
    if path.is_file():
        return name, path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        bundle = os.path.join(folder, "history.bundle")
        made = subprocess.run(["git", "-C", str(path), "bundle", "create", bundle, "HEAD", "--all"],
                              capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise ValueError(f"git cannot bundle {source}: {made.stderr.strip()}")
        return name, pathlib.Path(bundle).read_bytes()
