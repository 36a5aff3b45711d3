"""The grace period is longer than what the server takes to drain, whatever the configuration says."""
import re

import pytest

import charts

FACTORS = {"": 1, "ms": 1, "s": 1000, "m": 60000, "h": 3600000}


def milliseconds(value):
    number, unit = re.fullmatch(r"(\d+)(\D*)", str(value)).groups()
    return int(number) * FACTORS[unit]


def server_default(key):
    """The default in the configuration's schema."""
    schema = (charts.ROOT / "proto" / "octet" / "config" / "v1" / "config.proto").read_text()
    return int(re.search(rf"{key} = \d+ \[default = (\d+)", schema).group(1))


def drain_ms(config):
    shutdown = config.get("shutdown") or {}
    return sum(milliseconds(shutdown.get(key, server_default(key))) for key in ("lame_duck_ms", "drain_timeout_ms"))


def test_every_value_set_leaves_time_to_drain(value_set):
    manifests = charts.manifests(value_set)
    assert manifests.pod["terminationGracePeriodSeconds"] * 1000 >= drain_ms(manifests.config) + 10_000


@pytest.mark.parametrize("shutdown, grace", [
    ({"lame_duck_ms": "10s", "drain_timeout_ms": "30s"}, 60),
    ({"lame_duck_ms": 0, "drain_timeout_ms": "250ms"}, 21),
    ({"lame_duck_ms": 1500, "drain_timeout_ms": 600000}, 622),
    ({"lame_duck_ms": "1m", "drain_timeout_ms": "1h"}, 3680),
])
def test_grace_follows_the_configuration(shutdown, grace):
    manifests = charts.manifests(values={"config.shutdown": shutdown})
    assert manifests.pod["terminationGracePeriodSeconds"] == grace


def test_grace_takes_the_servers_defaults_for_keys_left_out():
    manifests = charts.manifests(values={"config.shutdown": None})
    expected = (server_default("lame_duck_ms") + server_default("drain_timeout_ms")) // 1000 + 20
    assert manifests.pod["terminationGracePeriodSeconds"] == expected


def test_a_grace_that_is_too_short_is_refused():
    assert "terminationGracePeriodSeconds is 40, but config.shutdown lets draining take 40000 ms" in \
        charts.refusal({"terminationGracePeriodSeconds": 40})
    assert charts.manifests(values={"terminationGracePeriodSeconds": 41}).pod["terminationGracePeriodSeconds"] == 41


def test_a_duration_that_the_server_would_refuse_is_refused():
    said = charts.refusal({"config.shutdown": {"lame_duck_ms": "10 seconds"}})
    assert 'config.shutdown.lame_duck_ms: want a whole number with ms, s, m or h, such as 30s; got "10 seconds"' in said
