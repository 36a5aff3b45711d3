"""Other people's programs that tests run; a test skips loudly where one is missing."""
import os
import shutil
import subprocess
import sys

import pytest

from stubs import ROOT


def find_program(name):
    """Where the set-up puts it (environment, .cache/prometheus), or on the path."""
    folders = [os.path.join(sys.prefix, "bin"), os.path.join(ROOT, ".cache", "prometheus", "usr", "bin"),
               *os.environ.get("PATH", "").split(os.pathsep)]
    return shutil.which(name, path=os.pathsep.join(folders)) or pytest.skip(f"SKIPPED: no program {name}")


def grpcurl(server, *words, data=None):
    """Its output for `words` after the address: a method to call with `data` (JSON), "list", or "describe" and a name."""
    flags = [] if data is None else ["-d", data]
    done = subprocess.run([find_program("grpcurl"), "-plaintext", *flags, server.grpc_address, *words],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
