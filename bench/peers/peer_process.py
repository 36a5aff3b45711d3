"""A peer in a process of its own (worker.py), asked over pipes, one question at a time."""
import json
import os
import select
import signal
import subprocess
import sys

import adapters
import instruction_sets

HERE = os.path.dirname(os.path.abspath(__file__))


class PeerFailed(Exception):
    pass


class Worker:
    def __init__(self, peer, a, model_dir, cache_dir, log):
        self.peer = self.label = peer
        self.failed, self.rss_mb, self.anon_mb, self.info, self.skip, self.load_s = None, 0.0, 0.0, {}, [], None
        command = a.exec_commands.get(peer)
        env_extra, python = {}, sys.executable
        if command is None:
            _, _, _, env_extra, python_var = adapters.PEERS[peer]
            if python_var:
                python = os.environ.get(python_var)
                if not python:
                    raise PeerFailed("Unsupported: set %s to the interpreter that has this peer" % python_var)
        env = {**os.environ, **instruction_sets.LIMITS.get(a.isa, {}), **env_extra}
        # What torch compiles for a lower instruction set stays apart.
        inductor = "inductor-" + a.isa if a.isa else "inductor"
        env.setdefault("TORCHINDUCTOR_CACHE_DIR", os.path.join(os.path.abspath(a.cache), inductor))
        env.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
        env.setdefault("HF_HUB_OFFLINE", "1")
        env.setdefault("TOKENIZERS_PARALLELISM", "false")
        argv = [python, os.path.join(HERE, "worker.py"), "--peer", peer, "--model-dir", model_dir,
                "--cache-dir", cache_dir, "--threads", str(a.threads), "--cpus", a.cpus,
                "--nice", str(a.nice)]
        if command:
            argv += ["--command", command]
        if peer in a.outside:
            argv += ["--outside"]
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=env, text=True,
            bufsize=1, start_new_session=True)
        self.stopped = False

    def signal(self, sig):
        try:
            os.killpg(self.process.pid, sig)
        except ProcessLookupError:
            pass

    def ask(self, timeout, **request):
        """Lets the worker run for just this request."""
        if self.stopped:
            self.signal(signal.SIGCONT)
            self.stopped = False
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            ready, _, _ = select.select([self.process.stdout], [], [], timeout)
            line = self.process.stdout.readline() if ready else None
        except BrokenPipeError:
            line = ""
        if line is None:
            self.close()
            raise PeerFailed("no answer to '%s' within %d s" % (request["op"], timeout))
        if not line:
            self.close()
            raise PeerFailed("the process ended during '%s' (exit status %s)" % (
                request["op"], self.process.returncode))
        self.signal(signal.SIGSTOP)
        self.stopped = True
        answer = json.loads(line)
        if "error" in answer:
            raise PeerFailed(answer["error"])
        self.rss_mb = max(self.rss_mb, answer["rss_mb"])
        self.anon_mb = max(self.anon_mb, answer["anon_mb"])
        return answer

    def close(self):
        self.signal(signal.SIGKILL)
        self.process.wait()
