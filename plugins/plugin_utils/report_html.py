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
import json
import os
import re
from collections import Counter

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import remediation_text, report_advice
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, sequence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.findings import SEVERITIES
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.forecast import target_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_page_data import Pool, moments_in, page_data, script_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import ACTIONS, MEANING, MOMENT_NAMES, clean, examples
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import VERDICTS, worst

DIRECTORY = os.path.join(os.path.dirname(__file__), "report_page")
# More than this a picture cannot show; what is beyond stands together in a last row or column.
MAXIMUM_KERNELS, MAXIMUM_VERSIONS = 60, 24
MAXIMUM_GROUPS = 50
MAXIMUM_MISSING = 500
MAXIMUM_TEXT = 1000
MAXIMUM_HEAD = 90
HOME = "https://github.com/kubeproxy/ansible-collection-ipvs"
_NUMBERS = re.compile(r"(\d+)")


@functools.lru_cache(maxsize=None)
def _asset(name: str) -> str:
    with open(os.path.join(DIRECTORY, name), encoding="utf-8") as handle:
        return handle.read()


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii") + "'"


def _text(value, limit: int = MAXIMUM_TEXT) -> str:
    """VALUE as text of the page, whatever it holds, its direction kept to itself."""
    return f"<bdi>{html.escape(clean(value, limit)) or '(empty)'}</bdi>"


def _chip(word) -> str:
    known = word if word in VERDICTS or word in SEVERITIES else "unknown"
    return f'<span class="chip {known}">{html.escape(clean(word))}</span>'


def _show(label: str, spoken: str = "", kind: str = "act", **wanted) -> str:
    """A button that makes the table show the nodes of something. label: HTML; spoken: what a screen reader says in its place; kind: a class of the style."""
    more = f' aria-label="{html.escape(clean(spoken))}"' if spoken else ""
    return f'<button type="button" class="{kind}" data-show="{html.escape(json.dumps(wanted))}"{more}>{label}</button>'


def _table(caption: str, heads: list[str], rows: list[list[str]], numbers: tuple[int, ...] = ()) -> str:
    """A table of HTML cells, the first of a row its head. numbers: columns that hold numbers."""
    if not rows:
        return ""
    kinds = ["number" if index in numbers else "" for index in range(len(heads))]
    head = "".join(f'<th scope="col" class="{kind}">{cell}</th>' if kind else f'<th scope="col">{cell}</th>' for cell, kind in zip(heads, kinds))
    lines = []
    for row in rows:
        cells = "".join(f'<td class="{kind}">{cell}</td>' if kind else f"<td>{cell}</td>" for cell, kind in zip(row[1:], kinds[1:]))
        lines.append(f'<tr><th scope="row">{row[0]}</th>{cells}</tr>')
    body = "\n".join(lines)
    table = f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"
    return f'<div class="scroll" role="group" tabindex="0" aria-label="{caption}">{table}</div>'


def _list(pairs: list[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{title}</dt><dd>{content}</dd>" for title, content in pairs if content) + "</dl>"


def _run(template: str, node: str | None = None) -> str:
    return f"<pre><code>{html.escape(report_advice.command(template, node))}</code></pre>" if template else ""


def _plural(count: int, word: str = "node") -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _summary(report: dict) -> list[str]:
    summary = report["summary"]
    lines = ['<section aria-labelledby="summary"><h2 id="summary">Summary</h2>']
    if "remediation" in summary:
        lines.append(f"<p>{_text(remediation_text.headline(report))}. What follows is so after it.</p>")
    missing = f", {summary['unreachable']:,} could not be read" if summary["unreachable"] else ""
    hint = '<span class="hint">Numbers on buttons show their nodes.</span>'
    lines.append(f"<p>{_plural(summary['judged'])} judged{missing}. A node's verdict is the worst of all moments. {hint}</p>")
    rows = [
        [_chip(word), _show(f"{count:,}", f"{count:,} nodes {word}: show them", verdict=word), MEANING.get(word, "")]
        for word, count in summary["verdicts"].items()
    ]
    lines.append('<div class="pair">' + _table("Nodes by verdict, worst first", ["Verdict", "Nodes", "Meaning"], rows, (1,)))
    rows = [
        [html.escape(action), _show(f"{count:,}", f"{count:,} nodes with plan {action}: show them", plan=action), ACTIONS.get(action, "")]
        for action, count in summary["plans"].items()
    ]
    lines.append(_table("Nodes by plan", ["Plan", "Nodes", "Meaning"], rows, (1,)) + "</div>")
    counts = {moment: Counter(mapping(mapping(node.get("moments")).get(moment)).get("verdict") for node in report["nodes"]) for moment in moments_in(report)}
    present = [word for word in VERDICTS if any(count[word] for count in counts.values())]

    def at_moment(moment: str, word: str, count: int) -> str:
        return _show(f"{count:,}", f"{count:,} nodes {word}, {MOMENT_NAMES[moment]}: show them", moment=moment, verdict=word) if count else "0"

    rows = [[MOMENT_NAMES[moment], *(at_moment(moment, word, count[word]) for word in present)] for moment, count in counts.items()]
    lines.append(_table("What each moment brings, in nodes", ["Moment", *(_chip(word) for word in present)], rows, tuple(range(1, len(present) + 1))))
    if "forecast" in summary:
        lines.append(f"<h3>After {_text(target_text(report['target']))}</h3>")
        rows = [[_chip(word), f"{count:,}", MEANING.get(word, "")] for word, count in summary["forecast"].items()]
        lines.append(_table("Nodes by verdict after the change", ["Verdict", "Nodes", "Meaning"], rows, (1,)))
    return [*lines, "</section>"]


def _natural(text: str) -> list:
    """A key that sorts 5.4 before 5.10."""
    return [(int(part[:18]), "") if part.isdecimal() and part.isascii() else (-1, part) for part in _NUMBERS.split(text)]


def _ends(totals: dict[tuple, list[str]], maximum: int) -> list[tuple]:
    """The keys of a picture's side in natural order; if they are too many, those with the worst verdicts and the most nodes."""
    ordered = sorted(totals, key=lambda key: (VERDICTS.index(worst(totals[key])), -len(totals[key]), key))
    return sorted(ordered[:maximum], key=lambda key: [_natural(str(part)) for part in key])


def _picture(report: dict, pool: Pool) -> list[str]:
    """Kernels and versions of kube-proxy as a table of worst verdicts."""
    cells: dict[tuple, list[str]] = {}
    kernels: dict[tuple, list[str]] = {}
    versions: dict[tuple, list[str]] = {}
    for node in report["nodes"]:
        facts = mapping(node.get("facts"))
        kernel, version = (str(facts.get("kernel")),), (str(facts.get("kube_proxy")), str(facts.get("mode")))
        for where, key in ((kernels, kernel), (versions, version), (cells, (kernel, version))):
            where.setdefault(key, []).append(node["verdict"])
    if not cells:
        return []
    rows, heads = _ends(kernels, MAXIMUM_KERNELS), _ends(versions, MAXIMUM_VERSIONS)
    more_rows, more_heads = len(kernels) - len(rows), len(versions) - len(heads)
    merged: dict[tuple, list[str]] = {}
    for (kernel, version), words in cells.items():
        merged.setdefault((kernel if kernel in rows else None, version if version in heads else None), []).extend(words)
    columns = [*heads, *([None] if more_heads else [])]

    def cell(kernel, version) -> str:
        words = merged.get((kernel, version))
        if not words:
            return '<td class="empty">–</td>'
        word = worst(words)
        label = f"{html.escape(word)}<br>{_plural(len(words))}"
        if kernel is None or version is None:
            return f'<td class="{word}">{label}</td>'
        wanted = {"kernel": pool.place(kernel[0]), "kube_proxy": pool.place(version[0]), "mode": pool.place(version[1])}
        return f'<td class="{word}">{_show(label, kind="", **wanted)}</td>'

    head = "".join(f'<th scope="col">{_text(" ".join(version), MAXIMUM_HEAD) if version else f"{more_heads} others"}</th>' for version in columns)
    lines = []
    for kernel in [*rows, *([None] if more_rows else [])]:
        title = _text(kernel[0], MAXIMUM_HEAD) if kernel else f"{more_rows} other kernels"
        lines.append(f'<tr><th scope="row">{title}</th>{"".join(cell(kernel, version) for version in columns)}</tr>')
    body = "\n".join(lines)
    return [
        '<section aria-labelledby="picture"><h2 id="picture">Kernels and versions of kube-proxy</h2>',
        '<p>Each cell says the worst verdict of its nodes, and how many they are. <span class="hint">A press on it shows them.</span></p>',
        '<div class="scroll" role="group" tabindex="0" aria-label="Picture"><table class="matrix">',
        "<caption>Worst verdict by kernel and by version and mode of kube-proxy</caption>",
        f'<thead><tr><th scope="col">Kernel</th>{head}</tr></thead>\n<tbody>{body}</tbody></table></div></section>',
    ]


def _evidence(node: dict) -> str:
    """What the plan of a node rests on; all capabilities where it rests on none."""
    capabilities = mapping(node.get("capabilities"))
    names = [name for name in sequence(mapping(node.get("plan")).get("rests_on")) if name in capabilities] or list(capabilities)
    parts = []
    for name in names:
        entry = mapping(capabilities[name])
        known = ", ".join(str(entry[key]).replace("_", " ") for key in ("evidence", "confidence") if entry.get(key))
        parts.append(_text(f"{name}: {entry.get('state')}" + (f" ({known})" if known else "")))
    return "<br>".join(parts)


def _sources(node: dict) -> str:
    capabilities = mapping(node.get("capabilities"))
    names = [name for name in sequence(mapping(node.get("plan")).get("rests_on")) if name in capabilities] or list(capabilities)
    return "<br>".join(dict.fromkeys(_text(mapping(capabilities[name])["source"]) for name in names if mapping(capabilities[name]).get("source")))


def _moments_line(node: dict) -> str:
    return "<br>".join(
        f"{html.escape(MOMENT_NAMES.get(name, clean(name)))}: {_chip(mapping(entry).get('verdict'))} "
        f"{'?' if mapping(entry).get('value') is None else _text(mapping(entry)['value'])}"
        f"{', set by ' + _text(mapping(entry)['writer']) if mapping(entry).get('writer') else ''}"
        for name, entry in mapping(node.get("moments")).items()
    )


def _option(option: dict) -> str:
    """One of the things that an owner can choose."""
    value = "" if option.get("value") is None else " " + _text(option["value"])
    return f"<strong>{_text(option.get('action'))}</strong>{value}: {_text(option.get('effect'))}"


def _groups(report: dict, by_name: dict) -> list[str]:
    """Nodes that are alike, worst first, each group with why, evidence, source and what to run."""
    groups = [group for group in report["groups"] if group["verdict"] not in ("safe", "not_applicable")]
    if not groups:
        return []
    lines = ['<section aria-labelledby="risk"><h2 id="risk">Where the risk is</h2>', "<p>Nodes that are alike, worst first.</p>"]
    for group in groups[:MAXIMUM_GROUPS]:
        node = by_name.get(group["examples"][0], {})
        what, run = report_advice.ACTIONS.get(group["plan"], ("", ""))
        lines.append(
            f"<details><summary>{_chip(group['verdict'])} <strong>{_plural(group['count'])}</strong>, plan {html.escape(clean(group['plan']))}: "
            f"kernel {_text(group['kernel'])}, {_text(group['os'])}, kube-proxy {_text(group['kube_proxy'])} {_text(group['mode'])}</summary><div>"
        )
        plan = mapping(node.get("plan"))
        options = [mapping(option) for option in sequence(plan.get("options"))]
        pairs = [
            ("Why", f"{MEANING.get(group['verdict'], '').capitalize()}. {_text(plan.get('reason', ''))}"),
            ("Moments", _moments_line(node)),
            ("Evidence", _evidence(node)),
            ("Source", _sources(node)),
            ("What to run", f"{html.escape(what)}{_run(run, group['examples'][0])}"),
            ("Options", "<br>".join(_option(option) for option in options)),
            ("Nodes", _text(examples(group))),
        ]
        lines.append(_list(pairs) + "</div></details>")
    rest = len(groups) - MAXIMUM_GROUPS
    if rest > 0:
        lines.append(f"<p>{_plural(rest, 'smaller group')} more: their nodes stand in the table below.</p>")
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
        page = f"{report_advice.REPOSITORY}/findings.md" + (f"#{key}" if key in report_advice.WHY else "")
        pairs = [
            ("Why", html.escape(report_advice.WHY.get(key, ""))),
            ("Evidence", f"{_text(row['text'])}<br>on {_text(name)}" + (f", {_text(seen['path'])}" if seen.get("path") else "")),
            ("Source", (f"{_text(node['origin'])}<br>" if node.get("origin") else "") + f'<a href="{page}" rel="noreferrer">the page of this finding</a>'),
            ("What to run", f"{html.escape(what)}{_run(run, name)}" if what else "Nothing; it is good to know."),
            ("Nodes", f"{_text(examples(row))} {_show('Show', f'Show the nodes with {key}', finding=clean(key, MAXIMUM_TEXT))}"),
        ]
        lines.append(
            f"<details><summary>{_chip(row['severity'])} <strong>{_text(key)}</strong>: {_plural(row['count'])}</summary><div>{_list(pairs)}</div></details>"
        )
    return [*lines, "</section>"]


def _missing(title: str, identifier: str, head: str, rows: list[list]) -> list[str]:
    if not rows:
        return []
    shown = [[_text(cell) for cell in row] for row in rows[:MAXIMUM_MISSING]]
    rest = len(rows) - MAXIMUM_MISSING
    more = [f"<p>{rest:,} more stand in report.json.</p>"] if rest > 0 else []
    lines = [f'<section aria-labelledby="{identifier}"><h2 id="{identifier}">{title}</h2>', _table(f"{title}: {len(rows):,}", [head, "Reason"], shown)]
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
<button type="button" id="clear">Clear the filter</button>
</form>
<p id="shown" role="status" aria-live="polite"></p>
<div class="scroll" role="group" tabindex="0" aria-label="Table of nodes"><table id="nodes-table">
<caption>Nodes and moments: verdict and value at each; the heads of columns sort</caption>
<thead><tr id="nodes-head"></tr></thead>
<tbody id="nodes-body"></tbody></table></div>
<button type="button" id="more" hidden>Show more</button>
</div></section>"""


def html_text(report: dict) -> str:
    """The report as one HTML page."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    title = f"{'Remediation' if 'remediation' in report['summary'] else 'Audit'} of net.ipv4.vs.conn_reuse_mode"
    by_name = {node["name"]: node for node in report["nodes"]}
    data, pool = page_data(report)
    sections = [
        *_summary(report),
        *_picture(report, pool),
        *_groups(report, by_name),
        *_findings(report, by_name),
        *_missing("Not read", "not-read", "Node", [[item.get("name"), item.get("reason")] for item in report["unreachable"]]),
        *_missing("Facts that could not be used", "not-used", "File", [[item.get("path"), item.get("reason")] for item in report["errors"]]),
        _NODES,
    ]
    present = re.findall(r'<h2 id="([a-z-]+)"[^>]*>([^<]+)</h2>', "\n".join(sections))
    menu = "".join(f'<li><a href="#{identifier}">{name}</a></li>' for identifier, name in present)
    made = f"Made {_text(report['generated_at'])} by {_text(report.get('collection', 'kubeproxy.ipvs'))}." if report.get("generated_at") else ""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="generator" content="kubeproxy.ipvs">',
            f"<title>{title}</title>",
            f"<style>{style}</style></head><body>",
            f'<header><a class="skip" href="#nodes">To the nodes</a><h1>{title}</h1><p class="faint">{made}</p>',
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
