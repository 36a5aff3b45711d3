"""`octet quantize`: directories that are served, reports, the gate, and everything that must not leave half a model."""
import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

import octet_server
from octet_server import BINARY, OctetServer, environment, run_octet
from stubs import octet_pb2
from vectors import array_of

EXIT_FAILURE, EXIT_CONFIG, EXIT_MODEL = 1, 2, 3
METHODS = ["dynamic", "smooth", "static", "mixed"]


@pytest.fixture(scope="module")
def floats(tiny_model):
    return tiny_model(0)


@pytest.fixture(scope="module")
def loud_floats(tiny_model):
    """One that needs no texts to tell which channels to smooth."""
    return tiny_model("loud")


@pytest.fixture(scope="module")
def texts(golden_texts_file):
    return golden_texts_file()


def quantize(model, out, *args, env=None):
    return run_octet("quantize", model, "--out", out, *args, env=env)


def embed(model, tmp_path, *args):
    lines, out = tmp_path / "lines.txt", tmp_path / "vectors.npy"
    lines.write_text("the quick brown fox\nabc\nit is 7 of 9\n", encoding="utf-8")
    done = run_octet("embed", "--model", model, "--npy", out, "--overwrite", *args, lines)
    assert done.returncode == 0, done.stderr
    return np.load(out)


def report_of(directory):
    return json.loads((directory / "quantization_report.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def quantized(floats, texts, tmp_path_factory):
    """{method: directory}"""
    folder = tmp_path_factory.mktemp("quantized")
    for method in METHODS:
        limits, env = [], {}
        if method == "mixed":
            # Just above what int8 reaches here, which is what BF16 reaches: float layers must be f32 on every machine.
            limits, env = ["--min-cosine-mean", "0.999998", "--min-cosine-min", "0.999"], {"OCTET_ISA": "avx2"}
        done = quantize(floats, folder / method, "--method", method, "--calibration", texts, *limits, env=env)
        assert done.returncode == 0, done.stderr
    return {method: folder / method for method in METHODS}


@pytest.mark.parametrize("method", METHODS)
def test_report_says_what_was_done(quantized, method):
    report = report_of(quantized[method])
    assert report["schema"] == "octet.quantization_report/1" and report["method"] == method
    assert report["options"]["method"] == method
    assert len(report["weights_version"]) == 12 and report["weights_version"] != report["source_version"]
    assert len(report["layers"]) == 8  # two encoder layers
    assert len(report["calibration"]["sha256"]) == 64 and report["calibration"]["texts"] > 200
    assert report["fidelity"]["held_out_texts"] > 20 and report["fidelity"]["cosine_mean"] > 0.99
    if method == "dynamic":
        return
    if method == "mixed":
        assert [point["float_layers"] for point in report["curve"]] == list(range(9))
        assert sum(point["chosen"] for point in report["curve"]) == 1
        assert any(layer["precision"] != "int8" for layer in report["layers"])
    for layer in report["layers"]:
        assert ("signal_to_noise_db" in layer) == (layer["precision"] == "int8")
        assert layer.get("signal_to_noise_db", 99) > 15


def test_methods_differ_and_are_close_to_floats(floats, quantized, tmp_path):
    reference = embed(floats, tmp_path, "--precision", "f32")
    seen = []
    for method in METHODS:
        vectors = embed(quantized[method], tmp_path)
        assert ((vectors * reference).sum(1) > 0.99).all()
        assert all(not np.array_equal(vectors, other) for other in seen), method
        seen.append(vectors)


def test_server_serves_them_and_says_how(quantized, tmp_path):
    fingerprints = set()
    with OctetServer(models={name: quantized[name] for name in METHODS}) as server:
        for name in METHODS:
            answer = server.stub().Embed(octet_pb2.EmbedRequest(model=name, texts=["the quick brown fox"]), timeout=60)
            assert answer.model_version == report_of(quantized[name])["weights_version"]
            assert np.array_equal(array_of(answer)[0], embed(quantized[name], tmp_path)[0])
            fingerprints.add(answer.fingerprint)
        assert len(fingerprints) == len(METHODS) and all(len(f) == 16 for f in fingerprints)
        log = "\n".join(server.log)
        assert all(f"int8 ({name})" in log for name in METHODS)


def gate_config(directory, gate):
    return f"models: [{{name: m, directory: {directory}, quantization_gate: {gate}}}]\n"


@pytest.mark.parametrize("gate, message", [
    ("{require_report: true}", None),
    ("{min_cosine_mean: 0.999999}", "cosine_mean: 0.9"),
    ("{min_cosine_min: 0.999999}", "cosine_min: 0.9"),
])
def test_gate(quantized, tmp_path, gate, message):
    config = tmp_path / "octet.yaml"
    config.write_text(gate_config(quantized["smooth"], gate), encoding="utf-8")
    if message is None:
        with OctetServer(models={}, config=config.read_text(), tmp_path=tmp_path) as server:
            assert server.stub().Embed(octet_pb2.EmbedRequest(texts=["abc"]), timeout=60).dimensions == 32
        return
    done = run_octet("serve", "--config", config, "--grpc-address", "127.0.0.1:0", "--metrics-address", "")
    assert done.returncode == EXIT_MODEL
    assert f"quantization_report.json: {message}" in done.stderr and "the configured gate" in done.stderr


def test_gate_refuses_other_weights_and_floats(floats, quantized, tmp_path):
    swapped = tmp_path / "swapped"
    shutil.copytree(quantized["smooth"], swapped)
    shutil.copy(quantized["static"] / "quantization_report.json", swapped)
    for directory, message in [(swapped, "is of weights"), (floats, "missing")]:
        config = tmp_path / "octet.yaml"
        config.write_text(gate_config(directory, "{require_report: true}"), encoding="utf-8")
        done = run_octet("serve", "--config", config, "--grpc-address", "127.0.0.1:0", "--metrics-address", "")
        assert done.returncode == EXIT_MODEL and f"quantization_report.json: {message}" in done.stderr


def section_config(directory, section):
    return f"models: [{{name: m, directory: {directory}, quantization: {section}}}]\n"


def served_vectors(directory, section, tmp_path, texts):
    """One answer after the other, and the server's log."""
    with OctetServer(models={}, config=section_config(directory, section), tmp_path=tmp_path) as server:
        vectors = [array_of(server.stub().Embed(octet_pb2.EmbedRequest(texts=[text]), timeout=60))[0] for text in texts]
        return vectors, "\n".join(server.log)


def test_floats_are_served_with_the_bits_of_the_directory_made_without_texts(loud_floats, tmp_path):
    served = {}
    for method in ("smooth", "dynamic"):
        done = quantize(loud_floats, tmp_path / method, "--method", method)
        assert done.returncode == 0, done.stderr
        (served[method],), log = served_vectors(loud_floats, f"{{method: {method}}}", tmp_path, ["the quick brown fox"])
        assert np.array_equal(served[method], embed(tmp_path / method, tmp_path)[0]) and f"int8 ({method})" in log
    assert not np.array_equal(served["smooth"], served["dynamic"])
    # Unless told otherwise: smooth.
    (vector,), log = served_vectors(loud_floats, "{}", tmp_path, ["the quick brown fox"])
    assert np.array_equal(vector, served["smooth"]) and "int8 (smooth)" in log
    assert np.array_equal(embed(loud_floats, tmp_path)[0], served["smooth"])


def test_one_range_a_text(loud_floats, tmp_path):
    texts = ["the quick brown fox", "abc", "the quick brown fox"]
    vectors, log = served_vectors(loud_floats, "{activation_range: per_text}", tmp_path, texts)
    per_token = embed(loud_floats, tmp_path)[0]
    assert "int8 (smooth per_text)" in log
    assert np.array_equal(vectors[0], vectors[2]) and not np.array_equal(vectors[0], per_token)
    assert vectors[0] @ per_token > 0.99


def test_a_moving_average_needs_leave_and_depends_on_history(loud_floats, tmp_path):
    config = tmp_path / "refused.yaml"
    config.write_text(section_config(loud_floats, "{activation_range: moving_average}"), encoding="utf-8")
    for arguments in (["--check-config"], []):
        done = run_octet("serve", "--config", config, "--grpc-address", "127.0.0.1:0", "--metrics-address", "", *arguments)
        assert done.returncode == EXIT_CONFIG and "allow_history_dependent: true" in done.stderr, done.stderr
    section = "{activation_range: moving_average, momentum: 0.5, allow_history_dependent: true}"
    texts = ["the quick brown fox", "abc", "7", "the quick brown fox"]
    vectors, _ = served_vectors(loud_floats, section, tmp_path, texts)
    # The warm-up leaves no history: the first answer is that of ranges per token.
    assert np.array_equal(vectors[0], embed(loud_floats, tmp_path)[0])
    assert not np.array_equal(vectors[0], vectors[3]) and vectors[0] @ vectors[3] > 0.97


def test_methods_that_do_not_fit_the_directory(floats, quantized, tmp_path):
    for directory, method, message in [(floats, "static", "quantization.method: static needs calibration texts"),
                                       (quantized["mixed"], "smooth", "the directory was made with mixed"),
                                       (floats, "best", "quantization.method: want ")]:
        config = tmp_path / "octet.yaml"
        config.write_text(section_config(directory, f"{{method: {method}}}"), encoding="utf-8")
        done = run_octet("serve", "--config", config, "--check-config")
        assert done.returncode == EXIT_CONFIG and message in done.stderr, done.stderr
    with OctetServer(models={}, config=section_config(quantized["mixed"], "{method: mixed}"), tmp_path=tmp_path):
        pass


def test_others_can_read_what_has_no_factors(floats, quantized, texts, tmp_path):
    method_of = {}
    done = quantize(floats, tmp_path / "plain", "--method", "static", "--no-smoothing", "--calibration", texts)
    assert done.returncode == 0, done.stderr
    for directory in [*quantized.values(), tmp_path / "plain"]:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        method_of[directory.name] = config["quantization_config"]["quant_method"]
    # Which layers of mixed stay in int8 depends on times measured, and so whether one of them has factors.
    mixed_has_factors = b".input_factors" in (quantized["mixed"] / "model.safetensors").read_bytes()
    assert method_of == {"dynamic": "compressed-tensors", "plain": "compressed-tensors", "smooth": "octet",
                         "static": "octet", "mixed": "octet" if mixed_has_factors else "compressed-tensors"}


def test_bad_calibration_is_one_line_and_leaves_nothing(floats, tmp_path):
    files = {"empty": b"", "blank": b"\n\n", "utf8": b"fine\n\xff\xfe\n"}
    expected = {"empty": "empty: no texts", "blank": "blank: no texts", "utf8": "line 2: "}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        done = quantize(floats, tmp_path / "out", "--method", "smooth", "--calibration", tmp_path / name)
        assert done.returncode == EXIT_CONFIG, name
        assert done.stderr.count("octet: ") == 1 and expected[name] in done.stderr
        assert not (tmp_path / "out").exists() and not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize("method", ["dynamic", "smooth"])
def test_methods_without_texts(loud_floats, tmp_path, method):
    done = quantize(loud_floats, tmp_path / "out", "--method", method)
    assert done.returncode == 0, done.stderr
    report = report_of(tmp_path / "out")
    smoothing = {"smoothing": True} if method == "smooth" else {}
    assert report["options"] == {"method": method, "texts": False} | smoothing
    assert report["fidelity"]["held_out_texts"] == 0
    assert ("smoothing_alpha" in report["layers"][0]) == (method == "smooth")


@pytest.mark.parametrize("args, code, message", [
    (["--method", "static"], EXIT_CONFIG, "needs --calibration FILE"),
    (["--method", "smooth", "--calibration", "/nonexistent"], EXIT_CONFIG, "cannot read /nonexistent"),
    (["--method", "best"], EXIT_CONFIG, "best not in"),
    (["--clipping-search", "--no-compensation"], EXIT_CONFIG, "--clipping-search is part of compensated rounding"),
    (["--method", "static", "--observer", "max"], EXIT_CONFIG, "max not in"),
])
def test_wrong_flags(floats, tmp_path, args, code, message):
    done = quantize(floats, tmp_path / "out", *args)
    assert done.returncode == code and message in done.stderr
    assert not (tmp_path / "out").exists()


def test_existing_and_quantized_directories_are_refused(quantized, floats, tmp_path):
    done = quantize(floats, quantized["dynamic"], "--method", "dynamic")
    assert done.returncode == EXIT_CONFIG and "give --overwrite" in done.stderr
    done = quantize(quantized["dynamic"], tmp_path / "out", "--method", "dynamic")
    assert done.returncode == EXIT_MODEL and "quantized already" in done.stderr
    done = run_octet("embed", "--model", quantized["dynamic"], "--precision", "f32", "--npy", tmp_path / "v.npy")
    assert done.returncode == EXIT_MODEL and "stored in int8" in done.stderr


def test_long_texts_are_cut_and_counted(floats, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("abc " * 500 + "\nshort\n" * 3, encoding="utf-8")
    done = quantize(floats, tmp_path / "out", "--method", "smooth", "--calibration", path)
    assert done.returncode == 0, done.stderr
    assert "only 4 texts" in done.stderr
    assert report_of(tmp_path / "out")["calibration"] | {"sha256": ""} == {
        "sha256": "", "texts": 4, "tokens": 32 + 3 * 7, "truncated": 1}


def test_too_few_texts_for_what_is_asked(floats, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("one\ntwo\nthree\n", encoding="utf-8")
    done = quantize(floats, tmp_path / "out", "--method", "mixed", "--calibration", path)
    assert done.returncode == EXIT_FAILURE and "3 texts, --method mixed needs at least 8" in done.stderr
    done = quantize(floats, tmp_path / "few", "--method", "static", "--calibration", path, "--overwrite")
    assert done.returncode == 0, done.stderr
    assert report_of(tmp_path / "few")["fidelity"] == {"held_out_texts": 0, "cosine_mean": None, "cosine_min": None}
    config = tmp_path / "octet.yaml"
    config.write_text(gate_config(tmp_path / "few", "{min_cosine_mean: 0.5}"), encoding="utf-8")
    done = run_octet("serve", "--config", config, "--grpc-address", "127.0.0.1:0", "--metrics-address", "")
    assert done.returncode == EXIT_MODEL and "has no cosines to f32" in done.stderr


def test_the_model_itself_is_never_replaced(floats, tmp_path):
    for out in (floats, os.path.dirname(floats)):
        done = quantize(floats, out, "--method", "dynamic", "--overwrite")
        assert done.returncode == EXIT_CONFIG and "is or holds the model" in done.stderr
    assert os.path.exists(os.path.join(floats, "model.safetensors"))


def test_unreachable_limit_is_said(floats, texts, tmp_path):
    done = quantize(floats, tmp_path / "out", "--method", "mixed", "--calibration", texts, "--min-cosine-min", "1")
    assert done.returncode == EXIT_FAILURE and "no assignment of layers has cosines" in done.stderr
    assert not (tmp_path / "out").exists()


def test_killed_run_goes_on_and_ends_with_the_same_weights(tmp_path):
    """With the default model, whose layers take seconds each."""
    model = octet_server.MODEL
    path, out = tmp_path / "texts.txt", tmp_path / "out"
    path.write_text("".join(f"sentence number {i} about the weather of day {i * 7}\n" for i in range(24)))
    args = ["quantize", model, "--method", "smooth", "--no-compensation", "--calibration", path, "--out", out]
    partial = tmp_path / "out.partial"

    def start_and_wait_for(layer):
        process = subprocess.Popen([BINARY, *map(str, args)], env=environment(), stdin=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not (partial / f"checkpoint_layer_{layer}.safetensors").exists():
            time.sleep(0.02)
        return process, (partial / "checkpoint_layer_0.safetensors").stat().st_mtime_ns

    process, written = start_and_wait_for(1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL and not out.exists()
    process, still_written = start_and_wait_for(3)
    assert still_written == written  # the first layers are not made again
    stderr = process.communicate()[1]
    assert process.returncode == 0, stderr
    assert not partial.exists() and not any("checkpoint" in name for name in os.listdir(out))
    version = report_of(out)["weights_version"]
    again = run_octet(*args, "--overwrite", timeout=600)
    assert again.returncode == 0, again.stderr
    assert report_of(out)["weights_version"] == version


def test_classifiers_are_quantized_and_evaluated(tiny_model, texts, tmp_path):
    floats, out = tiny_model(3), tmp_path / "classifier"
    done = quantize(floats, out, "--method", "smooth", "--calibration", texts)
    assert done.returncode == 0, done.stderr
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    ignored = config["quantization_config"]["ignore"]
    assert "classifier" in ignored and any(name.endswith("pooler.dense") for name in ignored)
    with OctetServer("--default-model", "floats", models={"floats": floats, "int8": out}) as server:
        request = {"inputs": [octet_pb2.TextInput(text="the quick brown fox")], "with_logits": True}
        logits = [server.stub().Classify(octet_pb2.ClassifyRequest(model=name, **request), timeout=60)
                  for name in ("floats", "int8")]
        a, b = (np.array(answer.classifications[0].logits) for answer in logits)
        assert not np.array_equal(a, b) and np.abs(a - b).max() < 0.1 * np.abs(a).max()
        assert logits[0].fingerprint != logits[1].fingerprint
    data = tmp_path / "data.tsv"
    data.write_text("the quick brown fox\t0\nabc\t1,2\nit is 7 of 9\t\nover the lazy dog\t2\n" * 5, encoding="utf-8")
    report = tmp_path / "report.json"
    done = run_octet("evaluate", floats, "--task", "classification", "--data", data, "--dev", data, "--variants",
                     f"f32,dynamic,{out}", "--json", report)
    assert done.returncode == 0, done.stderr
    rows = json.loads(report.read_text(encoding="utf-8"))["variants"]
    assert [row["name"] for row in rows] == ["f32", "dynamic", "classifier"]
