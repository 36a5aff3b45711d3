"""Python stubs of octet's protos, generated at import into a temporary folder, as a caller would make them."""
import atexit
import importlib
import os
import shutil
import sys
import tempfile

import grpc_tools
from grpc_tools import protoc

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, os.pardir))
PROTO_DIR = os.path.join(ROOT, "proto")
WELL_KNOWN_DIR = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")


def _generate():
    out = tempfile.mkdtemp(prefix="octet-stubs-")
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    for proto in ("octet/admin/v1/admin.proto", "octet/v1/text_encoder.proto", "tei/v1/tei.proto"):
        status = protoc.main(["protoc", f"-I{PROTO_DIR}", f"-I{WELL_KNOWN_DIR}", f"--python_out={out}", f"--grpc_python_out={out}",
                              os.path.join(PROTO_DIR, proto)])
        if status != 0:
            raise RuntimeError(f"protoc failed on {proto}")
    sys.path.insert(0, out)


_generate()
admin_pb2 = importlib.import_module("octet.admin.v1.admin_pb2")
admin_grpc = importlib.import_module("octet.admin.v1.admin_pb2_grpc")
octet_pb2 = importlib.import_module("octet.v1.text_encoder_pb2")
octet_grpc = importlib.import_module("octet.v1.text_encoder_pb2_grpc")
tei_pb2 = importlib.import_module("tei.v1.tei_pb2")
tei_grpc = importlib.import_module("tei.v1.tei_pb2_grpc")

EMBED = "/octet.v1.TextEncoder/Embed"
EMBED_STREAM = "/octet.v1.TextEncoder/EmbedStream"
TEI_EMBED = "/tei.v1.Embed/Embed"
