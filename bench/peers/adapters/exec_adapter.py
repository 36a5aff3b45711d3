"""Any external program as a peer (our server's client, a command line tool, ...).

Given on the command line of run_peers.py as  --exec NAME='command ...'  (repeatable). In the
command, {model} stands for the model directory, {threads} for the number of threads, {cpus}
for a CPU list such as 0,1. The program is started once per model and stays:

  * it reads lines from stdin, each the path of a request file; at end of file it exits;
  * it answers every request with one line of JSON on stdout (stderr is logged).

If the command contains {request}, it is started anew for every request instead, with the path
in that place, and the last line of its stdout is the answer (then loading the model has to be
kept out of the timings by the program itself; it is otherwise the slower way to run).

Given as --exec-outside NAME='command ...' the program does not time itself: after a request with
"reps": 0 a line `again` means the batches of the last request once more, without embeddings, and is
answered with a line of JSON. What the adapter waits for that line is the time, so the way there and
back through two pipes is in it.

Request file:
  {"model_dir": "...", "threads": 2, "cpus": [0, 1], "pad_id": 0,
   "batches": [[[101, 7592, 102], ...], ...],   batches of texts of token ids, not padded
   "warmup": 1, "reps": 10,                     one repetition = all the batches, in order
   "embeddings": false}
Answer:
  {"ms": [1.23, ...],                           one wall time per repetition, reps of them
   "mean": [[...], ...], "cls": [[...], ...],   with "embeddings": true only: per text, in order
   "info": {...}}                               optional: versions, kernels, anything
or {"error": "..."}.
"""
import json
import os
import resource
import shlex
import subprocess
import tempfile
import time

import numpy as np

from .base import Adapter, die_with_parent, model_config


class ExecAdapter(Adapter):
    process = None

    def load(self, model_dir, cache_dir, threads):
        self.dir = tempfile.TemporaryDirectory()
        cpus = sorted(os.sched_getaffinity(0))
        self.request = {
            "model_dir": os.path.abspath(model_dir), "threads": threads, "cpus": cpus,
            "pad_id": model_config(model_dir).get("pad_token_id") or 0}
        self.command = self.options["command"]
        self.fill = {"model": os.path.abspath(model_dir), "threads": threads,
                     "cpus": ",".join(map(str, cpus))}
        self.last_info = {}
        if "{request}" not in self.command:
            self.process = subprocess.Popen(
                self.argv(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                preexec_fn=die_with_parent)

    def argv(self, **more):
        words = shlex.split(self.command)
        for key, value in {**self.fill, **more}.items():
            words = [w.replace("{%s}" % key, str(value)) for w in words]
        return words

    def exchange(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def ask(self, batches, warmup, reps, embeddings=False):
        path = os.path.join(self.dir.name, "request.json")
        with open(path, "w") as f:
            json.dump({**self.request, "batches": batches, "warmup": warmup, "reps": reps,
                       "embeddings": embeddings}, f)
        if self.process:
            line = self.exchange(path)
        else:
            done = subprocess.run(self.argv(request=path), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            line = (done.stdout.strip().splitlines() or [""])[-1]
        answer = self.checked(line)
        self.last_info = answer.get("info", self.last_info)
        return answer

    @staticmethod
    def checked(line):
        if not line.strip():
            raise RuntimeError("the program gave no answer")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def bench(self, batches, warmup, reps):
        if self.options.get("outside"):
            return self.bench_outside(batches, warmup, reps)
        ms = self.ask(batches, warmup, reps)["ms"]
        if len(ms) != reps:
            raise RuntimeError("asked for %d repetitions, got %d" % (reps, len(ms)))
        return ms

    def bench_outside(self, batches, warmup, reps):
        self.ask(batches, warmup, 0)
        ms = []
        for _ in range(reps):
            t = time.perf_counter_ns()
            line = self.exchange("again")
            ms.append((time.perf_counter_ns() - t) / 1e6)
            self.checked(line)
        return ms

    def cpu_seconds(self):
        if not self.process:
            r = resource.getrusage(resource.RUSAGE_CHILDREN)
            return r.ru_utime + r.ru_stime
        with open("/proc/%d/stat" % self.process.pid) as f:
            v = f.read().rsplit(")", 1)[1].split()
        return (int(v[11]) + int(v[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self, pid="self"):
        return super().memory_mb(self.process.pid if self.process else pid)

    def embed(self, batches):
        a = self.ask(batches, 0, 1, embeddings=True)
        return np.asarray(a["mean"], np.float32), np.asarray(a["cls"], np.float32)

    def info(self):
        return self.last_info
