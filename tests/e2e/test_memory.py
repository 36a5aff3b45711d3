"""Resident memory against what the server prints: weights + embeddings + arenas, and a fixed allowance."""
import random
import re

from octet_server import OctetServer
from stubs import octet_pb2

ALLOWANCE_MIB = 45  # code, gRPC, tokenizer, allocator slack
LOAD_ALLOWANCE_MIB = 16
LARGEST_F32_TENSOR_MIB = 30522 * 384 * 4 / (1 << 20)  # word embeddings of the default model
NUM_CALLS = 10_000
TEXTS_PER_CALL = [1] * 12 + [2, 8, 32]  # mostly one, as in real traffic; 128 now and then

_BUDGET = re.compile(r"weights ([0-9.]+) \+ embeddings ([0-9.]+) \+ arenas ([0-9.]+) \+")


def printed_budget_mib(server):
    """Sum of weights, embeddings and arenas from the start-up lines."""
    (parts,) = _BUDGET.findall("".join(server.log))
    return sum(map(float, parts))


def test_resident_memory():
    with OctetServer("--precision", "int8", "--threads", 2) as server:
        budget = printed_budget_mib(server)
        peak = server.peak_rss_mib()
        rng = random.Random(5)
        stub = server.stub()
        pending = []
        for i in range(NUM_CALLS):
            texts = [" ".join(["word"] * min(300, int(rng.lognormvariate(2.6, 1.0)))) for _ in
                     range(rng.choice(TEXTS_PER_CALL) if i % 200 else 128)]
            fields = dict(truncate=i % 7 != 0, as_floats=i % 11 == 0, dimensions=128 if i % 5 == 0 else None)
            pending.append(stub.Embed.future(octet_pb2.EmbedRequest(texts=texts, **fields), timeout=120))
            if len(pending) == 8:
                for call in pending:
                    call.exception()  # too long without truncate is an error, and part of the mix
                pending.clear()
        resident = server.rss_mib()
        print(f"budget {budget:.1f} MiB, resident after {NUM_CALLS} calls {resident:.1f}, peak at load {peak:.1f}")
        assert resident <= budget + ALLOWANCE_MIB
        assert peak <= budget + ALLOWANCE_MIB + LARGEST_F32_TENSOR_MIB + LOAD_ALLOWANCE_MIB
