"""Where models come from, and that the real server accepts the configuration that the chart writes."""
import subprocess

import pytest
import yaml

import charts


def mounts(container):
    return {mount["mountPath"]: mount for mount in container["volumeMounts"]}


def volume(pod, name):
    return next(v for v in pod["volumes"] if v["name"] == name)


def test_models_in_the_image_need_no_volume():
    pod = charts.manifests().pod
    assert "/models" not in mounts(pod["containers"][0]) and "initContainers" not in pod


def test_models_of_a_claim_are_mounted_read_only():
    pod = charts.manifests("pvc").pod
    assert mounts(pod["containers"][0])["/models"] == {
        "name": "models", "mountPath": "/models", "readOnly": True, "subPath": "production"}
    assert volume(pod, "models")["persistentVolumeClaim"] == {"claimName": "models", "readOnly": True}


def test_models_of_an_init_container_are_written_by_it_and_read_by_the_server():
    pod = charts.manifests("init-container").pod
    writer = pod["initContainers"][0]
    assert writer["command"] == ["cp", "-r", "/minilm", "/models/minilm"]
    assert not mounts(writer)["/models"].get("readOnly")
    assert mounts(pod["containers"][0])["/models"]["readOnly"] is True
    assert volume(pod, "models")["emptyDir"] == {"sizeLimit": "4Gi"}


def test_secrets_are_mounted_where_the_configuration_looks():
    manifests = charts.manifests("tls")
    at = mounts(manifests.server)
    assert at["/etc/octet/tls"]["readOnly"] and at["/etc/octet/auth"]["readOnly"]
    assert volume(manifests.pod, "tls")["secret"]["secretName"] == "octet-certificate"
    assert volume(manifests.pod, "auth")["secret"]["secretName"] == "octet-tokens"
    for section in ("tls", "auth"):
        assert all(path.startswith(f"/etc/octet/{section}/") for path in manifests.config[section].values())


def test_numbers_arrive_as_they_were_written():
    data = charts.manifests("pvc").one("ConfigMap", "encoders")["data"]["octet.yaml"]
    assert "memory_quota_bytes: 1073741824\n" in data


def check_config(octet, config, tmp_path):
    path = tmp_path / "octet.yaml"
    path.write_text(yaml.safe_dump(config))
    return subprocess.run([octet, "serve", "--check-config", "--config", path], capture_output=True, text=True)


def at_home(config, directory, secrets):
    """The same configuration with models and files that exist here."""
    models = [{**model, "directory": str(directory)} for model in config["models"]]
    for model in models:
        model.pop("classification", None)  # the directory here is of no classifier
    home = {**config, "models": models}
    for section in {"tls", "auth"} & set(config):
        home[section] = {key: path.replace("/etc/octet", str(secrets)) for key, path in config[section].items()}
    return home


@pytest.mark.parametrize("name", charts.value_sets())
def test_the_server_accepts_the_configuration(name, octet, model_directory, secrets, tmp_path):
    config = charts.manifests(name).config
    done = check_config(octet, at_home(config, model_directory, secrets), tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_server_refuses_a_key_that_it_does_not_know(octet, model_directory, secrets, tmp_path):
    config = charts.manifests(values={"config.limits": {"max_text": 1}}).config
    done = check_config(octet, at_home(config, model_directory, secrets), tmp_path)
    assert done.returncode == 2 and "limits.max_text" in done.stderr, done.stderr


def test_the_image_and_the_chart_are_of_the_servers_version():
    chart = yaml.load((charts.CHART / "Chart.yaml").read_text(), charts.Loader)
    assert f"project(octet VERSION {chart['appVersion']} " in (charts.ROOT / "CMakeLists.txt").read_text()
    assert charts.manifests().server["image"] == f"octet:{chart['appVersion']}"
