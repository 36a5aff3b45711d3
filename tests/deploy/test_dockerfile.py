"""The Dockerfile by hadolint's rules."""
import os
import subprocess
import sys

import charts

HADOLINT = os.path.join(os.path.dirname(sys.executable), "hadolint")


def hadolint(path):
    return subprocess.run([HADOLINT, "--no-color", path], capture_output=True, text=True)


def test_dockerfile_is_clean():
    path = charts.ROOT / "Dockerfile"
    assert path.is_file(), f"no {path}"
    done = hadolint(path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_bad_dockerfile_is_refused(tmp_path):
    path = tmp_path / "Dockerfile"
    path.write_text("FROM debian:latest\nRUN cd /tmp && apt-get install curl\n")
    done = hadolint(path)
    assert done.returncode == 1 and "DL3007" in done.stdout and "DL3003" in done.stdout, done.stdout
