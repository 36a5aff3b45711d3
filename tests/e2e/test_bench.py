"""`octet bench`: the report in both forms, its parts against each other, and the peer benchmark's protocol."""
import json
import os
import re

import numpy as np
import pytest

import octet_server
from octet_server import run_octet

PRODUCTS = {"product query_key_value", "product attention_output", "product intermediate", "product output"}


ABOUT_MODEL = ["family", "num_layers", "hidden_dim", "num_heads", "intermediate_dim"]
ABOUT_RUN = ["precision", "quantization", "isa", "onednn_isa", "peak_instructions", "threads"]


def bench(*args, model=None, threads=2, **options):
    return run_octet("bench", "--model", model or octet_server.MODEL, "--threads", threads, *args, **options)


def small_report(*args, **options):
    done = bench("--json", "--lengths", "4", "--batches", "1", "--seconds", "0.01", *args, **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def written(folder, report):
    path = folder / "report.json"
    path.write_text(json.dumps(report), encoding="utf-8")
    return path


def table_rows(output):
    """[words of a case's line], without percent signs"""
    return [line.replace("%", "").split() for line in output.splitlines() if re.match(r" *\d+ +\d+ ", line)]


def unrounded(text):
    """(the least, the most) that a printed number may have been"""
    half = 0.5000001 / 10 ** len(text.partition(".")[2])
    return float(text) - half, float(text) + half


def assert_is_quotient(text, numerator, denominator):
    """`text` is printed; the others are (least, most)."""
    least, most = unrounded(text)
    assert numerator[0] / denominator[1] <= most and least <= numerator[1] / denominator[0], (text, numerator, denominator)


def times(*ranges):
    return tuple(np.prod(ends) for ends in zip(*ranges))


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


def test_report_says_what_it_is_of(report):
    about = {key: report[0].get(key) for key in ABOUT_MODEL + ABOUT_RUN}
    assert [about[key] for key in ABOUT_MODEL] == ["bert", 6, 384, 12, 1536]
    assert (about["precision"], about["quantization"], about["threads"]) == ("int8", "smooth", 2)
    table = bench("--lengths", "1", "--batches", "1", "--seconds", "0.01").stdout
    assert f"precision int8, instruction set {about['isa']}, 2 threads\n" in table
    assert about["isa"] == "scalar" or f"register-only {about['peak_instructions']}\n" in table


def test_shares_are_of_the_peak_beside_them():
    done = bench("--profile", "--lengths", "16,32", "--batches", "1,4", "--seconds", "0.05")
    assert done.returncode == 0, done.stderr
    rows = table_rows(done.stdout)
    assert [row[:2] for row in rows] == [["16", "1"], ["16", "4"], ["32", "1"], ["32", "4"]]
    phases = re.findall(r"^ +product \w+ .* (\d+) GOP/s +([\d.]+) % of peak$", done.stdout, re.MULTILINE)
    assert len(phases) == len(PRODUCTS) * len(rows)
    for row_idx, (_, _, least, median, _, _, gops, peak, share, at_best) in enumerate(rows):
        percent, peak = times((100, 100), unrounded(gops)), unrounded(peak)
        assert_is_quotient(share, percent, peak)
        assert_is_quotient(at_best, times(percent, unrounded(median)), times(peak, unrounded(least)))
        for phase_gops, phase_share in phases[len(PRODUCTS) * row_idx:][:len(PRODUCTS)]:
            assert_is_quotient(phase_share, times((100, 100), unrounded(phase_gops)), peak)


def test_scalar_level_has_no_peak(tiny_model):
    scalar = {"model": tiny_model(0), "env": {"OCTET_ISA": "scalar"}}
    report = small_report(**scalar)
    assert report["isa"] == "scalar" and "peak_instructions" not in report and "int8_peak_gops" not in report["cases"][0]
    done = bench("--lengths", "4", "--batches", "1", "--seconds", "0.01", **scalar)
    assert "register-only" not in done.stdout and table_rows(done.stdout)[0][-3:] == ["-"] * 3


def test_table_compares_with_an_earlier_report(report, tmp_path):
    earlier = json.loads(json.dumps(report[0]))
    for case_idx, case in enumerate(earlier["cases"]):
        case["median_ms"] *= 3 + case_idx  # neither near 1 nor near another case's
    path = written(tmp_path, earlier)
    done = bench("--compare", path, "--lengths", "16", "--batches", "4,2,1", "--seconds", "0.05")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert f"before: {path}" in lines  # and nothing differs
    assert next(line for line in lines if line.startswith("length batch")).endswith("before")
    rows = table_rows(done.stdout)
    assert [row[:2] for row in rows] == [["16", "4"], ["16", "2"], ["16", "1"]]
    assert rows[1][-1] == "-"  # not in the report
    medians = {(case["length"], case["batch"]): case["median_ms"] for case in earlier["cases"]}
    for row in rows[0], rows[2]:
        assert row[-1].endswith("x")
        median = medians[int(row[0]), int(row[1])]
        assert_is_quotient(row[-1][:-1], (median, median), unrounded(row[3]))


def test_table_says_how_the_earlier_run_differs(tiny_model, tmp_path):
    directory = tiny_model(0)
    before = small_report(model=directory)
    other = {"model": directory, "threads": 1, "env": {"OCTET_ISA": "scalar"}}
    now = small_report("--precision", "f32", **other)
    differences = [f"{key} {before[key]} before, {now[key]} now" for key in ABOUT_RUN
                   if key in before and key in now and before[key] != now[key]]
    assert {"precision int8 before, f32 now", "threads 2 before, 1 now"} <= set(differences)
    path = written(tmp_path, before)
    done = bench("--precision", "f32", "--compare", path, "--lengths", "4", "--batches", "1", "--seconds", "0.01", **other)
    assert done.returncode == 0 and table_rows(done.stdout)[0][-1].endswith("x"), done.stderr
    assert f"before: {path}; the runs differ: {'; '.join(differences)}\n" in done.stdout


def test_a_report_of_another_model_is_refused(report, tiny_model):
    done = bench("--compare", report[1], "--lengths", "4", "--batches", "1", model=tiny_model(0))
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == (f"octet: --compare: {report[1]} is of another model (num_layers 6 before, 2 now; hidden_dim 384 "
                           "before, 32 now; num_heads 12 before, 4 now; intermediate_dim 1536 before, 64 now); compare "
                           "reports of one model\n")


@pytest.mark.parametrize("key", ABOUT_MODEL)
def test_any_part_of_the_shape_makes_another_model(tiny_model, tmp_path, key):
    directory = tiny_model(0)
    report = small_report(model=directory)
    other = "distilbert" if key == "family" else 1234
    done = bench("--compare", written(tmp_path, {**report, key: other}), model=directory)
    assert done.returncode == 1 and f" ({key} {other} before, {report[key]} now); " in done.stderr, done.stderr


def test_what_an_older_report_does_not_say_is_not_compared(tiny_model, tmp_path):
    directory = tiny_model(0)
    older = small_report(model=directory)
    for key in "num_heads", "intermediate_dim", "quantization", "peak_instructions":
        older.pop(key, None)
    path = written(tmp_path, older)
    done = bench("--compare", path, "--lengths", "4", "--batches", "1", "--seconds", "0.01", model=directory)
    assert done.returncode == 0 and f"before: {path}\n" in done.stdout, done.stderr


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


OF_THE_TABLE = [["--json"], ["--compare", "report.json"], ["--lengths", "16"], ["--batches", "8"], ["--seconds", "1"],
                ["--profile"]]


@pytest.mark.parametrize("flags", [
    *([mode, *flag] for mode in ("--sweep", "--requests") for flag in OF_THE_TABLE),
    ["--sweep", "--requests"],
    ["--json", "--compare", "report.json"],
], ids=" ".join)
def test_flags_that_would_be_ignored_are_refused(flags):
    done = bench(*flags)
    assert done.returncode == 2 and done.stdout == ""
    names = [flag for flag in flags if flag.startswith("--")]
    assert done.stderr in {f"octet: {a} excludes {b}; see octet --help\n" for a in names for b in names if a != b}


def test_sweep_times_every_length(tiny_model):
    directory = tiny_model(0)
    with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
        most = json.load(file)["max_position_embeddings"]
    done = bench("--sweep", model=directory, threads=1)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("one text of 1 to "))
    assert lines[at] == (f"one text of 1 to {most} tokens, {most} lengths timed: {at} cost over 10 % more per token than "
                         "both neighbours")
    for line in lines[:at]:
        match = re.fullmatch(r"(\d+) tokens: (\S+) ms, with one less (\S+) ms, with one more (\S+) ms", line)
        length, ms = int(match[1]), unrounded(match[2])
        assert all(ms[1] / length > 1.1 * unrounded(match[i])[0] / near for i, near in ((3, length - 1), (4, length + 1)))
    rows = [re.fullmatch(r" *(\d+) tokens +(\S+) ms +(\S+) us a token", line).groups() for line in lines[at + 1:]]
    assert [int(length) for length, _, _ in rows] == [1 << i for i in range(most.bit_length())]
    for length, ms, us_per_token in rows:
        assert float(us_per_token) > 0
        assert_is_quotient(us_per_token, times((1000, 1000), unrounded(ms)), (int(length), int(length)))


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
