"""Runs `ucdn-watch check` over every config that we ship: *.toml files, and ```toml blocks in *.md files.

A block that is not a whole config has `<!-- fragment -->` as the last line before it. What a config reads (files,
environment variables, credentials) gets a stand-in in a temporary directory.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

NOT_OURS = {"Cargo.toml", "clippy.toml", "deny.toml", "rustfmt.toml"}
TRUST_STORE = "/etc/ssl/certs/ca-certificates.crt"
BLOCK = re.compile(r"^(?P<indent> *)```toml\b[^\n]*\n(?P<text>.*?)^ *```", re.MULTILINE | re.DOTALL)
FRAGMENT = "<!-- fragment -->"


def tracked(pattern):
    listing = subprocess.run(["git", "ls-files", "-z", "--", pattern], check=True, capture_output=True, text=True)
    paths = (Path(name) for name in listing.stdout.split("\0") if name)
    return [path for path in paths if path.parts[0] not in {"tests", "benches"} and path.exists()]


def configs():
    """Yields (where, text)."""
    for path in tracked("*.toml"):
        if path.name not in NOT_OURS:
            yield str(path), path.read_text()
    for path in tracked("*.md"):
        text = path.read_text()
        for block in BLOCK.finditer(text):
            before = text[: block.start()].rstrip().splitlines()
            if not before or before[-1].strip() != FRAGMENT:
                line = text.count("\n", 0, block.start()) + 1
                yield f"{path}:{line}", block["text"]


def references(value, key=""):
    """Yields (key, kind, name) of each `key = { kind = name }`."""
    if isinstance(value, dict):
        if len(value) == 1:
            (kind, name), = value.items()
            if kind in {"file", "env", "credential"} and isinstance(name, str):
                yield key, kind, name
                return
        for inner_key, inner in value.items():
            yield from references(inner, inner_key)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner, key)
    elif key == "ca_file":
        yield key, "ca_file", value


def stand_in(key):
    """A value of the kind that the key takes."""
    return {
        "url": "https://hooks.example.com/stand-in",
        "endpoint": "https://api.example.com/",
        "proxy": "http://proxy.example.com:3128",
        "state": "postgres://stand-in@db.example.com/ucdn",
    }.get(key, "stand-in")


def write_private(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)


def check(program, where, text, scratch):
    environment = {
        "PATH": os.environ["PATH"],
        "STATE_DIRECTORY": str(scratch / "state"),
        "CREDENTIALS_DIRECTORY": str(scratch / "credentials"),
    }
    for key, kind, name in references(tomllib.loads(text)):
        if kind == "env":
            environment[name] = stand_in(key)
        elif kind == "credential":
            write_private(scratch / "credentials" / name, stand_in(key))
        elif kind == "file":
            copy = scratch / "files" / name.lstrip("/")
            write_private(copy, stand_in(key))
            text = text.replace(json.dumps(name), json.dumps(str(copy)))
        elif kind == "ca_file":
            text = text.replace(json.dumps(name), json.dumps(TRUST_STORE))
    config = scratch / "config.toml"
    write_private(config, text)
    (scratch / "state").mkdir(exist_ok=True)
    command = [program, "--config", str(config), "check"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    print(f"{'ok' if run.returncode == 0 else 'WRONG'}  {where}")
    if run.returncode != 0:
        print(f"exit {run.returncode}\n{run.stdout}{run.stderr}", file=sys.stderr)
    return run.returncode == 0


def main():
    program = str(Path(sys.argv[1]).resolve())
    found = list(configs())
    if not any(where == "config.example.toml" for where, _ in found):
        sys.exit("config.example.toml is missing")
    failures = 0
    for where, text in found:
        with tempfile.TemporaryDirectory() as scratch:
            failures += not check(program, where, text, Path(scratch))
    if failures:
        sys.exit(f"{failures} of {len(found)} configs are wrong")


main()
