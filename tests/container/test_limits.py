"""Threads, memory and speed follow the container's limits."""
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


def test_a_quota_of_one_cpu_costs_no_speed_and_does_not_throttle(measured, model):
    """A server with a quota of one CPU beside one that has a CPU for its own, network and tokenizing included, and one
    whose only compute thread leaves those to another CPU; under load by turns, in many short rounds: a machine's speed
    changes from one second to the next."""
    limited = measured(limits=["--cpus", 1], model=model)
    one_cpu = measured(limits=["--cpuset-cpus", 0], model=model)
    one_thread = measured("--threads", 1, model=model)
    folder = group_folder(limited.pid)
    of_cpu, of_thread, periods, throttled = [], [], 0, 0
    for _ in range(ROUNDS):
        free = tokens_per_second(one_thread, MEASURED_SECONDS)
        before = read_cpu_stat(folder)
        under_quota = tokens_per_second(limited, MEASURED_SECONDS)
        after = read_cpu_stat(folder)
        of_cpu.append(under_quota / tokens_per_second(one_cpu, MEASURED_SECONDS))
        of_thread.append(under_quota / free)
        periods += after["nr_periods"] - before["nr_periods"]
        throttled += after["nr_throttled"] - before["nr_throttled"]
    for name, shares in (("one CPU's", of_cpu), ("one thread's, with network and tokenizing on another CPU", of_thread)):
        print(f"\n--cpus 1: tokens/s {statistics.median(shares):.3f} of {name} ({min(shares):.3f} to {max(shares):.3f})")
    print(f"{throttled} of {periods} periods throttled")
    assert statistics.median(of_cpu) >= MIN_SHARE
    assert statistics.median(of_thread) >= MIN_SHARE
    assert periods > ROUNDS * MEASURED_SECONDS * 5, "the server was idle: this has measured nothing"
    assert throttled <= MAX_SHARE_THROTTLED * periods
