"""Dashboards: what is committed is what the builders make, keeps the lint's rules, and every query of every panel gives
a plausible answer that follows the load, from a real Prometheus that scrapes a real octet."""
import copy
import json
import math
import os
import subprocess
import sys
import threading

import pytest

from dashboard_load import DashboardLoad
from octet_server import OctetServer, run_octet
from programs import find_program
from prometheus_server import PrometheusServer
from stubs import ROOT

TOOLS = os.path.join(ROOT, "tools", "dashboards")
sys.path.insert(0, TOOLS)

import lint  # noqa: E402
import metrics_page  # noqa: E402
import promql  # noqa: E402

FOLDER = os.path.join(ROOT, "deploy", "grafana")
NAMES = ["octet-overview", "octet-models", "octet-capacity"]
TYPES = metrics_page.read_metric_types(os.path.join(ROOT, "docs", "metrics.md"))
MONITORING_PAGE = os.path.join(ROOT, "docs", "monitoring.md")

# What stays as it was at the start of a process: queries of nothing else need not change under load.
FIXED = {"octet_build_info", "octet_model_info", "octet_model_loaded", "octet_model_load_seconds", "octet_ready",
         "octet_threads", "octet_cpu_limit_cores", "octet_memory_limit_bytes", "octet_queue_depth_limit",
         "octet_queue_tokens_limit", "octet_queue_pending_limit_bytes", "octet_batch_tokens_limit"}
# What must not happen here, or needs a CPU quota.
IDLE = {"octet_worker_faults_total", "octet_computed_after_expiry_total", "octet_non_finite_outputs_total",
        "octet_cpu_throttled_seconds_total", "octet_cpu_throttled_periods_total", "octet_cpu_periods_total"}
# Between which values an answer in a unit is plausible. CPU time and scrape time are read one after the other, so that
# use of the CPU may come out above its limit for a moment.
BOUNDS = {"percentunit": (0, 1 + 1e-9), "s": (0, 600), "reqps": (0, 1e5), "ops": (0, 1e7), "bytes": (1e6, 1e15),
          "none": (0, 1e7)}
CPU_BOUNDS = (0, 2)


def load(name):
    with open(os.path.join(FOLDER, name + ".json"), encoding="utf-8") as f:
        return json.load(f)


def queries(dashboard):
    """(panel, expression) of every query."""
    return [(panel, target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]


ALL_QUERIES = [(f"{name}: {panel['title']}: {expr}", panel, expr)
               for name in NAMES for panel, expr in queries(load(name))]


def substituted(expr, namespace="shop", instance=".*", model=".*"):
    """As Grafana sends it: All is `.*`."""
    for variable, value in {"$__rate_interval": "10s", "$namespace": namespace, "$instance": instance,
                            "$model": model}.items():
        expr = expr.replace(variable, value)
    assert "$" not in expr, expr
    return expr


# What is committed.

def test_files_are_what_the_builders_make(tmp_path):
    done = subprocess.run([sys.executable, "-B", os.path.join(TOOLS, "write_dashboards.py"), str(tmp_path)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(tmp_path)) == sorted(os.listdir(FOLDER)) == sorted(name + ".json" for name in NAMES)
    for name in NAMES:
        with open(os.path.join(FOLDER, name + ".json"), "rb") as f:
            assert f.read() == (tmp_path / (name + ".json")).read_bytes(), f"{name}.json is stale; run: make dashboards"


@pytest.mark.parametrize("name", NAMES)
def test_lint_finds_nothing(name):
    assert lint.problems(load(name), TYPES) == []


def test_dashboards_have_ids_of_their_own():
    boards = [load(name) for name in NAMES]
    assert len({board["uid"] for board in boards}) == len({board["title"] for board in boards}) == len(NAMES)


def documented_as_not_shown():
    with open(MONITORING_PAGE, encoding="utf-8") as f:
        section = f.read().split("\n## Not on a panel\n", 1)[1].split("\n## ", 1)[0]
    return promql.metric_names(section)


def test_every_metric_is_on_a_panel_or_documented_as_not():
    shown = {metrics_page.family_of(metric) for _, _, expr in ALL_QUERIES for metric in promql.metric_names(expr)}
    exported = {metrics_page.family_of(metric) for metric in TYPES}
    assert exported - shown == documented_as_not_shown()


def _bad_expr(expr):
    return lambda board: board["panels"][1]["targets"][0].update(expr=expr)


ONE = 'namespace=~"$namespace",instance=~"$instance"'


@pytest.mark.parametrize("damage,complaint", [
    (_bad_expr(f"octet_ready{{{ONE}}} or vector(0)"), "or: hides"),
    (_bad_expr(f"octet_reddy{{{ONE}}}"), "octet_reddy: octet exports no such metric"),
    (_bad_expr(f"rate(octet_queue_depth{{{ONE}}}[5m])"), "rate(octet_queue_depth): it is a gauge"),
    (_bad_expr(f"increase(octet_ready{{{ONE}}}[5m])"), "increase(octet_ready): it is a gauge"),
    (_bad_expr(f"histogram_quantile(0.9, rate(octet_batch_size_bucket{{{ONE}}}[5m]))"), "want sum by (le"),
    (_bad_expr(f"histogram_quantile(0.9, sum by (model) (rate(octet_batch_size_bucket{{{ONE}}}[5m])))"),
     "want sum by (le"),
    (_bad_expr("sum(octet_ready)"), "every metric must be narrowed by $namespace"),
    (_bad_expr('sum(octet_ready{namespace=~"$namespace"})'), "every metric must be narrowed by $instance"),
    (lambda board: board["panels"][1].update(title=""), "no title"),
    (lambda board: board["panels"][1].update(description=""), "no description"),
    (lambda board: board["panels"][1].update(targets=[]), "no query"),
    (lambda board: board["panels"][1]["fieldConfig"]["defaults"].pop("unit"), "no unit"),
    (lambda board: board["panels"][1].update(datasource={"type": "prometheus", "uid": "x"}), "must be ${datasource}"),
    (lambda board: board["panels"][1]["targets"][0].pop("datasource"), "A: the data source must be ${datasource}"),
    (lambda board: board["panels"][1].update(id=board["panels"][2]["id"]), "ids of panels are not unique"),
    (lambda board: board["panels"][1]["gridPos"].update(w=5), "lies on Ready replicas"),
    (lambda board: board["panels"][1]["gridPos"].update(w=25), "want 0 to 24"),
    (lambda board: board["templating"]["list"].pop(), "variables must be"),
    (lambda board: board.update(links=[]), "no link"),
])
def test_lint_refuses(damage, complaint):
    board = copy.deepcopy(load("octet-overview"))
    damage(board)
    found = lint.problems(board, TYPES)
    assert any(complaint in line for line in found), found


# Against a server under load.

CONFIG = """
models:
  - {{name: embed, directory: {static}, shadow: {{share: 1, directory: {floats}, max_queue_texts: 16}}}}
  - {{name: topics, directory: {topics}, shadow: {{share: 1, max_queue_texts: 16}}}}
limits:
  max_texts_per_call: 32
  max_queue_texts: 64
  max_batch_delay_ms: 200  # keeps texts in the queue long enough for scrapes to see them
"""


@pytest.fixture(scope="module")
def loaded(tiny_model, tmp_path_factory):
    """(the server, its Prometheus): an embedding model with fixed ranges and a classification model, shadows on."""
    find_program("prometheus")
    tmp_path = tmp_path_factory.mktemp("dashboards")
    floats, static = tiny_model(0), tmp_path / "static"
    (tmp_path / "calibration.txt").write_text("a\n" * 40, encoding="utf-8")
    done = run_octet("quantize", floats, "--out", static, "--method", "static", "--calibration",
                     tmp_path / "calibration.txt")
    assert done.returncode == 0, done.stderr
    config = CONFIG.format(static=static, floats=floats, topics=tiny_model(3))
    with OctetServer(models={}, config=config, tmp_path=str(tmp_path)) as server:
        with PrometheusServer(server.metrics_address, str(tmp_path), "1s", {"namespace": "shop"}) as prometheus:
            yield server, prometheus


def finite(answer):
    """Without NaN, which Grafana draws as nothing. Infinity is a mistake of the query."""
    assert not any(math.isinf(value) for value in answer.values())
    return {labels: value for labels, value in answer.items() if not math.isnan(value)}


def check_plausible(name, panel, expr, answer):
    low, high = BOUNDS[panel["fieldConfig"]["defaults"]["unit"]]
    if "process_cpu_seconds_total" in expr and high <= CPU_BOUNDS[1]:
        low, high = CPU_BOUNDS
    for labels, value in answer.items():
        assert low <= value <= high, f"{name}: {value} of {dict(labels)}, want {low} to {high}"


def may_stay(expr):
    return promql.metric_names(expr) <= FIXED | IDLE and "time()" not in expr


def ask_all(prometheus):
    return {name: finite(prometheus.query(substituted(expr))) for name, _, expr in ALL_QUERIES}


def test_every_query_answers_plausibly_and_follows_the_load(loaded):
    server, prometheus = loaded
    pause = threading.Event()
    while not prometheus.query("count_over_time(octet_ready[10s]) >= 3"):  # without two there are no rates
        pause.wait(0.2)
    before = ask_all(prometheus)
    waiting = {name for name, _, _ in ALL_QUERIES}
    with DashboardLoad(server):
        for _ in range(90):  # more than three times what it takes
            pause.wait(1)
            now = ask_all(prometheus)
            for name, panel, expr in ALL_QUERIES:
                check_plausible(name, panel, expr, now[name])
                if now[name] and (may_stay(expr) or now[name] != before[name]):
                    waiting.discard(name)
            if not waiting:
                break
    assert not waiting, "empty, or as before the load:\n" + "\n".join(sorted(waiting))


def test_panels_by_model_and_code_tell_them_apart(loaded):
    _, prometheus = loaded
    by = {panel["title"]: expr for panel, expr in queries(load("octet-models"))}
    models = {dict(labels)["model"] for labels in prometheus.query(substituted(by["Texts"]))}
    assert models == {"embed", "topics", "unknown"}
    only = prometheus.query(substituted(by["Texts"], model="embed"))
    assert {dict(labels)["model"] for labels in only} == {"embed"}
    by = {panel["title"]: expr for panel, expr in queries(load("octet-overview"))}
    codes = {dict(labels)["code"] for labels in prometheus.query(substituted(by["Calls that failed, by code"]))}
    assert codes >= {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"}
    # Of a call whose time is up the server hears by its own clock or by the client's reset, whichever comes first.
    assert codes & {"DEADLINE_EXCEEDED", "CANCELLED"}


@pytest.mark.parametrize("variable", ["namespace", "instance"])
def test_queries_see_the_chosen_replicas_only(loaded, variable):
    _, prometheus = loaded
    for name, _, expr in ALL_QUERIES:
        assert prometheus.query(substituted(expr, **{variable: "elsewhere"})) == {}, name


def test_variables_offer_what_is_there(loaded):
    server, prometheus = loaded
    offers = {}
    for variable in load("octet-overview")["templating"]["list"][1:]:
        metric, label = variable["query"]["query"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
        offers[variable["name"]] = prometheus.label_values(substituted(metric), label)
    assert offers == {"namespace": ["shop"], "model": ["embed", "topics", "unknown"],
                      "instance": [server.metrics_address]}
