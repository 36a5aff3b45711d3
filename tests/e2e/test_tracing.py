"""Traces of a real server at a real OTLP receiver: names, parents, links, the caller's context, what a collector that
is away costs, and that nothing a client sends ends up in spans or log lines."""
import json
import threading

import grpc
import pytest

from certificates import Authority
from octet_server import OctetServer
from otlp_receiver import OtlpReceiver, attributes_of
from stubs import EMBED, octet_grpc, octet_pb2, tei_grpc, tei_pb2

METHOD = EMBED[1:]
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
PHASES = ["tokenize", "queue", "batch", "compute"]


def traceparent(flags="01", trace_id=TRACE_ID):
    return ("traceparent", f"00-{trace_id}-{CALLER}-{flags}")


def serve(tmp_path, endpoint, tracing="", log="", env=None):
    config = (f"tracing:\n  endpoint: {endpoint}\n  export_interval_ms: 50\n{tracing}"
              f"log:\n  format: json\n{log}") if endpoint else f"log:\n  format: json\n{log}"
    return OctetServer(config=config, tmp_path=tmp_path, env=env)


def embed(server, texts, metadata=(), **fields):
    with server.channel() as channel:
        return octet_grpc.TextEncoderStub(channel).Embed(octet_pb2.EmbedRequest(texts=texts, **fields),
                                                         metadata=metadata, timeout=60)


def log_lines(server):
    """The JSON lines of the log; the ready lines on stdout are none."""
    return [json.loads(line) for line in server.log if line.startswith("{")]


def wait_for(look, timeout_s=60):
    """What `look` returns once that is true; the last of it when the time is up."""
    pause = threading.Event()
    for _ in range(int(timeout_s / 0.02)):
        if found := look():
            return found
        pause.wait(0.02)
    return look()


def span_counts(server):
    samples = server.metrics()
    return {result: samples.sum("octet_trace_spans_total", result=result)
            for result in ("exported", "dropped", "failed")}


def test_a_call_is_a_server_span_with_its_phases(tmp_path):
    with OtlpReceiver() as receiver:
        env = {"OTEL_SERVICE_NAME": "embedder", "OTEL_RESOURCE_ATTRIBUTES": "k8s.pod.name=octet-0,note=a%2Cb",
               "OTEL_EXPORTER_OTLP_HEADERS": "X-Tenant=blue%20team"}
        with serve(tmp_path, receiver.endpoint, env=env) as server:
            port = int(server.grpc_address.split(":")[1])
            embed(server, ["one text", "another"], [traceparent(), ("tracestate", "rojo=1")])
            spans = receiver.wait_for_spans(5)
            assert span_counts(server)["exported"] == 5
    assert [span.name for span in spans] == [METHOD, *PHASES]
    call = spans[0]
    assert call.kind == call.SPAN_KIND_SERVER
    assert call.trace_id.hex() == TRACE_ID
    assert call.parent_span_id.hex() == CALLER
    assert call.trace_state == "rojo=1"
    assert call.flags == 0x301  # sampled; the parent is in another process
    found = attributes_of(call)
    assert found == found | {"rpc.system.name": "grpc", "rpc.method": METHOD, "rpc.response.status_code": "OK",
                             "server.address": "127.0.0.1", "server.port": port, "octet.model": "minilm",
                             "octet.texts": 2}
    assert call.status.code == call.status.STATUS_CODE_UNSET
    assert len({span.span_id for span in spans}) == 5
    for child in spans[1:]:
        assert child.parent_span_id == call.span_id
        assert child.trace_id == call.trace_id
        assert child.kind == child.SPAN_KIND_INTERNAL
        assert call.start_time_unix_nano <= child.start_time_unix_nano <= child.end_time_unix_nano
        assert child.end_time_unix_nano <= call.end_time_unix_nano
    batch = attributes_of(spans[3])
    assert (batch["octet.batch.calls"], batch["octet.batch.texts"]) == (1, 2)
    assert batch["octet.batch.tokens"] == found["octet.tokens"] > 2
    resource = receiver.resource()
    assert resource["service.name"] == "embedder"
    assert resource["k8s.pod.name"] == "octet-0"
    assert resource["note"] == "a,b"
    assert resource["service.version"] and resource["service.instance.id"] and resource["host.name"]
    assert receiver.metadata[0]["x-tenant"] == "blue team"


def test_callers_and_the_sampler_decide(tmp_path):
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_SAMPLER": "always_off"}
    with OtlpReceiver() as receiver:
        # The configuration overrides the variables.
        with serve(tmp_path, receiver.endpoint, "  sampler: parentbased_traceidratio\n  ratio: 0\n", env=env) as server:
            embed(server, ["a"], [traceparent("00")])
            embed(server, ["a"])
            embed(server, ["a"], [("traceparent", f"00-{TRACE_ID}-{CALLER}-1")])  # broken: as if it were not there
            embed(server, ["a"], [traceparent("01")])
        spans = receiver.spans()  # the server has flushed
    assert [span.name for span in spans] == [METHOD, *PHASES]
    assert spans[0].trace_id.hex() == TRACE_ID


def test_variables_alone_turn_it_on_and_off(tmp_path):
    with OtlpReceiver() as receiver:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
        with serve(tmp_path, "", env=env | {"OTEL_SDK_DISABLED": "true"}) as server:
            embed(server, ["a"])
        assert receiver.spans() == []
        with serve(tmp_path, "", env=env) as server:
            embed(server, ["a"])
        assert [span.name for span in receiver.spans()] == [METHOD, *PHASES]


def test_calls_that_share_a_batch_are_linked(tmp_path):
    with OtlpReceiver() as receiver:
        config = "limits:\n  max_batch_delay_ms: 300\n"
        with serve(tmp_path, receiver.endpoint, log=config) as server:
            with server.channel() as channel:
                stub = octet_grpc.TextEncoderStub(channel)
                calls = [stub.Embed.future(octet_pb2.EmbedRequest(texts=["some text"]), timeout=60) for _ in range(4)]
                for call in calls:
                    call.result()
        spans = receiver.spans()
    shared = [s for s in spans if s.name == "batch" and attributes_of(s)["octet.batch.calls"] > 1]
    assert shared, "no two calls shared a batch"
    servers = {span.span_id: span for span in spans if span.name == METHOD}
    for batch in shared:
        assert len(batch.links) == attributes_of(batch)["octet.batch.calls"]
        assert batch.parent_span_id in {link.span_id for link in batch.links}
        for link in batch.links:
            assert servers[link.span_id].trace_id == link.trace_id


def test_each_message_of_a_stream_is_a_span(tmp_path):
    with OtlpReceiver() as receiver:
        with serve(tmp_path, receiver.endpoint) as server:
            messages = [octet_pb2.EmbedStreamRequest(id=i, request=octet_pb2.EmbedRequest(texts=["a"]))
                        for i in range(3)]
            assert len(list(server.stub().EmbedStream(iter(messages), timeout=60))) == 3
        spans = receiver.spans()
    stream = next(span for span in spans if span.name.endswith("/EmbedStream"))
    inner = [span for span in spans if span.name == "message"]
    assert sorted(attributes_of(span)["octet.message"] for span in inner) == [1, 2, 3]
    for message in inner:
        assert message.parent_span_id == stream.span_id
        assert [s.name for s in spans if s.parent_span_id == message.span_id] == PHASES


def test_a_collector_that_is_away_costs_spans_and_comes_back(tmp_path):
    with OtlpReceiver() as first:
        port = first.port
    with serve(tmp_path, f"http://127.0.0.1:{port}", "  max_queue_spans: 64\n  max_batch_spans: 16\n") as server:
        for _ in range(60):  # 300 spans
            embed(server, ["a"])
        counts = wait_for(lambda: (c := span_counts(server))["dropped"] > 0 and c["failed"] > 0 and c)
        assert counts["dropped"] + counts["failed"] > 0 and counts["exported"] == 0
        lines = wait_for(lambda: [line for line in log_lines(server) if "does not take spans" in line["message"]])
        assert len(lines) == 1, "one line, not one for each batch"
        with OtlpReceiver(port) as second:
            def came_back():
                embed(server, ["a"])
                return second.spans()
            assert wait_for(came_back)
            assert wait_for(lambda: [line for line in log_lines(server) if "takes spans again" in line["message"]])


def test_a_collector_with_tls_must_have_a_certificate_of_the_configured_authority(tmp_path):
    authority, other = Authority(tmp_path / "authority"), Authority(tmp_path / "other", "another authority")
    with OtlpReceiver(pair=authority.sign()) as receiver:
        with serve(tmp_path, receiver.endpoint, f"  ca_file: {authority.file}\n") as server:
            embed(server, ["a"])
            assert [span.name for span in receiver.wait_for_spans(5)] == [METHOD, *PHASES]
        with serve(tmp_path, receiver.endpoint, f"  ca_file: {other.file}\n") as server:
            embed(server, ["a"])
            assert wait_for(lambda: span_counts(server)["failed"] == 5)
        assert len(receiver.spans()) == 5


def test_a_collector_that_hangs_holds_up_neither_calls_nor_the_end(tmp_path):
    with OtlpReceiver(hold=threading.Event()) as receiver:
        with serve(tmp_path, receiver.endpoint, "  max_queue_spans: 64\n  max_batch_spans: 16\n"
                   "  timeout_ms: 10m\n  flush_timeout_ms: 200\n") as server:
            for _ in range(60):
                embed(server, ["a"])
            assert span_counts(server)["dropped"] >= 300 - 64 - 32
        # Leaving the block has stopped the server: with its flush unbounded it would wait for ten minutes.


def test_what_a_client_sends_is_in_no_log_line_and_no_span(tmp_path):
    secret = "pLaNtEd-SeCrEt"
    hidden = [("octet-model", f"{secret}-model"), ("x-note", secret), traceparent(), ("traceparent", secret)]
    with OtlpReceiver() as receiver:
        with serve(tmp_path, receiver.endpoint, log="  level: debug\n  slow_call_ms: 1\n") as server:
            with server.channel() as channel:
                stub = octet_grpc.TextEncoderStub(channel)
                tei = tei_grpc.EmbedStub(channel)
                raw = channel.unary_unary(EMBED)
                hostile = [
                    lambda: stub.Embed(octet_pb2.EmbedRequest(texts=[f"{secret} good"] * 64), metadata=hidden),
                    lambda: stub.Embed(octet_pb2.EmbedRequest(texts=["x"], model=f"{secret}\n{{}}")),
                    lambda: stub.Embed(octet_pb2.EmbedRequest(texts=[f"{secret} " * 2000])),
                    lambda: stub.Embed(octet_pb2.EmbedRequest(texts=[secret], prompt_name=secret)),
                    lambda: stub.Classify(octet_pb2.ClassifyRequest(inputs=[octet_pb2.TextInput(text=secret)])),
                    lambda: tei.Embed(tei_pb2.EmbedRequest(inputs=secret), metadata=hidden),
                    lambda: raw(b"\x12\xff" + secret.encode()),
                    lambda: raw(b"\x0a\x14" + secret.encode() + b"\xff" * 6),
                    lambda: channel.unary_unary(f"/octet.v1.TextEncoder/{secret}")(b""),
                    lambda: list(stub.EmbedStream(iter([octet_pb2.EmbedStreamRequest(
                        id=1, request=octet_pb2.EmbedRequest(texts=[secret], model=secret))]), metadata=hidden)),
                ]
                codes = []
                for call in hostile:
                    try:
                        call()
                        codes.append(grpc.StatusCode.OK)
                    except grpc.RpcError as error:
                        codes.append(error.code())
            assert {grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT} <= set(codes)
        log = "".join(server.log)
        exported = b"".join(request.SerializeToString() for request in receiver.requests)
    assert "call_failed" in log and "slow_call" in log  # there was something to look at
    assert METHOD.encode() in exported
    assert secret.lower() not in log.lower()
    assert secret.lower().encode() not in exported.lower()


def test_log_lines_of_calls_carry_the_trace(tmp_path):
    with serve(tmp_path, "", log="  level: debug\n  slow_call_ms: 1\n") as server:
        embed(server, ["a text of several words"] * 64, [traceparent("00")])
        with pytest.raises(grpc.RpcError):
            embed(server, ["a"], [traceparent("00")], model="nobody")
        lines = wait_for(lambda: (found := [line for line in log_lines(server) if "event" in line]) and
                         len(found) >= 2 and found)
    slow, failed = lines[:2]
    assert slow == slow | {"level": "warn", "event": "slow_call", "method": METHOD, "model": "minilm", "code": "OK",
                           "texts": 64, "trace_id": TRACE_ID, "span_id": CALLER}
    assert slow["duration_ms"] >= slow["compute_ms"] > 0 and slow["tokenize_ms"] > 0 and slow["queue_ms"] >= 0
    assert failed == failed | {"level": "debug", "event": "call_failed", "code": "NOT_FOUND",
                               "reason": "UNKNOWN_MODEL", "trace_id": TRACE_ID}


def test_lines_about_failed_calls_are_bounded(tmp_path):
    config = "  max_call_lines_per_second: 2\nlimits:\n  max_batch_tokens: 2048\n  max_queue_tokens: 2048\n"
    with serve(tmp_path, "", log=config) as server:
        with server.channel() as channel:
            stub = octet_grpc.TextEncoderStub(channel)
            # 2,020 tokens: beside one that waits no other has a place.
            request = octet_pb2.EmbedRequest(texts=["word " * 200] * 10)
            calls = [stub.Embed.future(request, timeout=60) for _ in range(40)]
            refused = sum(call.code() == grpc.StatusCode.RESOURCE_EXHAUSTED for call in calls)
        assert refused > 10
    lines = [line for line in log_lines(server) if line.get("code") == "RESOURCE_EXHAUSTED"]
    assert 1 <= len(lines) < refused
    assert all(line["level"] == "warn" and line["reason"] == "QUEUE_FULL" and line["error"] for line in lines)
