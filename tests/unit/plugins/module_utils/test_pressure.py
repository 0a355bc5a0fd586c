# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pressure and counters: the sample, growth over some seconds, and files that are none."""

from __future__ import annotations

import pytest
from node_trees import ipvs_connections

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import counters, pressure
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.counters import read_counters
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.pressure import read_pressure

STATS = (
    "   Total Incoming Outgoing         Incoming         Outgoing\n"
    "   Conns  Packets  Packets            Bytes            Bytes\n"
    "{:8X}        0        0                0                0\n\n"
    " Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n"
    "{:8X}        0        0                0                0\n"
)


def connections(count):
    """/proc/net/ip_vs_conn with COUNT connections."""
    return ipvs_connections("10.0.0.5", "10.96.14.7", 80, count)


class TestSample:
    def test_never_more_than_asked_for(self, tree):
        facts = read_pressure(tree(connections(5000)), conn_bytes=70001)
        assert (facts["sampled_bytes"], facts["sample_complete"]) == (70001, False)

    def test_exactly_the_whole_table(self, tree):
        files = connections(50)
        size = len(files["/proc/net/ip_vs_conn"])
        facts = read_pressure(tree(files), conn_bytes=size)
        assert (facts["sampled_bytes"], facts["sample_complete"], facts["sampled_connections"]) == (size, True, 50)
        assert read_pressure(tree(files), conn_bytes=size - 1)["sampled_connections"] == 49

    def test_ten_busiest(self, tree):
        text = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
        for client in range(1, 31):
            text += f"TCP 0A0000{client:02X} 8000 0A600E07 0050 0AF40107 1F90 ESTABLISHED     119\n" * client
        facts = read_pressure(tree({"/proc/net/ip_vs_conn": text}))
        assert [entry["connections"] for entry in facts["busiest"]] == list(range(30, 20, -1))
        assert (facts["time_wait"], facts["time_wait_share"]) == (0, 0.0)

    @pytest.mark.parametrize("content", [b"", b"\x00\xff" * 1000, b"TCP\n", b"a b c d e f g h i\n"])
    def test_senseless_tables(self, tree, content):
        facts = read_pressure(tree({"/proc/net/ip_vs_conn": content, "/proc/sys/net/ipv4/ip_local_port_range": content, "/proc/net/ip_vs_stats": content}))
        assert facts["sampled_connections"] in (0, 1)
        assert facts["ephemeral_ports"] is None

    def test_an_empty_table(self, tree):
        facts = read_pressure(tree(connections(0)))
        assert (facts["sampled_connections"], facts["time_wait_share"], facts["sample_complete"]) == (0, None, True)


class TestWatch:
    """Growth: the files change while the module sleeps."""

    def watched(self, tree, before, after, monkeypatch):
        node = tree(before)
        node.live = True
        monkeypatch.setattr(type(node), "_resolve", lambda self, path: self.root + path)
        ticks = iter((100.0, 110.0))
        monkeypatch.setattr(pressure, "clock", lambda: next(ticks))

        def sleep(seconds):
            assert seconds == 10
            for path, text in after.items():
                with open(node.root + path, "w", encoding="utf-8") as handle:
                    handle.write(text)

        return read_pressure(node, 10, sleep=sleep)

    def files(self, connections, retransmits, failed):
        return {
            "/proc/net/ip_vs_stats": STATS.format(connections, 0xD2),
            "/proc/net/netstat": f"TcpExt: TCPSynRetrans\nTcpExt: {retransmits}\n",
            "/proc/net/stat/nf_conntrack": f"entries insert_failed drop\n0000000a {failed:08x} 00000001\n",
        }

    def test_rates(self, tree, monkeypatch):
        facts = self.watched(tree, self.files(1000, 5, 1), self.files(3350, 25, 31), monkeypatch)
        assert (facts["connections_per_second"], facts["connections_per_second_estimate"]) == (235.0, 210)
        assert facts["growth"] == {"seconds": 10.0, "tcp_syn_retransmits": 20, "tcp_active_opens": None, "conntrack_insert_failed": 30, "conntrack_drop": 0}

    def test_a_counter_of_32_bits_that_began_again(self, tree, monkeypatch):
        facts = self.watched(tree, self.files(2**32 - 50, 5, 1), self.files(50, 25, 31), monkeypatch)
        assert facts["connections_per_second"] == 10.0

    def test_counters_that_somebody_cleared(self, tree, monkeypatch):
        facts = self.watched(tree, self.files(1000, 500, 100), self.files(10, 0, 0), monkeypatch)
        assert (facts["connections_per_second"], facts["growth"]["tcp_syn_retransmits"], facts["growth"]["conntrack_insert_failed"]) == (None, None, None)

    def test_a_tree_does_not_grow(self, tree):
        facts = read_pressure(tree(self.files(1, 1, 1)), 300, sleep=None)
        assert (facts["sample_seconds"], facts["growth"], facts["connections_per_second"]) == (300, None, None)


class TestCounters:
    @pytest.mark.parametrize(
        "content", [b"", b"\x00\xff\n\xfe", b"TcpExt:\n", b"TcpExt: TCPSynRetrans\n", b"TcpExt: TCPSynRetrans\nTcpExt: x\n", b"entries drop\nzz zz\n"]
    )
    def test_senseless_files(self, tree, content):
        node = tree(
            {
                "/proc/net/netstat": content,
                "/proc/net/snmp": content,
                "/proc/net/stat/nf_conntrack": content,
                "/proc/sys/net/netfilter/nf_conntrack_count": content,
            }
        )
        assert read_counters(node) == counters.empty()

    def test_columns_by_name(self, tree):
        old = "entries searched found new invalid ignore delete delete_list insert insert_failed drop early_drop\n"
        new = "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop\n"
        row = "0000000a 1 2 3 4 5 6 7 8 00000009 0000000a 0000000b\n"
        for head in (old, new):
            facts = read_counters(tree({"/proc/net/stat/nf_conntrack": head + row + row}))
            assert (facts["conntrack_insert_failed"], facts["conntrack_drop"]) == (18, 20)

    def test_another_namespace(self, tree):
        node = tree({"/proc/9/net/netstat": "TcpExt: TCPSynRetrans\nTcpExt: 7\n", "/proc/net/netstat": "TcpExt: TCPSynRetrans\nTcpExt: 8\n"})
        assert read_counters(node, "/proc/9/net")["tcp_syn_retransmits"] == 7


def test_empty_has_all_keys(tree):
    assert set(pressure.empty()) == set(read_pressure(tree({})))
