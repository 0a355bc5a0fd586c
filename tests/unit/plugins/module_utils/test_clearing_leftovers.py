# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The course of a run: what goes, what stays, and what stops it. The node is made up: services, sets, interfaces, tables and addresses."""

from __future__ import annotations

import errno
import fcntl
import itertools
import socket
import threading

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import ip_addresses, ipset_netlink, iptables_rules, kube_proxy_leftovers, proven_mode
from ansible_collections.kubeproxy.ipvs.plugins.module_utils import owned_services
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.iptables_programs import Found, IptablesError
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ipvs_netlink import Service
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy import empty
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_health import Health
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_leftovers import KubeProxyLeftovers
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.link_netlink import Link
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.netlink import NetlinkError
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_lock import CannotLock, one_at_a_time
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.owned_leftovers import owned_sets, why_unusable
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.leftovers import leftovers

CLUSTER = Service(socket.AF_INET, 6, "10.96.0.1", 443, 0, 0xFFFFFFFF)
CLUSTER6 = Service(socket.AF_INET6, 6, "fd00::1", 443, 0, 128)
NODE_PORT = Service(socket.AF_INET, 17, "10.0.0.17", 30053, 0, 0xFFFFFFFF)
DIRECTOR = Service(socket.AF_INET, 6, "10.103.97.2", 6443, 0, 0xFFFFFFFF)
OWN_ADDRESS = Service(socket.AF_INET, 6, "10.0.0.17", 80, 0, 0xFFFFFFFF)
MARK = Service(socket.AF_INET, None, None, None, 7, 0xFFFFFFFF)
ADDRESSES = [("lo", "127.0.0.1"), ("eth0", "10.0.0.17"), ("kube-ipvs0", "10.96.0.1"), ("kube-ipvs0", "fd00::1")]
NAT = "*nat\n:KUBE-NODE-PORT - [0:0]\n:KUBE-SVC-X - [0:0]\n:KUBE-SERVICES - [0:0]\n-A KUBE-SERVICES -j KUBE-NODE-PORT\nCOMMIT\n"
TABLE = (
    b"TCP  0A600001:01BB rr\n  -> 0A000001:0050 Masq 1 %d 9\nTCP  0A676102:192B rr\n  -> 0A000001:0050 Masq 1 50 0\n"
    b"FWM  00000007 rr\n  -> 0A000001:0050 Masq 1 3 0\n"
)


class Tables:
    """In place of a RuleSet: the text of one table."""

    family, variant, tables = "ipv4", "legacy", ["nat"]

    def __init__(self, node):
        self._node = node

    def removal(self, table, owned, _deadline):
        return iptables_rules.removal(table, iter(self._node.nat.splitlines(True)), owned)

    def has_chain(self, table, rows, _deadline):
        return iptables_rules.has_chain(table, iter(self._node.nat.splitlines(True)), rows)

    def remove(self, table, owned, deadline):
        if self._node.broken == "iptables":
            raise IptablesError("`iptables-restore` failed")
        planned = self.removal(table, owned, deadline)
        for chain in planned.chains:
            self._node.did.append(f"chain {chain}")
        lines = [line for line in self._node.nat.splitlines(True) if line.strip() not in planned.jumps]
        self._node.nat = "".join(line for line in lines if not any(word in planned.chains for word in line.replace(":", " ").split()[:2]))
        return planned


class FakeNode:
    """A node, its kernel and its iptables in one. did: what was removed, in order. broken: what does not work."""

    live = True

    def __init__(self):
        self.table = [CLUSTER, CLUSTER6, NODE_PORT, DIRECTOR, OWN_ADDRESS, MARK]
        self.link = Link("kube-ipvs0", 10, "dummy")
        self.sets = ["KUBE-CLUSTER-IP", "KUBE-NODE-PORT-TCP", "KUBE-OTHER"]
        self.nat = NAT
        self.addresses = list(ADDRESSES)
        self.did, self.broken, self.busy, self.closed, self.active = [], None, 0, False, 2
        self.facts = dict(empty(), pid=7, form="systemd", running=True, network_namespace="host", mode_configured="iptables", mode_effective="iptables")
        self.health = Health(True, "own_listener", "iptables")

    def lines(self, _path):
        return iter((TABLE % self.active).splitlines(True))

    def services(self):
        return list(self.table)

    def delete_service(self, service):
        if self.broken == "services":
            raise NetlinkError("Operation not permitted", errno.EPERM)
        self.table.remove(service)
        self.did.append(f"service {owned_services.endpoint(service)}")
        return True

    def set_names(self):
        return list(self.sets)

    def destroy_set(self, name):
        if self.busy:
            self.busy -= 1
            raise ipset_netlink.Busy
        if self.broken == "sets":
            raise NetlinkError("error 4097", 4097)
        self.sets.remove(name)
        self.did.append(f"set {name}")
        return True

    def find_link(self, name):
        return self.link if self.link and self.link.name == name else None

    def delete_link(self, link):
        if self.broken == "interface":
            raise NetlinkError("Device or resource busy", errno.EBUSY)
        self.link = None
        self.addresses = [pair for pair in self.addresses if pair[0] != link.name]
        self.did.append(f"interface {link.name}")
        return True

    def close(self):
        self.closed = True

    def look(self, _owned, _more_tables, _deadline):
        found = Found()
        found.rule_sets.append(Tables(self))
        return found


@pytest.fixture(name="node")
def node_fixture(monkeypatch):
    """A node in iptables mode with all that IPVS left."""
    node = FakeNode()
    monkeypatch.setattr(owned_services, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(kube_proxy_leftovers, "SET_SECONDS", 0.2)
    monkeypatch.setattr(kube_proxy_leftovers, "SET_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(kube_proxy_leftovers, "same_namespace", lambda *_processes: True)
    monkeypatch.setattr(kube_proxy_leftovers, "node_addresses", lambda _node: node.addresses)
    monkeypatch.setattr("ansible_collections.kubeproxy.ipvs.plugins.module_utils.ipvs_table.node_addresses", lambda _node, _net: node.addresses)
    return node


@pytest.fixture(name="run")
def run_fixture(node, tmp_path):
    """run(check_mode=..., option=...) -> KubeProxyLeftovers that has run."""

    def do(check_mode=False, mode="iptables", **options):
        asked = {"mode": mode, "owned": leftovers(mode), "unproven_mode": False, "exclude_cidrs": [], "drain_seconds": 0, "timeout_seconds": 30, **options}
        one = KubeProxyLeftovers(node, asked, None, node, node, lambda _node: (node.facts, node.health), str(tmp_path / "lock"))
        one.run(check_mode)
        return one

    return do


def things(part):
    """What is in found, removed or remaining."""
    return part["services"], part["interfaces"], [row["chain"] for row in part["chains"]], part["sets"]


ALL = (3, ["kube-ipvs0"], ["KUBE-NODE-PORT"], ["KUBE-CLUSTER-IP", "KUBE-NODE-PORT-TCP"])
NOTHING = (0, [], [], [])


def test_all_goes_in_order_and_a_second_run_changes_nothing(node, run):
    foretold = run(check_mode=True)
    assert node.did == []
    done = run()
    assert done.result["problems"] == []
    assert things(done.result["found"]) == things(done.result["removed"]) == ALL
    assert things(done.result["remaining"]) == NOTHING
    assert done.result["changed"]
    assert node.closed
    assert node.did == [
        "service 10.96.0.1:443",
        "service [fd00::1]:443",
        "service 10.0.0.17:30053",
        "interface kube-ipvs0",
        "chain KUBE-NODE-PORT",
        "set KUBE-CLUSTER-IP",
        "set KUBE-NODE-PORT-TCP",
    ]
    assert node.table == [DIRECTOR, OWN_ADDRESS, MARK]
    assert node.sets == ["KUBE-OTHER"]
    assert "KUBE-SVC-X" in node.nat and "KUBE-NODE-PORT" not in node.nat
    assert done.before.splitlines() == [
        "IPVS service TCP 10.96.0.1:443",
        "IPVS service TCP [fd00::1]:443",
        "IPVS service UDP 10.0.0.17:30053",
        "interface kube-ipvs0",
        "ipv4 legacy nat chain KUBE-NODE-PORT",
        "ipv4 legacy nat rule -A KUBE-SERVICES -j KUBE-NODE-PORT",
        "set KUBE-CLUSTER-IP",
        "set KUBE-NODE-PORT-TCP",
    ]
    assert done.after == ""
    assert (foretold.before, foretold.after) == (done.before, done.after)
    assert foretold.result == done.result
    again = run()
    assert (again.result["changed"], things(again.result["found"]), again.result["problems"]) == (False, NOTHING, [])
    assert run(check_mode=True).result["changed"] is False


def test_services_of_others_are_told(run):
    result = run().result
    assert result["remaining"]["foreign"] == 3
    assert {(entry["protocol"], entry["service"], entry["reason"]) for entry in result["remaining"]["foreign_services"]} == {
        ("TCP", "10.103.97.2:6443", "address_not_local"),
        ("TCP", "10.0.0.17:80", "address_not_kube_ipvs0"),
        ("FWM", "mark 7", "fwmark"),
    }


@pytest.mark.parametrize("check_mode", [False, True])
def test_an_interface_with_an_address_of_an_excluded_service_stays(node, run, check_mode):
    result = run(check_mode=check_mode, exclude_cidrs=["10.96.0.0/16"]).result
    assert (result["problems"], result["changed"]) == ([], True)
    assert things(result["remaining"]) == (0, ["kube-ipvs0"], [], [])
    assert result["kept"] == ["the interface kube-ipvs0 stays, because it has addresses of IPVS services of others: 10.96.0.1:443"]
    assert CLUSTER in node.table
    if not check_mode:
        assert not run(exclude_cidrs=["10.96.0.0/16"]).result["changed"]


def test_an_interface_of_another_kind_stays(node, run):
    node.link = Link("kube-ipvs0", 10, "vxlan")
    result = run().result
    assert result["kept"] == ["the interface kube-ipvs0 is of the kind vxlan, not dummy: it stays"]
    assert node.link


def test_without_addresses_nobody_can_tell(node, run, monkeypatch):
    monkeypatch.setattr("ansible_collections.kubeproxy.ipvs.plugins.module_utils.ipvs_table.node_addresses", lambda _node, _net: None)
    monkeypatch.setattr("ansible_collections.kubeproxy.ipvs.plugins.module_utils.ipvs_table._fib_locals", lambda _node, _net: None)
    result = run().result
    assert len(node.table) == 6
    assert node.link, "its addresses may be those of others"
    assert any("nobody can tell whose these IPVS services are" in sentence for sentence in result["kept"])
    assert {entry["reason"] for entry in result["remaining"]["foreign_services"]} == {"unknown", "fwmark"}


def test_a_chain_that_a_foreign_rule_needs_stays_and_so_does_its_set(node, run):
    node.nat = NAT.replace("COMMIT", "-A DOCKER -j KUBE-NODE-PORT\nCOMMIT")
    node.busy = 10**6
    result = run().result
    assert result["problems"] == []
    assert "the chain KUBE-NODE-PORT of the table nat (ipv4, legacy) stays" in result["kept"][0]
    assert result["kept"][0].endswith("a rule that is not of kube-proxy needs it: -A DOCKER -j KUBE-NODE-PORT")
    assert len(result["kept"]) == 3
    assert things(result["remaining"]) == (0, [], ["KUBE-NODE-PORT"], ["KUBE-CLUSTER-IP", "KUBE-NODE-PORT-TCP"])


def test_going_back_to_ipvs(node, run):
    node.facts["mode_effective"], node.health = "ipvs", Health(True, "own_listener", "ipvs")
    result = run(mode="ipvs").result
    assert things(result["removed"]) == (0, [], ["KUBE-SVC-X"], [])
    assert len(node.table) == 6 and node.link and len(node.sets) == 3


@pytest.mark.parametrize(
    ("broken", "sentence", "left"),
    [
        ("services", "the IPVS service 10.96.0.1:443 cannot be deleted: Operation not permitted", ALL),
        ("interface", "the interface kube-ipvs0 cannot be removed: Device or resource busy", (0, *ALL[1:])),
        ("iptables", "`iptables-restore` failed", (0, [], ["KUBE-NODE-PORT"], [])),
        ("sets", "the set KUBE-CLUSTER-IP cannot be destroyed: error 4097", (0, [], [], ALL[3])),
    ],
)
def test_what_cannot_be_removed_is_told_and_the_next_run_completes_it(node, run, broken, sentence, left):
    node.broken = broken
    result = run().result
    assert sentence in result["problems"]
    assert things(result["remaining"]) == left
    assert result["changed"] is (left != ALL)
    node.broken = None
    result = run().result
    assert (result["problems"], things(result["remaining"])) == ([], NOTHING)


def test_a_set_that_is_in_use_for_a_moment(node, run):
    node.busy = 3
    assert run().result["problems"] == []
    assert node.sets == ["KUBE-OTHER"]


def test_a_set_that_is_in_use(node, run):
    node.busy = 10**6
    result = run().result
    assert result["problems"][0] == "the set KUBE-CLUSTER-IP cannot be destroyed: a rule or another set uses it"
    assert things(result["remaining"]) == (0, [], [], ALL[3])


def test_killed_at_any_moment_the_next_run_completes_it(node, run, monkeypatch):
    """It is stopped at each look at the clock that decides whether it goes on."""
    for steps in itertools.count():
        left = itertools.count(-steps)

        def in_time(_self):
            if next(left) == 0:
                raise KeyboardInterrupt

        monkeypatch.setattr(KubeProxyLeftovers, "_in_time", in_time)
        node.__init__()
        try:
            run()
        except KeyboardInterrupt:
            monkeypatch.setattr(KubeProxyLeftovers, "_in_time", lambda _self: None)
            result = run().result
            assert (result["problems"], things(result["remaining"])) == ([], NOTHING), steps
            assert node.table == [DIRECTOR, OWN_ADDRESS, MARK]
        else:
            break
    assert steps > 7


def test_too_little_time(node, run, monkeypatch):
    node.busy = 10**6
    monkeypatch.setattr(kube_proxy_leftovers, "SET_SECONDS", 60)
    result = run(timeout_seconds=0.3).result
    assert result["problems"][0] == "the set KUBE-CLUSTER-IP cannot be destroyed: a rule or another set uses it"
    assert result["problems"][1].startswith("not done within 0 seconds; the next run goes on from here")
    assert things(result["remaining"]) == (0, [], [], ALL[3])


class TestDrain:
    def test_it_waits_until_connections_have_ended(self, node, run, monkeypatch):
        counts = iter([2, 1, 0])
        monkeypatch.setattr(FakeNode, "lines", lambda self, _path: iter((TABLE % next(counts)).splitlines(True)))
        drained = run(drain_seconds=20).result["drained"]
        assert drained["active_connections_left"] == 0
        assert 0 < drained["seconds"] < 10

    def test_it_waits_no_longer_than_told(self, run):
        drained = run(drain_seconds=0.1).result["drained"]
        assert drained["active_connections_left"] == 2
        assert 0.1 <= drained["seconds"] < 10

    def test_services_of_others_do_not_count(self):
        lines = (TABLE % 2).splitlines(True) + [b"Prot LocalAddress:Port", b"  -> RemoteAddress:Port Forward Weight ActiveConn InActConn", b"TCP", b"\xff \xff"]
        assert owned_services.active_connections(lines, [CLUSTER]) == 2
        assert owned_services.active_connections(lines, [DIRECTOR, MARK]) == 50
        assert owned_services.active_connections(lines, []) == 0
        six = [b"TCP  [fd00:0000:0000:0000:0000:0000:0000:0001]:01BB rr", b"  -> [fd00:0000:0000:0000:0000:0000:0000:0002]:0050 Masq 1 4 0"]
        assert owned_services.active_connections(six, [CLUSTER6]) == 4


class TestMode:
    @pytest.mark.parametrize(
        ("facts", "health", "sentence"),
        [
            ({"form": "none", "pid": None}, None, "there is no kube-proxy on this node"),
            ({"running": False, "pid": None}, None, "kube-proxy does not run"),
            ({"running": None, "pid": None}, None, "the processes of this node cannot be seen without root"),
            ({"network_namespace": "other"}, None, "the kube-proxy of process 7 is not in the network namespace of the host"),
            ({"others": [{"pid": 3, "network_namespace": "host"}]}, Health(True), "there are several kube-proxies on this node, the processes 3, 7"),
            ({"others": [{"pid": 3, "network_namespace": "other"}]}, Health(True, mode="iptables"), None),
            ({}, Health(False, reason="it does not listen on port 10249"), "kube-proxy, process 7, is not healthy: it does not listen on port 10249"),
            ({}, Health(True, mode="ipvs"), "the mode of kube-proxy, process 7, is ipvs, not iptables"),
            ({"mode_effective": "iptables"}, Health(True), None),
            (
                {"mode_effective": None},
                Health(True),
                "the mode of kube-proxy, process 7, cannot be told from the process itself, only from its configuration, which says iptables",
            ),
            ({"mode_effective": None, "mode_configured": None}, Health(True), "the mode of kube-proxy, process 7, cannot be told from the process itself"),
        ],
    )
    def test_why_not(self, node, facts, health, sentence):
        assert proven_mode.why_not({**node.facts, **facts}, health, "iptables", False) == sentence

    def test_what_is_configured_will_do_if_so_told(self, node):
        node.facts["mode_effective"] = None
        assert proven_mode.why_not(node.facts, Health(True), "iptables", True) is None
        assert "is iptables, not ipvs" in proven_mode.why_not(node.facts, Health(True), "ipvs", True)
        node.facts["mode_effective"] = "ipvs"
        assert "is ipvs, not iptables" in proven_mode.why_not(node.facts, Health(True), "iptables", True)

    @pytest.mark.parametrize("check_mode", [False, True])
    def test_nothing_is_removed_in_another_mode(self, node, run, check_mode):
        node.health = Health(True, "own_listener", "ipvs")
        result = run(check_mode=check_mode).result
        assert result["problems"] == ["the mode of kube-proxy, process 7, is ipvs, not iptables: nothing was removed"]
        assert (node.did, result["changed"], things(result["found"])) == ([], False, NOTHING)

    def test_nothing_is_removed_before_the_new_rules_are_there(self, node, run):
        node.nat = NAT.replace("KUBE-SVC-X", "KUBE-X")
        assert run().result["problems"] == ["kube-proxy in the mode iptables has not written its own rules yet: nothing was removed"]
        assert node.did == []

    def test_nothing_is_removed_in_another_network_namespace(self, node, run, monkeypatch):
        monkeypatch.setattr(kube_proxy_leftovers, "same_namespace", lambda *_processes: False)
        assert "Ansible itself is not in the network namespace of the host" in run().result["problems"][0]
        assert node.did == []

    def test_the_kernel_refuses(self, node, run, monkeypatch):
        def refuse(_self):
            raise NetlinkError("Operation not permitted", errno.EPERM)

        monkeypatch.setattr(FakeNode, "services", refuse)
        assert run().result["problems"] == ["the kernel refused: Operation not permitted"]
        assert node.did == []


class TestOwned:
    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"chains": [{"table": "nat", "prefix": "KUB"}]}, "owned: the prefix KUB of chains is shorter than 5 characters"),
            ({"chains": [{"table": "nat", "prefix": ""}]}, "owned: '' is no name of a chain"),
            ({"chains": [{"table": "nat", "name": "A B"}]}, "owned: 'A B' is no name of a chain"),
            ({"sets": {"names": [], "prefixes": [""]}}, "owned: the prefix  of sets is shorter than 5 characters"),
            ({"sets": {"names": ["a/b"], "prefixes": []}}, "owned: 'a/b' is no name of an interface or a set"),
            ({"interfaces": ["eth 0"]}, "owned: 'eth 0' is no name of an interface or a set"),
        ],
    )
    def test_what_is_too_much(self, node, run, changes, sentence):
        owned = {**leftovers("iptables"), **changes}
        assert why_unusable(owned) == sentence
        assert run(owned=owned).result["problems"] == [sentence]
        assert node.did == []

    def test_sets(self):
        names = ["KUBE-CLUSTER-IP", "KUBE-6-X", "OTHER"]
        assert owned_sets(names, {"names": ["OTHER"], "prefixes": ["KUBE-6-"]}) == ["KUBE-6-X", "OTHER"]
        assert owned_sets(names, {}) == []


class TestLock:
    def test_the_second_waits_for_the_first(self, node, run, tmp_path):
        with open(tmp_path / "lock", "w", encoding="utf-8") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            assert run(timeout_seconds=0.3).result["problems"] == ["another run removes leftovers of kube-proxy on this node all the time"]
            assert node.did == []
            assert run(check_mode=True).result["changed"]
            release = threading.Timer(0.3, fcntl.flock, (handle, fcntl.LOCK_UN))
            release.start()
            assert run().result["problems"] == []
            release.join()

    def test_a_link_is_not_followed(self, tmp_path):
        (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(CannotLock, match="lock cannot be written: "):
            with one_at_a_time(str(tmp_path / "lock"), 0, "runs"):
                pass
        assert not (tmp_path / "elsewhere").exists()


def test_addresses_are_listed_as_the_kernel_has_them():
    """What the interface is judged by is the same text as that of its services."""
    assert ip_addresses.parse_endpoint("[fd00:0000:0000:0000:0000:0000:0000:0001]:01BB") == (CLUSTER6.address, CLUSTER6.port)
