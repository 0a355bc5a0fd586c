# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report for Prometheus, as a file of node_exporter's textfile collector. Made from the report structure alone.

Names and labels are stable: a metric or a label may be added, none is renamed or taken away. The label is node_name and not node, because most
configurations already give every series a label node, that of the machine which was scraped.
"""

from __future__ import annotations

import datetime
from collections import Counter

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, sequence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.findings import SEVERITIES
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plan import ACTIONS
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import clean
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


def _seconds(generated_at) -> list[Sample]:
    try:
        return [({}, int(datetime.datetime.fromisoformat(str(generated_at)).timestamp()))]
    except ValueError:
        return []


def _moments(nodes: list[dict]) -> list[Sample]:
    return [
        ({"node_name": node.get("name"), "moment": moment}, RANKS.get(mapping(entry).get("verdict"), RANKS[UNKNOWN]))
        for node in nodes
        for moment, entry in mapping(node.get("moments")).items()
    ]


def _values(nodes: list[dict]) -> list[Sample]:
    entries = [(node.get("name"), mapping(mapping(node.get("moments")).get("now")).get("value")) for node in nodes]
    return [({"node_name": name}, value) for name, value in entries if isinstance(value, int)]


def _info(node: dict) -> dict:
    facts, plan = mapping(node.get("facts")), mapping(node.get("plan"))
    labels = {"node_name": node.get("name"), **{key: facts.get(key) for key in ("kernel", "os", "kube_proxy", "form", "mode")}}
    return labels | {"plan": plan.get("action")}


def _findings_of(node: dict) -> list[Sample]:
    severities = Counter(str(mapping(item).get("severity")) for item in sequence(node.get("findings")))
    return [({"node_name": node.get("name"), "severity": severity}, severities[severity]) for severity in SEVERITIES if severities[severity]]


def metrics_text(report: dict) -> str:
    """The report in Prometheus' text format."""
    summary, nodes, missing = report["summary"], report["nodes"], report["unreachable"]
    lines = _metric("report_timestamp_seconds", "When the report was made, seconds since 1970.", _seconds(report.get("generated_at")))
    lines += _metric("nodes", "Nodes by their verdict, the worst of all moments.", [({"verdict": word}, summary["verdicts"].get(word, 0)) for word in VERDICTS])
    lines += _metric("nodes_unreachable", "Nodes that could not be read.", [({}, len(missing))])
    lines += _metric("report_errors", "Recorded facts and other input that could not be used.", [({}, len(report["errors"]))])
    lines += _metric("plans", "Nodes by what is to be done with them.", [({"action": word}, summary["plans"].get(word, 0)) for word in ACTIONS])
    findings = [({"key": row.get("key"), "severity": row.get("severity")}, row.get("count")) for row in report["findings"]]
    lines += _metric("findings", "Nodes by finding.", findings)
    read = [({"node_name": node.get("name")}, 1) for node in nodes] + [({"node_name": item.get("name")}, 0) for item in missing]
    lines += _metric("node_read", "Whether the node could be read.", read)
    lines += _metric("node_verdict_rank", f"The node's verdict at each moment: {_RANKS_TEXT}.", _moments(nodes))
    lines += _metric("node_conn_reuse_mode", "net.ipv4.vs.conn_reuse_mode as it was read.", _values(nodes))
    lines += _metric("node_findings", "Findings of the node by severity; none where there are none.", [row for node in nodes for row in _findings_of(node)])
    lines += _metric("node_info", "What the node runs and what is to be done with it, always 1.", [(_info(node), 1) for node in nodes])
    if "forecast" in summary:
        planned = [({"verdict": word}, summary["forecast"].get(word, 0)) for word in VERDICTS]
        lines += _metric("forecast_nodes", "Nodes by their verdict after the change that was asked about.", planned)
    if "remediation" in summary:
        lines += _metric("repair_nodes", "Nodes by the result of the repair.", [({"result": word}, count) for word, count in summary["remediation"].items()])
    return "\n".join(lines) + "\n"
