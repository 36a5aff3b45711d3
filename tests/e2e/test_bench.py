"""`octet bench`: the report in both forms, its parts against each other, and the peer benchmark's protocol."""
import json

import numpy as np
import pytest

import octet_server
from octet_server import run_octet

PRODUCTS = {"product query_key_value", "product attention_output", "product intermediate", "product output"}


def bench(*args, **options):
    return run_octet("bench", "--model", octet_server.MODEL, "--threads", 2, *args, **options)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """(the JSON report of a short run, its file)"""
    done = bench("--json", "--profile", "--lengths", "1,16", "--batches", "1,4", "--seconds", "0.05")
    assert done.returncode == 0, done.stderr
    path = tmp_path_factory.mktemp("bench") / "report.json"
    path.write_text(done.stdout, encoding="utf-8")
    return json.loads(done.stdout), path


def test_cases_are_those_asked_for(report):
    cases = report[0]["cases"]
    assert [(c["length"], c["batch"]) for c in cases] == [(1, 1), (1, 4), (16, 1), (16, 4)]
    for case in cases:
        assert case["repetitions"] >= 5 and 0 < case["median_ms"] <= case["p90_ms"]
        tokens = case["length"] * case["batch"]
        assert case["tokens_per_second"] == pytest.approx(1e3 * tokens / case["median_ms"])
        # 6 layers of 4 x 384^2 + 2 x 384 x 1536 weights, a multiply-add is two operations.
        assert case["linear_gops"] == pytest.approx(2 * 10616832 * tokens / case["median_ms"] / 1e6)


def test_phases_name_every_product_and_take_time(report):
    for case in report[0]["cases"]:
        phases = case["phases"]
        assert {name for name, phase in phases.items() if "gops" in phase} == PRODUCTS
        assert all(phase["ms"] >= 0 for name, phase in phases.items() if name != "start and end"), phases
        assert all(phases[name]["ms"] > 0 for name in [*PRODUCTS, "quantize", "epilogue", "attention", "norm", "pool"])


def test_table_compares_with_an_earlier_report(report):
    done = bench("--compare", report[1], "--lengths", "16", "--batches", "4,2", "--seconds", "0.05")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("length batch"))
    assert lines[header].endswith("before")
    assert lines[header + 1].split()[:2] == ["16", "4"] and lines[header + 1].endswith("x")
    assert lines[header + 2].split()[:2] == ["16", "2"] and lines[header + 2].endswith("-")  # not in the report


@pytest.mark.parametrize("content", [None, "not JSON", '{"cases": [{"length": 1}]}'])
def test_a_file_that_is_no_report_is_refused(tmp_path, content):
    path = tmp_path / "report.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    done = bench("--compare", path, "--lengths", "1", "--batches", "1")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("octet: --compare: ") and done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_a_method_of_int8_is_refused_with_floats(precision):
    done = bench("--method", "smooth", "--precision", precision)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("octet: --method smooth: ") and precision in done.stderr, done.stderr


def test_a_method_is_refused_with_a_quantized_directory(tiny_model, tmp_path):
    done = run_octet("quantize", tiny_model(0), "--method", "dynamic", "--out", tmp_path / "quantized")
    assert done.returncode == 0, done.stderr
    done = run_octet("bench", "--model", tmp_path / "quantized", "--method", "dynamic")
    assert done.returncode == 2 and done.stdout == "" and "the directory is quantized (dynamic)" in done.stderr


class TestRequests:
    """The protocol of bench/peers/adapters/exec_adapter.py."""

    IDS = [[[101, 7592, 102], [101, 2088, 2003, 2307, 102]], [[101, 102]]]

    def answers(self, tmp_path, *lines):
        done = bench("--requests", stdin=None, input="".join(f"{line}\n" for line in lines))
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def request(self, tmp_path, **fields):
        path = tmp_path / f"request{len(list(tmp_path.iterdir()))}.json"
        path.write_text(json.dumps({"batches": self.IDS, "warmup": 1, "reps": 3, **fields}), encoding="utf-8")
        return path

    def test_repetitions_and_vectors(self, tmp_path):
        single = [[text] for batch in self.IDS for text in batch]
        together, alone = self.answers(tmp_path, self.request(tmp_path, embeddings=True),
                                       self.request(tmp_path, batches=single, embeddings=True))
        assert len(together["ms"]) == 3 and min(together["ms"]) > 0
        assert np.shape(together["mean"]) == np.shape(together["cls"]) == (3, 384)
        assert together["mean"] == alone["mean"] and together["cls"] == alone["cls"]
        assert together["info"]["precision"] == "int8" and together["info"]["threads"] == 2

    def test_again_repeats_the_last_request(self, tmp_path):
        none, once, twice = self.answers(tmp_path, self.request(tmp_path, reps=0), "again", "again")
        assert none["ms"] == []
        assert len(once["ms"]) == len(twice["ms"]) == 1 and once["ms"][0] > 0 and twice["ms"][0] > 0

    def test_a_bad_request_is_answered_and_the_next_one_too(self, tmp_path):
        missing, broken, unknown_id, good = self.answers(
            tmp_path, tmp_path / "nowhere", self.request(tmp_path, batches="text"),
            self.request(tmp_path, batches=[[[1 << 30]]]), self.request(tmp_path))
        assert set(missing) == set(broken) == set(unknown_id) == {"error"}
        assert "token id" in unknown_id["error"]
        assert len(good["ms"]) == 3
