"""The samples for KServe. Its schemas are not to be had offline, so that this checks what octet knows of them."""
import yaml

import charts

FOLDER = charts.ROOT / "deploy" / "kserve"


def load(name):
    return yaml.load((FOLDER / name).read_text(), charts.Loader)


def test_runtime_serves_open_inference_over_grpc():
    runtime = load("servingruntime.yaml")
    assert (runtime["apiVersion"], runtime["kind"]) == ("serving.kserve.io/v1alpha1", "ServingRuntime")
    assert runtime["spec"]["protocolVersions"] == ["grpc-v2"]
    container, = runtime["spec"]["containers"]
    assert container["name"] == "kserve-container"  # KServe finds it by this name
    port, = container["ports"]
    assert port["name"] == "h2c"  # how KServe and Knative are told that it is HTTP/2
    assert f"--grpc-address=0.0.0.0:{port['containerPort']}" in container["args"]
    assert "--model={{.Name}}=/mnt/models" in container["args"]  # where KServe mounts the model


def test_runtime_is_as_restricted_as_the_chart():
    container, = load("servingruntime.yaml")["spec"]["containers"]
    context = dict(container["securityContext"])
    assert context.pop("runAsNonRoot") is True and context.pop("runAsUser") == 10001
    assert context.pop("seccompProfile") == {"type": "RuntimeDefault"}
    assert context == charts.manifests().server["securityContext"]


def test_runtime_says_where_its_metrics_are():
    spec = load("servingruntime.yaml")["spec"]
    container, = spec["containers"]
    port = spec["annotations"]["prometheus.kserve.io/port"]
    assert f"--metrics-address=0.0.0.0:{port}" in container["args"]
    assert spec["annotations"]["prometheus.kserve.io/path"] == "/metrics"


def test_service_names_the_runtime_and_a_format_that_it_takes():
    runtime, service = load("servingruntime.yaml"), load("inferenceservice.yaml")
    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    formats = {f["name"] for f in runtime["spec"]["supportedModelFormats"]}
    assert model["modelFormat"]["name"] in formats and model["storageUri"]
