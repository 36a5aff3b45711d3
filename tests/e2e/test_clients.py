"""What other people's programs see: generated stubs, tei.v1 clients, grpcurl, health, reflection, Prometheus."""
import json
import subprocess
import threading
import urllib.request

import grpc
import numpy as np
import pytest
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import octet_server
from octet_server import OctetServer
from programs import find_program, grpcurl
from prometheus_server import PrometheusServer
from stubs import octet_pb2, tei_grpc, tei_pb2
from vectors import array_of, cosines


# octet.v1

def test_unary_answer(server, goldens):
    texts, token_ids, expected, _ = goldens
    answer = server.stub().Embed(octet_pb2.EmbedRequest(texts=texts[:20]), timeout=60)
    assert cosines(array_of(answer), expected[:20]).min() > 0.99
    assert (answer.model, answer.dimensions) == ("minilm", 384)
    assert answer.model_version
    assert answer.num_tokens == sum(len(ids) for ids in token_ids[:20])
    assert answer.timing.tokenize_ns > 0 and answer.timing.compute_ns > 0
    np.testing.assert_allclose(np.linalg.norm(array_of(answer), axis=1), 1, atol=1e-5)


def test_as_floats_has_the_same_values(server):
    raw, floats = server.embed(["either way"]), server.embed(["either way"], as_floats=True)
    assert floats.embeddings[0].values == b"" and not raw.embeddings[0].floats
    assert np.array(floats.embeddings[0].floats, "<f4").tobytes() == raw.embeddings[0].values


def test_dimensions_are_cut_before_normalizing(server):
    plain = array_of(server.embed(["cut me"], normalize=False))[0].astype(np.float64)
    cut = array_of(server.embed(["cut me"], dimensions=100, normalize=True))[0]
    assert len(cut) == 100
    np.testing.assert_allclose(cut, plain[:100] / np.linalg.norm(plain[:100]), atol=1e-6)


def test_truncation_side(server):
    words = [f"w{i}" if i % 3 else "tea" for i in range(400)]
    left = server.embed([" ".join(words)], truncate=True, truncation_side=octet_pb2.TRUNCATION_SIDE_LEFT)
    right = server.embed([" ".join(words)], truncate=True, truncation_side=octet_pb2.TRUNCATION_SIDE_RIGHT)
    default = server.embed([" ".join(words)], truncate=True)
    assert right.embeddings[0] == default.embeddings[0] != left.embeddings[0]
    assert left.embeddings[0].truncated and left.embeddings[0].num_tokens == 256


def test_stream_answers_by_id(server):
    texts = {i: f"text number {i} " * (1 + i % 9) for i in range(300)}
    requests = (octet_pb2.EmbedStreamRequest(id=i, request=octet_pb2.EmbedRequest(texts=[t]))
                for i, t in texts.items())
    got = {a.id: a.response.embeddings[0].values for a in server.stub().EmbedStream(requests, timeout=120)}
    assert got.keys() == texts.keys()
    for i in (0, 8, 299):
        assert got[i] == server.embed([texts[i]]).embeddings[0].values


def test_two_models_need_a_name_or_a_default(tmp_path):
    with OctetServer(models={"one": octet_server.MODEL, "two": octet_server.MODEL}) as server:
        with pytest.raises(grpc.RpcError) as failure:
            server.embed(["a"])
        assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert server.embed(["a"], model="two").model == "two"


# tei.v1

def test_tei_embed_and_info(server):
    channel = server.channel()
    info = tei_grpc.InfoStub(channel).Info(tei_pb2.InfoRequest(), timeout=10)
    assert info.model_type == tei_pb2.MODEL_TYPE_EMBEDDING
    assert info.max_input_length == 256 and info.max_client_batch_size >= 1 and info.version
    stub = tei_grpc.EmbedStub(channel)
    got = stub.Embed(tei_pb2.EmbedRequest(inputs="one text"), timeout=60)
    expected = array_of(server.embed(["one text"], normalize=True))[0]
    assert np.array(got.embeddings, "<f4").tobytes() == expected.tobytes()
    assert got.metadata.compute_tokens == 4 and got.metadata.total_time_ns > 0
    plain = stub.Embed(tei_pb2.EmbedRequest(inputs="one text", normalize=False, dimensions=5), timeout=60)
    np.testing.assert_array_equal(np.array(plain.embeddings, "<f4"),
                                  array_of(server.embed(["one text"], normalize=False))[0][:5])


def test_tei_stream_answers_in_order(server):
    texts = ["x " * (1 + 37 * i % 200) + str(i) for i in range(200)]  # long and short ones in turn
    answers = tei_grpc.EmbedStub(server.channel()).EmbedStream(
        (tei_pb2.EmbedRequest(inputs=t, truncate=True) for t in texts), timeout=120)
    got = [np.array(a.embeddings, "<f4").tobytes() for a in answers]
    expected = [e.tobytes() for i in range(0, 200, 100)
                for e in array_of(server.embed(texts[i:i + 100], truncate=True, normalize=True))]
    assert got == expected


def test_tei_model_from_metadata(server):
    stub = tei_grpc.EmbedStub(server.channel())
    stub.Embed(tei_pb2.EmbedRequest(inputs="a"), metadata=[("octet-model", "minilm")], timeout=60)
    with pytest.raises(grpc.RpcError) as failure:
        stub.Embed(tei_pb2.EmbedRequest(inputs="a"), metadata=[("octet-model", "other")], timeout=60)
    assert failure.value.code() == grpc.StatusCode.NOT_FOUND


def test_unknown_method(server):
    with pytest.raises(grpc.RpcError) as failure:
        server.channel().unary_unary("/octet.v1.TextEncoder/Nothing")(b"", timeout=10)
    assert failure.value.code() == grpc.StatusCode.UNIMPLEMENTED


# Reflection, grpcurl

def test_reflection_lists_the_services(server):
    stub = reflection_pb2_grpc.ServerReflectionStub(server.channel())
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = stub.ServerReflectionInfo(iter([request]), timeout=10)
    names = {s.name for s in answer.list_services_response.service}
    assert {"octet.v1.TextEncoder", "tei.v1.Embed", "tei.v1.Info", "grpc.health.v1.Health"} <= names


def test_grpcurl_list(server):
    assert {"octet.v1.TextEncoder", "tei.v1.Embed"} <= set(grpcurl(server, "list").split())


@pytest.mark.parametrize("symbol", ["octet.v1.TextEncoder", "octet.v1.EmbedRequest", "tei.v1.Embed",
                                    "inference.GRPCInferenceService", "grpc.health.v1.Health"])
def test_grpcurl_describe(server, symbol):
    assert symbol in grpcurl(server, "describe", symbol)


def test_grpcurl_call(server):
    request = json.dumps({"texts": ["What is Deep Learning?"], "asFloats": True, "dimensions": 8})
    # Parsed as the format says: grpcurl's releases differ in how they spell field names.
    answer = json_format.Parse(grpcurl(server, "octet.v1.TextEncoder/Embed", data=request), octet_pb2.EmbedResponse())
    assert len(answer.embeddings[0].floats) == 8
    assert answer.embeddings[0].num_tokens == 7


def test_health_watch_and_check(server):
    health = health_pb2_grpc.HealthStub(server.channel())
    assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
    watch = health.Watch(health_pb2.HealthCheckRequest(service="minilm"), timeout=10)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


def test_no_threads_poll_beside_those_of_calls(server):
    """gRPC's callback API starts pollers, half as many as there are CPUs, that take part in all network work."""
    names = server.thread_names()
    assert "grpc_global_tim" in names, names
    assert "nexting_thread" not in names, names


# Metrics

REQUIRED_METRICS = """
octet_request_duration_seconds octet_tokenize_duration_seconds octet_queue_duration_seconds
octet_inference_duration_seconds octet_texts_total octet_tokens_total octet_batch_tokens octet_batch_size
octet_queue_depth octet_queue_tokens octet_queue_oldest_age_seconds octet_rejected_total octet_model_info
octet_model_load_seconds process_cpu_seconds_total process_resident_memory_bytes process_open_fds
octet_cpu_throttled_seconds_total octet_calls_started_total octet_inflight_requests
""".split()


def test_metrics_are_all_there(server):
    server.embed(["count me"])
    names = {name for name, _, _ in server.metrics().samples}
    for name in REQUIRED_METRICS:
        assert name in names or name + "_bucket" in names, name


def test_metrics_count(server):
    before = server.metrics()
    server.embed(["count me", "and me"])
    after = server.metrics()
    method = "octet.v1.TextEncoder/Embed"
    for name, labels, difference in [
            ("octet_request_duration_seconds_count", {"method": method, "model": "minilm", "code": "OK"}, 1),
            ("octet_texts_total", {"model": "minilm"}, 2), ("octet_tokens_total", {"model": "minilm"}, 8),
            ("octet_batch_size_sum", {"model": "minilm"}, 2), ("octet_batch_tokens_sum", {"model": "minilm"}, 8)]:
        assert after.sum(name, **labels) - before.sum(name, **labels) == difference, name


@pytest.mark.parametrize("path,status", [("/healthz", 200), ("/readyz", 200), ("/nothing", 404)])
def test_http_paths(server, path, status):
    try:
        with urllib.request.urlopen(f"http://{server.metrics_address}{path}", timeout=10) as response:
            got = response.status
    except urllib.error.HTTPError as error:
        got = error.code
    assert got == status


@pytest.fixture(scope="module")
def prometheus(server, tmp_path_factory):
    with PrometheusServer(server.metrics_address, tmp_path_factory.mktemp("prometheus"), "100ms") as running:
        yield running


@pytest.mark.parametrize("expression", [
    'up{job="octet"} == 1',
    'sum(octet_request_duration_seconds_count{code="OK"}) > 0',
    'histogram_quantile(0.99, sum by (le) (rate(octet_request_duration_seconds_bucket[1m]))) > 0',
    'sum by (model) (rate(octet_tokens_total[1m])) > 0',
    'octet_model_info == 1',
    'process_resident_memory_bytes > 2e7',
])
def test_prometheus_answers(server, prometheus, expression):
    pause = threading.Event()
    while not (result := prometheus.query(expression)):  # the runner's limit ends a wait for ever
        server.embed(["traffic"])
        pause.wait(0.05)
    assert np.isfinite(list(result.values())).all()


def test_promtool_finds_nothing(server):
    program = find_program("promtool")
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=10) as response:
        done = subprocess.run([program, "check", "metrics"], input=response.read(), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
