"""Generates the package taskmint.v1: make_stubs.py PROTO_FOLDER OUT PROTOC PLUGIN.

Generated modules import each other by the paths of their .proto files, and a top-level package
"proto" would be somebody else's; so the records are copied to taskmint/v1 first.
"""

import pathlib
import shutil
import subprocess
import sys


def main(proto_folder: str, out: str, protoc: str, plugin: str) -> None:
    shutil.rmtree(out, ignore_errors=True)
    package = pathlib.Path(out) / "taskmint" / "v1"
    package.mkdir(parents=True)
    names = []
    for path in sorted(pathlib.Path(proto_folder).glob("*.proto")):
        text = path.read_text().replace('import "proto/', 'import "taskmint/v1/')
        (package / path.name).write_text(text)
        names.append(f"taskmint/v1/{path.name}")
    subprocess.run([protoc, "-I", out, f"--python_out={out}", f"--grpc_out={out}",
                    f"--plugin=protoc-gen-grpc={plugin}", *names], check=True)
    (package / "__init__.py").write_text('"""The records and stubs, generated."""\n')
    for left in [*package.glob("*.proto"), *package.glob("*_pb2_grpc.py")]:
        if left.suffix == ".proto" or left.name != "services_pb2_grpc.py":
            left.unlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
