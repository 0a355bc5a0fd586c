# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the probe asks of the kernel, in the words of the kernel, and what it reads of its answers."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import link_netlink, nfnetlink, probe_conntrack, probe_namespaces, probe_services
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ipvs_netlink import GENL_HEADER, decode_service
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.netlink import HEADER, NetlinkError, attributes, messages, text

ADDRESSES = st.integers(0, 0xFFFFFFFF).map(lambda number: socket.inet_ntoa(struct.pack("!I", number)))
PORTS = st.integers(0, 0xFFFF)


@given(ADDRESSES, PORTS)
def test_a_new_service_is_the_one_that_is_meant(address, port):
    service = probe_services.tcp_service(address, port)
    payload = GENL_HEADER.pack(1, 1, 0) + probe_services.encode_new_service(service)
    assert decode_service(payload) == service
    inner = attributes(attributes(payload[GENL_HEADER.size :])[1])
    assert text(inner[6]) == "rr"
    assert struct.unpack("=II", inner[7]) == (0, 0xFFFFFFFF)
    assert struct.unpack("=I", inner[8]) == (0,)


@given(ADDRESSES, PORTS, st.integers(0, 0xFFFFFFFF))
def test_a_destination(address, port, weight):
    inner = attributes(attributes(probe_services.encode_destination(address, port, weight))[2])
    assert inner[1] == socket.inet_aton(address) + bytes(12)
    assert inner[2] == struct.pack("!H", port)
    assert {kind: struct.unpack("=I", inner[kind])[0] for kind in (3, 4, 5, 6)} == {3: 0, 4: weight, 5: 0, 6: 0}


def test_a_destination_to_be_deleted_has_a_name_only():
    assert sorted(attributes(attributes(probe_services.encode_destination("198.18.20.2", 80))[2])) == [1, 2]


def test_a_pair_of_links():
    payload = probe_namespaces.encode_pair("to0", "clients", 7)
    found = attributes(payload[link_netlink.HEADER.size :])
    assert text(found[3]) == "to0"
    information = attributes(found[18])
    assert text(information[1]) == "veth"
    peer = attributes(attributes(information[2])[1][link_netlink.HEADER.size :])
    assert text(peer[3]) == "clients"
    assert struct.unpack("=I", peer[28]) == (7,)


@given(st.integers(1, 0x7FFFFFFF))
def test_a_link_is_switched_on(index):
    assert link_netlink.HEADER.unpack(probe_namespaces.encode_up(index))[3:] == (index, 1, 1)


@given(ADDRESSES, st.integers(0, 32), st.integers(1, 0x7FFFFFFF))
def test_an_address(address, length, index):
    payload = probe_namespaces.encode_address(address, length, index)
    assert struct.unpack_from("=BBBBI", payload) == (socket.AF_INET, length, 0, 0, index)
    assert attributes(payload[8:]) == {1: socket.inet_aton(address), 2: socket.inet_aton(address)}


@given(ADDRESSES, st.integers(0, 32), ADDRESSES)
def test_a_route(network, length, gateway):
    payload = probe_namespaces.encode_route(network, length, gateway)
    assert payload[:2] == bytes((socket.AF_INET, length))
    assert attributes(payload[12:]) == {1: socket.inet_aton(network), 5: socket.inet_aton(gateway)}


def test_a_rule_that_looks_at_the_state_of_packets():
    parts = list(messages(b"".join(probe_conntrack.encode_batch())))
    assert [kind for kind, _flags, _sequence, _payload in parts] == [16, 10 << 8, 10 << 8 | 3, 10 << 8 | 6, 17]
    assert [sequence for _kind, _flags, sequence, _payload in parts] == [1, 2, 3, 4, 5]
    # Only the rule is acknowledged.
    assert [bool(flags & 4) for _kind, flags, _sequence, _payload in parts] == [False, False, False, True, False]
    assert parts[0][3] == parts[4][3] == struct.pack("=BB", 0, 0) + struct.pack("!H", 10)
    chain, rule = (attributes(part[3][nfnetlink.HEADER_SIZE :]) for part in parts[2:4])
    assert {kind: struct.unpack("!I", data)[0] for kind, data in attributes(chain[4]).items()} == {1: 1, 2: 0}
    assert text(chain[7]) == "filter"
    expression = attributes(attributes(rule[4])[1])
    assert text(expression[1]) == "ct"
    assert attributes(expression[2]) == {1: struct.pack("!I", 1), 2: struct.pack("!I", 0)}


class Answering:
    """In place of a socket: gives what it was told."""

    def __init__(self, answers):
        self.answers, self.sent = iter(answers), []

    def send(self, data):
        self.sent.append(data)

    def recvfrom(self, _size):
        return next(self.answers), (0, 0)

    def close(self):
        pass


def answer(sequence, code):
    return HEADER.pack(HEADER.size + 4, 2, 0, sequence, 0) + struct.pack("=i", code)


def test_the_kernel_takes_the_rule(monkeypatch):
    asked = Answering([answer(4, 0)])
    monkeypatch.setattr(probe_conntrack._Batches, "_open", lambda netlink: setattr(netlink, "_socket", asked) or asked)
    probe_conntrack.ask_by_rule()
    assert asked.sent == [b"".join(probe_conntrack.encode_batch())]


@pytest.mark.parametrize("sequence", [2, 3, 4])
def test_the_kernel_refuses_the_rule(monkeypatch, sequence):
    asked = Answering([answer(sequence, -95)])
    monkeypatch.setattr(probe_conntrack._Batches, "_open", lambda netlink: setattr(netlink, "_socket", asked) or asked)
    with pytest.raises(NetlinkError) as raised:
        probe_conntrack.ask_by_rule()
    assert raised.value.number == 95


IPVS = """Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP C6120A02 4E20 C6121E01 1F41 C6121402 1F90 TIME_WAIT       118
TCP C6120A02 4E21 C6121E01 1F41 C6121403 1F90 FIN_WAIT        118
UDP C6120A02 4E22 C6121E01 1F41 C6121403 1F90 UDP        118
"""
CONNTRACK = (
    "ipv4     2 tcp      6 119 TIME_WAIT src=198.18.10.2 dst=198.18.30.1 sport=20000 dport=8001"
    " src=198.18.20.2 dst=198.18.10.2 sport=8080 dport=20000 [ASSURED] mark=0 use=1\n"
    "ipv4     2 udp      17 29 src=198.18.10.2 dst=198.18.30.1 sport=20001 dport=8001 src=198.18.20.2 dst=198.18.10.2 sport=8080 dport=20001 mark=0 use=1\n"
)


def test_what_ipvs_remembers():
    assert probe_conntrack.ipvs_states(IPVS) == {(8001, 20000): "TIME_WAIT", (8001, 20001): "FIN_WAIT"}
    assert not probe_conntrack.ipvs_states("")


def test_what_conntrack_remembers():
    assert probe_conntrack.conntrack_states(CONNTRACK) == {(8001, 20000): "TIME_WAIT"}
    assert not probe_conntrack.conntrack_states("")
