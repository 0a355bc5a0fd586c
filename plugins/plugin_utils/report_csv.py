# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report for spreadsheets and scripts: one line a node, as RFC 4180 has it. Made from the report structure alone.

No cell is a formula, whatever a node calls itself.
"""

from __future__ import annotations

import csv
import io
import re

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, sequence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import CAPABILITIES
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_nodes import change_word, changes
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import clean

MOMENTS = ("now", "kube_proxy_restart", "kubelet_restart", "reboot")
# The columns, the same in every report: a column that is no use to one report is empty there.
COLUMNS = (
    "node",
    "verdict",
    *(f"{part}_{moment}" for moment in MOMENTS for part in ("verdict", "value")),
    "plan",
    "plan_value",
    "plan_reason",
    "kernel",
    "os",
    "kube_proxy",
    "form",
    "mode",
    *CAPABILITIES,
    "worst_severity",
    "findings",
    "forecast_verdict",
    "forecast_plan",
    "repair_result",
    "repair_reason",
    "origin",
    "not_read",
    "report",
    "name_in_report",
    "waived_until",
    "waived_reason",
    "findings_waived",
    "forecast_waived_until",
    "change",
)
UNREACHABLE = "unreachable"
MAXIMUM_CELL = 2000
# What makes a formula of a cell: at its begin, and behind the separators that a program in another language splits the line at.
_FORMULA = re.compile(r"(^|[;|])(\s*)(?=[=+\-@\uff0b\uff0d\uff1d\uff20])")


def cell(value):
    """VALUE for a cell: numbers as they are, texts on one line, without control characters and never a formula; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    # A tab or a carriage return at the begin is a formula's begin for some programs; cleaning would hide it.
    text = str(value)
    marked = "'" + clean(text, MAXIMUM_CELL) if text[:1] in ("\t", "\r", "\n") else clean(text, MAXIMUM_CELL)
    return _FORMULA.sub(r"\1\2'", marked)


def _repair(item: dict) -> dict:
    repair = mapping(item.get("remediation"))
    return {"repair_result": repair.get("result"), "repair_reason": repair.get("reason")} if repair else {}


def _common(item: dict) -> dict:
    """What a node that was read and one that was not have in common."""
    waived = mapping(item.get("waived"))
    known = {"node": item.get("name"), "report": item.get("report"), "name_in_report": item.get("name_in_report")}
    return {**known, "waived_until": waived.get("until"), "waived_reason": waived.get("reason"), **_repair(item)}


def _keys(findings: list[dict]) -> str:
    return " ".join(dict.fromkeys(str(item.get("key")) for item in findings))


def _node(node: dict) -> dict:
    moments, plan, facts = mapping(node.get("moments")), mapping(node.get("plan")), mapping(node.get("facts"))
    findings = [mapping(item) for item in sequence(node.get("findings"))]
    row = {**_common(node), "verdict": node.get("verdict"), "origin": node.get("origin")}
    for moment in MOMENTS:
        entry = mapping(moments.get(moment))
        row |= {f"verdict_{moment}": entry.get("verdict"), f"value_{moment}": entry.get("value")}
    row |= {"plan": plan.get("action"), "plan_value": plan.get("value"), "plan_reason": plan.get("reason")}
    row |= {key: facts.get(key) for key in ("kernel", "os", "kube_proxy", "form", "mode")}
    row |= {name: mapping(mapping(node.get("capabilities")).get(name)).get("state") for name in CAPABILITIES}
    row["worst_severity"] = findings[0].get("severity") if findings else None
    row["findings"], row["findings_waived"] = _keys(findings), _keys([item for item in findings if "waived" in item])
    if "forecast" in node:
        forecast = mapping(node["forecast"])
        row |= {"forecast_verdict": forecast.get("verdict"), "forecast_plan": mapping(forecast.get("plan")).get("action")}
        row["forecast_waived_until"] = mapping(forecast.get("waived")).get("until")
    return row


def csv_text(report: dict) -> str:
    """The report as CSV with a head line; nodes worst first, then those that could not be read."""
    rows = [_node(node) for node in report["nodes"]]
    rows += [{**_common(item), "verdict": UNREACHABLE, "not_read": item.get("reason")} for item in report["unreachable"]]
    changed = changes(report)
    for row in rows:
        row["change"] = change_word(report, str(row["node"]), changed)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(COLUMNS)
    writer.writerows([cell(row.get(column)) for column in COLUMNS] for row in rows)
    return stream.getvalue()
