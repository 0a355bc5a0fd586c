# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as text: a table for a terminal and a page in Markdown. Both are made from the report structure alone.

Nothing that was read from a node reaches a terminal or a page unescaped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import drift_text, merge_text, remediation_text, waiver_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.forecast import target_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import (
    ACTIONS,
    MEANING,
    MOMENT_NAMES,
    clean,
    columns,
    escape,
    examples,
    markdown_table,
    table_part,
)
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import VERDICTS


def _headline(report: dict) -> str:
    summary = report["summary"]
    counts = ", ".join(f"{count} {word}" for word, count in summary["verdicts"].items())
    nodes = f"{summary['judged']} node{'s' if summary['judged'] != 1 else ''} judged"
    missing = f", {summary['unreachable']} could not be read" if summary["unreachable"] else ""
    return f"{nodes}{missing}" + (f": {counts}" if counts else "") + waiver_text.headline(report)


def _moment_word(moment: dict) -> str:
    value = moment.get("value")
    return f"{clean(moment.get('verdict'))} ({'?' if value is None else clean(value)})"


def is_remediation(report: dict) -> bool:
    """Whether the report is one of a repair: it says what became of each node."""
    return "remediation" in report["summary"]


def _group_lines(report: dict, maximum_groups: int) -> list[str]:
    """The audit's table: groups of nodes worst first, and what their verdicts mean."""
    of = f" of {clean(report['name'])}" if "name" in report else ""
    lines = [f"conn_reuse_mode audit{of}: {_headline(report)}", ""]
    lines += merge_text.terminal(report)
    head = ["NODES", "VERDICT", "PLAN", "KERNEL", "OS", "KUBE-PROXY", "EXAMPLES"]
    widths = [7, 14, 18, 48, 40, 26, 100]
    rows = [
        [
            str(group["count"]),
            group["verdict"],
            group["plan"],
            group["kernel"],
            group["os"],
            f"{group['kube_proxy']} {group['mode']}" if group["mode"] != "none" else "none",
            examples({**group, "examples": group["examples"][:3]}),
        ]
        for group in report["groups"][:maximum_groups]
    ]
    if rows:
        lines += columns(head, rows, widths)
    rest = len(report["groups"]) - maximum_groups
    if rest > 0:
        lines.append(f"… and {rest} smaller groups, all in report.md")
    present = [word for word in VERDICTS if word in report["summary"]["verdicts"]]
    if present:
        lines += ["", *columns(["", ""], [[word, MEANING[word]] for word in present], [14, 100])[1:]]
    return lines


def table(report: dict, maximum_groups: int = 40) -> str:
    """The report for a terminal: groups of nodes worst first, or nodes before and after a repair; findings, and what could not be read."""
    lines = drift_text.terminal(report, maximum_groups)
    lines += remediation_text.terminal(report, maximum_groups) if is_remediation(report) else _group_lines(report, maximum_groups)
    lines += table_part(
        "FINDINGS",
        [
            [finding["severity"], str(finding["count"]), finding["key"], finding["text"] + waiver_text.of_finding(finding)]
            for finding in report["findings"]
            if finding["severity"] != "info"
        ],
        [8, 7, 28, 160],
    )
    lines += waiver_text.terminal(report)
    if "target" in report:
        lines += ["", f"AFTER {clean(target_text(report['nodes']))}"]
        lines += columns(["", ""], [[str(count), word] for word, count in report["summary"]["forecast"].items()], [7, 14])[1:]
        lines += [f"  {clean(sentence)}" for sentence in _forecast_sentences(report)]
    lines += table_part("NOT READ", [[entry["name"], entry["reason"]] for entry in report["unreachable"][:maximum_groups]], [60, 160])
    if len(report["unreachable"]) > maximum_groups:
        lines.append(f"… and {len(report['unreachable']) - maximum_groups} more, all in report.md")
    lines += table_part("FACTS THAT COULD NOT BE USED", [[entry["path"], entry["reason"]] for entry in report["errors"]], [80, 140])
    return "\n".join(lines)


def _transitions(report: dict) -> list[tuple[str, int]]:
    """Each sentence of the forecast and on how many nodes it holds, most nodes first."""
    return _by_count(row["text"] for node in report["nodes"] for row in node.get("forecast", {}).get("transitions", []))


def _by_count(sentences: Iterable[str]) -> list[tuple[str, int]]:
    """Each sentence and how often it is among SENTENCES, the most frequent first."""
    return sorted(Counter(sentences).items(), key=lambda item: (-item[1], item[0]))


def _nftables_sentence(planned: dict) -> str:
    """Whether a node could move to nftables mode after a planned change, and what is missing for it."""
    possible = planned["modes"]["nftables"]
    if possible:
        return "nftables mode is possible"
    missing = " and ".join(need["text"] for need in planned["nftables_needs"] if need["met"] is possible)
    if possible is False:
        return f"nftables mode is not possible: it needs {missing}"
    return f"whether nftables mode is possible is not known: it needs {missing}, whose version is not known"


def _forecast_sentences(report: dict) -> list[str]:
    """What a planned change brings, each sentence with the number of nodes it holds for, and the plan to remove IPVS mode."""
    concerned = [node["forecast"] for node in report["nodes"] if "forecast" in node and node["verdict"] != "not_applicable"]
    counted = _transitions(report) + _by_count(map(_nftables_sentence, concerned))
    sentences = [f"{count} node{'s' if count != 1 else ''}: {sentence}" for sentence, count in counted]
    return sentences + [step["text"] for step in (concerned[0]["removal"] if concerned else [])]


def _node_lines(node: dict, repaired: bool) -> list[str]:
    facts, repaired = node["facts"], repaired and "remediation" in node
    lines = [f"### {escape(node['name'])}", ""]
    lines += [
        (
            f"{escape(facts['os'])}, kernel {escape(facts['kernel'])}, kube-proxy {escape(facts['kube_proxy'])} "
            f"({escape(facts['form'])}, mode {escape(facts['mode'])})"
        ),
        "",
    ]
    if node.get("origin"):
        lines += [f"Recorded facts: {escape(node['origin'])}", ""]
    if repaired:
        lines += remediation_text.node_moments(node)
    else:
        rows = [
            [MOMENT_NAMES.get(name, name), "?" if moment.get("value") is None else moment["value"], moment.get("verdict"), moment.get("writer", "")]
            for name, moment in node["moments"].items()
        ]
        lines += markdown_table(["moment", "value", "verdict", "set by"], rows)
    rows = [
        [name, entry.get("state"), entry.get("evidence", ""), entry.get("confidence", ""), entry.get("source", "")]
        for name, entry in node["capabilities"].items()
    ]
    lines += markdown_table(["capability", "", "evidence", "confidence", "source"], rows)
    lines += [
        f"- **{escape(finding['severity'])}** {escape(finding['key'])}: {escape(finding['text'])}{waiver_text.mark(finding)}" for finding in node["findings"]
    ]
    lines += [f"- verdict **{escape(node['verdict'])}**{waiver_text.mark(node)}"] if "waived" in node else []
    lines.append(f"- plan **{escape(node['plan']['action'])}**: {escape(node['plan']['reason'])}")
    lines += remediation_text.node_lines(node) if repaired else []
    return lines + [""]


def markdown(report: dict, maximum_nodes: int = 100) -> str:
    """The report as a Markdown page; of a large fleet only the worst nodes one by one, all of them stand in report.json."""
    repaired = is_remediation(report)
    on = f" on {escape(report['name'])}" if "name" in report else ""
    lines = [f"# {'Remediation' if repaired else 'Audit'} of net.ipv4.vs.conn\\_reuse\\_mode{on}", ""]
    lines += drift_text.markdown(report)
    lines += [f"{escape(remediation_text.headline(report))}.", ""] if repaired else []
    lines += [f"{'After it, ' if repaired else ''}{escape(_headline(report))}.", ""]
    if report.get("generated_at"):
        lines += [f"Made {escape(report['generated_at'])}.", ""]
    lines += merge_text.markdown(report)
    lines += remediation_text.markdown(report) + ["## What is so now", ""] if repaired else []
    rows = [[count, word, MEANING[word]] for word, count in report["summary"]["verdicts"].items()]
    lines += markdown_table(["nodes", "verdict", "meaning"], rows)
    rows = [[count, action, ACTIONS.get(action, "")] for action, count in report["summary"]["plans"].items()]
    lines += markdown_table(["nodes", "plan", "meaning"], rows)
    lines += ["## Groups, worst first", ""]
    lines += markdown_table(
        ["nodes", "verdict", "plan", "kernel", "os", "kube-proxy", "mode", "for example"],
        [
            [group["count"], group["verdict"], group["plan"], group["kernel"], group["os"], group["kube_proxy"], group["mode"], examples(group)]
            for group in report["groups"]
        ],
    )
    if report["findings"]:
        lines += ["## Findings", ""]
        lines += markdown_table(
            ["severity", "nodes", "finding", "for example", "on"],
            [[row["severity"], row["count"], row["key"], row["text"] + waiver_text.of_finding(row), examples(row)] for row in report["findings"]],
        )
    lines += waiver_text.markdown(report)
    if "target" in report:
        lines += [f"## After {escape(target_text(report['nodes']))}", ""]
        lines += markdown_table(["nodes", "verdict"], [[count, word] for word, count in report["summary"]["forecast"].items()])
        lines += [f"- {escape(sentence)}" for sentence in _forecast_sentences(report)] + [""]
        rows = [
            [
                node["name"],
                *(_moment_word(node["forecast"]["moments"].get(name, {})) for name in ("now", "upgrade", "reboot")),
                node["forecast"]["plan"]["action"],
            ]
            for node in report["nodes"][:maximum_nodes]
            if "forecast" in node
        ]
        lines += markdown_table(["node", "now", "after the upgrade", "after a reboot", "plan"], rows)
    if report["unreachable"]:
        lines += ["## Not read", ""] + markdown_table(["node", "reason"], [[entry["name"], entry["reason"]] for entry in report["unreachable"]])
    if report["errors"]:
        lines += ["## Facts that could not be used", ""] + markdown_table(["file", "reason"], [[entry["path"], entry["reason"]] for entry in report["errors"]])
    lines += ["## Nodes", ""]
    for node in report["nodes"][:maximum_nodes]:
        lines += _node_lines(node, repaired)
    rest = len(report["nodes"]) - maximum_nodes
    if rest > 0:
        lines += [f"{rest} further nodes, none of them worse, stand in report.json.", ""]
    return "\n".join(lines)
