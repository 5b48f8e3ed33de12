"""Packs the programs for people who have no Rust: wheels, npm packages, tarballs; and the functions for those who deploy.

    target/python/bin/python infra/packages.py programs x86_64-unknown-linux-musl target/packages
    target/python/bin/python infra/packages.py functions .aws-sam/build target/packages
    target/python/bin/python infra/packages.py finish target/packages

`programs` compiles sayso-gate and sayso for a target, and packs each three times: one binary, the same in all of them.
`functions` packs what `sam build` has made, with a template that needs no build. `finish` makes the npm packages that choose
by platform, for the platforms that are there, and writes SHA256SUMS. docs/installing.md has what people do with them.
"""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
# Each program: where its package is, and what npm calls it (`sayso` is somebody else's there).
PROGRAMS = {"sayso-gate": ("infra/gate", "sayso-gate"), "sayso": ("infra/operator", "sayso-operator")}
# Each target: npm's names for it, and which systems a wheel of it is for. A static binary needs no C library.
TARGETS = {
    "x86_64-unknown-linux-musl": ("linux", "x64", ["manylinux2014", "musllinux_1_1"]),
    "aarch64-unknown-linux-musl": ("linux", "arm64", ["manylinux2014", "musllinux_1_1"]),
    "x86_64-apple-darwin": ("darwin", "x64", []),
    "aarch64-apple-darwin": ("darwin", "arm64", []),
}
# Runs the platform's binary in the place of itself where Node.js can, and beside itself elsewhere: an MCP client that ends
# the one has to end the other.
LAUNCHER = """#!/usr/bin/env node
"use strict";
const { spawn } = require("node:child_process");
const name = `%(npm)s-${process.platform}-${process.arch}`;
let binary;
try {
  binary = require.resolve(`${name}/bin/%(program)s`);
} catch {
  console.error(`%(npm)s: there is no package for this platform (${name}). It may have been left out with --no-optional; ` +
    "otherwise build from source: see docs/installing.md.");
  process.exit(1);
}
const words = process.argv.slice(2);
if (process.execve) process.execve(binary, [binary, ...words], process.env);
const child = spawn(binary, words, { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => { console.error(`%(npm)s: ${error.message}`); process.exit(1); });
child.on("exit", (code, signal) => { if (signal) { process.removeAllListeners(signal); process.kill(process.pid, signal); } else process.exit(code); });
"""


def run(*command, **options):
    subprocess.run([str(word) for word in command], check=True, **options)


def metadata(program):
    folder, npm = PROGRAMS[program]
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == program
    return ROOT / folder, npm, project["description"]


def wheel(program, target, out):
    folder, _, _ = metadata(program)
    systems = TARGETS[target][2]
    command = ["maturin", "build", "--release", "--locked", "--target", target, "--out", out]
    if systems:
        command += ["--zig", "--compatibility", *systems]
    run(*command, "--manifest-path", folder / "Cargo.toml", cwd=ROOT)
    # The binary is taken out of the wheel, so that it is the same everywhere.
    tags = {"linux": "musllinux", "darwin": "macosx"}[TARGETS[target][0]]
    arch = "x86_64" if target.startswith("x86_64") else "a(arch64|rm64)"
    name = re.compile(rf"{program.replace('-', '_')}-{re.escape(VERSION)}-py3-none-.*{tags}.*_{arch}\.whl")
    [made] = [path for path in out.iterdir() if name.fullmatch(path.name)]
    with zipfile.ZipFile(made) as archive:
        [binary] = [entry for entry in archive.namelist() if entry.endswith(f".data/scripts/{program}")]
        return archive.read(binary)


def tarball(program, target, binary, out):
    folder, _, _ = metadata(program)
    top = f"{program}-{VERSION}-{target}"
    files = [(program, 0o755, binary)]
    files += [(name, 0o644, (folder / name).read_bytes()) for name in ("LICENSE", "README.md")]
    with tarfile.open(out / f"{top}.tar.gz", "w:gz") as archive:
        for name, mode, content in files:
            entry = tarfile.TarInfo(f"{top}/{name}")
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))


def npm_pack(package, files, out):
    """`npm pack` of these files, each with its mode, and this package.json."""
    package = {"version": VERSION, "license": "Apache-2.0", **package}
    # npm's provenance holds this against the repository that has built the package.
    if repository := os.environ.get("GITHUB_REPOSITORY"):
        package["repository"] = {"type": "git", "url": f"git+{os.environ['GITHUB_SERVER_URL']}/{repository}.git"}
    with tempfile.TemporaryDirectory() as folder:
        for name, (mode, content) in {**files, "package.json": (0o644, json.dumps(package, indent=2).encode())}.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(mode)
        run("npm", "pack", "--silent", "--pack-destination", out.resolve(), cwd=folder, stdout=subprocess.DEVNULL)


def npm_platform(program, target, binary, out):
    folder, npm, description = metadata(program)
    system, cpu, _ = TARGETS[target]
    package = {"name": f"{npm}-{system}-{cpu}", "description": f"{description} ({system}, {cpu})", "os": [system], "cpu": [cpu]}
    files = {f"bin/{program}": (0o755, binary), "LICENSE": (0o644, (folder / "LICENSE").read_bytes())}
    npm_pack({**package, "files": ["bin"]}, files, out)


def npm_main(program, out):
    folder, npm, description = metadata(program)
    platforms = [f"{npm}-{system}-{cpu}" for system, cpu, _ in TARGETS.values()]
    there = [name for name in platforms if (out / f"{name}-{VERSION}.tgz").exists()]
    assert there, f"no package of {npm} for any platform in {out}: make the programs first"
    launcher = LAUNCHER % {"npm": npm, "program": program}
    package = {"name": npm, "description": description, "bin": {program: f"bin/{program}.js"}, "files": ["bin"]}
    package |= {"engines": {"node": ">=18"}, "optionalDependencies": {name: VERSION for name in there}}
    files = {f"bin/{program}.js": (0o755, launcher.encode())}
    files |= {name: (0o644, (folder / name).read_bytes()) for name in ("LICENSE", "README.md")}
    npm_pack(package, files, out)


def programs(target, out):
    for program in PROGRAMS:
        binary = wheel(program, target, out)
        tarball(program, target, binary, out)
        npm_platform(program, target, binary, out)


def functions(build, out):
    """The template with prebuilt functions: one `sam deploy` needs neither Rust nor `sam build`."""
    built = re.findall(r"(?m)^  (\w+):\n    Type: AWS::Serverless::Function$", (ROOT / "template.yaml").read_text())
    template = (ROOT / "template.yaml").read_text()
    # What tells `sam build` how to build is of no use here, and would have somebody try.
    template, left_out = re.subn(r"(?m)^    Metadata:\n      BuildMethod: .*\n      BuildProperties: .*\n", "", template)
    template, pointed = re.subn(
        r"(?m)^(      CodeUri: )functions/(\w+)$", lambda found: f"{found[1]}{found[2].title()}.zip", template)
    assert left_out == pointed == len(built) > 0, (left_out, pointed, built)
    architectures = set()
    top = Path(tempfile.mkdtemp())
    for name in built:
        bootstrap = (Path(build) / name / "bootstrap").read_bytes()
        architectures.add({0x3E: "x86_64", 0xB7: "arm64"}[bootstrap[18]])
        entry = zipfile.ZipInfo("bootstrap", (1980, 1, 1, 0, 0, 0))
        entry.external_attr, entry.compress_type = 0o100755 << 16, zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(top / f"{name}.zip", "w") as archive:
            archive.writestr(entry, bootstrap)
    [architecture] = architectures
    template, defaulted = re.subn(r"(?m)^(  Architecture:\n(?:    .*\n)*?    Default: )\w+$", rf"\g<1>{architecture}", template)
    assert defaulted == 1, "the parameter Architecture has no default to set"
    (top / "template.yaml").write_text(template)
    (top / "infra").mkdir()
    for nested in ("infra/domain.yaml", "infra/http-api.yaml"):
        shutil.copy(ROOT / nested, top / nested)
    for name in ("samconfig.toml", "LICENSE"):
        shutil.copy(ROOT / name, top / name)
    shutil.make_archive(str(out / f"sayso-{VERSION}-aws-{architecture}"), "zip", top)
    shutil.rmtree(top)


def finish(out):
    for program in PROGRAMS:
        npm_main(program, out)
    sums = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(out.iterdir()) if path.name != "SHA256SUMS"
    ]
    (out / "SHA256SUMS").write_text("".join(sums))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["programs", target, out] if target in TARGETS:
            Path(out).mkdir(parents=True, exist_ok=True)
            programs(target, Path(out))
        case ["functions", build, out]:
            Path(out).mkdir(parents=True, exist_ok=True)
            functions(build, Path(out))
        case ["finish", out]:
            finish(Path(out))
        case _:
            sys.exit(f"{__doc__}\nTargets: {', '.join(TARGETS)}")
