"""Three octet processes behind a real Envoy with deploy/envoy/envoy.yaml: no call fails when one is killed, one is
drained and both are replaced, and a replica that refuses calls in good health is taken out."""
import collections
import concurrent.futures
import threading

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import HealthServicer

from envoy import Envoy
from fleet import Fleet, fleet_models
from fleet_story import tell
from stubs import EMBED, octet_grpc, octet_pb2


def check_access_log(log, fleet, load):
    """Envoy's own account: each call once, answered, and by replicas that have counted as many."""
    calls = [entry for entry in log if entry["method"] == EMBED]
    assert sorted(entry["request_id"] for entry in calls) == sorted(load.outcomes)
    assert {entry["grpc_status"] for entry in calls} == {"OK"}
    answered = collections.Counter(entry["replica"] for entry in calls)
    for place, address in enumerate(fleet.addresses):
        processes = [replica for replica in fleet.replicas if replica.place == place]
        counted = sum(replica.num_ok for replica in processes)
        uncertain = sum(load.num_under_way(replica.scraped_s, replica.gone_s)
                        for replica in processes if replica.gone_s is not None)
        print(f"place {place}: Envoy has {answered[address]} answers, its {len(processes)} processes counted "
              f"{counted}, uncertain {uncertain}")
        assert abs(answered[address] - counted) <= uncertain


def test_no_call_fails_when_replicas_go_and_come(tiny_model, tmp_path):
    # Four seconds are enough for two failed health checks; the sample asks for ten.
    with Fleet(3, fleet_models(tiny_model), str(tmp_path), lame_duck="4s") as fleet, \
            Envoy(fleet.addresses, str(tmp_path)) as envoy:
        load = tell(fleet, f"ipv4:{envoy.address}")
        print(f"{envoy.stat('cluster.octet.upstream_rq_retry')} second attempts by Envoy")
        check_access_log(envoy.stop(), fleet, load)


def test_large_answers_outlive_the_connections_that_they_came_over(tiny_model, tmp_path):
    """octet ends connections every two seconds here, while Envoy still holds answers that the caller has not read."""
    request = octet_pb2.EmbedRequest(texts=["one of many texts"] * 128)
    num_connections, at_a_time = 3, 24
    with Fleet(1, {"tiny": tiny_model(0)}, str(tmp_path)) as fleet, Envoy(fleet.addresses, str(tmp_path)) as envoy, \
            grpc.insecure_channel(envoy.address, options=[("grpc.enable_retries", 0)]) as channel:
        stub, free, codes = octet_grpc.TextEncoderStub(channel), threading.Semaphore(at_a_time), collections.Counter()

        def end(call):
            codes[call.code(), call.details()] += 1
            free.release()

        num_calls = 0
        while envoy.stat("cluster.octet.upstream_cx_destroy") < num_connections:
            for _ in range(at_a_time):
                free.acquire()
                stub.Embed.future(request, timeout=60).add_done_callback(end)
            num_calls += at_a_time
        for _ in range(at_a_time):
            free.acquire()
        assert codes == {(grpc.StatusCode.OK, ""): num_calls}


class Refusing(octet_grpc.TextEncoderServicer):
    """A replica in good health that refuses every call, as one does whose listener works and whose engine does not."""

    def __init__(self):
        self.num_calls = 0

    def Embed(self, request, context):
        self.num_calls += 1
        context.abort(grpc.StatusCode.UNAVAILABLE, "refused")


@pytest.fixture
def refusing():
    """(the service, its address)"""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    service, health = Refusing(), HealthServicer()
    octet_grpc.add_TextEncoderServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    health.set("", health_pb2.HealthCheckResponse.SERVING)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield service, address
    server.stop(None).wait()


def test_a_replica_that_refuses_in_good_health_is_ejected(tiny_model, tmp_path, refusing):
    """Also: what is tried again is the whole request, larger than every default buffer on its way."""
    service, address = refusing
    request = octet_pb2.EmbedRequest(texts=["a " * 30_000] * 20, truncate=True)
    assert request.ByteSize() > 1 << 20
    with Fleet(2, {"tiny": tiny_model(0)}, str(tmp_path)) as fleet, \
            Envoy([*fleet.addresses, address], str(tmp_path)) as envoy, \
            grpc.insecure_channel(envoy.address, options=[("grpc.enable_retries", 0)]) as channel:
        stub = octet_grpc.TextEncoderStub(channel)
        num_calls = 0
        while not envoy.replicas()[address]["ejected"]:
            assert len(stub.Embed(request, timeout=60).embeddings) == 20  # by another replica
            num_calls += 1
        assert envoy.replicas()[address]["healthy"]
        assert service.num_calls >= 5  # consecutive_5xx
        assert sum(fleet.counts()) == num_calls
