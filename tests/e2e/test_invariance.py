"""The contract "same text, same bits", through the server: whoever shares the batch, whatever the number of
threads, the answer has the bits it has alone. Zero differing bytes.

OCTET_BINARY may name a build that breaks the contract on purpose (activation ranges per batch instead of
per token): this file must fail for it.
"""
import random
import threading

import numpy as np
import pytest

from cpu import precisions, supported_levels
from octet_server import OctetServer
from stubs import octet_pb2
from vectors import array_of

MAX_TOKENS = 256
WORDS = ("a the of river stone seven light under Zug café 東 мир ? , 42 x9 unbelievably kettle 😀 running "
         "photosynthesis http://a.b [MASK] Ω").split()

# A text of about this many words at each level; scalar is the plain reference and hundreds of times slower.
NUM_TEXTS = {"scalar": 8, "avx2": 400, "avx512": 700, "default": 10_000, "other": 1_000}


def make_texts(num, seed):
    """Every length up to the limit occurs, short ones most, as in real traffic: half the texts cycle
    through all lengths, half are log-normal with median 20. Truncated at the limit by the server."""
    rng = random.Random(seed)
    texts = []
    for i in range(num):
        num_words = 1 + i // 8 % MAX_TOKENS if i % 8 == 0 else min(MAX_TOKENS, int(rng.lognormvariate(2.6, 0.8)))
        texts.append(" ".join(rng.choice(WORDS) for _ in range(num_words)))
    return texts


def alone(server, texts):
    """[num_texts] bytes of every text's vector, one text a call, one call at a time: a batch of its own."""
    stub = server.stub()
    return [stub.Embed(octet_pb2.EmbedRequest(texts=[text], truncate=True), timeout=120).embeddings[0].values
            for text in texts]


class Hostiles:
    """Neighbours that do what could disturb others: all-maximum texts, extreme characters, nothing at all."""

    REQUESTS = [
        [" ".join(["extreme"] * 300)] * 2,
        [""] * 16,
        ["9" * 99, "!" * 600, "\U0010ffff " * 200, "[CLS][SEP][MASK]"],
    ]

    def __init__(self, server):
        self.stopped = threading.Event()
        self.failures = []
        self.threads = [threading.Thread(target=self.run, args=(server.stub(), texts)) for texts in self.REQUESTS]

    def run(self, stub, texts):
        request = octet_pb2.EmbedRequest(texts=texts, truncate=True)
        while not self.stopped.is_set():
            try:
                stub.Embed(request, timeout=120)
            except Exception as failure:  # handed to the test
                self.failures.append(failure)
                return

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        assert not self.failures, self.failures


def in_company(server, texts, seed, num_clients=4):
    """The same, shuffled, in calls of 1 to 64 texts from several clients at once, beside hostile ones."""
    rng = random.Random(seed)
    order = list(range(len(texts)))
    rng.shuffle(order)
    calls = []
    while order:
        size = rng.choice([1, 2, 3, 7, 16, 33, 64])
        calls.append(order[:size])
        del order[:size]
    got = [None] * len(texts)
    failures = []

    def client(mine):
        stub = server.stub()
        try:
            for indices in mine:
                answer = stub.Embed(octet_pb2.EmbedRequest(texts=[texts[i] for i in indices], truncate=True),
                                    timeout=120)
                for i, embedding in zip(indices, answer.embeddings, strict=True):
                    got[i] = embedding.values
        except Exception as failure:  # handed to the test
            failures.append(failure)

    threads = [threading.Thread(target=client, args=(calls[i::num_clients],)) for i in range(num_clients)]
    with Hostiles(server):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures, failures
    return got


def assert_same_bits(expected, got, texts, what):
    differing = [i for i, (a, b) in enumerate(zip(expected, got, strict=True)) if a != b]
    if differing:
        i = differing[0]
        a, b = (np.frombuffer(v, "<f4") for v in (expected[i], got[i]))
        raise AssertionError(f"{what}: {len(differing)} of {len(texts)} texts have other bits, first {texts[i][:60]!r}"
                             f" by {np.abs(a - b).max():.3g}")


def _cases():
    levels = supported_levels()
    for level in levels:
        for precision in precisions(level):
            if level == levels[-1] and precision == "int8":
                num = NUM_TEXTS["default"]
            else:
                num = NUM_TEXTS.get(level, NUM_TEXTS["other"])
            yield pytest.param(level, precision, num, id=f"{level}-{precision}-{num}")


@pytest.mark.parametrize("level,precision,num_texts", _cases())
def test_same_bits(level, precision, num_texts):
    """Every text alone and in company; a third of them, with texts of every length, at each number of threads."""
    texts = make_texts(num_texts, seed=7)
    expected = None
    for num_threads in (1, 2, 3):
        with OctetServer("--precision", precision, "--threads", num_threads, env={"OCTET_ISA": level}) as server:
            if expected is None:
                expected = alone(server, texts)
                assert len(set(expected)) > 0.5 * len(set(texts))  # different texts have different vectors
            third = slice(num_threads - 1, None, 3)
            got = in_company(server, texts[third], seed=num_threads)
            assert_same_bits(expected[third], got, texts[third], f"{num_threads} threads")
            samples = server.metrics()
            batches = samples.sum("octet_batch_size_count")
            assert samples.sum("octet_batch_size_sum") > batches  # some batches were shared


def test_position_in_a_call(server):
    texts = ["the same text", "", " ".join(["long"] * 254), "another"]
    expected = array_of(server.embed(["the same text"]))[0]
    for position in range(len(texts)):
        rotated = texts[-position:] + texts[:-position]
        got = array_of(server.embed(rotated))[rotated.index("the same text")]
        assert got.tobytes() == expected.tobytes()


def test_a_restart_keeps_the_bits(server):
    texts = make_texts(50, seed=3)
    expected = array_of(server.embed(texts, truncate=True))
    with OctetServer() as other:
        assert array_of(other.embed(texts, truncate=True)).tobytes() == expected.tobytes()
