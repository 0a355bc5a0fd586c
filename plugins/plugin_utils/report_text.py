# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as text: a table for a terminal and a page in Markdown. Both are made from the report structure alone.

Nothing that was read from a node reaches a terminal or a page unescaped.
"""

from __future__ import annotations

import re
import unicodedata

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.forecast import target_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import VERDICTS

MEANING = {
    "stale_backends": "new connections can reach pods that are gone",
    "syn_delay": "a reused source port costs one second",
    "unknown": "not enough is known to say",
    "uneven_load": "reused ports stick to their old backend while it lives: uneven, but no errors",
    "safe": "fine",
    "not_applicable": "kube-proxy does not run in IPVS mode",
}
ACTIONS = {
    "none": "nothing to do",
    "set": "set the value once",
    "hold": "set the value, and again after every start of kube-proxy",
    "switch_mode": "leave IPVS mode",
    "upgrade_kernel": "take a newer kernel",
    "upgrade_kube_proxy": "take a newer kube-proxy",
    "decide": "no value is safe: the owner chooses",
    "probe": "find out what the kernel can do",
}
MOMENT_NAMES = {
    "now": "now",
    "upgrade": "after the upgrade",
    "kube_proxy_restart": "kube-proxy restart",
    "kubelet_restart": "kubelet restart",
    "reboot": "reboot",
}
MAXIMUM_TEXT = 300
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~>-])")


def clean(value, limit: int = MAXIMUM_TEXT) -> str:
    """VALUE as one line without control characters, so that nothing read from a node can steer a terminal."""
    text = "".join(" " if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") else character for character in str(value))
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def escape(value) -> str:
    """VALUE for Markdown: no mark-up, no HTML, no new cell of a table."""
    text = clean(value).replace("&", "&amp;").replace("<", "&lt;")
    return _MARKDOWN.sub(r"\\\1", text).replace("\\-", "-").replace("\\(", "(").replace("\\)", ")").replace("\\+", "+")


def columns(head: list[str], rows: list[list[str]], widths: list[int]) -> list[str]:
    """Rows of text in aligned columns; a cell longer than its width is cut, the last column is not padded."""
    cut = [[clean(cell, width) for cell, width in zip(row, widths)] for row in [head, *rows]]
    sizes = [max(len(row[index]) for row in cut) for index in range(len(head))]
    return ["  ".join(cell.ljust(size) for cell, size in zip(row, sizes)).rstrip() for row in cut]


def examples(group: dict) -> str:
    """A group's example names: 'node-1, node-2 and 3 more'."""
    names = [clean(name, 60) for name in group["examples"]]
    more = group["count"] - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def _headline(report: dict) -> str:
    summary = report["summary"]
    counts = ", ".join(f"{count} {word}" for word, count in summary["verdicts"].items())
    nodes = f"{summary['judged']} node{'s' if summary['judged'] != 1 else ''} judged"
    missing = f", {summary['unreachable']} could not be read" if summary["unreachable"] else ""
    return f"{nodes}{missing}" + (f": {counts}" if counts else "")


def _moment_word(moment: dict) -> str:
    value = moment.get("value")
    return f"{clean(moment.get('verdict'))} ({'?' if value is None else clean(value)})"


def table(report: dict, maximum_groups: int = 40) -> str:
    """The report for a terminal: groups of nodes worst first, findings, and what could not be read."""
    lines = [f"conn_reuse_mode audit: {_headline(report)}", ""]
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
    lines += _table_part(
        "FINDINGS",
        [[finding["severity"], str(finding["count"]), finding["key"], finding["text"]] for finding in report["findings"] if finding["severity"] != "info"],
        [8, 7, 28, 140],
    )
    if "target" in report:
        lines += ["", f"AFTER {clean(target_text(report['target']))}"]
        lines += columns(["", ""], [[str(count), word] for word, count in report["summary"]["forecast"].items()], [7, 14])[1:]
        lines += [f"  {clean(sentence)}" for sentence in _forecast_sentences(report)]
    lines += _table_part("NOT READ", [[entry["name"], entry["reason"]] for entry in report["unreachable"][:maximum_groups]], [60, 160])
    if len(report["unreachable"]) > maximum_groups:
        lines.append(f"… and {len(report['unreachable']) - maximum_groups} more, all in report.md")
    lines += _table_part("FACTS THAT COULD NOT BE USED", [[entry["path"], entry["reason"]] for entry in report["errors"]], [80, 140])
    return "\n".join(lines)


def _table_part(title: str, rows: list[list[str]], widths: list[int]) -> list[str]:
    return ["", title, *columns([""] * len(widths), rows, widths)[1:]] if rows else []


def _transitions(report: dict) -> list[tuple[str, int]]:
    """Each sentence of the forecast and on how many nodes it holds, most nodes first."""
    counts: dict[str, int] = {}
    for node in report["nodes"]:
        for row in node.get("forecast", {}).get("transitions", []):
            counts[row["text"]] = counts.get(row["text"], 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


NFTABLES_NEEDS = "it needs kernel 5.13 and Kubernetes 1.31"
NFTABLES = {
    True: "nftables mode is possible",
    False: f"nftables mode is not possible: {NFTABLES_NEEDS}",
    None: f"whether nftables mode is possible is not known: {NFTABLES_NEEDS}",
}


def _forecast_sentences(report: dict) -> list[str]:
    """What a planned change brings, each sentence with the number of nodes it holds for, and the plan to remove IPVS mode."""
    concerned = [node["forecast"] for node in report["nodes"] if "forecast" in node and node["verdict"] != "not_applicable"]
    possible = [planned["modes"]["nftables"] for planned in concerned]
    counted = _transitions(report) + [(sentence, possible.count(answer)) for answer, sentence in NFTABLES.items() if answer in possible]
    sentences = [f"{count} node{'s' if count != 1 else ''}: {sentence}" for sentence, count in counted]
    return sentences + [step["text"] for step in (concerned[0]["removal"] if concerned else [])]


def _markdown_table(head: list[str], rows: list[list]) -> list[str]:
    if not rows:
        return []
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(escape(cell) for cell in row) + " |" for row in rows), ""]


def _node_lines(node: dict) -> list[str]:
    facts = node["facts"]
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
    rows = [
        [MOMENT_NAMES.get(name, name), "?" if moment.get("value") is None else moment["value"], moment.get("verdict"), moment.get("writer", "")]
        for name, moment in node["moments"].items()
    ]
    lines += _markdown_table(["moment", "value", "verdict", "set by"], rows)
    rows = [
        [name, entry.get("state"), entry.get("evidence", ""), entry.get("confidence", ""), entry.get("source", "")]
        for name, entry in node["capabilities"].items()
    ]
    lines += _markdown_table(["capability", "", "evidence", "confidence", "source"], rows)
    lines += [f"- **{escape(finding['severity'])}** {escape(finding['key'])}: {escape(finding['text'])}" for finding in node["findings"]]
    lines += [f"- plan **{escape(node['plan']['action'])}**: {escape(node['plan']['reason'])}", ""]
    return lines


def markdown(report: dict, maximum_nodes: int = 100) -> str:
    """The report as a Markdown page; of a large fleet only the worst nodes one by one, all of them stand in report.json."""
    lines = ["# Audit of net.ipv4.vs.conn\\_reuse\\_mode", "", f"{escape(_headline(report))}.", ""]
    if report.get("generated_at"):
        lines += [f"Made {escape(report['generated_at'])}.", ""]
    rows = [[count, word, MEANING[word]] for word, count in report["summary"]["verdicts"].items()]
    lines += _markdown_table(["nodes", "verdict", "meaning"], rows)
    rows = [[count, action, ACTIONS.get(action, "")] for action, count in report["summary"]["plans"].items()]
    lines += _markdown_table(["nodes", "plan", "meaning"], rows)
    lines += ["## Groups, worst first", ""]
    lines += _markdown_table(
        ["nodes", "verdict", "plan", "kernel", "os", "kube-proxy", "mode", "for example"],
        [
            [group["count"], group["verdict"], group["plan"], group["kernel"], group["os"], group["kube_proxy"], group["mode"], examples(group)]
            for group in report["groups"]
        ],
    )
    if report["findings"]:
        lines += ["## Findings", ""]
        lines += _markdown_table(
            ["severity", "nodes", "finding", "for example", "on"],
            [[row["severity"], row["count"], row["key"], row["text"], examples(row)] for row in report["findings"]],
        )
    if "target" in report:
        lines += [f"## After {escape(target_text(report['target']))}", ""]
        lines += _markdown_table(["nodes", "verdict"], [[count, word] for word, count in report["summary"]["forecast"].items()])
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
        lines += _markdown_table(["node", "now", "after the upgrade", "after a reboot", "plan"], rows)
    if report["unreachable"]:
        lines += ["## Not read", ""] + _markdown_table(["node", "reason"], [[entry["name"], entry["reason"]] for entry in report["unreachable"]])
    if report["errors"]:
        lines += ["## Facts that could not be used", ""] + _markdown_table(
            ["file", "reason"], [[entry["path"], entry["reason"]] for entry in report["errors"]]
        )
    lines += ["## Nodes", ""]
    for node in report["nodes"][:maximum_nodes]:
        lines += _node_lines(node)
    rest = len(report["nodes"]) - maximum_nodes
    if rest > 0:
        lines += [f"{rest} further nodes, none of them worse, stand in report.json.", ""]
    return "\n".join(lines)
