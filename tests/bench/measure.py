# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""measure.py [PART...]: print what things cost, and without a PART write all of it into docs/performance.md. Nothing here passes or fails."""

from __future__ import annotations

import datetime
import importlib
import os
import pathlib
import platform
import sys
import time

import ansible.release
from comparison import REPEATS, Row

PARTS = ("over_ssh", "module_alone", "large_table", "decisions", "one_run", "hold_cost", "throughput", "starts")
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "performance.md"
WORDS = {True: "yes", False: "**no**", None: ""}
TEXT = """# What it costs

Written by `make bench`, which measures everything anew: {date}, on {machine}, Python {python}, ansible-core {core}.
Nothing here fails a test: a change for the worse is seen in this file's history. Where a baseline is named, both were measured in turn in the
same run, {repeats} times each, and the medians are compared; × is that ratio.

| | measured | baseline | wanted | figure | met |
|---|---|---|---|---|---|
{rows}
"""


def machine() -> str:
    """What this runs on, in words."""
    information = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    model = next((line.partition(":")[2].strip() for line in information.splitlines() if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{os.cpu_count()} processors ({model}), {memory:.0f} GiB"


def cell(row: Row) -> str:
    """A line of the table."""
    return f"| {row.number} | {row.what} | {row.baseline} | {row.wanted} | {row.figure} | {WORDS[row.met]} |"


def measured(part: str) -> list[Row]:
    """What a part gives; a part that cannot be measured says why, and costs itself alone."""
    began = time.monotonic()
    try:
        rows = importlib.import_module(part).measure()
    except Exception as error:  # whatever it is, the others are to be measured
        rows = [Row("", part, "", "", f"not measured: {' '.join(str(error).split())[-300:]}")]
    for row in rows:
        print(f"{row.number:2} {row.what}\n   {row.figure}   wanted: {row.wanted or '–'}   {ascii_of(row.met)}", flush=True)
    print(f"   [{part}: {time.monotonic() - began:.0f} s]", flush=True)
    return rows


def ascii_of(met: bool | None) -> str:
    """Whether it is met, for a terminal."""
    return {True: "met", False: "NOT MET", None: ""}[met]


def main(parts: list[str]) -> None:
    """The command."""
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        sys.exit(f"there is no {', '.join(unknown)}; there are {', '.join(PARTS)}")
    load = os.getloadavg()[0]
    if load > 1:
        print(f"something else runs here (load {load:.1f}): the ratios will vary")
    rows = sorted((row for part in parts or PARTS for row in measured(part)), key=lambda row: row.number or "99")
    if not parts:
        date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        words = {"date": date, "machine": machine(), "python": platform.python_version(), "core": ansible.release.__version__, "repeats": REPEATS}
        PAGE.write_text(TEXT.format(rows="\n".join(map(cell, rows)), **words), encoding="utf-8")
        print(f"written: {PAGE}")


if __name__ == "__main__":
    main(sys.argv[1:])
