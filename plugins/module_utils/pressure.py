# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many short connections a node carries: a bad value hurts only many of them between the same two addresses."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re
import time

from ansible.module_utils.common.text.converters import to_native

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.counters import LONGEST_NUMBER, read_counters
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ip_addresses import join_endpoint, parse_address, parse_endpoint

BUSIEST = 10
SAMPLE_BYTES = 1024 * 1024
CHUNK = 64 * 1024
# Older kernels count in 32 bits and begin again.
TURN = 2**32
GROWING = ('tcp_syn_retransmits', 'tcp_active_opens', 'conntrack_insert_failed', 'conntrack_drop')


def _ports(node):
    words = (node.first_line('/proc/sys/net/ipv4/ip_local_port_range') or '').split()
    if len(words) != 2 or not all(re.match(r'^[0-9]{1,5}$', word) for word in words):
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
        while size < limit:
            data = handle.read(min(CHUNK, limit - size))
            if not data:
                return b''.join(parts), True
            parts.append(data)
            size += len(data)
        return b''.join(parts), not handle.read(1)
    except (IOError, OSError) as error:
        node.report(path, error.strerror or to_native(error))
    finally:
        handle.close()
    return b''.join(parts), False


def _count(data, complete):
    """(connections, in TIME_WAIT, {(protocol, client, service): [connections, in TIME_WAIT]}) of lines of ip_vs_conn."""
    lines = data.split(b'\n')
    if not complete:
        # The last line is cut, or nothing stands behind its end.
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
    # The head has letters beyond F.
    for line in (node.text(net + '/ip_vs_stats') or '').split('\n'):
        try:
            rows.append([int(word, 16) for word in line.split() if len(word) <= LONGEST_NUMBER])
        except ValueError:
            continue
    rows = [row for row in rows if len(row) == 5]
    return (rows[0][0] if rows else None), (rows[1][0] if len(rows) > 1 else None)


def _grown(before, after):
    """How much a counter has grown; None if that is not known, also when it began again at nothing."""
    if before is None or after is None:
        return None
    return after - before if after >= before else None


def _watch(node, net, seconds, sleep):
    """(connections per second, growth) over some seconds."""
    connections, counters, began = _statistics(node, net)[0], read_counters(node, net), clock()
    sleep(seconds)
    later, counters_later, passed = _statistics(node, net)[0], read_counters(node, net), max(clock() - began, 0.001)
    growth = dict((name, _grown(counters[name], counters_later[name])) for name in GROWING)
    growth['seconds'] = round(passed, 1)
    new = _grown(connections, later)
    if new is None and connections is not None and later is not None and later + TURN - connections < TURN // 2:
        new = later + TURN - connections
    return (None if new is None else round(new / passed, 1)), growth


def empty(sample_seconds=0):
    """`pressure` of docs/facts.md with nothing known."""
    names = (
        'ephemeral_ports sampled_bytes sample_complete sampled_connections time_wait time_wait_share '
        'connections_per_second_estimate connections_per_second growth'
    )
    return dict([(name, None) for name in names.split()], busiest=[], sample_seconds=sample_seconds)


def read_pressure(node, sample_seconds=0, conn_bytes=SAMPLE_BYTES, sleep=time.sleep, net='/proc/net'):
    """`pressure` of docs/facts.md. sample_seconds: how long to watch the counters; conn_bytes: how much of ip_vs_conn to look at."""
    facts = empty(sample_seconds)
    facts.update(ephemeral_ports=_ports(node), connections_per_second_estimate=_statistics(node, net)[1])
    data, complete = _sample(node, net + '/ip_vs_conn', conn_bytes)
    if data is not None:
        total, waiting, pairs = _count(data, complete)
        busiest = sorted(pairs.items(), key=lambda item: (-item[1][0], item[0]))[:BUSIEST]
        facts.update(sampled_bytes=len(data), sample_complete=complete, sampled_connections=total, time_wait=waiting)
        facts['time_wait_share'] = round(waiting / float(total), 3) if total else None
        facts['busiest'] = [_named(pair, counts) for pair, counts in busiest]
    if sample_seconds > 0 and node.live:
        facts['connections_per_second'], facts['growth'] = _watch(node, net, sample_seconds, sleep)
    return facts
