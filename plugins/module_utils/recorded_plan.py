# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run of recorded changes is to do. Looks, and changes nothing.

A step is one file, a turn one value. C(old) is its entry in the record, C(entry) the one that it is to have, C(before) and C(after) are
the states (of a file) or texts (of a value). A step has no entry if there is nothing to do and nothing to be recorded.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import collections
import os

from ansible.module_utils.common.text.converters import to_text
from ansible_collections.kubeproxy.ipvs.plugins.module_utils import recorded_lines, recorded_paths as paths, recorded_states as states
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_paths import Refusal, above

FOREIGN = 'somebody else changed it afterwards'
ABSENT = 'it does not exist'
LOST = FOREIGN + ', and what had taken the place of %d of its lines is not there any more'


def follow(record):
    """The record, where files with lines of ours that somebody has moved, and left a link to, have the path where they are now."""
    entries, taken = [], [old['path'] for old in record['files']]
    for old in record['files']:
        if 'lines' in old and os.path.islink(paths.real(old['path'])):
            path = to_text(os.path.realpath(paths.real(old['path'])), errors='surrogate_or_replace')
            if path not in taken:
                old = dict(old, path=path)
        entries.append(old)
    return dict(record, files=entries)


def rebase(record, wanted, force, labels):
    """The record, where files with lines of ours that somebody else changed have an original that holds this change.

    Besides it, {path: what could not be brought together, None if nothing}. What is to be put back by FORCE keeps its original.
    """
    entries, merged = [], collections.OrderedDict()
    for old in record['files']:
        entry = old
        if 'lines' in old and not (force and old['path'] not in wanted):
            entry, reason = _rebase(old, labels)
            if entry is not old:
                merged[old['path']] = reason
        entries.append(entry)
    return dict(record, files=entries), merged


def _rebase(old, labels):
    try:
        before = states.look(old['path'], labels)
    except Refusal:
        return old, None
    # Without the lines of each content that was ours, nobody knows what somebody else changed.
    if _is_ours(old, before) or any(mark not in old['lines'] for mark in old['written']):
        return old, None
    if before['kind'] == 'file':
        content = old['original'].get('content', b'')
        tries = [(recorded_lines.put_back(before['content'], content, old['lines'][mark]), mark) for mark in old['written']]
        # One of them is what was changed; more of it than of the others is left.
        (content, back, lost), mark = max(tries, key=lambda entry: entry[0][1])
        original, lines, reason = dict(before, content=content), old['lines'][mark], LOST % lost if lost else None
    else:
        original, lines, reason = before, [], ABSENT if before['kind'] == 'absent' else FOREIGN
    found = states.fingerprint(before)
    return dict(old, original=original, written=[found], lines={found: lines}), reason


def _is_ours(old, before):
    """Whether what stands there is what is recorded as written, or the original that somebody put back."""
    mark = states.fingerprint(before)
    return mark in old['written'] or mark == states.fingerprint(old['original'])


def plan_files(record, wanted, force, labels, merged):
    """What plan_drops() and plan_steps() return; first a step for each file where no line is to be replaced and none was."""
    drops, foreign = plan_drops(record, wanted, force, labels, merged)
    steps = plan_steps(record, wanted, drops, force, labels)
    idle = [step for step in steps if not step['entry']]
    if idle:
        # Those that are recorded are dropped as if nobody had named them.
        names = [step['path'] for step in idle]
        wanted = collections.OrderedDict((path, state) for path, state in wanted.items() if path not in names)
        drops, foreign = plan_drops(record, wanted, force, labels, merged)
        steps = plan_steps(record, wanted, drops, force, labels)
    return [step for step in idle if not step['old']], drops, foreign, steps


def plan_drops(record, wanted, force, labels, merged=()):
    """Steps for the files that are no longer wanted, and those that stay as they are, and recorded: somebody else changed them."""
    drops, kept = [], []
    for old in reversed(record['files']):
        if wanted is None or old['path'] in wanted:
            continue
        step = plan_back(old, record['directories'], force, labels, merged)
        (kept if step['action'] == 'not_restored' else drops).append(step)
    return drops, kept


def plan_back(old, directories, force, labels, merged=()):
    """The step that puts an original back; action not_restored, with a reason, if it must not be."""
    path = old['path']
    step = {'path': path, 'old': old, 'before': old['original'], 'after': old['original'], 'action': 'unchanged', 'reason': None}
    try:
        step['before'] = states.look(path, labels)
    except Refusal as error:
        if path in directories and old['original']['kind'] == 'absent':
            # It was put back, and then made a directory, by a run that was cut off.
            return step
        return dict(step, action='not_restored', reason=to_text(error))
    if states.same(step['before'], old['original']):
        return step
    if force or _is_ours(old, step['before']):
        return dict(step, action='restored_lines' if path in merged else 'restored')
    return dict(step, action='not_restored', reason=FOREIGN)


def plan_steps(record, wanted, drops, force, labels):
    """Steps for the files that are wanted, in the caller's order."""
    entries = dict((old['path'], old) for old in record['files'])
    steps = []
    for path, state in (wanted or {}).items():
        step = {'path': path, 'wanted': state, 'old': entries.get(path), 'force': force}
        step['blocked'] = any(above(path, drop['path']) for drop in drops)
        goes = []
        for drop in drops:
            if above(drop['path'], path):
                if drop['after']['kind'] != 'absent' or state['kind'] == 'lines' and step['old']:
                    raise Refusal('%s cannot be written: %s is put back, and is not a directory then' % (path, drop['path']))
                if drop['action'] != 'unchanged':
                    goes.append(drop['path'])
        if goes:
            # Whatever is seen there is seen through what goes.
            _decide(step, {'kind': 'absent'})
        else:
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
    if step['wanted']['kind'] not in ('absent', 'lines'):
        paths.missing_parents(step['path'])
    _decide(step, before)


def _decide(step, before):
    """Fill in what is to be done where BEFORE stands, and what the record is to say of it."""
    if step['wanted']['kind'] == 'lines':
        _decide_lines(step, before)
        return
    after, old = dict(step['wanted']), step['old']
    if all(before.get(name) == after.get(name) for name in ('kind', 'content', 'target', 'mode')):
        action = 'unchanged'
    elif after['kind'] == 'absent':
        action = 'removed'
    else:
        action = 'created' if before['kind'] == 'absent' else 'changed'
    if before['kind'] == after['kind'] == 'file':
        after.update((name, before[name]) for name in ('uid', 'gid', 'attributes', 'context'))
    mark, found = states.fingerprint(after), states.fingerprint(before)
    written = [mark]
    if old and mark in old['written']:
        written = old['written']
    elif old and found in old['written']:
        # Until it is replaced, what an earlier run wrote is ours as well.
        written = [found, mark]
    entry = {'path': step['path'], 'original': old['original'] if old else before, 'written': written}
    step.update(before=before, after=after, action=action, entry=entry)


def _decide_lines(step, before):
    """The same for lines, which are replaced in the original, so that those that are no longer asked for come back."""
    path, old, lines = step['path'], step['old'], step['wanted']['lines']
    original = old['original'] if old else before
    if old and not step['force'] and not _is_ours(old, before):
        raise Refusal('%s: no line of it can be replaced: the record has a whole file of that name, and %s' % (path, FOREIGN))
    content = recorded_lines.replaced(original.get('content', b''), lines)
    step.update(before=before, after=before, action='unchanged', entry=None)
    if content == original.get('content', b''):
        return
    # What a whole file of ours has besides its content is not what the original has.
    after = dict(before if 'lines' in (old or {'lines': {}}) else original, content=content)
    mark, found = states.fingerprint(after), states.fingerprint(before)
    entry = {'path': path, 'original': original, 'written': [mark], 'lines': {mark: lines}}
    if not states.same(before, after):
        step['action'] = 'changed'
    if found not in (mark, states.fingerprint(original)):
        # Until it is replaced, what an earlier run wrote is ours as well, and so is what is to be replaced by force.
        entry['written'].insert(0, found)
        if found in old.get('lines', {}):
            entry['lines'][found] = old['lines'][found]
    step.update(after=after, entry=entry)


def settle(entry):
    """The entry of a step that has been made."""
    if 'lines' not in entry:
        return entry
    mark = entry['written'][-1]
    return dict(entry, written=[mark], lines={mark: entry['lines'][mark]})


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
