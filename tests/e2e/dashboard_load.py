"""A load that moves every panel: two models, all kinds of outcomes, a queue that fills and empties again."""
import threading

import grpc

from stubs import octet_grpc, octet_pb2

WORDS = "the quick brown fox jumps over the lazy dog a b c 7 of 9 x y z".split()
TEXTS_PER_CALL = 32
CLIENTS = 6  # times 32 texts: three times what the queue takes
LONG_BYTES = 60_000
REST_S = 0.3  # in which the queue is empty and shadows have time


def _texts(seed, count=TEXTS_PER_CALL):
    """Different texts, so that a share by hash is a share of them."""
    return [" ".join(WORDS[(seed + i * j) % len(WORDS)] for j in range(1, 4 + i % 9)) for i in range(count)]


class DashboardLoad:
    """Rounds of calls from threads of its own, from entering to leaving. Outcomes that are no surprise are ignored: the
    server counts them, which is what the dashboards are about."""

    def __init__(self, server):
        self._server = server
        self._stopped = threading.Event()
        jobs = [self._embed] * CLIENTS + [self._classify, self._cut, self._mistakes, self._impatient]
        self._threads = [threading.Thread(target=self._repeat, args=(job, i)) for i, job in enumerate(jobs)]
        self.surprises = []

    def _repeat(self, job, number):
        stub = octet_grpc.TextEncoderStub(self._server.channel())
        seed = number
        while not self._stopped.is_set():
            job(stub, seed)
            seed += len(self._threads)
            self._stopped.wait(REST_S)

    def _call(self, method, request, expected, timeout=60):
        try:
            method(request, timeout=timeout)
        except grpc.RpcError as error:
            if error.code() not in expected:
                self.surprises.append(f"{error.code()}: {error.details()}")

    def _embed(self, stub, seed):
        self._call(stub.Embed, octet_pb2.EmbedRequest(model="embed", texts=_texts(seed)),
                   {grpc.StatusCode.RESOURCE_EXHAUSTED})

    def _classify(self, stub, seed):
        inputs = [octet_pb2.TextInput(text=text) for text in _texts(seed, 8)]
        self._call(stub.Classify, octet_pb2.ClassifyRequest(model="topics", inputs=inputs),
                   {grpc.StatusCode.RESOURCE_EXHAUSTED})

    def _cut(self, stub, seed):
        text = (" ".join(_texts(seed)) + " ") * (LONG_BYTES // 500)
        self._call(stub.Embed, octet_pb2.EmbedRequest(model="embed", texts=[text[:LONG_BYTES]] * 8, truncate=True),
                   {grpc.StatusCode.RESOURCE_EXHAUSTED})

    def _mistakes(self, stub, _):
        self._call(stub.Embed, octet_pb2.EmbedRequest(model="embed"), {grpc.StatusCode.INVALID_ARGUMENT})
        self._call(stub.Embed, octet_pb2.EmbedRequest(model="nobody", texts=["a"]), {grpc.StatusCode.NOT_FOUND})
        self._call(stub.Embed, octet_pb2.EmbedRequest(model="topics", texts=["a"]),
                   {grpc.StatusCode.FAILED_PRECONDITION})

    def _impatient(self, stub, seed):
        request = octet_pb2.EmbedRequest(model="embed", texts=_texts(seed, 4))
        self._call(stub.Embed, request, {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}, 0.05)
        leaving = stub.Embed.future(request)
        self._stopped.wait(0.05)
        leaving.cancel()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        if kind is None:
            assert not self.surprises, self.surprises[:5]
