# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many short connections a node carries: a bad value hurts only many of them between the same two addresses."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import time

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.counters import read_counters
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ip_addresses import join_endpoint, parse_address, parse_endpoint

BUSIEST = 10
SAMPLE_BYTES = 1024 * 1024
GROWING = ('tcp_syn_retransmits', 'tcp_active_opens', 'conntrack_insert_failed', 'conntrack_drop')


def _ports(node):
    words = (node.first_line('/proc/sys/net/ipv4/ip_local_port_range') or '').split()
    if len(words) != 2 or not all(word.isdigit() for word in words):
        return None
    first, last = int(words[0]), int(words[1])
    return {'first': first, 'last': last, 'count': max(last - first + 1, 0)}


def _sample(node, path, limit):
    """(bytes, complete) of the beginning of a file of any size, or (None, False)."""
    handle = node.open(path)
    if handle is None:
        return None, False
    try:
        # The kernel hands out a page at a time.
        parts, size = [], 0
        while size <= limit:
            data = handle.read(64 * 1024)
            if not data:
                return b''.join(parts), True
            parts.append(data)
            size += len(data)
    except (IOError, OSError) as error:
        node.report(path, error.strerror)
    finally:
        handle.close()
    return b''.join(parts), False


def _count(data, complete):
    """(connections, in TIME_WAIT, {(protocol, client, service): [connections, in TIME_WAIT]}) of lines of ip_vs_conn."""
    lines = data.split(b'\n')
    if not complete:
        # The last line is cut.
        lines = lines[:-1]
    total = waiting = 0
    pairs = {}
    for line in lines:
        # Pro FromIP FPrt ToIP TPrt DestIP DPrt State Expires
        words = line.split()
        if len(words) < 9 or words[0] == b'Pro':
            continue
        total += 1
        pair = pairs.setdefault((words[0], words[1], words[3], words[4]), [0, 0])
        pair[0] += 1
        if words[7] == b'TIME_WAIT':
            waiting += 1
            pair[1] += 1
    return total, waiting, pairs


def _named(pair, counts):
    protocol, client, service, port = [word.decode('ascii', 'replace') for word in pair]
    # ip_vs_conn writes IPv6 without brackets.
    client = parse_address(client) or parse_address('[%s]' % client.strip('[]')) or client
    endpoint = parse_endpoint('%s:%s' % (service, port)) or parse_endpoint('[%s]:%s' % (service.strip('[]'), port))
    shown = join_endpoint(*endpoint) if endpoint else '%s:%s' % (service, port)
    return {'client': client, 'service': shown, 'protocol': protocol, 'connections': counts[0], 'time_wait': counts[1]}


def _statistics(node, net):
    """(connections so far, connections per second by the kernel's estimator) of ip_vs_stats, whose numbers are hexadecimal."""
    rows = []
    for line in (node.text(net + '/ip_vs_stats') or '').split('\n'):
        try:
            rows.append([int(word, 16) for word in line.split()])
        except ValueError:
            continue
    rows = [row for row in rows if len(row) == 5]
    return (rows[0][0] if rows else None), (rows[1][0] if len(rows) > 1 else None)


def read_pressure(node, sample_seconds=0, conn_bytes=SAMPLE_BYTES, sleep=time.sleep, net='/proc/net'):
    """`pressure` of docs/facts.md. sample_seconds: how long to watch the counters; conn_bytes: how much of ip_vs_conn to look at."""
    data, complete = _sample(node, net + '/ip_vs_conn', conn_bytes)
    total, waiting, pairs = _count(data, complete) if data is not None else (None, None, {})
    busiest = sorted(pairs.items(), key=lambda item: (-item[1][0], item[0]))[:BUSIEST]
    connections, estimate = _statistics(node, net)
    facts = {
        'ephemeral_ports': _ports(node),
        'sampled_bytes': None if data is None else len(data),
        'sample_complete': None if data is None else complete,
        'sampled_connections': total,
        'time_wait': waiting,
        'time_wait_share': round(waiting / float(total), 3) if total else None,
        'busiest': [_named(pair, counts) for pair, counts in busiest],
        'connections_per_second_estimate': estimate,
        'sample_seconds': sample_seconds,
        'connections_per_second': None,
        'growth': None,
    }
    if sample_seconds > 0 and node.live:
        before, began = read_counters(node, net), time.time()
        sleep(sample_seconds)
        after, seconds = read_counters(node, net), max(time.time() - began, 0.001)
        later = _statistics(node, net)[0]
        if connections is not None and later is not None:
            facts['connections_per_second'] = round((later - connections) / seconds, 1)
        facts['growth'] = {'seconds': round(seconds, 1)}
        for name in GROWING:
            facts['growth'][name] = None if None in (before[name], after[name]) else after[name] - before[name]
    return facts
