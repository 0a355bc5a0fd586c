# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waivers as text: what is waived and until when, which waivers have expired, and which match nothing."""

from __future__ import annotations

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import escape, examples, markdown_table, table_part

PARTS = (("active", "Waived"), ("expired", "Expired waivers, which count again"), ("matches_nothing", "Waivers that match nothing"))


def headline(report: dict) -> str:
    """What is added to the report's first sentence."""
    waived = mapping(report["summary"].get("waived"))
    parts = [f"{count} {word}" for word, count in mapping(waived.get("verdicts")).items()]
    parts += [f"{waived['unreachable']} not read"] if waived.get("unreachable") else []
    parts += [f"{waived['findings']} finding{'s' if waived['findings'] != 1 else ''}"] if waived.get("findings") else []
    return f"; of these waived: {', '.join(parts)}" if parts else ""


def of_finding(row: dict) -> str:
    """What is added to a line that stands for a finding on many nodes."""
    return f" ({row['waived']} waived)" if row.get("waived") else ""


def mark(entry: dict) -> str:
    """What is added to a thing that is waived, escaped for Markdown."""
    waived = mapping(entry.get("waived"))
    return f" (waived until {escape(waived['until'])}: {escape(waived['reason'])})" if waived else ""


def rows_of(report: dict, state: str) -> list[list]:
    """The waivers of a state: nodes, verdict or finding, until, hosts, reason, names of nodes. Not escaped."""
    rows = []
    for row in report.get("waivers", ()):
        if row["state"] == state:
            hosts = ", ".join(row["hosts"]) + (f" of {row['report']}" if "report" in row else "")
            on = examples({**row, "examples": row["examples"][:3]}) if row["count"] else "-"
            rows.append([row["count"], row.get("verdict") or row["finding"], f"until {row['until']}", hosts, row["reason"], on])
    return rows


def terminal(report: dict) -> list[str]:
    """The parts below the findings of the table."""
    lines = []
    for state, title in PARTS:
        lines += table_part(title.upper(), [[str(cell) for cell in row] for row in rows_of(report, state)], [7, 28, 16, 40, 60, 80])
    return lines


def markdown(report: dict) -> list[str]:
    """The same for a page."""
    lines = []
    for state, title in PARTS:
        rows = rows_of(report, state)
        lines += [f"## {title}", "", *markdown_table(["nodes", "verdict or finding", "until", "hosts", "reason", "on"], rows)] if rows else []
    return lines
