"""Writes an SBOM (CycloneDX 1.6) of each artefact that `sam build` has made, and checks it against the artefact.

    target/python/bin/python infra/sbom.py .aws-sam/build target/sbom

Listed is what is linked: the crates that the function's own package resolves to for the artefact's target, with the
licences their authors declare and the checksums of Cargo.lock. Procedural macros and build scripts run on the building
machine and are not in it; aws-lc, which is C, is listed as the crate that brings it, aws-lc-sys. The same artefact gives the same file.
"""

import hashlib
import io
import json
import re
import subprocess
import sys
import tomllib
import uuid
import zipfile
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parents[1]
TARGETS = {0x3E: "x86_64-unknown-linux-gnu", 0xB7: "aarch64-unknown-linux-gnu"}
# A crate's file as a panic message names it.
NAMED = re.compile(rb"/registry/src/[^/\0]+/([A-Za-z0-9_-]+)-(\d+\.\d+\.\d+[^/\0]*)/")
# In every function; in none (deny.toml keeps them out as well).
ALWAYS, NEVER = {"aws-sdk-dynamodb", "rustls", "sayso-model"}, {"aws-config", "dynoxide-rs", "rusqlite"}


def functions(template):
    """Each function's logical name and its binary, which is also the name of its package."""
    resources = re.split(r"(?m)^  (?=\w+:)", template.read_text())
    found = [re.match(r"(\w+):(?s:.*)\bBinary: *([\w-]+)", each) for each in resources]
    return [match.groups() for match in found if match]


def cargo(*arguments):
    done = subprocess.run(["cargo", *arguments, "--locked"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else sys.exit(done.stderr)


def resolved(package, target):
    """The crates that are linked, by name and version, each with those it calls; the package itself first."""
    edges = ["--edges", "normal,no-proc-macro", "--prefix", "depth", "--no-dedupe", "--format", " {p}"]
    crates, above = {}, []
    for line in cargo("tree", "--package", package, "--target", target, *edges).splitlines():
        depth, name, version = line.split()[:3]
        crate = (name, version.removeprefix("v"))
        del above[int(depth):]
        crates.setdefault(crate, set())
        if above:
            crates[above[-1]].add(crate)
        above.append(crate)
    return crates


def component(crate, licences, checksums, **more):
    name, version = crate
    url = PackageURL("cargo", name=name, version=version)
    if checksum := checksums.get(crate):
        more = {"hashes": [HashType(alg=HashAlgorithm.SHA_256, content=checksum)], **more}
    licence = LicenseFactory().make_from_string(licences[crate])
    more = {"type": ComponentType.LIBRARY, **more}
    return Component(name=name, version=version, purl=url, bom_ref=str(url), licenses=[licence], **more)


def bill(package, bootstrap, licences, checksums):
    binary = bootstrap.read_bytes()
    crates = resolved(package, TARGETS[binary[18]])
    digest = hashlib.sha256(binary)
    itself = HashType(alg=HashAlgorithm.SHA_256, content=digest.hexdigest())
    parts = {}
    for number, crate in enumerate(crates):
        more = {} if number else {"type": ComponentType.APPLICATION, "hashes": [itself]}
        parts[crate] = component(crate, licences, checksums, **more)
    top, *others = parts.values()
    metadata = BomMetaData(component=top)
    metadata.timestamp = None
    bom = Bom(metadata=metadata, components=others, serial_number=uuid.UUID(bytes=digest.digest()[:16], version=4))
    for crate, calls in crates.items():
        bom.register_dependency(parts[crate], [parts[each] for each in calls])
    check(package, crates, binary)
    return bom


def check(package, crates, binary):
    names = {name for name, _ in crates}
    assert ALWAYS <= names and not NEVER & names, (package, ALWAYS - names, NEVER & names)
    named = {(name.decode(), version.decode()) for name, version in NAMED.findall(binary)}
    assert named, f"{package} names no crate: is it this workspace's release build?"
    assert named <= crates.keys(), f"{package} has in it what its SBOM has not: {named - crates.keys()}"


def zipped(bootstrap):
    """What a deployment uploads, in bytes."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(bootstrap, "bootstrap")
    return len(package.getvalue())


def main(build, output):
    known = json.loads(cargo("metadata", "--format-version", "1"))["packages"]
    licences = {(each["name"], each["version"]): each["license"] for each in known}
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {(each["name"], each["version"]): each.get("checksum") for each in lock}
    output.mkdir(parents=True, exist_ok=True)
    print(f"{'':8} {'bootstrap':>10} {'zip':>10} {'crates':>6}  sha256 of bootstrap")
    for function, package in functions(build / "template.yaml"):
        bootstrap = build / function / "bootstrap"
        bom = bill(package, bootstrap, licences, checksums)
        text = JsonV1Dot6(bom).output_as_string(indent=2)
        if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
            sys.exit(f"{package}: {wrong}")
        (output / f"{package}.cdx.json").write_text(text + "\n")
        size, digest = bootstrap.stat().st_size, next(iter(bom.metadata.component.hashes)).content
        print(f"{function:8} {size:10} {zipped(bootstrap):10} {len(bom.components):6}  {digest}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
