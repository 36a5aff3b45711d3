"""What docs/metrics.md says octet exports. A test keeps that page equal to the server's declarations."""
import re

_ROW = re.compile(r"^\| `(\w+)` \| (counter|gauge|histogram) \|", re.MULTILINE)


def read_metric_types(path):
    """{name: type}; of histograms also the series _bucket, _sum and _count, whose type is "counter"."""
    with open(path, encoding="utf-8") as f:
        types = dict(_ROW.findall(f.read()))
    if not types:
        raise ValueError(f"{path}: no table of metrics; run make metrics-page")
    series = {name + suffix: "counter" for name, kind in types.items() if kind == "histogram"
              for suffix in ("_bucket", "_sum", "_count")}
    return types | series


def family_of(name):
    """The name in the table for the name of a series."""
    return re.sub(r"^(octet_\w+?)_(bucket|sum|count)$", r"\1", name)
