# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The section of docs/support.md about ansible-core and Python, made of tests/matrix."""

from __future__ import annotations

import pathlib
import sys

from page_parts import table

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "matrix"))
import cores  # noqa: E402
import matrix  # noqa: E402

BEGIN = "<!-- Written by `make docs`, of tests/matrix: from here -->\n"
END = "<!-- to here -->\n"


def _cores(known: list[cores.Core], left_out: dict[str, dict]) -> list[str]:
    rows = {}
    for core in known:
        pythons = tuple(python for python in core.nodes if cores.last_for(known, python) == core.series)
        what = f"reads with all, changes with {cores.spans(pythons)}" if pythons else "reads with all"
        rows[core.series] = [core.series, cores.spans(core.controllers), cores.spans(core.nodes), what]
    for series, row in left_out.items():
        rows[series] = [series, "", "", f"no: {row['why']} ([source]({row['source']}))"]
    return table(["ansible-core", "Python of the controller", "Python of the nodes", "tested"], [rows[series] for series in cores.in_order(rows)])


def _nodes(known: list[cores.Core]) -> list[str]:
    by_cores: dict[tuple[str, ...], list[str]] = {}
    for python in cores.in_order({version for core in known for version in core.nodes}):
        by_cores.setdefault(tuple(core.series for core in known if python in core.nodes), []).append(python)
    rows = [[cores.spans(tuple(pythons)), ", ".join(series)] for series, pythons in by_cores.items()]
    return table(["Python of the node", "ansible-core that drives it"], rows)


def section() -> str:
    """What stands between the marks, of cores.yml."""
    known = matrix.recorded()
    lines = [
        "",
        "Which versions there are is what `meta/runtime.yml` takes of what the package index has; which Pythons each drives is what it says itself.",
        "`make nodes-python` runs the newest release of every line with every Python of a node there is here or in Debian, and says which are not.",
        "",
        *_cores(known, matrix.left_out()),
        *_nodes(known),
    ]
    return "\n".join(lines)


def page() -> str:
    """docs/support.md with this section in the place of the one that is there."""
    text = (ROOT / "docs" / "support.md").read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("docs/support.md has lost its marks")
    return before + begin + section() + end + after
