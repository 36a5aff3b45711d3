"""Every object of every value set against the published schemas, and the chart against helm's own rules."""
import subprocess

import kubernetes_validate
import pytest

import charts

# The oldest that the chart allows for, one in the middle, the newest whose schemas there are.
KUBERNETES_VERSIONS = ["1.30", "1.33", "1.37"]
# Their schemas are not Kubernetes'. The operator's two are checked by strict/, KEDA's by test_scaling.py.
OTHER_GROUPS = {"monitoring.coreos.com", "keda.sh"}


def group(document):
    version = document["apiVersion"]
    return version.partition("/")[0] if "/" in version else ""


def test_helm_lint_is_strictly_content(value_set):
    done = charts.run_helm("lint", "--strict", charts.CHART, "--values", charts.value_file(value_set))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_objects_satisfy_the_schemas(value_set, version):
    checked = 0
    for document in charts.documents(charts.rendered(value_set, f"{version}.0")):
        if group(document) not in OTHER_GROUPS:
            kubernetes_validate.validate(document, version, strict=True)
            checked += 1
    assert checked >= 5  # deployment, service, config map, test pod, and one more at least


def test_an_unknown_field_is_seen():
    deployment = charts.manifests().one("Deployment")
    deployment["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(deployment, KUBERNETES_VERSIONS[-1], strict=True)


def strict(text):
    return subprocess.run([charts.TOOLS / "strict"], input=text, capture_output=True, text=True)


def test_monitoring_objects_decode_strictly():
    done = strict(charts.rendered("autoscaling"))
    assert (done.returncode, done.stdout.strip()) == (0, "ServiceMonitor 1 PrometheusRule 1"), done.stderr


@pytest.mark.parametrize("right, wrong", [("  endpoints:", "  endpoint:"), ("      - alert:", "      - alarm:")])
def test_misspelt_monitoring_fields_are_seen(right, wrong):
    text = charts.rendered("autoscaling")
    assert right in text
    done = strict(text.replace(right, wrong))
    assert done.returncode == 1 and "unknown field" in done.stderr, done.stderr
