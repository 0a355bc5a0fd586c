# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the report's texts are built of: words and their meanings, cleaned and escaped text, columns for a terminal, tables for a page."""

from __future__ import annotations

import re
import unicodedata

MEANING = {
    "stale_backends": "new connections can reach pods that are gone",
    "syn_delay": "a reused source port costs one second",
    "unknown": "not enough is known to say",
    "uneven_load": "reused ports stick to their old backend while it lives: uneven, but no errors",
    "safe": "fine",
    "not_applicable": "kube-proxy does not run in IPVS mode",
}
ACTIONS = {
    "none": "nothing: it is well, or not in IPVS mode, or its mode is not known",
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


def escape(value, limit: int = MAXIMUM_TEXT) -> str:
    """VALUE for Markdown: no mark-up, no HTML, no new cell of a table."""
    text = clean(value, limit).replace("&", "&amp;").replace("<", "&lt;")
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


def table_part(title: str, rows: list[list[str]], widths: list[int]) -> list[str]:
    """A titled part of the terminal's text; nothing where there are no rows."""
    return ["", title, *columns([""] * len(widths), rows, widths)[1:]] if rows else []


def markdown_table(head: list[str], rows: list[list]) -> list[str]:
    """A table of a page; nothing where there are no rows."""
    if not rows:
        return []
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(escape(cell) for cell in row) + " |" for row in rows), ""]
