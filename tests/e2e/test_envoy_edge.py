"""What deploy/envoy/envoy.yaml keeps away from octet: hostile HTTP/2, headers that gRPC 1.51 closes connections for,
and whatever is not a whole call of octet's own services. Neighbours' calls run meanwhile and must all be answered."""
import threading

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from envoy import Envoy
from http2 import GOAWAY, RST_STREAM, Connection, grpc_message
from http2_floods import endless_headers, rapid_reset
from octet_server import OctetServer
from open_load import OpenLoad
from stubs import EMBED, TEI_EMBED, octet_grpc, octet_pb2, tei_grpc, tei_pb2

# Far more than a connection may have (500 streams, most of them reset within a second, and it is closed), and more bytes
# than sockets hold for an Envoy that is slow to read them.
NUM_STREAMS = 200_000
NUM_CONNECTIONS = 5
CUT_OFF = "http.octet.downstream_rq_too_many_premature_resets"
UPSTREAM_TROUBLE = ["cluster.octet.upstream_cx_destroy_remote", "cluster.octet.upstream_rq_retry"]
CLASSIFY = "/octet.v1.TextEncoder/Classify"


@pytest.fixture(scope="module")
def server(tiny_model):
    with OctetServer("--threads", 1, models={"tiny": tiny_model(0)}) as running:
        yield running


@pytest.fixture(scope="module")
def envoy(server, tmp_path_factory):
    with Envoy([server.grpc_address], str(tmp_path_factory.mktemp("envoy"))) as running:
        yield running


@pytest.fixture
def channel(envoy):
    with grpc.insecure_channel(envoy.address, options=[("grpc.use_local_subchannel_pool", 1),
                                                       ("grpc.enable_retries", 0)]) as channel:
        yield channel


@pytest.fixture
def neighbours(server, channel):
    """Calls of other callers all the while; also, octet keeps its connection to Envoy and its memory."""
    before, peak = server.rss_mib(), server.peak_rss_mib()
    with OpenLoad(channel, 50, ["a neighbour's text"]) as load:
        load.wait_for(10)
        yield load
        load.wait_for(10)
    assert load.failures() == []
    rise = max(server.peak_rss_mib() - max(peak, before), server.rss_mib() - before)
    print(f"{load.num_sent} calls of neighbours; octet's memory rose by {rise:.1f} MiB")
    assert rise < 16


def started(server, method):
    return server.metrics().sum("octet_calls_started_total", method=method)


def test_streams_reset_before_their_body_never_reach_octet(server, envoy, neighbours):
    before = started(server, "tei.v1.Embed/Embed"), envoy.stat(CUT_OFF)
    floods = [rapid_reset(envoy.address, TEI_EMBED, NUM_STREAMS) for _ in range(NUM_CONNECTIONS)]
    assert all(flood.cut_off for flood in floods)
    assert started(server, "tei.v1.Embed/Embed") == before[0]
    assert envoy.stat(CUT_OFF) - before[1] == NUM_CONNECTIONS


def test_connections_that_reset_whole_calls_are_cut_off(server, envoy, neighbours):
    message = octet_pb2.ClassifyRequest(inputs=[octet_pb2.TextInput(text="reset")]).SerializeToString()
    before = started(server, "octet.v1.TextEncoder/Classify")
    floods = [rapid_reset(envoy.address, CLASSIFY, NUM_STREAMS, message) for _ in range(NUM_CONNECTIONS)]
    assert all(flood.cut_off for flood in floods)
    # What a connection may send before it is closed, and as much again that was read together with it.
    assert started(server, "octet.v1.TextEncoder/Classify") - before <= NUM_CONNECTIONS * 2 * 500


def test_endless_headers_are_cut_off(envoy, neighbours):
    assert endless_headers(envoy.address, EMBED, num_frames=50_000).cut_off


def test_a_body_that_trickles_in_never_reaches_octet(envoy):
    pause = threading.Event()
    before = envoy.stat("cluster.octet.upstream_rq_total")
    with Connection(envoy.address) as connection:
        connection.headers(1, EMBED)
        for part in range(10):
            connection.data(1, grpc_message(b"x" * 100, claimed_length=1 << 20) if part == 0 else b"x")
        while envoy.stat("http.octet.downstream_rq_active") == 0:
            pause.wait(0.01)
        assert envoy.stat("cluster.octet.upstream_rq_total") == before


def test_more_streams_than_allowed_are_refused(envoy):
    with Connection(envoy.address) as connection:
        for i in range(101):
            connection.headers(2 * i + 1, EMBED)
        frames = connection.end_of_stream(201)
        assert any(kind in (RST_STREAM, GOAWAY) for kind, *_ in frames)


# What gRPC 1.51 closes the whole connection for, and with it every neighbour's call on it.
HARMFUL_HEADERS = {"above octet's limit": [("x-large", "v" * 17_000)],
                   "above Envoy's limit": [("x-large", "v" * 9_000)],
                   "not base64": [("x-data-bin", "!!!")]}


@pytest.mark.parametrize("headers", HARMFUL_HEADERS.values(), ids=HARMFUL_HEADERS.keys())
def test_harmful_headers_close_no_connection_to_octet(envoy, neighbours, headers):
    before = [envoy.stat(name) for name in UPSTREAM_TROUBLE]
    with Connection(envoy.address) as connection:
        connection.headers(1, EMBED, headers)
        connection.data(1, grpc_message(octet_pb2.EmbedRequest(texts=["a"]).SerializeToString()), end_stream=True)
        assert connection.end_of_stream(1)  # an answer or a reset: the caller is told
    assert [envoy.stat(name) for name in UPSTREAM_TROUBLE] == before


def test_large_messages(channel):
    """Just above the limit octet answers itself; far above it Envoy does (413, in gRPC's terms UNKNOWN)."""
    call = channel.unary_unary(EMBED)
    for size, code in ((2 * 1024 * 1024 + 1, grpc.StatusCode.RESOURCE_EXHAUSTED), (8 << 20, grpc.StatusCode.UNKNOWN)):
        with pytest.raises(grpc.RpcError) as failure:
            call(bytes(size), timeout=60)
        assert failure.value.code() == code, failure.value.details()


def test_only_octets_own_services_pass(channel):
    listing = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=60)
    with pytest.raises(grpc.RpcError) as failure:
        next(listing)
    assert failure.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_streams_pass(channel):
    requests = (octet_pb2.EmbedStreamRequest(id=i, request=octet_pb2.EmbedRequest(texts=["a"])) for i in range(20))
    answers = octet_grpc.TextEncoderStub(channel).EmbedStream(requests, timeout=60)
    assert {answer.id for answer in answers} == set(range(20))
    tei = tei_grpc.EmbedStub(channel).EmbedStream((tei_pb2.EmbedRequest(inputs="a") for _ in range(3)), timeout=60)
    assert len(list(tei)) == 3
