"""Token classification: `octet evaluate --task tokens` against values computed here from the committed reference logits,
quantized directories, refusals, and what other commands say of such a model."""
import json
import os
import shutil

import fastjsonschema
import numpy as np
import pytest

from conftest import GOLDEN_DIR
from octet_server import run_octet
from stubs import ROOT

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
WNUT_TYPES = ["person", "location", "corporation", "group", "product", "creative-work"]
MAX_TOKENS = 32  # of the tiny model


@pytest.fixture(scope="module")
def model(tiny_model):
    return tiny_model(",".join(LABELS))


@pytest.fixture(scope="module")
def sentences():
    """[(words, labels)] and what the reference predicts for each word: labels, None for a word without a token. The
    true labels are the predicted ones with some of them changed."""
    with open(os.path.join(GOLDEN_DIR, "token_classification.json"), encoding="utf-8") as f:
        items = json.load(f)["items"]
    random = np.random.default_rng(3)
    truth, predicted = [], []
    for item in items:
        if any(set(word) & set("\t ") for word in item["words"]):
            continue  # a line of such a word would not be one of two columns between blanks
        first = [None if i is None else LABELS[int(np.argmax(item["logits"][i]))] for i in item["first_tokens"]]
        labels = [label if label and random.random() < 0.7 else str(random.choice(LABELS)) for label in first]
        truth.append((item["words"], labels))
        predicted.append(first)
    assert sum(None in row for row in predicted) > 0 and len(truth) > 8
    return truth, predicted


def conll(truth):
    return "".join("".join(f"{word} x {label}\n" for word, label in zip(*sentence)) + "\n" for sentence in truth)


def entities(labels):
    """{(begin, end, type)}: the definition, word by word; a word that goes on with no entity begins one."""
    found, begin = set(), None
    for i, label in enumerate([*labels, "O"]):
        goes_on = begin is not None and label is not None and label.startswith("I-") and label[2:] == labels[begin][2:]
        if begin is not None and not goes_on:
            found.add((begin, i, labels[begin][2:]))
            begin = None
        if begin is None and label not in (None, "O"):
            begin = i
    return found


def expected_metrics(truth, predicted):
    true_sets = [entities(labels) for _, labels in truth]
    predicted_sets = [entities(labels) for labels in predicted]
    right = sum(len(a & b) for a, b in zip(true_sets, predicted_sets))
    num_true, num_predicted = sum(map(len, true_sets)), sum(map(len, predicted_sets))
    words = [pair for (_, labels), row in zip(truth, predicted) for pair in zip(labels, row)]
    return {"entity_f1": 2 * right / (num_true + num_predicted), "precision": right / num_predicted,
            "recall": right / num_true, "accuracy": sum(a == b for a, b in words) / len(words)}


def measured(model, folder, data, *args):
    path = folder / "report.json"
    done = run_octet("evaluate", model, "--task", "tokens", "--data", data, "--json", path, "--overwrite", *args,
                     timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(path.read_text(encoding="utf-8"))


def without_speed(report):
    return [{key: value for key, value in variant.items() if key != "speed"} for variant in report["variants"]]


def test_metrics_are_those_of_the_reference(model, sentences, tmp_path):
    truth, predicted = sentences
    data = tmp_path / "data.conll"
    data.write_text("-DOCSTART- -X- O\n\n" + conll(truth), encoding="utf-8")
    report = measured(model, tmp_path, data, "--variants", "f32,dynamic", "--markdown", tmp_path / "report.md",
                      "--html", tmp_path / "report.html")
    with open(os.path.join(ROOT, "docs", "evaluate.schema.json"), encoding="utf-8") as f:
        fastjsonschema.compile(json.load(f))(report)
    f32, dynamic = report["variants"]
    assert report["task"]["examples"] == f32["texts"] == len(truth)
    assert f32["metrics"] == pytest.approx(expected_metrics(truth, predicted), abs=1e-12)
    assert f32["interval"]["low"] < f32["metrics"]["entity_f1"] < f32["interval"]["high"]
    assert f32["clipped_texts"] == 0
    assert f32["clipped_words"] == dynamic["clipped_words"] == sum(row.count(None) for row in predicted)
    comparison = dynamic["comparison"]
    assert comparison["difference"] == dynamic["metrics"]["entity_f1"] - f32["metrics"]["entity_f1"]
    assert 0.99 < comparison["cosine_mean"] < 1 and 0.9 < comparison["cosine_min"] < comparison["cosine_mean"]
    assert 0 <= comparison["flips"] < 0.2 * sum(len(row) for row in predicted)
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for text in (markdown, page):
        assert "entity F1" in text and "clipped words" in text and f"{100 * f32['metrics']['accuracy']:.2f}" in text


def test_format_and_threads_do_not_matter(model, sentences, tmp_path):
    truth, _ = sentences
    data, lines, names = tmp_path / "data.conll", tmp_path / "data.jsonl", tmp_path / "labels.txt"
    data.write_text(conll(truth), encoding="utf-8")
    # Indices of names in an order of their own.
    names.write_text("\n".join(reversed(LABELS)), encoding="utf-8")
    lines.write_text("".join(
        json.dumps({"tokens": words, "ner_tags": [LABELS[::-1].index(label) for label in labels]}) + "\n"
        for words, labels in truth), encoding="utf-8")
    one = measured(model, tmp_path, data, "--variants", "f32,dynamic", "--threads", 1)
    assert without_speed(measured(model, tmp_path, data, "--variants", "f32,dynamic", "--threads", 3)) == without_speed(one)
    assert without_speed(measured(model, tmp_path, lines, "--labels", names, "--variants", "f32,dynamic")) == \
        without_speed(one)


def test_words_beyond_the_limit_are_counted_and_wrong(model, tmp_path):
    data = tmp_path / "long.conll"
    data.write_text("fox O\n" * 40 + "\nfox O\n", encoding="utf-8")
    (f32,) = measured(model, tmp_path, data, "--variants", "f32")["variants"]
    assert f32["clipped_texts"] == 1 and f32["clipped_words"] == 40 - (MAX_TOKENS - 2)
    assert list(f32["metrics"]) == ["accuracy"] and f32["metrics"]["accuracy"] <= 31 / 41


def test_quantized_directories_are_variants(model, sentences, tmp_path):
    truth, _ = sentences
    texts, data = tmp_path / "texts.txt", tmp_path / "data.conll"
    texts.write_text("".join(f"the {word} fox is {i}\n" for i, word in enumerate(["quick", "deep", "what", "dog"] * 12)),
                     encoding="utf-8")
    data.write_text(conll(truth), encoding="utf-8")
    directories = []
    for method in ("dynamic", "smooth", "static", "mixed"):
        limits = ["--min-cosine-mean", 0.99, "--min-cosine-min", 0.9] if method == "mixed" else []
        directories.append(str(tmp_path / method[:2]))
        done = run_octet("quantize", model, "--method", method, "--calibration", texts, "--out", directories[-1], *limits)
        assert done.returncode == 0, done.stderr
        report = json.loads((tmp_path / method[:2] / "quantization_report.json").read_text(encoding="utf-8"))
        assert 0.9 < report["fidelity"]["cosine_min"] <= report["fidelity"]["cosine_mean"] < 1
        config = json.loads((tmp_path / method[:2] / "config.json").read_text(encoding="utf-8"))
        assert config["architectures"] == ["BertForTokenClassification"]
        assert config["quantization_config"]["ignore"].count("classifier") == 1
    rows = measured(model, tmp_path, data, "--variants", ",".join(["f32", "dynamic", *directories]))["variants"]
    by_name = {row["name"]: row for row in rows}
    assert list(by_name) == ["f32", "dynamic", "dy", "sm", "st", "mi"]
    for row in rows[1:]:
        assert row["comparison"]["cosine_min"] > 0.9 and row["clipped_words"] == rows[0]["clipped_words"]
    # Weights rounded beforehand have the same bits.
    assert by_name["dy"]["comparison"] == by_name["dynamic"]["comparison"]
    assert by_name["dy"]["metrics"] == by_name["dynamic"]["metrics"]


def test_variants_must_have_the_same_labels(model, tmp_path):
    data = tmp_path / "data.conll"
    data.write_text("fox O\n", encoding="utf-8")
    other = tmp_path / "other"
    shutil.copytree(model, other)
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    config["id2label"].update({"0": "B-PER", "1": "O"})
    config["label2id"].update({"B-PER": 0, "O": 1})
    (other / "config.json").write_text(json.dumps(config), encoding="utf-8")
    done = run_octet("evaluate", model, "--task", "tokens", "--data", data, "--variants", f"f32,{other}")
    assert done.returncode == 3 and "id2label: got \"B-PER\", \"O\"" in done.stderr and done.stderr.count("\n") == 1


REFUSALS = [
    # (content, arguments, exit code, part of the message)
    ("", [], 2, ": empty"),
    ("\n\n", [], 2, ": no sentences"),
    ("fox O\ndog\n", [], 2, "data:2: 1 column, want a word and its label"),
    ("fox O\ndog x O\n", [], 2, "data:2: 3 columns, the first word has 2"),
    ("fox\tO\n\tO\n", [], 2, "data:2: empty word"),
    ("fox O\n\ndog B-ORG\n", [], 3, "data:3: label \"B-ORG\": not one of the model's, which are \"O\", \"B-PER\""),
    ('{"tokens": ["fox"], "labels": ["O", "O"]}\n', [], 2, "data:1: 1 tokens, but 2 labels; want as many"),
    ('{"tokens": ["fox"], "ner_tags": [0]}\n', [], 2, "data:1: label 0: an index needs --labels FILE"),
    ('{"tokens": ["fox"], "labels": ["O"]}\n{"tokens": 3}\n', [], 2, "data:2: \"tokens\": number, want an array"),
    ("fox O\n", ["--columns", "1,2"], 2, "--columns: not for --task tokens"),
]


@pytest.mark.parametrize("content,arguments,code,message", REFUSALS, ids=[row[3] for row in REFUSALS])
def test_refusals_are_one_line(model, tmp_path, content, arguments, code, message):
    data = tmp_path / "data"
    data.write_text(content, encoding="utf-8")
    done = run_octet("evaluate", model, "--task", "tokens", "--data", data, "--variants", "f32", *arguments)
    assert done.returncode == code and message in done.stderr, done.stderr
    assert done.stderr.startswith("octet: ") and done.stderr.count("\n") == 1 and done.stdout == ""


def test_other_commands_say_what_the_model_is_for(model, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("the quick fox\n", encoding="utf-8")
    done = run_octet("embed", "--model", model, texts)
    assert done.returncode == 3 and done.stderr == \
        "octet: model refused: its task is token classification, not embedding\n"
    for arguments in ([], ["--check-config"]):
        done = run_octet("serve", "--model", f"ner={model}", "--grpc-address", "127.0.0.1:0", "--metrics-address",
                         "127.0.0.1:0", *arguments)
        assert done.returncode == 3 and "its task is token classification, which no method serves; octet evaluate --task " \
            "tokens and octet quantize take it" in done.stderr, done.stderr
    data = tmp_path / "pairs.tsv"
    data.write_text("a\tb\t1\nc\td\t2\n", encoding="utf-8")
    done = run_octet("evaluate", model, "--task", "similarity", "--data", data, "--variants", "f32")
    assert done.returncode == 3 and "--task similarity: the model's task is token classification, not embedding" in done.stderr


def test_a_real_data_set_is_read_whole(tiny_model, shared_data, tmp_path):
    path = os.path.join(shared_data, "wnut17", "emerging.test.annotated")
    labels = ["O", *(f"{position}-{type}" for type in WNUT_TYPES for position in "BI")]
    report = measured(tiny_model(",".join(labels)), tmp_path, path, "--variants", "f32,dynamic", "--threads", 2)
    f32 = report["variants"][0]
    assert report["task"]["examples"] == 1287 and report["task"]["main_metric"] == "entity_f1"
    assert f32["clipped_texts"] > 0 and f32["clipped_words"] > 0
    assert f32["interval"] is not None
