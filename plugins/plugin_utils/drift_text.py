# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has changed since an earlier report, as text: nodes to which the same happened share a line."""

from __future__ import annotations

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import report_drift
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import clean, columns, escape, examples, markdown_table

EXAMPLE_NAMES = 3
# What is compared of a node, in the order of the text, after its verdict.
_FACTS = {"value": "value", "kernel": "kernel", "kube_proxy": "kube-proxy", "mode": "mode", "form": "form", "os": "os", "plan": "plan"}
_WORDS = {
    report_drift.WORSE: "worse",
    report_drift.NOT_READ: "no longer read",
    report_drift.GONE: "gone",
    report_drift.NEW: "new",
    report_drift.READ_AGAIN: "read again",
    report_drift.OTHER: "otherwise changed",
    report_drift.BETTER: "better",
    report_drift.UNCHANGED: "unchanged",
}
_HEAD = ["WHAT", "NODES", "CHANGE", "EXAMPLES"]
Row = tuple[str, int, str, str]


def _shown(value) -> str:
    return "?" if value is None else str(value)


def _moment_changes(before: dict, after: dict) -> list[str]:
    """The moments whose verdict has changed, where the headline has not."""
    moments = [name for name in after["moments"] if before["moments"].get(name) != after["moments"][name]]
    return [f"{name.replace('_', ' ')}: {_shown(before['moments'].get(name))} -> {after['moments'][name]}" for name in moments]


def _happened(node: dict) -> list[tuple[str, str]]:
    """(what, change) of a node, one for each thing that changed."""
    before, after, change = node["before"], node["after"], node["change"]
    if change == report_drift.NEW:
        return [("new node", _shown(after.get("verdict", "not read")))]
    if change == report_drift.GONE:
        return [("gone node", f"was {_shown(before.get('verdict', 'not read'))}")]
    if change == report_drift.NOT_READ:
        return [("no longer read", f"was {before['verdict']}; {after['not_read']}")]
    if change == report_drift.READ_AGAIN:
        return [("read again", after["verdict"])]
    told = []
    if before["verdict"] != after["verdict"]:
        told.append(("verdict" if change == report_drift.OTHER else change, f"{before['verdict']} -> {after['verdict']}"))
    else:
        told += [("moment", text) for text in _moment_changes(before, after)]
    told += [(name, f"{_shown(before[key])} -> {_shown(after[key])}") for key, name in _FACTS.items() if before.get(key) != after.get(key)]
    told += [("new finding", item["key"]) for item in node["new_findings"]]
    return told + [("gone finding", item["key"]) for item in node["gone_findings"]]


_ORDER = (
    "worse", "no longer read", "gone node", "new node", "verdict", "moment", "new finding",
    *_FACTS.values(), "gone finding", "read again", "better",
)  # fmt: skip


def happenings(drift: dict) -> list[tuple[str, str, list[str]]]:
    """(what, change, names of the nodes to which it happened), what needs somebody first. Not escaped."""
    groups: dict[tuple[str, str], list[str]] = {}
    for node in drift["nodes"]:
        for happened in dict.fromkeys(_happened(node)):
            groups.setdefault(happened, []).append(node["name"])
    # Within what is equal in kind, most nodes first; the rest stays in the order of the nodes, worst first.
    ordered = sorted(groups.items(), key=lambda item: (_ORDER.index(item[0][0]), -len(item[1])))
    return [(what, text, names) for (what, text), names in ordered]


def names_of(names: list[str]) -> str:
    """The first names, and how many there are beside."""
    return examples({"examples": names[:EXAMPLE_NAMES], "count": len(names)})


def _rows(drift: dict) -> list[Row]:
    return [(what, len(names), text, names_of(names)) for what, text, names in happenings(drift)]


def headline(drift: dict) -> str:
    """The sentence that counts what has changed. Not escaped."""
    baseline, summary = drift["baseline"], drift["summary"]
    of = f" of {baseline['name']}" if "name" in baseline else ""
    since = f"Since the report{of} of {baseline['generated_at']}"
    if not drift["nodes"]:
        return f"{since} nothing has changed on {summary['unchanged']} node{'s' if summary['unchanged'] != 1 else ''}"
    return f"{since}: " + ", ".join(f"{summary[word]} {name}" for word, name in _WORDS.items() if summary[word])


def terminal(report: dict, maximum_rows: int = 40) -> list[str]:
    """The lines above the audit's table; none of a report that was not compared."""
    drift = mapping(report.get("drift"))
    if not drift:
        return []
    rows = _rows(drift)
    lines = [clean(headline(drift), 400), ""]
    if rows:
        lines += [*columns(_HEAD, [[row[0], str(row[1]), row[2], row[3]] for row in rows[:maximum_rows]], [15, 7, 100, 100]), ""]
    if len(rows) > maximum_rows:
        lines += [f"… and {len(rows) - maximum_rows} more, all in report.md", ""]
    return lines


def markdown(report: dict) -> list[str]:
    """What stands at the head of a page."""
    drift = mapping(report.get("drift"))
    if not drift:
        return []
    return ["## What has changed", "", f"{escape(headline(drift), 400)}.", "", *markdown_table(["what", "nodes", "change", "for example"], _rows(drift))]
