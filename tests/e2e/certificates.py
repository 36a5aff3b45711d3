"""Certificates for tests, made when they run with the openssl program, and ways of putting them into files."""
import os
import subprocess

_CONFIG = """\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:octet.test, IP:127.0.0.1
extendedKeyUsage = serverAuth, clientAuth
"""


class Pair:
    """A certificate and its key, in PEM."""

    def __init__(self, certificate, key):
        self.certificate, self.key = certificate, key

    def serial(self):
        done = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=self.certificate, capture_output=True,
                              check=True)
        return done.stdout.decode().strip().removeprefix("serial=")


class Authority:
    """Signs for the name octet.test and the address 127.0.0.1, good for a day."""

    def __init__(self, folder, name="test authority"):
        os.makedirs(folder)
        self._folder, self._count = folder, 0
        self._config = os.path.join(folder, "openssl.cnf")
        with open(self._config, "w", encoding="ascii") as f:
            f.write(_CONFIG)
        self.file = os.path.join(folder, "authority.crt")
        self._key = os.path.join(folder, "authority.key")
        self._request("authority", name, self.file, self._key)
        with open(self.file, "rb") as f:
            self.certificate = f.read()

    def sign(self, name="server"):
        self._count += 1
        paths = [os.path.join(self._folder, f"{self._count}.{end}") for end in ("crt", "key")]
        self._request("leaf", name, *paths, "-CA", self.file, "-CAkey", self._key)
        contents = []
        for path in paths:
            with open(path, "rb") as f:
                contents.append(f.read())
        return Pair(*contents)

    def _request(self, extensions, name, certificate, key, *more):
        subprocess.run(["openssl", "req", "-x509", "-config", self._config, "-extensions", extensions, "-newkey", "ec",
                        "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-days", "1",
                        "-keyout", key, "-out", certificate, *more], check=True, capture_output=True)


def replace(path, content):
    """Puts a new file in the place of the old in one step."""
    with open(f"{path}.new", "wb") as f:
        f.write(content)
    os.rename(f"{path}.new", path)


class SecretMount:
    """A folder of files as Kubernetes mounts a secret: links into a folder behind the link ..data, which is swapped."""

    def __init__(self, folder, **files):
        os.makedirs(folder)
        self.folder, self._count = folder, 0
        self.write(**files)
        for name in files:
            os.symlink(os.path.join("..data", name), self.path(name))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, **files):
        self._count += 1
        version = f"..version_{self._count}"
        os.mkdir(self.path(version))
        for name, content in files.items():
            with open(self.path(os.path.join(version, name)), "wb") as f:
                f.write(content)
        os.symlink(version, self.path("..data_new"))
        os.rename(self.path("..data_new"), self.path("..data"))
