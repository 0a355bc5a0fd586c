# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether kube-proxy of a node can be moved to another mode, and what that takes."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nodes import KERNELS, VERSIONS, node

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import check_document, load
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.mode_switch import TARGETS, ModeSwitchError, merged_files, mode_switch

CONFIG = "/var/lib/kube-proxy/kube-proxy-config.yaml"
EDIT = {"path": CONFIG, "lines": [{"line": "mode: ipvs", "replacement": "mode: iptables"}]}
NO_FOREIGN = {"state": "present", "services": 10, "foreign": 0, "foreign_services": []}
OTHERS = [{"protocol": "TCP", "service": "10.103.97.2:6443", "reason": "excluded_cidr"}]
FOREIGN = {"state": "present", "services": 11, "foreign": 1, "foreign_services": OTHERS}
IPVS_TRACES = {"kube_ipvs0": True, "ip_vs_services": 10, "nft_table_kube_proxy": None}


def settings(**more):
    """What the module kube_proxy_mode says of a node whose configuration file gives IPVS mode."""
    return {"up_to_date": False, "files": [EDIT], "where": [], "refused": [], "neighbours": [], "kind": "config_file", "daemon_reload": False, **more}


def in_ipvs(kernel="C", version="K2", proxy=None, table=None, **parts):
    """A node in IPVS mode."""
    facts = node(kernel, version, 0, table=table or NO_FOREIGN, **parts)
    facts["kube_proxy"].update({"network_namespace": "host", "traces": IPVS_TRACES, "exclude_cidrs": [], "scheduler": "", "strict_arp": False, **(proxy or {})})
    return facts


def neighbours(*names):
    """Settings with programs beside kube-proxy."""
    return settings(neighbours=[{"name": name, "kind": "process", "pid": 1, "path": None} for name in names])


class TestSwitch:
    def test_a_plain_node(self):
        changes = mode_switch(in_ipvs(), settings(), "iptables")
        assert (changes["action"], changes["from"], changes["files"], changes["warnings"]) == ("switch", "ipvs", [EDIT], [])
        assert changes["record"] == {"from": "ipvs", "target": "iptables", "files": [EDIT], "daemon_reload": False, "cluster": False, "restart": ""}
        assert changes["leftovers"] is True

    def test_configured_but_not_started(self):
        """A fallback, or a file that was changed and not read yet: the file is changed all the same, so that the mode stays."""
        facts = in_ipvs(proxy={"mode": "iptables", "mode_effective": "iptables", "mode_configured": "ipvs"})
        changes = mode_switch(facts, settings(), "iptables")
        assert changes["action"] == "switch"
        assert changes["reasons"] == ["kube-proxy is in iptables mode, but its configuration says ipvs"]

    def test_an_interrupted_run_is_completed(self):
        """The file was changed and kube-proxy not restarted: the record keeps what it has."""
        recorded = {"from": "ipvs", "target": "iptables", "files": [EDIT], "daemon_reload": True, "cluster": False}
        changes = mode_switch(in_ipvs(), settings(up_to_date=True, files=[]), "iptables", recorded=recorded)
        assert (changes["action"], changes["files"], changes["daemon_reload"]) == ("switch", [EDIT], True)

    def test_from_one_to_the_next(self):
        recorded = {"from": "ipvs", "target": "iptables", "files": [EDIT], "daemon_reload": False}
        facts = in_ipvs("E", "1.33.1", proxy={"mode": "iptables", "mode_effective": "iptables", "traces": {}}, table={"state": "absent"})
        again = {"path": CONFIG, "lines": [{"line": "mode: iptables", "replacement": "mode: nftables"}]}
        facts["kernel"]["release"] = "6.1.0"
        changes = mode_switch(facts, settings(files=[again], nft_version="1.0.6"), "nftables", recorded=recorded)
        assert changes["files"] == [{"path": CONFIG, "lines": [{"line": "mode: ipvs", "replacement": "mode: nftables"}]}]
        assert (changes["record"]["from"], changes["record"]["target"]) == ("ipvs", "nftables")

    def test_the_way_back_is_the_record(self):
        recorded = {"from": "ipvs", "target": "iptables", "files": [EDIT]}
        facts = in_ipvs(proxy={"mode": "iptables", "mode_effective": "iptables"})
        assert mode_switch(facts, settings(), "ipvs", recorded=recorded)["action"] == "take_back"

    def test_the_way_back_without_a_record(self):
        facts = in_ipvs(proxy={"mode": "iptables", "mode_effective": "iptables"}, table={"state": "absent"})
        assert mode_switch(facts, settings(), "ipvs")["action"] == "switch"

    def test_another_program_starts_it(self):
        facts, given = in_ipvs(form="rke2"), settings(restart="rke2-agent.service")
        changes = mode_switch(facts, given, "iptables")
        assert (changes["restart"], changes["record"]["restart"]) == ("rke2-agent.service", "rke2-agent.service")
        again = mode_switch(facts, settings(up_to_date=True, files=[], restart=None), "iptables", recorded=changes["record"])
        assert (again["action"], again["restart"]) == ("switch", "rke2-agent.service")
        assert mode_switch(in_ipvs(), settings(restart="kube-proxy.service"), "iptables")["restart"] == "", "kube_proxy_restart does that"

    def test_a_cluster(self):
        changes = mode_switch(in_ipvs(form="daemonset"), settings(files=[], kind="configmap"), "iptables")
        assert (changes["action"], changes["cluster"], changes["files"]) == ("switch", True, [])


class TestNothingToDo:
    def test_in_the_mode(self):
        facts = in_ipvs(proxy={"mode": "iptables", "mode_effective": "iptables", "traces": {"kube_ipvs0": False}}, table={"state": "absent"})
        assert mode_switch(facts, settings(up_to_date=True, files=[]), "iptables")["action"] == "none"

    def test_leftovers_of_a_switch_by_hand(self):
        facts = in_ipvs(proxy={"mode": "iptables", "mode_effective": "iptables"}, table=FOREIGN)
        changes = mode_switch(facts, settings(up_to_date=True, files=[]), "iptables")
        assert changes["action"] == "clear"
        assert changes["warnings"] == ["services that kube-proxy does not own stay: TCP 10.103.97.2:6443"]

    def test_foreign_services_alone_are_no_leftover(self):
        facts = in_ipvs(proxy={"mode": "iptables", "mode_effective": "iptables", "traces": {"kube_ipvs0": False}}, table={**FOREIGN, "services": 1})
        assert mode_switch(facts, settings(up_to_date=True, files=[]), "iptables")["action"] == "none"


def reasons(facts, wanted="iptables", given=None, **options):
    """The reasons of a refusal."""
    changes = mode_switch(facts, given or settings(), wanted, **options)
    assert changes["action"] == "refuse", changes
    assert changes["files"] == []
    return changes["reasons"]


class TestRefused:
    @pytest.mark.parametrize(("proxy", "words"), [
        ({"form": "none"}, "there is no kube-proxy on this node"),
        ({"running": False}, "kube-proxy does not run on this node"),
        ({"running": None}, "it is not known whether kube-proxy runs on this node"),
        ({"network_namespace": "other"}, "kube-proxy runs in a network namespace of its own"),
        ({"mode": None, "mode_effective": None}, "the mode of kube-proxy is not known"),
    ])
    def test_no_kube_proxy_to_switch(self, proxy, words):
        assert reasons(in_ipvs(proxy=proxy)) == [words]

    @pytest.mark.parametrize(("version", "kernel", "words"), [
        ("1.20.2", "6.1.0", "nftables mode needs kube-proxy 1.31.0 or newer, and 1.20.2 does not have it"),
        ("1.30.4", "6.1.0", "nftables mode needs kube-proxy 1.31.0 or newer, and 1.30.4 has it behind a feature gate alone"),
        ("1.33.0", "5.10.46", "nftables mode needs kernel 5.13 or newer, and this is 5.10.46"),
        (None, "6.1.0", "the version of kube-proxy is not known, and not every one has nftables mode"),
        ("1.33.0", "something", "nftables mode needs kernel 5.13 or newer, and the version of this kernel is not known"),
    ])
    def test_what_nftables_needs(self, version, kernel, words):
        facts = in_ipvs(kernel, version)
        assert reasons(facts, "nftables", settings(nft_version="1.0.6")) == [words]

    @pytest.mark.parametrize(("found", "words"), [
        (None, "nftables mode needs the program nft 1.0.1 or newer, and this node has none that tells its version"),
        ("0.9.8", "nftables mode needs nft 1.0.1 or newer, and this node has 0.9.8"),
    ])
    def test_the_program_nft(self, found, words):
        facts = in_ipvs("6.1.0", "1.33.0")
        assert reasons(facts, "nftables", settings(nft_version=found)) == [words]

    def test_a_pod_has_its_own_nft(self):
        facts = in_ipvs("6.1.0", "1.33.0", form="daemonset")
        assert mode_switch(facts, settings(files=[]), "nftables")["action"] == "switch"

    def test_foreign_services(self):
        facts = in_ipvs(table=FOREIGN)
        assert reasons(facts) == ["the IPVS table has services that kube-proxy does not own (TCP 10.103.97.2:6443)"]
        assert mode_switch(facts, settings(), "iptables", foreign="keep")["action"] == "switch"

    def test_foreign_services_never_survive_nftables(self):
        facts = in_ipvs("6.1.0", "1.33.0", table=FOREIGN)
        words = "the IPVS table has services that kube-proxy does not own (TCP 10.103.97.2:6443): kube-proxy in nftables mode flushes them at each start"
        for foreign in ("refuse", "keep"):
            assert reasons(facts, "nftables", settings(nft_version="1.0.6"), foreign=foreign) == [words]

    def test_excluded_networks(self):
        facts = in_ipvs(proxy={"exclude_cidrs": ["10.103.97.2/32"]})
        assert reasons(facts) == ["kube-proxy is told to leave IPVS services of others alone (excludeCIDRs 10.103.97.2/32), though there are none now"]
        assert mode_switch(facts, settings(), "iptables", foreign="keep")["action"] == "switch"

    def test_what_cannot_be_told(self):
        facts = in_ipvs(table={"state": "unreadable", "services": None, "foreign": None, "foreign_services": []})
        assert reasons(facts) == ["it cannot be told whether the IPVS table has services that kube-proxy does not own"]

    @pytest.mark.parametrize("name", ["kube-router", "lvscare"])
    def test_neighbours_that_need_ipvs(self, name):
        assert len(reasons(in_ipvs(), given=neighbours(name))) == 1
        changes = mode_switch(in_ipvs(), neighbours(name), "iptables", ignored=[name])
        assert (changes["action"], len(changes["warnings"])) == ("switch", 1)

    def test_what_the_module_refuses(self):
        assert reasons(in_ipvs(), given=settings(files=[], refused=["line 3: a tab indents"])) == ["line 3: a tab indents"]

    def test_a_malformed_configuration_is_named(self):
        facts = in_ipvs(proxy={"mode": None, "mode_effective": None})
        given = settings(files=[], refused=[f"{CONFIG}, line 5: a tab indents"])
        assert reasons(facts, given=given) == ["the mode of kube-proxy is not known", f"{CONFIG}, line 5: a tab indents"]

    def test_nobody_knows_where(self):
        assert reasons(in_ipvs(), given=settings(files=[])) == ["it is not known where the mode of this kube-proxy is set"]

    def test_ipvs_is_gone(self):
        facts = in_ipvs("6.1.0", "1.40.0", proxy={"mode": "iptables", "mode_effective": "iptables"}, table={"state": "absent"})
        assert "kube-proxy 1.40.0 no longer has ipvs mode" in reasons(facts, "ipvs")

    def test_no_module(self):
        facts = in_ipvs(proxy={"mode": "iptables", "mode_effective": "iptables"}, table={"state": "absent"}, kernel="E")
        facts["kernel"].update(ip_vs="absent", ip_vs_module_available=False)
        assert reasons(facts, "ipvs") == ["this kernel has no module ip_vs"]


class TestWarnings:
    @pytest.mark.parametrize("name", ["calico-node", "node-cache", "speaker", "kube-vip", "keepalived"])
    def test_neighbours(self, name):
        changes = mode_switch(in_ipvs(), neighbours(name), "iptables")
        assert (changes["action"], changes["warnings"]) == ("switch", [load("mode_switch")["neighbours"][name]["text"]])

    def test_strict_arp_and_scheduler(self):
        changes = mode_switch(in_ipvs(proxy={"strict_arp": True, "scheduler": "lc"}), settings(), "iptables")
        assert len(changes["warnings"]) == 2
        assert "the scheduler is lc: iptables mode" in changes["warnings"][1]

    def test_not_on_the_way_back(self):
        facts = in_ipvs(proxy={"mode": "iptables", "mode_effective": "iptables", "strict_arp": True}, table={"state": "absent"})
        assert mode_switch(facts, neighbours("lvscare", "speaker"), "ipvs")["warnings"] == []


class TestMergedFiles:
    def test_other_files_stay(self):
        other = {"path": "/etc/other", "content": "x"}
        assert merged_files([other], [EDIT]) == [other, EDIT]

    def test_back_to_what_it_was(self):
        back = {"path": CONFIG, "lines": [{"line": "mode: iptables", "replacement": "mode: ipvs"}]}
        assert merged_files([EDIT], [back]) == []

    def test_a_second_line(self):
        second = {"path": CONFIG, "lines": [{"line": "b", "replacement": "c"}]}
        assert merged_files([EDIT], [second])[0]["lines"] == EDIT["lines"] + second["lines"]

    @given(st.lists(st.sampled_from(TARGETS), min_size=1, max_size=6))
    def test_a_chain_of_switches(self, modes):
        """However often the mode is changed, the record leads from the first to the last."""
        files, present = [], "ipvs"
        for mode in modes:
            if mode != present:
                files = merged_files(files, [{"path": CONFIG, "lines": [{"line": f"mode: {present}", "replacement": f"mode: {mode}"}]}])
            present = mode
        expected = [] if present == "ipvs" else [{"path": CONFIG, "lines": [{"line": "mode: ipvs", "replacement": f"mode: {present}"}]}]
        assert files == expected


@pytest.mark.parametrize(("options", "words"), [
    ({"target": "userspace"}, "target: 'userspace' is not one of iptables, nftables, ipvs"),
    ({"target": None}, "target: None"),
    ({"foreign": "flush"}, "foreign: 'flush' is not one of refuse, keep"),
    ({"ignored": "lvscare"}, "ignored: not a list of names"),
])
def test_what_cannot_be_meant(options, words):
    with pytest.raises(ModeSwitchError, match=words):
        mode_switch(in_ipvs(), settings(), **{"target": "iptables", **options})


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["kube_proxy", "table", "mode", "form", "running", "files", "refused", "neighbours", "path", "lines", "x"]), inner), max_leaves=12))
def test_anything_is_an_answer(anything):
    for target in TARGETS:
        assert mode_switch(anything, anything, target, recorded=anything)["action"] in ("none", "switch", "take_back", "clear", "refuse")


@pytest.mark.parametrize(("kernel", "version", "target"), list(itertools.product(KERNELS, VERSIONS, TARGETS)))
def test_every_kind_of_node(kernel, version, target):
    """The answer can be kept in a record, and a switch always has something to change or a cluster."""
    changes = mode_switch(in_ipvs(kernel, version), settings(nft_version="1.0.6"), target)
    assert json.loads(json.dumps(changes)) == changes
    assert changes["action"] in ("switch", "refuse") and bool(changes["files"]) == (changes["action"] == "switch")
    if target == "nftables":
        assert (changes["action"] == "switch") == ((kernel, version) == ("E+weight", "K4")), "the only kernel from 5.13 on, and version from 1.31 on"


def test_the_knowledge():
    check_document("mode_switch", load("mode_switch"))
    document = load("mode_switch")
    used = {row["source"] for part in ("neighbours", "settings") for row in document[part].values()}
    assert used == set(document["sources"])
