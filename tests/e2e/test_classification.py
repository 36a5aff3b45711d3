"""Classification and reranking by the running server: generated stubs, grpcurl, configuration, health."""
import json
import os
import shutil

import grpc
import numpy as np
import pytest
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc

from conftest import GOLDEN_DIR
from octet_server import OctetServer, run_octet
from programs import grpcurl
from stubs import octet_pb2, tei_grpc, tei_pb2

NUM_LABELS = 3
LABELS = [f"label {i}" for i in range(NUM_LABELS)]


@pytest.fixture(scope="module")
def golden_items():
    with open(os.path.join(GOLDEN_DIR, "classification.json"), encoding="utf-8") as f:
        return json.load(f)["items"]


@pytest.fixture(scope="module")
def directories(tiny_model):
    return {"classifier": tiny_model(NUM_LABELS), "reranker": tiny_model(1), "embedder": tiny_model(0)}


@pytest.fixture(scope="module")
def classifying(directories):
    """A server with a classifier (the default), a reranker and an embedding model, in f32."""
    with OctetServer("--precision", "f32", "--default-model", "classifier", models=directories) as running:
        yield running


def text_input(text, pair=None):
    return octet_pb2.TextInput(text=text, pair=pair)


def classify(server, inputs, **fields):
    return server.stub().Classify(octet_pb2.ClassifyRequest(
        inputs=[text_input(i) if isinstance(i, str) else text_input(*i) for i in inputs], **fields), timeout=60)


def failure_of(call, *args, **kwargs):
    with pytest.raises(grpc.RpcError) as failure:
        answer = call(*args, **kwargs)
        if hasattr(answer, "__next__"):
            list(answer)
    return failure.value.code(), failure.value.details()


def logits_of(answer):
    return np.array([c.logits for c in answer.classifications], "<f4")


# octet.v1

def test_logits_and_scores_are_those_of_the_reference(classifying, golden_items):
    answer = classify(classifying, [(i["text"], i["pair"]) for i in golden_items], with_logits=True)
    assert answer.model == "classifier" and answer.score_mode == octet_pb2.SCORE_MODE_SOFTMAX
    assert [c.num_tokens for c in answer.classifications] == [len(i["ids"]) for i in golden_items]
    assert answer.num_tokens == sum(len(i["ids"]) for i in golden_items)
    assert answer.timing.compute_ns > 0
    np.testing.assert_allclose(logits_of(answer), [i["logits"] for i in golden_items], atol=1e-4)
    for classification, item in zip(answer.classifications, golden_items):
        order = np.argsort(-np.array(item["softmax"]), kind="stable")
        assert [p.index for p in classification.predictions] == list(order)
        assert [p.label for p in classification.predictions] == [LABELS[i] for i in order]
        np.testing.assert_allclose([p.score for p in classification.predictions], np.array(item["softmax"])[order],
                                   atol=1e-4)


def test_alone_and_together_have_the_same_bits(classifying, golden_items):
    inputs = [(i["text"], i["pair"]) for i in golden_items]
    together = logits_of(classify(classifying, inputs, with_logits=True))
    for row, one in zip(together, inputs):
        assert logits_of(classify(classifying, [one], with_logits=True))[0].tobytes() == row.tobytes()


def test_options(classifying):
    full = classify(classifying, ["the quick fox"], with_logits=True).classifications[0]
    raw = classify(classifying, ["the quick fox"], score_mode=octet_pb2.SCORE_MODE_RAW, top_k=2)
    assert raw.score_mode == octet_pb2.SCORE_MODE_RAW
    (only,) = raw.classifications
    assert not only.logits
    assert [p.score for p in only.predictions] == sorted(full.logits, reverse=True)[:2]
    sigmoid = classify(classifying, ["the quick fox"], score_mode=octet_pb2.SCORE_MODE_SIGMOID).classifications[0]
    for p in sigmoid.predictions:
        assert p.score == pytest.approx(1 / (1 + np.exp(-full.logits[p.index])), abs=1e-6)
    best = full.predictions[0].score
    assert len(classify(classifying, ["the quick fox"], threshold=best).classifications[0].predictions) == 1
    assert not classify(classifying, ["the quick fox"], threshold=1.5).classifications[0].predictions


def test_truncation(classifying):
    long = "fox " * 100
    code, message = failure_of(classify, classifying, ["fox", long])
    assert (code, message) == (grpc.StatusCode.INVALID_ARGUMENT, "inputs[1]: 102 tokens, limit 32")
    cut = classify(classifying, [("dog", long)], truncate=True).classifications[0]
    assert cut.truncated and cut.num_tokens == 32


def test_stream(classifying):
    requests = [octet_pb2.ClassifyStreamRequest(id=i, request=octet_pb2.ClassifyRequest(
        inputs=[text_input("fox " * (i % 20))] if i != 5 else [], with_logits=True)) for i in range(50)]
    answers = {a.id: a for a in classifying.stub().ClassifyStream(iter(requests), timeout=60)}
    assert sorted(answers) == list(range(50))
    assert answers[5].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert answers[5].error.message == "inputs: empty"
    one = classify(classifying, ["fox " * 7], with_logits=True)
    assert logits_of(answers[7].response).tobytes() == logits_of(one).tobytes()


@pytest.mark.parametrize("model,code,words", [
    ("embedder", grpc.StatusCode.FAILED_PRECONDITION, "model: its task is embedding, this method's is classification"),
    ("none", grpc.StatusCode.NOT_FOUND, "model: not found"),
])
def test_models_that_cannot_classify(classifying, model, code, words):
    assert failure_of(classify, classifying, ["a"], model=model) == (code, words)


def test_a_classifier_does_not_embed(classifying):
    assert failure_of(classifying.embed, ["a"]) == (
        grpc.StatusCode.FAILED_PRECONDITION, "model: its task is classification, this method's is embedding")
    assert classifying.embed(["a"], model="embedder").dimensions == 32
    before = classifying.metrics().sum("octet_rejected_total", reason="wrong_task")
    failure_of(classifying.embed, ["a"])
    assert classifying.metrics().sum("octet_rejected_total", reason="wrong_task") == before + 1


@pytest.mark.parametrize("message,words", [
    (b"\xff\xff", "request: not a valid ClassifyRequest"),
    (b"", "inputs: empty"),
    (b"\x12\x03\x0a\x01\xff", "inputs[0].text: not valid UTF-8 at byte 0"),
    (b"\x12\x06\x0a\x01a\x12\x01\xff", "inputs[0].pair: not valid UTF-8 at byte 0"),
    (b"\x12\x00" * 129, "inputs: 129 items, limit 128"),
    (b"\x12\x03\x0a\x01a\x28\x09", "score_mode: unknown value 9"),
    (b"\x12\x03\x0a\x01a\x3d\x00\x00\xc0\x7f", "threshold: not a finite number"),
])
def test_bad_requests(classifying, message, words):
    call = classifying.channel().unary_unary("/octet.v1.TextEncoder/Classify")
    assert failure_of(call, message, timeout=10) == (grpc.StatusCode.INVALID_ARGUMENT, words)


def test_int8_is_near_f32_and_invariant(directories, golden_items):
    inputs = [(i["text"], i["pair"]) for i in golden_items]
    with OctetServer("--threads", "2", models={"m": directories["classifier"]}) as server:
        together = logits_of(classify(server, inputs, with_logits=True))
        assert np.abs(together - [i["logits"] for i in golden_items]).max() < 0.5  # 32 values a row: coarse
        for row, one in zip(together, inputs):
            assert logits_of(classify(server, [one], with_logits=True))[0].tobytes() == row.tobytes()


# tei.v1

def on(model):
    return {"metadata": [("octet-model", model)], "timeout": 60}


def test_tei_predict(classifying):
    stub = tei_grpc.PredictStub(classifying.channel())
    expected = classify(classifying, ["the fox", ("the fox", "a dog")], with_logits=True).classifications
    got = stub.Predict(tei_pb2.PredictRequest(inputs="the fox"), timeout=60)
    assert [(p.label, p.score) for p in got.predictions] == [(p.label, p.score) for p in expected[0].predictions]
    assert got.metadata.compute_tokens == expected[0].num_tokens
    assert got.metadata.compute_chars == len("the fox")
    pair = stub.PredictPair(tei_pb2.PredictPairRequest(inputs=["the fox", "a dog"], raw_scores=True), timeout=60)
    assert [p.score for p in pair.predictions] == sorted(expected[1].logits, reverse=True)
    for inputs in (["one"], ["1", "2", "3"]):
        code, _ = failure_of(stub.PredictPair, tei_pb2.PredictPairRequest(inputs=inputs), timeout=60)
        assert code == grpc.StatusCode.INVALID_ARGUMENT
    # A single label is a sigmoid.
    (one,) = stub.Predict(tei_pb2.PredictRequest(inputs="the fox"), **on("reranker")).predictions
    (raw,) = stub.Predict(tei_pb2.PredictRequest(inputs="the fox", raw_scores=True), **on("reranker")).predictions
    assert one.score == pytest.approx(1 / (1 + np.exp(-raw.score)), abs=1e-6)


def test_tei_predict_streams_answer_in_order(classifying):
    stub = tei_grpc.PredictStub(classifying.channel())
    texts = ["fox " * (1 + 13 * i % 29) for i in range(60)]
    expected = [c.predictions[0].score for c in classify(classifying, texts).classifications]
    got = stub.PredictStream((tei_pb2.PredictRequest(inputs=t) for t in texts), timeout=60)
    assert [a.predictions[0].score for a in got] == expected
    pairs = stub.PredictPairStream((tei_pb2.PredictPairRequest(inputs=[t, "dog"], truncate=True) for t in texts),
                                   timeout=60)
    expected = classify(classifying, [(t, "dog") for t in texts], truncate=True).classifications
    assert [a.predictions[0].score for a in pairs] == [c.predictions[0].score for c in expected]


def test_tei_rerank(classifying):
    stub = tei_grpc.RerankStub(classifying.channel())
    texts = ["the fox", "a dog", "deep learning", "the fox"]
    request = tei_pb2.RerankRequest(query="what is deep learning?", texts=texts, raw_scores=True, return_text=True)
    raw = stub.Rerank(request, **on("reranker"))
    expected = logits_of(classify(classifying, [("what is deep learning?", t) for t in texts], model="reranker",
                                  with_logits=True))[:, 0]
    order = np.argsort(-expected, kind="stable")
    assert [(r.index, r.text, r.score) for r in raw.ranks] == [(i, texts[i], expected[i]) for i in order]
    request.raw_scores, request.return_text = False, False
    ranks = stub.Rerank(request, **on("reranker")).ranks
    assert [r.index for r in ranks] == list(order) and not any(r.HasField("text") for r in ranks)
    np.testing.assert_allclose([r.score for r in ranks], 1 / (1 + np.exp(-expected[order].astype(float))), atol=1e-6)

    messages = (tei_pb2.RerankStreamRequest(query=request.query, text=t, raw_scores=True, return_text=True)
                for t in texts)
    streamed = stub.RerankStream(messages, **on("reranker"))
    assert list(streamed.ranks) == list(raw.ranks)


def test_tei_rerank_limits(classifying):
    stub = tei_grpc.RerankStub(classifying.channel())
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    assert failure_of(stub.Rerank, tei_pb2.RerankRequest(query="q"), **on("reranker")) == (invalid, "texts: empty")
    assert failure_of(stub.RerankStream, iter([]), **on("reranker")) == (invalid, "request: no message on the stream")
    many = (tei_pb2.RerankStreamRequest(query="q", text="t") for _ in range(10_000))
    assert failure_of(stub.RerankStream, many, **on("reranker")) == (invalid, "request: more than 128 messages")
    large = (tei_pb2.RerankStreamRequest(query="q", text="t" * 60_000) for _ in range(100))
    assert failure_of(stub.RerankStream, large, **on("reranker")) == (
        invalid, "request: more than 2097152 bytes of messages")


def test_tei_wrong_task_is_unimplemented(classifying):
    channel = classifying.channel()
    predict, rerank, embed = tei_grpc.PredictStub(channel), tei_grpc.RerankStub(channel), tei_grpc.EmbedStub(channel)
    for call, request, model in [
            (predict.Predict, tei_pb2.PredictRequest(inputs="a"), "embedder"),
            (rerank.Rerank, tei_pb2.RerankRequest(query="q", texts=["a"]), "classifier"),
            (rerank.Rerank, tei_pb2.RerankRequest(query="q", texts=["a"]), "embedder"),
            (embed.Embed, tei_pb2.EmbedRequest(inputs="a"), "classifier")]:
        assert failure_of(call, request, **on(model))[0] == grpc.StatusCode.UNIMPLEMENTED


def test_tei_info(classifying):
    stub = tei_grpc.InfoStub(classifying.channel())
    types = {name: stub.Info(tei_pb2.InfoRequest(), **on(name)).model_type
             for name in ("embedder", "classifier", "reranker")}
    assert types == {"embedder": tei_pb2.MODEL_TYPE_EMBEDDING, "classifier": tei_pb2.MODEL_TYPE_CLASSIFIER,
                     "reranker": tei_pb2.MODEL_TYPE_RERANKER}


# Start, configuration, health, reflection

def test_health_of_services_without_a_model(directories):
    with OctetServer(models={"classifier": directories["classifier"]}) as server:
        health = health_pb2_grpc.HealthStub(server.channel())
        serving = {name for name in ("", "classifier", "octet.v1.TextEncoder", "tei.v1.Info", "tei.v1.Embed",
                                     "tei.v1.Predict", "tei.v1.Rerank")
                   if health.Check(health_pb2.HealthCheckRequest(service=name)).status
                   == health_pb2.HealthCheckResponse.SERVING}
        assert serving == {"", "classifier", "octet.v1.TextEncoder", "tei.v1.Info", "tei.v1.Predict"}
        assert any("Classify" in line for line in server.log)  # the call that the ready lines suggest


def test_configured_scores_and_thresholds(directories, tmp_path):
    config = f"""
models:
- name: topics
  directory: {directories["classifier"]}
  classification: {{scores: raw, top_k: 2, threshold: -1.0, thresholds: {{label 0: 100}}}}
"""
    with OctetServer("--precision", "f32", models={}, config=config, tmp_path=tmp_path) as server:
        answer = classify(server, ["the fox"], with_logits=True)
        (got,) = answer.classifications
        passed = sorted((i for i in (1, 2) if got.logits[i] >= -1), key=lambda i: -got.logits[i])
        assert answer.score_mode == octet_pb2.SCORE_MODE_RAW
        assert [p.index for p in got.predictions] == passed
        everything = classify(server, ["the fox"], top_k=0, threshold=-1000).classifications[0]
        assert len(everything.predictions) == NUM_LABELS
        # The thresholds were of raw scores: softmax scores have none.
        softmax = classify(server, ["the fox"], score_mode=octet_pb2.SCORE_MODE_SOFTMAX).classifications[0]
        assert len(softmax.predictions) == 2
        # tei.v1 keeps its own meaning.
        predict = tei_grpc.PredictStub(server.channel()).Predict(tei_pb2.PredictRequest(inputs="the fox"), timeout=60)
        assert sum(p.score for p in predict.predictions) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("model,section,words", [
    ("classifier", "{thresholds: {lable 1: 0.5}}", "has no label \"lable 1\"; nearest is \"label 1\""),
    ("embedder", "{top_k: 3}", "the model's task is embedding; remove the section"),
])
def test_refused_configuration(directories, tmp_path, model, section, words):
    path = tmp_path / "octet.yaml"
    path.write_text(f"models:\n- name: m\n  directory: {directories[model]}\n  classification: {section}\n")
    for arguments in (["--check-config"], []):
        done = run_octet("serve", "--config", path, *arguments)
        assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.parametrize("changes,words", [
    ({"id2label": {"0": "a", "2": "b"}, "label2id": None}, "id2label: \"2\": not an id"),
    ({"id2label": {"0": "a", "1": "b"}, "label2id": None}, "\"classifier.weight\": shape [3, 32], expected [2, 32]"),
    ({"problem_type": "ranking"}, "problem_type: got \"ranking\""),
])
def test_refused_models(directories, tmp_path, changes, words):
    directory = tmp_path / "model"
    shutil.copytree(directories["classifier"], directory)
    config = json.loads((directory / "config.json").read_text())
    config.update(changes)
    (directory / "config.json").write_text(json.dumps(config))
    done = run_octet("serve", "--model", directory, "--grpc-address", "127.0.0.1:0", "--metrics-address", "")
    assert done.returncode == 3 and words in done.stderr, done.stderr


def test_octet_embed_refuses_a_classifier(directories):
    done = run_octet("embed", "--model", directories["classifier"], input="a\n", stdin=None)
    assert done.returncode == 3 and "its task is classification, not embedding" in done.stderr


def test_grpcurl(classifying):
    assert {"octet.v1.TextEncoder", "tei.v1.Predict", "tei.v1.Rerank"} <= set(grpcurl(classifying, "list").split())
    assert "rpc ClassifyStream" in grpcurl(classifying, "describe", "octet.v1.TextEncoder")
    assert "stream .tei.v1.RerankStreamRequest" in grpcurl(classifying, "describe", "tei.v1.Rerank")
    request = json.dumps({"inputs": [{"text": "the fox"}, {"text": "the fox", "pair": "a dog"}], "topK": 1})
    answer = json_format.Parse(grpcurl(classifying, "octet.v1.TextEncoder/Classify", data=request),
                               octet_pb2.ClassifyResponse())
    expected = classify(classifying, ["the fox", ("the fox", "a dog")], top_k=1)
    assert list(answer.classifications) == list(expected.classifications)
