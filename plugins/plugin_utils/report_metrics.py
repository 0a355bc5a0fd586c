# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report for Prometheus, as a file of node_exporter's textfile collector. Made from the report structure alone.

Names and labels are stable: a metric or a label may be added, none is renamed or taken away. The label is node_name and not node, because most
configurations already give every series a label node, that of the machine which was scraped. The label report is there where the report, or the report that
a node is from, has a name; node_name is then the node's name in that report, so that its series stay the same in a merged report.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, sequence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.findings import SEVERITIES
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plan import ACTIONS
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_drift import CHANGES, UNCHANGED
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_nodes import Identity, identities, waived_until
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import clean
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.waivers import ACTIVE, EXPIRED, UNMATCHED
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import UNKNOWN, VERDICTS

PREFIX = "kubeproxy_ipvs_"
# 5 is stale_backends, 0 not_applicable.
RANKS = {word: len(VERDICTS) - 1 - index for index, word in enumerate(VERDICTS)}
_RANKS_TEXT = ", ".join(f"{rank} {word}" for word, rank in sorted(RANKS.items(), key=lambda item: item[1]))
Sample = tuple[dict, float]


def label_value(value) -> str:
    """VALUE inside the quotes of a label."""
    return clean(value).replace("\\", r"\\").replace('"', r"\"")


def _line(name: str, labels: dict, value) -> str:
    inside = ",".join(f'{key}="{label_value(text)}"' for key, text in labels.items())
    return f"{PREFIX}{name}{{{inside}}} {value}" if inside else f"{PREFIX}{name} {value}"


def _metric(name: str, help_text: str, samples: list[Sample]) -> list[str]:
    """A gauge with its samples. Of two that have the same labels once they are cleaned the greater one stays: a series may come once only."""
    lines: dict[str, tuple[dict, float]] = {}
    for labels, value in samples:
        key = _line(name, labels, "")
        if key not in lines or lines[key][1] < value:
            lines[key] = (labels, value)
    if not lines:
        return []
    return [f"# HELP {PREFIX}{name} {help_text}", f"# TYPE {PREFIX}{name} gauge", *(_line(name, labels, value) for labels, value in lines.values())]


def _seconds(generated_at, labels: dict) -> list[Sample]:
    try:
        return [(labels, int(datetime.datetime.fromisoformat(str(generated_at)).timestamp()))]
    except ValueError:
        return []


def _labels(identity: Identity) -> dict:
    """The labels of a node."""
    return {"node_name": identity.name} | ({"report": identity.report} if identity.report else {})


@dataclass(frozen=True)
class _Node:
    """A node's entry in the report and the labels of its series."""

    labels: dict
    entry: dict


def _moments(node: _Node) -> list[Sample]:
    moments = mapping(node.entry.get("moments"))
    return [(node.labels | {"moment": name}, RANKS.get(mapping(entry).get("verdict"), RANKS[UNKNOWN])) for name, entry in moments.items()]


def _waived_moments(node: _Node) -> list[Sample]:
    """Until when the verdict is accepted, at each moment that brings it. A waiver is about one verdict: a moment that brings another one is not in it."""
    until = waived_until(node.entry)
    if until is None:
        return []
    moments = mapping(node.entry.get("moments"))
    return [(node.labels | {"moment": name}, until) for name, entry in moments.items() if mapping(entry).get("verdict") == node.entry.get("verdict")]


def _value(node: _Node) -> list[Sample]:
    value = mapping(mapping(node.entry.get("moments")).get("now")).get("value")
    return [(node.labels, value)] if isinstance(value, int) else []


def _info(node: _Node) -> list[Sample]:
    facts, plan = mapping(node.entry.get("facts")), mapping(node.entry.get("plan"))
    about = {key: facts.get(key) for key in ("kernel", "os", "kube_proxy", "form", "mode")}
    return [(node.labels | about | {"plan": plan.get("action")}, 1)]


def _findings_of(node: _Node) -> list[Sample]:
    severities = Counter(str(mapping(item).get("severity")) for item in sequence(node.entry.get("findings")))
    return [(node.labels | {"severity": severity}, severities[severity]) for severity in SEVERITIES if severities[severity]]


def _waived_findings_of(node: _Node) -> list[Sample]:
    waived = Counter(str(mapping(item).get("severity")) for item in sequence(node.entry.get("findings")) if "waived" in mapping(item))
    return [(node.labels | {"severity": severity}, waived[severity]) for severity in SEVERITIES if waived[severity]]


def _of_all(nodes: list[_Node], samples: Callable[[_Node], list[Sample]]) -> list[Sample]:
    return [sample for node in nodes for sample in samples(node)]


def _whole(report: dict, fleet: dict) -> list[str]:
    """Metrics of the report as a whole. fleet: the labels that all of them have."""
    summary, waived = report["summary"], mapping(report["summary"].get("waived"))

    def counts(label: str, words, found: dict) -> list[Sample]:
        return [(fleet | {label: word}, found.get(word, 0)) for word in words]

    lines = _metric("report_timestamp_seconds", "When the report was made, seconds since 1970.", _seconds(report.get("generated_at"), fleet))
    parts = sequence(mapping(report.get("merged")).get("reports"))
    made = [row for part in parts if part.get("name") for row in _seconds(part["generated_at"], {"report": part["name"]})]
    lines += _metric("merged_report_timestamp_seconds", "When the newest report of this name that went into a merged one was made, seconds since 1970.", made)
    lines += _metric("nodes", "Nodes by their verdict, the worst of all moments.", counts("verdict", VERDICTS, summary["verdicts"]))
    accepted = counts("verdict", VERDICTS, mapping(waived.get("verdicts")))
    lines += _metric("nodes_waived", "Nodes whose verdict is accepted, by verdict; nodes counts them as well.", accepted)
    lines += _metric("nodes_unreachable", "Nodes that could not be read.", [(fleet, len(report["unreachable"]))])
    lines += _metric("nodes_unreachable_waived", "Nodes that could not be read, which is accepted.", [(fleet, waived.get("unreachable", 0))])
    lines += _metric("report_errors", "Recorded facts and other input that could not be used.", [(fleet, len(report["errors"]))])
    lines += _metric("plans", "Nodes by what is to be done with them.", counts("action", ACTIONS, summary["plans"]))
    findings = [(fleet | {"key": row.get("key"), "severity": row.get("severity")}, row.get("count")) for row in report["findings"]]
    lines += _metric("findings", "Nodes by finding.", findings)
    states = Counter(row.get("state") for row in sequence(report.get("waivers")))
    lines += _metric("waivers", "Waivers by their state.", counts("state", (ACTIVE, EXPIRED, UNMATCHED), states))
    if mapping(report.get("drift")):
        changes = counts("change", (*CHANGES, UNCHANGED), report["drift"]["summary"])
        lines += _metric("drift_nodes", "Nodes by what has changed since the report that this one was compared with.", changes)
    if "forecast" in summary:
        lines += _metric("forecast_nodes", "Nodes by their verdict after the change that was asked about.", counts("verdict", VERDICTS, summary["forecast"]))
    if "remediation" in summary:
        lines += _metric("repair_nodes", "Nodes by the result of the repair.", counts("result", summary["remediation"], summary["remediation"]))
    return lines


def metrics_text(report: dict) -> str:
    """The report in Prometheus' text format."""
    known = identities(report)
    nodes = [_Node(_labels(known[str(node.get("name"))]), node) for node in report["nodes"]]
    missing = [_Node(_labels(known[str(item.get("name"))]), item) for item in report["unreachable"]]
    lines = _whole(report, {"report": report["name"]} if report.get("name") else {})
    read = [(node.labels, 1) for node in nodes] + [(node.labels, 0) for node in missing]
    lines += _metric("node_read", "Whether the node could be read.", read)
    lines += _metric("node_verdict_rank", f"The node's verdict at each moment: {_RANKS_TEXT}.", _of_all(nodes, _moments))
    until = "Until when the node's verdict is accepted, at each moment that brings it, seconds since 1970; none where it is not."
    lines += _metric("node_waived_until_seconds", until, _of_all(nodes, _waived_moments))
    lines += _metric("node_conn_reuse_mode", "net.ipv4.vs.conn_reuse_mode as it was read.", _of_all(nodes, _value))
    lines += _metric("node_findings", "Findings of the node by severity; none where there are none.", _of_all(nodes, _findings_of))
    accepted = _of_all(nodes, _waived_findings_of)
    lines += _metric("node_findings_waived", "Findings of the node that are accepted, by severity; none where there are none.", accepted)
    lines += _metric("node_info", "What the node runs and what is to be done with it, always 1.", _of_all(nodes, _info))
    return "\n".join(lines) + "\n"
