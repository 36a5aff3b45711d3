"""Several octet processes with the same model, of which one is killed, one drained, and both are replaced."""
import http.client
import os
import signal
import threading
import time

import octet_server
from octet_server import OctetServer

METHOD = "octet.v1.TextEncoder/Embed"


def fleet_models(tiny_model):
    """{name: directory} that every replica serves: a tiny model, so that three fit beside other tests; on a quiet machine
    OCTET_TEST_FLEET=default takes the default one."""
    return {"minilm": octet_server.MODEL} if os.environ.get("OCTET_TEST_FLEET") == "default" else {"tiny": tiny_model(0)}


class Replica:
    """One process, and what it last said of itself while it could."""

    def __init__(self, fleet, place, **options):
        self.place = place
        self.server = OctetServer("--threads", 1, config=fleet.config, models=fleet.models, tmp_path=fleet.tmp_path,
                                  **options)
        self.scraped_s = self.gone_s = None
        self.num_started = self.num_ok = 0
        self.scrape()

    def scrape(self):
        """Reads its counters; the calls answered so far."""
        before = time.monotonic()
        samples = self.server.metrics()
        self.scraped_s = before
        self.num_started = int(samples.sum("octet_calls_started_total", method=METHOD))
        self.num_ok = int(samples.sum("octet_request_duration_seconds_count", method=METHOD, code="OK"))
        return self.num_ok

    def kill(self):
        self.scrape()
        self.server.signal(signal.SIGKILL)
        self.server.wait()
        self.gone_s = time.monotonic()

    def drain(self):
        """SIGTERM, and reads its metrics to its end. The exit code."""
        pause = threading.Event()
        self.server.signal(signal.SIGTERM)
        while self.server.alive():
            try:
                self.scrape()
            except (OSError, http.client.HTTPException):
                break  # its metrics port has gone: it is about to end
            pause.wait(0.02)
        code = self.server.wait()
        self.gone_s = time.monotonic()
        return code


class Fleet:
    """`num` replicas on ports of their own. A place is an address: a new process takes that of one that has gone."""

    def __init__(self, num, models, tmp_path, lame_duck="0s"):
        self.models, self.tmp_path = models, tmp_path
        # Connections are asked to move on every two seconds, so that this happens under every test's load.
        self.config = f"shutdown:\n  lame_duck_ms: {lame_duck}\ngrpc:\n  max_connection_age_ms: 2s\n"
        self.replicas = []  # every process there ever was
        self.current = {}
        try:
            for place in range(num):
                self._start(place)
        except BaseException:
            self._kill_all()
            raise
        self.addresses = [self.current[place].server.grpc_address for place in range(num)]

    def _start(self, place, **options):
        self.current[place] = Replica(self, place, **options)
        self.replicas.append(self.current[place])

    def replace(self, place):
        self._start(place, grpc_address=self.addresses[place])

    def expected_vectors(self, texts):
        """The bytes of each text's vector, from a process that is not of the fleet and counts for nothing there."""
        with OctetServer("--threads", 1, models=self.models) as server:
            return [embedding.values for embedding in server.embed(texts).embeddings]

    def counts(self):
        """Calls answered by each process that is up, in the order of the places."""
        return [self.current[place].scrape() for place in sorted(self.current)]

    def wait_for_traffic(self, places):
        """Until the processes now in these places have answered calls."""
        pause = threading.Event()
        while not all(self.current[place].scrape() > 0 for place in places):
            pause.wait(0.02)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        """Every process that is up must have one outcome for each of its calls. Then they are killed: how one ends well
        is seen where it is drained."""
        try:
            for replica in self.current.values():
                if kind is None:
                    replica.server.check_every_call_has_one_outcome()
        finally:
            self._kill_all()

    def _kill_all(self):
        for replica in self.replicas:
            replica.server.process.kill()
            replica.server.process.wait()
