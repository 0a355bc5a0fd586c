# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the page for a browser is built of: escaped text, buttons that show nodes, tables."""

from __future__ import annotations

import html
import json

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import report_advice
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.findings import SEVERITIES
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import clean
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import VERDICTS

MAXIMUM_TEXT = 1000


def text(value, limit: int = MAXIMUM_TEXT) -> str:
    """VALUE as text of the page, whatever it holds, its direction kept to itself."""
    return f"<bdi>{html.escape(clean(value, limit)) or '(empty)'}</bdi>"


def chip(word) -> str:
    """A verdict or a severity, with its colour."""
    known = word if word in VERDICTS or word in SEVERITIES else "unknown"
    return f'<span class="chip {known}">{html.escape(clean(word))}</span>'


def show(label: str, spoken: str = "", kind: str = "act", **wanted) -> str:
    """A button that makes the table show the nodes of something. label: HTML; spoken: what a screen reader says in its place; kind: a class of the style."""
    more = f' aria-label="{html.escape(clean(spoken))}"' if spoken else ""
    return f'<button type="button" class="{kind}" data-show="{html.escape(json.dumps(wanted))}"{more}>{label}</button>'


def table(caption: str, heads: list[str], rows: list[list[str]], numbers: tuple[int, ...] = ()) -> str:
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
    whole = f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"
    return f'<div class="scroll" role="group" tabindex="0" aria-label="{caption}">{whole}</div>'


def definitions(pairs: list[tuple[str, str]]) -> str:
    """Titles, each with HTML; none where there is nothing to say."""
    return "<dl>" + "".join(f"<dt>{title}</dt><dd>{content}</dd>" for title, content in pairs if content) + "</dl>"


def command_box(template: str, node: str | None = None) -> str:
    """The command for a node, to be copied; empty for an empty template."""
    return f"<pre><code>{html.escape(report_advice.command(template, node))}</code></pre>" if template else ""


def plural(count: int, word: str = "node") -> str:
    """'1 node', '1,234 nodes'."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
