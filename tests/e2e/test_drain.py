"""Stopping: what is in flight is answered, what is new is refused, health says so first."""
import signal
import threading
import urllib.error
import urllib.request

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from octet_server import OctetServer
from stubs import octet_pb2

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
HEAVY = octet_pb2.EmbedRequest(texts=[" ".join(["drain"] * 254)] * 32, truncate=True)


def http_status(server, path):
    try:
        with urllib.request.urlopen(f"http://{server.metrics_address}{path}", timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def in_flight(server, num):
    """Sends heavy calls and returns them once the server has counted all of them as arrived."""
    stub = server.stub()
    before = server.metrics().sum("octet_calls_started_total", method="octet.v1.TextEncoder/Embed")
    calls = [stub.Embed.future(HEAVY, timeout=120) for _ in range(num)]
    pause = threading.Event()
    while server.metrics().sum("octet_calls_started_total",
                               method="octet.v1.TextEncoder/Embed") < before + num:
        pause.wait(0.001)
    return calls


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["L1-SIGTERM", "L1-SIGINT"])
def test_signal_under_load_loses_nothing(number):
    server = OctetServer("--threads", 1)
    calls = in_flight(server, 6)
    server.signal(number)
    codes = [call.code() for call in calls]
    for call in calls:
        assert len(call.result().embeddings) == 32
    assert server.wait() == 0  # without another signal: a second one would end it at once
    assert codes == [grpc.StatusCode.OK] * 6


def test_second_signal_exits_at_once():
    server = OctetServer("--threads", 1)
    calls = in_flight(server, 8)
    server.signal(signal.SIGTERM)
    pause = threading.Event()
    while http_status(server, "/readyz") == 200:  # the first one has been taken
        pause.wait(0.001)
    server.signal(signal.SIGTERM)
    server.wait()
    assert any(call.exception() is not None for call in calls)
    server.stop()


def test_lame_duck_serves_and_says_not_ready(tmp_path):
    server = OctetServer(config="shutdown:\n  lame_duck_ms: 60s\n", tmp_path=str(tmp_path))
    health = health_pb2_grpc.HealthStub(server.channel())
    watch = health.Watch(health_pb2.HealthCheckRequest(service=""), timeout=60)
    assert next(watch).status == SERVING
    assert http_status(server, "/readyz") == 200
    server.signal(signal.SIGTERM)
    assert next(watch).status == NOT_SERVING
    assert http_status(server, "/readyz") == 503
    assert http_status(server, "/healthz") == 200
    assert server.embed(["still answered"]).dimensions == 384  # new connection, new call
    live = health.Check(health_pb2.HealthCheckRequest(service="liveness"), timeout=10)
    assert live.status == SERVING
    watch.cancel()
    server.signal(signal.SIGTERM)  # do not wait for the rest of the lame duck
    server.stop()


def test_sigterm_with_nothing_to_do_exits_0():
    assert OctetServer().stop() == 0


@pytest.mark.parametrize("service", ["", "liveness", "octet.v1.TextEncoder", "tei.v1.Embed", "tei.v1.Info", "minilm"],
                         ids=lambda name: name or "overall")
def test_health_names(server, service):
    health = health_pb2_grpc.HealthStub(server.channel())
    assert health.Check(health_pb2.HealthCheckRequest(service=service), timeout=10).status == SERVING


def test_unknown_health_name(server):
    health = health_pb2_grpc.HealthStub(server.channel())
    with pytest.raises(grpc.RpcError) as failure:
        health.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=10)
    assert failure.value.code() == grpc.StatusCode.NOT_FOUND
