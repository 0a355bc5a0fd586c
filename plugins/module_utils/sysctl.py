# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The values of /proc/sys/net/ipv4/vs, in the network namespace whose values count."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import re

from ansible.module_utils.common.text.converters import to_native

DIRECTORY = '/proc/sys/net/ipv4/vs'
# The files that decide something: whether they are absent or unreadable is told apart.
DECISIVE = ('conn_reuse_mode', 'conntrack', 'expire_nodest_conn', 'expire_quiescent_template', 'conn_reuse_old_conntrack', 'schedule_icmp')
CLONE_NEWNET = 0x40000000
MAXIMUM_FILES = 200


class NamespaceError(Exception):
    """Another network namespace cannot be entered; the text is the reason."""


class _Namespace(object):
    """Within it, this process is in the network namespace of another one: /proc/sys/net shows that of the reader."""

    def __init__(self, pid):
        self._path = '/proc/%s/ns/net' % pid
        self._own = None

    def _enter(self, descriptor):
        if hasattr(os, 'setns'):
            os.setns(descriptor, CLONE_NEWNET)
            return
        # Costly to load, and seldom needed.
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        if library.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def __enter__(self):
        try:
            self._own = os.open('/proc/self/ns/net', os.O_RDONLY)
            target = os.open(self._path, os.O_RDONLY)
            try:
                self._enter(target)
            finally:
                os.close(target)
        except (AttributeError, IOError, OSError) as error:
            self._leave(go_back=False)
            raise NamespaceError(to_native(error))
        return self

    def __exit__(self, *dummy):
        self._leave(go_back=True)

    def _leave(self, go_back):
        if self._own is not None:
            try:
                if go_back:
                    self._enter(self._own)
            finally:
                os.close(self._own)
                self._own = None


def _number(text):
    text = text.strip()
    return int(text) if re.match(r'-?[0-9]{1,18}$', text) else text


def _read_files(node):
    """{name: value or None} of all files, and whether the directory is there: present, absent or unreadable."""
    names = node.names(DIRECTORY)
    if names is None:
        return {}, 'unreadable'
    values = {}
    for name in names[:MAXIMUM_FILES]:
        path = DIRECTORY + '/' + name
        if node.kind(path) == 'directory':
            continue
        text = node.text(path, limit=4096)
        values[name] = None if text is None else _number(text)
    return values, 'present' if names else 'absent'


def _read_listing(node):
    """The same from the output of `sysctl -a` that sosreport keeps."""
    for path in ('/sos_commands/kernel/sysctl_-a', '/sos_commands/networking/sysctl_-a'):
        found = re.findall(r'(?m)^net\.ipv4\.vs\.(\w+)\s*=\s*(.*)$', node.text(path, limit=4 * 1024 * 1024) or '')
        if found:
            return dict((name, _number(value)) for name, value in found), 'present'
    return {}, 'absent'


def same_namespace(one, other):
    """Whether two processes (ids, or 'self') share a network namespace; yes where that cannot be told."""
    try:
        return os.readlink('/proc/%s/ns/net' % one) == os.readlink('/proc/%s/ns/net' % other)
    except (IOError, OSError):
        # Without the right to look, assume the ordinary case.
        return True


def _read_live(node, pid):
    """The files in the namespace of PID."""
    if same_namespace('self', pid):
        return _read_files(node)
    try:
        with _Namespace(pid):
            return _read_files(node)
    except NamespaceError as error:
        node.report(DIRECTORY, 'the network namespace of process %s cannot be entered: %s' % (pid, error))
        return {}, 'unreadable'


def read_sysctl(node, other_namespace_pid=None):
    """`sysctl` of docs/facts.md.

    other_namespace_pid: the process id of a kube-proxy in another network namespace than the host's, whose values are read then.
    """
    if node.live:
        values, state = _read_live(node, other_namespace_pid or 1)
    else:
        values, state = _read_files(node)
        if state == 'absent':
            values, state = _read_listing(node)
        if state == 'absent' and node.kind('/proc/sys') is None:
            # A tree without any sysctls says nothing about this one.
            state = 'unreadable'
    facts = {'state': state, 'network_namespace': 'kube_proxy' if other_namespace_pid and node.live else 'host'}
    for name in DECISIVE:
        facts[name] = values.get(name)
    facts.update((name, value) for name, value in values.items() if name not in ('state', 'network_namespace', 'absent'))
    facts['absent'] = [name for name in DECISIVE if name not in values] if state != 'unreadable' else []
    return facts
