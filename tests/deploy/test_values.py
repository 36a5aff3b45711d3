"""Values: documented, typed, and refused with a clear line where they are wrong."""
import json

import pytest
import yaml

import charts

SCHEMA = json.loads((charts.CHART / "values.schema.json").read_text())
VALUES = yaml.load((charts.CHART / "values.yaml").read_text(), charts.Loader)


def resolve(schema):
    reference = schema.get("$ref")
    return SCHEMA["definitions"][reference.rpartition("/")[2]] if reference else schema


def closed_objects(schema, values, path=""):
    """(path, schema, values) of every object whose keys the schema fixes."""
    schema = resolve(schema)
    if schema.get("additionalProperties", True) is not False or not isinstance(values, dict):
        return
    yield path, schema, values
    for key, value in values.items():
        yield from closed_objects(schema["properties"].get(key, {}), value, f"{path}{key}.")


def test_schema_and_values_have_the_same_keys():
    objects = list(closed_objects(SCHEMA, VALUES))
    assert len(objects) > 20
    optional = {"global", "resources.claims", "model.initContainer.resources.claims"}
    for path, schema, values in objects:
        missing = {path + key for key in schema["properties"]} - {path + key for key in values} - optional
        unknown = {path + key for key in values} - {path + key for key in schema["properties"]}
        assert not missing and not unknown, (missing, unknown)


def test_every_section_is_described():
    paragraphs = (charts.CHART / "values.yaml").read_text().split("\n\n")
    assert len(paragraphs) > 15
    for paragraph in paragraphs:
        assert "#" in paragraph, f"no comment in: {paragraph}"


@pytest.mark.parametrize("values, told", [
    ({"replicas": 3}, "replicas"),
    ({"replicaCount": "three"}, "replicaCount"),
    ({"ports.grpc": 80}, "grpc"),
    ({"image.digest": "latest"}, "digest"),
    ({"model.source": "s3"}, "source"),
    ({"model.source": "pvc"}, "claimName"),
    ({"model.source": "initContainer"}, "initContainer/image"),
    ({"config.models": []}, "models"),
    ({"config.models": [{"name": "a model", "directory": "/models/a"}]}, "models/0/name"),
    ({"config.models": [{"name": "a", "directory": "models/a"}]}, "models/0/directory"),
    ({"probes.transport": "tcp"}, "transport"),
    ({"probes.readiness.failureThreshold": 0}, "failureThreshold"),
    ({"keda.enabled": True}, "serverAddress"),
    ({"networkPolicy.otlp.enabled": True}, "otlp/to"),
    ({"networkPolicy.grpc.from": [{"namespace": "search"}]}, "namespace"),
    ({"serviceMonitor.interval": "15"}, "interval"),
    ({"podDisruptionBudget.maxUnavailable": "half"}, "maxUnavailable"),
    ({"resources.limits": {"cpu": "two"}}, "cpu"),
])
def test_schema_names_the_wrong_value(values, told):
    said = refusal_lines(values)
    assert "values don't meet the specifications of the schema" in said and told in said, said


@pytest.mark.parametrize("values, told", [
    ({"config.grpc": {"address": "0.0.0.0:1"}}, "config.grpc.address is the chart's to set; give ports.grpc"),
    ({"config.metrics": {"address": ""}}, "config.metrics.address is the chart's to set; give ports.metrics"),
    ({"tls.secretName": "pair"}, "give config.tls.certificate_file, a file below /etc/octet/tls"),
    ({"auth.secretName": "tokens"}, "give config.auth.token_file, a file below /etc/octet/auth"),
    ({"ports.metrics": 50051}, "ports.grpc and ports.metrics are both 50051"),
    ({"probes.transport": "grpc", "config.tls": {"certificate_file": "/c"}}, "gRPC probe speaks no TLS"),
    ({"model": {"source": "pvc", "pvc": {"claimName": "c"}}, "config.models": [{"directory": "/model/a"}]},
     "directory /model/a of model default is not below model.mountPath /models"),
    ({"autoscaling.enabled": True, "keda": {"enabled": True, "prometheus": {"serverAddress": "http://p"}}},
     "choose one"),
    ({"autoscaling.minReplicas": 11}, "autoscaling.minReplicas is 11, more than autoscaling.maxReplicas"),
    ({"keda.minReplicas": 11}, "keda.minReplicas is 11, more than keda.maxReplicas"),
    ({"autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": None}}, "without a signal"),
    ({"podDisruptionBudget.minAvailable": 1}, "exactly one of maxUnavailable and minAvailable"),
    ({"podDisruptionBudget.maxUnavailable": None}, "exactly one of maxUnavailable and minAvailable"),
    ({"podDisruptionBudget.maxUnavailable": 0}, "no node could be drained"),
    ({"podDisruptionBudget.maxUnavailable": "0%"}, "no node could be drained"),
    ({"podDisruptionBudget": {"maxUnavailable": None, "minAvailable": 2}}, "keeps every one of 2 pods"),
    ({"podDisruptionBudget": {"maxUnavailable": None, "minAvailable": "100%"}}, "no node could be drained"),
])
def test_rules_between_values_are_told(values, told):
    said = refusal_lines(values)
    assert told in said, said


def refusal_lines(values):
    return " ".join(charts.refusal(values).split())
