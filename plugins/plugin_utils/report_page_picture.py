# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page's picture of a fleet: the worst verdict of each kernel and version of kube-proxy."""

from __future__ import annotations

import html
import re

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_page_data import Pool
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_page_parts import plural, show, text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import VERDICTS, worst

# More than this a picture cannot show; what is beyond stands together in a last row or column.
MAXIMUM_KERNELS, MAXIMUM_VERSIONS = 60, 24
MAXIMUM_HEAD = 90
_NUMBERS = re.compile(r"(\d+)")


def _natural(word: str) -> list:
    """A key that sorts 5.4 before 5.10."""
    return [(int(part[:18]), "") if part.isdecimal() and part.isascii() else (-1, part) for part in _NUMBERS.split(word)]


def _ends(totals: dict[tuple, list[str]], maximum: int) -> list[tuple]:
    """The keys of a picture's side in natural order; if they are too many, those with the worst verdicts and the most nodes."""
    ordered = sorted(totals, key=lambda key: (VERDICTS.index(worst(totals[key])), -len(totals[key]), key))
    return sorted(ordered[:maximum], key=lambda key: [_natural(str(part)) for part in key])


def picture_section(report: dict, pool: Pool) -> list[str]:
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
        label = f"{html.escape(word)}<br>{plural(len(words))}"
        if kernel is None or version is None:
            return f'<td class="{word}">{label}</td>'
        wanted = {"kernel": pool.place(kernel[0]), "kube_proxy": pool.place(version[0]), "mode": pool.place(version[1])}
        return f'<td class="{word}">{show(label, kind="", **wanted)}</td>'

    head = "".join(f'<th scope="col">{text(" ".join(version), MAXIMUM_HEAD) if version else f"{more_heads} others"}</th>' for version in columns)
    lines = []
    for kernel in [*rows, *([None] if more_rows else [])]:
        title = text(kernel[0], MAXIMUM_HEAD) if kernel else f"{more_rows} other kernels"
        lines.append(f'<tr><th scope="row">{title}</th>{"".join(cell(kernel, version) for version in columns)}</tr>')
    body = "\n".join(lines)
    return [
        '<section aria-labelledby="picture"><h2 id="picture">Kernels and versions of kube-proxy</h2>',
        '<p>Each cell says the worst verdict of its nodes, and how many they are. <span class="hint">A press on it shows them.</span></p>',
        '<div class="scroll" role="group" tabindex="0" aria-label="Picture"><table class="matrix">',
        "<caption>Worst verdict by kernel and by version and mode of kube-proxy</caption>",
        f'<thead><tr><th scope="col">Kernel</th>{head}</tr></thead>\n<tbody>{body}</tbody></table></div></section>',
    ]
