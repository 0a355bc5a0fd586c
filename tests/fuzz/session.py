# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""session.py DIRECTORY SECONDS [TARGET...]: share the time among the targets, one after the other, and print what each came to."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import time

import targets

HERE = pathlib.Path(__file__).resolve().parent
HEAD = ("target", "seconds", "executions", "per second", "coverage", "features", "corpus", "faults")


def _last(expression: str, text: str) -> int:
    found = re.findall(expression, text)
    return int(found[-1]) if found else 0


def run(name: str, seconds: int, directory: pathlib.Path) -> tuple:
    """Fuzz one target; the row of the table."""
    began = time.monotonic()
    finds = directory / "finds"
    words = [sys.executable, str(HERE / "one_target.py"), name, str(seconds), str(directory / "corpus" / name), str(finds)]
    ended = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    (directory / f"{name}.log").write_text(ended.stdout, encoding="utf-8")
    took = time.monotonic() - began
    faults = len(re.findall(r"(?m)^FIND ", ended.stdout)) + (ended.returncode != 0)
    executions = _last(r"stat::number_of_executed_units:\s*(\d+)", ended.stdout) or _last(r"(?m)^#(\d+)", ended.stdout)
    row = (
        name,
        round(took),
        executions,
        round(executions / max(took, 1)),
        _last(r"cov: (\d+)", ended.stdout),
        _last(r" ft: (\d+)", ended.stdout),
        _last(r" corp: (\d+)", ended.stdout),
        faults,
    )
    print(_line(row), flush=True)
    for fault in re.findall(r"(?m)^FIND (.*)", ended.stdout):
        print(f"    {fault}", flush=True)
    if ended.returncode:
        print(f"    it ended with {ended.returncode}: see {directory / name}.log", flush=True)
    return row


def _line(row: tuple) -> str:
    return f"{row[0]:<26}" + "".join(f"{cell:>12}" for cell in row[1:])


def main() -> int:
    """Run the session; 1 if a fault was found."""
    directory, total = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    names = sys.argv[3:] or list(targets.TARGETS)
    unknown = [name for name in names if name not in targets.TARGETS]
    if unknown or total < 1:
        print(f"{unknown[0] if unknown else total}: not one of {', '.join(targets.TARGETS)}" if unknown else "no time is given", file=sys.stderr)
        return 2
    directory.mkdir(parents=True, exist_ok=True)
    print(_line(HEAD), flush=True)
    rows = [run(name, max(total // len(names), 1), directory) for name in names]
    sums = [sum(row[column] for row in rows) for column in range(1, len(HEAD))]
    sums[2] = round(sums[1] / max(sums[0], 1))
    print(_line(("all", *sums)))
    if sums[-1]:
        print(f"{sums[-1]} faults; their inputs are in {directory}/finds: mend them, then keep each input in tests/fuzz/found/TARGET/")
    return 1 if sums[-1] else 0


if __name__ == "__main__":
    sys.exit(main())
