"""sbom.py REPOSITORY PACKAGES.TSV BOARD VERSION STARTER=VERSION: what an image is made of, as CycloneDX 1.5.

Crates are those that `cargo metadata` finds for the appliance on arm64, Debian packages those that were
installed. STARTER is u-boot, or systemd-boot-efi where UEFI starts our own loader.
"""
import datetime
import json
import os
import subprocess
import sys
import uuid

repository, packages, board, version, starter = sys.argv[1:]
starter, starter_version = starter.split("=", 1)


def crates(program, target):
    """Every crate that is linked into a program: no build scripts' and no tests' dependencies."""
    metadata = json.loads(subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target,
         "--manifest-path", f"{repository}/Cargo.toml"], check=True, capture_output=True).stdout)
    by_id = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    seen, todo = set(), [p["id"] for p in metadata["packages"] if p["name"] == program]
    while todo:
        one = todo.pop()
        if one in seen:
            continue
        seen.add(one)
        todo += [dep["pkg"] for dep in nodes[one]["deps"]
                 if any(kind["kind"] is None for kind in dep["dep_kinds"])]
    hashes = checksums()
    for package in sorted((by_id[one] for one in seen), key=lambda p: (p["name"], p["version"])):
        component = {"type": "library", "name": package["name"], "version": package["version"],
                     "purl": f"pkg:cargo/{package['name']}@{package['version']}",
                     "bom-ref": f"cargo:{package['name']}@{package['version']}"}
        if package["license"]:
            component["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        if (package["name"], package["version"]) in hashes:
            component["hashes"] = [{"alg": "SHA-256", "content": hashes[package["name"], package["version"]]}]
        yield component


def checksums():
    import tomllib
    with open(f"{repository}/Cargo.lock", "rb") as lock:
        return {(p["name"], p["version"]): p["checksum"]
                for p in tomllib.load(lock)["package"] if "checksum" in p}


def debian():
    with open(packages, encoding="utf-8") as file:
        for line in sorted(file):
            name, release, architecture, source, source_version = line.rstrip("\n").split("\t")
            yield {"type": "library", "name": name, "version": release, "bom-ref": f"deb:{name}@{release}",
                   "purl": f"pkg:deb/debian/{name}@{release}?arch={architecture}&distro=bookworm",
                   "properties": [{"name": "debian:source", "value": f"{source} {source_version}"}]}


components = list(crates("firmware", "aarch64-unknown-linux-gnu"))
if starter == "systemd-boot-efi":
    known = {component["bom-ref"] for component in components}
    components += [one for one in crates("loader", "aarch64-unknown-uefi") if one["bom-ref"] not in known]
components += debian()
components.append({"type": "firmware", "name": starter, "version": starter_version, "bom-ref": starter})
written = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
bom = {
    "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
    "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'sialoscope/{board}/{version}')}",
    "metadata": {
        "timestamp": written.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "component": {"type": "firmware", "name": f"sialoscope-{board}", "version": version, "bom-ref": "image"},
    },
    "components": components,
}
json.dump(bom, sys.stdout, indent=1, sort_keys=True)
print()
