# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is left over in each mode, and that leftovers.yml follows its schema."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.kubeproxy.ipvs.plugins.filter.kube_proxy_leftovers import FilterModule
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.iptables_rules import OwnedChains
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.owned_leftovers import owned_sets, why_unusable
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import check_document, load

MODES = ["ipvs", "iptables", "nftables"]
leftovers = FilterModule().filters()["kube_proxy_leftovers"]


def owns(mode, table, chain):
    """Whether the chain is left over in this mode."""
    return OwnedChains(leftovers(mode)["chains"]).owns(table, chain)


def test_the_knowledge_follows_its_schema():
    known = load("leftovers")
    check_document("leftovers", known)
    rows = [known["services"], *known["interfaces"], *known["chains"], *known["sets"], *known["written"], *known["shared"]]
    assert {row["source"] for row in rows} == known["sources"].keys()
    names = [name for row in known["sets"] for name in row["names"]]
    assert len(names) == len(set(names))
    assert all(len(name) <= 31 for name in names)
    for name in names:
        # Each set has its twin of IPv6, but for the two that are older than these.
        if not name.startswith("KUBE-6-") and name not in ("KUBE-NODE-PORT-SCTP", "KUBE-NODE-PORT-LOCAL-SCTP"):
            assert name.replace("KUBE-", "KUBE-6-", 1)[:31] in names


@pytest.mark.parametrize("mode", MODES)
def test_the_module_takes_it(mode):
    owned = leftovers(mode)
    assert owned.keys() == {"services", "interfaces", "chains", "sets", "written"}
    assert why_unusable(owned) is None
    assert owned["written"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", load("leftovers")["shared"], ids=lambda row: f"{row['table']}-{row['name']}")
def test_shared_chains_are_never_left_over(mode, row):
    assert not owns(mode, row["table"], row["name"])


@pytest.mark.parametrize("chain", ["KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-MARK-MASQ", "KUBE-MARK-DROP"])
def test_nat_chains_that_both_modes_write_stay(chain):
    assert not owns("iptables", "nat", chain)
    assert not owns("ipvs", "nat", chain)


@pytest.mark.parametrize("chain", ["KUBE-FORWARD", "KUBE-PROXY-FIREWALL", "KUBE-FIREWALL"])
def test_filter_chains_that_both_modes_write_stay(chain):
    assert not owns("iptables", "filter", chain)
    assert not owns("ipvs", "filter", chain)


def test_leaving_ipvs():
    owned = leftovers("iptables")
    assert (owned["services"], owned["interfaces"]) == (True, ["kube-ipvs0"])
    assert {(row["table"], row["name"]) for row in owned["chains"]} == {
        ("nat", "KUBE-NODE-PORT"),
        ("nat", "KUBE-LOAD-BALANCER"),
        ("nat", "KUBE-FIREWALL"),
        ("filter", "KUBE-NODE-PORT"),
        ("filter", "KUBE-SOURCE-RANGES-FIREWALL"),
        ("filter", "KUBE-IPVS-FILTER"),
        ("filter", "KUBE-IPVS-OUT-FILTER"),
    }
    assert owned_sets(["KUBE-CLUSTER-IP", "KUBE-OTHER", "KUBE-CLUSTER-IP-MINE", "cali40s", "KUBE-6-LOAD-BALANCER-SOURCE-CID"], owned["sets"]) == [
        "KUBE-CLUSTER-IP",
        "KUBE-6-LOAD-BALANCER-SOURCE-CID",
    ]
    assert not owns("iptables", "nat", "KUBE-SVC-NPX46M4PTMTKRN6Y")


def test_going_back_to_ipvs():
    owned = leftovers("ipvs")
    assert (owned["services"], owned["interfaces"], owned["sets"]["names"]) == (False, [], [])
    for table, chain in [
        ("nat", "KUBE-SVC-NPX46M4PTMTKRN6Y"),
        ("nat", "KUBE-SEP-X"),
        ("nat", "KUBE-NODEPORTS"),
        ("filter", "KUBE-SERVICES"),
        ("filter", "KUBE-EXTERNAL-SERVICES"),
        ("mangle", "KUBE-PROXY-CANARY"),
    ]:
        assert owns("ipvs", table, chain)
    assert not owns("ipvs", "nat", "KUBE-NODE-PORT")


def test_nftables_needs_nothing_of_both():
    for table, chain in [("nat", "KUBE-SERVICES"), ("filter", "KUBE-FORWARD"), ("nat", "KUBE-SVC-X"), ("nat", "KUBE-NODE-PORT")]:
        assert owns("nftables", table, chain)


def test_what_it_gives_can_be_changed():
    leftovers("iptables")["chains"][0]["jumps"].clear()
    assert leftovers("iptables")["chains"][0]["jumps"]


@pytest.mark.parametrize("mode", ["userspace", "", None, 7])
def test_what_is_no_mode(mode):
    with pytest.raises(AnsibleFilterError, match="kubeproxy.ipvs.kube_proxy_leftovers: the mode is one of ipvs, iptables, nftables, not"):
        leftovers(mode)
