#!/usr/bin/env python3
"""What serving costs over the engine alone, and latency under load: bench/served_load against a server of its own.

    make served [ARGS="--seconds 20"]

Closed load: 16 clients, one text a call. Server CPU time per token, next to the CPU time of the engine (octet bench
--requests) for texts of the same kind in batches of as many tokens as the server's were on average, by turns. Then open load at
half that rate: every call's time from when it was due, less the engine's time for that text alone.
"""
import json
import math
import random
import statistics
import subprocess
import tempfile
import time

from octet_tools import bench_program, parse_arguments

CLIENTS = 16
MAX_TOKENS = 256


def cpu_seconds(pid):
    """User and system time of a process so far, to the nanosecond."""
    return time.clock_gettime(~pid << 3 | 2)  # Linux's number for a process's CPU clock: clock_getcpuclockid(3)


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


class Engine:
    """octet bench --requests: forward passes over token ids."""

    def __init__(self, args, precision="int8"):
        self.process = subprocess.Popen(
            [args.binary, "bench", "--requests", "--model", args.model, "--threads", args.threads,
             "--precision", precision],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.random = random.Random(1)
        self.run([[8]], 1)  # the model is loaded when the first answer is here

    def run(self, batches, repetitions):
        """Batches of text lengths: (milliseconds of each repetition, CPU seconds of all)."""
        ids = [[[self.random.randrange(1000, 20000) for _ in range(length)] for length in batch] for batch in batches]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            json.dump({"batches": ids, "warmup": 0, "reps": repetitions}, f)
            f.flush()
            before = cpu_seconds(self.process.pid)
            self.process.stdin.write(f.name + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
            return answer["ms"], cpu_seconds(self.process.pid) - before

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def load(address, *arguments):
    """Calls of bench/served_load: [(tokens, milliseconds)]; every one must have been answered."""
    out = subprocess.run([bench_program("served_load"), address, *map(str, arguments)], check=True,
                         capture_output=True, text=True).stdout
    calls = [line.split() for line in out.splitlines()]
    failed = sum(code != "0" for _, _, code in calls)
    if failed:
        print(f"{failed} of {len(calls)} calls failed")
    return [(int(tokens), float(ms)) for tokens, ms, code in calls if code == "0"]


def load_closed(server, seconds, models=()):
    """Calls, how many of them and of their tokens a second, the server's CPU time per token in us, tokens and texts of a batch."""
    before, cpu_before = server.metrics(), cpu_seconds(server.process.pid)
    calls = load(server.grpc_address, "closed", CLIENTS, seconds, *([",".join(models)] if models else []))
    after, cpu = server.metrics(), cpu_seconds(server.process.pid) - cpu_before

    def grown(name):
        return after.sum(name) - before.sum(name)

    tokens, batches = grown("octet_batch_tokens_sum"), grown("octet_batch_tokens_count")
    return {"calls": calls, "calls/s": len(calls) / seconds, "tokens/s": sum(n for n, _ in calls) / seconds,
            "server": 1e6 * cpu / tokens, "batch tokens": tokens / batches,
            "batch texts": grown("octet_batch_size_sum") / batches}


def measure_closed(server, engine, seconds):
    """One round: what load_closed says, and the engine's CPU time per token in us."""
    result = load_closed(server, seconds)
    # The engine on batches like the server's: that many texts, of the lengths that the calls had.
    texts = max(1, round(result["batch texts"]))
    lengths = [n for n, _ in result["calls"]][:256 * texts]
    engine_batches = [lengths[i:i + texts] for i in range(0, len(lengths), texts)]
    repetitions = 3
    _, engine_cpu = engine.run(engine_batches, repetitions)
    return {**result, "engine": 1e6 * engine_cpu / (repetitions * sum(lengths))}


def report_closed(server, engine, rounds, seconds):
    """Server and engine by turns, since the clock moves; prints medians and returns the calls per second."""
    results = [measure_closed(server, engine, seconds) for _ in range(rounds)]

    def median(key):
        return statistics.median(r[key] for r in results)

    ms = [t for r in results for _, t in r["calls"]]
    ratios = sorted(r["engine"] / r["server"] for r in results)
    print(f"closed, {CLIENTS} clients, median of {rounds} rounds: {median('calls/s'):.0f} calls/s, "
          f"{median('tokens/s'):.0f} tokens/s; median {percentile(ms, 0.5):.2f} ms, p99 {percentile(ms, 0.99):.2f} ms; "
          f"batches of {median('batch tokens'):.0f} tokens in {median('batch texts'):.1f} texts")
    print(f"CPU time per token: server {median('server'):.2f} us, engine {median('engine'):.2f} us: engine / server "
          f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})")
    return median("calls/s")


def measure_open(server, engine, rate, seconds):
    # The engine's time of one text, by length, between measured lengths by straight lines.
    grid = [4, 8, 16, 24, 32, 48, 64, 96, 128, 192, MAX_TOKENS]
    alone = []
    for length in grid:
        ms, _ = engine.run([[length]], 15)
        alone.append(percentile(ms, 0.5))

    def engine_ms(tokens):
        above = next(i for i, length in enumerate(grid) if length >= tokens)
        if above == 0:
            return alone[0]
        low, high = grid[above - 1], grid[above]
        return alone[above - 1] + (alone[above] - alone[above - 1]) * (tokens - low) / (high - low)

    calls = load(server.grpc_address, "open", math.ceil(rate), seconds)
    ms = [t for _, t in calls]
    above = [t - engine_ms(n) for n, t in calls]
    print(f"open, {rate:.0f} calls/s: median {percentile(ms, 0.5):.2f} ms, p99 {percentile(ms, 0.99):.2f} ms; "
          f"over the engine's time for the text alone: median {percentile(above, 0.5):.2f} ms")


def main():
    def add(parser):
        parser.add_argument("--seconds", type=int, default=4, help="of each round, and half of the open load")
        parser.add_argument("--rounds", type=int, default=7)

    args = parse_arguments(__doc__, add)
    from octet_server import OctetServer
    engine = Engine(args)
    with OctetServer("--threads", args.threads) as server:
        rate = report_closed(server, engine, args.rounds, args.seconds)
        measure_open(server, engine, rate / 2, 2 * args.seconds)
    engine.close()


if __name__ == "__main__":
    main()
