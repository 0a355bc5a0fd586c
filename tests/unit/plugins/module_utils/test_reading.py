# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel, sysctls, IPVS table, counters and pressure of a node."""

from __future__ import annotations

import gzip
import time
import tracemalloc

import pytest
from node_trees import ipvs_connections, ipvs_sysctls, ipvs_table, kernel

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.counters import read_counters
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ip_addresses import Networks, join_endpoint, parse_endpoint
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ipvs_table import read_table
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kernel import read_kernel
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.pressure import read_pressure
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.sysctl import read_sysctl

WEB = ("TCP", "10.96.14.7", 80)
RELEASE = "4.18.0-348.el8.x86_64"


class TestKernel:
    def test_names(self, tree):
        facts = read_kernel(tree(kernel(RELEASE, "#1 SMP Tue Oct 19 15:14:17 UTC 2021", "rocky", "Rocky Linux 8.5", "8.5")))
        assert (facts["release"], facts["version"], facts["machine"]) == (RELEASE, "#1 SMP Tue Oct 19 15:14:17 UTC 2021", "x86_64")
        assert facts["os_release"] == {"id": "rocky", "version_id": "8.5", "name": "Rocky Linux 8.5", "id_like": None}
        assert facts["version_signature"] is None

    def test_from_proc_version_and_uname(self, tree):
        facts = read_kernel(
            tree({"/proc/version": "Linux version 5.4.0-48-generic (buildd@x) (gcc version 9.3.0) #52-Ubuntu SMP Thu Sep 10 10:58:49 UTC 2020\n"})
        )
        assert (facts["release"], facts["version"]) == ("5.4.0-48-generic", "#52-Ubuntu SMP Thu Sep 10 10:58:49 UTC 2020")

    def test_from_uname_of_a_sosreport(self, tree):
        facts = read_kernel(
            tree({"/sos_commands/kernel/uname_-a": f"Linux node7 {RELEASE} #1 SMP Tue Oct 19 15:14:17 UTC 2021 x86_64 x86_64 x86_64 GNU/Linux\n"})
        )
        assert (facts["release"], facts["machine"]) == (RELEASE, "x86_64")

    def test_red_hat_6_has_no_os_release(self, tree):
        assert read_kernel(tree({"/etc/redhat-release": "CentOS release 6.10 (Final)\n"}))["os_release"]["name"] == "CentOS release 6.10 (Final)"

    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            ({"/proc/modules": "ip_vs 155648 11 ip_vs_rr, Live 0x0\n"}, "loaded"),
            ({"/proc/modules": "ip_vs_rr 1 0 - Live 0x0\n", "/proc/sys/net/ipv4/ip_forward": "1\n"}, "absent"),
            ({"/proc/modules": "", f"/lib/modules/{RELEASE}/modules.builtin": "kernel/net/netfilter/ipvs/ip_vs.ko\n"}, "builtin"),
            ({"/proc/modules": "x 1 0 - Live 0x0\n", "/proc/sys/net/ipv4/vs/conntrack": "1\n"}, "builtin"),
            ({"/sos_commands/kernel/lsmod": "Module Size Used by\nip_vs 155648 11\n"}, "loaded"),
            ({}, None),
        ],
    )
    def test_ip_vs(self, tree, files, expected):
        assert read_kernel(tree({"/proc/sys/kernel/osrelease": RELEASE, **files}))["ip_vs"] == expected

    @pytest.mark.parametrize(
        ("files", "paths"),
        [
            ({"/etc/modules-load.d/k8s.conf": "# x\nip_vs_rr\n"}, ["/etc/modules-load.d/k8s.conf"]),
            ({"/etc/modules": "ip_vs\n"}, ["/etc/modules"]),
            ({"/proc/cmdline": "root=/dev/sda modules-load=br_netfilter,ip_vs quiet\n"}, ["/proc/cmdline"]),
            ({"/etc/modules-load.d/k8s.conf": ("link", "/dev/null"), "/usr/lib/modules-load.d/k8s.conf": "ip_vs\n"}, []),
            ({"/etc/modules-load.d/k8s.conf": "#ip_vs\nip_vsx\n"}, []),
        ],
    )
    def test_loaded_at_boot(self, tree, files, paths):
        assert [entry["path"] for entry in read_kernel(tree(files))["ip_vs_loaded_at_boot"]] == paths

    def test_symbols_are_whole_names(self, tree):
        listing = "0000000000000000 T start\n" * 12000 + (
            "0000000000000000 t expire_nodest_conn_handler\t[ip_vs]\n"
            "0000000000000000 t xip_vs_conn_uses_conntrack\n"
            "0000000000000000 t ip_vs_conn_uses_conntrackx\n"
        )
        facts = read_kernel(tree({"/proc/modules": "ip_vs 1 0 - Live 0x0\n", "/proc/kallsyms": listing}))
        assert facts["symbols"] == ["expire_nodest_conn_handler"]

    def test_symbols_are_not_looked_for_without_ip_vs(self, tree):
        assert read_kernel(tree({"/proc/modules": "x 1 0 - Live 0x0\n", "/proc/kallsyms": "0 t expire_nodest_conn_handler\n"}))["symbols"] is None

    def test_live_patches(self, tree):
        assert read_kernel(tree({"/sys/kernel/livepatch/kpatch_1/enabled": "1\n"}))["live_patches"] == [{"name": "kpatch_1", "enabled": True}]

    def test_changelog_of_a_debian_package(self, tree):
        text = (
            "linux (5.4.0-48.52)\n"
            "  * Focal update: v5.4.59 upstream stable release (LP: #1892417)\n"
            "    - ipvs: allow connection reuse for unconfirmed\n"
            "      conntrack\n"
        )
        files = {
            "/proc/sys/kernel/osrelease": "5.4.0-48-generic",
            "/usr/share/doc/linux-image-5.4.0-48-generic/changelog.Debian.gz": gzip.compress(text.encode()),
        }
        changelog = read_kernel(tree(files), ["changelog"])["changelog"]
        assert changelog["found"]["reuse_without_drop"] == "- ipvs: allow connection reuse for unconfirmed conntrack"
        assert (changelog["found"]["respects_zero_weight"], changelog["entries"]) == (None, 4)

    def test_a_broken_changelog_is_reported(self, tree):
        path = "/usr/share/doc/linux-image-5.4.0-48-generic/changelog.Debian.gz"
        node = tree({"/proc/sys/kernel/osrelease": "5.4.0-48-generic", path: b"not gzip"})
        assert read_kernel(node, ["changelog"])["changelog"] is None
        assert [entry["path"] for entry in node.unreadable] == [path]

    @pytest.mark.parametrize("release", ["../../etc", "..", "a/b", "\x00", "x" * 5000])
    def test_a_senseless_release_leads_nowhere(self, tree, release):
        assert read_kernel(tree({"/proc/sys/kernel/osrelease": release}), ["changelog"])["changelog"] is None


class TestSysctl:
    def test_all_files(self, tree):
        facts = read_sysctl(tree(ipvs_sysctls(0, sync_threshold="3\t50")))
        assert (facts["state"], facts["conn_reuse_mode"], facts["conntrack"], facts["sync_threshold"]) == ("present", 0, 1, "3\t50")
        assert facts["absent"] == ["conn_reuse_old_conntrack"]

    def test_absent_and_unreadable_differ(self, tree):
        node = tree({"/proc/sys/net/ipv4/vs/conntrack": "1\n", "/proc/sys/net/ipv4/vs/expire_nodest_conn/x": ""})
        absent, nothing, broken = read_sysctl(tree({"/proc/sys/net/ipv4/ip_forward": "1\n"})), read_sysctl(tree({})), read_sysctl(node)
        assert (absent["state"], nothing["state"], nothing["absent"]) == ("absent", "unreadable", [])
        assert "conn_reuse_mode" in broken["absent"]

    def test_a_value_that_cannot_be_read_is_not_absent(self, tree):
        node = tree({"/proc/sys/net/ipv4/vs/conntrack": "1\n", "/proc/sys/net/ipv4/vs/conn_reuse_mode": ("link", "conn_reuse_mode")})
        facts = read_sysctl(node)
        assert facts["conn_reuse_mode"] is None and "conn_reuse_mode" not in facts["absent"]
        assert [entry["path"] for entry in node.unreadable] == ["/proc/sys/net/ipv4/vs/conn_reuse_mode"]

    def test_listing_of_a_sosreport(self, tree):
        assert read_sysctl(tree({"/sos_commands/kernel/sysctl_-a": "net.ipv4.vs.conn_reuse_mode = 0\nnet.ipv4.vs.conntrack = 1\n"}))["conn_reuse_mode"] == 0


class TestTable:
    def test_sums_and_the_worst(self, tree):
        destinations = [("10.244.1.7", 8080, 0, 3, 611), ("10.244.1.8", 8080, 0, 0, 0), ("10.244.1.9", 8080, 1, 31, 240)] + [
            ("10.244.2.1", port, 0, 0, port) for port in range(1, 31)
        ]
        table = read_table(tree(ipvs_table({WEB: destinations})))
        assert (table["services"], table["destinations"], table["destinations_weight_zero"], table["active_connections"]) == (1, 33, 32, 34)
        assert (table["stuck"], table["stuck_connections"], len(table["stuck_worst"])) == (31, 614 + sum(range(1, 31)), 20)
        assert table["stuck_worst"][0] == {"protocol": "TCP", "service": "10.96.14.7:80", "destination": "10.244.1.7:8080", "active": 3, "inactive": 611}
        assert table["kube_ipvs0"] == {"exists": True, "addresses": 1, "ipv4": 1, "ipv6": 0}
        assert (table["foreign"], table["unparsed_lines"]) == (0, 0)

    # As user-mode-linux 6.1.176 prints it.
    real = (
        "IP Virtual Server version 1.2.1 (size=4096)\n"
        "Prot LocalAddress:Port Scheduler Flags\n"
        "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
        "TCP  [fd00:0096:0000:0000:0000:0000:0000:0001]:0050 rr \n"
        "  -> [0000:0000:0000:0000:0000:0000:0000:0001]:1F90      Masq    1      0          0         \n"
        "TCP  0A600001:01BB rr  \n"
        "  -> C0A80705:192C      Masq    0      0          4         \n"
        "TCP  C0A80705:7918 rr  \n"
        "TCP  C0A80705:0050 rr  \n"
        "TCP  0A676102:192B rr  \n"
        "UDP  0A60000A:0035 rr  persistent 1080000 FFFFFFFF\n"
        "FWM  00000007 rr \n"
    )
    addresses = (
        "1: lo    inet 127.0.0.1/8 scope host lo\n"
        "2: eth9    inet 192.168.7.5/24 scope global eth9\n"
        "3: kube-ipvs0    inet 10.96.0.1/32 scope global kube-ipvs0\n"
        "3: kube-ipvs0    inet 10.96.0.10/32 scope global kube-ipvs0\n"
        "3: kube-ipvs0    inet6 fd00:96::1/128 scope global\n"
    )

    def test_all_kinds_of_lines(self, tree):
        table = read_table(tree({"/proc/net/ip_vs": self.real, "/ip_addr": self.addresses}))
        assert table["services_by_kind"] == {"ipv4": 5, "ipv6": 1, "fwmark": 1}
        assert [(entry["service"], entry["reason"]) for entry in table["foreign_services"]] == [
            ("192.168.7.5:80", "address_not_kube_ipvs0"),
            ("10.103.97.2:6443", "address_not_local"),
            ("mark 7", "fwmark"),
        ]
        assert table["kube_ipvs0"]["ipv6"] == 1

    def test_excluded_addresses_are_foreign(self, tree):
        table = read_table(tree({"/proc/net/ip_vs": self.real, "/ip_addr": self.addresses}), ["10.96.0.0/30", "fd00:96::/64"])
        assert [entry["reason"] for entry in table["foreign_services"]].count("excluded_cidr") == 2

    def test_without_addresses_it_cannot_be_told(self, tree):
        lines = "TCP  0A600001:01BB rr  \n"
        assert read_table(tree({"/proc/net/ip_vs": lines}))["foreign"] is None

    def test_senseless_bytes_are_counted(self, tree):
        data = b"\x00\xff\n->\n  -> x\nTCP zz rr\n-> 0A600001:0050 Masq a b c\n" + self.real.encode()
        table = read_table(tree({"/proc/net/ip_vs": data, "/ip_addr": self.addresses}))
        assert (table["unparsed_lines"], table["services"]) == (5, 7)

    def test_absent_is_zero_and_unreadable_is_not_known(self, tree):
        assert (read_table(tree({"/proc/net/dev": ""}))["state"], read_table(tree({"/proc/net/dev": ""}))["services"]) == ("absent", 0)
        assert (read_table(tree({}))["state"], read_table(tree({}))["services"]) == ("unreadable", None)
        node = tree({"/proc/net/ip_vs/a": "a directory"})
        assert (read_table(node)["state"], read_table(node)["services"], len(node.unreadable)) == ("unreadable", None, 1)

    def test_fifty_megabytes_in_little_memory(self, tmp_path, tree):
        node = tree({"/proc/net/ip_vs": ""})
        line = b"  -> C0A80001:1F90      Masq    0      3          7         \n"
        with open(node.root + "/proc/net/ip_vs", "wb") as handle:
            for number in range(1000):
                handle.write(b"TCP  0A60%04X:0050 rr  \n" % number + line * 900)
        tracemalloc.start()
        began = time.time()
        table = read_table(node)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (table["destinations"], table["stuck"], len(table["stuck_worst"])) == (900000, 900000, 20)
        assert peak < 4 * 1024 * 1024
        assert time.time() - began < 120


class TestPressure:
    def test_pairs(self, tree):
        facts = read_pressure(tree({**ipvs_connections("10.0.0.5", "10.96.14.7", 80, 300), "/proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n"}))
        assert facts["ephemeral_ports"] == {"first": 32768, "last": 60999, "count": 28232}
        assert (facts["sampled_connections"], facts["time_wait_share"], facts["sample_complete"]) == (300, 1.0, True)
        assert facts["busiest"] == [{"client": "10.0.0.5", "service": "10.96.14.7:80", "protocol": "TCP", "connections": 300, "time_wait": 300}]

    def test_the_sample_is_capped_and_its_cut_line_dropped(self, tree):
        facts = read_pressure(tree(ipvs_connections("10.0.0.5", "10.96.14.7", 80, 5000)), conn_bytes=1000)
        assert facts["sample_complete"] is False
        assert 0 < facts["sampled_connections"] < 5000

    def test_ipv6_and_estimator(self, tree):
        lines = (
            "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
            "TCP fd00:0096:0000:0000:0000:0000:0000:0002 A37A fd00:0096:0000:0000:0000:0000:0000:0001 0050 "
            "0000:0000:0000:0000:0000:0000:0000:0001 1F90 ESTABLISHED     899\n"
        )
        stats = (
            "   Total Incoming Outgoing         Incoming         Outgoing\n"
            "   Conns  Packets  Packets            Bytes            Bytes\n"
            "      1F       A0        0             1000                0\n"
            "\n"
            " Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n"
            "      D2        1        0               1A                0\n"
        )
        facts = read_pressure(tree({"/proc/net/ip_vs_conn": lines, "/proc/net/ip_vs_stats": stats}))
        assert facts["busiest"][0] == {"client": "fd00:96::2", "service": "[fd00:96::1]:80", "protocol": "TCP", "connections": 1, "time_wait": 0}
        assert facts["connections_per_second_estimate"] == 210

    def test_nothing_there(self, tree):
        facts = read_pressure(tree({}))
        assert (facts["sampled_connections"], facts["busiest"], facts["ephemeral_ports"]) == (None, [], None)


def test_counters(tree):
    files = {
        "/proc/net/netstat": "TcpExt: SyncookiesSent TCPSynRetrans\nTcpExt: 0 12\nIpExt: A\nIpExt: 1\n",
        "/proc/net/snmp": "Tcp: RtoAlgorithm ActiveOpens\nTcp: 1 100000\n",
        "/proc/net/stat/nf_conntrack": "entries  searched insert_failed drop\n0000000a 00000000 00000010 00000001\n0000000a 00000000 00000001 00000000\n",
        "/proc/sys/net/netfilter/nf_conntrack_count": "2000\n",
    }
    assert read_counters(tree(files)) == {
        "tcp_syn_retransmits": 12,
        "tcp_active_opens": 100000,
        "conntrack_insert_failed": 17,
        "conntrack_drop": 1,
        "conntrack_count": 2000,
        "conntrack_max": None,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0A600001:01BB", ("10.96.0.1", 443)),
        ("[fd00:0096:0000:0000:0000:0000:0000:0001]:0050", ("fd00:96::1", 80)),
        ("x:1", None),
        ("0A600001", None),
        ("0A600001:zz", None),
    ],
)
def test_endpoints(text, expected):
    assert parse_endpoint(text) == expected


@pytest.mark.parametrize(
    ("address", "cidr", "expected"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("fd00::1", "fd00::/64", True),
        ("fd00::1", "10.0.0.0/8", False),
        ("10.1.2.3", "0.0.0.0/0", True),
        ("10.1.2.3", "nonsense", False),
    ],
)
def test_cidr(address, cidr, expected):
    assert (address in Networks([cidr])) is expected


def test_join():
    assert (join_endpoint("::1", 80), join_endpoint("10.0.0.1", 80)) == ("[::1]:80", "10.0.0.1:80")
