"""Batches across calls: many small calls share one, a lone call waits for nobody; refusals under load."""
import threading

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from octet_server import OctetServer
from stubs import octet_pb2


def test_concurrent_calls_share_batches(server):
    """Long texts: computing must take longer than these clients do, or each text is gone before the next one comes. Who is
    answered comes back while the others' batch is computed, so batches of n and 64 - n may take turns: their mean counts."""
    num_clients, calls_each = 64, 10
    start = threading.Barrier(num_clients)
    failures = []

    def client(number):
        stub = server.stub()
        try:
            stub.Embed(octet_pb2.EmbedRequest(texts=["connect"]), timeout=60)
            start.wait()
            for i in range(calls_each):
                text = f"client {number} sends a long text with number {i}" + " and waits for the answer" * 45
                stub.Embed(octet_pb2.EmbedRequest(texts=[text]), timeout=60)
        except Exception as failure:  # handed to the test
            failures.append(failure)
            start.abort()

    threads = [threading.Thread(target=client, args=(n,)) for n in range(num_clients)]
    before = server.metrics()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    after = server.metrics()
    texts, batches = (after.sum(name) - before.sum(name) for name in ("octet_batch_size_sum", "octet_batch_size_count"))
    assert texts == num_clients * (1 + calls_each)
    assert texts > 8 * batches, f"{texts} texts in {batches} batches, wanted more than 8 in one"


def test_a_lone_call_waits_for_no_timer(server):
    """Queue time of lone calls stays below their compute time: any timer (1 ms or more) would exceed it."""
    stub = server.stub()
    timings = [stub.Embed(octet_pb2.EmbedRequest(texts=["a lone call of a few words"])).timing for _ in range(101)]
    queue = sorted(t.queue_ns for t in timings)[50]
    compute = sorted(t.compute_ns for t in timings)[50]
    assert queue < compute, f"median queue {queue} ns, compute {compute} ns"


@pytest.fixture(scope="module")
def small_queue(tmp_path_factory):
    with OctetServer("--threads", 1, config="limits:\n  max_texts_per_call: 32\n  max_queue_texts: 64\n  max_queue_tokens: 16384\n",
                     tmp_path=str(tmp_path_factory.mktemp("config"))) as running:
        yield running


def test_a_full_queue_answers_at_once_with_a_hint(small_queue):
    stub = small_queue.stub()
    request = octet_pb2.EmbedRequest(texts=[" ".join(["heavy"] * 254)] * 32, truncate=True)
    calls = [stub.Embed.future(request, timeout=120) for _ in range(30)]
    codes = []
    for pending in calls:
        error = pending.exception()
        codes.append(grpc.StatusCode.OK if error is None else error.code())
        if error is not None:
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
            trailers = dict(error.trailing_metadata())
            status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
            retry = error_details_pb2.RetryInfo()
            assert any(detail.Unpack(retry) for detail in status.details)
            assert retry.retry_delay.ToTimedelta().total_seconds() > 0
    assert codes.count(grpc.StatusCode.OK) >= 1
    refused = codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert refused >= 1
    assert small_queue.metrics().sum("octet_rejected_total", reason="queue_full") == refused


def test_expired_and_cancelled_calls_are_not_computed(server):
    stub = server.stub()
    heavy = octet_pb2.EmbedRequest(texts=[" ".join(["heavy"] * 254)] * 64, truncate=True)
    blockers = [stub.Embed.future(heavy, timeout=120) for _ in range(2)]
    expiring = [stub.Embed.future(octet_pb2.EmbedRequest(texts=["too late"]), timeout=0.001) for _ in range(20)]
    leaving = [stub.Embed.future(octet_pb2.EmbedRequest(texts=["gone"]), timeout=60) for _ in range(20)]
    for call in leaving:
        call.cancel()
    for call in expiring:
        error = call.exception()
        assert error is None or error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    for call in blockers:
        assert call.exception() is None
    server.check_every_call_has_one_outcome()
    assert server.metrics().sum("octet_computed_after_expiry_total") == 0


def test_a_killed_client_leaves_nothing_behind(server):
    channel = server.channel()
    heavy = octet_pb2.EmbedRequest(texts=[" ".join(["heavy"] * 254)] * 16, truncate=True)
    method = channel.unary_unary("/octet.v1.TextEncoder/Embed")
    calls = [method.future(heavy.SerializeToString(), timeout=60) for _ in range(50)]
    assert len(calls) == 50
    channel.close()  # takes all calls with it
    server.check_every_call_has_one_outcome()
