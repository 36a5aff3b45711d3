"""`octet advise`: a recommendation from measurements, what it asks at a terminal, and the advice of `octet serve`."""
import json
import os
import pty
import re
import subprocess

import pytest

import octet_server
from octet_server import BINARY, OctetServer, environment, run_octet


@pytest.fixture(scope="module")
def texts(golden_texts_file):
    return golden_texts_file(64)


@pytest.fixture(scope="module")
def floats(tiny_model):
    return tiny_model(0)


def section(output, title):
    """The indented lines below "title:"."""
    return re.search(rf"^{title}:\n((?:  .*\n)+)", output, re.M).group(1).splitlines()


def test_speeds_alone(floats):
    done = run_octet("advise", floats)
    assert done.returncode == 0, done.stderr
    assert re.match(r"advice: (int8|f32|bf16)\n", done.stdout)
    assert any("int8: " in line and "not known how close" in line for line in section(done.stdout, "why"))
    assert any("--calibration" in line for line in section(done.stdout, "not tried"))


def test_texts_without_labels_tell_closeness(floats, texts, tmp_path):
    done = run_octet("advise", floats, "--calibration", texts, "--max-drop", "20%", timeout=600,
                     env={"TMPDIR": tmp_path})
    assert done.returncode == 0, done.stderr
    reasons = section(done.stdout, "why")
    assert [line.split(":")[0].strip() for line in reasons] == ["f32", "bf16", "int8", "smooth", "static", "mixed"]
    assert all("cosine" in line for line in reasons if not line.startswith("  bf16"))
    assert not os.listdir(tmp_path)
    chosen = re.match(r"advice: (\w+)\n", done.stdout).group(1)
    configuration = "\n".join(section(done.stdout, "configuration"))
    if chosen in ("smooth", "static", "mixed"):
        command = section(done.stdout, "make it")[0].split()
        assert command[:3] == ["octet", "quantize", str(floats)] and chosen in command
        assert command[-1] in configuration
    else:
        assert str(floats) in configuration


def test_a_strict_limit_leaves_floats(floats, texts):
    done = run_octet("advise", floats, "--calibration", texts, "--max-drop", "0", timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("advice: f32\n") and "precision: f32" in done.stdout
    assert any("no int8 variant stays within the limit" in line for line in section(done.stdout, "not tried"))


@pytest.mark.parametrize("args, code, message", [
    (["--max-drop", "half"], 2, "--max-drop: \"half\": want a percentage"),
    (["--max-drop", "200%"], 2, "want a percentage"),
    (["--data", "x.tsv"], 2, "--task and --data: give both or neither"),
    (["--calibration", "/nonexistent"], 2, "/nonexistent"),
])
def test_refusals(floats, args, code, message):
    done = run_octet("advise", floats, *args)
    assert done.returncode == code and message in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_quantized_directories_are_refused(floats, tmp_path):
    assert run_octet("quantize", floats, "--method", "dynamic", "--out", tmp_path / "q").returncode == 0
    done = run_octet("advise", tmp_path / "q")
    assert done.returncode == 3 and "quantized already" in done.stderr


def test_a_terminal_is_asked(floats):
    main, side = pty.openpty()
    process = subprocess.Popen([BINARY, "advise", str(floats)], stdin=side, stderr=side, stdout=subprocess.PIPE,
                               env=environment(TERM="dumb"), text=True)
    os.close(side)
    os.write(main, b"\n\ny\n")
    output, _ = process.communicate(timeout=120)
    asked = b""
    try:
        while chunk := os.read(main, 4096):
            asked += chunk
    except OSError:  # what a terminal gives when its other side is closed
        pass
    os.close(main)
    assert process.returncode == 0 and output.startswith("advice: ")
    assert b"about 100 texts" in asked and b"Labelled examples" in asked and b"trained further" in asked


def served_log(floats, advice, tmp_path):
    config = f"models: [{{name: m, directory: {floats}}}]\nadvice: {advice}\n"
    with OctetServer(models={}, config=config, tmp_path=tmp_path) as server:
        return "\n".join(server.log)


def test_the_server_advises_only_when_asked(floats, tmp_path):
    assert "advice" not in served_log(floats, "{}", tmp_path)
    log = served_log(floats, "{mode: measure}", tmp_path)
    assert re.search(r"advice: model m: .*f32 \d+, int8 \d+ tokens/s; ", log)
    assert run_octet("advise", floats, "--cache", tmp_path / "advice.json").returncode == 0
    before = (tmp_path / "advice.json").read_bytes()
    log = served_log(floats, f"{{mode: cached, cache: {tmp_path / 'advice.json'}}}", tmp_path)
    speed = round(json.loads(before)["entries"][0]["tokens_per_second"]["int8"])
    assert f"int8 {speed} tokens/s; " in log
    assert (tmp_path / "advice.json").read_bytes() == before


def test_a_cache_that_does_not_fit_is_said(floats, tiny_model, tmp_path):
    assert run_octet("advise", floats, "--cache", tmp_path / "advice.json", "--threads", "1").returncode == 0
    log = served_log(tiny_model(3), f"{{mode: cached, cache: {tmp_path / 'advice.json'}}}", tmp_path)
    assert "has no entry of it for this machine" in log
    log = served_log(floats, f"{{mode: cached, cache: {tmp_path / 'none.json'}}}", tmp_path)
    assert "none.json: cannot be read" in log
    config = tmp_path / "octet.yaml"
    config.write_text(f"models: [{{directory: {floats}}}]\nadvice: {{mode: cached}}\n", encoding="utf-8")
    done = run_octet("serve", "--config", config, "--check-config")
    assert done.returncode == 2 and "advice.cache: empty" in done.stderr


def test_measuring_is_in_the_budget(tmp_path):
    """The default model's f32 copy does not fit into the place of its int8 one."""
    def budget(advice):
        config = tmp_path / "octet.yaml"
        config.write_text(f"models: [{{directory: {octet_server.MODEL}}}]\nlimits: {{max_batch_tokens: 512}}\n"
                          f"advice: {advice}\n", encoding="utf-8")
        done = run_octet("serve", "--config", config, "--check-config")
        assert done.returncode == 0, done.stderr
        return done.stdout
    assert "advice" not in budget("{mode: \"off\"}")
    assert re.search(r"\+ advice [1-9]\d = ", budget("{mode: measure}"))
