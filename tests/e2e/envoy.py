"""Runs a real Envoy with the project's own sample, deploy/envoy/envoy.yaml, in front of servers on this machine."""
import json
import os
import subprocess
import threading
import time
import urllib.request

from programs import find_program
from stubs import ROOT

SAMPLE = os.path.join(ROOT, "deploy", "envoy", "envoy.yaml")
START_TIMEOUT_S = 60

_ENDPOINT_MARK = "octet-headless.octet.svc.cluster.local, port_value: 50051"


def local_configuration(addresses):
    """The sample's text with nothing but addresses replaced: these replicas, and free ports on loopback."""
    with open(SAMPLE, encoding="utf-8") as f:
        lines = f.read().splitlines()
    out = []
    for line in lines:
        if _ENDPOINT_MARK in line:
            out += [line.replace(_ENDPOINT_MARK, "{}, port_value: {}".format(*address.split(":")))
                    for address in addresses]
        elif "socket_address" in line:
            host, port = ("0.0.0.0", "50050") if "0.0.0.0" in line else ("127.0.0.1", "9901")
            assert host in line and port in line, f"an address that the test does not know: {line}"
            out.append(line.replace(host, "127.0.0.1").replace(port, "0"))
        else:
            out.append(line)
    assert len(out) == len(lines) + len(addresses) - 1, "the sample's endpoint line has changed"
    return "\n".join(out) + "\n"


class Envoy:
    """Serving, and content with the health of every replica, once constructed. Skips loudly without the program.

    address: where calls go. Its output is the access log, one line of JSON a call, there once it has stopped.
    """

    def __init__(self, addresses, tmp_path):
        program = find_program("envoy")
        config, self.log_path, self.output_path = (os.path.join(tmp_path, name)
                                                   for name in ("envoy.yaml", "envoy.log", "access.jsonl"))
        admin_file = os.path.join(tmp_path, "admin-address")
        with open(config, "w", encoding="utf-8") as f:
            f.write(local_configuration(addresses))
        with open(self.output_path, "w", encoding="utf-8") as output, open(self.log_path, "w", encoding="utf-8") as log:
            # The base id names shared memory; its own, so that Envoys of other tests are not in the way.
            self.process = subprocess.Popen([program, "-c", config, "--use-dynamic-base-id", "--concurrency", "2",
                                             "--admin-address-path", admin_file, "--log-level", "warning"],
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=log)
        self.admin = self._wait(lambda: _read(admin_file))
        self.address = self._wait(self._listener)
        self._wait(lambda: self.num_healthy() == len(addresses))

    def _wait(self, condition):
        pause = threading.Event()
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end and self.process.poll() is None:
            if result := condition():
                return result
            pause.wait(0.02)
        self.kill()
        raise RuntimeError("Envoy did not become ready:\n" + _read(self.log_path)[-4000:])

    def _listener(self):
        statuses = self._get_json("/listeners?format=json").get("listener_statuses", [])
        return next(("{address}:{port_value}".format(**status["local_address"]["socket_address"])
                     for status in statuses), None)

    def _get(self, path):
        with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=10) as response:
            return response.read().decode()

    def _get_json(self, path):
        return json.loads(self._get(path))

    def replicas(self):
        """{address: {"healthy": by active checks, "ejected": for the calls it has failed}}"""
        return {"{address}:{port_value}".format(**host["address"]["socket_address"]): {
                    "healthy": not host["health_status"].get("failed_active_health_check"),
                    "ejected": bool(host["health_status"].get("failed_outlier_check"))}
                for host in self._get_json("/clusters?format=json")["cluster_statuses"][0].get("host_statuses", [])}

    def num_healthy(self):
        # The counter too: it does not rise before checks have really been made.
        checked = self.stat("cluster.octet.health_check.success")
        return min(checked, sum(replica["healthy"] for replica in self.replicas().values()))

    def stat(self, name):
        """A counter or gauge; 0 where Envoy has none of that name."""
        for line in self._get(f"/stats?usedonly&filter=^{name}$").splitlines():
            return int(line.rsplit(": ", 1)[1])
        return 0

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Ends it and returns its access log, a dict for each call."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        return [json.loads(line) for line in _read(self.output_path).splitlines()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _read(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read().strip()
    except FileNotFoundError:
        return ""
