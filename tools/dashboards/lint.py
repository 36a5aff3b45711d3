"""What a dashboard of octet must be; there is no Grafana here that would say so. problems() gives one line for each."""
import re

from promql import arguments, metric_names, metric_uses, without_strings

GRID_COLUMNS = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
VARIABLES = ["datasource", "namespace", "model", "instance"]
_SUM_BY_LE = re.compile(r"^\s*[0-9.]+\s*,\s*sum by \(le\b")


def _query_problems(expr, types):
    bare = without_strings(expr)
    if re.search(r"\bor\b", bare):
        yield "or: hides that a metric is missing"
    for name in metric_names(expr) - set(types):
        yield f"{name}: octet exports no such metric"
    for function in ("rate", "increase", "irate"):
        for argument in arguments(bare, function):
            for name in metric_names(argument):
                if types.get(name, "counter") != "counter":
                    yield f"{function}({name}): it is a {types[name]}, not a counter"
    for argument in arguments(bare, "histogram_quantile"):
        if not _SUM_BY_LE.match(argument):
            yield "histogram_quantile: want sum by (le, ...), so that replicas add up"
    for variable in ("$namespace", "$instance"):
        if expr.count(f'=~"{variable}"') != len(metric_uses(expr)):
            yield f"every metric must be narrowed by {variable}"


def _panel_problems(panel, types):
    for key in ("title", "description"):
        if not panel.get(key):
            yield f"no {key}"
    if not panel["fieldConfig"]["defaults"].get("unit"):
        yield "no unit"
    if panel.get("datasource") != SOURCE:
        yield "the data source must be ${datasource}"
    if not panel.get("targets"):
        yield "no query"
    for target in panel.get("targets", []):
        if target.get("datasource") != SOURCE:
            yield f"{target['refId']}: the data source must be ${{datasource}}"
        yield from _query_problems(target["expr"], types)


def _cells(panel):
    at = panel["gridPos"]
    return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}


def _layout_problems(panels):
    taken = {}
    for panel in panels:
        at = panel["gridPos"]
        if at["x"] < 0 or at["x"] + at["w"] > GRID_COLUMNS:
            yield f"{panel['title']}: columns {at['x']} to {at['x'] + at['w']}, want 0 to {GRID_COLUMNS}"
        if others := {taken[cell] for cell in _cells(panel) if cell in taken}:
            yield f"{panel['title']}: lies on {', '.join(sorted(others))}"
        taken.update(dict.fromkeys(_cells(panel), panel["title"]))


def problems(dashboard, types):
    """`types`: {metric: type} of what octet exports (metrics_page.read_metric_types)."""
    found = []
    panels = dashboard["panels"]
    ids = [panel["id"] for panel in panels]
    if len(set(ids)) != len(ids) or None in ids:
        found.append("ids of panels are not unique")
    if [variable["name"] for variable in dashboard["templating"]["list"]] != VARIABLES:
        found.append(f"variables must be {', '.join(VARIABLES)}")
    if not dashboard["links"]:
        found.append("no link to the other dashboards")
    found += _layout_problems(panels)
    for panel in panels:
        if panel["type"] != "row":
            found += [f"{panel.get('title', panel['id'])}: {line}" for line in _panel_problems(panel, types)]
    return [f"{dashboard['uid']}: {line}" for line in found]
