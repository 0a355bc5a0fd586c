# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a long run is: nodes counted, the time that is left, and the line that says so. Times are seconds of a clock that never goes back."""

from __future__ import annotations

import math

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import worst

# What became of a node that has no verdict.
NOT_READ, NOT_JUDGED = "not read", "not judged"
# Answers come in waves of as many nodes as there are forks: what is older than some waves says little of the speed now.
MEMORY = 30.0
# Before that an estimate would be a guess.
FEWEST_NODES, FEWEST_SECONDS = 10, 3.0
SHORTEST_SILENCE = 5.0


class Throughput:
    """Nodes a second, where each counts the less the longer it was ago."""

    def __init__(self, start: float):
        self._start = start
        self._weight = 0.0
        self.last = start

    def note(self, now: float) -> None:
        """One more node was done at NOW."""
        now = max(now, self.last)
        self._weight = self._weight * math.exp((self.last - now) / MEMORY) + 1
        self.last = now

    def rate(self, now: float) -> float:
        """Nodes a second at NOW; 0 if nothing was done or hardly any time has passed."""
        elapsed = now - self._start
        if elapsed < 0.001:
            return 0.0
        # What the weight would be at one node a second since the start, so that the first seconds are not taken for slow ones.
        full = MEMORY * -math.expm1(-elapsed / MEMORY)
        return self._weight * math.exp(min(self.last - now, 0.0) / MEMORY) / full


def duration(seconds: float) -> str:
    """SECONDS in words, rounded up: '8 s', '40 s', '110 s', '3 min', '1 h 20 min'. At least '1 s'."""
    whole = max(math.ceil(seconds), 1)
    step = 1 if whole <= 20 else 5 if whole <= 60 else 10
    whole = math.ceil(whole / step) * step
    if whole < 120:
        return f"{whole} s"
    minutes = math.ceil(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


class Progress:
    """The nodes of one task that reads nodes.

    total: how many nodes it is about. start: when it began. whole: whether they are all read in one go; between the batches of a play other
    things are done, of which the speed of reading says nothing, so that no time is estimated.
    """

    def __init__(self, total: int, start: float, whole: bool = True):
        self.total = total
        self._whole = whole
        self._start = self._asked = start
        self._words: dict[str, str] = {}
        self._worst: str | None = None
        self._not_read = 0
        self._throughput = Throughput(start)

    @property
    def done(self) -> int:
        """How many nodes are through, read or not."""
        return len(self._words)

    @property
    def complete(self) -> bool:
        """Whether no node is left."""
        return self.done >= self.total

    def resume(self, now: float) -> None:
        """Nodes are asked again, from NOW on: until then nobody could answer."""
        self._asked = now

    def note(self, node: str, word: str, now: float) -> None:
        """NODE is through at NOW, with a verdict, NOT_READ or NOT_JUDGED. Only the first word of a node counts."""
        if node in self._words:
            return
        self._words[node] = word
        if word == NOT_READ:
            self._not_read += 1
        elif word != NOT_JUDGED:
            self._worst = word if self._worst is None else worst((word, self._worst))
        self._throughput.note(now)

    def outlook(self, now: float) -> str | None:
        """What can be said of the time: how much is left, for how long nobody has answered, or nothing."""
        if self.complete:
            return None
        left = self.total - self.done
        silence = now - max(self._throughput.last, self._asked)
        rate = self._throughput.rate(self._throughput.last)
        # Once the silence is longer than what should have been left, that was wrong: the last nodes of a run wait for a timeout.
        if silence >= max(SHORTEST_SILENCE, left / rate if rate else 0.0):
            return f"no answer for {duration(math.floor(silence))}"
        if not self._whole or self.done < FEWEST_NODES or now - self._start < FEWEST_SECONDS:
            return None
        return f"about {duration(left / self._throughput.rate(now))} left"

    def text(self, now: float, width: int) -> str:
        """The line at NOW, at most WIDTH columns wide. It holds numbers and fixed words alone, nothing that a node has said."""
        parts = {"count": f"audit {self.done}/{self.total} nodes"}
        if self._worst is not None:
            parts["worst"] = f"worst so far {self._worst}"
        if self._not_read:
            parts["not_read"] = f"{self._not_read} not read"
        outlook = self.outlook(now)
        if outlook is not None:
            parts["outlook"] = outlook
        for dispensable in ("not_read", "outlook", "worst"):
            if len(", ".join(parts.values())) <= width:
                break
            parts.pop(dispensable, None)
        return ", ".join(parts.values())[: max(width, 0)]
