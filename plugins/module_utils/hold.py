# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What on a node writes the value again after kube-proxy has started."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type


def _kind(entry, unit):
    """Which kind of guard a writer is, or None if it is none."""
    after_start = 'kube_proxy_restart' in entry['moments']
    if entry.get('phase') == 'ExecStartPost' and (after_start or entry.get('unit') == unit):
        return 'exec_start_post'
    if entry['period_seconds']:
        by_timer = any(name.endswith('.timer') for name in entry['applied_by'])
        return {'cron': 'cron', 'unit': 'timer' if by_timer else 'script', 'rc_local': 'script'}.get(entry['kind'])
    # A unit of its own that starts anew with kube-proxy.
    return 'script' if after_start and entry['kind'] == 'unit' and entry.get('unit') != unit else None


def empty():
    """`hold` of docs/facts.md with nothing known."""
    return {'guards': [], 'managed': None, 'service_manager': None}


def _service_manager(node):
    """systemd, other, or None in a collected tree, where nothing runs."""
    if node.kind('/run/systemd/system') == 'directory':
        return 'systemd'
    return 'other' if node.live else None


def read_hold(node, kube_proxy, writers, managed):
    """`hold` of docs/facts.md, out of the writers: those that act after each start of kube-proxy, or again and again.

    managed: of managed_hold.read_managed; WRITERS have none of its files in them.
    """
    guards = []
    for entry in writers:
        kind = _kind(entry, kube_proxy.get('unit'))
        if kind and (entry['moments'] or entry['period_seconds']):
            guard = {
                'kind': kind,
                'path': entry['path'],
                'line': entry['line'],
                'text': entry['text'],
                'unit': entry.get('unit'),
                'value': entry['value'],
                'waits': bool(entry.get('waits')) or bool(entry['period_seconds']),
                'period_seconds': entry['period_seconds'],
            }
            if 'file_line' in entry:
                guard['file_line'] = entry['file_line']
            guards.append(guard)
    return {'guards': guards, 'managed': managed, 'service_manager': _service_manager(node)}
