"""Three octet processes and no proxy: the gRPC client balances, with the channel of deploy/client."""
import os
import re

from fleet import Fleet, fleet_models
from fleet_story import SERVICE_CONFIG, tell
from stubs import ROOT


def test_no_call_fails_when_replicas_go_and_come(tiny_model, tmp_path):
    # The health that the client watches says at once that a replica drains.
    with Fleet(3, fleet_models(tiny_model), str(tmp_path), lame_duck="2s") as fleet:
        tell(fleet, "ipv4:" + ",".join(fleet.addresses))


def test_the_page_shows_the_service_config_that_is_tested():
    with open(os.path.join(ROOT, "docs", "scaling.md"), encoding="utf-8") as f:
        (shown,) = re.findall(r"```json\n(.*?)```", f.read(), re.DOTALL)
    assert shown == SERVICE_CONFIG.read_text(encoding="utf-8")
