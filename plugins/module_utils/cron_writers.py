# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cron: lines and scripts that set the value at times or at boot."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.shell_actions import WRITE, place_of
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.unit_writers import actions_of
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.writer_entry import REBOOT, writer

SYSTEM_FILE, ANACRON_FILE = '/etc/crontab', '/etc/anacrontab'
SYSTEM_DIRECTORY = '/etc/cron.d'
USER_DIRECTORIES = ('/var/spool/cron', '/var/spool/cron/crontabs', '/var/spool/cron/tabs')
SCRIPT_DIRECTORIES = (('/etc/cron.hourly', 3600), ('/etc/cron.daily', 86400), ('/etc/cron.weekly', 7 * 86400), ('/etc/cron.monthly', 31 * 86400))
NAMED = {'@hourly': 3600, '@daily': 86400, '@midnight': 86400, '@weekly': 7 * 86400, '@monthly': 31 * 86400, '@yearly': 366 * 86400, '@annually': 366 * 86400}
_PLAIN_NAME = re.compile(r'^[A-Za-z0-9_-]+$')
LEFTOVERS = ('~', ',v', '.bak', '.swp', '.cfsaved', '.rpmsave', '.rpmorig', '.rpmnew')


def _longest_gap(field, size):
    """The longest time between two values of a minute or hour field of crontab(5), in its own unit; SIZE if it has one value."""
    values = set()
    for part in field.split(','):
        found = re.match(r'(?:\*|([0-9]{1,4})(?:-([0-9]{1,4}))?)(?:/([0-9]{1,4}))?$', part)
        if not found:
            return size
        first, last, step = found.groups()
        start = int(first or 0)
        end = int(last) if last else start if first and not step else size - 1
        values.update(range(start, min(end, size - 1) + 1, max(int(step or 1), 1)))
    ordered = sorted(values)
    return max([after - before for before, after in zip(ordered, ordered[1:])] + [ordered[0] + size - ordered[-1]]) if ordered else size


def period_of(fields):
    """The longest time between two runs in seconds, for the five fields of crontab(5); days and weeks roughly."""
    minute, hour, day, month, week = fields
    if (day, month, week) != ('*', '*', '*'):
        return 7 * 86400 if (day, month) == ('*', '*') else 31 * 86400
    if hour not in ('*', '*/1'):
        return _longest_gap(hour, 24) * 3600
    return _longest_gap(minute, 60) * 60


def _entries(text, with_user):
    """(line number, seconds or None for @reboot, command, line)."""
    skipped = 1 if with_user else 0
    for number, line in enumerate(text.split('\n'), 1):
        stripped = line.strip()
        if not stripped or stripped[0] == '#' or re.match(r'\w+\s*=', stripped):
            continue
        words = stripped.split(None, (1 if stripped[0] == '@' else 5) + skipped)
        fields = 1 if stripped[0] == '@' else 5
        if len(words) <= fields + skipped:
            continue
        if fields == 1 and words[0] != '@reboot' and words[0] not in NAMED:
            continue
        yield number, (NAMED.get(words[0]) if fields == 1 else period_of(words[:5])), words[-1], line


def _writers_of(node, path, number, line, command, period, result_of):
    found = []
    for script, action, text in actions_of(node, command):
        value, via = result_of(action)
        if action.kind == WRITE or via:
            place, line_number, written, via = place_of(action, script, via, (path, number, line))
            from ansible_collections.kubeproxy.ipvs.plugins.module_utils import shell_text

            found.append(
                writer(
                    'cron',
                    place,
                    line_number,
                    written,
                    value,
                    [] if period else [REBOOT],
                    ['cron'],
                    period_seconds=period,
                    via=via,
                    waits=shell_text.waits(text),
                )
            )
    return found


def _runs_file(node, name):
    """Whether cron runs a file of this name: Debian's takes plain names alone, others leave out backups and package leftovers (cron(8))."""
    if node.kind('/etc/debian_version') == 'file':
        return bool(_PLAIN_NAME.match(name))
    return not name.startswith(('.', '#')) and not name.endswith(LEFTOVERS)


def _anacron_entries(text):
    """As _entries, of anacrontab(5): days or @name, delay, name, command."""
    for number, line in enumerate(text.split('\n'), 1):
        words = line.strip().split(None, 3)
        if len(words) == 4 and (re.match(r'[0-9]{1,4}$', words[0]) or words[0] in NAMED):
            yield number, NAMED.get(words[0]) or max(int(words[0]), 1) * 86400, words[3], line


def read_cron(node, result_of):
    """Writers of kind cron. result_of: function of an Action that gives (value, file it comes from)."""
    tables = [(SYSTEM_FILE, True)]
    tables += [(SYSTEM_DIRECTORY + '/' + name, True) for name in node.names(SYSTEM_DIRECTORY) or [] if _runs_file(node, name)]
    for directory in USER_DIRECTORIES:
        tables += [(directory + '/' + name, False) for name in node.names(directory) or [] if node.kind(directory + '/' + name) == 'file']
    found = []
    for path, with_user in tables:
        for number, period, command, line in _entries(node.text(path) or '', with_user):
            found.extend(_writers_of(node, path, number, line, command, period, result_of))
    for number, period, command, line in _anacron_entries(node.text(ANACRON_FILE) or ''):
        found.extend(_writers_of(node, ANACRON_FILE, number, line, command, period, result_of))
    for directory, period in SCRIPT_DIRECTORIES:
        for name in node.names(directory) or []:
            path = directory + '/' + name
            if _runs_file(node, name) and node.executable(path):
                found.extend(_writers_of(node, path, None, None, path, period, result_of))
    return found
