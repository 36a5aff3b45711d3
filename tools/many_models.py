#!/usr/bin/env python3
"""What a server does, and keeps in memory, by how many models it has: copies of one, which calls ask for by turns.

    make many-models [ARGS="--counts 1,16 --rounds 5"]

16 clients, one text a call; servers take turns.
"""
import statistics

from octet_tools import parse_arguments


def add_arguments(parser):
    parser.add_argument("--counts", default="1,2,4,8,16", help="numbers of models")
    parser.add_argument("--seconds", type=int, default=4, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)


def main():
    args = parse_arguments(__doc__, add_arguments)
    from octet_server import OctetServer
    from served import load_closed, percentile
    counts = [int(count) for count in args.counts.split(",")]
    rounds = {count: [] for count in counts}
    for _ in range(args.rounds):
        for count in counts:
            models = {f"model-{i}": args.model for i in range(count)}
            with OctetServer("--threads", args.threads, models=models) as server:
                result = load_closed(server, args.seconds, list(models))
                milliseconds = [ms for _, ms in result["calls"]]
                rounds[count].append({**result, "median": percentile(milliseconds, 0.5), "p99": percentile(milliseconds, 0.99),
                                      "MiB": server.rss_mib()})
    columns = (("calls/s", 0), ("tokens/s", 0), ("median", 1), ("p99", 1), ("server", 1), ("batch tokens", 0), ("MiB", 0))
    print("models" + "".join(f"{name:>14}" for name, _ in columns) + "    (median, p99: ms; server: us of CPU a token)")
    for count in counts:
        medians = (f"{statistics.median(r[name] for r in rounds[count]):14.{digits}f}" for name, digits in columns)
        print(f"{count:6}" + "".join(medians))


if __name__ == "__main__":
    main()
