#!/usr/bin/env python3
"""Time from process start to ready (both addresses printed), warm page cache: median of 5 after one
unmeasured start.

    .venv/bin/python tools/startup.py --threads 2
"""
import statistics
import time

from octet_tools import parse_arguments


def add_arguments(parser):
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--runs", type=int, default=5)


def main():
    args = parse_arguments(__doc__, add_arguments)
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
