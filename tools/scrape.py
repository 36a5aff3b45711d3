#!/usr/bin/env python3
"""Serves tiny models, calls each of them by two methods with two outcomes, and times scrapes of the metrics port.

    make scrape [ARGS="--models 10 --scrapes 200"]
"""
import os
import statistics
import subprocess
import tempfile
import time
import urllib.request

from octet_tools import ROOT, parse_arguments

WRITER = os.path.join(ROOT, "build", "tests", "model", "write_tiny_model")


def add_arguments(parser):
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--scrapes", type=int, default=200)


def call_all(server, names):
    """So that series of the usual methods and codes exist."""
    import grpc
    from stubs import octet_grpc, octet_pb2, tei_grpc, tei_pb2
    octet, tei = octet_grpc.TextEncoderStub(server.channel()), tei_grpc.EmbedStub(server.channel())
    for name in names:
        octet.Embed(octet_pb2.EmbedRequest(model=name, texts=["a"]), timeout=60)
        tei.Embed(tei_pb2.EmbedRequest(inputs="a"), metadata=[("octet-model", name)], timeout=60)
        try:
            octet.Embed(octet_pb2.EmbedRequest(model=name), timeout=60)
        except grpc.RpcError:
            pass  # refused, which is a series as well


def scrape(url):
    """(milliseconds, bytes, lines that are samples)."""
    start = time.perf_counter()
    with urllib.request.urlopen(url, timeout=60) as response:
        text = response.read()
    return 1e3 * (time.perf_counter() - start), len(text), sum(not line.startswith(b"#") for line in text.splitlines())


def main():
    args = parse_arguments(__doc__, add_arguments)
    from octet_server import OctetServer
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([WRITER, directory, "0"], check=True)
        models = {f"model{i}": directory for i in range(args.models)}
        with OctetServer("--threads", args.threads, models=models) as server:
            call_all(server, models)
            url = f"http://{server.metrics_address}/metrics"
            cpu_before = server.metrics().sum("process_cpu_seconds_total")
            times, sizes, samples = zip(*(scrape(url) for _ in range(args.scrapes)))
            cpu_s = server.metrics().sum("process_cpu_seconds_total") - cpu_before
            ordered = sorted(times)
            print(f"{args.models} models: {samples[-1]} samples, {sizes[-1] / 1024:.0f} KiB; a scrape takes "
                  f"{1e3 * cpu_s / (args.scrapes + 1):.1f} ms of the server's CPU time, {statistics.median(times):.1f} "
                  f"ms in all (median; shortest {ordered[0]:.1f}, longest of {args.scrapes} {ordered[-1]:.1f})")


if __name__ == "__main__":
    main()
