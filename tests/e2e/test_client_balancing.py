"""Three octet processes and no proxy: the gRPC client balances, with the channel of deploy/client."""
from fleet import Fleet
from fleet_story import tell


def test_no_call_fails_when_replicas_go_and_come(tiny_model, tmp_path):
    # The health that the client watches says at once that a replica drains.
    with Fleet(3, {"tiny": tiny_model(0)}, str(tmp_path), lame_duck="2s") as fleet:
        tell(fleet, "ipv4:" + ",".join(fleet.addresses))
