"""What infra/packages.py has made, as somebody gets it who has no Rust: installed into empty places, and run.

    target/python/bin/python tests/packages.py functions target/packages
    target/python/bin/python tests/packages.py programs target/packages

Nothing is downloaded: pip has no index, npm no registry. Fails where a checksum, a version or an exit code is another.
"""

import difflib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "infra"))
from packages import PROGRAMS, TARGETS, VERSION  # noqa: E402

OUT = Path(sys.argv[2]).resolve()
GATE = {"SAYSO_ISSUER": "http://127.0.0.1:9", "SAYSO_AUDIENCE": "here", "SAYSO_GATE_NAME": "a gate"}


def run(*command, code=0, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == code, f"{command}: exit {done.returncode}, not {code}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def checksums():
    listed = dict(reversed(line.split("  ")) for line in (OUT / "SHA256SUMS").read_text().splitlines())
    there = {path.name for path in OUT.iterdir()} - {"SHA256SUMS"}
    assert listed.keys() == there, listed.keys() ^ there
    for name, digest in listed.items():
        assert hashlib.sha256((OUT / name).read_bytes()).hexdigest() == digest, name


def works(sayso_gate, sayso, env=None):
    """Both programs run, and the gate refuses what is no token, with the status that scripts look for."""
    env = {**os.environ, **(env or {})}
    for program, words in (("sayso-gate", sayso_gate), ("sayso", sayso)):
        assert run(*words, "--version", env=env).strip() == f"{program} {VERSION}"
    assert "run" in run(*sayso_gate, "--help", env=env) and "doctor" in run(*sayso, "--help", env=env)
    with tempfile.TemporaryDirectory() as folder:
        arguments = Path(folder, "arguments.json")
        arguments.write_text("{}")
        command = [*sayso_gate, "verify", "--tool", "t", "--arguments", arguments]
        said = run(*command, code=77, env={**env, **GATE}, input="no token")
        assert "not an approval token" in said, said


def wheels(folder):
    venv.create(folder / "venv", with_pip=True)
    pip = [folder / "venv/bin/python", "-m", "pip", "install", "--quiet", "--no-index", "--disable-pip-version-check"]
    run(*pip, "--find-links", OUT, "sayso-gate", "sayso")
    works([folder / "venv/bin/sayso-gate"], [folder / "venv/bin/sayso"])


def tarballs(folder, target):
    for program in PROGRAMS:
        with tarfile.open(OUT / f"{program}-{VERSION}-{target}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    words = [[folder / f"{program}-{VERSION}-{target}" / program] for program in PROGRAMS]
    works(*words)
    if "musl" in target:
        with open(words[0][0], "rb") as binary:
            assert b"ld-linux" not in binary.read(4096), "the binary is not static"


def npm(folder, target):
    system, cpu, _ = TARGETS[target]
    names = [name for _, name in PROGRAMS.values()]
    tarballs = [OUT / f"{name}{suffix}-{VERSION}.tgz" for name in names for suffix in (f"-{system}-{cpu}", "")]
    (folder / "package.json").write_text(json.dumps({"name": "empty", "private": True}))
    run("npm", "install", "--silent", "--offline", "--no-audit", "--no-fund", *tarballs, cwd=folder)
    words = [[folder / "node_modules/.bin" / program] for program in PROGRAMS]
    works(*words)
    # A client that ends what it has started ends the gate as well, also where Node.js cannot replace itself by it.
    for options in ("", "--import=data:text/javascript,process.execve=undefined"):
        started = subprocess.Popen(
            [*words[0], "verify", "--tool", "t", "--arguments", "/dev/stdin"], stdin=subprocess.PIPE,
            env={**os.environ, **GATE, "NODE_OPTIONS": options}, start_new_session=True)
        deadline = time.monotonic() + 30
        while not (gates := in_session(started.pid)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert gates, "the gate did not start"
        started.send_signal(signal.SIGTERM)
        assert started.wait(30) != 0
        while in_session(started.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not in_session(started.pid), "the gate outlives its launcher"


def in_session(session):
    """The gates that run in a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = re.match(r"\d+ \((.*)\) (.*)", stat.read_text(), re.S).groups()
        except OSError:
            continue
        if name == "sayso-gate" and int(rest.split()[3]) == session:
            found.append(stat.parent.name)
    return found


# In what the packed template differs from the repository's: nothing to build, archives to deploy, their processor.
LEFT_OUT = r"    Metadata:|      BuildMethod: rust-cargolambda|      BuildProperties: .*|      CodeUri: functions/\w+|    Default: (arm64|x86_64)"
PUT_IN = r"      CodeUri: \w+\.zip|    Default: (arm64|x86_64)"


def functions():
    """The packed template is the repository's, and each of its archives holds a program that Lambda can start."""
    source = (ROOT / "template.yaml").read_text()
    wanted = source.count("Type: AWS::Serverless::Function\n")
    [path] = OUT.glob(f"sayso-{VERSION}-aws-*.zip")
    with zipfile.ZipFile(path) as archive:
        template = archive.read("template.yaml").decode()
        for line in difflib.ndiff(source.splitlines(), template.splitlines()):
            change, text = line[0], line[2:]
            assert change in " ?" or re.fullmatch({"-": LEFT_OUT, "+": PUT_IN}[change], text), line
        assert "BuildMethod" not in template
        code = re.findall(r"(?m)^      CodeUri: (.*)$", template)
        assert len(code) == wanted > 0
        for name in [*code, *re.findall(r"(?m)^      TemplateURL: (.*)$", template), "samconfig.toml"]:
            archive.getinfo(name)
        for name in code:
            with archive.open(name) as file, zipfile.ZipFile(file) as inner:
                [entry] = inner.infolist()
                assert (entry.filename, entry.external_attr >> 16 & 0o777) == ("bootstrap", 0o755), name
                assert inner.read(entry)[:4] == b"\x7fELF", name
    print(f"{path.name}: the repository's template, and {wanted} functions")


def programs():
    checksums()
    targets = {target for target in TARGETS if (OUT / f"sayso-gate-{VERSION}-{target}.tar.gz").exists()}
    assert targets, f"no programs in {OUT}"
    for target in targets:
        for way in (wheels, lambda folder: tarballs(folder, target), lambda folder: npm(folder, target)):
            with tempfile.TemporaryDirectory() as folder:
                way(Path(folder))
        print(f"{target}: the wheels, the tarballs and the npm packages install and run")


if __name__ == "__main__":
    {"functions": functions, "programs": programs}[sys.argv[1]]()
