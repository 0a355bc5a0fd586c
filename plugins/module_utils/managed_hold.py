# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role conn_reuse_mode has done to a node, and whether it still stands: out of the record that it keeps there."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import hashlib
import json

from ansible.module_utils.common.text.converters import to_bytes

RECORD = '/var/lib/kubeproxy.ipvs/conn_reuse_mode.json'
SERVICE = 'kubeproxy-ipvs-hold.service'
SCRIPT = '/etc/kubeproxy.ipvs/hold'
# Where systemd keeps the processes of the service: control groups of version 2, of version 1, and of both together.
CONTROL_GROUPS = ('/sys/fs/cgroup/system.slice', '/sys/fs/cgroup/systemd/system.slice', '/sys/fs/cgroup/unified/system.slice')
RECORD_LIMIT = 64 * 1024 * 1024


def _fingerprint(node, path):
    """As recorded_states.fingerprint, of what stands at PATH; None if it cannot be read."""
    target = node.link(path)
    if target is not None:
        return 'link:' + hashlib.sha256(to_bytes(target, errors='surrogate_or_replace')).hexdigest()
    if node.kind(path) is None:
        return 'absent'
    digest = hashlib.sha256()
    for data in node.chunks(path):
        digest.update(data)
    return 'sha256:' + digest.hexdigest()


def _state(node, entry):
    found = _fingerprint(node, entry['path'])
    if found in entry['written']:
        return 'intact'
    return 'missing' if found == 'absent' else 'changed'


def _service_runs(node):
    """Whether the service has a process; None where that cannot be seen."""
    seen = None
    for directory in CONTROL_GROUPS:
        text = node.text('%s/%s/cgroup.procs' % (directory, SERVICE))
        if text and text.strip():
            return True
        if node.kind(directory) == 'directory':
            seen = False
    return seen


def _read_record(node):
    """The record as JSON, or None if there is none, or none that can be read."""
    data = node.read(RECORD, RECORD_LIMIT)
    if data is None:
        return None
    try:
        record = json.loads(data.decode('utf-8'))
        return {
            'facts': dict(record['facts']),
            'files': [{'path': entry['path'], 'written': [mark.strip() for mark in entry['written']]} for entry in record['files']],
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        node.report(RECORD, 'not a record, or a damaged one')
        return None


def read_managed(node):
    """`hold.managed` of docs/facts.md, None if the role has done nothing to this node."""
    record = _read_record(node)
    if record is None:
        return None
    return {
        'record': RECORD,
        'applied_at': node.modified(RECORD),
        'facts': record['facts'],
        'files': [{'path': entry['path'], 'state': _state(node, entry)} for entry in record['files']],
        'service_running': _service_runs(node),
    }


def is_ours(entry, managed):
    """Whether a writer is the script that holds the value, as the role wrote it."""
    return managed is not None and entry['path'] == SCRIPT and {'path': SCRIPT, 'state': 'intact'} in managed['files']
