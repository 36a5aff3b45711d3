"""Autoscalers, disruption budget, and the metrics that they stand on."""
import re

import pytest
import yaml

import charts

ADAPTER_RULES = charts.ROOT / "deploy" / "prometheus-adapter" / "rules.yaml"


def exported_metrics():
    """Names in quotes in the server's sources: what it registers."""
    sources = "".join(path.read_text() for path in sorted((charts.ROOT / "serving").glob("*.cc")))
    return set(re.findall(r'"(octet_[a-z0-9_]+)"', sources))


def test_replicas_are_left_to_the_autoscaler():
    for name in ("autoscaling", "keda"):
        assert "replicas" not in charts.manifests(name).one("Deployment")["spec"]
    assert charts.manifests().one("Deployment")["spec"]["replicas"] == 2


@pytest.mark.parametrize("name, kind", [("autoscaling", "HorizontalPodAutoscaler"), ("keda", "ScaledObject")])
def test_autoscalers_scale_the_deployment(name, kind):
    manifests = charts.manifests(name)
    target = manifests.one(kind)["spec"]["scaleTargetRef"]
    deployment = manifests.one("Deployment")
    assert target == {"apiVersion": deployment["apiVersion"], "kind": "Deployment",
                      "name": deployment["metadata"]["name"]}


def test_autoscaler_looks_at_cpu_and_queue():
    cpu, queue = charts.manifests("autoscaling").one("HorizontalPodAutoscaler")["spec"]["metrics"]
    assert cpu["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    assert queue["pods"]["target"] == {"type": "AverageValue", "averageValue": "4096"}


def test_autoscaler_can_do_without_cpu():
    values = {"autoscaling.targetCPUUtilizationPercentage": None}
    metrics = charts.manifests("autoscaling", values).one("HorizontalPodAutoscaler")["spec"]["metrics"]
    assert [metric["type"] for metric in metrics] == ["Pods"]


def test_adapter_makes_the_autoscalers_metric_of_one_that_the_server_exports():
    rule, = yaml.load(ADAPTER_RULES.read_text(), charts.Loader)["rules"]
    series = re.match(r"\w+", rule["seriesQuery"]).group()
    assert series in exported_metrics()
    assert re.search(rule["name"]["matches"], series)
    metrics = charts.manifests("autoscaling").one("HorizontalPodAutoscaler")["spec"]["metrics"]
    assert rule["name"]["as"] == metrics[1]["pods"]["metric"]["name"]


def test_scaled_object_asks_prometheus_for_a_metric_that_the_server_exports():
    manifests = charts.manifests("keda")
    spec = manifests.one("ScaledObject")["spec"]
    prometheus, cpu = spec["triggers"]
    query = prometheus["metadata"]["query"]
    assert re.search(r"octet_\w+", query).group() in exported_metrics()
    assert f'namespace="{charts.NAMESPACE}"' in query
    # Labels that the ServiceMonitor's targets get: the service that has the metrics port.
    service = re.search(r'service="([^"]+)"', query).group(1)
    assert "metrics" in [port["name"] for port in manifests.one("Service", service)["spec"]["ports"]]
    # All values of a trigger's metadata are strings.
    assert all(isinstance(value, str) for trigger in spec["triggers"] for value in trigger["metadata"].values())
    assert cpu["metricType"] == "Utilization"


def test_budget_lets_one_pod_go_by_default():
    spec = charts.manifests().one("PodDisruptionBudget")["spec"]
    assert spec["maxUnavailable"] == 1 and "minAvailable" not in spec
    spec = charts.manifests("pvc").one("PodDisruptionBudget")["spec"]
    assert spec["minAvailable"] == 2 and "maxUnavailable" not in spec
