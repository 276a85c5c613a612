"""A watcher between a simulator with tasks in all states and receivers that accept, refuse or are gone."""

import contextlib
import json
import os
import pathlib
import random
import re
import subprocess
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE_SECONDS = 120

# What a page must show as text and nothing else.
HOSTILE_URL = "http://example.com/\"><script>document.title='owned'</script><img src=x onerror=alert(1)>'`&amp;"
HOSTILE_ID = "20261124_<script>document.title='owned'</script>&\"'"
TURNED_URL = "http://example.com/\u202egpj.exe\u2066\u0000\r\nforged"
LONG_URL = "https://cdn.example.com/" + "a" * 600 + "?sign=" + "0" * 300


class Receiver:
    """Answers every webhook request with one status."""

    def __init__(self, status):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/secret-token"


def eventually(what, attempt):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        result = attempt()
        if result:
            return result
        time.sleep(0.1)
    raise AssertionError(f"waited {PATIENCE_SECONDS} s in vain for {what}")


def script(*steps):
    """Steps as (seconds after the previous one, change), in the simulator's notation."""
    changes = ["wait"] + [change for _, change in steps]
    pauses = [f":{int(1000 * after)}ms" for after, _ in steps] + [""]
    return ",".join(change + pause for change, pause in zip(changes, pauses))


def ended(change, took):
    return script((took / 3, "process"), (took * 2 / 3, change))


def task(id, age, script, urls=None, **more):
    created = int(time.time() - age)
    urls = urls or [f"https://cdn.example.com/{id}/{name}.css" for name in ("app", "theme")]
    return dict(id=id, created=created, urls=urls, script=script, type="file", **more)


def day(chance):
    """A day of finished tasks, more in some hours than in others. A few have failed."""
    tasks = []
    for hour in range(24):
        for number in range(2 + (hour * 7) % 9):
            age = 3600 * hour + 240 * number + chance.randint(700, 900)
            took = chance.lognormvariate(2.6 + 0.5 * ((hour // 5) % 2), 0.5)
            failed = hour in (3, 4, 11) and number % 3 == 0
            outcome = ended("failure+0=failure+*=success" if failed else "success", took)
            tasks.append(task(time.strftime("%Y%m%d%H%M%S", time.localtime(time.time() - age)) + f"_{chance.randrange(16**8):08x}", age, outcome))
    return tasks


def under_way():
    """Unfinished tasks: processing, waiting, in an unknown status, stalled, and one with hostile texts."""
    halves = "".join(f"+{number}=success" for number in range(5)) + "+5=failure+5=30%+6=process+6=60%+*=wait"
    many = [f"https://img.example.com/2026/11/24/hero-{number}.webp" for number in range(12)]
    return [
        task("20261124083210_5d1c99aa", 130, script((1, "process" + halves)), many),
        task("20261124083344_0b77e1f0", 45, script((1, "process+0=process+0=45%+*=wait"))),
        task("20261124083355_91af00c2", 20, script(), ["https://cdn.example.com/index.html"]),
        task("20261124083300_77c0ffee", 90, script((1, "unknow"))),
        task("20261124071200_deadbeef", 4800, script((1, "process")), many[:3]),
        task(HOSTILE_ID, 100, script((1, "process")), [HOSTILE_URL, TURNED_URL, LONG_URL]),
    ]


class Scene:
    def __init__(self, program, folder):
        self.program, self.folder, self.children = program, pathlib.Path(folder), []

    def start(self, name, *arguments):
        log = open(self.folder / f"{name}.log", "w")
        child = subprocess.Popen([self.program, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.children.append(child)
        return child

    def said(self, name, pattern):
        found = re.findall(pattern, (self.folder / f"{name}.log").read_text())
        return found and found[-1]

    def control(self, path, body):
        request = urllib.request.Request(f"{self.endpoint}_control/{path}", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def simulate(self):
        self.start("simulator", "simulate", "--listen", "127.0.0.1:0")
        said = lambda key: eventually(key, lambda: self.said("simulator", rf'{key}\W+([^"\s,]+)'))
        self.endpoint, self.public, self.private = said("endpoint"), said("public_key"), said("private_key")
        self.control("tasks", day(random.Random(7)) + under_way())

    def configure(self, **webhooks):
        hooks = "".join(f'[webhooks.{name}]\nurl = "{url}"\n' for name, url in webhooks.items())
        (self.folder / "config.toml").write_text(f"""
state = "{self.folder}/state.db"
[poll]
interval = "1s"
first_run = "all"
fail_after = 2
[accounts.main]
endpoint = "{self.endpoint}"
public_key = "{self.public}"
private_key = "{self.private}"
[accounts.away]
endpoint = "http://127.0.0.1:1/"
public_key = "public"
private_key = "private"
[targets.shop]
account = "main"
[targets.video]
account = "main"
tasks = "prefetch"
[targets.archive]
account = "away"
[http]
listen = "127.0.0.1:0"
{hooks}""")
        os.chmod(self.folder / "config.toml", 0o600)

    def watch(self):
        self.start("watcher", "--config", str(self.folder / "config.toml"))
        address = eventually("the address", lambda: self.said("watcher", r"listening: address=(\S+)"))
        self.url = f"http://{address}/"
        eventually("the last poll", lambda: "consecutive polls of archive" in self.read(""))
        eventually("all tasks", lambda: HOSTILE_ID.split("<")[0] in self.read("tasks?status=in-flight"))
        eventually("dead deliveries", lambda: "dead deliver" in self.read(""))

    def read(self, path):
        with urllib.request.urlopen(self.url + path) as answer:
            return answer.read().decode()

    def stop(self):
        for child in self.children:
            child.terminate()
        for child in self.children:
            child.wait()


@contextlib.contextmanager
def broken_scene(program):
    """A scene with every possible issue."""
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(program, folder)
        try:
            scene.simulate()
            scene.configure(
                ops=Receiver(204).url, gone=Receiver(410).url, strict=Receiver(422).url, away="http://127.0.0.1:1/secret-token"
            )
            scene.watch()
            yield scene
        finally:
            scene.stop()
