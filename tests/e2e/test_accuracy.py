"""`make accuracy` as a test: STS-B within its bounds for every precision, where the data set is present."""
import os
import subprocess
import sys

import octet_server
from stubs import ROOT


def test_stsb_is_within_its_bounds(shared_data):
    tool = os.path.join(ROOT, "tools", "accuracy.py")
    stsb = os.path.join(shared_data, "stsbenchmark-en", "stsbenchmark.tsv")
    done = subprocess.run([sys.executable, "-B", tool, "--binary", octet_server.BINARY, "--model", octet_server.MODEL,
                           "--stsb", stsb], capture_output=True, text=True, timeout=900)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
