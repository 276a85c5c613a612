"""Talks to `ucdn-watch simulate` with the vendor's official SDK, unchanged, and checks what it says.

Needs a simulator with default options, and in the environment UCDN_ENDPOINT, UCDN_PUBLIC_KEY and
UCDN_PRIVATE_KEY, as the simulator prints them. With --submit-only it just submits, for a watcher to report.
"""

import logging
import os
import sys
import time

from ucloud.client import Client
from ucloud.core import exc

LIMIT = 2
PATIENCE_SECONDS = 30


def client(private_key):
    logging.getLogger("ucloud").setLevel(logging.CRITICAL)
    return Client(
        {
            "public_key": os.environ["UCDN_PUBLIC_KEY"],
            "private_key": private_key,
            "base_url": os.environ["UCDN_ENDPOINT"],
            "max_retries": 0,
        }
    ).ucdn()


def submit(ucdn):
    """Submits two tasks that succeed, one with a failing URL, one that gets stuck, and a prefetch."""
    refreshed = {}
    for name, status in [("a", "success"), ("fail", "failure"), ("b", "success"), ("stuck", "process")]:
        urls = ["http://example.com/%s?x=1&y=+ é" % name, "http://example.com/other"]
        answer = ucdn.refresh_new_ucdn_domain_cache({"Type": "file", "UrlList": urls})
        refreshed[answer["TaskId"]] = (status, urls)
    answer = ucdn.prefetch_new_ucdn_domain_cache({"UrlList": ["http://example.com/video"]})
    return refreshed, answer["TaskId"]


def all_pages(ask, **filters):
    """Reads the list page by page."""
    found, offset = {}, 0
    while True:
        page = ask(dict(filters, Offset=offset, Limit=LIMIT))["TaskList"]
        assert len(page) <= LIMIT, page
        found.update((task["TaskId"], task) for task in page)
        if len(page) < LIMIT:
            return found
        offset += len(page)


def wait_for_ends(ask, expected):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = all_pages(ask)
        statuses = {task_id: found[task_id]["Status"] for task_id in expected}
        if statuses == {task_id: status for task_id, (status, _) in expected.items()}:
            return found
        assert time.monotonic() < deadline, statuses
        time.sleep(0.3)


def check(ucdn, refreshed, prefetched):
    found = wait_for_ends(ucdn.describe_new_ucdn_refresh_cache_task, refreshed)
    assert prefetched not in found
    for task_id, (status, urls) in refreshed.items():
        task = found[task_id]
        assert [url["Url"] for url in task["UrlLists"]] == urls, task
        assert task["Type"] == "file" and abs(task["CreateTime"] - time.time()) < 300, task
        if status == "failure":
            assert [url["Status"] for url in task["UrlLists"]] == ["failure", "success"], task
    asked = list(refreshed)[:3]
    by_id = ucdn.describe_new_ucdn_refresh_cache_task({"TaskId": asked, "IsDcdn": False})
    assert {task["TaskId"] for task in by_id["TaskList"]} == set(asked), by_id
    failed = all_pages(ucdn.describe_new_ucdn_refresh_cache_task, Status="failure")
    assert set(refreshed) & set(failed) == {asked[1]}, failed
    assert prefetched in all_pages(ucdn.describe_new_ucdn_prefetch_cache_task)


def check_refusals():
    try:
        client("not the key").describe_new_ucdn_refresh_cache_task({})
    except exc.RetCodeException as error:
        assert error.code == 171, error
        assert error.request_uuid, "X-UCLOUD-REQUEST-UUID"
    else:
        raise AssertionError("a wrong key was accepted")


def main():
    ucdn = client(os.environ["UCDN_PRIVATE_KEY"])
    refreshed, prefetched = submit(ucdn)
    if "--submit-only" not in sys.argv[1:]:
        check(ucdn, refreshed, prefetched)
        check_refusals()
    for task_id, (status, _) in refreshed.items():
        print(task_id, status)
    print(prefetched, "success")


main()
