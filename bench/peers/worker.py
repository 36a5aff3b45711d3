"""One peer in a process of its own. Started by run_peers.py; reads requests (JSON lines) on
stdin and answers on what was stdout; everything that libraries print goes to stderr (a log)."""
import argparse
import gc
import json
import os
import sys
import time
import traceback


def machine_seconds():
    """(busy, steal) CPU seconds of the whole machine so far."""
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:]]
    tick = os.sysconf("SC_CLK_TCK")
    return (v[0] + v[1] + v[2] + v[5] + v[6]) / tick, v[7] / tick


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--peer", required=True)
    ap.add_argument("--command")
    ap.add_argument("--outside", action="store_true", help="time the command from here")
    ap.add_argument("--model-dir", required=True)
    ap.add_argument("--cache-dir", required=True)
    ap.add_argument("--threads", type=int, required=True)
    ap.add_argument("--cpus", required=True)
    ap.add_argument("--nice", type=int, default=0)
    a = ap.parse_args()
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.sched_setaffinity(0, [int(c) for c in a.cpus.split(",")])
    # Before any library makes a thread.
    for v in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[v] = str(a.threads)
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

    import adapters
    from adapters.base import die_with_parent
    die_with_parent()
    os.nice(a.nice)
    adapter = None

    for line in sys.stdin:
        r = json.loads(line)
        try:
            if adapter is None:
                adapter = adapters.make(a.peer, a.command, a.outside)
            op, answer = r["op"], {}
            t = time.perf_counter()
            if op == "prepare":
                adapter.prepare(a.model_dir, a.cache_dir)
            elif op == "load":
                adapter.load(a.model_dir, a.cache_dir, a.threads)
            elif op == "bench":
                gc.collect()
                gc.disable()
                cpu, (busy, steal), start = adapter.cpu_seconds(), machine_seconds(), time.perf_counter()
                ms = adapter.bench(r["batches"], r["warmup"], r["reps"])
                wall, (busy2, steal2) = time.perf_counter() - start, machine_seconds()
                answer = {"ms": ms, "cpu_s": adapter.cpu_seconds() - cpu, "busy_s": busy2 - busy,
                          "steal_s": steal2 - steal, "wall_s": wall}
                gc.enable()
            elif op == "embed":
                mean, cls = adapter.embed(r["batches"])
                import numpy as np
                np.savez(r["out"], mean=mean, cls=cls)
            elif op == "info":
                answer = {"info": adapter.info(), "skip": list(adapter.skip_cases)}
            answer["s"] = time.perf_counter() - t
            answer["rss_mb"], answer["anon_mb"] = adapter.memory_mb()
        except BaseException as e:  # noqa: B036  (a failure of a peer is a result)
            traceback.print_exc()
            text = str(e).strip() or repr(e)
            answer = {"error": "%s: %s" % (type(e).__name__, text)}
        replies.write(json.dumps(answer) + "\n")
        replies.flush()
    # Some libraries hang or crash while tearing down; nothing here needs tearing down.
    os._exit(0)


if __name__ == "__main__":
    main()
