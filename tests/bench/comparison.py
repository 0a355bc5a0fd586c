# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a measurement is: figures beside a named baseline of the same run, taken in turn, so that a busy minute of the machine meets both."""

from __future__ import annotations

import dataclasses
import os
import resource
import statistics
import subprocess
import time

REPEATS = 5


@dataclasses.dataclass
class Row:
    """One line of docs/performance.md.

    what, baseline, wanted: words; figure: what was measured, in words; met: whether it is what was wanted, None where nothing was.
    """

    number: str
    what: str
    baseline: str
    wanted: str
    figure: str
    met: bool | None = None


@dataclasses.dataclass
class Comparison:
    """The medians of two things that were measured in turn, in seconds."""

    measured: float
    baseline: float

    @property
    def ratio(self) -> float:
        """The measured one in baselines."""
        return self.measured / self.baseline

    def words(self) -> str:
        """The ratio, and from what."""
        return f"{self.ratio:.2f} × ({in_words(self.measured)} against {in_words(self.baseline)})"


def in_words(seconds: float) -> str:
    """A time with three digits and its unit."""
    for factor, unit in ((1, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def in_turn(*functions, repeats: int = REPEATS) -> list[list]:
    """What each of FUNCTIONS gave, REPEATS times: the first of all, the second of all, and so on."""
    rounds = [[function() for function in functions] for _repeat in range(repeats)]
    return [list(given) for given in zip(*rounds)]


def compare(measured, baseline, repeats: int = REPEATS) -> Comparison:
    """Time MEASURED() against BASELINE()."""
    return Comparison(*(statistics.median(times) for times in in_turn(lambda: timed(measured), lambda: timed(baseline), repeats=repeats)))


def timed(function) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def run(command, **options) -> str:
    """Run a command that must succeed; what it printed."""
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout


def peak_of(command, **options) -> int:
    """The most memory that one process of a command had, in MiB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, **options)
    _pid, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss // 1024


def peak_here() -> int:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
