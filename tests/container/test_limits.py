"""Threads, memory and speed follow the container's limits."""
import json
import os
import re
import statistics

import pytest
from control_groups import group_folder, read_cpu_stat
from engine import Container
from load import tokens_per_second

MIB = 1 << 20
MEASURED_SECONDS = 3
ROUNDS = 12
ENGINE_ROUNDS = 5
MIN_SHARE = 0.90
MAX_SHARE_THROTTLED = 0.02


@pytest.mark.parametrize("limits, num_threads", [
    ([], os.cpu_count()),
    (["--cpus", 1], 1),
    (["--cpus", 0.5], 1),
    (["--cpus", 1.5], 2),
    (["--cpuset-cpus", 0], 1),
    (["--cpus", 1.5, "--cpuset-cpus", 0], 1),
])
def test_threads_follow_quota_and_cpuset(model, limits, num_threads):
    if num_threads > os.cpu_count():
        pytest.skip(f"SKIPPED: {num_threads} CPUs needed, {os.cpu_count()} here")
    with Container(limits=limits, model=model) as container:
        container.wait_until_ready()
        assert container.num_threads == num_threads


def budget(output):
    """{part: MiB} of the line "memory: weights 23 + ... = 250 MiB"."""
    line = re.search(r"memory: (?:needs )?(.*?) = (\d+) MiB", output)
    parts = {name: int(mib) for name, mib in (part.rsplit(" ", 1) for part in line[1].split(" + "))}
    return parts, int(line[2])


@pytest.mark.parametrize("limit_mib, connections_mib", [(1024, 128), (4096, 409)])
def test_memory_budget_follows_the_limit(model, limit_mib, connections_mib):
    with Container(limits=["--memory", f"{limit_mib}m"], model=model) as container:
        container.wait_until_ready()
        parts, total = budget(container.output())
        assert abs(parts["connections"] - connections_mib) <= 1
        assert total <= 0.9 * limit_mib


def test_refuses_a_model_that_does_not_fit(model):
    with Container(limits=["--memory", "128m"], model=model) as container:
        assert container.wait() in (2, 3)
        lines = container.output().splitlines()
        assert len(lines) == 1
        _, total = budget(lines[0])
        assert total > 115 and "limit 115 MiB (90 % of the container's 128 MiB)" in lines[0]


def bench_tokens_per_second(container, *threads):
    """Of the engine alone, in the container's control groups; its server is idle."""
    code, output = container.execute("octet", "bench", "--model", "/models/default", "--lengths", "128", "--batches", "8",
                                     "--seconds", "2", "--json", *threads)
    assert code == 0, output
    return json.loads(output)["cases"][0]["tokens_per_second"]


class QuotaUse:
    """Periods of a container's quota, those in which it was throttled, while inside."""

    def __init__(self, container):
        self.folder = group_folder(container.pid)
        self.periods = self.throttled = 0

    def __enter__(self):
        self.before = read_cpu_stat(self.folder)

    def __exit__(self, *_):
        after = read_cpu_stat(self.folder)
        self.periods += after["nr_periods"] - self.before["nr_periods"]
        self.throttled += after["nr_throttled"] - self.before["nr_throttled"]


def median_share(name, shares):
    print(f"\n--cpus 1: tokens/s {statistics.median(shares):.3f} of {name} ({min(shares):.3f} to {max(shares):.3f})")
    return statistics.median(shares)


def test_the_engine_under_a_quota_of_one_cpu_is_as_fast_as_one_thread(measured, model):
    limited = measured(limits=["--cpus", 1], model=model)
    free = measured(model=model)
    shares = [bench_tokens_per_second(limited) / bench_tokens_per_second(free, "--threads", "1")
              for _ in range(ENGINE_ROUNDS)]
    assert median_share("one free thread's, engine alone", shares) >= MIN_SHARE


def test_a_server_under_a_quota_of_one_cpu_is_as_fast_as_one_that_has_a_cpu_and_does_not_throttle(measured, model):
    """Network and tokenizing are in the CPU's time on both sides. One whose only compute thread leaves those to another
    CPU uses more than one, and is shown for comparison only. Under load by turns, in many short rounds: a machine's
    speed changes from one second to the next."""
    limited = measured(limits=["--cpus", 1], model=model)
    one_cpu = measured(limits=["--cpuset-cpus", 0], model=model)
    one_thread = measured("--threads", 1, model=model)
    quota = QuotaUse(limited)
    of_cpu, of_thread = [], []
    for _ in range(ROUNDS):
        free = tokens_per_second(one_thread, MEASURED_SECONDS)
        with quota:
            under_quota = tokens_per_second(limited, MEASURED_SECONDS)
        of_cpu.append(under_quota / tokens_per_second(one_cpu, MEASURED_SECONDS))
        of_thread.append(under_quota / free)
    median_share("one thread's with network and tokenizing on another CPU", of_thread)
    print(f"{quota.throttled} of {quota.periods} periods throttled")
    assert median_share("one CPU's", of_cpu) >= MIN_SHARE
    assert quota.periods > ROUNDS * MEASURED_SECONDS * 5, "the server was idle: this has measured nothing"
    assert quota.throttled <= MAX_SHARE_THROTTLED * quota.periods
