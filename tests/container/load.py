"""Closed load on a server, by the benchmark's own client (bench/served_load.cc), and a single call."""
import os
import subprocess

import grpc
from stubs import ROOT, octet_grpc, octet_pb2

CLIENTS = 16
SERVED_LOAD = os.path.join(ROOT, "build", "bench", "served_load")
OPTIONS = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own


def embed(address, batch):
    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        return octet_grpc.TextEncoderStub(channel).Embed(octet_pb2.EmbedRequest(texts=batch, as_floats=True), timeout=60)


def tokens_per_second(container, seconds):
    """What the server answers under the load, texts of one message each; after a second of warming up."""
    done = subprocess.run([SERVED_LOAD, container.grpc_address, "closed", str(CLIENTS), str(seconds)],
                          capture_output=True, text=True, timeout=seconds + 60, check=True)
    tokens = 0
    for line in done.stdout.splitlines():
        num_tokens, _, code = line.split()
        assert code == "0", f"a call failed: {done.stderr[:1000]}"
        tokens += int(num_tokens)
    return tokens / seconds
