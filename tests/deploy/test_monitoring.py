"""Rules and dashboards: the chart's copies are the sources, and arrive unchanged."""
import filecmp
import json
import shutil

import pytest
import yaml

import charts

COPIES = [("prometheus", "*.rules.yml", "rules"), ("grafana", "*.json", "dashboards")]


@pytest.mark.parametrize("source, pattern, copy", COPIES)
def test_copies_in_the_chart_are_those_of_deploy(source, pattern, copy):
    originals = {path.name: path for path in (charts.ROOT / "deploy" / source).glob(pattern)}
    copies = {path.name: path for path in (charts.CHART / "files" / copy).glob("*")}
    same = originals.keys() == copies.keys() and all(
        filecmp.cmp(originals[name], copies[name], shallow=False) for name in originals)
    assert same, f"deploy/helm/octet/files/{copy} is not deploy/{source}: run make chart-files"


def groups_of(folder):
    return [group for path in sorted(folder.glob("*.yml"))
            for group in yaml.load(path.read_text(), charts.Loader)["groups"]]


def test_rules_have_every_group_and_keep_what_prometheus_replaces():
    expected = groups_of(charts.CHART / "files" / "rules")
    assert charts.manifests("autoscaling").one("PrometheusRule")["spec"]["groups"] == expected
    annotations = [text for group in expected for rule in group["rules"]
                   for text in rule.get("annotations", {}).values()]
    assert any("{{ $labels.model }}" in text for text in annotations)


@pytest.fixture
def chart_with_more_files(tmp_path):
    """A copy of the chart with one more rule file and one more dashboard, both with braces and quotes."""
    chart = tmp_path / "octet"
    shutil.copytree(charts.CHART, chart)
    group = {"name": "more", "rules": [{"alert": "More", "expr": "up == 0", "annotations": {
        "summary": 'down: {{ $labels.pod | printf "%q" }}\nand {{ $value }}'}}]}
    (chart / "files" / "rules" / "zz-more.rules.yml").write_text(yaml.safe_dump({"groups": [group]}))
    dashboard = {"title": "more", "panels": [{"targets": [{"legendFormat": "{{ pod }}", "expr": 'x{a="b"}'}]}]}
    (chart / "files" / "dashboards").mkdir(exist_ok=True)
    (chart / "files" / "dashboards" / "octet-more.json").write_text(json.dumps(dashboard, indent=2))
    return chart, group, dashboard


def test_new_files_join_by_themselves_and_unchanged(chart_with_more_files):
    chart, group, dashboard = chart_with_more_files
    manifests = charts.manifests("autoscaling", chart=chart)
    assert manifests.one("PrometheusRule")["spec"]["groups"][-1] == group
    config_map = manifests.one("ConfigMap", "octet-more")
    assert config_map["data"] == {"octet-more.json": json.dumps(dashboard, indent=2)}
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config_map["metadata"]["annotations"] == {"grafana_folder": "octet"}


def test_dashboards_are_whole_and_small_enough():
    config_maps = [c for c in charts.manifests("autoscaling").of("ConfigMap")
                   if "grafana_dashboard" in c["metadata"]["labels"]]
    files = {path.name: path.read_text() for path in (charts.CHART / "files" / "dashboards").glob("*.json")}
    assert {name: text for c in config_maps for name, text in c["data"].items()} == files
    assert all(len(text) < 1_000_000 for text in files.values())  # what a config map may hold is 1 MiB


def test_monitor_scrapes_the_one_service_with_a_metrics_port():
    manifests = charts.manifests("autoscaling")
    spec = manifests.one("ServiceMonitor")["spec"]
    assert spec["namespaceSelector"]["matchNames"] == [charts.NAMESPACE]
    selector = spec["selector"]["matchLabels"].items()
    selected = [s for s in manifests.of("Service") if selector <= s["metadata"]["labels"].items()]
    port = spec["endpoints"][0]["port"]
    assert [s["metadata"]["name"] for s in selected if port in [p["name"] for p in s["spec"]["ports"]]] == ["octet"]


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PrometheusRule", "HorizontalPodAutoscaler", "ScaledObject"])
def test_nothing_that_a_plain_cluster_lacks_is_there_by_default(kind):
    assert not charts.manifests().of(kind)
