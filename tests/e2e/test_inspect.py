"""`octet inspect`: what it says of tiny models against values computed here, its reports, its refusals."""
import json
import os
import shutil

import fastjsonschema
import numpy as np
import pytest

from octet_server import run_octet
from pages import Elements, check_stands_alone, probe_page
from stubs import ROOT

EXIT_CONFIG, EXIT_MODEL = 2, 3
NUM_LINEARS = 8  # two encoder layers


def inspect(*args, **options):
    return run_octet("inspect", *args, **options)


def inspected(folder, *args):
    """The JSON report of a run that must succeed."""
    path = os.path.join(folder, "inspection.json")
    done = inspect(*args, "--json", path, "--overwrite")
    assert done.returncode == 0, done.stderr
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def layers_of(report):
    return {layer["layer"]: layer for layer in report["layers"]}


@pytest.fixture(scope="module")
def schema():
    with open(os.path.join(ROOT, "docs", "inspect.schema.json"), encoding="utf-8") as f:
        return fastjsonschema.compile(json.load(f))


@pytest.fixture(scope="module")
def floats(tiny_model):
    return tiny_model(0)


@pytest.fixture(scope="module")
def texts(golden_texts_file):
    return golden_texts_file()


@pytest.fixture(scope="module")
def quantized(floats, texts, tmp_path_factory):
    """{method: directory}"""
    folder = tmp_path_factory.mktemp("quantized")
    for method in ["smooth", "static", "mixed"]:
        limits = ["--min-cosine-mean", "0.9999", "--min-cosine-min", "0.999"] if method == "mixed" else []
        done = run_octet("quantize", floats, "--out", folder / method, "--method", method, "--calibration", texts,
                         *limits)
        assert done.returncode == 0, done.stderr
    return {method: folder / method for method in ["smooth", "static", "mixed"]}


@pytest.fixture(scope="module")
def evaluations(floats, tmp_path_factory):
    """Two JSON reports of `octet evaluate` on the same pairs."""
    folder = tmp_path_factory.mktemp("evaluations")
    pairs = folder / "pairs.tsv"
    pairs.write_text("".join(f"it is {i} of 9\tthe quick {i * 7 % 10} fox\t{i % 5}\n" for i in range(20)))
    for variant in ["f32", "dynamic"]:
        done = run_octet("evaluate", floats, "--task", "similarity", "--data", pairs, "--variants", variant, "--json",
                         folder / f"{variant}.json", timeout=600)
        assert done.returncode == 0, done.stderr
    return [folder / "f32.json", folder / "dynamic.json"]


def tensor(directory, name):
    """A tensor of the tiny model's file, as floats."""
    with open(os.path.join(directory, "model.safetensors"), "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        begin = f.tell()
        info = header[name]
        f.seek(begin + info["data_offsets"][0])
        raw = f.read(info["data_offsets"][1] - info["data_offsets"][0])
    assert info["dtype"] == "F32"
    return np.frombuffer(raw, "<f4").reshape(info["shape"]).astype(np.float64)


def test_floats_are_looked_at_as_they_are_served(floats, schema, tmp_path):
    report = inspected(tmp_path, floats)
    schema(report)
    assert report["model"]["quantization"] == "smooth" and report["calibration"] is None and report["floats"] is None
    assert len(report["layers"]) == NUM_LINEARS
    layer = layers_of(report)["layer 1 intermediate"]
    weights = tensor(floats, "encoder.layer.1.intermediate.dense.weight")
    assert [layer["outputs_dim"], layer["inputs_dim"]] == list(weights.shape)
    assert layer["weights"]["min"] == weights.min() and layer["weights"]["max"] == weights.max()
    assert layer["weights"]["abs_max"] == np.abs(weights).max()
    far = np.abs(weights - weights.mean()) > 6 * weights.std()
    assert layer["weights"]["share_beyond_6_deviations"] == pytest.approx(far.mean(), abs=1e-12)
    channels = np.abs(weights).max(0)
    assert layer["weights"]["outlier_channels"] == (channels > 6 * np.median(channels)).sum()
    scale = np.abs(weights).max(1, keepdims=True) / 127
    noise = np.rint(weights / scale) * scale - weights
    assert layer["weights"]["signal_to_noise_db"] == pytest.approx(
        10 * np.log10((weights ** 2).sum() / (noise ** 2).sum()), abs=0.05)  # scales in f32 move a few ties
    assert sum(layer["weights"]["histogram"]["original"]) == weights.size
    assert layer["bytes"] < layer["f32_bytes"] and layer["inputs"] is None and layer["sensitivity"] is None


def test_floats_have_the_factors_that_they_are_served_with(tiny_model, tmp_path):
    loud = tiny_model("loud")
    done = run_octet("quantize", loud, "--method", "smooth", "--out", tmp_path / "smooth")
    assert done.returncode == 0, done.stderr
    served, made = (layers_of(inspected(tmp_path, directory)) for directory in (loud, tmp_path / "smooth"))
    behind_norms = [name for name in served if name.endswith(("query_key_value", "intermediate"))]
    assert len(behind_norms) == 4 and any(served[name]["input_factors"] for name in behind_norms)
    for name in behind_norms:
        assert served[name]["input_factors"] == made[name]["input_factors"], name
    assert not any(served[name]["input_factors"] for name in served if name not in behind_norms)


def test_calibration_shows_inputs_and_outputs(floats, texts, schema, tmp_path):
    report = inspected(tmp_path, floats, "--calibration", texts)
    schema(report)
    assert report["calibration"]["texts"] > 200
    for layer in report["layers"]:
        assert layer["precision"] == "int8" and layer["scheme"] == "token_asymmetric" and not layer["input_factors"]
        assert layer["inputs"]["signal_to_noise_db"] > 25 and layer["outputs"]["signal_to_noise_db"] > 15
        assert layer["sensitivity"]["source"] == "output_cosine"
        assert layer["sensitivity"]["value"] == 1 - layer["outputs"]["cosine_mean"] > 0


def test_findings_do_not_depend_on_threads(floats, texts, tmp_path):
    one = inspected(tmp_path, floats, "--calibration", texts, "--threads", 1)
    assert inspected(tmp_path, floats, "--calibration", texts, "--threads", 3) == one


def test_quantization_report_and_inspection_agree(floats, quantized, texts, schema, tmp_path):
    for method, directory in quantized.items():
        report = inspected(tmp_path, directory, "--floats", floats, "--calibration", texts)
        schema(report)
        assert report["model"]["quantization"] == method
        made = json.loads((directory / "quantization_report.json").read_text(encoding="utf-8"))
        assert report["floats"]["version"] == made["source_version"]
        assert report["model"]["version"] == made["weights_version"]
        assert len(report["curve"]) == len(made["curve"]) == (NUM_LINEARS + 1 if method == "mixed" else 0)
        for layer, said in zip(report["layers"], made["layers"]):
            assert layer["layer"] == said["layer"]
            assert layer["smoothing_alpha"] == said.get("smoothing_alpha")
            if method == "mixed":
                assert layer["sensitivity"] == {"value": said["sensitivity"], "source": "quantization_report"}
            if layer["precision"] == "int8":
                assert layer["scheme"] == ("fixed" if method == "static" else "token_asymmetric")
                # Rows of all texts here, of three quarters of them there.
                assert layer["outputs"]["signal_to_noise_db"] == pytest.approx(said["signal_to_noise_db"], abs=1.5)
            else:
                assert layer["outputs"]["cosine_mean"] > 0.9999 and layer["scheme"] == "none"


def test_a_quantized_model_alone(quantized, texts, schema, tmp_path):
    report = inspected(tmp_path, quantized["smooth"], "--calibration", texts)
    schema(report)
    for layer in report["layers"]:
        assert layer["weights"]["histogram"]["original"] is None and layer["weights"]["signal_to_noise_db"] is None
        assert layer["inputs"]["signal_to_noise_db"] > 25 and layer["outputs"]["signal_to_noise_db"] is None


@pytest.fixture(scope="module")
def page(floats, quantized, texts, evaluations, tmp_path_factory):
    """Page and terminal's text of one run with everything."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    done = inspect(quantized["mixed"], "--floats", floats, "--calibration", texts, "--report", evaluations[0],
                   "--report", evaluations[1], "--html", path)
    assert done.returncode == 0, done.stderr
    return path, done.stdout


def test_page_and_terminal_agree(page):
    path, terminal = page
    text = path.read_text(encoding="utf-8")
    check_stands_alone(text)
    counts = Elements(text).counts
    # Histograms of weights and inputs, the scatter of both reports, the curve.
    assert counts["svg"] == 2 * NUM_LINEARS + 2 and counts["i"] == NUM_LINEARS
    assert counts["circle"] == 2 + NUM_LINEARS + 1
    assert text.count('class="before"') == text.count('class="after" d="M4.0') == 2 * NUM_LINEARS
    row = next(line for line in terminal.splitlines() if line.startswith("layer 1 output "))
    cells = [cell for cell in row.removeprefix("layer 1 output").split("  ") if cell]
    assert len(cells) == 14 and all(f">{cell.strip()}</td>" in text for cell in cells)


@pytest.mark.parametrize("size", [(1200, 1000), (500, 900)])
def test_a_browser_renders_the_page(page, tmp_path, size):
    probe = probe_page(page[0], """{svg: all("svg"), bars: all(".bars i"), histograms: all(".pair svg"),
        marked: all("circle.mark"), chosen: all("circle.chosen"), scroll: document.documentElement.scrollWidth,
        width: innerWidth, fill: getComputedStyle(document.querySelector(".before")).fill}""", tmp_path, size)
    assert len(probe["bars"]) == NUM_LINEARS and len(probe["histograms"]) == 2 * NUM_LINEARS
    assert len(probe["chosen"]) == 1 and len(probe["marked"]) == 1
    assert probe["scroll"] <= probe["width"]  # only tables and plots scroll sideways, in frames of their own
    assert all(right - left >= 300 and bottom - top > 100 for left, top, right, bottom in probe["histograms"])
    widths = [right - left for left, _, right, _ in probe["bars"]]
    assert max(widths) > 40 and min(widths) >= 1 and len(set(widths)) > 2
    assert probe["fill"] != "rgb(0, 0, 0)"  # the style sheet holds


def test_refusals_are_one_line(floats, quantized, tiny_model, evaluations, texts, tmp_path):
    files = {"empty": b"", "blank": b"\n\n", "utf8": b"fine\n\xff\xfe\n", "cut.json": evaluations[0].read_bytes()[:100],
             "other.json": b'{"schema": "octet.inspect/1"}'}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    shutil.copytree(quantized["smooth"], tmp_path / "swapped")
    shutil.copy(quantized["static"] / "quantization_report.json", tmp_path / "swapped")
    html = ["--html", tmp_path / "page.html"]
    refusals = [
        (["/nonexistent/model"], EXIT_MODEL, "model refused: "),
        ([floats, *html, "--report", "/nonexistent/report"], EXIT_CONFIG, "cannot read /nonexistent/report"),
        ([floats, *html, "--report", tmp_path / "cut.json"], EXIT_CONFIG, "cut.json: "),
        ([floats, *html, "--report", tmp_path / "other.json"], EXIT_CONFIG, 'schema: got "octet.inspect/1", allowed'),
        ([floats, "--report", evaluations[0]], EXIT_CONFIG, "add --html FILE"),
        ([floats, "--calibration", "/nonexistent/texts"], EXIT_CONFIG, "cannot read /nonexistent/texts"),
        ([floats, "--calibration", tmp_path / "empty"], EXIT_CONFIG, "empty: no texts"),
        ([floats, "--calibration", tmp_path / "blank"], EXIT_CONFIG, "blank: no texts"),
        ([floats, "--calibration", tmp_path / "utf8"], EXIT_CONFIG, "line 2"),
        ([floats, "--floats", floats], EXIT_CONFIG, "--floats: only for a quantized model"),
        ([quantized["smooth"], "--floats", quantized["static"]], EXIT_CONFIG, "--floats: its weights are quantized too"),
        ([quantized["smooth"], "--floats", tiny_model(3)], EXIT_CONFIG, "the model's were made from"),
        ([tmp_path / "swapped"], EXIT_MODEL, "quantization_report.json: weights_version: got"),
        ([floats, "--json", "/nonexistent/x.json"], EXIT_CONFIG, "cannot write /nonexistent/x.json"),
        ([floats, "--json", tmp_path / "blank"], EXIT_CONFIG, "--overwrite"),
    ]
    before = sorted(os.listdir(tmp_path))
    for args, code, message in refusals:
        done = inspect(*args)
        assert done.returncode == code and message in done.stderr, (args, done.stderr)
        assert done.stderr.startswith("octet: ") and done.stderr.count("\n") == 1 and done.stdout == "", done.stderr
        assert sorted(os.listdir(tmp_path)) == before
