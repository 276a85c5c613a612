"""A script that users write without ucdn-watch: reads the whole list with the vendor's SDK and compares it with a snapshot.

Prints a line for each task that changed. Takes the endpoint and the snapshot's path; the keys come from the environment.
"""

import json
import os
import sys
import time

from ucloud.client import Client
from ucloud.core.utils.middleware import Middleware

PAGE = 1000
LOOKBACK_SECONDS = 24 * 3600


def pages(ucdn):
    now = int(time.time())
    offset = 0
    while True:
        answer = ucdn.describe_new_ucdn_refresh_cache_task(
            {"BeginTime": now - LOOKBACK_SECONDS, "EndTime": now + 600, "Offset": offset, "Limit": PAGE}
        )
        page = answer.get("TaskList") or []
        yield page
        if len(page) < PAGE:
            return
        offset += len(page)


def current(ucdn):
    return {
        task["TaskId"]: {
            "status": task["Status"],
            "urls": {url["Url"]: url["Status"] for url in task["UrlLists"]},
        }
        for page in pages(ucdn)
        for task in page
    }


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def save(path, snapshot):
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(snapshot, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


def main():
    endpoint, path = sys.argv[1:]
    # A log level alone is not enough: the SDK would still format each answer as text.
    silent = Middleware()
    client = Client(
        {
            "public_key": os.environ["UCDN_PUBLIC_KEY"],
            "private_key": os.environ["UCDN_PRIVATE_KEY"],
            "base_url": endpoint,
        },
        middleware=silent,
    )
    before, now = load(path), current(client.ucdn())
    changed = [task for task, state in now.items() if before.get(task) != state]
    for task in changed:
        print(task, before.get(task, {}).get("status"), "->", now[task]["status"])
    if changed or len(now) != len(before):
        save(path, now)


main()
