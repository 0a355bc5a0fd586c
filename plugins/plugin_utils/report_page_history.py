# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of the page for a browser that go beyond one run: what has changed, what is waived, which reports it was merged from."""

from __future__ import annotations

import html
from collections import Counter

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import drift_text, merge_text, waiver_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, sequence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_nodes import report_names
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_page_data import MAXIMUM_CHANGES, Pool
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_page_parts import MAXIMUM_TEXT, plural, show, table, text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import clean

MAXIMUM_WAIVERS = 200
MAXIMUM_READ_ELSEWHERE = 200


def changes_section(report: dict, pool: Pool) -> list[str]:
    """What has changed since the baseline, which the page begins with; nothing of a report that was not compared."""
    drift = mapping(report.get("drift"))
    if not drift:
        return []
    judged = {str(node.get("name")) for node in report["nodes"]}
    rows = []
    happenings = drift_text.happenings(drift)
    for place, (what, change, names) in enumerate(happenings[:MAXIMUM_CHANGES]):
        here = len(judged.intersection(names))
        count = f"{len(names):,}"
        if here:
            count = show(count, f"{count} nodes, {what}, {change}: show them", happened=pool.place(place))
        rows.append([html.escape(what), count, text(change), text(drift_text.names_of(names))])
    rest = len(happenings) - MAXIMUM_CHANGES
    return [
        '<section aria-labelledby="changes"><h2 id="changes">What has changed</h2>',
        f"<p>{text(drift_text.headline(drift))}.</p>",
        table("What has changed, and on how many nodes", ["What", "Nodes", "Change", "For example"], rows, (1,)),
        *([f"<p>{plural(rest, 'other change')} of fewer nodes stand in report.json.</p>"] if rest > 0 else []),
        "</section>",
    ]


def waivers_line(report: dict) -> list[str]:
    """The sentence of the summary that says what is waived, and which waivers need somebody."""
    waived = waiver_text.headline(report).removeprefix("; of these waived: ")
    states = Counter(row.get("state") for row in sequence(report.get("waivers")))
    parts = [f"Waived: {html.escape(waived)}."] if waived else []
    parts += [f"Expired waivers, which count again: {states['expired']:,}."] if states["expired"] else []
    parts += [f"Waivers that match nothing: {states['matches_nothing']:,}."] if states["matches_nothing"] else []
    link = ' <a href="#waivers">All waivers</a>' if states else ""
    return [f"<p>{' '.join(parts)}{link}</p>"] if parts else []


def waivers_section(report: dict) -> list[str]:
    """Every waiver with its state; nothing of a report that was judged without."""
    lines = []
    for state, title in waiver_text.PARTS:
        rows = waiver_text.rows_of(report, state)
        shown = rows[:MAXIMUM_WAIVERS]
        cells = [[text(key), f"{count:,}", *map(text, (until.removeprefix("until "), hosts, reason, on))] for count, key, until, hosts, reason, on in shown]
        lines.append(table(f"{title}: {len(rows):,}", ["Verdict or finding", "Nodes", "Until", "Hosts", "Reason", "On"], cells, (1,)))
        lines += [f"<p>{plural(len(rows) - MAXIMUM_WAIVERS, 'more waiver')} stand in report.json.</p>"] if len(rows) > MAXIMUM_WAIVERS else []
    if not any(lines):
        return []
    button = show("Show the nodes whose verdict is waived", waived="yes") if mapping(report["summary"].get("waived")).get("verdicts") else ""
    return ['<section aria-labelledby="waivers"><h2 id="waivers">Waivers</h2>', *([f'<p class="hint">{button}</p>'] if button else []), *lines, "</section>"]


def merged_line(report: dict) -> str:
    """The first sentence about a merge, for the head of the page."""
    told = merge_text.sentences(report)
    return f" {text(told[0])}." if told else ""


def merged_section(report: dict) -> list[str]:
    """The reports that went into a merged one, and the nodes that only another report could read."""
    merged = mapping(report.get("merged"))
    if not merged:
        return []
    several = report_names(report)

    def name_of(part: dict) -> str:
        name = str(part.get("name") or "")
        if not name or name not in several:
            return text(name or "without a name")
        return show(text(name), report=clean(name, MAXIMUM_TEXT))

    rows = [[name_of(part), text(part["generated_at"]), *(f"{part[key]:,}" for key in ("judged", "unreachable", "errors"))] for part in merged["reports"]]
    elsewhere = merged["judged_elsewhere"]
    found = [[text(entry["name"]), text(entry.get("report") or "without a name"), text(entry["reason"])] for entry in elsewhere[:MAXIMUM_READ_ELSEWHERE]]
    title = f"Not read in one report but in another one, which counts: {len(elsewhere):,}"
    return [
        '<section aria-labelledby="merged"><h2 id="merged">Merged reports</h2>',
        *(f"<p>{text(sentence)}.</p>" for sentence in merge_text.sentences(report)),
        table("Reports that this one was made of", ["Report", "Made", "Nodes judged", "Not read", "Files not used"], rows, (2, 3, 4)),
        table(title, ["Node", "Report", "Reason"], found),
        "</section>",
    ]
