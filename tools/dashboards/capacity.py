"""octet / capacity: how much more the replicas can take, and which of them is the bottleneck."""
import frame
from panels import Query, listing, series, single
from queries import INFERENCE, REQUESTS, divide, largest, quantile, rate, select, total

BY_INSTANCE = ("instance",)
CPU = "process_cpu_seconds_total"
# Engines that are busy for so much of the time keep waiting short; see docs/monitoring.md, "How many replicas".
TARGET_USE = 0.7


def _lines(expr):
    return [Query(expr, "{{instance}}")]


def _summary():
    use = divide(rate(CPU), total("octet_cpu_limit_cores"))
    return [
        single("Replicas", "none", "Processes that answer scrapes. Fewer than you run: runbook OctetDown.",
               f"count({select('octet_build_info')})", red_below=1),
        single("Cores", "none", "What all replicas may use together.", total("octet_cpu_limit_cores")),
        single("CPU in use", "percentunit",
               f"Of these cores. Red: over {TARGET_USE:.0%} over a long time; add replicas.",
               use, red=TARGET_USE),
        single("Cores wanted", "none", f"For the load of this moment at {TARGET_USE:.0%} use. More than there are: add "
               "replicas.", f"{rate(CPU)} / {TARGET_USE}"),
        single("Tokens per core second", "none", "What a core second buys. Falls: texts are longer (attention), the "
               "quota throttles, or a neighbour takes the caches.", divide(rate("octet_tokens_total"), rate(CPU))),
        single("Refused", "percentunit", "Share of calls turned away because a queue was full. Red: over 0.1 %; add "
               "replicas now.", divide(rate("octet_rejected_total", 'reason="queue_full"'),
                                       rate("octet_calls_started_total")), red=0.001),
    ]


def _load():
    return [
        series("Tokens by replica", "ops", "The work each does. Uneven: clients hold one connection each; use "
               "round_robin or a proxy that balances calls, or lower grpc.max_connection_age_ms.",
               _lines(rate("octet_tokens_total", by=BY_INSTANCE))),
        series("Calls by replica", "reqps",
               "As above in calls. Even calls with uneven tokens: callers differ in length.",
               _lines(rate(REQUESTS + "_count", by=BY_INSTANCE))),
        series("Calls that arrived, by method", "reqps", "Demand, refused calls included. Above the answered calls for "
               "long: replicas are drowning, add some.",
               [Query(rate("octet_calls_started_total", by=("method",)), "{{method}}")]),
        series("p99 by replica", "s", "One replica far above the others: its node is busy or throttled; move it.",
               _lines(quantile(0.99, REQUESTS, 'code="OK"', by=BY_INSTANCE)), red=0.1),
        series("p99 of inference by replica", "s", "The engine alone: differences here are differences of machines or "
               "of text lengths, not of load.", _lines(quantile(0.99, INFERENCE, by=BY_INSTANCE))),
        series("In flight", "none", "By replica. Bounded by grpc.posted_calls for each method; a plateau there means "
               "that more wait in the transport: add replicas.",
               _lines(total("octet_inflight_requests", by=BY_INSTANCE))),
    ]


def _fill(use, limit):
    return _lines(divide(largest(use, by=BY_INSTANCE), largest(limit, by=BY_INSTANCE)))


def _saturation():
    return [
        series("Queue fill, texts", "percentunit", "Against limits.max_queue_texts. Red: over 80 %, calls are about to "
               "be refused; add replicas.", _fill("octet_queue_depth", "octet_queue_depth_limit"), red=0.8),
        series("Queue fill, tokens", "percentunit", "Against limits.max_queue_tokens. Red: over 80 %; long texts fill "
               "it; add replicas.", _fill("octet_queue_tokens", "octet_queue_tokens_limit"), red=0.8),
        series("Bytes before tokenizing", "percentunit", "Against limits.max_pending_bytes. Red: over 80 %, the "
               "tokenizer is behind; raise engine.tokenizer_threads or add replicas.",
               _fill("octet_queue_pending_bytes", "octet_queue_pending_limit_bytes"), red=0.8),
        series("Age of the oldest text", "s", "How long the next call will wait at least. Red: over half a second; "
               "runbook OctetQueueSaturated.",
               _lines(largest("octet_queue_oldest_age_seconds", by=BY_INSTANCE)), red=0.5),
        series("Refused, queue full", "reqps", "By replica. Red: any; callers should honour the retry hint, and there "
               "should be more replicas.",
               _lines(rate("octet_rejected_total", 'reason="queue_full"', by=BY_INSTANCE)), red=0.1),
        series("Given up while waiting", "reqps", "Deadlines that passed and clients that left in the queue. Red: over "
               "one a second; waiting is longer than callers allow.",
               [Query(rate("octet_expired_in_queue_total"), "deadline passed"),
                Query(rate("octet_cancelled_total"), "client left")], red=1),
    ]


def _resources():
    throttled = rate("octet_cpu_throttled_periods_total", by=BY_INSTANCE)
    # clamp_min: without a quota there are no periods, and 0 / 0 would be no number.
    periods = f"clamp_min({rate('octet_cpu_periods_total', by=BY_INSTANCE)}, 0.1)"
    return [
        series("CPU by replica", "percentunit",
               "Of its limit. All near 100 %: more replicas; one of them: uneven load.",
               _lines(divide(rate(CPU, by=BY_INSTANCE), total("octet_cpu_limit_cores", by=BY_INSTANCE))), red=0.95),
        series("Periods throttled", "percentunit", "Quota periods that ended with the quota used up. Red: over 25 %; "
               "runbook OctetCpuThrottled.", _lines(divide(throttled, periods)), red=0.25),
        series("CPU limit", "none", "Cores by replica and compute threads. They should agree; different limits between "
               "replicas make them uneven.",
               [Query(total("octet_cpu_limit_cores", by=BY_INSTANCE), "{{instance}}"),
                Query(total("octet_threads", by=BY_INSTANCE), "threads {{instance}}")]),
        series("Resident memory", "bytes", "By replica. Settles after the first minutes; steady growth without end is "
               "a leak: restart the replica and report it.",
               _lines(total("process_resident_memory_bytes", by=BY_INSTANCE))),
        series("Memory limit", "bytes", "What the container may use. The start refuses a configuration that needs more "
               "than 90 % of it.", _lines(total("octet_memory_limit_bytes", by=BY_INSTANCE))),
        series("Age of the process", "s", "Time since start. A saw-tooth: it keeps restarting; runbook "
               "OctetReadinessFlapping.",
               _lines(f"time() - {largest('process_start_time_seconds', by=BY_INSTANCE)}")),
        listing("Builds", "Version, commit and instruction set by replica. Different instruction sets have different "
                "speed: avx512_vnni is far ahead of avx2 in int8.", select("octet_build_info")),
    ]


def dashboard():
    return frame.build(
        "octet-capacity", "octet / capacity", "How much more the replicas can take, and what is scarce first.",
        [("Summary", _summary()), ("Load", _load()), ("Saturation", _saturation()), ("Resources", _resources())])
