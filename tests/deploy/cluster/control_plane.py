"""etcd and kube-apiserver as processes on loopback, and the API over plain HTTPS. Without controllers and nodes:
objects are validated, defaulted, admitted and stored, and nothing ever runs."""
import json
import pathlib
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import charts

TOKEN = "test-token"
WAIT_SECONDS = 300  # before something counts as failed; a few seconds is usual


def wait_until(condition, what):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not after {WAIT_SECONDS} s: {what}")
        time.sleep(0.1)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class ControlPlane:
    """Use as a context. Logs of both processes are in `folder`."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.processes = []
        client_port, peer_port, api_port = free_ports(3)
        self.etcd_url, self.peer_url = f"http://127.0.0.1:{client_port}", f"http://127.0.0.1:{peer_port}"
        self.url = f"https://127.0.0.1:{api_port}"
        self.certificate, self.key = self.folder / "server.crt", self.folder / "server.key"

    def __enter__(self):
        try:
            self._make_certificate()
            self._start_etcd()
            self._start_api_server()
            wait_until(self._is_ready, "the API server is ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
            process.wait()

    def request(self, method, path, body=None):
        """(HTTP status, parsed answer)."""
        request = urllib.request.Request(
            self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"})
        context = ssl.create_default_context(cafile=str(self.certificate))
        try:
            with urllib.request.urlopen(request, context=context) as answer:
                return answer.status, self._parse(answer)
        except urllib.error.HTTPError as error:
            return error.code, self._parse(error)

    def helm(self, *arguments):
        return charts.run_helm(*arguments, "--kube-apiserver", self.url, "--kube-token", TOKEN,
                               "--kube-ca-file", self.certificate)

    @staticmethod
    def _parse(answer):
        text = answer.read().decode()
        return json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text

    def _make_certificate(self):
        """One pair for HTTPS and for signing the tokens of service accounts."""
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", self.key, "-out", self.certificate], check=True, capture_output=True)

    def _start(self, name, *arguments):
        with open(self.folder / f"{name}.log", "w") as log:
            self.processes.append(subprocess.Popen([charts.TOOLS / name, *arguments], stdout=log, stderr=log))

    def _start_etcd(self):
        self._start("etcd", f"--data-dir={self.folder / 'etcd'}", f"--listen-client-urls={self.etcd_url}",
                    f"--advertise-client-urls={self.etcd_url}", f"--listen-peer-urls={self.peer_url}",
                    f"--initial-advertise-peer-urls={self.peer_url}", f"--initial-cluster=default={self.peer_url}")

    def _start_api_server(self):
        tokens = self.folder / "tokens.csv"
        tokens.write_text(f"{TOKEN},admin,admin,system:masters\n")
        self._start("kube-apiserver", f"--etcd-servers={self.etcd_url}", "--bind-address=127.0.0.1",
                    f"--secure-port={self.url.rpartition(':')[2]}", f"--tls-cert-file={self.certificate}",
                    f"--tls-private-key-file={self.key}", f"--token-auth-file={tokens}", "--authorization-mode=RBAC",
                    "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={self.key}",
                    f"--service-account-signing-key-file={self.key}", "--service-cluster-ip-range=10.0.0.0/24",
                    # Loopback is no address that an endpoint may have.
                    "--endpoint-reconciler-type=none")

    def _is_ready(self):
        for process in self.processes:
            if process.poll() is not None:
                log = self.folder / (pathlib.Path(process.args[0]).name + ".log")
                raise RuntimeError(f"{process.args[0]} ended with {process.returncode}: {log.read_text()[-2000:]}")
        try:
            return self.request("GET", "/readyz")[0] == 200
        except OSError:
            return False
