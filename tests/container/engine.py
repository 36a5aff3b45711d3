"""Containers of the image, run by podman with every restriction that docs/container.md recommends."""
import json
import os
import re
import subprocess
import threading
import time
import uuid

IMAGE = os.environ.get("OCTET_IMAGE", "localhost/octet:dev")
IMAGE_WITH_MODEL = os.environ.get("OCTET_IMAGE_WITH_MODEL", "localhost/octet:with-model")
STORE = os.environ.get("OCTET_STORE", "").split()
# crun does not start on machines that mount both kinds of control groups; nothing here needs systemd.
ENGINE = ["podman", *STORE, "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "runc"]
# Without these two, the start fails where root itself may not raise them.
ULIMITS = ["--ulimit", "nofile=16384:16384", "--ulimit", "nproc=4096:4096"]
RESTRICTIONS = ["--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]

START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 60
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def engine(*args):
    """What podman prints."""
    done = subprocess.run([*ENGINE, *args], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(f"podman {args[0]}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def inspect_image(image=IMAGE):
    return json.loads(engine("image", "inspect", image))[0]


class Container:
    """`octet serve` in a container, started but perhaps not ready: wait_until_ready, or wait.

    `limits`: options such as --cpus; `model`: mounted where the image expects one, None: not; `options`: more of podman's.
    Serves on free ports of the loopback interface unless `isolated` (no network but its own, the image's addresses).
    """

    def __init__(self, *args, limits=(), model=None, image=IMAGE, isolated=False, options=()):
        self.name = f"octet-test-{uuid.uuid4().hex[:12]}"
        self.log = []
        self.ready_at = None  # on the clock that also counts suspended time, as the kernel's start times do
        command = [*ENGINE, "run", "--name", self.name, "--pull", "never", "--no-healthcheck", *ULIMITS, *RESTRICTIONS,
                   "--network", "none" if isolated else "host", *map(str, limits), *options]
        if model is not None:
            command += ["--volume", f"{model}:/models/default:ro"]
        command += [image, "serve", "--config", "/etc/octet/octet.yaml"]
        if not isolated:
            command += ["--grpc-address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0"]
        self.process = subprocess.Popen([*command, *map(str, args)], stdin=subprocess.DEVNULL, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._printed_ready = threading.Event()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def _read_log(self):
        for line in self.process.stdout:
            self.log.append(line)
            if line.startswith("octet is ready"):
                self.ready_at = time.clock_gettime(time.CLOCK_BOOTTIME)
            if "grpcurl" in line:  # the last of the ready lines
                self._printed_ready.set()
        self._printed_ready.set()

    def wait_until_ready(self):
        self._printed_ready.wait(START_TIMEOUT_S)
        if self.ready_at is None:
            raise RuntimeError("the server did not become ready:\n" + self.output())
        return self

    def output(self):
        return "".join(self.log)

    def _printed(self, pattern):
        return re.search(pattern, self.output())[1]

    @property
    def grpc_address(self):
        return self._printed(r"gRPC\s+(\S+)")

    @property
    def metrics_address(self):
        return self._printed(r"metrics\s+http://(\S+)")

    @property
    def num_threads(self):
        return int(self._printed(r"instruction set \w+, (\d+) threads"))

    @property
    def pid(self):
        """On this machine, not in the container."""
        return int(engine("inspect", "--format", "{{.State.Pid}}", self.name))

    def seconds_to_ready(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as f:
            start_ticks = int(f.read().rsplit(")", 1)[1].split()[19])
        return self.ready_at - start_ticks / TICKS_PER_SECOND

    def execute(self, *command):
        """(exit code, output) of a command in the container."""
        done = subprocess.run([*ENGINE, "exec", self.name, *command], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def alive(self):
        return self.process.poll() is None

    def stop(self):
        """Sends the image's stop signal; the exit code and how long it took."""
        start = time.monotonic()
        engine("stop", "--time", str(STOP_TIMEOUT_S), self.name)
        return self.wait(), time.monotonic() - start

    def wait(self):
        code = self.process.wait(STOP_TIMEOUT_S)
        self._reader.join()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run([*ENGINE, "rm", "--force", "--time", "0", self.name], capture_output=True, timeout=60)
        self.process.wait(STOP_TIMEOUT_S)
