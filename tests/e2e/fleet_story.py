"""What both ways of balancing must survive: under open load one replica of three is killed, then one is drained, so
that one serves alone; then both are replaced. And the account of it."""
import os
import sys
import time

from open_load import OpenLoad
from stubs import ROOT

sys.path.insert(0, os.path.join(ROOT, "deploy", "client"))
from channel import SERVICE_CONFIG, octet_channel  # noqa: E402

TEXTS = ["one text", "a second text that is longer", "three", "the fourth of these texts"]
CALLS_PER_SECOND = 250

KILLED, DRAINED, SURVIVOR = 0, 1, 2

# Of all calls, what each of three replicas may have had while all were up. A fair choice at random is within a few
# percent of a third; the rest is room for a process that a busy machine has kept waiting.
LEAST_SHARE, LARGEST_SHARE = 0.22, 0.45


def tell(fleet, target):
    """The story, with calls to `target` over the advised channel; the load, of which no call has failed."""
    expected = fleet.expected_vectors(TEXTS)
    with octet_channel(target) as channel, OpenLoad(channel, CALLS_PER_SECOND, TEXTS) as load:
        phases, before, after = kill_drain_replace(fleet, load, calls=500)
    print_story(load, phases, before, after)
    assert load.failures() == []
    assert load.wrong_answers(expected) == []
    check_shares(before)
    check_shares(after)
    check_account(fleet, load)
    return load


def kill_drain_replace(fleet, load, calls):
    """{phase: (from, to)}, and the shares before and after. `calls`: how many end in each phase at least."""
    marks = []

    def mark(name):
        marks.append((name, time.monotonic()))

    load.wait_for(calls // 5)  # connections are made
    start = fleet.counts()
    mark("three replicas")
    load.wait_for(calls)
    before = shares(start, fleet.counts())
    killed, drained = fleet.current[KILLED], fleet.current[DRAINED]
    mark("one killed")
    killed.kill()
    load.wait_for(calls // 2)
    mark("one killed, one draining")
    exit_code = drained.drain()
    mark("one alone")
    load.wait_for(calls // 2)
    mark("two coming back")
    fleet.replace(KILLED)
    fleet.replace(DRAINED)
    fleet.wait_for_traffic([KILLED, DRAINED])
    load.wait_for(calls // 5)
    start = fleet.counts()
    mark("three again")
    load.wait_for(calls)
    after = shares(start, fleet.counts())
    mark("end")
    assert exit_code == 0, "".join(drained.server.log[-20:])
    phases = {name: (start_s, end_s) for (name, start_s), (_, end_s) in zip(marks, marks[1:])}
    return phases, before, after


def shares(start, end):
    counts = [b - a for a, b in zip(start, end)]
    return [count / sum(counts) for count in counts]


def print_story(load, phases, before, after):
    print()
    for name, (start_s, end_s) in phases.items():
        print(load.describe(name, start_s, end_s))
    for name, values in (("before", before), ("after", after)):
        print(f"shares {name}: " + " ".join(f"{100 * share:.1f} %" for share in values))


def check_shares(values):
    assert all(LEAST_SHARE <= share <= LARGEST_SHARE for share in values), values


def check_account(fleet, load):
    """The calls that clients have answers of, against what the replicas say they have answered.

    Of a process that is up the count is exact. One that is gone has counted more than it last said by at most the calls
    that were under way after that; and of these it may have counted some whose answer was lost with it, so that another
    replica has counted them as well.
    """
    for replica in fleet.current.values():
        replica.scrape()
        assert replica.num_started == replica.num_ok, "a replica that is up has failed a call"
    counted = sum(replica.num_ok for replica in fleet.replicas)
    uncertain = sum(load.num_under_way(replica.scraped_s, replica.gone_s)
                    for replica in fleet.replicas if replica.gone_s is not None)
    print(f"{load.num_sent} calls, counted by replicas {counted}, under way when one was last heard of {uncertain}")
    assert abs(load.num_sent - counted) <= uncertain
