# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""measure.py [PART...]: print what things cost, and write it into its section of docs/performance.md; with a PART the lines of others stay as they are.

Nothing here passes or fails.
"""

from __future__ import annotations

import datetime
import importlib
import os
import pathlib
import platform
import re
import sys
import time

import ansible.release
from comparison import Row

PARTS = ("over_ssh", "module_alone", "large_table", "decisions", "one_run", "hold_cost", "throughput", "starts")
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "performance.md"
WORDS = {True: "yes", False: "**no**", None: ""}
BEGIN = "<!-- Written by `make bench`: from here -->\n"
END = "<!-- to here -->\n"
TEXT = """{date}, on {machine}, Python {python}, ansible-core {core}.

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
    rows = [row for part in parts or PARTS for row in measured(part)]
    numbers = {row.number for row in rows}
    lines = [(row.number, cell(row)) for row in rows] + [line for line in _written() if parts and line[0] not in numbers]
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    words = {"date": date, "machine": machine(), "python": platform.python_version(), "core": ansible.release.__version__}
    _write(TEXT.format(rows="\n".join(line for _number, line in sorted(lines, key=lambda line: line[0] or "99")), **words))
    print(f"written: {PAGE}")


def _written() -> list[tuple[str, str]]:
    """(number, line) of the table that is in the page."""
    found = (re.match(r"\| (\d+) \|", line) for line in PAGE.read_text(encoding="utf-8").splitlines())
    return [(match[1], match.string) for match in found if match]


def _write(section: str) -> None:
    """Replace the section of the page that is written here; what was measured is printed already, whatever becomes of the page."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{PAGE} has lost its marks: {BEGIN.strip()} and {END.strip()}")
    PAGE.write_text(before + begin + section + end + after, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
