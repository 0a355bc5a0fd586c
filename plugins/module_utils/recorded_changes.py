# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Change files of a node so that they can be put back byte for byte, wherever a run is cut off.

What stands on the disk is at every moment covered by the record on the disk: a path is in it, with its original, before it is
first touched, and leaves it only after it has been put back.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os

from ansible.module_utils.common.text.converters import to_text
from ansible_collections.kubeproxy.ipvs.plugins.module_utils import recorded_paths as paths, recorded_states as states
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.record_store import RecordStore, empty
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_paths import Refusal, above
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_plan import (
    ABSENT,
    FOREIGN,
    follow,
    look_at,
    plan_back,
    plan_files,
    plan_turns,
    rebase,
    settle,
)
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_wanted import wanted_files, wanted_values


class RecordedChanges(object):
    """One run: apply() or restore(), and result() afterwards, also after a Refusal."""

    def __init__(self, directory, name, check_mode=False, force=False, restore_on_failure=True, lock_seconds=30, labels=None):
        self.store = RecordStore(directory, name)
        self.check_mode = check_mode
        self.force = force
        self.restore_on_failure = restore_on_failure
        self.lock_seconds = lock_seconds
        self.labels = labels
        self.changed = False
        self.facts = {}
        self.files = []
        self.values = []
        self.not_restored = []
        self.diff = []

    def result(self):
        """What the module returns."""
        names = ('changed', 'facts', 'files', 'not_restored', 'diff')
        return dict(((name, getattr(self, name)) for name in names), kernel_values=self.values, record=self.store.path)

    def apply(self, files=None, values=None, facts=None):
        """Make FILES and VALUES all that the record consists of; None leaves those that it has."""
        asked = None if values is None else wanted_values(values)
        if self.check_mode:
            self._apply(files, asked, facts)
        else:
            with self.store.locked(self.lock_seconds):
                self._apply(files, asked, facts)

    def restore(self):
        """Put everything back and forget the record."""
        if not self.store.exists():
            return
        if self.check_mode:
            self._restore()
        else:
            with self.store.locked(self.lock_seconds):
                self._restore()

    # Applying.

    def _apply(self, files, asked, facts):
        old = self.store.read()
        record = follow(old or empty())
        wanted = None if files is None else wanted_files(files, self.store.directory, record['files'])
        self._sweep(old or empty())
        others = self.store.others()
        for path in wanted or ():
            if path in others:
                raise Refusal('%s is kept in the record %s already' % (path, others[path]))
        merged = {}
        if wanted is not None:
            record, merged = rebase(record, wanted, self.force, self.labels)
        idle, drops, foreign, steps = plan_files(record, wanted, self.force, self.labels, merged)
        turns, lost = plan_turns(record, asked)
        for path, reason in list(merged.items()) + [(step['path'], step['reason']) for step in foreign] + [(path, ABSENT) for path in lost]:
            self._refused(path, reason)
        kept = dict((turn['path'], turn['entry']) for turn in turns if not turn['drop'])
        self.changed = bool(
            merged
            or drops
            or any(step['action'] != 'unchanged' or step['entry'] != step['old'] for step in steps)
            or any(turn['after'] != turn['before'] for turn in turns)
            or kept != dict((entry['path'], entry) for entry in record['values'])
        )
        self.facts = facts if facts and self.changed else record['facts']
        if self.changed and not self.check_mode:
            undo = []
            try:
                if merged:
                    # What is put back then is an original, which a run that is cut off does not merge again.
                    self.store.write(record)
                self._perform(record, drops, steps, turns, undo)
            except (Refusal, EnvironmentError) as error:
                raise self._failed(to_text(error), undo, old, steps)
        order = dict((path, number) for number, path in enumerate(wanted or ()))
        self._describe(drops + sorted(idle + steps, key=lambda step: order[step['path']]), turns)

    def _perform(self, record, drops, steps, turns, undo):
        """Everything, in an order that leaves a record of what was done wherever it is cut off."""
        for drop in drops:
            if drop['action'] != 'unchanged':
                undo.append(('file', drop['path'], drop['before']))
                states.put(drop['path'], drop['after'], self._temporary(drop), self.labels)
        dropped = [drop['path'] for drop in drops]
        staying = [old['path'] for old in record['files'] if old['path'] not in dropped]
        directories = self._remove_directories(record['directories'], staying + [step['path'] for step in steps], undo)
        for step in steps:
            if step['blocked']:
                # What was in its way is gone only now.
                look_at(step, self.labels)
        moves = [step for step in steps if step['action'] != 'unchanged']
        for step in moves:
            directories += [parent for parent in paths.missing_parents(step['path']) if parent not in directories]
        fresh = dict((step['path'], step['entry']) for step in steps)
        files = [fresh.pop(old['path'], old) for old in record['files']] + [step['entry'] for step in steps if step['path'] in fresh]
        whole = {'files': files, 'directories': directories, 'values': [turn['entry'] for turn in turns], 'facts': self.facts}
        self.store.write(whole)
        for step in moves:
            for parent in paths.missing_parents(step['path']):
                undo.append(('directory', parent, False))
                paths.make_directory(parent, self.labels)
            if self.labels and not step['after'].get('context'):
                step['after']['context'] = self.labels.default(step['path'])
            states.stage(step['path'], step['after'], self._temporary(step), self.labels)
        for step in moves:
            undo.append(('file', step['path'], step['before']))
            states.commit(step['path'], step['after'], self._temporary(step))
        for turn in turns:
            if turn['after'] != turn['before']:
                undo.append(('value', turn['path'], turn['before']))
                paths.write_value(turn['path'], turn['after'])
        rest = dict(whole, values=[turn['entry'] for turn in turns if not turn['drop']])
        # What is settled needs no other lines than those that stand there.
        settled = dict((step['path'], settle(step['entry'])) for step in steps)
        rest['files'] = [settled.get(entry['path'], entry) for entry in files if entry['path'] not in dropped]
        if not rest['files'] and not rest['values']:
            self.store.remove()
        elif rest != whole:
            self.store.write(rest)

    def _temporary(self, step):
        return states.temporary_name(step['path'], self.store.name)

    def _sweep(self, record):
        """Remove what an interrupted run had made ready. Where it cannot be, the step that needs it says why."""
        for entry in () if self.check_mode else record['files']:
            paths.with_errors_kept(paths.discard, self._temporary(entry))

    def _failed(self, reason, undo, old, steps):
        """The Refusal that tells of a run that could not be finished, after taking back what it did."""
        self._sweep({'files': steps})
        touched = [path for kind, path, before in undo if kind != 'directory']
        outcome = 'Changed until then: %s.' % ', '.join(touched) if touched else 'No file was changed.'
        if self.restore_on_failure:
            done, problems = self._take_back(undo)
            if not problems:
                self.changed = not self._remember(old)
                return Refusal('%s. %s' % (reason, 'What this run had changed was put back: %s.' % ', '.join(done) if done else 'Nothing was changed.'))
            touched = [path for path, problem in problems]
            outcome = 'This could not be put back: %s.' % '; '.join(problem for path, problem in problems)
        self.changed = bool(touched)
        self.files = [{'path': step['path'], 'action': 'changed'} for step in steps if step['path'] in touched]
        return Refusal('%s. %s "state: restored" puts back all that %s lists.' % (reason, outcome, self.store.path))

    def _remember(self, old):
        """Whether the record is again what it was before this run. If not, the one on the disk covers all of it too."""
        try:
            if old is None:
                self.store.remove()
            elif self.store.read() != old:
                self.store.write(old)
        except Refusal:
            return False
        return True

    def _take_back(self, undo):
        """Undo from the last to the first: the paths that had been changed, and (path, problem) of those that still are."""
        done, problems = [], []
        for kind, path, before in reversed(undo):
            try:
                if kind == 'directory':
                    if before:
                        paths.make_directory(path, self.labels)
                    else:
                        with paths.told(path, 'removed'):
                            paths.remove_directory(path)
                elif kind == 'value':
                    if paths.read_value(path) != before:
                        paths.write_value(path, before)
                        done.insert(0, path)
                elif not states.same(states.look(path, self.labels), before):
                    states.put(path, before, states.temporary_name(path, self.store.name), self.labels)
                    done.insert(0, path)
            except Refusal as error:
                problems.append((path, to_text(error)))
        return done, problems

    # Restoring.

    def _restore(self):
        record = self.store.read()
        if record is None:
            return
        self.facts = record['facts']
        self._sweep(record)
        record, merged = rebase(follow(record), (), self.force, self.labels)
        if merged and not self.check_mode:
            # What is put back then is an original, which a run that is cut off does not merge again.
            self.store.write(record)
        for path, reason in merged.items():
            self._refused(path, reason)
        left = dict(record)
        left['files'] = [old for old in reversed(record['files']) if not self._restore_file(old, record['directories'], merged)][::-1]
        left['values'] = [old for old in record['values'] if not self._restore_value(old)]
        refused = [old['path'] for old in left['files'] + left['values']]
        self.changed = len(refused) < len(record['files'] + record['values'])
        if not self.check_mode:
            left['directories'] = self._remove_directories(record['directories'], [old['path'] for old in left['files']], [])
            if not refused:
                self.store.remove()
            elif self.changed:
                left['directories'] = [path for path in left['directories'] if any(path == old['path'] or above(path, old['path']) for old in left['files'])]
                self.store.write(left)
        if refused:
            reasons = ['%s (%s)' % (entry['path'], entry['reason']) for entry in self.not_restored if entry['path'] in refused]
            hint = ' "force: true" overwrites what somebody else changed.' if FOREIGN in [entry['reason'] for entry in self.not_restored] else ''
            raise Refusal('Not put back, and kept in %s: %s. Everything else is put back.%s' % (self.store.path, ', '.join(reasons), hint))

    def _restore_file(self, old, directories, merged):
        """Whether a file is its original again."""
        path = old['path']
        if not self.check_mode:
            self._remove_directories([name for name in directories if name == path or above(path, name)], [], [])
        step = plan_back(old, directories, self.force, self.labels, merged)
        try:
            if step['action'] not in ('unchanged', 'not_restored') and not self.check_mode:
                states.put(path, step['after'], self._temporary(step), self.labels)
        except Refusal as error:
            step.update(action='not_restored', reason=to_text(error))
        self._describe([step], [])
        self._refused(path, step['reason'])
        return step['action'] != 'not_restored'

    def _restore_value(self, old):
        """Whether a value has its original again, or is gone."""
        path, original = old['path'], old['original']
        turn = {'path': path, 'before': None, 'after': None}
        try:
            turn['before'] = turn['after'] = paths.read_value(path)
            if turn['before'] is None and original is not None:
                self._refused(path, ABSENT)
            elif turn['before'] is not None and original is not None and original.split() != turn['before'].split():
                if not self.check_mode:
                    paths.write_value(path, original)
                turn['after'] = original
        except Refusal as error:
            self._refused(path, to_text(error))
            return False
        finally:
            self._describe([], [turn])
        return True

    @staticmethod
    def _remove_directories(directories, needed, undo):
        """Remove those that are empty and lead to none of the NEEDED paths; returns those that stay."""
        staying = []
        for path in sorted(directories, key=len, reverse=True):
            if any(above(path, other) for other in needed):
                staying.append(path)
            elif os.path.isdir(paths.real(path)):
                with paths.told(path, 'removed'):
                    if paths.remove_directory(path):
                        undo.append(('directory', path, True))
                    else:
                        staying.append(path)
        return staying

    # Telling.

    def _refused(self, path, reason):
        if reason:
            self.not_restored.append({'path': path, 'reason': reason})

    def _describe(self, steps, turns):
        for step in steps:
            self.files.append({'path': step['path'], 'action': step['action']})
            if step['action'] not in ('unchanged', 'not_restored'):
                self._differs(step['path'], step['before'], step['after'])
        for turn in turns:
            before, after = [None if text is None else text.strip() for text in (turn['before'], turn['after'])]
            self.values.append({'path': turn['path'], 'before': before, 'after': after})
            if before != after:
                self.diff.append({'before': before + '\n', 'after': after + '\n', 'before_header': turn['path'], 'after_header': turn['path']})

    def _differs(self, path, before, after):
        entry = {'before': states.shown(before), 'after': states.shown(after)}
        for name, state in (('before_header', before), ('after_header', after)):
            tells = 'mode' in state and before.get('mode') != after.get('mode')
            entry[name] = '%s (mode %04o)' % (path, state['mode']) if tells else path
        self.diff.append(entry)
