# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/kernels.md, made of kernels.yml: every line of kernels, what it has from which build on, and how that is known."""

from __future__ import annotations

import re

from page_parts import anchor, code, linked, source_list, table

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import CAPABILITIES, load, source_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.release import version

FIELDS = {"release": "`uname -r`", "version": "`uname -v`", "version_signature": "`/proc/version_signature`"}
INTRODUCTION = """# Is my kernel fixed?

```
uname -r ; uname -v
```

Look for your kernel's name in the table below. Better: let the audit look ([am I affected?](am-i-affected.md)). It knows these tables, reads what the name does
not say, and says for each answer what it rests on. A line that is missing here is no verdict: [ask the kernel](probe.md), or [add it](add-a-kernel.md).

| capability | what it gives |
| --- | --- |
| `reuse_without_drop` | with `net.ipv4.vs.conn_reuse_mode=1` the first packet of a reused connection is not dropped: 1 is safe |
| `respects_zero_weight` | with 0 and `expire_nodest_conn=1` a reused connection leaves a backend that is being removed: 0 is uneven, not wrong |
| `flushes_deleted` | connections of a removed backend are flushed at once; a kernel that does that has `reuse_without_drop` as well |

How a name is read:

* **The first line that fits decides**, in the order of this page. A vendor's suffix goes before every number: `4.18.0-147` is CentOS 8.1 and EulerOS
  2.9.
* **A version from which every kernel has it goes before the line**, whoever built it: [mainline](#kernelorg).
* **The build's number** is what the groups (the parentheses) of the line's expression find in `uname -r`, joined by dots. *From* and *to* are included. The
  first range that fits decides, and where none fits the answer is unknown.
* **A version goes before a build's number** where a line has both, if it can be read on the node.
* **Confidence**: *proven*, the source, the patch or the changelog was read; *strong*, it follows from what is proven; *reported*, the vendor says so;
  *inferred*, reasoned and not confirmed. A yes that is only inferred counts as unknown unless `audit_accept_inferred` is set.

A symbol, a switch, a package's changelog, the day of the build and a probe can say more than the name: [in this order](verdict.md#capabilities). This page is
made of [kernels.yml](../plugins/plugin_utils/knowledge/kernels.yml) by `make docs`.
"""


def _source(key: str) -> str:
    return linked(source_text(load("kernels"), key))


def _bounds(entry: dict, others: str = "all others") -> str:
    """Which builds a range is about; others: the words for one without bounds."""
    begin, end = entry.get("from"), entry.get("to")
    if begin and begin == end:
        words = f"only {code(begin)}"
    else:
        words = " ".join(f"{word} {code(number)}" for word, number in (("from", begin), ("to", end)) if number) or others
    return words + (f", built on {entry['built_from']} or later" if "built_from" in entry else "")


def _says_mainline(row: dict, capability: str) -> bool:
    """Whether the line's own name begins with a version from which every kernel has it."""
    begin = re.match(r"\^(\d+)\\\.(\d+)", row["match"].get("release", ""))
    return bool(begin) and version(".".join(begin.groups())) >= version(load("kernels")["upstream"][capability]["mainline"]["from"])


def _summary(row: dict, capability: str) -> str:
    """A cell of the table of lines: from where on it is there, or, where it never is, what else is known."""
    if _says_mainline(row, capability):
        return "yes, by its name"
    ranges = row.get("ranges", {}).get(capability, [])
    shown = [entry for entry in ranges if entry["state"] == "yes"] or ranges
    words = [f"{entry['state']} {_bounds(entry, '')}".strip() + (" (inferred)" if entry["confidence"] == "inferred" else "") for entry in shown]
    return "; ".join(words + (["by its version"] if "base" in row else [])) or "unknown"


def _upstream() -> list[str]:
    """What kernel.org's own branches have."""
    upstream = load("kernels")["upstream"]
    lines = ["## kernel.org", "", "For kernels whose real kernel.org version is known.", ""]
    for capability in CAPABILITIES:
        entry = upstream[capability]
        rows = [["mainline", f"yes from {entry['mainline']['from']}", entry["mainline"]["confidence"], _source(entry["mainline"]["source"])]]
        for stable in entry["stable"]:
            what = "never" if "never" in stable else f"yes from {stable['from']}"
            rows.append([f"{stable['branch']}.y", what, stable["confidence"], _source(stable["source"])])
        rows.append(["all others", entry["others"]["state"], entry["others"]["confidence"], _source(entry["others"]["source"])])
        lines += [f"### {code(capability)}", "", *table(["branch", "has it", "confidence", "source"], rows)]
    return lines


def _build_dates(row: dict) -> list[str]:
    if "build_dates" not in row:
        return []
    if not row["build_dates"]:
        return ["* Its day of build says nothing: this line may have had the fix before upstream."]
    return [
        f"* Built before {entry['before']}: no {code(capability)} ({entry['confidence']}; {_source(entry['source'])})."
        for capability, entry in row["build_dates"].items()
    ]


def _base(row: dict) -> list[str]:
    if "base" not in row:
        return []
    base = row["base"]
    older = "an older one lacks it" if base["meaning"] == "exact" else "it may have patches of its own, so that an older one says nothing"
    older += f" ({base['confidence']})" if "confidence" in base else ""
    return [f"* Its [kernel.org](#kernelorg) version stands in {FIELDS[base['read']]}, {code(base['pattern'])}; {older}."]


def _row(row: dict) -> list[str]:
    """The section of one line of kernels."""
    lines = [f"### {row['name']}", "", f"* Row {code(row['key'])}."]
    lines += [f"* {FIELDS[field]} matches {code(pattern)}." for field, pattern in row["match"].items()]
    if "sysctl_from" in row:
        has_it = "every build has" if row["sysctl_from"] == "0" else f"builds from {code(row['sysctl_from'])} on have"
        lines.append(f"* Older than 4.1 by its name; {has_it} `conn_reuse_mode` all the same.")
    lines += _base(row) + _build_dates(row) + [""]
    cells = [
        [code(capability), entry["state"], _bounds(entry, "all others" if len(entries) > 1 else "all"), entry["confidence"], _source(entry["source"])]
        for capability, entries in row.get("ranges", {}).items()
        for entry in entries
    ]
    if cells:
        return lines + table(["capability", "state", "builds", "confidence", "source"], cells)
    return lines + ([] if "base" in row else ["Nothing is known of its builds: unknown, unless the name itself says 5.9 or newer.", ""])


def _other_evidence() -> list[str]:
    document = load("kernels")
    symbols = [
        [code(entry["symbol"]), ", ".join(f"{code(capability)} {state}" for capability, state in entry["shows"].items()), entry["confidence"]]
        + [_source(entry["source"])]
        for entry in document["symbols"]
    ]
    dates = [[code(capability), entry["before"], entry["confidence"], _source(entry["source"])] for capability, entry in document["build_dates"].items()]
    return [
        *("## Symbols", "", "Names in `/proc/kallsyms` (root sees them) that only some kernels have.", ""),
        *table(["symbol", "shows", "confidence", "source"], symbols),
        *("## Day of the build", ""),
        *("A kernel that was built before this day, by its `uname -v`, cannot have what was written later. A line above may say otherwise.", ""),
        *table(["capability", "no, if built before", "confidence", "source"], dates),
    ]


def page() -> str:
    """The whole page."""
    document = load("kernels")
    index = [[f"[{row['name']}](#{anchor(row['name'])})", *(_summary(row, capability) for capability in CAPABILITIES)] for row in document["rows"]]
    lines = [INTRODUCTION, "## All lines", "", "*By its version*: as [kernel.org](#kernelorg)'s own kernel of that version.", ""]
    lines += table(["line", *map(code, CAPABILITIES)], index)
    lines += _upstream() + ["## Line by line", ""]
    for row in document["rows"]:
        lines += _row(row)
    lines += _other_evidence() + source_list(document["sources"])
    return "\n".join(lines).rstrip("\n") + "\n"
