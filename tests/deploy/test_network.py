"""Who gets in and what gets out."""
import charts


def policy(name, values=None):
    return charts.manifests(name, values).one("NetworkPolicy")["spec"]


def ports(rule):
    return sorted((port["port"], port["protocol"]) for port in rule["ports"])


def test_default_lets_in_the_namespace_and_the_scraper_and_lets_out_dns():
    spec = policy("default")
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    grpc, metrics = spec["ingress"]
    assert {"podSelector": {}} in grpc["from"] and ports(grpc) == [(50051, "TCP")]
    assert "namespaceSelector" in metrics["from"][0] and ports(metrics) == [(9464, "TCP")]
    dns, = spec["egress"]
    assert ports(dns) == [(53, "TCP"), (53, "UDP")] and dns["to"]


def test_no_rule_has_an_empty_list_of_peers_which_would_mean_everybody(value_set):
    for document in charts.manifests(value_set).of("NetworkPolicy"):
        for rule in document["spec"]["ingress"]:
            assert rule["from"]
        for rule in document["spec"]["egress"] or []:
            assert rule["to"]


def test_an_empty_list_lets_nobody_in_but_the_test_pod():
    spec = policy("tls", {"networkPolicy.grpc.from": []})
    rule, = spec["ingress"]  # nobody scrapes either
    peer, = rule["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "test"


def test_the_test_pod_may_ask_whoever_else_may(value_set):
    manifests = charts.manifests(value_set)
    labels = manifests.one("Pod")["metadata"]["labels"].items()
    for document in manifests.of("NetworkPolicy"):
        peers = document["spec"]["ingress"][0]["from"]
        assert any(peer["podSelector"].get("matchLabels", {}).items() <= labels
                   for peer in peers if list(peer) == ["podSelector"])


def test_without_any_egress_everything_is_denied():
    assert not policy("default", {"networkPolicy.dns.to": []})["egress"]


def test_traces_and_extra_rules_get_out():
    assert (4317, "TCP") in [port for rule in policy("keda")["egress"] for port in ports(rule)]
    assert (443, "TCP") in [port for rule in policy("init-container")["egress"] for port in ports(rule)]
