"""Installs, upgrades, removes and purges the Debian package in a disposable root: see `run` beside this file.

    life.py EARLIER.deb PACKAGE.deb
"""

import grp
import json
import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import tomllib
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

FOLDER = Path("/etc/ucdn-watch")
CONFIG = FOLDER / "config.toml"
KEY = FOLDER / "private_key"
STATE = Path("/var/lib/ucdn-watch")
UNITS = ["ucdn-watch.service", "ucdn-watch-once.service", "ucdn-watch-once.timer"]
INSTALLED = [
    "/usr/bin/ucdn-watch",
    "/usr/lib/sysusers.d/ucdn-watch.conf",
    "/usr/share/man/man1/ucdn-watch.1.gz",
    "/usr/share/man/man5/ucdn-watch.5.gz",
    "/usr/share/bash-completion/completions/ucdn-watch",
    "/usr/share/zsh/vendor-completions/_ucdn-watch",
    "/usr/share/fish/vendor_completions.d/ucdn-watch.fish",
    "/usr/share/doc/ucdn-watch/copyright",
    "/usr/share/doc/ucdn-watch/changelog.gz",
    "/usr/share/doc/ucdn-watch/changelog.Debian.gz",
    "/usr/share/doc/ucdn-watch/examples/config.toml",
    *(f"/usr/lib/systemd/system/{unit}" for unit in UNITS),
]


def must(holds, what):
    if not holds:
        sys.exit(f"tests/package/life.py: {what}")


def run(*command, expect=0, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    shown = f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    must(done.returncode == expect, shown)
    return done.stdout


def as_service(*command, expect=0):
    """Runs it as the unit does: user, state directory, credential."""
    environment = {"CREDENTIALS_DIRECTORY": str(FOLDER), "STATE_DIRECTORY": str(STATE), "PATH": os.environ["PATH"]}
    user = pwd.getpwnam("ucdn-watch")
    # systemd would give the service its own copy of the credential.
    shutil.chown(KEY, "ucdn-watch")
    output = run(*command, expect=expect, env=environment, user=user.pw_uid, group=user.pw_gid, extra_groups=[])
    shutil.chown(KEY, "root")
    return output


class Receiver(BaseHTTPRequestHandler):
    """Records received events. Answers 503 while it is down."""

    is_down = True
    taken = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.send_response(503 if Receiver.is_down else 204)
        self.end_headers()
        if not Receiver.is_down:
            Receiver.taken.append((self.headers["webhook-id"], body))

    def log_message(self, *_):
        pass


def receiver():
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def simulator():
    """Returns its process and the printed endpoint and keys."""
    process = subprocess.Popen(["ucdn-watch", "simulate", "--tasks", "10"], stdout=subprocess.PIPE, text=True)
    said = ""
    while "private_key" not in said:
        line = process.stdout.readline()
        must(line, "the simulator ended")
        said += line
    return process, tomllib.loads(said)["accounts"]["simulator"]


def submit(endpoint, url):
    """Adds a task through the simulator's control API."""
    request = urllib.request.Request(f"{endpoint}_control/tasks", json.dumps({"urls": [url]}).encode(), method="POST")
    urllib.request.urlopen(request).close()


def installed_as_it_should_be():
    for path in INSTALLED:
        must(Path(path).is_file(), f"{path} was not installed")
    stat = CONFIG.stat()
    must(stat.st_mode & 0o7777 == 0o640, f"the config's mode is {stat.st_mode & 0o7777:o}")
    must(stat.st_uid == 0 and grp.getgrgid(stat.st_gid).gr_name == "ucdn-watch", "the config is not root:ucdn-watch's")
    enabled = [path for unit in UNITS for path in Path("/etc/systemd/system").glob(f"*/{unit}")]
    must(not enabled, f"installing enabled {enabled}")


def configure(endpoint, public_key, private_key, webhook):
    """Edits the packaged config as an administrator would."""
    KEY.write_text(private_key + "\n")
    KEY.chmod(0o600)
    text = CONFIG.read_text()
    for before, after in [
        ('"EXAMPLE-public-key"', json.dumps(public_key)),
        ('# endpoint  = "https://api.sigcalcloud.com/"', f"endpoint = {json.dumps(endpoint)}"),
        ("# [webhooks.ops]", '[poll]\nfirst_run = "failures"\n[webhooks.ops]'),
        ('# url = "https://hooks.example.com/ucdn"', f"url = {json.dumps(webhook)}"),
    ]:
        must(before in text, f"the config that was installed lacks {before}")
        text = text.replace(before, after)
    CONFIG.write_text(text)


def state_of_the_earlier_version():
    """Polls once while the receiver is down. Returns the pending events as (id, bytes), in order."""
    STATE.mkdir(mode=0o700)
    shutil.chown(STATE, "ucdn-watch", "ucdn-watch")
    as_service("ucdn-watch", "--once", expect=75)
    state = sqlite3.connect(f"file:{STATE / 'state.db'}?mode=ro", uri=True)
    pending = state.execute("""SELECT event.id, document FROM delivery JOIN event USING (sequence)
        WHERE webhook = 'ops' AND delivery.state = 'pending' ORDER BY sequence""").fetchall()
    state.close()
    must(pending, "the earlier version's poll found no event")
    return pending


def pending_now():
    pending = json.loads(as_service("ucdn-watch", "deliveries", "--state", "pending", "--json"))
    events = [one["event"] for one in pending["deliveries"]]
    return [event["id"] for event in sorted(events, key=lambda event: event["sequence"])]


def main():
    earlier, package = sys.argv[1:]
    must(not FOLDER.exists() and not STATE.exists(), "this machine has a ucdn-watch already")

    run("dpkg", "--install", earlier)
    installed_as_it_should_be()
    api, account = simulator()
    configure(**account, webhook=receiver())
    as_service("ucdn-watch", "check", "--online")
    run("ucdn-watch", "check", expect=78, user="nobody", group="nogroup", extra_groups=[], env={"PATH": os.environ["PATH"]})
    print("installed an earlier version: its config is valid, and only root and the service can read it")

    pending = state_of_the_earlier_version()
    config = CONFIG.read_text()
    run("dpkg", "--install", package)
    installed_as_it_should_be()
    must(CONFIG.read_text() == config, "the upgrade changed the config")
    submit(account["endpoint"], "http://example.com/after-the-upgrade")
    as_service("ucdn-watch", "--once", expect=75)
    ids = pending_now()
    first = len(pending)
    must(ids[:first] == [id for id, _ in pending], f"after the upgrade {ids} are pending, not {pending} first")
    must(len(ids) > first, "the poll brought nothing new")
    Receiver.is_down = False
    as_service("ucdn-watch", "deliveries", "retry", "--all")
    as_service("ucdn-watch", "--once")
    must([id for id, _ in Receiver.taken] == ids, f"{ids} were pending, {Receiver.taken} were delivered")
    must(Receiver.taken[:first] == pending, f"{pending} became {Receiver.taken[:first]}")
    must(pending_now() == [], "something is still pending")
    print(f"upgraded over a state of the earlier version: pending and new events came in order, {len(ids)} events")

    api.kill()
    api.wait()
    run("dpkg", "--remove", "ucdn-watch")
    must(not Path("/usr/bin/ucdn-watch").exists(), "the program outlived its removal")
    must(CONFIG.read_text() == config, "the config did not outlive the removal")
    state = (STATE / "state.db").read_bytes()
    print("removed: config and state stay")

    run("dpkg", "--purge", "ucdn-watch")
    must(not CONFIG.exists(), "the config outlived the purge")
    must(KEY.exists() and (STATE / "state.db").read_bytes() == state, "the purge took what it had not brought")
    left = run("dpkg-query", "--show", "--showformat=${Package}\n").splitlines()
    must("ucdn-watch" not in left, "dpkg still knows the package")
    print("purged: the config is gone; the key and the state, which the package did not bring, stay")


main()
