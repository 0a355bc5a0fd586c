# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a merged report was made of, as text."""

from __future__ import annotations

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import clean, escape, markdown_table

MAXIMUM_NAMES = 5


def _nodes(number: int) -> str:
    return f"{number} node{'s' if number != 1 else ''}"


def sentences(report: dict) -> list[str]:
    """What one has to know of a merge before reading on; none of a report that is not merged. Not escaped."""
    merged = report.get("merged")
    if not merged:
        return []
    parts = merged["reports"]
    times = sorted(part["generated_at"] for part in parts)
    labels = sorted({part["name"] for part in parts if "name" in part})
    shown = ", ".join(labels[:MAXIMUM_NAMES]) + (f" and {len(labels) - MAXIMUM_NAMES} more" if len(labels) > MAXIMUM_NAMES else "")
    number = f"{len(parts)} report{'s' if len(parts) != 1 else ''}" + (f" ({shown})" if labels else "")
    told = [f"Merged from {number}, made " + (f"on {times[0]}" if times[0] == times[-1] else f"between {times[0]} and {times[-1]}")]
    renamed = [entry for entry in (*report["nodes"], *report["unreachable"]) if "name_in_report" in entry]
    if renamed:
        example = renamed[0]
        told.append(
            f"{_nodes(len(renamed))} got another name, because several reports have a node of that name, or say different things of it; "
            f"for example {example['name']}, which is {example['name_in_report']} in its own report"
        )
    elsewhere = {(entry["name"], entry.get("report")) for entry in merged["judged_elsewhere"]}
    if elsewhere:
        example = merged["judged_elsewhere"][0]
        told.append(f"{_nodes(len(elsewhere))} could not be read in one report but in another one, which counts; for example {example['name']}")
    return told


def terminal(report: dict) -> list[str]:
    """The lines above the table of a merged report."""
    lines = [clean(sentence, 400) + "." for sentence in sentences(report)]
    return lines + [""] if lines else []


def markdown(report: dict) -> list[str]:
    """What stands at the head of a merged report's page."""
    lines = [f"- {escape(sentence, 400)}." for sentence in sentences(report)]
    if not lines:
        return []
    rows = [[part.get("name", ""), part["generated_at"], part["judged"], part["unreachable"]] for part in report["merged"]["reports"]]
    return [*lines, "", *markdown_table(["report", "made", "nodes judged", "not read"], rows)]
