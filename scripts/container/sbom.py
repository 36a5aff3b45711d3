"""Writes the image's bill of materials, SPDX 2.3 as JSON, to standard output.

What is listed: octet, the Debian packages whose shared libraries it loads (each library with its checksums), the
packages whose code is compiled in, and the crates linked in. Copies the crates' license files to a folder.
"""
import argparse
import datetime
import hashlib
import json
import os
import pathlib
import sys
import uuid

import crates
import debian_packages

DOCUMENT = "SPDXRef-DOCUMENT"
OCTET = "SPDXRef-octet"


def spdx_id(kind, *parts):
    """SPDX ids are letters, digits, '.' and '-'."""
    return f"SPDXRef-{kind}-" + "-".join("".join(c if c.isalnum() or c == "." else "-" for c in p) for p in parts)


def package(name, version, id_, purl=None, license_=None, sha256=None):
    entry = {"name": name, "SPDXID": id_, "versionInfo": version, "downloadLocation": "NOASSERTION",
             "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": license_ or "NOASSERTION",
             "copyrightText": "NOASSERTION"}
    if purl:
        entry["externalRefs"] = [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                                  "referenceLocator": purl}]
    if sha256:
        entry["checksums"] = [{"algorithm": "SHA256", "checksumValue": sha256}]
    return entry


def file_entry(path, id_):
    content = pathlib.Path(path).read_bytes()
    return {"fileName": "." + os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)),
            "SPDXID": id_,
            "checksums": [{"algorithm": "SHA1", "checksumValue": hashlib.sha1(content).hexdigest()},
                          {"algorithm": "SHA256", "checksumValue": hashlib.sha256(content).hexdigest()}],
            "licenseConcluded": "NOASSERTION", "copyrightText": "NOASSERTION"}


class Document:
    def __init__(self, version):
        self.version = version
        self.packages = [package("octet", version, OCTET, license_="Apache-2.0")]
        self.files = []
        self.relationships = []
        self.relate(DOCUMENT, "DESCRIBES", OCTET)

    def relate(self, left, kind, right):
        self.relationships.append({"spdxElementId": left, "relationshipType": kind, "relatedSpdxElement": right})

    def add_debian(self, name, kind):
        version, purl = debian_packages.describe(name)
        id_ = spdx_id("deb", name)
        self.packages.append(package(name, version, id_, purl=purl))
        self.relate(OCTET, kind, id_)
        return id_

    def add_libraries(self, owners):
        """`owners`: {library's path: package}."""
        ids = {name: self.add_debian(name, "DYNAMIC_LINK") for name in sorted(set(owners.values()))}
        for path, owner in sorted(owners.items()):
            id_ = spdx_id("file", path.lstrip("/"))
            self.files.append(file_entry(path, id_))
            self.relate(ids[owner], "CONTAINS", id_)

    def add_crate(self, crate):
        id_ = spdx_id("crate", crate.name, crate.version)
        self.packages.append(package(crate.name, crate.version, id_, purl=f"pkg:cargo/{crate.name}@{crate.version}",
                                     license_=crate.license, sha256=crate.sha256))
        self.relate(OCTET, "STATIC_LINK", id_)

    def as_json(self):
        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        now = (datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc) if epoch
               else datetime.datetime.now(datetime.timezone.utc))
        body = {"packages": self.packages, "files": self.files, "relationships": self.relationships}
        content_id = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
        return {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": DOCUMENT,
                "name": f"octet-{self.version}", "documentNamespace": f"urn:uuid:{content_id}",
                "creationInfo": {"created": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                                 "creators": ["Tool: octet-scripts/container/sbom.py"]}, **body}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", required=True, help="octet's")
    parser.add_argument("--libraries", required=True, help="file with lines 'PATH PACKAGE'")
    parser.add_argument("--compiled-in", nargs="+", default=[], metavar="PACKAGE")
    parser.add_argument("--crate", required=True, help="folder of the crate that is linked in")
    parser.add_argument("--licenses", required=True, help="folder to make for the crates' license files")
    args = parser.parse_args()

    document = Document(args.version)
    with open(args.libraries, encoding="utf-8") as lines:
        document.add_libraries(dict(line.split() for line in lines))
    for name in args.compiled_in:
        document.add_debian(name, "STATIC_LINK")
    for crate in crates.linked_into(args.crate):
        document.add_crate(crate)
        crate.copy_licenses(pathlib.Path(args.licenses))
    json.dump(document.as_json(), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
