# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The IPVS table: which services are kube-proxy's, and tables that are none."""

from __future__ import annotations

import tracemalloc

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ip_addresses import Networks, node_addresses
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ipvs_table import empty, read_table
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles

HEAD = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
ADDRESSES = (
    "1: lo    inet 127.0.0.1/8 scope host lo\n2: eth0    inet 10.0.0.17/24 scope global eth0\n7: kube-ipvs0    inet 10.96.0.1/32 scope global kube-ipvs0\n"
)
FIB = (
    "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.17\n        /32 host LOCAL\n"
    "     |-- 10.96.0.1\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n"
)


def services(*lines):
    """The table with these lines."""
    return {"/proc/net/ip_vs": HEAD + "".join(line + "\n" for line in lines)}


def reasons(table):
    """{service: why it is foreign}."""
    return {entry["service"]: entry["reason"] for entry in table["foreign_services"]}


class TestForeign:
    cluster, node_port, node_service, elsewhere = "TCP  0A600001:01BB rr", "TCP  0A000011:7530 rr", "TCP  0A000011:0050 rr", "TCP  0A676102:192B rr"

    def test_with_interfaces(self, tree):
        table = read_table(tree({**services(self.cluster, self.node_port, self.node_service, self.elsewhere), "/ip_addr": ADDRESSES}))
        assert reasons(table) == {"10.0.0.17:80": "address_not_kube_ipvs0", "10.103.97.2:6443": "address_not_local"}
        assert table["foreign"] == 2

    def test_with_local_addresses_alone(self, tree):
        table = read_table(tree({**services(self.cluster, self.node_port, self.elsewhere), "/proc/net/fib_trie": FIB}))
        assert reasons(table) == {"10.103.97.2:6443": "address_not_local"}
        assert table["foreign"] == 1

    def test_local_but_on_which_interface_is_not_known(self, tree):
        assert read_table(tree({**services(self.cluster), "/proc/net/fib_trie": FIB}))["foreign"] is None

    def test_a_node_port_is_kube_proxys_on_any_interface(self, tree):
        assert read_table(tree({**services(self.node_port), "/proc/net/fib_trie": FIB}))["foreign"] == 0

    @pytest.mark.parametrize(("cidrs", "count"), [(["10.96.0.0/16"], 1), (["10.96.0.1"], 1), (["nonsense", "10.96.0.1/99", "", "fd00::/8"], None)])
    def test_excluded_networks_decide_without_addresses(self, tree, cidrs, count):
        assert read_table(tree(services(self.cluster)), cidrs)["foreign"] == count

    def test_firewall_marks_decide_without_addresses(self, tree):
        table = read_table(tree(services("FWM  00000007 rr", "  -> 0A000001:0000      Route   1      2          3")))
        assert (table["foreign"], reasons(table), table["destinations"]) == (1, {"mark 7": "fwmark"}, 1)

    def test_at_most_twenty_are_named_and_all_are_counted(self, tree):
        table = read_table(tree({**services(*[f"TCP  0A6761{number:02X}:0050 rr" for number in range(100)]), "/ip_addr": ADDRESSES}))
        assert (table["foreign"], len(table["foreign_services"])) == (100, 20)


class TestInterface:
    device = "Inter-|   Receive\n face |bytes\n    lo: 0 0\n{}: 0 0\n"

    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            ({"/proc/net/dev": device.format("kube-ipvs0")}, (True, None)),
            ({"/proc/net/dev": device.format("xkube-ipvs0")}, (False, 0)),
            ({"/proc/net/dev": device.format("eth0"), "/sys/class/net/kube-ipvs0/x": ""}, (False, 0)),
            ({"/sys/class/net/kube-ipvs0/x": ""}, (True, None)),
            ({"/sys/class/net/eth0/x": ""}, (False, 0)),
            ({}, (None, None)),
            ({"/ip_addr": ADDRESSES}, (True, 1)),
        ],
    )
    def test_existence(self, tree, files, expected):
        facts = read_table(tree(files))["kube_ipvs0"]
        assert (facts["exists"], facts["addresses"]) == expected

    def test_another_namespace_does_not_see_the_hosts_interfaces(self, tree):
        files = {"/proc/9/net/dev": self.device.format("eth0"), "/proc/9/net/ip_vs": HEAD, "/sys/class/net/kube-ipvs0/x": ""}
        table = read_table(tree(files), net="/proc/9/net")
        assert (table["state"], table["kube_ipvs0"]["exists"]) == ("present", False)


class TestSenseless:
    def test_one_endless_line(self, tree):
        node = tree({"/proc/net/ip_vs": b"a " * 5000000})
        tracemalloc.start()
        table = read_table(node)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert table["services"] == 0 and table["unparsed_lines"] > 0
        assert peak < 2 * 1024 * 1024

    @pytest.mark.parametrize(
        "line",
        [
            "TCP",
            "TCP  0A600001",
            "TCP  0A600001:zz rr",
            "UDP  [zz]:0050 rr",
            "FWM",
            "FWM zz rr",
            "  ->",
            "  -> 0A600001:0050 Masq 1 2",
            "GRE  0A600001:0050 rr",
        ],
    )
    def test_broken_lines(self, tree, line):
        assert read_table(tree({"/proc/net/ip_vs": HEAD + line + "\n"}))["unparsed_lines"] == 1

    def test_unreadable_has_all_keys(self, tree):
        facts = read_table(tree({"/proc/net/ip_vs/x": ""}))
        assert facts["state"] == "unreadable"
        assert set(facts) == set(empty())
        assert [name for name, value in facts.items() if value is not None and not isinstance(value, (dict, list, str))] == []


def test_own_addresses_of_this_machine():
    listed = node_addresses(NodeFiles("/"))
    assert ("lo", "127.0.0.1") in listed
    assert node_addresses(NodeFiles("/"), "/proc/1/net") is None


@pytest.mark.parametrize(
    ("cidr", "inside", "outside"),
    [
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
        ("0.0.0.0/0", "1.2.3.4", "::1"),
        ("fd00::/64", "fd00::1:2", "fd00:0:0:1::"),
        ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
    ],
)
def test_networks(cidr, inside, outside):
    networks = Networks([cidr, "x/8"])
    assert inside in networks and outside not in networks and "nonsense" not in networks
