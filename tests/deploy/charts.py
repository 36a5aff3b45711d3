"""The chart, rendered by the real helm: value sets, documents by kind, refusals."""
import functools
import json
import os
import pathlib
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "octet"
TOOLS = ROOT / ".cache" / "deploy" / "bin"
HELM = TOOLS / "helm"
NAMESPACE = "inference"
RELEASE = "octet"

# Faster than PyYAML's own, where libyaml is there.
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def value_sets():
    """The names of the value sets in the chart's ci/ folder."""
    return sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))


def value_file(name):
    return CHART / "ci" / f"{name}.yaml"


def run_helm(*arguments):
    """A finished helm process; its environment is empty of the caller's clusters and plugins."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(ROOT / ".cache" / "deploy" / "home")}
    return subprocess.run([HELM, *map(str, arguments)], capture_output=True, text=True, env=environment)


def template(values=None, name="default", chart=CHART, kube_version="1.33.0"):
    """A finished `helm template` with a value set and, over it, the dictionary `values`."""
    over = [f"--set-json={key}={json.dumps(value)}" for key, value in (values or {}).items()]
    return run_helm("template", RELEASE, chart, "--namespace", NAMESPACE, "--kube-version", kube_version,
                    "--values", value_file(name), *over)


def documents(text):
    return [document for document in yaml.load_all(text, Loader) if document]


@functools.cache
def rendered(name, kube_version="1.33.0"):
    """The text of a value set."""
    done = template(name=name, kube_version=kube_version)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Manifests:
    """Documents of one rendering."""

    def __init__(self, text):
        self.all = documents(text)

    def of(self, kind):
        return [document for document in self.all if document["kind"] == kind]

    def one(self, kind, name=None):
        found = [d for d in self.of(kind) if name is None or d["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} documents of kind {kind}, name {name}"
        return found[0]

    @property
    def pod(self):
        """The pod template's spec."""
        return self.one("Deployment")["spec"]["template"]["spec"]

    @property
    def server(self):
        """The server's container."""
        return self.pod["containers"][0]

    @property
    def config(self):
        """The server's configuration, parsed."""
        name = self.one("Deployment")["metadata"]["name"]
        return yaml.load(self.one("ConfigMap", name)["data"]["octet.yaml"], Loader)


def manifests(name="default", values=None, **options):
    """Manifests of a value set and, over it, a dictionary such as {"ports.grpc": 8500}."""
    if not values and not options:
        return Manifests(rendered(name))
    done = template(values, name, **options)
    assert done.returncode == 0, done.stderr
    return Manifests(done.stdout)


def refusal(values, name="default"):
    """What helm says about values that it must refuse."""
    done = template(values, name)
    assert done.returncode != 0, f"{values} were accepted"
    return done.stderr
