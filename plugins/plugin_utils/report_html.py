# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as one page for a browser: no file beside it, nothing loaded from anywhere. Made from the report structure alone.

All but the table of nodes is plain HTML. That table is made by the page's script from data in the page, so that 5,000 nodes stay quick. The page's
policy allows this one script and this one style by their hashes: whatever a node calls itself, it is never run.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import os
import re
from collections import Counter

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import remediation_text, report_advice, waiver_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, sequence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.forecast import target_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_file import own_name
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_nodes import report_names, waiver_sentence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_page_data import moments_in, page_data, script_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_page_history import (
    changes_section,
    merged_line,
    merged_section,
    waivers_line,
    waivers_section,
)
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_page_parts import (
    MAXIMUM_TEXT,
    chip,
    command_box,
    definitions,
    plural,
    show,
    table,
    text,
)
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_page_picture import picture_section
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import ACTIONS, MEANING, MOMENT_NAMES, clean, examples
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import VERDICTS

DIRECTORY = os.path.join(os.path.dirname(__file__), "report_page")
MAXIMUM_GROUPS = 50
MAXIMUM_MISSING = 500
HOME = "https://github.com/kubeproxy/ansible-collection-ipvs"


@functools.lru_cache(maxsize=None)
def _asset(name: str) -> str:
    with open(os.path.join(DIRECTORY, name), encoding="utf-8") as handle:
        return handle.read()


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii") + "'"


def _waived_of(word: str, waived: dict) -> str:
    count = waived.get(word, 0)
    return show(f"{count:,}", f"{count:,} nodes {word}, waived: show them", verdict=word, waived="yes") if count else "0"


def _summary(report: dict) -> list[str]:
    summary = report["summary"]
    lines = ['<section aria-labelledby="summary"><h2 id="summary">Summary</h2>']
    if "remediation" in summary:
        lines.append(f"<p>{text(remediation_text.headline(report))}. What follows is so after it.</p>")
    missing = f", {summary['unreachable']:,} could not be read" if summary["unreachable"] else ""
    hint = '<span class="hint">Numbers on buttons show their nodes.</span>'
    lines.append(f"<p>{plural(summary['judged'])} judged{missing}. A node's verdict is the worst of all moments. {hint}</p>")
    lines += waivers_line(report)
    waived = mapping(mapping(summary.get("waived")).get("verdicts"))
    rows = [
        [
            chip(word),
            show(f"{count:,}", f"{count:,} nodes {word}: show them", verdict=word),
            *([_waived_of(word, waived)] if waived else []),
            MEANING.get(word, ""),
        ]
        for word, count in summary["verdicts"].items()
    ]
    heads = ["Verdict", "Nodes", *(["Waived"] if waived else []), "Meaning"]
    lines.append('<div class="pair">' + table("Nodes by verdict, worst first", heads, rows, (1, 2) if waived else (1,)))
    rows = [
        [html.escape(action), show(f"{count:,}", f"{count:,} nodes with plan {action}: show them", plan=action), ACTIONS.get(action, "")]
        for action, count in summary["plans"].items()
    ]
    lines.append(table("Nodes by plan", ["Plan", "Nodes", "Meaning"], rows, (1,)) + "</div>")
    counts = {moment: Counter(mapping(mapping(node.get("moments")).get(moment)).get("verdict") for node in report["nodes"]) for moment in moments_in(report)}
    present = [word for word in VERDICTS if any(count[word] for count in counts.values())]

    def at_moment(moment: str, word: str, count: int) -> str:
        return show(f"{count:,}", f"{count:,} nodes {word}, {MOMENT_NAMES[moment]}: show them", moment=moment, verdict=word) if count else "0"

    rows = [[MOMENT_NAMES[moment], *(at_moment(moment, word, count[word]) for word in present)] for moment, count in counts.items()]
    lines.append(table("What each moment brings, in nodes", ["Moment", *(chip(word) for word in present)], rows, tuple(range(1, len(present) + 1))))
    if "forecast" in summary:
        lines.append(f"<h3>After {text(target_text(report['nodes']))}</h3>")
        rows = [[chip(word), f"{count:,}", MEANING.get(word, "")] for word, count in summary["forecast"].items()]
        lines.append(table("Nodes by verdict after the change", ["Verdict", "Nodes", "Meaning"], rows, (1,)))
    return [*lines, "</section>"]


def _evidence(node: dict) -> str:
    """What the plan of a node rests on; all capabilities where it rests on none."""
    capabilities = mapping(node.get("capabilities"))
    names = [name for name in sequence(mapping(node.get("plan")).get("rests_on")) if name in capabilities] or list(capabilities)
    parts = []
    for name in names:
        entry = mapping(capabilities[name])
        known = ", ".join(str(entry[key]).replace("_", " ") for key in ("evidence", "confidence") if entry.get(key))
        parts.append(text(f"{name}: {entry.get('state')}" + (f" ({known})" if known else "")))
    return "<br>".join(parts)


def _sources(node: dict) -> str:
    capabilities = mapping(node.get("capabilities"))
    names = [name for name in sequence(mapping(node.get("plan")).get("rests_on")) if name in capabilities] or list(capabilities)
    return "<br>".join(dict.fromkeys(text(mapping(capabilities[name])["source"]) for name in names if mapping(capabilities[name]).get("source")))


def _moments_line(node: dict) -> str:
    return "<br>".join(
        f"{html.escape(MOMENT_NAMES.get(name, clean(name)))}: {chip(mapping(entry).get('verdict'))} "
        f"{'?' if mapping(entry).get('value') is None else text(mapping(entry)['value'])}"
        f"{', set by ' + text(mapping(entry)['writer']) if mapping(entry).get('writer') else ''}"
        for name, entry in mapping(node.get("moments")).items()
    )


def _option(option: dict) -> str:
    """One of the things that an owner can choose."""
    value = "" if option.get("value") is None else " " + text(option["value"])
    return f"<strong>{text(option.get('action'))}</strong>{value}: {text(option.get('effect'))}"


def _alike(node: dict) -> tuple[str, ...]:
    """What nodes of a group have in common."""
    facts = mapping(node.get("facts"))
    known = [str(facts.get(key)) for key in ("kernel", "os", "kube_proxy", "mode")]
    return (str(node["verdict"]), str(mapping(node.get("plan")).get("action")), *known)


def _groups(report: dict, by_name: dict) -> list[str]:
    """Nodes that are alike, worst first, each group with why, evidence, source and what to run."""
    groups = [group for group in report["groups"] if group["verdict"] not in ("safe", "not_applicable")]
    if not groups:
        return []
    waived = Counter(_alike(node) for node in report["nodes"] if "waived" in node)
    lines = ['<section aria-labelledby="risk"><h2 id="risk">Where the risk is</h2>', "<p>Nodes that are alike, worst first.</p>"]
    for group in groups[:MAXIMUM_GROUPS]:
        # Of a report that somebody has changed the names need not be those of its nodes.
        node = next((by_name[name] for name in group["examples"] if name in by_name), {})
        what, run = report_advice.action_advice(group["plan"])
        accepted = waived[tuple(str(group[key]) for key in ("verdict", "plan", "kernel", "os", "kube_proxy", "mode"))]
        lines.append(
            f"<details><summary>{chip(group['verdict'])} <strong>{plural(group['count'])}</strong>{f', {accepted:,} waived' if accepted else ''}, "
            f"plan {html.escape(clean(group['plan']))}: "
            f"kernel {text(group['kernel'])}, {text(group['os'])}, kube-proxy {text(group['kube_proxy'])} {text(group['mode'])}</summary><div>"
        )
        plan = mapping(node.get("plan"))
        options = [mapping(option) for option in sequence(plan.get("options"))]
        pairs = [
            ("Why", f"{MEANING.get(group['verdict'], '').capitalize()}. {text(plan.get('reason', ''))}"),
            ("Moments", _moments_line(node)),
            ("Evidence", _evidence(node)),
            ("Source", _sources(node)),
            ("What to run", f"{html.escape(what)}{command_box(run, own_name(node) if node else None)}"),
            ("Options", "<br>".join(_option(option) for option in options)),
            ("Nodes", text(examples(group))),
        ]
        lines.append(definitions(pairs) + "</div></details>")
    rest = len(groups) - MAXIMUM_GROUPS
    if rest > 0:
        lines.append(f"<p>{plural(rest, 'smaller group')} more: their nodes stand in the table below.</p>")
    return [*lines, "</section>"]


def _findings(report: dict, by_name: dict) -> list[str]:
    if not report["findings"]:
        return []
    lines = ['<section aria-labelledby="findings"><h2 id="findings">Findings</h2>', "<p>What else is worth a line, worst first.</p>"]
    for row in report["findings"]:
        key, name = row["key"], row["examples"][0] if row["examples"] else None
        node = by_name.get(name, {})
        seen = next((mapping(item) for item in sequence(node.get("findings")) if mapping(item).get("key") == key), {})
        what, run = report_advice.advice(key)
        page = f"{report_advice.REPOSITORY}/{report_advice.page(key)}"
        pairs = [
            ("Why", html.escape(report_advice.why(key))),
            ("Evidence", f"{text(row['text'])}<br>on {text(name)}" + (f", {text(seen['path'])}" if seen.get("path") else "")),
            ("Source", (f"{text(node['origin'])}<br>" if node.get("origin") else "") + f'<a href="{page}" rel="noreferrer">the page of this finding</a>'),
            ("What to run", f"{html.escape(what)}{command_box(run, own_name(node) if node else None)}" if what else "Nothing; it is good to know."),
            ("Waived", text(f"on {name} {waiver_sentence(seen)}") if "waived" in seen else ""),
            ("Nodes", f"{text(examples(row))} {show('Show', f'Show the nodes with {key}', finding=clean(key, MAXIMUM_TEXT))}"),
        ]
        lines.append(
            f"<details><summary>{chip(row['severity'])} <strong>{text(key)}</strong>: {plural(row['count'])}{waiver_text.of_finding(row)}</summary>"
            f"<div>{definitions(pairs)}</div></details>"
        )
    return [*lines, "</section>"]


def _missing(title: str, identifier: str, heads: list[str], rows: list[list]) -> list[str]:
    if not rows:
        return []
    shown = [[text(cell) for cell in row] for row in rows[:MAXIMUM_MISSING]]
    rest = len(rows) - MAXIMUM_MISSING
    more = [f"<p>{rest:,} more stand in report.json.</p>"] if rest > 0 else []
    lines = [f'<section aria-labelledby="{identifier}"><h2 id="{identifier}">{title}</h2>', table(f"{title}: {len(rows):,}", heads, shown)]
    return [*lines, *more, "</section>"]


_NODES = """<section aria-labelledby="nodes"><h2 id="nodes" tabindex="-1">Nodes</h2>
<noscript><p>The table of nodes needs the page's script. The same stands in report.json.</p></noscript>
<div data-script hidden>
<p class="hint">A press on a node's name opens all that is known about it.</p>
<form id="filters" class="controls" role="search" aria-label="Filter the nodes">
<label>Text: name, kernel, OS, finding<input id="filter-text" type="search" autocomplete="off" spellcheck="false"></label>
<label>Verdict<select id="filter-verdict"><option value="">any</option></select></label>
<label>at the moment<select id="filter-moment"><option value="">worst of all</option></select></label>
<label>Plan<select id="filter-plan"><option value="">any</option></select></label>
<label>Finding<select id="filter-finding"><option value="">any</option></select></label>
@MORE@<button type="button" id="clear">Clear the filter</button>
</form>
<p id="shown" role="status" aria-live="polite"></p>
<div class="scroll" role="group" tabindex="0" aria-label="Table of nodes"><table id="nodes-table">
<caption>Nodes and moments: verdict and value at each; the heads of columns sort</caption>
<thead><tr id="nodes-head"></tr></thead>
<tbody id="nodes-body"></tbody></table></div>
<button type="button" id="more" hidden>Show more</button>
</div></section>"""


def _selects(report: dict) -> list[str]:
    """The filters that only some reports need; the page's script fills those of reports and changes."""
    waived, any_option = mapping(report["summary"].get("waived")), '<option value="">any</option>'
    lines = []
    if report_names(report):
        lines.append(f'<label>Report<select id="filter-report">{any_option}</select></label>')
    if mapping(report.get("drift")):
        lines.append(f'<label>Since the last report<select id="filter-change">{any_option}</select></label>')
    if waived:
        words = [("no", "verdict not waived"), ("yes", "verdict waived"), ("finding", "a finding waived")]
        options = "".join(f'<option value="{word}">{meaning}</option>' for word, meaning in words)
        lines.append(f'<label>Waived<select id="filter-waived">{any_option}{options}</select></label>')
    return lines


def html_text(report: dict) -> str:
    """The report as one HTML page."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    title = f"{'Remediation' if 'remediation' in report['summary'] else 'Audit'} of net.ipv4.vs.conn_reuse_mode"
    by_name = {node["name"]: node for node in report["nodes"]}
    data, pool = page_data(report)
    waived = any("waived" in item for item in report["unreachable"])
    several = any("report" in item for item in report["errors"])
    not_read = [[item.get("name"), item.get("reason"), *([waiver_sentence(item) or "no"] if waived else [])] for item in report["unreachable"]]
    not_used = [[item.get("path"), item.get("reason"), *([item.get("report", "")] if several else [])] for item in report["errors"]]
    sections = [
        *changes_section(report, pool),
        *_summary(report),
        *picture_section(report, pool),
        *_groups(report, by_name),
        *_findings(report, by_name),
        *waivers_section(report),
        *_missing("Not read", "not-read", ["Node", "Reason", *(["Waived"] if waived else [])], not_read),
        *_missing("Facts that could not be used", "not-used", ["File", "Reason", *(["Report"] if several else [])], not_used),
        *merged_section(report),
        _NODES.replace("@MORE@", "".join(_selects(report))),
    ]
    present = re.findall(r'<h2 id="([a-z-]+)"[^>]*>([^<]+)</h2>', "\n".join(sections))
    menu = "".join(f'<li><a href="#{identifier}">{name}</a></li>' for identifier, name in present)
    on = f" on {text(report['name'])}" if report.get("name") else ""
    made = ""
    if report.get("generated_at"):
        made = f"Made {text(report['generated_at'])} by {text(report.get('collection', 'kubeproxy.ipvs'))}.{merged_line(report)}"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="generator" content="kubeproxy.ipvs">',
            f"<title>{title}</title>",
            f"<style>{style}</style></head><body>",
            f'<header><a class="skip" href="#nodes">To the nodes</a><h1>{title}{on}</h1><p class="faint">{made}</p>',
            f'<nav aria-label="Parts of the report"><ul>{menu}</ul></nav></header>',
            "<main>",
            *sections,
            "</main>",
            f'<footer><p>All of this stands in report.json, for programs. <a href="{HOME}" rel="noreferrer">kubeproxy.ipvs</a></p></footer>',
            f'<script type="application/json" id="data">{script_text(data)}</script>',
            f"<script>{script}</script></body></html>",
            "",
        ]
    )
