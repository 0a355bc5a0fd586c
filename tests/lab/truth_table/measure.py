# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure what this kernel's IPVS does with reused ports: for each setting of the sysctls, with real connections. Python 2.7 and 3.

measure.py [SETTING...]: runs as root on a kernel with IPVS and prints one JSON document. A SETTING is "conntrack,conn_reuse_mode,
expire_nodest_conn", such as 1,0,1; without any all 16 are measured, at the same time. Nothing of the machine's own network is used or changed.

In each case some clients open a connection from a fixed port, the connection ends in some state, the backend is taken out of its service or
not, and the clients connect again from the same ports: how long does that take, and which backend answers? "fast" is below half a second;
"1 s" and "3 s" are the first and second repetition of a lost SYN (or, of a client of UDP, of a lost datagram); "never" is no answer until then.
"""

from __future__ import absolute_import, division, print_function

import collections
import itertools
import json
import os
import platform
import resource
import subprocess
import sys
import time

from connections import Backends, Connection, Datagrams, clock, run_all
from directors import BACKENDS, BACKEND_PORT, CLIENT_LINK, address, build

SYSCTLS = ("conntrack", "conn_reuse_mode", "expire_nodest_conn")
SETTINGS = tuple(itertools.product((0, 1), (0, 1, 2, 3), (0, 1)))
MODULES = ("nf_conntrack", "ip_vs", "ip_vs_rr", "dummy", "veth", "iptable_nat", "ip6table_nat", "xt_mark", "xt_MASQUERADE")
# More than half of the ports decide. Those of the first backend count where it is taken out, which is every second one.
PORTS = 5
FIRST_SERVICE_PORT = 8001
CLASSES = ((0.5, "fast"), (0.9, None), (1.5, "1 s"), (2.9, None), (3.5, "3 s"))
# Until the last acknowledgements have been sent.
SETTLE = 0.3
OPEN_FILES = 16384
# A setting that is inconclusive, because this machine was busy for a moment, is measured again.
ATTEMPTS = 3
# The states of the old entry's two sides: of IPVS, as the cases name it, and of conntrack. Where conntrack is not in that state, the
# second connection does not meet what the case is about.
CONNTRACK_STATES = {"TIME_WAIT": "TIME_WAIT", "ESTABLISHED": "ESTABLISHED", "FIN_WAIT": "CLOSE_WAIT", "CLOSE": "CLOSE", "UDP": ""}

# state: of the entry in IPVS when the port is used again. then: what happened to its backend before.
Case = collections.namedtuple("Case", "name port protocol family state then masqueraded")


def make_cases():
    """All cases, each with a service of its own."""
    rows = [("reuse", "tcp", 4, "TIME_WAIT"), ("ipv6", "tcp", 6, "TIME_WAIT"), ("masqueraded", "tcp", 4, "TIME_WAIT")]
    rows += [(state.lower(), "tcp", 4, state) for state in ("ESTABLISHED", "FIN_WAIT", "CLOSE")]
    rows = [row + (then,) for row in rows for then in (None, "weight_0")]
    rows += [("reuse", "tcp", 4, "TIME_WAIT", "deleted"), ("udp", "udp", 4, "UDP", "weight_0"), ("udp", "udp", 4, "UDP", "deleted")]
    for number, (name, protocol, family, state, then) in enumerate(rows):
        full_name = name + "_" + then if then else name
        yield Case(full_name, FIRST_SERVICE_PORT + number, protocol, family, state, then, name == "masqueraded")


CASES = tuple(make_cases())


def client(director, case, port, state):
    """A client of a case, ready to start."""
    kind = Datagrams if case.protocol == "udp" else Connection
    more = () if case.protocol == "udp" else (state,)
    return kind(case.family, (address(director.number, CLIENT_LINK, 2, case.family), port), (director.vip(case.family), case.port), *more)


def warm_up(clients, director, case):
    """Use a path until it works, so that no first packet waits for an address or a program."""
    for port in range(10001, 10100):
        with clients.entered():
            connection = client(director, case, port, "TIME_WAIT")
        run_all([connection])
        connection.end()
        if connection.backend and connection.seconds < 0.5:
            return
    raise EnvironmentError("no way through director %d, %s: %s" % (director.number, case.name, connection.error))


class Measurement(object):
    """One case at one setting."""

    def __init__(self, director, case):
        self.director, self.case = director, case
        first = 20000 + 100 * (case.port - FIRST_SERVICE_PORT)
        self.ports = range(first, first + (2 * PORTS if case.then else PORTS))
        self.first, self.again = {}, {}
        self.ipvs, self.conntrack = {}, {}

    def prepare(self):
        """The clients of the first connections."""
        self.first = {port: client(self.director, self.case, port, self.case.state) for port in self.ports}
        return [self.first[port] for port in self.ports]

    def look(self, ipvs, conntrack):
        """Remember the states of the first connections' entries."""
        keys = {port: (self.case.protocol, self.case.port, port) for port in self.ports}
        self.ipvs = {port: ipvs.get(key) for port, key in keys.items()}
        self.conntrack = {port: conntrack.get(key) for port, key in keys.items()}

    def prepare_again(self):
        """The clients that use the ports again: all, or those whose backend was taken out."""
        ports = [port for port in self.ports if not self.case.then or self.first[port].backend == str(BACKENDS[0])]
        self.again = {port: client(self.director, self.case, port, "TIME_WAIT") for port in ports}
        return [self.again[port] for port in ports]

    def _why_inconclusive(self, delay, backend):
        """A sentence if this measured something else than it should have, else None."""
        failed = ["%s: %s" % (port, first.error) for port, first in sorted(self.first.items()) if first.error]
        if failed:
            return "first connection of port " + failed[0]
        if len(self.again) < PORTS - 1:
            return "only %d of the first connections reached the backend that was taken out" % len(self.again)
        expected = CONNTRACK_STATES[self.case.state] if self.director.setting["conntrack"] == 1 else None
        for side, states, right in (("IPVS", self.ipvs, self.case.state), ("conntrack", self.conntrack, expected)):
            wrong = [state for _port, state in sorted(states.items()) if state != right]
            if wrong:
                return "%d entries of %s were %s, not %s" % (len(wrong), side, wrong[0] or "missing", right or "missing")
        return None if delay and backend else "the ports do not agree"

    def result(self):
        """What is printed of it."""
        rows, delays, backends = [], [], []
        for port, again in sorted(self.again.items()):
            old = self.first[port].backend
            rows.append([port, old, again.seconds and round(again.seconds, 3), again.backend, again.error])
            delays.append(delay_class(again))
            backends.append("none" if again.backend is None else "same" if again.backend == old else "other")
        delay = majority(delays)
        backend = majority(backends)
        if not self.case.then and "other" in backends:
            # Two backends take turns: of connections that are scheduled again some reach the same one.
            backend = "scheduled again"
        reason = self._why_inconclusive(delay, backend)
        entries = sum(1 for state in self.conntrack.values() if state is not None)
        return {"delay": delay, "backend": backend, "inconclusive": reason, "conntrack_entries": entries, "ports": rows}


def delay_class(connection):
    """The class of a time; None for one between the classes."""
    if connection.backend is None:
        return "never"
    return next((word for limit, word in CLASSES if connection.seconds < limit), None)


def majority(words):
    """The word that more than half of them are, or None."""
    return next((word for word in words if word and 2 * words.count(word) > len(words)), None)


def measure(settings):
    """[{setting, cases}] of all settings."""
    clients, backends, directors = build(settings)
    for director in directors:
        director.start(CASES)
    with backends.entered():
        udp = [director.backend(name) for director in directors for name in BACKENDS]
        servers = Backends(BACKEND_PORT, udp)
    for director in directors:
        for family in (4, 6):
            warm_up(clients, director, next(case for case in CASES if case.family == family))

    measurements = {director: [Measurement(director, case) for case in CASES] for director in directors}
    with clients.entered():
        first = [connection for director in directors for measurement in measurements[director] for connection in measurement.prepare()]
    run_all(first)
    time.sleep(SETTLE)
    for connection in first:
        connection.end()
    servers.end()
    for director in directors:
        states = director.ipvs_states(), director.conntrack_states()
        for measurement in measurements[director]:
            measurement.look(*states)
        director.take_out(CASES)
    with clients.entered():
        again = [connection for director in directors for measurement in measurements[director] for connection in measurement.prepare_again()]
    run_all(again)
    for connection in again:
        connection.end()
    return [{"setting": director.setting, "cases": {item.case.name: item.result() for item in measurements[director]}} for director in directors]


def measure_until_clear(settings):
    """The same, with what was inconclusive measured again; and how often."""
    results, left, attempts = {}, list(settings), 0
    while left and attempts < ATTEMPTS:
        attempts += 1
        for result in measure([dict(zip(SYSCTLS, numbers)) for numbers in left]):
            results[tuple(result["setting"][name] for name in SYSCTLS)] = result
        for numbers in left:
            for name, case in sorted(results[numbers]["cases"].items()):
                if case["inconclusive"]:
                    print("attempt %d, %s, %s: %s" % (attempts, numbers, name, case["inconclusive"]), file=sys.stderr)
        left = [numbers for numbers in left if any(case["inconclusive"] for case in results[numbers]["cases"].values())]
    return [results[numbers] for numbers in settings], attempts


def main():
    """Print the JSON."""
    settings = [tuple(int(word) for word in argument.split(",")) for argument in sys.argv[1:]] or SETTINGS
    began = clock()
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    for module in MODULES:
        # What is built into the kernel has no module.
        subprocess.call(["modprobe", "-q", module])
    results, attempts = measure_until_clear(settings)
    kernel = {"release": platform.release(), "version": platform.version(), "python": platform.python_version()}
    print(json.dumps({"kernel": kernel, "seconds": round(clock() - began, 1), "attempts": attempts, "results": results}, sort_keys=True))
    sys.stdout.flush()
    # Without waiting for the threads of the backends.
    os._exit(0)


main()
