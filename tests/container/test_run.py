"""The image in a container as docs/container.md recommends it: restricted in every way, and serving."""
import statistics
import threading
import time

import grpc
from engine import IMAGE_WITH_MODEL, Container, inspect_image
from load import embed
from metrics_text import scrape

MAX_SECONDS_TO_READY = 2


def test_embeds(running):
    answer = embed(running.grpc_address, ["a text", "another one"])
    assert len(answer.embeddings) == 2


def test_is_restricted(running):
    """The kernel's word on the process, not the engine's."""
    with open(f"/proc/{running.pid}/status", encoding="ascii") as f:
        status = {key: value.split() for key, value in (line.split(":", 1) for line in f if ":" in line)}
    assert status["Uid"] == ["10001"] * 4 and status["Gid"] == ["10001"] * 4
    assert int(status["CapEff"][0], 16) == int(status["CapBnd"][0], 16) == 0
    assert status["NoNewPrivs"] == ["1"]
    with open(f"/proc/{running.pid}/mountinfo", encoding="ascii") as f:
        root = next(line.split() for line in f if line.split()[4] == "/")
    assert "ro" in root[5].split(",")


def test_has_no_shell(running):
    code, output = running.execute("/bin/sh", "-c", "true")
    assert code != 0 and "no such file" in output.lower()


def test_health_command_of_the_image(model):
    """With no network but its own, and the image's addresses."""
    command = inspect_image()["Healthcheck"]["Test"]
    assert command[0] == "CMD"
    with Container(model=model, isolated=True) as container:
        container.wait_until_ready()
        assert container.grpc_address == "0.0.0.0:50051" and container.metrics_address == "0.0.0.0:9464"
        assert container.execute(*command[1:]) == (0, "SERVING\n")
        assert container.execute(*command[1:], "127.0.0.1:1")[0] == 1


def test_serves_a_baked_model():
    with Container(image=IMAGE_WITH_MODEL) as container:
        container.wait_until_ready()
        assert len(embed(container.grpc_address, ["a text"]).embeddings) == 1


def test_says_what_is_missing_without_a_model():
    with Container() as container:
        assert container.wait() == 3
        lines = container.output().splitlines()
        assert len(lines) == 1 and 'model "default": config.json: not found' in lines[0]


def test_stop_signal_ends_it_with_every_call_answered(measured, model):
    container = measured(model=model)
    codes = []

    def call():
        try:
            embed(container.grpc_address, ["word " * 50] * 64)
            codes.append(grpc.StatusCode.OK)
        except grpc.RpcError as error:
            codes.append(error.code())

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    while not _in_flight(container) and container.alive():
        time.sleep(0.001)
    code, seconds = container.stop()
    for thread in threads:
        thread.join()
    assert code == 0, container.output()
    assert "drained; no call cut off" in container.output()
    # A call may come after the listener has closed; those that had begun are answered.
    assert codes.count(grpc.StatusCode.OK) >= 1
    assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
    print(f"\nstopped after {seconds:.2f} s with calls in work")


def _in_flight(container):
    return scrape(container.metrics_address).sum("octet_inflight_requests") > 0


def test_is_ready_in_time_on_one_cpu(measured, model):
    seconds = []
    for _ in range(5):
        container = measured(limits=["--cpus", 1], model=model)
        seconds.append(container.seconds_to_ready())
        container.stop()
    print("\nprocess start to ready with --cpus 1, s: " + ", ".join(f"{s:.2f}" for s in seconds))
    assert statistics.median(seconds) <= MAX_SECONDS_TO_READY
