"""Generates and imports the messages of forelock.proto. Needs Debian's python3-grpcio and python3-grpc-tools."""

import importlib
import os
import pathlib
import re
import sys
import tempfile

# Debian 12's generator (protoc 3.5) is older than its runtime, whose fast implementation refuses such code.
os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")

from grpc_tools import protoc  # noqa: E402 (the line above must come first)

PROTO = pathlib.Path(__file__).resolve().parents[2] / "packages" / "protocol" / "forelock.proto"
OPTIONAL = re.compile(r"^(\s*)optional (\w+) (\w+) = (\d+);", re.MULTILINE)


def load():
    """Returns the modules (messages, services), generated from the schema into a folder that goes away with this process."""
    with tempfile.TemporaryDirectory(prefix="forelock-python-") as folder:
        # `optional` came to proto3 with protoc 3.15. A oneof with one field is what it stands for: the same bytes on the wire.
        schema = OPTIONAL.sub(r"\1oneof _\3 { \2 \3 = \4; }", PROTO.read_text())
        copy = pathlib.Path(folder, PROTO.name)
        copy.write_text(schema)
        outputs = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
        if protoc.main(["protoc", f"-I{folder}", *outputs, str(copy)]) != 0:
            raise SystemExit(f"protoc could not compile {PROTO}")
        sys.path.insert(0, folder)
        messages = importlib.import_module("forelock_pb2")
        services = importlib.import_module("forelock_pb2_grpc")
        sys.path.remove(folder)
        return messages, services
