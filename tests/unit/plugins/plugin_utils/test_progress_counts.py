# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a run is, in numbers and words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.progress import MEMORY, NOT_JUDGED, NOT_READ, Progress, Throughput, duration
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import VERDICTS

WORDS = st.sampled_from([*VERDICTS, NOT_READ, NOT_JUDGED])


def read(total, seconds, words=("safe",), whole=True, until=None):
    """A Progress of TOTAL nodes of which one is through every SECONDS, up to the node UNTIL."""
    progress = Progress(total, 0.0, whole)
    for number in range(total if until is None else until):
        progress.note(f"n{number}", words[number % len(words)], (number + 1) * seconds)
    return progress


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "1 s"),
        (0.2, "1 s"),
        (8, "8 s"),
        (20.1, "25 s"),
        (58, "60 s"),
        (61, "70 s"),
        (115, "2 min"),
        (170, "3 min"),
        (3590, "1 h"),
        (4750, "1 h 20 min"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@given(st.floats(0, 1e6))
def test_a_duration_is_never_less_than_it_is(seconds):
    parts = duration(seconds).split()
    said = sum(int(number) * {"s": 1, "min": 60, "h": 3600}[unit] for number, unit in zip(parts[::2], parts[1::2]))
    assert said >= max(seconds, 1)
    assert said <= seconds * 1.5 + 60


def test_the_line():
    progress = Progress(5000, 0.0)
    assert progress.text(1.0, 119) == "audit 0/5000 nodes"
    for number in range(1234):
        progress.note(f"n{number}", "stale_backends" if number == 7 else NOT_READ if number % 103 == 0 else "safe", number * 0.01)
    assert progress.text(12.34, 119) == "audit 1234/5000 nodes, worst so far stale_backends, 12 not read, about 40 s left"


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (80, "audit 30/60 nodes, worst so far safe, 15 not read, about 15 s left"),
        (60, "audit 30/60 nodes, worst so far safe, about 15 s left"),
        (40, "audit 30/60 nodes, worst so far safe"),
        (20, "audit 30/60 nodes"),
        (9, "audit 30/"),
        (0, ""),
        (-3, ""),
    ],
)
def test_what_a_narrow_terminal_goes_without(width, text):
    assert read(60, 0.5, ("safe", NOT_READ), until=30).text(15.0, width) == text


@given(st.lists(st.tuples(st.text(), WORDS, st.floats(0, 60)), max_size=40), st.integers(-2, 120), st.floats(0, 1e7))
def test_the_line_is_printable_and_fits_whatever_nodes_are_called(notes, width, later):
    progress, now = Progress(30, 0.0), 0.0
    for name, word, seconds in notes:
        now += seconds
        progress.note(name, word, now)
    line = progress.text(now + later, width)
    assert line.isascii() and (line.isprintable() or not line)
    assert len(line) <= max(width, 0)
    assert "about 0" not in line and "-" not in line


@given(st.lists(WORDS, max_size=30))
def test_the_worst_is_that_of_the_report(words):
    progress = read(60, 0.1, words or [NOT_JUDGED], until=len(words))
    judged = [word for word in words if word in VERDICTS]
    line = progress.text(1.0, 200)
    assert ("worst so far" in line) == bool(judged)
    assert not judged or f"worst so far {min(judged, key=VERDICTS.index)}" in line
    assert ("not read" in line) == (NOT_READ in words)


def test_a_node_counts_once():
    progress = Progress(3, 0.0)
    for word in ("safe", NOT_READ, "stale_backends"):
        progress.note("n1", word, 1.0)
    assert (progress.done, progress.complete) == (1, False)
    assert progress.text(1.0, 99) == "audit 1/3 nodes, worst so far safe"


@given(st.floats(0.05, 20), st.integers(10, 400))
def test_a_steady_run_is_estimated_rightly(rate, done):
    progress = read(1000, 1 / rate, until=done)
    now = done / rate
    left = progress.outlook(now)
    if now < 3:
        assert left is None
    elif left.startswith("about"):
        expected = (1000 - done) / rate
        parts = left.split()[1:-1]
        said = sum(int(number) * {"s": 1, "min": 60, "h": 3600}[unit] for number, unit in zip(parts[::2], parts[1::2]))
        # One node in MEMORY seconds is one less or one more to the estimate.
        slack = 1 + 1 / min(done, rate * MEMORY)
        assert expected / slack / 1.1 <= said <= expected * slack * 1.5 + 60


def test_a_run_that_becomes_slower_says_so():
    progress = read(1000, 0.1, until=300)
    assert progress.outlook(30.0) == "about 70 s left"
    for number in range(300, 420):
        progress.note(f"n{number}", "safe", 30.0 + (number - 299) * 1.0)
    # 580 nodes at one a second, of which four in a hundred are still those of before.
    assert progress.outlook(150.0) == "about 9 min left"


def test_the_last_nodes_wait_for_a_timeout():
    progress = read(1000, 0.05, until=999)
    assert progress.outlook(50.0) == "about 1 s left"
    assert progress.outlook(54.0) == "about 1 s left"
    assert progress.outlook(62.0) == "no answer for 12 s"
    assert progress.outlook(50.0 + 86400) == "no answer for 24 h"
    progress.note("last", "safe", 63.0)
    assert progress.outlook(63.0) is None


def test_nobody_has_answered_yet():
    assert Progress(60, 0.0).outlook(4.0) is None
    assert Progress(60, 0.0).outlook(8.0) == "no answer for 8 s"


def test_between_batches_nobody_is_silent():
    progress = read(100, 0.5, until=30, whole=False)
    assert progress.outlook(95.0) == "no answer for 80 s"
    progress.resume(95.0)
    assert progress.outlook(96.0) is None
    assert progress.outlook(200.0) == "no answer for 110 s"


def test_no_time_is_estimated_of_batches():
    assert read(100, 0.5, until=30, whole=False).outlook(15.0) is None
    assert read(100, 0.5, until=30).outlook(15.0) == "about 35 s left"


@given(st.lists(st.floats(0, 100), min_size=1, max_size=200), st.floats(0, 1e9))
def test_a_rate_is_a_number_that_silence_makes_smaller(gaps, silence):
    throughput, now = Throughput(0.0), 0.0
    for gap in gaps:
        now += gap
        throughput.note(now)
    before, after = throughput.rate(now), throughput.rate(now + silence)
    assert math.isfinite(before) and 0 <= after
    assert after <= before * (1 + 1e-9) or now < 0.001
