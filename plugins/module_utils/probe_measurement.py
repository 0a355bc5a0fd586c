# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One measurement of what this kernel's IPVS does when a source port is used again, in network namespaces of its own.

One namespace has the clients, one the servers, and between them is a director for each setting of the three values. Each case has a service with two
servers. The clients open connections from fixed ports, the servers close first, and the clients connect again from the same ports.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import collections
import contextlib
import time

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import probe_conntrack
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.netlink import NetlinkError
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.probe_connections import Connection, Servers, run_all
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.probe_judgment import CONNTRACK_OFF, DELETED, FIRST, MODE_0, REUSE, WEIGHT_0, Measured, Reading
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.probe_namespaces import Links, Namespace
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.probe_services import ProbeServices, tcp_service

VALUES = '/proc/sys/net/ipv4/vs/'
FORWARD = '/proc/sys/net/ipv4/ip_forward'
# Reserved for measurements of networks (RFC 2544): no Service has such an address, so that nothing that rewrites those of Services meets it.
ADDRESSES = '198.18.%d.%d'
CLIENT_LINKS, SERVER_LINKS, SERVICE_ADDRESSES = 10, 20, 30
DIRECTOR, CLIENT = 1, 2
SERVERS = (2, 3)
FTP_ADDRESS = 21
SERVER_PORT = 8080
# Two servers take turns: with an odd number of ports most of those that are scheduled again reach the other one.
PORTS = 5
WARM_PORTS, FIRST_PORTS = 10000, 20000
WARM_SECONDS, WARM_LIMIT, WARM_STEP = 3.0, 0.3, 0.01
STATE_SECONDS = 2.0
# Until the kernel has forgotten what belongs to a deleted server, if it does that at all.
SETTLE = 0.1
ENDED = 'TIME_WAIT'

# then: what happens to the first server before the ports are used again.
Case = collections.namedtuple('Case', 'name port then')
Setting = collections.namedtuple('Setting', 'conntrack conn_reuse_mode expire_nodest_conn cases')

SETTINGS = (
    Setting(1, 1, 1, (Case(REUSE, 8001, None),)),
    Setting(1, 0, 1, (Case(MODE_0, 8001, None), Case(WEIGHT_0, 8002, WEIGHT_0), Case(DELETED, 8003, DELETED))),
    Setting(0, 1, 1, (Case(CONNTRACK_OFF, 8001, None),)),
)
WAYS = ('always', 'service', 'rule')


class ProbeProblem(Exception):
    """Nothing can be measured; the text is a sentence about why."""


def write(path, value):
    """Write a value of the kernel, and see that it is there. Raises ProbeProblem."""
    try:
        with open(path, 'w') as handle:
            handle.write('%s\n' % value)
    except (IOError, OSError) as error:
        raise ProbeProblem('%s cannot be written in a network namespace of its own: %s' % (path, error.strerror or error))
    if (probe_conntrack.read(path) or '').strip() != '%s' % value:
        raise ProbeProblem('%s does not keep the value %s in a network namespace of its own' % (path, value))


@contextlib.contextmanager
def links_of(namespace):
    """The Links of a namespace, entered meanwhile."""
    with namespace.entered():
        links = Links()
        try:
            yield links
        finally:
            links.close()


class Director(object):
    """The namespace with the services of one setting."""

    def __init__(self, number, setting):
        self.number, self.setting = number, setting
        self.namespace = Namespace()
        with self.namespace.entered():
            self.services = ProbeServices()
            # The socket belongs to the namespace in which it is first used.
            if not self.services.is_there():
                raise ProbeProblem('the kernel has no IPVS')

    def address(self, kind, host):
        """An address on one of its links, or of a service."""
        return ADDRESSES % (kind + self.number, host)

    def service(self, case):
        """The service of a case."""
        return tcp_service(self.address(SERVICE_ADDRESSES, 1), case.port)

    def server(self, name):
        """The address of a server."""
        return self.address(SERVER_LINKS, name)

    def start(self):
        """Addresses, values and services, once the links are there."""
        with links_of(self.namespace) as links:
            for name in ('lo', 'clients', 'servers'):
                links.switch_on(name)
            links.address('clients', self.address(CLIENT_LINKS, DIRECTOR), 24)
            links.address('servers', self.address(SERVER_LINKS, DIRECTOR), 24)
            links.address('lo', self.address(SERVICE_ADDRESSES, 1), 32)
            write(FORWARD, 1)
            for name in ('conntrack', 'conn_reuse_mode', 'expire_nodest_conn'):
                write(VALUES + name, getattr(self.setting, name))
            for case in self.setting.cases:
                self.services.add(self.service(case))
                for name in SERVERS:
                    self.services.add_destination(self.service(case), self.server(name), SERVER_PORT)

    def track(self, way):
        """Have conntrack track here, in one of WAYS; whether that can be tried."""
        try:
            with self.namespace.entered():
                if way == 'service':
                    probe_conntrack.ask_by_service(self.services, self.address(SERVICE_ADDRESSES, FTP_ADDRESS), self.server(SERVERS[0]))
                elif way == 'rule':
                    probe_conntrack.ask_by_rule()
        except NetlinkError:
            return False
        return True

    def entry_count(self):
        """How many entries conntrack has here, None if that cannot be seen."""
        with self.namespace.entered():
            return probe_conntrack.entry_count()

    def take_out(self):
        """What kube-proxy does with a server that is going, and with one that is gone."""
        with self.namespace.entered():
            for case in self.setting.cases:
                if case.then == WEIGHT_0:
                    self.services.set_weight(self.service(case), self.server(SERVERS[0]), SERVER_PORT, 0)
                elif case.then == DELETED:
                    self.services.delete_destination(self.service(case), self.server(SERVERS[0]), SERVER_PORT)

    def states(self):
        """What IPVS and conntrack say of their entries; None where it is not to be seen."""
        with self.namespace.entered():
            ipvs, conntrack = probe_conntrack.read(probe_conntrack.IPVS_ENTRIES), probe_conntrack.read(probe_conntrack.CONNTRACK_ENTRIES)
        return (
            None if ipvs is None else probe_conntrack.ipvs_states(ipvs),
            None if conntrack is None or not self.setting.conntrack else probe_conntrack.conntrack_states(conntrack),
        )

    def close(self):
        """Let go of the namespace."""
        self.services.close()
        self.namespace.close()


class Measurement(object):
    """Everything for one measurement. To be closed. rule: whether the modules for a rule of nf_tables are there."""

    def __init__(self, rule=False, ways=WAYS):
        self._ways = [way for way in ways if way != 'rule' or rule]
        self.way = None
        self._problems = []
        self._warm_port = WARM_PORTS
        self.clients, self.servers = Namespace(), Namespace()
        self.directors = [Director(number, setting) for number, setting in enumerate(SETTINGS)]
        self._answering = None

    def close(self):
        """Let go of the namespaces."""
        if self._answering is not None:
            self._answering.close()
        for one in self.directors + [self.clients, self.servers]:
            one.close()

    def _join(self, namespace, kind, name, hosts, other):
        """Links from the clients' or servers' namespace to all directors."""
        with links_of(namespace) as links:
            for director in self.directors:
                links.pair('to%d' % director.number, name, director.namespace)
                links.switch_on('to%d' % director.number)
                for host in hosts:
                    links.address('to%d' % director.number, director.address(kind, host), 24)
                links.route(director.address(other, 0), 24, director.address(kind, DIRECTOR))

    def _connections(self, pairs, ports):
        """Connections to [(director, case)], each from each of its ports."""
        with self.clients.entered():
            return [
                Connection((director.address(CLIENT_LINKS, CLIENT), port), (director.address(SERVICE_ADDRESSES, 1), case.port))
                for director, case in pairs
                for port in ports[director, case]
            ]

    def _all_cases(self):
        return [(director, case) for director in self.directors for case in director.setting.cases]

    def _warm(self, director):
        """Use the way through a director until it is fast to both servers: a first packet may wait for an address, or be lost."""
        case = director.setting.cases[0]
        until = clock() + WARM_SECONDS
        reached = set()
        while len(reached) < len(SERVERS):
            self._warm_port += 1
            connection = self._connections([(director, case)], {(director, case): [self._warm_port]})[0]
            run_all([connection], self._answering, limit=WARM_LIMIT)
            if connection.server is not None:
                reached.add(connection.server)
            elif clock() > until:
                raise ProbeProblem('no connection through the namespaces within %d seconds: %s' % (WARM_SECONDS, connection.error))
            else:
                time.sleep(WARM_STEP)

    def _prepare(self):
        self._join(self.clients, CLIENT_LINKS, 'clients', (CLIENT,), SERVICE_ADDRESSES)
        self._join(self.servers, SERVER_LINKS, 'servers', SERVERS, CLIENT_LINKS)
        for director in self.directors:
            director.start()
        with links_of(self.servers) as links:
            links.switch_on('lo')
            self._answering = Servers(SERVER_PORT)
        for director in self.directors:
            self._warm(director)
        self._track()

    def _track(self):
        """Conntrack has to track where the setting wants it: seen, not believed."""
        directors = [director for director in self.directors if director.setting.conntrack]
        for way in self._ways:
            tracked = [director.track(way) for director in directors]
            if not all(tracked):
                continue
            for director in directors:
                self._warm(director)
            counts = [director.entry_count() for director in directors]
            if None in counts:
                raise ProbeProblem('the kernel does not say how many connections conntrack tracks')
            if all(counts):
                self.way = way
                return
        raise ProbeProblem('conntrack could not be made to track in a network namespace without loading a module')

    def _wait_for_the_end(self, ports):
        """Until all entries say that the first connections are over; problems if they do not."""
        until = clock() + STATE_SECONDS
        while True:
            wrong = []
            for director in self.directors:
                wanted = [(case.port, port) for case in director.setting.cases for port in ports[director, case]]
                for side, states in zip(('IPVS', 'conntrack'), director.states()):
                    bad = [] if states is None else [states.get(key) for key in wanted if states.get(key) != ENDED]
                    if bad:
                        wrong.append('%d entries of %s were %s, not %s' % (len(bad), side, bad[0] or 'missing', ENDED))
            if not wrong or clock() > until:
                return wrong
            time.sleep(0.02)

    def run(self):
        """The Measured. Raises ProbeProblem, NetlinkError, OSError."""
        self._prepare()
        pairs = self._all_cases()
        ports, number = {}, FIRST_PORTS
        for director, case in pairs:
            # Every second one reaches the server that is taken out.
            count = 2 * PORTS if case.then else PORTS
            ports[director, case] = range(number, number + count)
            number += 100
        first = self._connections(pairs, ports)
        run_all(first, self._answering)
        problems = self._wait_for_the_end(ports)
        for director in self.directors:
            if director.setting.conntrack and not director.entry_count():
                problems.append('conntrack has forgotten the connections')
        old = dict(zip([(pair, port) for pair in pairs for port in ports[pair]], first))
        for director in self.directors:
            director.take_out()
        time.sleep(SETTLE)

        again_ports = {}
        for pair in pairs:
            servers = ('%d' % SERVERS[0],) if pair[1].then else tuple('%d' % name for name in SERVERS)
            again_ports[pair] = [port for port in ports[pair] if old[pair, port].server in servers]
        again = self._connections(pairs, again_ports)
        run_all(again, self._answering)

        readings = {FIRST: [reading(port, None, old[pair, port]) for pair in pairs for port in ports[pair]]}
        keys = [(pair, port) for pair in pairs for port in again_ports[pair]]
        for (pair, port), connection in zip(keys, again):
            readings.setdefault(pair[1].name, []).append(reading(port, old[pair, port].server, connection))
        return Measured(readings, problems)


def reading(port, old, connection):
    """What is kept of a connection."""
    return Reading(port, old, connection.server, connection.seconds, connection.repeated, connection.error)
