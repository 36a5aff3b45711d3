"""The command line beside `serve`: health, version, embed, start-up errors."""
import json
import signal

import numpy as np
import pytest

import octet_server
from octet_server import OctetServer, run_octet
from vectors import array_of, cosines


def test_version():
    done = run_octet("version")
    assert done.returncode == 0 and done.stdout.startswith("octet ")


@pytest.mark.parametrize("service", ["", "liveness", "minilm", "octet.v1.TextEncoder", "tei.v1.Embed",
                                     "inference.GRPCInferenceService"])
def test_health_of_a_running_server(server, service):
    done = run_octet("health", server.grpc_address, "--service", service)
    assert (done.returncode, done.stdout) == (0, "SERVING\n"), done.stderr


def test_health_of_an_unknown_service(server):
    done = run_octet("health", server.grpc_address, "--service", "made-up")
    assert done.returncode == 1 and done.stderr.startswith("octet: health of "), done.stderr


def test_health_while_draining():
    server = OctetServer(env={"OCTET_SHUTDOWN_LAME_DUCK_MS": "60s"})
    server.signal(signal.SIGTERM)
    while run_octet("health", server.grpc_address).stdout != "NOT_SERVING\n":
        assert server.alive()
    assert run_octet("health", server.grpc_address, "--service", "liveness").stdout == "SERVING\n"
    server.signal(signal.SIGINT)  # do not wait for the rest of the lame duck
    server.stop()


def test_health_of_nobody():
    assert run_octet("health", "127.0.0.1:1").returncode == 1


def test_embed_lines_equals_the_server(server, tmp_path):
    texts = ["first line", "second line, a little longer", "третья"]
    path = tmp_path / "in.txt"
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    with open(path, encoding="utf-8") as f:
        done = run_octet("embed", "--model", octet_server.MODEL, stdin=f)
    assert done.returncode == 0, done.stderr
    got = [json.loads(line) for line in done.stdout.splitlines()]
    vectors = np.array([row["embedding"] for row in got], "<f4")
    np.testing.assert_array_equal(vectors, array_of(server.embed(texts)))


def test_embed_npy(tmp_path, goldens):
    texts, _, expected, _ = goldens
    texts = [t for t in texts if t.strip() and "\n" not in t and "\r" not in t][:64]
    expected = expected[[goldens[0].index(t) for t in texts]]
    lines, out = tmp_path / "in.txt", tmp_path / "out.npy"
    lines.write_text("\n".join(texts) + "\n", encoding="utf-8")
    with open(lines, encoding="utf-8") as f:
        done = run_octet("embed", "--model", octet_server.MODEL, "--precision", "f32", "--npy", out, stdin=f)
    assert done.returncode == 0, done.stderr
    got = np.load(out)
    assert got.dtype == np.float32 and got.shape == (64, 384)
    np.testing.assert_allclose(got, expected, atol=1e-4)
    assert cosines(got, expected).min() > 0.9999


def test_port_in_use_is_refused(server):
    done = run_octet("serve", "--grpc-address", server.grpc_address, "--metrics-address", "127.0.0.1:0",
                     "--model", f"minilm={octet_server.MODEL}")
    assert done.returncode == 2 and "bind" in done.stderr + done.stdout


@pytest.mark.parametrize("isa", ["avx1024", "AVX2", "avx512_amx,avx2"])
def test_unknown_instruction_set(isa):
    done = run_octet("serve", "--model", f"minilm={octet_server.MODEL}", "--grpc-address", "127.0.0.1:0",
                     "--metrics-address", "127.0.0.1:0", env={"OCTET_ISA": isa})
    assert done.returncode == 2
    assert "OCTET_ISA" in done.stderr


def test_ready_lines_name_what_runs():
    env = {"OCTET_ISA": "avx2", "OCTET_METRICS_DURATION_BUCKETS": "0.01,0.1"}
    with OctetServer("--precision", "int8", env=env) as server:
        text = "".join(server.log)
        for word in (server.grpc_address, server.metrics_address, "minilm", "int8", "avx2", "grpcurl"):
            assert word in text
        server.embed(["edges"])
        edges = [edge for edge, _ in server.metrics().buckets("octet_request_duration_seconds")]
        assert edges == [0.01, 0.1, float("inf")], "metrics.duration_buckets is not what histograms have"
