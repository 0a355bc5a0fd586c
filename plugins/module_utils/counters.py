# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counters of the node's network stack that show the symptoms of a bad value."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type


LONGEST_NUMBER = 20


def _number(text, base=10):
    try:
        # Whatever is longer is no counter, and a number that JSON cannot hold would cost all facts.
        return int(text, base) if len(text) <= LONGEST_NUMBER else None
    except ValueError:
        return None


def _paired(node, path, prefix):
    """{name: number} of a file in which a line of names is followed by a line of numbers (/proc/net/snmp, netstat)."""
    lines = [line for line in (node.text(path) or '').split('\n') if line.startswith(prefix)]
    if len(lines) < 2:
        return {}
    return dict(zip(lines[0].split()[1:], [_number(word) for word in lines[1].split()[1:]]))


def _conntrack(node, net):
    """The sums over all processors of /proc/net/stat/nf_conntrack, whose numbers are hexadecimal."""
    lines = [line.split() for line in (node.text(net + '/stat/nf_conntrack') or '').split('\n') if line.strip()]
    sums = {}
    for row in lines[1:]:
        for name, word in zip(lines[0], row):
            number = _number(word, 16)
            if number is not None:
                sums[name] = sums.get(name, 0) + number
    return sums


def empty():
    """`counters` of docs/facts.md with nothing known."""
    return dict.fromkeys(('tcp_syn_retransmits', 'tcp_active_opens', 'conntrack_insert_failed', 'conntrack_drop', 'conntrack_count', 'conntrack_max'))


def read_counters(node, net='/proc/net'):
    """`counters` of docs/facts.md; NET is the directory of the network namespace."""
    extended, tcp, conntrack = _paired(node, net + '/netstat', 'TcpExt:'), _paired(node, net + '/snmp', 'Tcp:'), _conntrack(node, net)
    return {
        'tcp_syn_retransmits': extended.get('TCPSynRetrans'),
        'tcp_active_opens': tcp.get('ActiveOpens'),
        'conntrack_insert_failed': conntrack.get('insert_failed'),
        'conntrack_drop': conntrack.get('drop'),
        'conntrack_count': _number(node.first_line('/proc/sys/net/netfilter/nf_conntrack_count') or ''),
        'conntrack_max': _number(node.first_line('/proc/sys/net/netfilter/nf_conntrack_max') or ''),
    }
