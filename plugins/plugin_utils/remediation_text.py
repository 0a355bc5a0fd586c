# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a repair did, as text: every node before and after it, what failed, what was left alone and what its owner can choose.

Few nodes have a line each; many are grouped by what happened to them and counted, as the audit's table does it.
"""

from __future__ import annotations

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.remediation import (
    CHANGED,
    FAILED,
    LEFT,
    NOT_ATTEMPTED,
    RESULT_UNKNOWN,
    UNCHANGED,
    UNREACHABLE,
    WOULD_CHANGE,
)
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.remediation_rows import (
    MAXIMUM_REASON,
    Row,
    attention_lines,
    by_reason,
    cells_of,
    contradiction,
    count_words,
    left_groups,
    names_of,
    node_proof,
    owner_words,
    proof_lines,
    reason_of,
    rolled_back_words,
    rows_of,
    shown,
    table_groups,
    verdict_counts,
)
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import (
    ACTIONS,
    MEANING,
    MOMENT_NAMES,
    clean,
    columns,
    escape,
    markdown_table,
    table_part,
)

MANY_NODES = 100
RESULT_MEANING = {
    FAILED: "the change failed",
    RESULT_UNKNOWN: "what was done is not known",
    UNREACHABLE: "could not be reached",
    NOT_ATTEMPTED: "the run ended before them",
    LEFT: "left alone",
    WOULD_CHANGE: "would be changed",
    CHANGED: "changed",
    UNCHANGED: "nothing was to do",
}
# The parts below the table, each with its nodes grouped by reason.
_PARTS = (
    (FAILED, "FAILED"),
    (RESULT_UNKNOWN, "NOT KNOWN WHAT WAS DONE"),
    (UNREACHABLE, "UNREACHABLE"),
    (NOT_ATTEMPTED, "NOT ATTEMPTED"),
)
HEAD = ["VERDICT", "VALUE", "AT RESTART", "RESULT", "HELD BY, OR WHY NOT"]


def _node_table(rows: list[Row], maximum: int) -> list[str]:
    """A line a node, or, of more than MAXIMUM nodes, a line for all that look alike."""
    widths = [32, 16, 12, 13, 100]
    if len(rows) <= maximum:
        return columns(["NODE", *HEAD], [[row.name, *cells_of(row)] for row in rows], [40, *widths])
    groups = table_groups(rows)
    lines = columns(
        ["NODES", *HEAD, "EXAMPLES"],
        [[str(len(group)), *cells_of(group[0]), names_of(group, 3)] for group in groups[:maximum]],
        [7, *widths, 100],
    )
    rest = groups[maximum:]
    return lines + ([f"… and {sum(map(len, rest))} nodes in {len(rest)} smaller groups, all in report.json"] if rest else [])


def _reason_lines(rows: list[Row], names: int, maximum: int, indent: str = "") -> list[str]:
    groups, lines = by_reason(rows), []
    for group in groups[:maximum]:
        lines += [f"{indent}{len(group):<5} {names_of(group, names)}", f"{indent}      {reason_of(group)}"]
    rest = groups[maximum:]
    return lines + ([f"{indent}… and {sum(map(len, rest))} nodes with {len(rest)} other reasons, all in report.json"] if rest else [])


def _left_lines(rows: list[Row], maximum: int) -> list[str]:
    lines = []
    groups = left_groups(rows)
    for action, options, group in groups[:maximum]:
        lines.append(f"{clean(action)}: {count_words(len(group))}" + (f", {ACTIONS[action]}" if action in ACTIONS and action != "none" else ""))
        lines += _reason_lines(group, 3, 5, "  ")
        lines += [f"  {options[0]}", *[f"    {option}" for option in options[1:]]] if options else []
    rest = groups[maximum:]
    return lines + ([f"… and {sum(len(group[2]) for group in rest)} nodes in {len(rest)} smaller groups, all in report.json"] if rest else [])


def headline(report: dict) -> str:
    """How many nodes have which result."""
    counts = {result: count for result, count in report["summary"]["remediation"].items() if count}
    return f"{count_words(sum(counts.values()))}" + (": " + ", ".join(f"{count} {result}" for result, count in counts.items()) if counts else "")


def terminal(report: dict, maximum: int = 40) -> list[str]:
    """The remediation for a terminal."""
    rows = rows_of(report)
    counts = [[word, str(before), str(after), MEANING.get(word, "could not be read")] for word, before, after in verdict_counts(rows)]
    lines = [f"conn_reuse_mode remediation: {headline(report)}"]
    if not rows:
        return lines
    lines += ["", *columns(["VERDICT", "BEFORE", "AFTER", "MEANING"], counts, [14, 7, 7, 100])]
    lines += ["", *_node_table(rows, maximum)]
    in_report = {str(node.get("name")) for node in report["unreachable"]}
    for result, title in _PARTS:
        # Those that were never read stand below NOT READ.
        members = [row for row in rows if row.result == result and (result == FAILED or row.name not in in_report)]
        lines += ["", title, *_reason_lines(members, 10, 20)] if members else []
    lines += table_part("TO LOOK AT", [[line] for line in attention_lines(rows)], [240])
    left = _left_lines(rows, 10)
    lines += ["", "LEFT ALONE", *left] if left else []
    return lines + table_part("PROOF", [[line] for line in proof_lines(rows)], [200])


def _reason_items(rows: list[Row]) -> list[str]:
    groups = by_reason(rows)
    lines = [
        f"- {count_words(len(group))} ({escape(names_of(group, 50), 4000)}): {escape(reason_of(group), MAXIMUM_REASON + 100)}" for group in groups[:MANY_NODES]
    ]
    rest = groups[MANY_NODES:]
    return lines + ([f"- … and {sum(map(len, rest))} nodes with {len(rest)} other reasons, all in report.json"] if rest else [])


def _markdown_nodes(rows: list[Row]) -> list[str]:
    head = ["verdict", "value", "at restart", "result", "held by, or why not"]
    if len(rows) <= MANY_NODES:
        return markdown_table(["node", *head], [[row.name, *cells_of(row)] for row in rows])
    groups = table_groups(rows)
    lines = markdown_table(["nodes", *head, "for example"], [[len(group), *cells_of(group[0]), names_of(group, 5)] for group in groups[:MANY_NODES]])
    rest = groups[MANY_NODES:]
    return lines + ([f"… and {sum(map(len, rest))} nodes in {len(rest)} smaller groups, all in report.json", ""] if rest else [])


def markdown(report: dict) -> list[str]:
    """The remediation for a page."""
    rows = rows_of(report)
    lines = ["## Before and after", ""]
    counts = report["summary"]["remediation"]
    lines += markdown_table(["nodes", "result", "meaning"], [[count, result, RESULT_MEANING[result]] for result, count in counts.items() if count])
    lines += markdown_table(
        ["verdict", "before", "after", "meaning"], [[*counted, MEANING.get(counted[0], "could not be read")] for counted in verdict_counts(rows)]
    )
    lines += _markdown_nodes(rows)
    for result, title in _PARTS:
        members = [row for row in rows if row.result == result]
        lines += [f"## {title.capitalize()}", "", *_reason_items(members), ""] if members else []
    look = attention_lines(rows)
    lines += ["## To look at", "", *[f"- {escape(line, MAXIMUM_REASON)}" for line in look], ""] if look else []
    left = left_groups(rows)
    lines += ["## Left alone", ""] if left else []
    for action, options, group in left[:MANY_NODES]:
        lines += [f"Plan **{escape(action)}**, {count_words(len(group))}:", "", *_reason_items(group), ""]
        lines += [options[0].capitalize(), "", *[f"- {escape(option)}" for option in options[1:]], ""] if options else []
    proof = proof_lines(rows)
    return lines + (["## Proof", "", *[f"- {escape(line)}" for line in proof], ""] if proof else [])


def node_moments(node: dict) -> list[str]:
    """The moments of one node before and after, for a page."""
    row = Row(node["name"], node["remediation"], node["plan"])
    names = list(dict.fromkeys([*row.remediation["before"]["moments"], *node["moments"]]))
    cells = [
        [
            MOMENT_NAMES.get(name, name),
            *(shown(row.at(when, name).get(key)) for when in ("before", "after") for key in ("value", "verdict")),
            mapping(node["moments"].get(name)).get("writer", ""),
        ]
        for name in names
    ]
    return markdown_table(["moment", "value before", "verdict before", "value after", "verdict after", "set by"], cells)


def node_lines(node: dict) -> list[str]:
    """What was done to one node, for a page."""
    row = Row(node["name"], node["remediation"], node["plan"])
    entry = row.remediation
    lines = [f"- remediation **{escape(row.result)}**" + (f": {escape(row.reason, MAXIMUM_REASON)}" if row.reason else "")]
    details = [
        ("", contradiction(row)),
        ("", owner_words(row)),
        ("value to set", "" if entry["value"] is None or entry["owner_word"] else str(entry["value"])),
        ("held by" if row.result != WOULD_CHANGE else "would be held by", "; ".join(entry["hold"])),
        ("neutralised" if row.result != WOULD_CHANGE else "would be neutralised", ", ".join(entry["neutralised"])),
        ("", rolled_back_words(row)),
        ("not read before", entry["before"].get("not_read", "")),
        ("not read after", entry["after"].get("not_read", "")),
        ("proof", "; ".join(node_proof(row))),
    ]
    lines += [f"  - {name}{': ' if name else ''}{escape(words, MAXIMUM_REASON)}" for name, words in details if words]
    return lines
