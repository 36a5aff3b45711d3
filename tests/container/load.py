"""Closed load on a server: clients that each send the next text when they have the answer."""
import itertools
import json
import os
import threading
import time

import grpc
from metrics_text import scrape
from stubs import ROOT, octet_grpc, octet_pb2

CLIENTS = 16
OPTIONS = [("grpc.use_local_subchannel_pool", 1)]  # one connection each


def texts():
    """Those of the golden sentences that every model takes: some are longer on purpose."""
    path = os.path.join(ROOT, "tests", "golden", "sentences.jsonl")
    with open(path, encoding="utf-8") as f:
        return [text for text in (json.loads(line)["text"] for line in f) if 0 < len(text) <= 200]


def embed(address, batch):
    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        return octet_grpc.TextEncoderStub(channel).Embed(octet_pb2.EmbedRequest(texts=batch, as_floats=True), timeout=60)


def tokens_per_second(container, seconds):
    """What the server computes under the load; after a second of warming up."""
    stop = threading.Event()
    threads = [threading.Thread(target=_call, args=(container.grpc_address, client, stop)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1)
        tokens, start = scrape(container.metrics_address).sum("octet_tokens_total"), time.monotonic()
        time.sleep(seconds)
        more, end = scrape(container.metrics_address).sum("octet_tokens_total"), time.monotonic()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return (more - tokens) / (end - start)


def _call(address, client, stop):
    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        stub = octet_grpc.TextEncoderStub(channel)
        for text in itertools.islice(itertools.cycle(texts()), client * 7, None):
            if stop.is_set():
                return
            stub.Embed(octet_pb2.EmbedRequest(texts=[text]), timeout=60)
