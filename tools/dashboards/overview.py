"""octet / overview: all replicas, first what callers see, then why."""
import frame
from panels import Query, heat, listing, series, single
from queries import (INFERENCE, MODEL, QUEUE, REQUESTS, SERVER_CODES, TOKENIZE, buckets, divide, largest, mean,
                     quantile, rate, select, server_error_ratio, total)

CALLS = REQUESTS + "_count"


def _summary():
    return [
        single("Ready replicas", "none", "Replicas that take calls. Red: none does; runbook OctetDown and "
               "OctetReadinessFlapping.", total("octet_ready"), red_below=1),
        single("Calls", "reqps", "Calls answered per second, whatever the outcome. If it falls to 0 while callers are "
               "busy, look at readiness and at the network.", rate(CALLS, MODEL)),
        single("Server errors", "percentunit", "Share of calls that failed for a reason of the server's. Red: over 1 "
               "%; see which code it is below, then runbook OctetErrorBudgetBurn.",
               server_error_ratio(MODEL), red=0.01),
        single("p99", "s", "99 of 100 calls are faster. Red: over the objective of 100 ms; look in the second row "
               "which phase has grown.", quantile(0.99, REQUESTS, MODEL, 'code="OK"'), red=0.1),
        single("Oldest wait", "s", "Age of the text that has waited longest, of the worst replica. Red: over half a "
               "second; runbook OctetQueueSaturated.", largest("octet_queue_oldest_age_seconds"), red=0.5),
        single("In flight", "none", "Calls that have arrived and are not answered. Growing without end: replicas are "
               "too slow for the load, add one.", total("octet_inflight_requests")),
    ]


def _red():
    return [
        series("Calls by method", "reqps", "Which interface is used how much. A method that stops: ask its callers.",
               [Query(rate(CALLS, MODEL, by=("method",)), "{{method}}")], stacked=True),
        series("Calls that failed, by code", "reqps", "INVALID_ARGUMENT, NOT_FOUND and FAILED_PRECONDITION are the "
               "callers' mistakes: tell them. RESOURCE_EXHAUSTED: add a replica. INTERNAL: see Faults below.",
               [Query(rate(CALLS, MODEL, 'code!="OK"', by=("code",)), "{{code}}")]),
        series("Server errors by model", "percentunit", f"Share of calls that ended in one of {SERVER_CODES}. Red: "
               "over 1 %; runbook OctetErrorBudgetBurn.",
               [Query(server_error_ratio(MODEL, by=("model",)), "{{model}}")],
               red=0.01),
        series("Latency", "s", "Of calls that succeeded, from arrival to answer. Red: over 100 ms; compare with the "
               "second row: a long queue wants replicas, long inference wants shorter texts or more cores.",
               [Query(quantile(q, REQUESTS, MODEL, 'code="OK"'), f"p{round(100 * q)}") for q in (0.5, 0.95, 0.99)],
               red=0.1),
        heat("Latency, all calls", "s", "Two bands mean two kinds of calls (short and long texts, or idle and busy "
             "replicas): compare replicas on octet / capacity.", buckets(REQUESTS, MODEL)),
        series("Calls refused, by reason", "reqps", "Turned away before compute. queue_full: add a replica. deadline: "
               "callers allow less time than the queue takes. draining: a replica is being replaced.",
               [Query(rate("octet_rejected_total", by=("reason",)), "{{reason}}")]),
    ]


def _phases():
    phases = (("tokenize", TOKENIZE), ("queue", QUEUE), ("inference", INFERENCE))
    return [
        series("Mean time of a call", "s", "Where the time goes. Queue largest: too much load, add a replica. "
               "Inference largest: long texts, or too few cores. Tokenize largest: raise engine.tokenizer_threads.",
               [Query(mean(h, MODEL), name) for name, h in phases], stacked=True),
        series("p99 of each phase", "s", "The slow calls. If only queue grows, load comes in bursts: a replica more, "
               "or callers that spread it.", [Query(quantile(0.99, h, MODEL), name) for name, h in phases]),
        heat("Waiting", "s", "How long calls waited for a tokenizer and for the engine. A band that rises is the first "
             "sign of saturation: add a replica before it reaches the objective.", buckets(QUEUE, MODEL)),
    ]


def _batching():
    fill = divide(mean("octet_batch_tokens", MODEL), largest("octet_batch_tokens_limit"))
    return [
        series("Texts of a batch", "none", "Many small batches are normal at low load. Small batches under a long "
               "queue: texts are long, see the tokens.",
               [Query(mean("octet_batch_size", MODEL), "mean"),
                Query(quantile(0.95, "octet_batch_size", MODEL), "p95")]),
        series("Tokens of a batch", "none", "What a forward pass works on. At limits.max_batch_tokens all the time: "
               "the engine is full, add a replica.",
               [Query(mean("octet_batch_tokens", MODEL), "mean"),
                Query(quantile(0.95, "octet_batch_tokens", MODEL), "p95"),
                Query(largest("octet_batch_tokens_limit"), "limit")]),
        series("Batch fill", "percentunit", "Mean tokens of a batch against the limit. There is no padding, so this is "
               "what batching gains. Near 100 %: the engine has no room left, add a replica.", [Query(fill, "fill")]),
        series("Texts waiting", "none", "Tokenized and waiting for the engine, over all replicas. The "
               "limit of each is limits.max_queue_texts. Steady growth: add a replica.",
               [Query(total("octet_queue_depth"), "texts"), Query(total("octet_queue_depth_limit"), "limit")]),
        series("Tokens waiting", "none", "As above in tokens; at the limit calls get RESOURCE_EXHAUSTED. Long texts "
               "fill it first: ask callers for truncate, or add a replica.",
               [Query(total("octet_queue_tokens"), "tokens"), Query(total("octet_queue_tokens_limit"), "limit")]),
        series("Texts cut", "percentunit", "Share of texts that were longer than the model takes and were cut at the "
               "caller's wish. High: answers ignore what was cut, tell the callers or take a longer model.",
               [Query(divide(rate("octet_truncated_total", MODEL), rate("octet_texts_total", MODEL)), "cut")]),
    ]


def _use():
    return [
        series("CPU against the limit", "percentunit", "Of what the container may use. Near 100 % is full use, not a "
               "fault; red together with a long queue: add a replica.",
               [Query(divide(rate("process_cpu_seconds_total", by=("instance",)),
                             total("octet_cpu_limit_cores", by=("instance",))), "{{instance}}")], red=0.95),
        series("Held back by the CPU quota", "s", "Thread seconds lost per second. Red: threads exceed the quota; "
               "runbook OctetCpuThrottled.",
               [Query(rate("octet_cpu_throttled_seconds_total", by=("instance",)), "{{instance}}")], red=0.1),
        series("Memory against the limit", "percentunit", "Resident memory of what the container may use. Red: over "
               "90 %, the kernel may end the process; lower limits.max_pending_bytes or raise the limit.",
               [Query(divide(total("process_resident_memory_bytes", by=("instance",)),
                             total("octet_memory_limit_bytes", by=("instance",))), "{{instance}}")], red=0.9),
        series("Threads that compute", "none", "Set at start from the CPU limit. More than the limit's cores: "
               "engine.threads is too large, leave it at 0.",
               [Query(total("octet_threads", by=("instance",)), "{{instance}}"),
                Query(total("octet_cpu_limit_cores", by=("instance",)), "limit {{instance}}")]),
        series("Open files against the limit", "percentunit", "Mostly connections. Red: over 80 %, new connections "
               "will be refused; raise the limit (LimitNOFILE) or find the client that opens so many.",
               [Query(divide(total("process_open_fds", by=("instance",)), total("process_max_fds", by=("instance",))),
                      "{{instance}}")], red=0.8),
        series("Faults, should be 0", "ops", "Batches lost to a fault, texts computed after their deadline, outputs "
               "that are not finite. Anything but 0: runbook OctetWorkerFault and OctetNonFiniteOutputs.",
               [Query(rate("octet_worker_faults_total"), "batches lost"),
                Query(rate("octet_computed_after_expiry_total"), "computed too late"),
                Query(rate("octet_non_finite_outputs_total"), "not finite")], red=0.001),
    ]


def _model():
    return [
        series("Models loaded", "none", "Of each replica. Falls: a replica is restarting; stays low: runbook "
               "OctetModelLoadFailed.",
               [Query(total("octet_model_loaded", by=("instance",)), "{{instance}}")], width=12),
        series("Load time", "s", "Of the last start. Grows with the model; if it grows without that, the disk is slow.",
               [Query(largest("octet_model_load_seconds", MODEL, by=("model",)), "{{model}}")], width=12),
        listing("Models and versions", "What each replica serves. Two versions of a model at a time are right only "
                "while a new one is rolled out.", select("octet_model_info", MODEL)),
    ]


def dashboard():
    return frame.build(
        "octet-overview", "octet / overview", "All replicas: how callers fare, where the time goes, what is scarce.",
        [("Summary", _summary()), ("How callers fare", _red()), ("Where the time goes", _phases()),
         ("Batching", _batching()), ("What the replicas use", _use()), ("Models", _model())])
