# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What measured times say of a kernel: pure functions.

A wrong answer is worse than none. A connection that stood at once, without a packet repeated, is proof that its SYN was not dropped; one that took a
second is proof of the contrary only if the kernel repeated the SYN and the controls, at the same time on the same machine, were many times faster.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import collections

REUSE, WEIGHT_0, DELETED = 'reuse', 'weight_0', 'deleted'
FIRST, CONNTRACK_OFF, MODE_0 = 'first', 'conntrack_off', 'mode_0'
CAPABILITIES = (('reuse_without_drop', REUSE), ('respects_zero_weight', WEIGHT_0), ('flushes_deleted', DELETED))
CONTROLS = (
    (FIRST, 'the first connections'),
    (CONNTRACK_OFF, 'connections from used ports without conntrack'),
    (MODE_0, 'connections from used ports with conn_reuse_mode 0'),
)
# The first repetition of a SYN comes after 1 second.
FAST, SLOW = 0.5, 0.9
# How many times slower than the slowest control a dropped SYN has to be.
RATIO = 3
# So many ports, or four of five, have to agree.
LEAST = 3

# A connection, and the one before from the same port. old, server: names of servers, None without an answer. seconds: until it stood. repeated:
# packets, None if the kernel did not say. error: a text or None.
Reading = collections.namedtuple('Reading', 'port old server seconds repeated error')
# readings: {case: [Reading]}. problems: why it measured something else than it should have, a sentence each.
Measured = collections.namedtuple('Measured', 'readings problems')


def _is_fast(reading):
    return reading.server is not None and reading.seconds is not None and reading.seconds < FAST and not reading.repeated


def _is_slow(reading, control_seconds):
    if reading.server is None or reading.seconds is None or reading.repeated == 0:
        return False
    return reading.seconds >= SLOW and reading.seconds >= RATIO * control_seconds


def _quorum(count):
    return max(LEAST, count - count // 5)


def _vote(reading, case, control_seconds):
    """yes, no or None: what one port says."""
    moved = reading.server != reading.old
    if case == WEIGHT_0:
        return None if reading.server is None or reading.old is None else 'yes' if moved else 'no'
    if case == DELETED and not moved:
        return None
    if _is_fast(reading):
        return 'yes'
    return 'no' if _is_slow(reading, control_seconds) else None


def _state(readings, case, control_seconds):
    """yes, no or unknown: what all ports say."""
    votes = [_vote(reading, case, control_seconds) for reading in readings]
    state = next((word for word in ('yes', 'no') if votes.count(word) >= _quorum(len(votes))), 'unknown')
    if case == REUSE and not any(reading.server is not None and reading.server != reading.old for reading in readings):
        # Nothing was scheduled again: the kernel did not do what may drop the SYN.
        return 'unknown'
    return state


def _control_problems(measured):
    problems = []
    for name, words in CONTROLS:
        readings = measured.readings.get(name, [])
        good = sum(1 for reading in readings if _is_fast(reading))
        if good < _quorum(len(readings)):
            problems.append('%s, which are fast on every kernel, were not: %d of %d' % (words, good, len(readings)))
    return problems


def _seconds(readings):
    return [None if reading.seconds is None else round(reading.seconds, 4) for reading in readings]


def judge(measured):
    """{capabilities, answer, reason} of one Measured. reason is None for a conclusive answer."""
    controls = [reading for name, dummy in CONTROLS for reading in measured.readings.get(name, []) if _is_fast(reading)]
    control_seconds = max([reading.seconds for reading in controls] or [0])
    problems = list(measured.problems)
    if measured.readings or not problems:
        problems += _control_problems(measured)
    capabilities = {}
    for name, case in CAPABILITIES:
        readings = measured.readings.get(case, [])
        state = 'unknown' if problems else _state(readings, case, control_seconds)
        capabilities[name] = {'state': state, 'seconds': _seconds(readings), 'control_seconds': round(control_seconds, 4) if controls else None}
    if not problems:
        problems = ['the ports do not agree on %s' % name for name, dummy in CAPABILITIES if capabilities[name]['state'] == 'unknown']
    return {'capabilities': capabilities, 'answer': 'inconclusive' if problems else 'conclusive', 'reason': '; '.join(problems) or None}


def nothing_known(reason):
    """The same when nothing was measured."""
    return judge(Measured({}, [reason]))


def combined(judgments):
    """One judgment of several on the same kernel, of which each but the last was inconclusive. What two of them contradict is unknown."""
    result = dict(judgments[-1], capabilities={})
    problems = []
    for name, dummy in CAPABILITIES:
        told = [judgment['capabilities'][name] for judgment in judgments if judgment['capabilities'][name]['state'] != 'unknown']
        states = sorted(set(one['state'] for one in told))
        result['capabilities'][name] = told[-1] if told else judgments[-1]['capabilities'][name]
        if len(states) > 1:
            result['capabilities'][name] = dict(told[-1], state='unknown')
            problems.append('two measurements of %s contradict each other' % name)
    if problems:
        return dict(result, answer='inconclusive', reason='; '.join(problems))
    if all(one['state'] != 'unknown' for one in result['capabilities'].values()):
        return dict(result, answer='conclusive', reason=None)
    return result
