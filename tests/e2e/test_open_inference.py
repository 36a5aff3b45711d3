"""Triton's own client against the Open Inference Protocol: texts and token ids, raw and typed, streams, statistics."""
import queue

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

import octet_server
from octet_server import OctetServer
from vectors import array_of, cosines


@pytest.fixture(scope="module")
def client(server):
    with triton.InferenceServerClient(server.grpc_address) as running:
        yield running


def tensor(name, values):
    """An input with raw contents, as Triton's client sends them."""
    made = triton.InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype))
    made.set_data_from_numpy(values)
    return made


def texts_tensor(texts, name="text"):
    return tensor(name, np.array([text.encode() for text in texts], dtype=np.object_))


def id_tensors(rows):
    """input_ids and attention_mask of rows of ids, padded on the right with an id that is none."""
    length = max(map(len, rows))
    ids = np.full((len(rows), length), -1, np.int64)
    mask = np.zeros((len(rows), length), np.int64)
    for i, row in enumerate(rows):
        ids[i, :len(row)], mask[i, :len(row)] = row, 1
    return [tensor("input_ids", ids), tensor("attention_mask", mask)]


def requested(*names):
    return [triton.InferRequestedOutput(name) for name in names]


# Texts

def test_texts_have_the_vectors_of_the_other_service(server, client, goldens):
    texts = goldens[0][:20]
    answer = client.infer("minilm", [texts_tensor(texts)], request_id="twenty", client_timeout=60)
    expected = array_of(server.embed(texts))
    assert answer.as_numpy("embedding").tobytes() == expected.tobytes()
    assert answer.get_response().id == "twenty"
    assert list(answer.get_response().outputs[0].shape) == [20, 384]
    assert cosines(answer.as_numpy("embedding"), goldens[2][:20]).min() > 0.99


def test_parameters(server, client):
    answer = client.infer("minilm", [texts_tensor(["cut me"])], parameters={"dimensions": 8, "normalize": False},
                          client_timeout=60)
    expected = array_of(server.embed(["cut me"], dimensions=8, normalize=False))
    assert answer.as_numpy("embedding").tobytes() == expected.tobytes()


def test_typed_contents_are_answered_in_kind(server):
    stub = service_pb2_grpc.GRPCInferenceServiceStub(server.channel())
    request = service_pb2.ModelInferRequest(model_name="minilm", id="typed")
    text = request.inputs.add(name="text", datatype="BYTES", shape=[2])
    text.contents.bytes_contents.extend([b"one", b"two"])
    answer = stub.ModelInfer(request, timeout=60)
    assert (answer.id, len(answer.raw_output_contents)) == ("typed", 0)
    values = np.array(answer.outputs[0].contents.fp32_contents, "<f4").reshape(2, 384)
    assert values.tobytes() == array_of(server.embed(["one", "two"])).tobytes()


# Token ids

def test_ids_have_the_bits_of_their_texts_whoever_is_beside_them(server, client, goldens):
    texts, token_ids = goldens[0][:20], goldens[1][:20]
    together = client.infer("minilm", id_tensors(token_ids), client_timeout=60).as_numpy("embedding")
    assert together.tobytes() == array_of(server.embed(texts)).tobytes()
    alone = client.infer("minilm", [tensor("input_ids", np.array([token_ids[3]], np.int64))], client_timeout=60)
    assert alone.as_numpy("embedding").tobytes() == together[3:4].tobytes()


def test_last_hidden_state(client, goldens):
    token_ids = goldens[1][:20]
    both = client.infer("minilm", id_tensors(token_ids), outputs=requested("last_hidden_state", "embedding"),
                        parameters={"normalize": False}, client_timeout=60)
    states, embeddings = both.as_numpy("last_hidden_state"), both.as_numpy("embedding")
    assert states.shape == (20, max(map(len, token_ids)), 384)
    for i, ids in enumerate(token_ids):
        assert not states[i, len(ids):].any()
        # The model pools by the mean.
        np.testing.assert_allclose(states[i, :len(ids)].mean(axis=0), embeddings[i], atol=1e-5)
    alone = client.infer("minilm", id_tensors(token_ids[5:6]), outputs=requested("last_hidden_state"),
                         client_timeout=60).as_numpy("last_hidden_state")
    assert alone.tobytes() == states[5:6, :len(token_ids[5])].tobytes()


def test_texts_have_the_hidden_states_of_their_ids(client, goldens):
    texts, token_ids = goldens[0][:5], goldens[1][:5]
    of_texts, of_ids = (client.infer("minilm", inputs, outputs=requested("last_hidden_state"), client_timeout=60)
                        for inputs in ([texts_tensor(texts)], id_tensors(token_ids)))
    assert of_texts.as_numpy("last_hidden_state").tobytes() == of_ids.as_numpy("last_hidden_state").tobytes()


# Classification

def test_classification(tiny_model):
    with OctetServer(models={"labels": tiny_model(3)}) as server, \
            triton.InferenceServerClient(server.grpc_address) as client:
        config = client.get_model_config("labels", as_json=True)["config"]
        assert [output["name"] for output in config["output"]] == ["logits", "label", "last_hidden_state"]
        answer = client.infer("labels", [texts_tensor(["a quick fox", "the dog"])], client_timeout=60)
        logits, labels = answer.as_numpy("logits"), answer.as_numpy("label")
        assert logits.shape == (2, 3) and labels.shape == (2,)
        alone = client.infer("labels", [texts_tensor(["the dog"])], client_timeout=60)
        assert alone.as_numpy("logits").tobytes() == logits[1:].tobytes()
        pairs = client.infer("labels", [texts_tensor(["fox"] * 2), texts_tensor(["dog", "fox"], "text_pair")],
                             outputs=requested("logits"), client_timeout=60)
        assert pairs.as_numpy("logits").shape == (2, 3) and pairs.as_numpy("label") is None
        assert [label.decode() for label in labels] == [f"label {row.argmax()}" for row in logits]
        metadata = client.get_model_metadata("labels")
        assert [given.name for given in metadata.inputs][:2] == ["text", "text_pair"]


# Streams

def test_stream_answers_in_order_and_survives_an_error(server, client):
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    texts = [f"text {i} " * (1 + 17 * i % 50) for i in range(100)]
    for i, text in enumerate(texts):
        client.async_stream_infer("minilm" if i != 50 else "nothing", [texts_tensor([text])], request_id=str(i))
    got = [answers.get(timeout=60) for _ in texts]
    client.stop_stream()
    for i in (0, 49, 51, 99):
        result, error = got[i]
        assert error is None and result.get_response().id == str(i)
        assert result.as_numpy("embedding").tobytes() == array_of(server.embed([texts[i]])).tobytes()
    assert got[50][0] is None and "not found" in got[50][1].message()


# What it says of itself

def test_health_and_metadata(server, client):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("minilm")
    assert not client.is_model_ready("nothing")
    assert "statistics" in client.get_server_metadata().extensions
    metadata = client.get_model_metadata("minilm")
    assert {i.name: (i.datatype, list(i.shape)) for i in metadata.inputs} == {
        "text": ("BYTES", [-1, 1]), "input_ids": ("INT64", [-1, -1]), "attention_mask": ("INT64", [-1, -1]),
        "token_type_ids": ("INT64", [-1, -1])}
    assert {o.name: (o.datatype, list(o.shape)) for o in metadata.outputs} == {
        "embedding": ("FP32", [-1, 384]), "last_hidden_state": ("FP32", [-1, -1, 384])}
    config = client.get_model_config("minilm").config
    assert config.max_batch_size == 128 and all(i.optional for i in config.input)
    index = client.get_model_repository_index().models
    assert [(m.name, m.version, m.state) for m in index] == [("minilm", metadata.versions[0], "READY")]


def test_statistics_are_those_of_the_metrics(server, client):
    def both():
        (statistics,) = client.get_inference_statistics("minilm").model_stats
        return statistics, server.metrics()
    before, _ = both()
    client.infer("minilm", [texts_tensor(["count me", "and me"])], client_timeout=60)
    with pytest.raises(InferenceServerException):
        client.infer("minilm", [texts_tensor(["word " * 600])], client_timeout=60)
    server.check_every_call_has_one_outcome()
    after, metrics = both()
    assert after.inference_count - before.inference_count == 2
    assert after.execution_count - before.execution_count == 1
    assert after.inference_count == metrics.sum("octet_texts_total", model="minilm")
    calls, calls_before = after.inference_stats, before.inference_stats
    assert calls.success.count - calls_before.success.count == 1
    assert calls.fail.count - calls_before.fail.count == 1
    infer = metrics.sum("octet_inference_duration_seconds_sum", model="minilm")
    assert calls.compute_infer.ns == pytest.approx(infer * 1e9, rel=1e-4)  # as exact as the text format's digits
    assert calls.compute_infer.count == metrics.sum("octet_inference_duration_seconds_count", model="minilm")


def test_calls_are_counted_by_method(server, client):
    method = "inference.GRPCInferenceService/ModelInfer"
    labels = {"method": method, "model": "minilm", "code": "OK"}
    before = server.metrics().sum("octet_request_duration_seconds_count", **labels)
    client.infer("minilm", [texts_tensor(["a"])], client_timeout=60)
    server.check_every_call_has_one_outcome()
    assert server.metrics().sum("octet_request_duration_seconds_count", **labels) == before + 1


# Errors

@pytest.mark.parametrize("inputs, parameters, code, message", [
    ([texts_tensor(["a"], "words")], None, "INVALID_ARGUMENT", '"words" is no input'),
    ([tensor("input_ids", np.array([[101, 30522]], np.int64))], None, "INVALID_ARGUMENT", "token id 30522"),
    ([tensor("input_ids", np.array([[101, 102]], np.int32))], None, "INVALID_ARGUMENT", 'datatype "INT32"'),
    ([tensor("input_ids", np.ones((1, 257), np.int64))], None, "INVALID_ARGUMENT", "row limit 256"),
    ([texts_tensor(["a"] * 129)], None, "INVALID_ARGUMENT", "129 items, limit 128"),
    ([texts_tensor(["a"])], {"trunc": True}, "INVALID_ARGUMENT", '"trunc" is not known'),
])
def test_refusals(client, inputs, parameters, code, message):
    with pytest.raises(InferenceServerException) as failure:
        client.infer("minilm", inputs, parameters=parameters, client_timeout=60)
    assert failure.value.status() == f"StatusCode.{code}"
    assert message in failure.value.message()


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(InferenceServerException) as failure:
        client.infer("nothing", [texts_tensor(["a"])], client_timeout=60)
    assert failure.value.status() == "StatusCode.NOT_FOUND"


def test_a_message_of_many_small_fields_costs_no_memory(server):
    """2 MB of empty texts would be 80 MB of message."""
    call = server.channel().unary_unary("/inference.GRPCInferenceService/ModelInfer")
    contents = b"\x42\x00" * 900_000
    request = _field(5, _field(1, b"text") + _field(2, b"BYTES") + _field(5, contents))
    before = server.peak_rss_mib()
    for _ in range(3):
        with pytest.raises(grpc.RpcError) as failure:
            call(request, timeout=60)
        assert failure.value.details() == "inputs: 900000 texts, limit 256"
    assert server.peak_rss_mib() - before < 40


def _field(number, payload):
    """A length-delimited field of protobuf's wire format."""
    size, varint = len(payload), b""
    while size >= 0x80:
        varint += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + varint + bytes([size]) + payload


def test_two_models_by_name():
    with OctetServer(models={"one": octet_server.MODEL, "two": octet_server.MODEL}) as server, \
            triton.InferenceServerClient(server.grpc_address) as client:
        assert len(client.get_inference_statistics().model_stats) == 2
        assert client.infer("two", [texts_tensor(["a"])], client_timeout=60).get_response().model_name == "two"
