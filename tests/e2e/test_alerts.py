"""Alert rules: promtool's checks and unit tests, cases for each alert, metrics that exist, and runbook sections."""
import glob
import os
import re
import subprocess
import sys

import pytest

from programs import find_program
from stubs import ROOT

sys.path.insert(0, os.path.join(ROOT, "tools", "dashboards"))

import metrics_page  # noqa: E402
import promql  # noqa: E402

RULES = sorted(glob.glob(os.path.join(ROOT, "deploy", "prometheus", "*.rules.yml")))
TESTS = sorted(glob.glob(os.path.join(ROOT, "tests", "prometheus", "*.rules_test.yml")))


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def alerts():
    """{name: [the rule's text]}; a name may have several rules."""
    found = {}
    for path in RULES:
        for part in read(path).split("- alert: ")[1:]:
            name, text = re.split(r"\n", part, maxsplit=1)
            found.setdefault(name, []).append(re.split(r"\n\s*- (?:record|name): ", text)[0])
    return found


def promtool(*words):
    done = subprocess.run([find_program("promtool"), *words], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", RULES, ids=os.path.basename)
def test_promtool_accepts(path):
    promtool("check", "rules", path)


@pytest.mark.parametrize("path", TESTS, ids=os.path.basename)
def test_unit_tests_of_promtool(path):
    promtool("test", "rules", path)


def test_every_alert_is_seen_to_fire_and_not_to_fire():
    cases = "\n".join(read(path) for path in TESTS)
    for name in alerts():
        assert re.search(rf"alertname: {name}\n\s*exp_alerts:\n", cases), f"{name}: no case in which it fires"
        assert re.search(rf"alertname: {name}\n\s*exp_alerts: \[\]", cases), f"{name}: no case in which it does not"


def test_rules_ask_for_metrics_that_are_there():
    exported = set(metrics_page.read_metric_types(os.path.join(ROOT, "docs", "metrics.md")))
    for path in RULES:
        rules = "\n".join(line for line in read(path).splitlines() if not line.lstrip().startswith("#"))
        # Names with a colon before them are recorded by the rules themselves.
        asked = {name for name in promql.metric_names(rules) if not re.search(rf":{name}\b", rules)}
        assert asked and asked <= exported, asked - exported


@pytest.mark.parametrize("name,rule", [(name, rule) for name, rules in alerts().items() for rule in rules])
def test_alerts_say_what_they_must(name, rule):
    assert re.search(r"\n\s*severity: (page|ticket)\n", rule)
    for annotation in ("summary: ", "description: "):
        assert re.search(rf"\n\s*{annotation}\S", rule), annotation
    assert re.search(rf"\n\s*runbook_url: docs/runbook\.md#{name.lower()}\s", rule + "\n")


def test_the_runbook_has_a_full_section_for_each_alert_and_no_other():
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", read("docs", "runbook.md"), re.MULTILINE | re.DOTALL))
    assert set(sections) == set(alerts())
    for name, text in sections.items():
        for part in ("**Means.**", "**Users feel**", "**First three commands**", "**Causes", "**Escalate**"):
            assert part in text, f"{name}: no {part}"
        commands = re.findall(r"^    \S", text, re.MULTILINE)
        assert len(commands) == 3, f"{name}: {len(commands)} commands"
    links = set(re.findall(r"\]\(#(\w+)\)", "".join(sections.values())))
    assert links <= {name.lower() for name in sections}


def test_panels_name_alerts_that_exist():
    text = "".join(read("deploy", "grafana", name) for name in os.listdir(os.path.join(ROOT, "deploy", "grafana")))
    named = set(re.findall(r"\bOctet[A-Z]\w+", text))
    assert named and named <= set(alerts())
