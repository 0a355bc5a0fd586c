# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What measured times say of a kernel."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import probe_judgment
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.probe_judgment import Measured, Reading, combined, judge, nothing_known

TIMES = {"fast": st.floats(0, 0.09), "dropped": st.floats(1.0, 1.4)}
STATES = ("yes", "no")
NAMES = ("reuse_without_drop", "respects_zero_weight", "flushes_deleted")
ANY_READING = st.builds(
    Reading,
    st.integers(20000, 20999),
    st.sampled_from(["2", "3", None]),
    st.sampled_from(["2", "3", None]),
    st.one_of(st.none(), st.floats(0, 4)),
    st.one_of(st.none(), st.integers(0, 3)),
    st.sampled_from([None, "no answer"]),
)


def other(server):
    return "2" if server == "3" else "3"


def readings(seconds, repeated=0, moved=True, taken_out=False):
    """Those of a case; a server that is taken out is the one before of all of them."""
    rows = []
    for number, second in enumerate(seconds):
        old = "2" if taken_out or number % 2 else "3"
        rows.append(Reading(20000 + number, old, other(old) if moved else old, second, repeated, None))
    return rows


def measured(reused, weighted, flushed, draw=None, **more):
    """What a kernel with these capabilities shows."""

    def times(kind):
        return [draw(TIMES[kind]) for _number in range(5)] if draw else [{"fast": 0.0004, "dropped": 1.03}[kind]] * 5

    def dropped_or_not(state, taken_out):
        return readings(times("fast" if state == "yes" else "dropped"), 0 if state == "yes" else 1, taken_out=taken_out)

    cases = {
        "first": [Reading(20000, None, "2", second, 0, None) for second in times("fast")],
        "conntrack_off": readings(times("fast")),
        "mode_0": readings(times("fast"), moved=False),
        "reuse": dropped_or_not(reused, False),
        "weight_0": readings(times("fast"), moved=weighted == "yes", taken_out=True),
        "deleted": dropped_or_not(flushed, True),
    }
    cases.update(more)
    return Measured(cases, [])


def states(judgment):
    return tuple(judgment["capabilities"][name]["state"] for name in NAMES)


@pytest.mark.parametrize("wanted", list(itertools.product(STATES, STATES, STATES)))
@given(data=st.data())
def test_what_a_kernel_shows_is_said_of_it(wanted, data):
    judgment = judge(measured(*wanted, draw=data.draw))
    assert states(judgment) == wanted
    assert judgment["answer"] == "conclusive" and judgment["reason"] is None


@pytest.mark.parametrize("control", ["first", "conntrack_off", "mode_0"])
@pytest.mark.parametrize(
    "slow", [readings([1.03] * 5, 1), readings([0.7] * 5, 0), readings([0.2] * 5, 1), [], [Reading(1, "2", None, None, None, "no answer")] * 5]
)
def test_without_its_controls_nothing_is_known(control, slow):
    judgment = judge(measured("yes", "yes", "yes", **{control: slow}))
    assert states(judgment) == ("unknown",) * 3
    assert judgment["answer"] == "inconclusive" and "fast on every kernel" in judgment["reason"]


def test_a_problem_leaves_nothing_known():
    judgment = judge(measured("yes", "no", "yes")._replace(problems=["conntrack has forgotten the connections"]))
    assert states(judgment) == ("unknown",) * 3
    assert judgment["reason"] == "conntrack has forgotten the connections"


def test_nothing_was_measured():
    judgment = nothing_known("network namespaces are not permitted here")
    assert judgment["reason"] == "network namespaces are not permitted here"
    assert states(judgment) == ("unknown",) * 3
    assert all(one["seconds"] == [] and one["control_seconds"] is None for one in judgment["capabilities"].values())


def test_a_second_without_a_repeated_packet_is_no_dropped_syn():
    judgment = judge(measured("yes", "yes", "yes", reuse=readings([1.03] * 5, 0)))
    assert states(judgment) == ("unknown", "yes", "yes")
    assert judgment["reason"] == "the ports do not agree on reuse_without_drop"


def test_a_kernel_that_does_not_count_packets_is_judged_by_its_times():
    judgment = judge(measured("yes", "yes", "yes", reuse=readings([1.03] * 5, None)))
    assert states(judgment) == ("no", "yes", "yes")


def test_slow_controls_prove_no_dropped_syn():
    slow = readings([0.45] * 5, 0)
    judgment = judge(measured("yes", "yes", "yes", conntrack_off=slow, reuse=readings([1.03] * 5, 1)))
    assert states(judgment)[0] == "unknown"


@pytest.mark.parametrize("count, wanted", [(0, "no"), (1, "no"), (2, "unknown"), (3, "unknown"), (4, "yes"), (5, "yes")])
def test_four_of_five_ports_have_to_agree(count, wanted):
    mixed = readings([0.0004] * 5)[:count] + readings([1.03] * 5, 1)[count:]
    assert states(judge(measured("yes", "yes", "yes", reuse=mixed)))[0] == wanted


@pytest.mark.parametrize("case, name", [("reuse", 0), ("weight_0", 1), ("deleted", 2)])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_two_ports_are_not_enough(case, name, count):
    assert states(judge(measured("yes", "yes", "yes", **{case: readings([0.0004] * count)})))[name] == "unknown"


def test_what_was_not_scheduled_again_was_not_tried():
    assert states(judge(measured("yes", "yes", "yes", reuse=readings([0.0004] * 5, moved=False))))[0] == "unknown"


def test_a_deleted_server_that_answers_says_nothing():
    assert states(judge(measured("yes", "yes", "yes", deleted=readings([0.0004] * 5, moved=False))))[2] == "unknown"


def test_how_long_it_took_does_not_count_for_the_weight():
    assert states(judge(measured("no", "yes", "no", weight_0=readings([1.03] * 5, 1, taken_out=True))))[1] == "yes"


def test_the_times_are_told():
    judgment = judge(measured("no", "no", "no"))
    assert judgment["capabilities"]["reuse_without_drop"] == {"state": "no", "seconds": [1.03] * 5, "control_seconds": 0.0004}


@given(st.dictionaries(st.sampled_from(["first", "conntrack_off", "mode_0", "reuse", "weight_0", "deleted"]), st.lists(ANY_READING, max_size=10)))
def test_whatever_is_measured_is_judged(cases):
    judgment = judge(Measured(cases, []))
    known = "unknown" not in states(judgment)
    assert (judgment["answer"] == "conclusive") == known == (judgment["reason"] is None)
    assert set(states(judgment)) <= {"yes", "no", "unknown"}


@given(st.data())
def test_under_load_no_answer_is_wrong(data):
    """Any time of any connection may be longer than it should be, and a few packets repeated: the answer is right, or there is none."""
    wanted = tuple(data.draw(st.sampled_from(STATES)) for _name in NAMES)
    clean = measured(*wanted, draw=data.draw)
    stalls = {(case, number): data.draw(st.sampled_from([0, 0, 0.3, 0.6])) for case, rows in clean.readings.items() for number in range(len(rows))}
    late = {case: [row._replace(seconds=row.seconds + stalls[case, number]) for number, row in enumerate(rows)] for case, rows in clean.readings.items()}
    for said, true in zip(states(judge(Measured(late, []))), wanted):
        assert said in (true, "unknown")


def test_a_second_measurement_completes_the_first():
    first = judge(measured("yes", "no", "yes", deleted=[]))
    second = judge(measured("yes", "no", "yes", reuse=[]))
    assert first["answer"] == second["answer"] == "inconclusive"
    both = combined([first, second])
    assert states(both) == ("yes", "no", "yes")
    assert both["answer"] == "conclusive" and both["reason"] is None


def test_two_measurements_contradict_each_other():
    first = judge(measured("yes", "no", "yes", deleted=[]))
    both = combined([first, judge(measured("no", "no", "yes"))])
    assert states(both) == ("unknown", "no", "yes")
    assert both["answer"] == "inconclusive"
    assert both["reason"] == "two measurements of reuse_without_drop contradict each other"


def test_one_measurement_stays_as_it_is():
    one = judge(measured("yes", "no", "yes", deleted=[]))
    assert combined([one]) == one


def test_the_limits_are_apart():
    assert probe_judgment.FAST < probe_judgment.SLOW < 1
