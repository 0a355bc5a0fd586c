# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a node is under the load that a bad value hurts: many short connections of one client to one service.

IPVS keeps a closed connection in TIME_WAIT for 120 seconds (Linux net/netfilter/ipvs/ip_vs_proto_tcp.c), so a client with N
source ports can open N/120 connections per second to one address before it must use a port again that IPVS still remembers.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import NodeFacts, mapping, number, sequence, text

TIME_WAIT_SECONDS = 120
# Linux net/ipv4/tcp_ipv4.c: 32768 to 60999.
DEFAULT_PORTS = 28232
# Ports are drawn, not counted through: reuse shows well before the range is used up.
NEAR = 0.25

NONE, SOME, REACHED = "none", "some", "reached"


@dataclass(frozen=True)
class Load:
    """The busiest client/service pair of a node. rate and threshold are connections per second."""

    level: str
    client: str
    service: str
    rate: int
    threshold: int


def measure(facts: NodeFacts) -> Load | None:
    """The load of the busiest pair as the sampled connection table shows it, or None if nothing was sampled."""
    pressure, table = facts.part("pressure"), facts.part("table")
    pairs = [mapping(pair) for pair in sequence(pressure.get("busiest"))]
    sampled = number(pressure.get("sampled_connections"))
    if sampled is None or (sampled > 0 and not pairs):
        return None
    ports = number(mapping(pressure.get("ephemeral_ports")).get("count"))
    threshold = max((ports if ports and ports > 0 else DEFAULT_PORTS) // TIME_WAIT_SECONDS, 1)
    if not pairs:
        return Load(NONE, "", "", 0, threshold)
    busiest = max(pairs, key=lambda pair: number(pair.get("time_wait")) or 0)
    waiting = max(number(busiest.get("time_wait")) or 0, 0)
    total = (number(table.get("active_connections")) or 0) + (number(table.get("inactive_connections")) or 0)
    scale = total / sampled if pressure.get("sample_complete") is False and 0 < sampled < total else 1
    rate = int(waiting * scale / TIME_WAIT_SECONDS)
    level = REACHED if rate >= threshold else SOME if rate >= threshold * NEAR else NONE
    return Load(level, text(busiest.get("client")) or "a client", text(busiest.get("service")) or "a service", rate, threshold)
