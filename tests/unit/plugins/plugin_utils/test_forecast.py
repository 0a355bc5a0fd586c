# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every change that an upgrade audit has to explain, with the values at once and after the reboot."""

from __future__ import annotations

import pytest
from nodes import KERNELS, node, sysctl_file

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.forecast import TargetError, forecast
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import load
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_text import table

CENTOS_8 = KERNELS["C"]


def explain(facts, **target):
    """(keys of the transitions, value at once, value after a reboot)"""
    result = forecast(facts, **target)
    return [row["key"] for row in result["transitions"]], result["moments"]["upgrade"]["value"], result["moments"]["reboot"]["value"]


# key, facts before, target, value at once, value after a reboot
ROWS = [
    ("flips_at_next_reboot", node("B", "1.17.4", 0), {"kube_proxy": "1.19.12"}, 0, 1),
    ("flips_at_next_reboot", node("B", "1.18.6", 0), {"kube_proxy": "1.22.3"}, 0, 1),
    ("becomes_one_after_reboot", node("B", "1.18.6", 0), {"kube_proxy": "1.19.12"}, 0, 1),
    ("stale_zero_stays", node("E", "1.21.5", 0), {"kube_proxy": "1.22.0"}, 0, 1),
    ("stale_zero_stays", node("E", "1.20.2", 0), {"kube_proxy": "1.20.15"}, 0, 1),
    ("stale_zero_stays", node("E", "1.18.6", 0), {"kube_proxy": "1.24.1"}, 0, 1),
    ("kernel_upgrade_helps", node("C", "1.22.3", 0), {"kernel": "5.10.0-30-amd64"}, 0, 1),
    ("kernel_upgrade_helps", node("D", "1.22.3", 0), {"kernel": "5.10.0-30-amd64"}, 0, 1),
    ("kernel_upgrade_does_not_help", node("C", "1.20.2", 0), {"kernel": "5.11.1"}, 0, 0),
    ("kernel_upgrade_does_not_help", node("C", "1.18.6", 0), {"kernel": "5.11.1"}, 0, 0),
    ("delay_becomes_stale", node("B", "1.20.2", 1), {"kernel": "5.4.200-1.el7.elrepo.x86_64"}, 1, 0),
    ("delay_becomes_stale", node("B", "1.22.3", 1), {"kernel": CENTOS_8}, 1, 0),
    ("always_zero", node("B", "1.18.6", 0), {"kernel": CENTOS_8}, 0, 0),
    ("will_not_start", node("A", "1.10.5"), {"kube_proxy": "1.14.0"}, None, None),
    ("manual_value_is_lost", node("D", "1.20.2", 1), {"kube_proxy": "1.22.3"}, 0, 0),
    ("manual_value_is_lost", node("C", "1.20.2", 1), {"kube_proxy": "1.18.6"}, 0, 0),
    ("no_fallback", node("C", "1.26.3", 0), {"kernel": "5.10.0-30-amd64"}, 0, 1),
    ("loses_the_fallback", node("E", "1.25.3", 1), {"kube_proxy": "1.26.0"}, 1, 1),
    ("parse_ip_error", node("B", "1.17.4", 0), {"kube_proxy": "1.18.2"}, 0, 0),
    ("route_localnet", node("E", "1.20.2", 0), {"kube_proxy": "1.21.9"}, 0, 1),
    ("no_ipvs_mode", node("E", "1.39.0", 1), {"kube_proxy": "1.40.0"}, 1, 1),
    ("kubeadm_reapplies", node("E", "1.29.0", 1, form="daemonset"), {"kube_proxy": "1.30.4"}, 1, 1),
]


@pytest.mark.parametrize(("key", "facts", "target", "at_once", "after_reboot"), ROWS)
def test_transition(key, facts, target, at_once, after_reboot):
    keys, upgrade, reboot = explain(facts, **target)
    assert key in keys
    assert (upgrade, reboot) == (at_once, after_reboot)


def test_every_transition_is_tested():
    assert {row[0] for row in ROWS} == {row["key"] for row in load("kube_proxy")["transitions"]}


@pytest.mark.parametrize(
    ("key", "facts", "target"),
    [
        ("flips_at_next_reboot", node("B", "1.18.6", 1), {"kube_proxy": "1.19.12"}),
        ("flips_at_next_reboot", node("C", "1.18.6", 0), {"kube_proxy": "1.19.12"}),
        ("stale_zero_stays", node("E", "1.21.5", 1), {"kube_proxy": "1.22.0"}),
        ("stale_zero_stays", node("E", "1.22.5", 0), {"kube_proxy": "1.23.0"}),
        ("parse_ip_error", node("B", "1.17.4", 0), {"kube_proxy": "1.18.3"}),
        ("route_localnet", node("E", "1.21.0", 0), {"kube_proxy": "1.22.0"}),
        ("kubeadm_reapplies", node("E", "1.30.4", 1, form="daemonset"), {"kernel": "6.1.0-18-amd64"}),
        ("manual_value_is_lost", node("E", "1.22.3", 1), {"kube_proxy": "1.23.0"}),
    ],
)
def test_transition_that_does_not_apply(key, facts, target):
    assert key not in explain(facts, **target)[0]


def test_centos_7_delay_comes_with_the_reboot_not_with_the_upgrade():
    moments = forecast(node("B", "1.17.4", 0), kube_proxy="1.19.12")["moments"]
    assert moments["upgrade"]["verdict"] == "stale_backends"
    assert moments["reboot"]["verdict"] == "syn_delay"


def test_the_running_kernel_decides_until_the_reboot():
    result = forecast(node("C", "1.22.3", 0), kernel="6.1.0-18-amd64")
    assert result["capabilities"]["reuse_without_drop"]["state"] == "yes"
    assert result["capabilities_now"]["reuse_without_drop"]["state"] == "no"
    assert result["moments"]["kube_proxy_restart"]["verdict"] == "stale_backends"
    assert result["moments"]["reboot"]["verdict"] == "safe"


def test_a_file_with_zero_survives_the_upgrade():
    result = forecast(node("D", "1.22.3", 0, writers=[sysctl_file(0)]), kernel="5.10.0-30-amd64")
    assert result["moments"]["reboot"] == {"value": 0, "verdict": "stale_backends", "writer": "/etc/sysctl.d/99-tuning.conf"}
    assert result["plan"]["action"] == "set"


def test_nothing_of_the_old_kernel_says_anything_about_the_new_one():
    facts = node("D", "1.22.3", 1)
    facts["kernel"] |= {
        "symbols": ["ip_vs_expire_nodest_conn_flush"],
        "version": "#1 SMP Tue Sep 15 00:00:00 UTC 2020",
        "probe": {"reuse_without_drop": "yes"},
    }
    assert forecast(facts, kernel="4.19.90-24.4.v2101.ky10.x86_64")["capabilities"]["reuse_without_drop"]["state"] == "unknown"


@pytest.mark.parametrize(
    ("version", "kernel", "expected"),
    [
        ("1.30.4", "5.10.0-30-amd64", False),
        ("1.30.4", "5.14.0-70.13.1.el9_0.x86_64", False),
        ("1.31.0", "5.14.0-70.13.1.el9_0.x86_64", True),
        ("1.33.0", "5.13.0", True),
        ("1.33.0", "5.12.19", False),
    ],
)
def test_nftables_needs_version_and_kernel(version, kernel, expected):
    assert forecast(node("E", "1.22.3", 1), kube_proxy=version, kernel=kernel)["modes"]["nftables"] is expected


@pytest.mark.parametrize(
    ("version", "kernel", "possible", "met", "words"),
    [
        ("1.33.0", "5.14.0", True, [True, True], "nftables mode is possible"),
        ("1.30.4", "5.14.0", False, [True, False], "nftables mode is not possible: it needs kube-proxy 1.31 or newer"),
        ("1.31.0", "5.10.0", False, [False, True], "nftables mode is not possible: it needs kernel 5.13 or newer"),
        ("1.22.3", "5.10.0", False, [False, False], "nftables mode is not possible: it needs kernel 5.13 or newer and kube-proxy 1.31 or newer"),
        # One thing that is missing decides, whatever the other is.
        (None, "5.10.0", False, [False, None], "nftables mode is not possible: it needs kernel 5.13 or newer"),
        (None, "5.14.0", None, [True, None], "whether nftables mode is possible is not known: it needs kube-proxy 1.31 or newer, whose version is not known"),
    ],
)
def test_what_nftables_mode_needs(version, kernel, possible, met, words):
    facts = node("E", "1.22.3", 1)
    facts["kube_proxy"]["version"] = version
    planned = forecast(facts, kernel=kernel)
    assert planned["modes"]["nftables"] is possible
    assert [need["met"] for need in planned["nftables_needs"]] == met
    assert f"  1 node: {words}\n" in table(fleet([node_entry("n1", facts, None, planned)]))


def test_ipvs_is_gone_in_the_target():
    result = forecast(node("E", "1.34.0", 1), kube_proxy="1.43.0")
    assert result["modes"]["ipvs"] is False
    assert result["plan"]["action"] == "switch_mode"
    assert any("1.43" in finding["text"] for finding in result["findings"] if finding["key"] == "ipvs_removal")


@pytest.mark.parametrize(
    ("now", "planned", "starts"),
    [
        # nobody has set the gate yet
        ("1.39.4", "1.40.0", False),
        ("1.39.4", "1.42.0", False),
        # it is set
        ("1.40.1", "1.42.0", True),
        ("1.40.1", None, True),
        # there is no gate any more
        ("1.40.1", "1.43.0", False),
    ],
)
def test_a_feature_gate_that_is_set_stays_set(now, planned, starts):
    result = forecast(node("E", now, 1), kube_proxy=planned)
    assert result["modes"]["ipvs"] is starts
    assert (result["moments"]["reboot"].get("kube_proxy") == "does_not_start") is not starts
    assert ("no_ipvs_mode" in [row["key"] for row in result["transitions"]]) is not starts


def test_other_modes_are_not_concerned():
    result = forecast(node("D", "1.20.2", 0, mode="iptables"), kube_proxy="1.22.0")
    assert (result["verdict"], result["transitions"]) == ("not_applicable", [])


@pytest.mark.parametrize("target", [{"kube_proxy": "latest"}, {"kernel": "linux"}, {"kernel": 5}, {"kube_proxy": "1"}])
def test_a_target_that_is_no_version_is_named(target):
    with pytest.raises(TargetError, match=next(iter(target))):
        forecast(node(), **target)
