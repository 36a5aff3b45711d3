"""Open load: calls sent when they are due, not when others have ended, each with an id and an outcome."""
import collections
import threading
import time

import grpc

from stubs import octet_grpc, octet_pb2
from vectors import array_of

Outcome = collections.namedtuple("Outcome", "id sent_s end_s code details vectors")

# A machine too slow for the load gets less of it than was meant, instead of calls that wait for their deadline.
MAX_UNDER_WAY = 64


class OpenLoad:
    """Sends `calls_per_second` Embed calls over `channel` while it is entered; call n has text n modulo len(texts).

    Calls have the deadline and the retries of the channel's service config, no others. Times are time.monotonic().
    """

    def __init__(self, channel, calls_per_second, texts):
        self.stub = octet_grpc.TextEncoderStub(channel)
        self.interval_s = 1 / calls_per_second
        self.requests = [octet_pb2.EmbedRequest(texts=[text]) for text in texts]
        self.num_sent = 0
        self.outcomes = {}  # by id
        self.stopped = threading.Event()
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        start = time.monotonic()
        while not self.stopped.is_set():
            time.sleep(max(0, start + self.num_sent * self.interval_s - time.monotonic()))
            with self.changed:
                self.changed.wait_for(lambda: self.num_sent - len(self.outcomes) < MAX_UNDER_WAY)
            self._send(f"call-{self.num_sent:06d}")

    def _send(self, call_id):
        request = self.requests[self.num_sent % len(self.requests)]
        self.num_sent += 1
        sent = time.monotonic()
        call = self.stub.Embed.future(request, metadata=[("x-request-id", call_id)])
        call.add_done_callback(lambda done: self._end(call_id, sent, done))

    def _end(self, call_id, sent, call):
        ok = call.code() == grpc.StatusCode.OK
        outcome = Outcome(call_id, sent, time.monotonic(), call.code(), call.details(),
                          array_of(call.result()).tobytes() if ok else None)
        with self.changed:
            assert call_id not in self.outcomes, f"{call_id} has ended twice"
            self.outcomes[call_id] = outcome
            self.changed.notify_all()

    def wait_for(self, num_more):
        """Until so many more calls than now have ended."""
        with self.changed:
            goal = len(self.outcomes) + num_more
            self.changed.wait_for(lambda: len(self.outcomes) >= goal)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        """Sends no more, and waits for what is under way: the channel's deadline ends every call."""
        self.stopped.set()
        self.thread.join()
        with self.changed:
            self.changed.wait_for(lambda: len(self.outcomes) == self.num_sent)

    # What came of it.

    def failures(self):
        return [outcome for outcome in self.outcomes.values() if outcome.code != grpc.StatusCode.OK]

    def wrong_answers(self, expected):
        """Ids of calls whose vectors are not those that `expected` has for their text, bit for bit."""
        return [outcome.id for outcome in self.outcomes.values()
                if outcome.vectors != expected[int(outcome.id.split("-")[1]) % len(self.requests)]]

    def num_under_way(self, from_s, to_s):
        """Calls that were sent before the end of that time and not over at its start."""
        return sum(outcome.sent_s <= to_s and outcome.end_s >= from_s for outcome in self.outcomes.values())

    def describe(self, name, from_s, to_s):
        """One line about that time."""
        seconds = to_s - from_s
        ended = [outcome for outcome in self.outcomes.values() if from_s <= outcome.end_s < to_s]
        num_sent = sum(from_s <= outcome.sent_s < to_s for outcome in self.outcomes.values())
        ms = sorted(1e3 * (outcome.end_s - outcome.sent_s) for outcome in ended) or [0]
        return (f"{name:24} {seconds:5.1f} s  sent {num_sent / seconds:6.1f}/s  ended {len(ended) / seconds:6.1f}/s  "
                f"median {ms[len(ms) // 2]:6.1f} ms  p99 {ms[int(0.99 * len(ms))]:6.1f} ms  max {ms[-1]:6.1f} ms")
