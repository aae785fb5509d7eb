"""Puts the client's wheel together: make_wheel.py VERSION SOURCE STUBS OUT_FOLDER.

A pure wheel is a zip file with three files of metadata (the binary distribution format of the
packaging specifications); no build backend is needed for that.
"""

import base64
import hashlib
import pathlib
import sys
import zipfile

METADATA = """Metadata-Version: 2.1
Name: taskmint
Version: {version}
Summary: Client of a Taskmint server: tasks, episodes and jobs by gRPC
License: Apache-2.0
Requires-Python: >=3.10
Requires-Dist: grpcio>=1.51
Requires-Dist: protobuf>=4.21
"""
WHEEL = """Wheel-Version: 1.0
Generator: taskmint
Root-Is-Purelib: true
Tag: py3-none-any
"""
TIME = (2020, 1, 1, 0, 0, 0)  # equal inputs give equal wheels


def main(version: str, source: str, stubs: str, out: str) -> None:
    files = {}
    for root in (source, stubs):
        for path in sorted(pathlib.Path(root, "taskmint").rglob("*.py")):
            files[path.relative_to(root).as_posix()] = path.read_bytes()
    info = f"taskmint-{version}.dist-info"
    files[f"{info}/METADATA"] = METADATA.format(version=version).encode()
    files[f"{info}/WHEEL"] = WHEEL.encode()
    record = ""
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(content)}\n"
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    wheel = pathlib.Path(out) / f"taskmint-{version}-py3-none-any.whl"
    wheel.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)


if __name__ == "__main__":
    main(*sys.argv[1:])
