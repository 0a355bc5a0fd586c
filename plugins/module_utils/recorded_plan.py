# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run of recorded changes is to do. Looks, and changes nothing.

A step is one file, a turn one value. C(old) is its entry in the record, C(entry) the one that it is to have, C(before) and C(after) are
the states (of a file) or texts (of a value).
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible.module_utils.common.text.converters import to_text
from ansible_collections.kubeproxy.ipvs.plugins.module_utils import recorded_paths as paths, recorded_states as states
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_paths import Refusal, above

FOREIGN = 'somebody else changed it afterwards'
ABSENT = 'it does not exist'


def plan_drops(record, wanted, force, labels):
    """Steps for the files that are no longer wanted, and those that stay as they are, and recorded: somebody else changed them."""
    drops, kept = [], []
    for old in reversed(record['files']):
        if wanted is None or old['path'] in wanted:
            continue
        step = plan_back(old, record['directories'], force, labels)
        (kept if step['action'] == 'not_restored' else drops).append(step)
    return drops, kept


def plan_back(old, directories, force, labels):
    """The step that puts an original back; action not_restored, with a reason, if it must not be."""
    path = old['path']
    step = {'path': path, 'old': old, 'before': old['original'], 'after': old['original'], 'action': 'unchanged', 'reason': None}
    try:
        step['before'] = states.look(path, labels)
    except Refusal as error:
        if path in directories:
            # It was put back, and then made a directory, by a run that was cut off.
            return step
        return dict(step, action='not_restored', reason=to_text(error))
    if states.same(step['before'], old['original']):
        return step
    mark = states.fingerprint(step['before'])
    if force or mark in old['written'] or mark == states.fingerprint(old['original']):
        return dict(step, action='restored')
    return dict(step, action='not_restored', reason=FOREIGN)


def plan_steps(record, wanted, drops, labels):
    """Steps for the files that are wanted, in the caller's order."""
    entries = dict((old['path'], old) for old in record['files'])
    steps = []
    for path, state in (wanted or {}).items():
        step = {'path': path, 'wanted': state, 'old': entries.get(path)}
        step['blocked'] = False
        for drop in drops:
            if above(drop['path'], path) and drop['after']['kind'] != 'absent':
                raise Refusal('%s cannot be written: %s is put back, and is not a directory then' % (path, drop['path']))
            step['blocked'] = step['blocked'] or above(path, drop['path']) or above(drop['path'], path)
        try:
            look_at(step, labels)
        except Refusal:
            if not step['blocked']:
                raise
            _decide(step, {'kind': 'absent'})
        steps.append(step)
    return steps


def look_at(step, labels):
    """Fill in a step for a wanted file from what stands there now."""
    before = states.look(step['path'], labels)
    if step['wanted']['kind'] != 'absent':
        paths.missing_parents(step['path'])
    _decide(step, before)


def _decide(step, before):
    """Fill in what is to be done where BEFORE stands, and what the record is to say of it."""
    after, old = dict(step['wanted']), step['old']
    if all(before.get(name) == after.get(name) for name in ('kind', 'content', 'target', 'mode') if name in after):
        action = 'unchanged'
    elif after['kind'] == 'absent':
        action = 'removed'
    else:
        action = 'created' if before['kind'] == 'absent' else 'changed'
    if before['kind'] == after['kind'] == 'file':
        after.update((name, before[name]) for name in ('uid', 'gid', 'attributes', 'context'))
    mark, found = states.fingerprint(after), states.fingerprint(before)
    written = [mark]
    if old and action == 'unchanged' and mark in old['written']:
        written = old['written']
    elif old and found != mark and found in old['written']:
        # Until it is replaced, what an earlier run wrote is ours as well.
        written = [found, mark]
    entry = {'path': step['path'], 'original': old['original'] if old else before, 'written': written}
    step.update(before=before, after=after, action=action, entry=entry)


def plan_turns(record, asked):
    """Turns of the values (to give their original back, to write, to record only), and which cannot get it back, being gone."""
    entries = dict((old['path'], old) for old in record['values'])
    dropped = [path for path in entries if asked is not None and path not in asked]
    turns, lost = [], []
    for path in dropped + list(entries if asked is None else asked):
        entry = dict(entries.get(path) or {'path': path, 'original': None})
        drop = path in dropped
        before = paths.read_value(path)
        if entry['original'] is None and not drop:
            entry['original'] = before
        after = entry['original'] if drop else (asked or {}).get(path)
        if before is None and after is not None:
            if not drop:
                raise Refusal('%s cannot be written: %s' % (path, ABSENT))
            lost.append(path)
        if before is None or after is None or before.split() == after.split():
            after = before
        turns.append({'path': path, 'entry': entry, 'before': before, 'after': after, 'drop': drop})
    return turns, lost
