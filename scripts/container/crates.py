"""The crates that are linked into a Rust library, with their licenses."""
import dataclasses
import json
import pathlib
import re
import shutil
import subprocess
import tomllib

TARGET = "x86_64-unknown-linux-gnu"
LICENSE_FILES = ("LICENSE*", "LICENCE*", "COPYING*", "COPYRIGHT*", "NOTICE*", "UNLICENSE*")


@dataclasses.dataclass(frozen=True)
class Crate:
    name: str
    version: str
    license: str  # an SPDX expression
    sha256: str  # of the package, as Cargo.lock has it
    folder: pathlib.Path

    def copy_licenses(self, target):
        files = [file for pattern in LICENSE_FILES for file in self.folder.glob(pattern) if file.is_file()]
        folder = target / f"{self.name}-{self.version}"
        for file in files:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / file.name)


def linked_into(folder):
    """Crates that the crate in `folder` needs at run time (not those for building or testing alone), by name."""
    folder = pathlib.Path(folder)
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET,
               "--manifest-path", str(folder / "Cargo.toml")]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    lock = tomllib.loads((folder / "Cargo.lock").read_text(encoding="utf-8"))
    sums = {(p["name"], p["version"]): p["checksum"] for p in lock["package"] if "checksum" in p}
    by_id = {p["id"]: p for p in metadata["packages"]}
    root = metadata["resolve"]["root"]
    return sorted((_crate(by_id[id_], sums) for id_ in _reachable(metadata["resolve"], root) - {root}),
                  key=lambda crate: (crate.name, crate.version))


def _reachable(resolve, root):
    nodes = {node["id"]: node for node in resolve["nodes"]}
    seen, waiting = set(), [root]
    while waiting:
        id_ = waiting.pop()
        if id_ in seen:
            continue
        seen.add(id_)
        waiting += [dep["pkg"] for dep in nodes[id_]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
    return seen


def _crate(found, sums):
    # Before SPDX expressions, crates wrote a slash for "or".
    license_ = re.sub(r"\s*/\s*", " OR ", found["license"] or "NOASSERTION")
    return Crate(found["name"], found["version"], license_, sums[found["name"], found["version"]],
                 pathlib.Path(found["manifest_path"]).parent)
