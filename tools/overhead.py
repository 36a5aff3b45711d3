#!/usr/bin/env python3
"""Starts a server and runs bench/call_overhead against it: what a call costs beside its work, idle server.

    make overhead
"""
import subprocess

from octet_tools import bench_program, parse_arguments


def main():
    args = parse_arguments(__doc__, lambda parser: parser.add_argument("--calls", default="2000"))
    from octet_server import OctetServer
    with OctetServer("--threads", args.threads) as server:
        subprocess.run([bench_program("call_overhead"), server.grpc_address, args.calls], check=True)


if __name__ == "__main__":
    main()
