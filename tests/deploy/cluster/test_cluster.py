"""The chart on a real API server: installed, its pods admitted under the restricted policy, upgraded, uninstalled."""
import json

import charts


def deployments(namespace):
    return f"/apis/apps/v1/namespaces/{namespace}/deployments"


def create_pod(plane, namespace, spec):
    pod = {"metadata": {"generateName": "pod-"}, "spec": spec}
    return plane.request("POST", f"/api/v1/namespaces/{namespace}/pods", pod)


def helm(plane, namespace, command, name, *arguments):
    done = plane.helm(command, charts.RELEASE, charts.CHART, "--namespace", namespace, "--output", "json",
                      "--values", charts.value_file(name), *arguments)
    assert done.returncode == 0, done.stderr
    assert "would violate PodSecurity" not in done.stderr, done.stderr
    return json.loads(done.stdout)


def test_value_set_is_installed_upgraded_and_uninstalled(plane, namespace, value_set):
    installed = helm(plane, namespace, "install", value_set)
    assert installed["info"]["status"] == "deployed"

    before, = plane.request("GET", deployments(namespace))[1]["items"]
    status, answer = create_pod(plane, namespace, before["spec"]["template"]["spec"])
    assert status == 201, answer
    hook, = installed["hooks"]
    test_pod, = charts.documents(hook["manifest"])
    status, answer = create_pod(plane, namespace, test_pod["spec"])
    assert status == 201, answer

    upgraded = helm(plane, namespace, "upgrade", value_set, "--set", "config.limits.max_batch_delay_ms=1")
    assert (upgraded["info"]["status"], upgraded["version"]) == ("deployed", 2)
    after, = plane.request("GET", deployments(namespace))[1]["items"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1  # the pods roll

    done = plane.helm("uninstall", charts.RELEASE, "--namespace", namespace)
    assert done.returncode == 0, done.stderr
    assert plane.request("GET", deployments(namespace))[1]["items"] == []


def test_an_unrestricted_pod_is_refused(plane, namespace):
    status, answer = create_pod(plane, namespace, {"containers": [{"name": "octet", "image": "octet"}]})
    assert status == 403
    for field in ("allowPrivilegeEscalation", "capabilities", "runAsNonRoot", "seccompProfile"):
        assert field in answer["message"], answer


def test_objects_of_a_value_set_have_no_field_that_the_server_does_not_know(plane, namespace, value_set):
    for document in charts.documents(charts.rendered(value_set)):
        document["metadata"]["namespace"] = namespace
        group, _, version = document["apiVersion"].rpartition("/")
        base = f"/apis/{group}/{version}" if group else f"/api/{version}"
        resource = next(r["name"] for r in plane.request("GET", base)[1]["resources"]
                        if r["kind"] == document["kind"] and "/" not in r["name"])
        status, answer = plane.request(
            "POST", f"{base}/namespaces/{namespace}/{resource}?dryRun=All&fieldValidation=Strict", document)
        # The dry run stores nothing, so that a pod does not find its service account.
        missing_account = document["kind"] == "Pod" and "serviceaccount" in str(answer)
        assert status == 201 or (status == 403 and missing_account), (document["kind"], answer)


def test_an_unknown_field_is_refused(plane, namespace):
    deployment = charts.manifests().one("Deployment")
    deployment["metadata"]["namespace"] = namespace
    deployment["spec"]["replica"] = 2
    status, answer = plane.request("POST", deployments(namespace) + "?dryRun=All&fieldValidation=Strict", deployment)
    assert status == 400 and 'unknown field "spec.replica"' in answer["message"], answer
