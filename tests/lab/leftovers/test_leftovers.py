# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What IPVS leaves on a node when kube-proxy leaves IPVS, what that does to clients, and its removal, there and back, beside what others have there."""

from __future__ import annotations

import time

import pytest

from leftovers_tools import Node, drop_service, put_backends, put_service
from lab_tests import run_folder, say, wait_until

SHOP, EMPTY, GONE = "10.96.0.80", "10.96.0.81", "10.96.0.82"
BACKENDS = ["10.244.1.2", "10.244.2.2"]
NODE_PORT = 30080
# Chains as other programs have them, with what is hard to quote; one with counters, and in the nft variant too.
FOREIGN = r"""
set -e
for program in "iptables-legacy -w 20" "ip6tables-legacy -w 20" iptables-nft; do
    $program -N cali-INPUT
    $program -A INPUT -m comment --comment 'cali:Cz_u1IQiXIMmKD4c' -j cali-INPUT
    $program -A cali-INPUT -m comment --comment "it's \"odd\" \\ -j KUBE-NODE-PORT" -p tcp --dport 1 -j RETURN -c 7 700
    $program -A cali-INPUT -m comment --comment '-j' -p tcp --dport 2 -j ACCEPT
    $program -A cali-INPUT -p udp --dport 3 -j LOG --log-prefix 'a "KUBE" b: '
done
iptables-legacy -w 20 -t nat -N DOCKER
iptables-legacy -w 20 -t nat -A PREROUTING -m addrtype --dst-type LOCAL -p tcp --dport 4 -j DOCKER
iptables-legacy -w 20 -t nat -A DOCKER -p tcp --dport 4 -j DNAT --to-destination 172.17.0.2:80 -c 3 180
ipset create KUBE-OTHER hash:ip
ipset create KUBE-CLUSTER-IP-OF-OTHERS hash:ip
"""
NOTHING_FOREIGN = r"""
for program in "iptables-legacy -w 20" "ip6tables-legacy -w 20" iptables-nft; do
    $program -D INPUT -m comment --comment 'cali:Cz_u1IQiXIMmKD4c' -j cali-INPUT
    $program -F cali-INPUT
    $program -X cali-INPUT
done
iptables-legacy -w 20 -t nat -D PREROUTING -m addrtype --dst-type LOCAL -p tcp --dport 4 -j DOCKER
iptables-legacy -w 20 -t nat -F DOCKER
iptables-legacy -w 20 -t nat -X DOCKER
iptables-nft -t nat -F
iptables-nft -t nat -X
ip6tables-legacy -w 20 -D INPUT -m comment --comment 'kubernetes health check rules' -j KUBE-NODE-PORT
ip6tables-legacy -w 20 -X KUBE-NODE-PORT
ipset destroy KUBE-6-CLUSTER-IP
ipset destroy KUBE-OTHER
ipset destroy KUBE-CLUSTER-IP-OF-OTHERS
ipvsadm -D -t 10.103.97.2:6443
ipvsadm -D -f 7
true
"""
# Not before kube-proxy has left IPVS: in this mode it deletes what is not its own.
SERVICES = """
set -e
ipvsadm -A -t 10.103.97.2:6443 -s rr
ipvsadm -a -t 10.103.97.2:6443 -r 10.244.1.2:8080 -m
ipvsadm -A -f 7 -s rr
"""
# What a newer kube-proxy, or one with IPv6, or one in a container with the other variant of iptables, leaves too.
MORE = r"""
set -e
ip6tables-legacy -w 20 -N KUBE-NODE-PORT
ip6tables-legacy -w 20 -A INPUT -m comment --comment 'kubernetes health check rules' -j KUBE-NODE-PORT
iptables-nft -t nat -N KUBE-SERVICES
iptables-nft -t nat -N KUBE-NODE-PORT
iptables-nft -t nat -A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT
iptables-nft -t nat -A KUBE-NODE-PORT -p tcp -m set --match-set KUBE-NODE-PORT-TCP dst -j RETURN
ipset create KUBE-6-CLUSTER-IP hash:ip,port family inet6
ip -6 address add fd00::1/128 dev kube-ipvs0
ipvsadm -A -t '[fd00::1]:80' -s rr
"""
# As a large cluster has them.
MANY = """
set -e
for a in $(seq 1 12); do for b in $(seq 1 250); do echo "address add 10.97.$a.$b/32 dev kube-ipvs0"; done; done | ip -batch -
for a in $(seq 1 12); do for b in $(seq 1 250); do echo "-A -t 10.97.$a.$b:80 -s rr"; echo "-a -t 10.97.$a.$b:80 -r 10.244.1.2:8080 -m"; done; done | ipvsadm -R
"""


@pytest.fixture(name="node", scope="module", params=["unfixed", "unfixed-unknown"])
def node_fixture(request):
    """A node in IPVS mode, with Services."""
    with run_folder("leftovers") as folder:
        node = Node(request.param, request.param == "unfixed", folder)
        for name, address in (("empty", EMPTY), ("gone", GONE)):
            put_service(name, address, BACKENDS)
        put_service("shop", SHOP, BACKENDS, type="NodePort", node_port=NODE_PORT)
        if node.mode() != "ipvs":
            # After a run that was cut off.
            node.switch("ipvs")
            node.module("ipvs")
        node.run(NOTHING_FOREIGN)
        node.run(FOREIGN)
        yield node
        for name in ("shop", "empty", "gone"):
            drop_service(name)
        node.run(NOTHING_FOREIGN)


def foreign(node):
    """What others have, with the counters of rules that no packet meets."""
    rules = [line for program in ("iptables-legacy-save", "ip6tables-legacy-save", "iptables-nft-save") for line in node.run(f"{program} -c").splitlines()]
    table = node.run("ipvsadm -Sn | grep -e 10.103 -e -f", check=False).splitlines()
    rules = [line.partition("] ")[2] if " -A INPUT " in line else line for line in rules]
    return [line for line in rules if "cali" in line or "DOCKER" in line] + table + node.run("ipset list -n | grep OTHER").splitlines()


def tell(node, when, address=None):
    """What clients see."""
    seen = {name: node.probe(address, 80) for name, address in (("shop", SHOP), ("without endpoints", EMPTY), ("deleted", GONE))}
    seen["deleted, from the node"] = node.probe(GONE, 80, "node")
    seen["deleted, port 22"] = node.probe(GONE, 22)
    seen["NodePort"] = node.probe(node.run("hostname -I").split()[0], NODE_PORT)
    say(f"{node.name}, {when}: " + ", ".join(f"{name}: {what}" for name, what in seen.items()))
    return seen


def test_there_and_back(node):
    wait_until(lambda: f"{GONE}:80 " in node.run("ipvsadm -Ln") and f":{NODE_PORT} " in node.run("ipvsadm -Ln"), "the Services are there")
    seen = tell(node, "IPVS")
    assert seen["shop"].startswith("backend") and seen["deleted"].startswith("backend")
    refused = node.module("iptables")
    assert refused["failed"] and refused["msg"].endswith("is ipvs, not iptables: nothing was removed"), refused["msg"]

    with node.held(SHOP, 80) as state:
        node.switch("iptables")
        drop_service("gone")
        put_backends("empty", [])
        wait_until(lambda: "KUBE-SEP-" in node.run("iptables-legacy-save -t nat"), "the rules for Services are there")
        wait_until(lambda: EMPTY in node.run("iptables-legacy-save -t filter"), "the rule for the Service without endpoints is there")
        node.run(SERVICES + MORE)
        others = foreign(node)
        assert len(others) > 14
        before = node.rules()
        say(f"{node.name}, a connection made before, after the change: {state()}")
        seen = tell(node, "iptables, nothing cleared")
        say(f"{node.name}, left: {node.run('ipvsadm -Ln | grep -c rr')} services, {node.run('ip -o address show kube-ipvs0 | wc -l')} addresses, "
            f"{node.run('ipset list -n | grep -c ^KUBE-')} sets")
        assert seen["deleted"].startswith("backend")
        node.run(MANY)

        foreseen = node.module("iptables", check=True)
        assert foreseen["changed"] and not foreseen.get("failed"), foreseen
        assert node.rules() == before
        began = time.monotonic()
        result = node.module("iptables", drain_seconds=2)
        counts = {name: result["found"][name] for name in ("services", "foreign", "interfaces", "chain_count")}
        say(f"{node.name}, cleared in {time.monotonic() - began:.1f} s, drained: {result['drained']}, found: {counts}, {len(result['found']['sets'])} sets")
        assert not result.get("failed"), result["msg"]
        assert result["removed"]["services"] > 3000
        assert result["removed"] == foreseen["removed"] and result["remaining"] == foreseen["remaining"]
        assert result["diff"] == foreseen["diff"]
        assert result["drained"]["active_connections_left"] == 1
        say(f"{node.name}, a connection made before, after the clearing: {state()}")
    places = {(row["table"], row["chain"], row["family"], row["variant"]) for row in result["removed"]["chains"]}
    assert places >= {("nat", "KUBE-NODE-PORT", "ipv4", "legacy"), ("nat", "KUBE-NODE-PORT", "ipv4", "nft"), ("filter", "KUBE-NODE-PORT", "ipv6", "legacy")}
    assert result["remaining"]["foreign_services"] == [
        {"protocol": "TCP", "service": "10.103.97.2:6443", "reason": "address_not_local"}, {"protocol": "FWM", "service": "mark 7", "reason": "fwmark"}]
    assert [result["remaining"][key] for key in ("services", "interfaces", "chains", "sets")] == [0, [], [], []]
    assert foreign(node) == others
    after = node.rules()
    gone = ("KUBE-NODE-PORT ", "KUBE-LOAD-BALANCER ", "KUBE-FIREWALL ")
    assert after == [line for line in before if not line.startswith(tuple(start + chain for start in (":", "-A ") for chain in gone))]
    assert set(node.run("ipset list -n").split()) == {"KUBE-OTHER", "KUBE-CLUSTER-IP-OF-OTHERS"}
    seen = tell(node, "iptables, cleared")
    assert seen["shop"].startswith("backend") and seen["NodePort"].startswith("backend")
    assert not seen["deleted"].startswith("backend") and seen["without endpoints"] == "ECONNREFUSED"
    again = node.module("iptables")
    assert not again["changed"] and again["removed"]["chains"] == [] and not again.get("failed")

    node.switch("ipvs")
    wait_until(lambda: f"{SHOP}:80 " in node.run("ipvsadm -Ln"), "the Services are back")
    # It writes its rules after its services.
    wait_until(lambda: any("--match-set KUBE-CLUSTER-IP" in line for line in node.rules()), "its rules are back")
    before = node.rules()
    say(f"{node.name}, back in IPVS, nothing cleared: without endpoints: {node.probe(EMPTY, 80)}, shop: {node.probe(SHOP, 80)}")
    result = node.module("ipvs")
    assert result["changed"] and not result.get("failed"), result
    named = {(row["table"], row["chain"]) for row in result["removed"]["chains"]}
    left = sorted({(table, chain[:9] if chain.startswith(("KUBE-SVC", "KUBE-SEP")) else chain) for table, chain in named})
    say(f"{node.name}, left of iptables: {', '.join(' '.join(place) for place in left)}")
    after = node.rules()
    assert [line for line in after if line in before] == after
    assert not any(word in line for line in after for word in ("KUBE-SVC", "KUBE-SEP", "KUBE-EXTERNAL", "KUBE-PROXY-CANARY", "KUBE-NODEPORTS"))
    assert any("--match-set KUBE-CLUSTER-IP" in line for line in after)
    assert node.probe(SHOP, 80).startswith("backend")
    assert not node.module("ipvs")["changed"]
    # kube-proxy in IPVS mode deletes by itself what is not its own, but for those of marks, which it cannot.
    assert foreign(node) == [line for line in others if not line.startswith(("-A -t", "-a -t"))]
