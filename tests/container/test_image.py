"""What is in the image, and what is not."""
import json
import os
import stat
import subprocess

import pytest
from engine import IMAGE_WITH_MODEL, inspect_image

MAX_IMAGE_BYTES = 120_000_000  # without a model


def files_of(root):
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            yield path, os.path.relpath(path, root), os.lstat(path)


def test_is_small(image_root):
    total = sum(status.st_size for _, _, status in files_of(image_root))
    print(f"\nimage without model: {total / 1e6:.1f} MB, files of all layers; {inspect_image()['Size'] / 1e6:.1f} MB by the engine")
    assert total <= MAX_IMAGE_BYTES


def test_has_the_metadata():
    about = inspect_image()
    config = about["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["/usr/local/bin/octet"]
    assert config["Cmd"] == ["serve", "--config", "/etc/octet/octet.yaml"]
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert set(config["ExposedPorts"]) == {"50051/tcp", "9464/tcp"}
    assert about["Healthcheck"]["Test"] == ["CMD", "/usr/local/bin/octet", "health"]
    labels = config["Labels"]
    assert labels["org.opencontainers.image.title"] == "octet"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.version"]


def test_runs_one_program_only(image_root):
    """No shell, no compiler, no package manager: nothing that could be executed but octet."""
    programs = {relative for path, relative, status in files_of(image_root)
                if stat.S_ISREG(status.st_mode) and status.st_mode & 0o111 and ".so" not in os.path.basename(path)}
    assert programs == {"usr/local/bin/octet"}


def test_has_nothing_set_user_id_or_writable(image_root):
    for _, relative, status in files_of(image_root):
        if stat.S_ISLNK(status.st_mode):
            continue
        assert not status.st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWOTH), relative
        assert status.st_uid == 0, f"{relative} belongs to {status.st_uid}: the server could change it"


def test_has_one_copy_of_each_library(image_root):
    libraries = [os.path.basename(relative) for _, relative, _ in files_of(image_root) if ".so" in relative]
    assert len(libraries) == len(set(libraries)) > 20
    assert len([name for name in libraries if name.startswith("libdnnl.so.3")]) == 1


@pytest.fixture(scope="module")
def sbom(image_root):
    with open(os.path.join(image_root, "usr/share/doc/octet/sbom.spdx.json"), encoding="utf-8") as f:
        return json.load(f)


def test_bill_of_materials_names_every_library_and_its_package(image_root, sbom):
    files = {file["fileName"]: file for file in sbom["files"]}
    packages = {package["SPDXID"]: package for package in sbom["packages"]}
    owner = {r["relatedSpdxElement"]: packages[r["spdxElementId"]]["name"] for r in sbom["relationships"]
             if r["relationshipType"] == "CONTAINS"}
    found = {"./" + relative for _, relative, _ in files_of(image_root) if ".so" in os.path.basename(relative)}
    assert found == set(files)
    for name, file in files.items():
        sha256 = next(c["checksumValue"] for c in file["checksums"] if c["algorithm"] == "SHA256")
        said = subprocess.run(["sha256sum", os.path.join(image_root, name)], check=True, capture_output=True, text=True)
        assert said.stdout.split()[0] == sha256, name
        assert os.path.isfile(os.path.join(image_root, "usr/share/doc", owner[file["SPDXID"]], "copyright")), name
        assert os.path.isfile(os.path.join(image_root, "var/lib/dpkg/status.d", owner[file["SPDXID"]])), name


def test_bill_of_materials_names_the_crates(sbom):
    crates = {package["name"]: package for package in sbom["packages"]
              if any(ref["referenceLocator"].startswith("pkg:cargo/") for ref in package.get("externalRefs", []))}
    assert "tokenizers" in crates and len(crates) > 30
    for name, crate in crates.items():
        assert crate["licenseDeclared"] != "NOASSERTION", name
        assert len(crate["checksums"][0]["checksumValue"]) == 64, name


def test_bill_of_materials_refers_to_what_it_has(sbom):
    ids = [element["SPDXID"] for element in sbom["packages"] + sbom["files"]]
    assert len(ids) == len(set(ids))
    for relationship in sbom["relationships"]:
        assert {relationship["spdxElementId"], relationship["relatedSpdxElement"]} <= {*ids, "SPDXRef-DOCUMENT"}


def test_has_licenses(image_root):
    doc = os.path.join(image_root, "usr/share/doc/octet")
    assert {"LICENSE", "THIRD_PARTY_NOTICES.md", "crates", "sbom.spdx.json"} <= set(os.listdir(doc))
    assert any(name.startswith("tokenizers-") for name in os.listdir(os.path.join(doc, "crates")))


def test_a_baked_model_adds_itself_only(image_root, model):
    added = inspect_image(IMAGE_WITH_MODEL)["Size"] - inspect_image()["Size"]
    of_model = sum(status.st_size for _, _, status in files_of(model))
    assert abs(added - of_model) < 1_000_000
