#!/usr/bin/env python3
"""Open load on servers of the Open Inference Protocol, by turns: one text a call, lengths as in W4.

    python served.py NAME=HOST:PORT/MODEL ... [--rates 50,100,200] [--seconds 8]     (needs tritonclient[grpc])

Calls come at random times (exponential distances), `rate` a second on average, whatever the server does; a call's time counts
from when it was due, so that a server which falls behind is seen to (no coordinated omission). A server whose 99th
percentile was above a second is not asked for higher rates. Before that, the servers' vectors of the same texts are compared.
The load is made by one Python thread and takes CPU time beside the server: the same for each.
"""
import argparse
import asyncio
import random
import statistics
import time

import numpy as np
import tritonclient.grpc.aio as triton

import workloads

WORDS = ("the of and to in a is that for it was on are as with his they at be this from have or by one had not but what all "
         "were when we there can an your which their said if do will each about how up out them then she many some so these "
         "would other into has more her two like him see time could no make than first been its who now people my made over "
         "did down only way find use may water long little very after words called just where most know").split()


def texts(count, seed):
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=max(1, n - 2))) for n in workloads.lognormal_lengths(count, seed)]


class Server:
    def __init__(self, spec):
        self.name, rest = spec.split("=", 1)
        address, self.model = rest.rsplit("/", 1)
        self.client = triton.InferenceServerClient(address)
        self.saturated = False

    async def embed(self, text):
        tensor = triton.InferInput("text", [1, 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[text.encode()]], object))
        answer = await self.client.infer(self.model, [tensor])
        return answer.as_numpy("embedding")[0]


async def open_load(server, rate, seconds, seed):
    """Milliseconds of every call from when it was due, and seconds until the last answer."""
    rng = random.Random(seed)
    due, dues = 0.0, []
    while (due := due + rng.expovariate(rate)) < seconds:
        dues.append(due)
    inputs, ms, begin = texts(len(dues), seed), [], time.perf_counter()

    async def call(text, due):
        await server.embed(text)
        ms.append(1e3 * (time.perf_counter() - begin - due))

    tasks = []
    for text, due in zip(inputs, dues):
        await asyncio.sleep(max(0.0, begin + due - time.perf_counter()))
        tasks.append(asyncio.create_task(call(text, due)))
    await asyncio.gather(*tasks)
    return ms, time.perf_counter() - begin


async def run(args):
    servers = [Server(spec) for spec in args.servers]
    vectors = [[await server.embed(text) for text in texts(20, 1)] for server in servers]
    for server, others in zip(servers[1:], vectors[1:]):
        cosines = [float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in zip(vectors[0], others)]
        print(f"{server.name}: cosine with {servers[0].name}'s vectors at least {min(cosines):.4f}")
    for rate in map(int, args.rates.split(",")):
        for server in servers:
            if server.saturated:
                continue
            await open_load(server, rate, 1, 2)
            ms, seconds = await open_load(server, rate, args.seconds, 3)
            ms.sort()
            p99 = ms[int(0.99 * len(ms))]
            server.saturated = p99 > 1000
            print(f"{rate:5d} calls/s  {server.name:24s} answered {len(ms) / seconds:6.1f}/s  median {statistics.median(ms):8.2f} ms  "
                  f"p90 {ms[int(0.9 * len(ms))]:8.2f}  p99 {p99:8.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("servers", nargs="+", metavar="NAME=HOST:PORT/MODEL")
    parser.add_argument("--rates", default="50,100,200,300,400,600,800")
    parser.add_argument("--seconds", type=float, default=8)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
