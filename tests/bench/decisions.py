# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decision and report for many recorded nodes: the example fleet many times over, as files that the playbook reads, to all files of the report."""

from __future__ import annotations

import json
import pathlib
import statistics
import tempfile

from comparison import Row, in_turn, in_words, peak_of, run, timed

FLEET = pathlib.Path(__file__).resolve().parents[2] / "docs" / "example_fleet"
COUNTS = (1000, 5000, 20000)


def _record(folder: pathlib.Path, count: int) -> None:
    folder.mkdir()
    examples = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FLEET.glob("*.json"))]
    for number in range(count):
        (folder / f"node-{number:05d}.json").write_text(json.dumps({**examples[number % len(examples)], "name": f"node-{number:05d}"}), encoding="utf-8")


def _audit(folder: pathlib.Path, count: int) -> list[str]:
    variables = {"audit_facts_files": [str(folder / str(count))], "audit_report_dir": str(folder / f"report-{count}")}
    return ["ansible-playbook", "kubeproxy.ipvs.audit", "-i", "localhost,", "-c", "local", "-e", json.dumps(variables)]


def measure() -> list[Row]:
    """Row 5."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = pathlib.Path(name)
        for count in (0, *COUNTS):
            _record(folder / str(count), count)
        times = in_turn(*(lambda count=count: timed(lambda: run(_audit(folder, count))) for count in (0, *COUNTS)))
        # What Ansible takes to begin and to read this machine is the same for all.
        nothing, *medians = [statistics.median(each) for each in times]
        each = [(median - nothing) / count for median, count in zip(medians, COUNTS)]
        memory = {count: peak_of(_audit(folder, count)) for count in COUNTS}
    growth = max(each) / min(each)
    seconds = dict(zip(COUNTS, medians))
    figure = "; ".join(f"{count:,} nodes {in_words(seconds[count])}, {memory[count]} MiB" for count in COUNTS)
    what = "decision and report for 1,000, 5,000 and 20,000 recorded nodes: the whole command"
    baseline = f"the same without nodes ({in_words(nothing)}), taken off to compare the cost of a node"
    figure += f"; a node costs {in_words(min(each))} to {in_words(max(each))} ({growth:.2f} ×)"
    met = growth <= 1.2 and seconds[5000] <= 10 and memory[5000] <= 500
    return [Row("5", what, baseline, "linear within 20 %; 5,000 nodes ≤ 10 s and ≤ 500 MiB", figure, met)]
