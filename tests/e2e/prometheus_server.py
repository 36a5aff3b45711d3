"""Runs a real Prometheus that scrapes one server, on a free port, and asks it. Skips loudly without the program."""
import json
import os
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from programs import find_program


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class PrometheusServer:
    """Scrapes `target` every `interval` as job octet, with `labels` on every series."""

    def __init__(self, target, tmp_path, interval, labels=None):
        program = find_program("prometheus")
        config = {"global": {"scrape_interval": interval, "scrape_timeout": interval},
                  "scrape_configs": [{"job_name": "octet",
                                      "static_configs": [{"targets": [target], "labels": labels or {}}]}]}
        path = os.path.join(tmp_path, "prometheus.yml")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f)  # JSON is YAML
        self.address = f"127.0.0.1:{_free_port()}"
        with open(os.path.join(tmp_path, "prometheus.log"), "w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [program, f"--config.file={path}", f"--web.listen-address={self.address}",
                 f"--storage.tsdb.path={os.path.join(tmp_path, 'data')}"], stdout=log, stderr=log)

    def _get(self, path, parameters):
        """The member `data` of the answer; None while it is still starting."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return None
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        except OSError:
            return None

    def query(self, expression):
        """{labels as a frozenset of pairs: value} at this moment."""
        data = self._get("query", {"query": expression})
        if data is None:
            return {}
        if data["resultType"] == "scalar":
            return {frozenset(): float(data["result"][1])}
        return {frozenset(sample["metric"].items()): float(sample["value"][1]) for sample in data["result"]}

    def label_values(self, metric, label):
        return self._get(f"label/{label}/values", {"match[]": metric}) or []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()
