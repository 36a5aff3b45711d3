"""Runs the real server as a process of its own, on free ports, and stops it by its process id."""
import os
import re
import signal
import subprocess
import threading

import grpc

from metrics_text import scrape
from stubs import octet_grpc, octet_pb2

BINARY = os.environ.get("OCTET_BINARY", os.path.join(os.path.dirname(__file__), "../../build/octet"))
MODEL = os.environ.get("OCTET_MODEL", "")

# Long enough for a sanitizer build on a busy machine; a server that needs it has failed.
START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 60

_GRPC_ADDRESS = re.compile(r"\bgRPC\b.*?\b((?:\d+\.){3}\d+:\d+)", re.IGNORECASE)
_METRICS_ADDRESS = re.compile(r"\bmetrics\b.*?\b((?:\d+\.){3}\d+:\d+)", re.IGNORECASE)


def environment(**more):
    """The caller's environment without OCTET_* and OTEL_* settings, plus those given."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OCTET_", "OTEL_"))}
    env.update({k: str(v) for k, v in more.items() if v is not None})
    return env


def run_octet(*args, env=None, timeout=120, **options):
    """Runs the binary to its end."""
    return subprocess.run([BINARY, *map(str, args)], env=environment(**(env or {})), timeout=timeout,
                          stdin=options.pop("stdin", subprocess.DEVNULL), capture_output=True, text=True,
                          **options)


class OctetServer:
    """`octet serve` with the default model (named "minilm"), ready once constructed.

    `models`: {name: directory}; {}: those of the file. `config`: text of a configuration file. `env`: OCTET_* variables.
    `grpc_address`: its first part is where the methods below call; that of a server that has gone, for one that takes its
    place.
    """

    def __init__(self, *args, models=None, config=None, env=None, tmp_path=None, grpc_address="127.0.0.1:0"):
        command = [BINARY, "serve", "--grpc-address", grpc_address, "--metrics-address", "127.0.0.1:0"]
        if config is not None:
            path = os.path.join(tmp_path, "octet.yaml")
            with open(path, "w", encoding="utf-8") as f:
                f.write(config)
            command += ["--config", path]
        for name, directory in ({"minilm": MODEL} if models is None else models).items():
            command += ["--model", f"{name}={directory}"]
        command += map(str, args)
        self.log = []
        self.grpc_address = self.metrics_address = None
        self.channels = []
        self._ready = threading.Event()
        self.process = subprocess.Popen(command, env=environment(**(env or {})), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        self._ready.wait(START_TIMEOUT_S)
        if not (self.grpc_address and self.metrics_address):
            self.process.kill()
            self.process.wait()
            raise RuntimeError("the server did not become ready:\n" + "".join(self.log))

    def _read_log(self):
        for line in self.process.stdout:
            self.log.append(line)
            if match := _GRPC_ADDRESS.search(line):
                self.grpc_address = self.grpc_address or match[1]
            if match := _METRICS_ADDRESS.search(line):
                self.metrics_address = self.metrics_address or match[1]
            if self.grpc_address and self.metrics_address and "grpcurl" in line:  # the last of the ready lines
                self._ready.set()
        self._ready.set()  # end of output: it has exited

    # Talking to it.

    def channel(self, **options):
        """A connection of its own (gRPC shares connections between equal channels otherwise)."""
        options = {"grpc.use_local_subchannel_pool": 1, "grpc.max_receive_message_length": -1,
                   "grpc.max_send_message_length": -1, **options}
        channel = grpc.insecure_channel(self.grpc_address, options=list(options.items()))
        self.channels.append(channel)
        return channel

    def stub(self):
        return octet_grpc.TextEncoderStub(self.channel())

    def embed(self, texts, **fields):
        """One call on a connection of its own."""
        with grpc.insecure_channel(self.grpc_address,
                                   options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            return octet_grpc.TextEncoderStub(channel).Embed(
                octet_pb2.EmbedRequest(texts=texts, **fields), timeout=60)

    def metrics(self):
        return scrape(self.metrics_address)

    # Looking at it from outside.

    def thread_names(self):
        folder = f"/proc/{self.process.pid}/task"
        names = []
        for task in os.listdir(folder):
            with open(f"{folder}/{task}/comm", encoding="utf-8") as f:
                names.append(f.read().strip())
        return names

    def status_kib(self, key):
        """A line of /proc/<pid>/status, such as VmRSS or VmHWM, in KiB."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith(key + ":"))

    def rss_mib(self):
        return self.status_kib("VmRSS") / 1024

    def peak_rss_mib(self):
        return self.status_kib("VmHWM") / 1024

    def alive(self):
        return self.process.poll() is None

    # The end of it.

    def check_every_call_has_one_outcome(self):
        """Started = sum of all outcomes, and nothing is left in flight. Calls whose client has gone may
        still be on their way out, so this looks until it holds; the test's own limit ends a wait for ever."""
        deadline = threading.Event()
        for _ in range(2000):
            samples = self.metrics()
            started = samples.sum("octet_calls_started_total")
            outcomes = samples.sum("octet_request_duration_seconds_count")
            in_flight = samples.sum("octet_inflight_requests")
            if started == outcomes and in_flight == 0:
                return started
            deadline.wait(0.01)
        raise AssertionError(f"started {started}, outcomes {outcomes}, in flight {in_flight}")

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        """The exit code."""
        code = self.process.wait(STOP_TIMEOUT_S)
        self._reader.join()
        return code

    def stop(self):
        for channel in self.channels:
            channel.close()
        if self.alive():
            self.signal(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        """A test that passed must leave a server that is up, has counted every call and exits with 0."""
        if kind is not None:
            self.process.kill()
            self.process.wait()
            return
        try:
            assert self.alive(), "the server has exited:\n" + "".join(self.log[-20:])
            self.check_every_call_has_one_outcome()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        code = self.stop()
        assert code == 0, f"exit code {code}:\n" + "".join(self.log[-20:])
