"""Shadows: a share of the answered texts computed in f32 as well, and what operators see of it."""
import os
import re
import threading

import numpy as np

import octet_server
from octet_server import OctetServer, run_octet
from stubs import ROOT, octet_pb2
from test_memory import ALLOWANCE_MIB, printed_budget_mib
from vectors import array_of, cosines, embed_all

EXIT_CONFIG = 2
RULES = os.path.join(ROOT, "deploy", "prometheus", "octet-shadow.rules.yml")


def config_of(directory, shadow, more=""):
    return f"models: [{{name: m, directory: {directory}, shadow: {shadow}}}]\n{more}"


def serve(tmp_path, directory, shadow):
    return OctetServer(models={}, config=config_of(directory, shadow), tmp_path=str(tmp_path))


def start_error(tmp_path, config):
    path = tmp_path / "octet.yaml"
    path.write_text(config, encoding="utf-8")
    done = run_octet("serve", "--config", path, "--check-config")
    assert done.returncode == EXIT_CONFIG, done.stderr
    return done.stderr


def when_done(server, num_texts):
    """The metrics once `num_texts` have been compared or dropped; the test's own limit ends a wait for ever."""
    pause = threading.Event()
    while True:
        samples = server.metrics()
        if samples.sum("octet_shadow_texts_total") + samples.sum("octet_shadow_dropped_total") == num_texts:
            return samples
        pause.wait(0.02)


def quantize_static(model, texts, out, tmp_path):
    lines = tmp_path / "calibration.txt"
    lines.write_text("\n".join(texts) + "\n", encoding="utf-8")
    done = run_octet("quantize", model, "--out", out, "--method", "static", "--calibration", lines)
    assert done.returncode == 0, done.stderr
    return out


def test_distances_are_those_to_the_reference_and_answers_keep_their_bits(goldens, server, tmp_path):
    texts, token_ids, vectors, _ = goldens
    chosen = [i for i, ids in enumerate(token_ids) if len(ids) <= 128]
    long = [i for i, ids in enumerate(token_ids) if len(ids) > 128]
    assert chosen and long
    asked = [texts[i] for i in chosen + long]
    plain = embed_all(server.stub(), asked, truncate=True)
    budget = printed_budget_mib(server)
    assert not any("octet_shadow" in name for name, _, _ in server.metrics().samples)
    with serve(tmp_path, octet_server.MODEL, "{share: 1, max_queue_texts: 1000}") as shadowed:
        served = embed_all(shadowed.stub(), asked, truncate=True)
        assert np.array_equal(served, plain)
        samples = when_done(shadowed, len(asked))
        # The goldens are f32 of another program: the same up to rounding.
        distances = 1 - cosines(vectors[chosen], served[:len(chosen)])
        assert samples.sum("octet_shadow_texts_total", model="m") == len(chosen)
        assert samples.sum("octet_shadow_dropped_total", model="m", reason="too_long") == len(long)
        assert samples.sum("octet_shadow_cosine_distance_count") == len(chosen)
        assert abs(samples.sum("octet_shadow_cosine_distance_sum") - distances.sum()) < 1e-5 * len(chosen)
        assert 1e-4 < distances.mean() < 1e-2  # there was something to measure
        assert samples.sum("octet_shadow_activations_total") == 0  # ranges follow each row
        assert samples.sum("octet_worker_faults_total") == 0
        assert any("are compared with f32" in line for line in shadowed.log)
        f32_weights_mib = os.path.getsize(os.path.join(octet_server.MODEL, "model.safetensors")) / (1 << 20)
        assert printed_budget_mib(shadowed) >= budget + 0.99 * f32_weights_mib
        assert shadowed.rss_mib() <= printed_budget_mib(shadowed) + ALLOWANCE_MIB


def test_share_zero_loads_nothing(server, tmp_path):
    with serve(tmp_path, octet_server.MODEL, "{share: 0, max_queue_texts: 1000}") as off:
        assert off.embed(["some text"]).dimensions == 384
        assert printed_budget_mib(off) == printed_budget_mib(server)
        assert off.rss_mib() <= printed_budget_mib(off) + ALLOWANCE_MIB
        assert not any("octet_shadow" in name for name, _, _ in off.metrics().samples)
        assert not any("are compared with f32" in line for line in off.log)


def test_fixed_ranges_that_do_not_fit_are_seen(tiny_model, tmp_path):
    floats = tiny_model(0)
    directory = quantize_static(floats, ["a"] * 40, tmp_path / "static", tmp_path)
    texts = ["the quick brown fox", "7 of 9", "a", "x y z"]
    plain = {}
    for name, shadow in {"off": "{}", "on": f"{{share: 1, directory: {floats}}}"}.items():
        with serve(tmp_path, directory, shadow) as server:
            plain[name] = array_of(server.embed(texts))
            if name == "on":
                samples = when_done(server, len(texts))
                assert samples.sum("octet_shadow_texts_total") == len(texts)
                seen = samples.sum("octet_shadow_activations_total")
                assert 0 < samples.sum("octet_shadow_clipped_activations_total") < seen
                # Two layers with inputs of 32, 32, 32 and 64 values for every token.
                tokens = samples.sum("octet_tokens_total")
                assert seen == tokens * 2 * (32 + 32 + 32 + 64)
    assert np.array_equal(plain["on"], plain["off"])


def test_flips_of_a_classification_model_are_counted(tiny_model, tmp_path):
    with serve(tmp_path, tiny_model(3), "{share: 1}") as server:
        inputs = [octet_pb2.TextInput(text=text) for text in ("the quick", "fox")]
        server.stub().Classify(octet_pb2.ClassifyRequest(inputs=inputs), timeout=60)
        samples = when_done(server, 2)
        assert samples.sum("octet_shadow_texts_total") == 2
        assert samples.sum("octet_shadow_label_flips_total") <= 2


def test_what_cannot_be_compared_is_refused_with_the_remedy(tiny_model, tmp_path):
    floats = tiny_model(0)
    directory = quantize_static(floats, ["a b c"] * 40, tmp_path / "static", tmp_path)
    error = start_error(tmp_path, config_of(directory, "{share: 0.1}"))
    assert "stored quantized" in error and "give shadow.directory" in error
    error = start_error(tmp_path, config_of(directory, f"{{share: 0.1, directory: {directory}}}"))
    assert "shadow: directory: its weights are stored quantized" in error
    error = start_error(tmp_path, config_of(directory, f"{{share: 0.1, directory: {tiny_model(2)}}}"))
    assert "shadow: directory: another model, labels 2, the served one has 0" in error
    error = start_error(tmp_path, config_of(floats, "{share: 0.1}", "engine: {precision: f32}\n"))
    assert "shadow: engine.precision is f32" in error
    error = start_error(tmp_path, config_of(floats, "{share: 2}"))
    assert "shadow.share 2, want 0 to 1" in error


def test_alert_rules_ask_for_metrics_that_are_there(tiny_model, tmp_path):
    with open(RULES, encoding="utf-8") as f:
        asked = set(re.findall(r"(?<!:)\boctet_shadow_\w+", f.read()))
    assert len(asked) >= 6
    with serve(tmp_path, tiny_model(0), "{share: 1}") as server:
        assert asked <= {name for name, _, _ in server.metrics().samples}
