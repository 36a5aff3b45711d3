"""Bad models at process level: exit code 3, one line that names the reason, nothing served. The whole table
F1-F26 is tested against the loader itself in tests/model; this is what an operator sees of it."""
import json
import os
import shutil
import struct

import pytest

import octet_server
from octet_server import run_octet

WEIGHTS = "model.safetensors"


@pytest.fixture
def model(tmp_path):
    """A copy of the default model whose files may be replaced; the weights are a hard link until then."""
    directory = tmp_path / "model"
    shutil.copytree(octet_server.MODEL, directory, copy_function=lambda s, d: (
        os.link if os.stat(s).st_dev == os.stat(tmp_path).st_dev else shutil.copy)(s, d))
    return directory


def replace(path, content):
    path.unlink()  # breaks the link: the original stays as it is
    path.write_bytes(content)


def edit_json(path, **changes):
    content = json.loads(path.read_text())
    content.update(changes)
    replace(path, json.dumps(content).encode())


def truncate(model):
    content = (model / WEIGHTS).read_bytes()
    replace(model / WEIGHTS, content[:-100])


def drop_tensor(model):
    content = (model / WEIGHTS).read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + size])
    header["renamed"] = header.pop("embeddings.LayerNorm.weight")
    encoded = json.dumps(header).encode()
    replace(model / WEIGHTS, struct.pack("<Q", len(encoded)) + encoded + content[8 + size:])


def non_finite(model):
    content = bytearray((model / WEIGHTS).read_bytes())
    (size,) = struct.unpack("<Q", content[:8])
    begin, _ = json.loads(content[8:8 + size])["embeddings.LayerNorm.weight"]["data_offsets"]
    content[8 + size + begin:8 + size + begin + 4] = struct.pack("<f", float("nan"))
    replace(model / WEIGHTS, bytes(content))


def as_directory(model):
    (model / WEIGHTS).unlink()
    (model / WEIGHTS).mkdir()


def as_fifo(model):
    (model / WEIGHTS).unlink()
    os.mkfifo(model / WEIGHTS)


def only_pickle(model):
    (model / WEIGHTS).unlink()
    (model / "pytorch_model.bin").write_bytes(b"\x80\x02}.")


def link_outside(model):
    (model / WEIGHTS).unlink()
    (model / WEIGHTS).symlink_to("/etc/hostname")


ROWS = {  # id -> (what is done to the model, words of the one line)
    "F1-empty-file": (lambda m: replace(m / WEIGHTS, b""), ["header"]),
    "F2-header-past-end": (lambda m: replace(m / WEIGHTS, struct.pack("<Q", 1 << 20) + b"{}"), ["header"]),
    "F2-header-2^64-1": (lambda m: replace(m / WEIGHTS, b"\xff" * 8 + b"{}"), ["header"]),
    "F3-not-json": (lambda m: replace(m / WEIGHTS, struct.pack("<Q", 8) + b"notjson!"), ["header"]),
    "F6-truncated": (truncate, []),
    "F11-nan": (non_finite, ["non-finite", "embeddings.LayerNorm.weight"]),
    "F12-missing-tensor": (drop_tensor, ["embeddings.LayerNorm.weight"]),
    "F15-directory": (as_directory, []),
    "F15-fifo": (as_fifo, []),
    "F17-link-outside": (link_outside, []),
    "F18-pickle": (only_pickle, ["pickle"]),
    "F19-heads": (lambda m: edit_json(m / "config.json", num_attention_heads=7), ["num_attention_heads"]),
    "F19-hidden-0": (lambda m: edit_json(m / "config.json", hidden_size=0), ["hidden_size"]),
    "F19-layers": (lambda m: edit_json(m / "config.json", num_hidden_layers=10 ** 9), ["num_hidden_layers"]),
    "F19-vocabulary": (lambda m: edit_json(m / "config.json", vocab_size=100), []),
    "F19-activation": (lambda m: edit_json(m / "config.json", hidden_act="swish9"), ["hidden_act"]),
    "F19-position-type": (lambda m: edit_json(m / "config.json", position_embedding_type="relative_key"),
                          ["position_embedding_type"]),
    "F19-family": (lambda m: edit_json(m / "config.json", model_type="gpt2"), ["model_type"]),
    "F20-not-json": (lambda m: replace(m / "tokenizer.json", b"{"), ["tokenizer.json"]),
    "F20-missing": (lambda m: (m / "tokenizer.json").unlink(), ["tokenizer.json"]),
    "sentence-module": (lambda m: replace(m / "modules.json", json.dumps(
        [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
         {"idx": 1, "name": "1", "path": "1_Dense", "type": "sentence_transformers.models.Dense"}]).encode()),
        ["Dense"]),
}


def serve(model, **env):
    return run_octet("serve", "--model", f"m={model}", "--grpc-address", "127.0.0.1:0", "--metrics-address",
                     "127.0.0.1:0", env=env)


def assert_one_line(done, words):
    assert done.returncode == 3, (done.returncode, done.stderr)
    errors = [line for line in done.stderr.splitlines() if line.startswith("octet: ")]
    assert len(errors) == 1, done.stderr
    for word in words:
        assert word in errors[0]


@pytest.mark.parametrize("damage,words", ROWS.values(), ids=ROWS.keys())
def test_refused_with_code_3(model, damage, words):
    damage(model)
    assert_one_line(serve(model), words)


def test_no_such_directory(tmp_path):
    assert_one_line(serve(tmp_path / "nothing"), [])


def test_F14_files_may_change_after_the_load(model):
    with octet_server.OctetServer(models={"m": model}) as server:
        before = server.embed(["private memory"]).embeddings[0].values
        path = model / WEIGHTS
        size = path.stat().st_size
        replace(path, bytes(size))
        os.truncate(path, 10)
        assert server.embed(["private memory"]).embeddings[0].values == before


MEMORY_GROUPS = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]


@pytest.fixture
def memory_limit_20_mib():
    """Puts a child process into a memory group of its own, where this user may make one."""
    for root, limit in MEMORY_GROUPS:
        group = os.path.join(root, f"octet-test-{os.getpid()}")
        try:
            os.mkdir(group)
        except OSError:
            continue
        try:
            try:
                with open(os.path.join(group, limit), "w", encoding="ascii") as f:
                    f.write(str(20 << 20))
            except OSError:
                continue
            yield lambda: open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii").write(str(os.getpid()))
            return
        finally:
            os.rmdir(group)
    pytest.skip("SKIPPED: no memory group can be made here; tests/model has F26 against the loader")


def test_F26_model_larger_than_the_memory_limit(model, memory_limit_20_mib):
    done = run_octet("serve", "--model", f"m={model}", "--grpc-address", "127.0.0.1:0", "--metrics-address",
                     "127.0.0.1:0", preexec_fn=memory_limit_20_mib)
    assert_one_line(done, ["needs", "MiB, limit"])
