"""Fixtures of the tests with an API server; they need what `scripts/setup-deploy cluster` builds."""
import itertools
import os
import sys

import pytest
import yaml

sys.path[:0] = [os.path.dirname(__file__), os.path.dirname(os.path.dirname(__file__))]

import charts  # noqa: E402
from control_plane import ControlPlane  # noqa: E402

namespace_numbers = itertools.count(1)

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

# KEDA's own is not to be had offline: this one takes whatever is said.
KEDA_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "scaledobjects.keda.sh"},
    "spec": {"group": "keda.sh", "scope": "Namespaced",
             "names": {"plural": "scaledobjects", "singular": "scaledobject", "kind": "ScaledObject"},
             "versions": [{"name": "v1alpha1", "served": True, "storage": True, "schema": {
                 "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}


def pytest_configure(config):
    for name in ("helm", "etcd", "kube-apiserver", "crds"):
        if not os.path.exists(charts.TOOLS / name):
            raise pytest.UsageError(f"no {charts.TOOLS / name}: run scripts/setup-deploy cluster")


def established(definition):
    return any(c["type"] == "Established" and c["status"] == "True" for c in definition["status"]["conditions"])


def install_definition(plane, definition):
    status, answer = plane.request("POST", CRDS, definition)
    assert status == 201, answer
    path = f"{CRDS}/{definition['metadata']['name']}"
    while not established(plane.request("GET", path)[1]):
        pass  # a moment


@pytest.fixture(scope="session")
def plane(tmp_path_factory):
    """A ControlPlane that knows the kinds of the Prometheus operator and of KEDA."""
    with ControlPlane(tmp_path_factory.mktemp("control-plane")) as running:
        for path in sorted((charts.TOOLS / "crds").glob("*.yaml")):
            install_definition(running, yaml.load(path.read_text(), charts.Loader))
        install_definition(running, KEDA_CRD)
        yield running


@pytest.fixture
def namespace(plane):
    """A namespace of the test's own, where only pods of the restricted standard are admitted."""
    name = f"test-{next(namespace_numbers)}"
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    status, answer = plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    assert status == 201, answer
    # What a controller would do.
    status, answer = plane.request("POST", f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
    assert status == 201, answer
    return name
