"""The pod: restricted in every way, probed on numbered ports, selected by the services, spread over nodes."""
import pytest

import charts

PROBES = ["startupProbe", "readinessProbe", "livenessProbe"]


def pods(manifests):
    """Every pod's spec: the server's and the test's."""
    return [manifests.pod, manifests.one("Pod")["spec"]]


def test_pods_satisfy_the_restricted_standard(value_set):
    for pod in pods(charts.manifests(value_set)):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] >= 1000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        allowed = {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}
        assert all(set(volume) - {"name"} <= allowed for volume in pod.get("volumes", []))
        for container in pod["containers"] + pod.get("initContainers", []):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
            assert all("hostPort" not in port for port in container.get("ports", []))
            assert container["resources"]["limits"]["memory"]


def test_probes_use_numbered_ports_and_the_advised_times(value_set):
    server = charts.manifests(value_set).server
    ports = {port["containerPort"] for port in server["ports"]}
    for probe in PROBES:
        check = server[probe].get("grpc") or server[probe]["httpGet"]
        assert isinstance(check["port"], int) and check["port"] in ports
    readiness, liveness, startup = (server[p] for p in ("readinessProbe", "livenessProbe", "startupProbe"))
    assert (readiness["periodSeconds"], readiness["failureThreshold"]) == (2, 1)
    assert (liveness["periodSeconds"], liveness["failureThreshold"]) == (5, 3)
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 300


@pytest.mark.parametrize("name", ["default", "pvc", "init-container", "autoscaling", "keda"])
def test_probes_are_grpc_without_tls(name):
    server = charts.manifests(name).server
    assert [server[probe]["grpc"]["service"] for probe in PROBES] == ["", "", "liveness"]


@pytest.mark.parametrize("name", ["tls", "minimal"])
def test_probes_are_http_with_tls_or_on_request(name):
    manifests = charts.manifests(name)
    assert [manifests.server[probe]["httpGet"] for probe in PROBES] == [
        {"port": 9464, "path": path} for path in ("/readyz", "/readyz", "/healthz")]
    # The kubelet comes from outside of the pod.
    assert "--metrics-address=0.0.0.0:9464" in manifests.server["args"]


def test_services_and_policies_select_the_servers_pods_and_no_others(value_set):
    manifests = charts.manifests(value_set)
    deployment = manifests.one("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    selectors = [deployment["spec"]["selector"]["matchLabels"]]
    selectors += [service["spec"]["selector"] for service in manifests.of("Service")]
    selectors += [budget["spec"]["selector"]["matchLabels"] for budget in manifests.of("PodDisruptionBudget")]
    selectors += [policy["spec"]["podSelector"]["matchLabels"] for policy in manifests.of("NetworkPolicy")]
    selectors += [c["labelSelector"]["matchLabels"] for c in manifests.pod.get("topologySpreadConstraints", [])]
    assert all(selector and selector.items() <= labels for selector in selectors)
    test_labels = manifests.one("Pod")["metadata"]["labels"].items()
    assert not any(selector.items() <= test_labels for selector in selectors)


def test_services_lead_to_the_servers_ports(value_set):
    manifests = charts.manifests(value_set)
    ports = {port["name"]: port["containerPort"] for port in manifests.server["ports"]}
    arguments = manifests.server["args"]
    assert f"--grpc-address=0.0.0.0:{ports['grpc']}" in arguments
    assert f"--metrics-address=0.0.0.0:{ports['metrics']}" in arguments
    for service in manifests.of("Service"):
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]
            cleartext = port["name"] == "metrics" or value_set != "tls"
            assert ("appProtocol" in port) == cleartext


def test_headless_service_is_headless_and_leads_to_ready_pods_only():
    service = charts.manifests().one("Service", "octet-headless")
    assert service["spec"]["clusterIP"] == "None"
    assert "publishNotReadyAddresses" not in service["spec"]


def test_another_configuration_rolls_the_pods_and_another_replica_count_does_not():
    def checksum(values):
        template = charts.manifests(values=values).one("Deployment")["spec"]["template"]
        return template["metadata"]["annotations"]["checksum/config"]
    assert checksum({"config.limits": {"max_batch_delay_ms": 1}}) != checksum({})
    assert checksum({"replicaCount": 7}) == checksum({})


def test_resources_are_whole_cpus_with_requests_equal_to_limits():
    resources = charts.manifests().server["resources"]
    assert resources["requests"] == resources["limits"] and int(resources["limits"]["cpu"]) >= 1


def test_pods_are_spread_over_zones_and_nodes():
    keys = [c["topologyKey"] for c in charts.manifests().pod["topologySpreadConstraints"]]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]


def test_optional_parts_of_the_pod_arrive():
    pod = charts.manifests("init-container").pod
    assert pod["priorityClassName"] == "system-cluster-critical" and pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "amd64"} and pod["tolerations"][0]["key"] == "inference"
    assert "nodeAffinity" in pod["affinity"]
    assert {"name": "OCTET_LOG_LEVEL", "value": "debug"} in pod["containers"][0]["env"]
    assert pod["containers"][0]["image"].startswith("registry.example.com/octet@sha256:0123")


def test_helm_test_asks_the_service_with_the_images_own_command(value_set):
    manifests = charts.manifests(value_set)
    test = manifests.one("Pod")
    assert test["metadata"]["annotations"]["helm.sh/hook"] == "test"
    container = test["spec"]["containers"][0]
    assert container["image"] == manifests.server["image"]
    assert "command" not in container  # there is no shell
    host, _, port = container["args"][1].partition(":")
    service = manifests.one("Service", host)
    assert int(port) in [p["port"] for p in service["spec"]["ports"] if p["name"] == "grpc"]
