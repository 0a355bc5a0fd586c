# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections a second through a Service on nodes of the lab: with either value, repaired, and in iptables mode.

One client uses its source ports again and again, as a busy client behind one address does.
"""

from __future__ import annotations

import json
import os
import pathlib
import statistics

from comparison import REPEATS, Row, in_turn
from lab_nodes import node, on, playbook
from lab_tests import lab, wait_until

# Those whose kernels differ.
NODES = tuple(os.environ.get("THROUGHPUT_NODES", "fixed-below-5-9 fixed-above-5-9 fixed-5-10 unfixed-unknown unfixed").split())
ADDRESS = "10.96.0.77"
LOAD = pathlib.Path(__file__).with_name("load.py")
FIRST_PORT = 30000
PORTS, COUNT = 60, 1200
# Where each connection from a port that was used costs a second, fewer are enough.
SLOW_PORTS, SLOW_COUNT = 4, 12
VALUE = "/proc/sys/net/ipv4/vs/conn_reuse_mode"


def _rate(name: str, ports: int = PORTS, count: int = COUNT) -> float:
    """Connections a second; all must have been answered."""
    text = on(name, f"ip netns exec client-1 lab-python - {ADDRESS} 80 {FIRST_PORT} {ports} {count}", given=LOAD.read_bytes())
    given = json.loads(text)
    if given["errors"]:
        raise RuntimeError(f"{name}: connections failed: {given['errors'][0]}")
    return count / given["seconds"]


def _with(name: str, value: int, slow: bool) -> float:
    on(name, f"echo {value} >{VALUE}")
    return _rate(name, SLOW_PORTS, SLOW_COUNT) if slow else _rate(name)


def _of_node(name: str) -> dict[str, float]:
    """{state: connections a second}."""
    unfixed = name.startswith("unfixed")
    with node(name):
        lab("service", "shop", ADDRESS)
        wait_until(lambda: f"{ADDRESS}:80 " in on(name, "ipvsadm -Ln"), "the Service")
        as_found = int(on(name, f"cat {VALUE}"))
        _with(name, 0, False)
        zero, one = in_turn(lambda: _with(name, 0, False), lambda: _with(name, 1, unfixed))
        found = {f"IPVS with {value}{', as found' * (value == as_found)}": statistics.median(rates) for value, rates in enumerate((zero, one))}
        on(name, f"echo {as_found} >{VALUE}")
        # On these nodes the kernel's name is not known to anybody: the owner says what the lab knows of it.
        words = {"remediate_unfixed": "switch_mode", "audit_capabilities": {"reuse_without_drop": "no"}} if unfixed else {}
        playbook(name, "remediate", **words)
        found["after remediation"] = statistics.median(_rate(name) for _repeat in range(REPEATS))
        if not unfixed:
            playbook(name, "rollback")
            playbook(name, "remediate", remediate_unfixed="switch_mode", audit_capabilities={"reuse_without_drop": "no", "respects_zero_weight": "no"})
            wait_until(lambda: f"{ADDRESS}:80 " not in on(name, "ipvsadm -Ln"), "iptables mode")
            found["iptables"] = statistics.median(_rate(name) for _repeat in range(REPEATS))
    return found


def measure() -> list[Row]:
    """Row 8, a line for each kernel."""
    rows = []
    for name in NODES:
        found = _of_node(name)
        best = max(found, key=found.get)
        share = found["after remediation"] / found[best]
        figure = f"{share:.2f} × ({', '.join(f'{state} {rate:.0f}/s' for state, rate in found.items())})"
        rows.append(Row("8", f"connections a second through a Service, {name}", f"the best of all: {best}", "≥ 0.95 × after", figure, share >= 0.95))
    return rows
