#!/usr/bin/env python3
"""Benchmark of BERT-style encoders across inference engines on CPU. See README.md."""
import argparse
import json
import os
import platform
import random
import re
import signal
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import adapters  # noqa: E402
import instruction_sets  # noqa: E402
import no_amx  # noqa: E402
import report  # noqa: E402
import workloads  # noqa: E402
from adapters.base import model_config  # noqa: E402
from peer_process import PeerFailed, Worker  # noqa: E402


def mem_available_mb():
    with open("/proc/meminfo") as f:
        return int(re.search(r"MemAvailable:\s+(\d+)", f.read()).group(1)) / 1024


def machine():
    with open("/proc/cpuinfo") as f:
        text = f.read()
    flags = re.search(r"^flags\s*:(.*)$", text, re.M).group(1).split()
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "amx_bf16")
    return {"cpu": re.search(r"model name\s*:(.*)", text).group(1).strip(),
            "family": re.search(r"cpu family\s*:(.*)", text).group(1).strip(),
            "cpus": os.cpu_count(), "isa": [f for f in wanted if f in flags],
            "kernel": platform.release(), "loadavg": os.getloadavg()}


def quantile(values, q):
    v = sorted(values)
    return v[min(len(v) - 1, int(q * len(v)))]


class Run:
    def __init__(self, a):
        self.a = a
        os.makedirs(a.out, exist_ok=True)
        os.makedirs(os.path.join(a.out, "log"), exist_ok=True)
        self.jsonl = open(os.path.join(a.out, "results.jsonl"), "w")
        self.rows, self.fidelity, self.failures, self.loaded = [], [], [], []

    def say(self, text):
        print("[%s] %s" % (time.strftime("%H:%M:%S"), text), file=sys.stderr, flush=True)

    def record(self, **row):
        self.jsonl.write(json.dumps(row) + "\n")
        self.jsonl.flush()

    def fail(self, model, peer, where, why):
        why = " ".join(str(why).split())
        self.say("%s %s failed (%s): %s" % (model, peer, where, why[:200]))
        self.failures.append((model, peer, where, why))
        self.record(kind="failure", model=model, peer=peer, where=where, why=why)

    def log(self, model, peer):
        return open(os.path.join(self.a.out, "log", "%s.%s.log" % (model, peer)), "a")

    def prepare(self, model, peer, model_dir, cache_dir):
        """Converts in a process of its own, unless that was done for these weights before."""
        weights = os.stat(os.path.join(model_dir, "model.safetensors"))
        stamp = "%d %d" % (weights.st_size, int(weights.st_mtime))
        done = os.path.join(cache_dir, peer + ".prepared")
        if os.path.exists(done) and open(done).read() == stamp:
            return
        w = Worker(peer, self.a, model_dir, cache_dir, self.log(model, peer))
        try:
            w.ask(self.a.prepare_timeout, op="prepare")
        finally:
            w.close()
        with open(done, "w") as f:
            f.write(stamp)

    def model(self, model):
        a = self.a
        model_dir = os.path.join(a.models_dir, model)
        if not os.path.exists(os.path.join(model_dir, "model.safetensors")):
            sys.exit("no model.safetensors in %s; see make_models.py" % model_dir)
        weights = os.stat(os.path.join(model_dir, "model.safetensors"))
        # Other weights under the same name get another cache.
        cache_dir = os.path.join(a.cache, "%s-%x-%x" % (model, weights.st_size, int(weights.st_mtime)))
        os.makedirs(cache_dir, exist_ok=True)
        cfg = model_config(model_dir)

        ready = []
        for peer in a.peers:
            try:
                self.say("%s %s: prepare" % (model, peer))
                self.prepare(model, peer, model_dir, cache_dir)
                ready.append(peer)
            except PeerFailed as e:
                self.fail(model, peer, "prepare", e)
        if a.prepare_only:
            return

        reference = None
        if "W5" in a.workloads:
            try:
                reference = self.reference(model, model_dir, cache_dir, cfg)
            except PeerFailed as e:
                self.fail(model, "torch-fp32", "W5 reference", e)
        todo, number = list(ready), 0
        while todo:
            number += 1
            if number > 1 and a.anchor in ready:
                todo.insert(0, a.anchor)
            group = []
            budget = mem_available_mb() * 0.8 if a.mem_mb is None else a.mem_mb

            def needed():
                # What it takes when loaded, and room to grow: activations, repacked weights,
                # generated code. Weights mapped from a file are shared or can be dropped.
                each = [w.anon_mb + 150 + 0.5 * weights.st_size / 2 ** 20 for w in group]
                return sum(each) + max(each)

            while todo and (len(group) < 2 or needed() < budget):
                peer = todo.pop(0)
                w = None
                try:
                    w = Worker(peer, self.a, model_dir, cache_dir, self.log(model, peer))
                    w.load_s = w.ask(a.load_timeout, op="load")["s"]
                    if number > 1 and peer == a.anchor:
                        w.label = "%s@%d" % (peer, number)
                    group.append(w)
                    self.say("%s %s: loaded in %.1f s, %.0f MB" % (model, w.label, w.load_s, w.rss_mb))
                except PeerFailed as e:
                    self.fail(model, peer, "load", e)
                    if w:
                        w.close()
            try:
                self.group(model, cfg, cache_dir, group, reference)
            finally:
                for w in group:
                    w.close()

    def reference(self, model, model_dir, cache_dir, cfg):
        out = os.path.join(cache_dir, "reference.npz")
        if not os.path.exists(out):
            w = Worker("torch-fp32", self.a, model_dir, cache_dir, self.log(model, "torch-fp32"))
            try:
                w.ask(self.a.load_timeout, op="load")
                texts = workloads.fidelity_texts(cfg["vocab_size"])
                w.ask(self.a.case_timeout, op="embed", batches=[[t] for t in texts], out=out)
            finally:
                w.close()
        return out

    def group(self, model, cfg, cache_dir, group, reference):
        a = self.a
        if reference:
            for w in group:
                try:
                    self.check(model, cfg, cache_dir, w, reference)
                except PeerFailed as e:
                    self.fail(model, w.peer, "W5", e)
                    w.failed = str(e)
        for w in group:
            if w.failed is None:
                try:
                    got = w.ask(a.case_timeout, op="info")
                    w.info, w.skip = got["info"], got["skip"]
                except PeerFailed as e:
                    self.fail(model, w.peer, "info", e)
                    w.failed = str(e)
        for name, batches in workloads.cases(a.workloads, cfg["vocab_size"], a.quick):
            if a.cases and not re.search(a.cases, name):
                continue
            self.case(model, cfg, name, batches, [
                w for w in group if w.failed is None and name.split()[0] not in w.skip])
        for w in group:
            self.loaded.append((model, w.label, w.load_s, w.rss_mb, w.anon_mb))
            self.record(kind="peer", model=model, peer=w.label, load_s=w.load_s, rss_mb=round(w.rss_mb),
                        anon_mb=round(w.anon_mb), info=w.info)

    def case(self, model, cfg, name, batches, workers):
        """Interleaved: in every round every peer gets one slice, in an order that changes."""
        a = self.a
        size = workloads.case_size(cfg, batches)
        state = {}
        rng = random.Random(7)
        for w in list(workers):
            if mem_available_mb() < a.min_free_mb:
                big = max((v for v in workers if v.failed is None), key=lambda v: v.anon_mb)
                big.close()
                big.failed = "closed because memory was short"
                self.fail(model, big.label, name, big.failed)
                state.pop(big, None)
            if w.failed:
                continue
            try:
                first = w.ask(a.case_timeout, op="bench", batches=batches, warmup=0, reps=1)["ms"][0]
                est = first
                # Until the time no longer falls (compilation, caches, thread pools).
                for _ in range(4):
                    again = w.ask(a.case_timeout, op="bench", batches=batches, warmup=0, reps=1)["ms"][0]
                    settled = again > 0.7 * est
                    est = min(est, again)
                    if settled:
                        break
                reps = max(1, min(200, round(a.slice_ms / est)))
                rounds = max(a.min_rounds, min(a.rounds, int(a.budget_s * 1e3 / (est * reps))))
                # A long repetition warms itself up.
                state[w] = dict(first=first, reps=reps, rounds=rounds, ms=[], cpu_s=0.0, wall_s=0.0,
                                other_s=0.0, steal_s=0.0, warmup=1 if est < 300 else 0, slices=[])
            except PeerFailed as e:
                self.fail(model, w.peer, name, e)
                w.failed = str(e)
        for rnd in range(max([s["rounds"] for s in state.values()], default=0)):
            order = list(state)
            rng.shuffle(order)
            for w in order:
                s = state[w]
                if w.failed or rnd >= s["rounds"]:
                    continue
                try:
                    got = w.ask(a.case_timeout, op="bench", batches=batches, warmup=s["warmup"], reps=s["reps"])
                except PeerFailed as e:
                    self.fail(model, w.peer, name, e)
                    w.failed = str(e)
                    continue
                other = max(0.0, got["busy_s"] - got["cpu_s"])
                s["ms"] += got["ms"]
                s["slices"].append((statistics.median(got["ms"]), (other + got["steal_s"]) / got["wall_s"]))
                s["wall_s"] += got["wall_s"]
                s["steal_s"] += got["steal_s"]
                s["other_s"] += other
                s["cpu_s"] += got["cpu_s"]
        for w in workers:
            s = state.get(w)
            if not s or not s["ms"]:
                continue
            med = statistics.median(s["ms"])
            slices = [m for m, _ in s["slices"]]
            # Slices during which others had less than a tenth of one CPU.
            quiet = [m for m, noise in s["slices"] if noise < 0.1]
            row = dict(
                kind="case", model=model, case=name, peer=w.label, threads=a.threads, n=len(s["ms"]),
                median_ms=med, p90_ms=quantile(s["ms"], 0.9), min_ms=min(s["ms"]),
                slices=len(slices), slice_spread=(max(slices) - min(slices)) / med,
                quiet_slices=len(quiet), quiet_ms=statistics.median(quiet) if quiet else None,
                texts_s=size["texts"] / med * 1e3, tokens_s=size["tokens"] / med * 1e3,
                gflops=size["flop"] / med / 1e6, first_ms=s["first"],
                cpu_per_wall=s["cpu_s"] / s["wall_s"], other_cpu=s["other_s"] / s["wall_s"],
                steal=s["steal_s"] / s["wall_s"], quick=a.quick, **size)
            self.rows.append(row)
            self.record(**row)
        if workers:
            self.say("%s %s: done, %d peers" % (model, name, len(state)))

    def check(self, model, cfg, cache_dir, w, reference):
        """Outputs against the fp32 reference: in padded batches of 8, and one by one."""
        import numpy as np
        texts = workloads.fidelity_texts(cfg["vocab_size"])
        out = os.path.join(os.path.abspath(self.a.out), "embed.npz")
        w.ask(self.a.case_timeout, op="embed", batches=workloads.chunks(texts, 8), out=out)
        batched = dict(np.load(out))
        single = None
        if not self.a.quick:
            w.ask(self.a.case_timeout, op="embed", batches=[[t] for t in texts], out=out + ".1.npz")
            single = dict(np.load(out + ".1.npz"))
            os.remove(out + ".1.npz")
        os.remove(out)
        ref = np.load(reference)
        row = dict(kind="fidelity", model=model, peer=w.label, texts=len(texts))

        def cosine(x, y):
            x, y = x.astype(np.float64), y.astype(np.float64)
            return (x * y).sum(1) / (np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1))

        for part in ("mean", "cls"):
            x, y = batched[part], ref[part]
            centre = y.mean(0)
            c, cc = cosine(x, y), cosine(x - centre, y - centre)
            row.update({
                part + "_cos_min": float(c.min()), part + "_cos_mean": float(c.mean()),
                part + "_ccos_min": float(cc.min()),
                part + "_rel_max": float((np.abs(x - y).max(1) / np.abs(y).max(1)).max()),
                part + "_l2_max": float((np.linalg.norm(x - y, axis=1) / np.linalg.norm(y, axis=1)).max())})
            if single is not None:
                row[part + "_batch_cos_min"] = float(cosine(x, single[part]).min())
        self.fidelity.append(row)
        self.record(**row)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--models-dir", default=os.environ.get("PEERS_MODELS"),
                    help="folder with the HF directories (default: $PEERS_MODELS)")
    ap.add_argument("--cache", default=os.environ.get("PEERS_CACHE"),
                    help="folder for converted models, can be deleted at any time (default: $PEERS_CACHE)")
    ap.add_argument("--out", default="peers-out", help="folder for results.jsonl, table.md and logs")
    ap.add_argument("--models", default="minilm-l6,bert-base")
    ap.add_argument("--workloads", default=",".join(workloads.ALL))
    ap.add_argument("--peers", help="names, prefixes with * or sets such as @int8 (default: all); --list shows them")
    ap.add_argument("--exclude", default="", help="as --peers")
    ap.add_argument("--exec", dest="execs", action="append", default=[], metavar="NAME=COMMAND",
                    help="an external program as a peer; see adapters/exec_adapter.py")
    ap.add_argument("--exec-outside", dest="outside_execs", action="append", default=[], metavar="NAME=COMMAND",
                    help="the same, timed by the harness instead of by the program")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--no-amx", action="store_true", help="all peers as on a processor without AMX (no_amx.py)")
    ap.add_argument("--isa", choices=instruction_sets.LIMITS, help="octet, torch and ctranslate2 at this instruction set at most")
    ap.add_argument("--cpus", help="CPU list to pin to (default: the first --threads CPUs allowed)")
    ap.add_argument("--nice", type=int, default=0, help="niceness of the peers, for smoke runs on a busy machine")
    ap.add_argument("--quick", action="store_true", help="few repetitions, 64 texts in W4")
    ap.add_argument("--rounds", type=int, help="slices per peer and case (15; quick: 3)")
    ap.add_argument("--slice-ms", type=float, help="length of a slice (200; quick: 60)")
    ap.add_argument("--budget-s", type=float, help="time per peer and case, where --min-rounds allow (8; quick: 1)")
    ap.add_argument("--min-rounds", type=int, help="at least so many slices (5; quick: 2)")
    ap.add_argument("--cases", metavar="REGEX", help="of the workloads only these cases, e.g. 'W3 b8|sorted'")
    ap.add_argument("--anchor", default="ort-fp32", help="if memory does not hold all peers at once they go in "
                    "groups, and this peer is measured again in every group (as NAME@2 ...)")
    ap.add_argument("--mem-mb", type=float, help="memory for loaded peers (default: 80 %% of what is available)")
    ap.add_argument("--min-free-mb", type=float, default=1000, help="close the largest peer below this")
    ap.add_argument("--prepare-only", action="store_true")
    ap.add_argument("--prepare-timeout", type=float, default=1200)
    ap.add_argument("--load-timeout", type=float, default=600)
    ap.add_argument("--case-timeout", type=float, default=600)
    ap.add_argument("--list", action="store_true")
    a = ap.parse_args()
    a.exec_commands = dict(e.split("=", 1) for e in a.execs + a.outside_execs)
    a.outside = {e.split("=", 1)[0] for e in a.outside_execs}
    known = list(adapters.PEERS) + list(a.exec_commands)
    if a.list:
        print("\n".join(known))
        for name, members in adapters.SETS.items():
            print("@%s: %s" % (name, ", ".join(members)))
        return
    if not a.models_dir or not a.cache:
        sys.exit("give --models-dir and --cache, or set PEERS_MODELS and PEERS_CACHE")

    def select_peers(text):
        got = []
        for part in filter(None, text.split(",")):
            if part.startswith("@") and part[1:] in adapters.SETS:
                hits = adapters.SETS[part[1:]]
            else:
                hits = [p for p in known if p == part or part.endswith("*") and p.startswith(part[:-1])]
            if not hits:
                sys.exit("no such peer: %s (see --list)" % part)
            got += hits
        return got

    exclude = set(select_peers(a.exclude))
    chosen = select_peers(a.peers) + list(a.exec_commands) if a.peers else known
    a.peers = [p for p in dict.fromkeys(chosen) if p not in exclude]
    a.models = a.models.split(",")
    a.workloads = a.workloads.split(",")
    quick = a.quick
    a.rounds = a.rounds or (3 if quick else 15)
    a.slice_ms = a.slice_ms or (60 if quick else 200)
    a.budget_s = a.budget_s or (1 if quick else 8)
    a.min_rounds = a.min_rounds or (2 if quick else 5)
    a.cpus = a.cpus or ",".join(map(str, sorted(os.sched_getaffinity(0))[:a.threads]))

    if a.no_amx:
        no_amx.refuse_tiles()
    # So that "finally" ends the workers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    run = Run(a)
    run.record(kind="run", time=time.strftime("%Y-%m-%dT%H:%M:%S%z"), machine=machine(), python=platform.python_version(),
               peers=a.peers, models=a.models, workloads=a.workloads, threads=a.threads, cpus=a.cpus, no_amx=a.no_amx, isa=a.isa,
               quick=quick, rounds=a.rounds, slice_ms=a.slice_ms, budget_s=a.budget_s)
    try:
        for m in a.models:
            run.model(m)
    finally:
        with open(os.path.join(a.out, "table.md"), "w") as f:
            f.write(report.markdown(run.a, run.rows, run.fidelity, run.loaded, run.failures))
    run.say("wrote results.jsonl and table.md")


if __name__ == "__main__":
    main()
