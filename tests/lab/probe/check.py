# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""check.py KERNEL PYTHON OUTPUT RUNS [busy]: compare what probes said on a kernel of the lab with what the lab declares that it is.

Exit status 1 if they differ. busy: of a machine whose processors were all busy. Then an answer may be inconclusive, and still never wrong.
"""

from __future__ import annotations

import json
import pathlib
import sys

import yaml

WORDS = {True: "yes", False: "no"}
# inside.py: the runs that were asked for, and one of each of these at least.
PHASES = ("refused", "may run", "probe", "way service", "always", "limit", "killed", "child killed", "load")


def problems(line, expected):
    """What is wrong with one line, a sentence each."""
    for change in line["changed"]:
        yield f"the node has changed: {change}"
    phase, result = line["phase"], line.get("result")
    if phase == "refused" and not (line["refused"] or "").startswith("not loaded: "):
        yield f"it was not refused for lack of modules: {line['refused']}"
    if phase == "may run" and line["refused"] is not None:
        yield f"it was refused: {line['refused']}"
    if result is None:
        return
    states = {name: one["state"] for name, one in result["capabilities"].items()}
    if any(state not in ("unknown", expected[name]) for name, state in states.items()):
        yield f"a wrong answer: {result}"
    if phase == "way rule" and (result["reason"] or "").startswith("conntrack could not be made to track"):
        # Debian's kernels have nf_tables without a family of IPv4.
        return
    if phase in ("probe", "way service", "way rule") and (result["answer"] != "conclusive" or states != expected):
        yield f"not conclusive: {result}"
    if phase in ("limit", "child killed") and (result["answer"] != "inconclusive" or set(states.values()) != {"unknown"}):
        yield f"an answer without a measurement: {result}"
    if result["seconds"] > 15.5:
        yield f"it took {result['seconds']} s"


def main():
    """Print what is wrong, and figures."""
    kernel, python, output, runs = sys.argv[1:5]
    busy = sys.argv[5:] == ["busy"]
    declared = yaml.safe_load((pathlib.Path(__file__).resolve().parents[1] / "kernels.yml").read_text(encoding="utf-8"))[kernel]["capabilities"]
    expected = {name: WORDS[value] for name, value in declared.items()}
    lines = [json.loads(line) for line in pathlib.Path(output).read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    wrong = [f"{line['phase']}: {problem}" for line in lines for problem in problems(line, expected)]
    phases = [line["phase"] for line in lines]
    wrong += [f"there is no line of the phase {phase}" for phase in (("load",) if busy else PHASES) if phase not in phases]
    counted = phases.count("load" if busy else "probe")
    if counted != int(runs):
        wrong.append(f"{counted} probes, not {runs}")
    for problem in wrong:
        print(f"{kernel}, Python {python}: {problem[:1500]}")
    for phase in ("probe", "load"):
        results = [line["result"] for line in lines if line["phase"] == phase]
        seconds = sorted(result["seconds"] for result in results)
        if seconds:
            conclusive = sum(1 for result in results if result["answer"] == "conclusive")
            controls = max((one["control_seconds"] or 0) for result in results for one in result["capabilities"].values())
            figures = f"{conclusive} of {len(results)} conclusive, {seconds[0]} to {seconds[-1]} s, slowest control {controls} s"
            print(f"{kernel}, Python {python}, {'all processors busy' if busy else phase}: {figures}")
    print(f"{max(0, len(lines) - len(wrong))} passed, {len(wrong)} failed")
    return int(bool(wrong))


sys.exit(main())
