"""Linux control groups, versions 1 and 2: a group that goes before other work, and what a container's group counts."""
import contextlib
import os

ROOT = "/sys/fs/cgroup"


def _cpu_root():
    """Where the CPU controller is mounted, and whether it is version 1."""
    v1 = os.path.join(ROOT, "cpu")
    return (v1, True) if os.path.isdir(v1) else (ROOT, False)


@contextlib.contextmanager
def preferred_group(name):
    """A top-level group whose processes get the CPUs before those of others, for measuring on a machine that has other
    work to do. Yields (its name as podman's --cgroup-parent wants it, enter); `enter` moves this process into a child.
    """
    root, is_v1 = _cpu_root()
    folder = os.path.join(root, name)
    child = os.path.join(folder, "client")
    os.makedirs(child, exist_ok=True)
    file, value = ("cpu.shares", 262144) if is_v1 else ("cpu.weight", 10000)
    with open(os.path.join(folder, file), "w", encoding="ascii") as f:
        f.write(str(value))

    def move(to):
        with open(os.path.join(to, "cgroup.procs"), "w", encoding="ascii") as f:
            f.write(str(os.getpid()))

    home = group_folder(os.getpid())
    try:
        yield f"/{name}", lambda: move(child)
    finally:
        move(home)
        for empty in (child, folder):
            with contextlib.suppress(OSError):  # podman leaves a group of its own for a moment
                os.rmdir(empty)


def group_folder(pid):
    """The folder of the process's group in the CPU controller's tree."""
    root, is_v1 = _cpu_root()
    with open(f"/proc/{pid}/cgroup", encoding="ascii") as f:
        for line in f:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            if ("cpu" in controllers.split(",")) if is_v1 else (controllers == ""):
                return root + path.rstrip("/")
    raise RuntimeError(f"process {pid} is in no group of the CPU controller")


def read_cpu_stat(folder):
    """{field: value}: nr_periods, nr_throttled and others."""
    with open(os.path.join(folder, "cpu.stat"), encoding="ascii") as f:
        return {key: int(value) for key, value in (line.split() for line in f)}
