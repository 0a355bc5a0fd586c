# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The IPVS table of a node: counts, what is stuck, and what kube-proxy does not own.

The table can be tens of megabytes long. It is read line by line and only sums and the worst few are kept.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import heapq
import re

from ansible.module_utils.common.text.converters import to_native

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ip_addresses import OWN_NAMESPACE, Networks, join_endpoint, node_addresses, parse_endpoint

INTERFACE = 'kube-ipvs0'
WORST = 20
# Lines of the kernel have less than 200 bytes.
LONGEST_LINE = 4096
NUMBERS = 2**32
# kube-apiserver --service-node-port-range by default.
NODE_PORTS = (30000, 32767)
PROTOCOLS = frozenset((b'TCP', b'UDP', b'SCTP'))


def _fib_locals(node, net):
    """The node's own IPv4 addresses, of all interfaces together, or None."""
    text = node.text(net + '/fib_trie', limit=64 * 1024 * 1024)
    if text is None:
        return None
    return set(re.findall(r'\|--\s+(\d+\.\d+\.\d+\.\d+)\s+/32 host LOCAL', text))


class Addresses(object):
    """The node's addresses. by_interface: whether it is known on which interface each is."""

    def __init__(self, node, net=OWN_NAMESPACE):
        listed = node_addresses(node, net)
        self.by_interface = listed is not None
        self.service = set(address for name, address in listed or [] if name == INTERFACE)
        self.other = set(address for name, address in listed or [] if name != INTERFACE)
        self.any = self.service | self.other if self.by_interface else _fib_locals(node, net)


def _interface(node, net, addresses):
    devices = node.text(net + '/dev')
    exists = None if devices is None else re.search(r'(?m)^\s*kube-ipvs0:', devices) is not None
    if exists is None and net == OWN_NAMESPACE and node.kind('/sys/class/net') is not None:
        # /sys shows the namespace of the reader.
        exists = node.kind('/sys/class/net/' + INTERFACE) is not None
    if addresses.by_interface:
        exists = bool(exists or addresses.service)
        version6 = sum(1 for address in addresses.service if ':' in address)
        return {'exists': exists, 'addresses': len(addresses.service), 'ipv4': len(addresses.service) - version6, 'ipv6': version6}
    nothing = 0 if exists is False else None
    return {'exists': exists, 'addresses': nothing, 'ipv4': nothing, 'ipv6': nothing}


def why_foreign(address, port, addresses, excluded):
    """Why a service is not kube-proxy's: a reason, '' if it is, None if that cannot be told. addresses: Addresses. excluded: Networks."""
    if address in excluded:
        return 'excluded_cidr'
    if addresses.any is None or (not addresses.by_interface and ':' in address):
        return None
    if address not in addresses.any:
        return 'address_not_local'
    if not addresses.by_interface:
        return '' if NODE_PORTS[0] <= port <= NODE_PORTS[1] else None
    if address in addresses.service or NODE_PORTS[0] <= port <= NODE_PORTS[1]:
        return ''
    return 'address_not_kube_ipvs0'


class _Table(object):
    """What is kept of the table while it goes by."""

    def __init__(self, addresses, excluded):
        self.addresses = addresses
        self.excluded = excluded
        self.kinds = {'ipv4': 0, 'ipv6': 0, 'fwmark': 0}
        self.destinations = self.zero = self.active = self.inactive = self.stuck = self.stuck_connections = self.unparsed = 0
        self.worst = []
        self.foreign = []
        self.foreign_count = 0
        self.undecided = False
        self.protocol = self.service = ''
        # The words of the present service: only a stuck destination makes text of them.
        self._order = 0

    def add_service(self, words):
        """TCP  0A600001:01BB rr [persistent ...] or FWM  00000001 rr"""
        self.protocol = words[0].decode('ascii')
        if words[0] == b'FWM':
            mark = int(words[1], 16)
            if not 0 <= mark < NUMBERS:
                raise ValueError('mark')
            self.service = 'mark %d' % mark
            self.kinds['fwmark'] += 1
            self._add_foreign('fwmark')
            return
        endpoint = parse_endpoint(words[1].decode('ascii'))
        if endpoint is None:
            raise ValueError('address')
        self.kinds['ipv6' if ':' in endpoint[0] else 'ipv4'] += 1
        self.service = join_endpoint(*endpoint)
        reason = why_foreign(endpoint[0], endpoint[1], self.addresses, self.excluded)
        if reason is None:
            self.undecided = True
        elif reason:
            self._add_foreign(reason)

    def _add_foreign(self, reason):
        self.foreign_count += 1
        if len(self.foreign) < WORST:
            self.foreign.append({'protocol': self.protocol, 'service': self.service, 'reason': reason})

    def add_destination(self, words):
        """->  C0A80001:1920  Masq  weight  active  inactive"""
        weight, active, inactive = int(words[3]), int(words[4]), int(words[5])
        if not 0 <= weight | active | inactive < NUMBERS:
            raise ValueError('number')
        self.destinations += 1
        self.active += active
        self.inactive += inactive
        if weight:
            return
        self.zero += 1
        connections = active + inactive
        if not connections:
            return
        self.stuck += 1
        self.stuck_connections += connections
        self._order -= 1
        entry = (connections, self._order, self.protocol, self.service, words[1], active, inactive)
        if len(self.worst) < WORST:
            heapq.heappush(self.worst, entry)
        elif entry > self.worst[0]:
            heapq.heapreplace(self.worst, entry)

    def stuck_worst(self):
        """The worst stuck destinations, most connections first."""
        found = []
        for dummy, dummy, protocol, service, destination, active, inactive in sorted(self.worst, reverse=True):
            endpoint = parse_endpoint(destination.decode('ascii', 'replace'))
            shown = join_endpoint(*endpoint) if endpoint else destination.decode('ascii', 'replace')
            found.append({'protocol': protocol, 'service': service, 'destination': shown, 'active': active, 'inactive': inactive})
        return found


def _lines(node, path):
    """The lines of the file. What is not a table can be one line of any length: it comes in pieces."""
    handle = node.open(path)
    if handle is None:
        return
    try:
        while True:
            line = handle.readline(LONGEST_LINE)
            if not line:
                return
            yield line
    except (IOError, OSError) as error:
        node.report(path, error.strerror or to_native(error))
    finally:
        handle.close()


def _fill(table, node, path):
    """Read the file into TABLE."""
    for line in _lines(node, path):
        words = line.split()
        if not words:
            continue
        try:
            if words[0] == b'->':
                if words[1] != b'RemoteAddress:Port':
                    table.add_destination(words)
            elif words[0] in PROTOCOLS or words[0] == b'FWM':
                table.add_service(words)
            elif words[0] not in (b'IP', b'Prot'):
                table.unparsed += 1
        except (IndexError, ValueError, UnicodeError):
            table.unparsed += 1


def empty():
    """`table` of docs/facts.md with nothing known."""
    names = 'services destinations destinations_weight_zero active_connections inactive_connections stuck stuck_connections foreign'
    return dict(
        [(name, None) for name in names.split()],
        state='unreadable',
        services_by_kind={'ipv4': None, 'ipv6': None, 'fwmark': None},
        kube_ipvs0={'exists': None, 'addresses': None, 'ipv4': None, 'ipv6': None},
        stuck_worst=[],
        foreign_services=[],
        unparsed_lines=None,
    )


def read_table(node, exclude_cidrs=(), net=OWN_NAMESPACE):
    """`table` of docs/facts.md. exclude_cidrs: ipvs.excludeCIDRs of kube-proxy's configuration. net: directory of the namespace."""
    addresses = Addresses(node, net)
    facts = empty()
    facts['kube_ipvs0'] = _interface(node, net, addresses)
    path = net + '/ip_vs'
    is_there = node.kind(path) is not None
    # A tree without this directory says nothing.
    if (is_there and node.read_head(path, 1) is None) or (not is_there and node.kind(net) is None):
        return facts
    table = _Table(addresses, Networks(exclude_cidrs))
    if is_there:
        _fill(table, node, path)
    facts.update(
        state='present' if is_there else 'absent',
        services=sum(table.kinds.values()),
        services_by_kind=table.kinds,
        destinations=table.destinations,
        destinations_weight_zero=table.zero,
        active_connections=table.active,
        inactive_connections=table.inactive,
        stuck=table.stuck,
        stuck_connections=table.stuck_connections,
        stuck_worst=table.stuck_worst(),
        foreign=None if table.undecided and not table.foreign_count else table.foreign_count,
        foreign_services=table.foreign,
        unparsed_lines=table.unparsed,
    )
    return facts
