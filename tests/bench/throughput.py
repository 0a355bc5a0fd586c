# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections a second through a Service on nodes of the lab: with either value, repaired, and in iptables mode.

Twice: from ports that nobody used before, as most clients connect, and as a busy client behind one address does, whose source ports come round.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
import statistics

from comparison import Row, in_turn
from lab_nodes import node, on, playbook
from lab_tests import lab, wait_until

# Those whose kernels differ.
NODES = tuple(os.environ.get("THROUGHPUT_NODES", "fixed-below-5-9 fixed-above-5-9 fixed-5-10 unfixed-unknown unfixed").split())
ADDRESS = "10.96.0.77"
LOAD = pathlib.Path(__file__).with_name("load.py")
# How a client connects. New ports are enough for all connections of a node, so that none of them is used again.
NEW, AGAIN = "new ports", "the same ports again and again"
PATTERNS = (NEW, AGAIN)
FIRST_NEW, LAST_NEW, FIRST_AGAIN = 10000, 60000, 61000
PORTS, COUNT = 60, 1200
# Where each connection from a port that was used costs a second, fewer are enough.
SLOW_PORTS, SLOW_COUNT = 4, 12
VALUE = "/proc/sys/net/ipv4/vs/conn_reuse_mode"


class Client:
    """A client on a node."""

    def __init__(self, name: str):
        self._name = name
        self._next_new = FIRST_NEW
        # The kernel drops the first packet of a connection from a port that was used.
        self.unfixed = name.startswith("unfixed")

    def _connect(self, first: int, ports: int, count: int) -> float:
        """Connections a second; all must have been answered."""
        text = on(self._name, f"ip netns exec client-1 lab-python - {ADDRESS} 80 {first} {ports} {count}", given=LOAD.read_bytes())
        given = json.loads(text)
        if given["errors"]:
            raise RuntimeError(f"{self._name}: connections failed: {given['errors'][0]}")
        return count / given["seconds"]

    def now(self, pattern: str) -> float:
        """Connections a second as the node is."""
        if pattern == AGAIN:
            return self._connect(FIRST_AGAIN, PORTS, COUNT)
        first, self._next_new = self._next_new, self._next_new + COUNT
        if self._next_new > LAST_NEW:
            raise RuntimeError(f"{self._name}: all new ports have been used")
        return self._connect(first, COUNT, COUNT)

    def with_value(self, value: int, pattern: str) -> float:
        """The same with a value of conn_reuse_mode."""
        on(self._name, f"echo {value} >{VALUE}")
        if self.unfixed and value == 1 and pattern == AGAIN:
            return self._connect(FIRST_AGAIN, SLOW_PORTS, SLOW_COUNT)
        return self.now(pattern)


def _medians(ways: dict) -> dict[str, dict[str, float]]:
    """{pattern: {state: connections a second}} of {state: function of a pattern}, in turn; a first round of each warms the node."""
    found = {}
    for pattern in PATTERNS:
        for way in ways.values():
            way(pattern)
        given = in_turn(*(functools.partial(way, pattern) for way in ways.values()))
        found[pattern] = dict(zip(ways, map(statistics.median, given)))
    return found


def _of_node(name: str) -> dict[str, dict[str, float]]:
    """{pattern: {state: connections a second}}, the state after remediation the last."""
    switch = {"remediate_unfixed": "switch_mode", "audit_capabilities": {"reuse_without_drop": "no", "respects_zero_weight": "no"}}
    client = Client(name)
    with node(name):
        lab("service", "shop", ADDRESS)
        wait_until(lambda: f"{ADDRESS}:80 " in on(name, "ipvsadm -Ln"), "the Service")
        as_found = int(on(name, f"cat {VALUE}"))
        states = {f"IPVS with {value}{', as found' * (value == as_found)}": functools.partial(client.with_value, value) for value in (0, 1)}
        measured = [_medians(states)]
        on(name, f"echo {as_found} >{VALUE}")
        if client.unfixed:
            # The kernel's name is not known to anybody: the owner says what the lab knows of it.
            playbook(name, "remediate", **switch)
            measured.append(_medians({"after remediation, in iptables mode": client.now}))
        else:
            playbook(name, "remediate")
            repaired = _medians({"after remediation": client.now})
            playbook(name, "rollback")
            playbook(name, "remediate", **switch)
            wait_until(lambda: f"{ADDRESS}:80 " not in on(name, "ipvsadm -Ln"), "iptables mode")
            measured += [_medians({"iptables": client.now}), repaired]
    return {pattern: {state: rate for found in measured for state, rate in found[pattern].items()} for pattern in PATTERNS}


def measure() -> list[Row]:
    """Row 8, two lines for each kernel."""
    rows = []
    for name in NODES:
        for pattern, found in _of_node(name).items():
            best = max(found, key=found.get)
            share = list(found.values())[-1] / found[best]
            figure = f"{share:.2f} × ({', '.join(f'{state} {rate:.0f}/s' for state, rate in found.items())})"
            what = f"connections a second through a Service, {name}, {pattern}"
            rows.append(Row("8", what, f"the best of all: {best}", "≥ 0.95 × after", figure, share >= 0.95))
    return rows
