# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""IPVS services that kube-proxy owns: which they are, how many connections they have, and their removal, never that of anybody else's."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import time

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ip_addresses import Networks, join_endpoint, parse_endpoint
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ipvs_netlink import protocol_name
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ipvs_table import WORST, Addresses, why_foreign

TABLE = '/proc/net/ip_vs'
UNKNOWN = 'unknown'
LOOK_SECONDS = 1.0


def endpoint(service):
    """10.96.0.1:443, [fd00::1]:443, or `mark 7`."""
    return 'mark %d' % service.fwmark if service.fwmark else join_endpoint(service.address, service.port)


class Services(object):
    """Services, told apart. owned: those of kube-proxy; foreign: [(Service, why it is not, or `unknown`)]."""

    def __init__(self, services, addresses, exclude_cidrs):
        """services: of ipvs_netlink. addresses: ipvs_table.Addresses. exclude_cidrs: list of text."""
        excluded = Networks(exclude_cidrs)
        self.owned, self.foreign = [], []
        for service in services:
            reason = 'fwmark' if service.fwmark else why_foreign(service.address, service.port, addresses, excluded)
            if reason == '':
                self.owned.append(service)
            else:
                self.foreign.append((service, reason or UNKNOWN))

    def foreign_named(self):
        """The first of the foreign ones as the module returns them."""
        return [{'protocol': protocol_name(service), 'service': endpoint(service), 'reason': reason} for service, reason in self.foreign[:WORST]]

    def owned_named(self):
        """The owned ones as text."""
        return ['%s %s' % (protocol_name(service), endpoint(service)) for service in self.owned]

    def foreign_on(self, addresses):
        """Those of the foreign ones whose address is among ADDRESSES, or may be."""
        return [endpoint(service) for service, dummy in self.foreign if not service.fwmark and service.address in addresses]


def told_apart(node, services, exclude_cidrs):
    """Services of those that IPVS has now, by the addresses that the node has now."""
    return Services(services, Addresses(node), exclude_cidrs)


def active_connections(lines, services):
    """How many active connections those SERVICES have. lines: of /proc/net/ip_vs, as bytes, which are not kept."""
    wanted = set((protocol_name(service), service.address, service.port) for service in services if not service.fwmark)
    counts, total = False, 0
    for line in lines:
        words = line.split()
        if len(words) < 2:
            continue
        if words[0] != b'->':
            place = parse_endpoint(words[1].decode('ascii', 'replace'))
            counts = place is not None and (words[0].decode('ascii', 'replace'), place[0], place[1]) in wanted
        elif counts and len(words) >= 6 and words[4].isdigit():
            total += int(words[4])
    return total


def drain(node, services, seconds):
    """Wait at most SECONDS until these services have no active connections: {seconds, active_connections_left} as the module returns them."""
    began = clock()
    while True:
        left = active_connections(node.lines(TABLE), services) if services else 0
        waited = clock() - began
        if not left or waited >= seconds:
            return {'seconds': round(waited, 2) if seconds else 0.0, 'active_connections_left': left}
        time.sleep(min(LOOK_SECONDS, max(0.01, seconds - waited)))
