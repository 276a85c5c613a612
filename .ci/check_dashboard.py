"""Prints a file of Prometheus rules that holds every expression of a Grafana dashboard, for `promtool check rules`.

Grafana's variables get a stand-in.
"""

import json
import re
import sys


def panels(dashboard):
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def main():
    dashboard = json.load(open(sys.argv[1], encoding="utf-8"))
    print("groups:\n  - name: dashboard\n    rules:")
    for panel in panels(dashboard):
        for target in panel["targets"]:
            expression = re.sub(r"\$__\w+", "5m", target["expr"])
            name = f"panel:{panel['id']}:{target['refId']}"
            print(f"      - record: {json.dumps(name)}\n        expr: {json.dumps(expression)}")


main()
