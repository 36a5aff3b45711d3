"""Custom kinds that the chart makes. Their own schemas are not to be had offline, so these take whatever is said; the
fields of the Prometheus operator's kinds are what ../strict checks."""


def definition(group, version, kind):
    """A CustomResourceDefinition of a namespaced kind without a schema."""
    plural = kind.lower() + "s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced",
                 "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
                 "versions": [{"name": version, "served": True, "storage": True,
                               "schema": {"openAPIV3Schema": schema}}]}}


DEFINITIONS = [
    definition("monitoring.coreos.com", "v1", "ServiceMonitor"),
    definition("monitoring.coreos.com", "v1", "PrometheusRule"),
    definition("keda.sh", "v1alpha1", "ScaledObject"),
]
