# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data that report.html carries for its table of nodes: each value once, the nodes point at them.

In a fleet most nodes are alike, so that 5,000 of them need little more than their names.
"""

from __future__ import annotations

import json

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import drift_text, report_advice
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, sequence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.findings import SEVERITIES
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_file import own_name
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_nodes import change_word, changes, report_names
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import MEANING, MOMENT_NAMES, clean
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import VERDICTS

MAXIMUM_TEXT = 1000
# So many rows the table of what has changed has.
MAXIMUM_CHANGES = 100
# Of a node's forecast and repair, what the page shows.
FORECAST = ("verdict", "moments", "plan", "transitions", "waived")
REPAIR = ("result", "reason", "hold", "neutralised", "rolled_back", "proof", "before", "after")


def cleaned(value):
    """VALUE with every text in it on one line, without control characters and marks that turn text around."""
    if isinstance(value, str):
        return clean(value, MAXIMUM_TEXT)
    if isinstance(value, dict):
        return {clean(key): cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [cleaned(item) for item in value]
    return value


class Pool:
    """Values, each of them once."""

    def __init__(self) -> None:
        self.values: list = []
        self._places: dict[str, int] = {}

    def place(self, value) -> int | None:
        """Where VALUE stands in the pool; None for None."""
        if value is None:
            return None
        key = json.dumps(value, sort_keys=True)
        if key not in self._places:
            self._places[key] = len(self.values)
            self.values.append(cleaned(value))
        return self._places[key]


def _part(value, names: tuple[str, ...]) -> dict | None:
    return {name: mapping(value)[name] for name in names if name in mapping(value)} if value else None


def moments_in(report: dict) -> list[str]:
    """The moments that the report's nodes have, in their order."""
    present = {name for node in report["nodes"] for name in mapping(node.get("moments"))}
    return [name for name in MOMENT_NAMES if name in present]


def _own_name(node: dict) -> str | None:
    """The name that a command takes, where a merge gave the node another one."""
    return own_name(node) if own_name(node) != node.get("name") else None


def page_data(report: dict) -> tuple[dict, Pool]:
    """What the page's script reads, and the pool in it. nodes: a list each of name and places in the pool, in the order of `fields`."""
    pool, nodes = Pool(), []
    happenings = drift_text.happenings(report["drift"])[:MAXIMUM_CHANGES] if mapping(report.get("drift")) else []
    happened: dict[str, list[int]] = {}
    for place, (_what, _change, names) in enumerate(happenings):
        for name in names:
            happened.setdefault(name, []).append(place)
    changed = changes(report)
    for node in report["nodes"]:
        facts = mapping(node.get("facts"))
        row = [clean(node.get("name"), MAXIMUM_TEXT), VERDICTS.index(node["verdict"]) if node.get("verdict") in VERDICTS else VERDICTS.index("unknown")]
        row += [pool.place(facts.get(name)) for name in ("kernel", "os", "kube_proxy", "form", "mode")]
        row += [pool.place(node.get(name)) for name in ("origin", "moments", "capabilities", "findings", "plan")]
        row += [pool.place(value) for value in (_own_name(node), node.get("report"), node.get("waived"))]
        row += [pool.place(change_word(report, str(node.get("name")), changed)), pool.place(happened.get(str(node.get("name"))))]
        nodes.append([*row, pool.place(_part(node.get("forecast"), FORECAST)), pool.place(_part(node.get("remediation"), REPAIR))])
    keys = sorted({str(mapping(item).get("key")) for node in report["nodes"] for item in sequence(node.get("findings"))})
    data = {
        "fields": [
            *("name", "rank", "kernel", "os", "kube_proxy", "form", "mode"),
            *("origin", "moments", "capabilities", "findings", "plan"),
            *("own", "report", "waived", "change", "happened", "forecast", "repair"),
        ],
        "verdicts": [[word, MEANING[word]] for word in VERDICTS],
        "moments": [[name, MOMENT_NAMES[name]] for name in moments_in(report)],
        "severities": list(SEVERITIES),
        "actions": [[action, *words] for action, words in report_advice.actions().items()],
        "advice": [[clean(key, MAXIMUM_TEXT), *report_advice.advice(key), report_advice.why(key)] for key in keys],
        "forecast": "forecast" in report["summary"],
        "repair": "remediation" in report["summary"],
        "reports": bool(report_names(report)),
        "happenings": [[what, clean(change, MAXIMUM_TEXT)] for what, change, _names in happenings],
        "pool": pool.values,
        "nodes": nodes,
    }
    return data, pool


def script_text(data) -> str:
    """DATA as JSON inside a script element: in ASCII, and without a character that could end the element or begin a comment."""
    json_text = json.dumps(data, separators=(",", ":"))
    return json_text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
