"""Fixtures of the tests with an API server; they need what `scripts/setup-deploy cluster` builds."""
import itertools
import os
import sys

import pytest

sys.path[:0] = [os.path.dirname(__file__), os.path.dirname(os.path.dirname(__file__))]

import charts  # noqa: E402
from control_plane import ControlPlane, wait_until  # noqa: E402
from definitions import DEFINITIONS  # noqa: E402

namespace_numbers = itertools.count(1)

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def pytest_configure(config):
    for name in ("helm", "etcd", "kube-apiserver"):
        if not os.path.exists(charts.TOOLS / name):
            raise pytest.UsageError(f"no {charts.TOOLS / name}: run scripts/setup-deploy cluster")


def install_definition(plane, definition):
    status, answer = plane.request("POST", CRDS, definition)
    assert status == 201, answer
    path = f"{CRDS}/{definition['metadata']['name']}"

    def is_established():
        conditions = plane.request("GET", path)[1].get("status", {}).get("conditions", [])
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
    wait_until(is_established, f"{path} is established")


@pytest.fixture(scope="session")
def plane(tmp_path_factory):
    """A ControlPlane that knows the kinds of the Prometheus operator and of KEDA."""
    with ControlPlane(tmp_path_factory.mktemp("control-plane")) as running:
        for definition in DEFINITIONS:
            install_definition(running, definition)
        yield running


@pytest.fixture
def namespace(plane):
    """A namespace of the test's own, where only pods of the restricted standard are admitted."""
    name = f"test-{next(namespace_numbers)}"
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    status, answer = plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    assert status == 201, answer
    # What a controller would do.
    accounts = f"/api/v1/namespaces/{name}/serviceaccounts"
    status, answer = plane.request("POST", accounts, {"metadata": {"name": "default"}})
    assert status == 201, answer
    return name
