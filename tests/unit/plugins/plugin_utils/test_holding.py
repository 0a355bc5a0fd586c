# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role conn_reuse_mode is to do to a node."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nodes import KERNELS, VERSIONS, keys, node, sysctl_file

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.holding import HoldingError, holding
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import judge

UNIT = {
    "unit": "kube-proxy.service",
    "unit_timeout_start_seconds": 90,
    "metrics_address": "127.0.0.1:10249",
    "healthz_address": "0.0.0.0:10256",
    "start_time": 1000.0,
}


def fixed(kernel="D", version="K2", value=0, proxy=None, **parts):
    """A node whose kube-proxy is a unit. PROXY: more about it."""
    facts = node(kernel, version, value, **{"hold": {"service_manager": "systemd"}, **parts})
    facts["kube_proxy"].update({**UNIT, **(proxy or {})})
    return facts


def done(facts, wanted, **managed):
    """The facts of the node once the role has done what WANTED says."""
    after = copy.deepcopy(facts)
    after["sysctl"]["conn_reuse_mode"] = wanted["value"]
    edited = {(entry["path"], line["line"]) for entry in wanted["edits"] for line in entry["lines"]}
    after["writers"] = [writer for writer in facts["writers"] if (writer["path"], writer.get("text")) not in edited]
    paths = [entry["path"] for entry in wanted["edits"]] + (["/etc/kubeproxy.ipvs/hold"] if wanted["service"] else [])
    after["hold"]["managed"] = {
        "record": "/var/lib/kubeproxy.ipvs/conn_reuse_mode.json",
        "applied_at": 900.0,
        # As the node keeps it.
        "facts": json.loads(json.dumps(wanted["record"])),
        "files": [{"path": path, "state": "intact"} for path in paths],
        "service_running": True if wanted["service"] else False,
        **managed,
    }
    return after


class TestWhatIsHeld:
    """What an earlier run decided, against what is decided now."""

    def test_nothing_speaks_against_it(self):
        facts = fixed()
        after = done(facts, holding(facts))
        assert holding(facts)["contradicted"] is holding(after)["contradicted"] is None

    def test_a_kernel_on_which_no_value_is_safe(self):
        facts = fixed()
        after = done(facts, holding(facts))
        after["kernel"]["release"] = KERNELS["C"]
        found = holding(after)
        assert (found["action"], found["value"]) == ("leave", None)
        assert found["contradicted"].startswith("what the role holds is 1, which was safe when it was decided: No value is safe")

    def test_a_kernel_on_which_another_value_is_safe(self):
        facts = fixed()
        after = done(facts, holding(facts))
        after["hold"]["managed"]["facts"]["value"] = 0
        assert holding(after)["contradicted"].startswith("what the role holds is 0, and 1 is safe now: ")

    def test_the_owners_word_stands(self):
        facts = fixed("C")
        after = done(facts, holding(facts, value=1))
        assert holding(after)["contradicted"] is None

    def test_what_a_probe_has_shown_stands_without_it(self):
        facts = fixed()
        after = done(facts, holding(facts))
        after["kernel"]["release"] = "5.0.0-nobody-knows"
        assert (holding(after)["value"], holding(after)["contradicted"]) == (None, None)


class TestWhatIsWanted:
    def test_a_unit_gets_a_drop_in_and_a_service(self):
        wanted = holding(fixed())
        assert (wanted["action"], wanted["value"], wanted["service"]) == ("hold", 1, True)
        assert wanted["drop_in"] == {
            "unit": "kube-proxy.service",
            "path": "/etc/systemd/system/kube-proxy.service.d/90-kubeproxy-ipvs.conf",
            "ports": [10249, 10256],
            "seconds": 60,
        }
        assert wanted["holds"] == ["drop-in of kube-proxy.service", "service kubeproxy-ipvs-hold"]

    @pytest.mark.parametrize("form", ["daemonset", "static_pod", "rke2", "container", "microk8s"])
    def test_every_other_form_gets_the_service(self, form):
        wanted = holding(fixed(form=form))
        assert (wanted["action"], wanted["service"], wanted["drop_in"]) == ("hold", True, None)

    def test_k3s_gets_a_drop_in_with_its_own_limit(self):
        wanted = holding(fixed(form="k3s", proxy={"unit": "k3s-agent.service", "unit_timeout_start_seconds": None}))
        assert (wanted["drop_in"]["unit"], wanted["drop_in"]["seconds"]) == ("k3s-agent.service", 60)

    @pytest.mark.parametrize(("limit", "seconds"), [(90, 60), (30, 20), (3, 2), (1, 1), (600, 60)])
    def test_the_wait_ends_before_the_unit_gives_up(self, limit, seconds):
        assert holding(fixed(proxy={"unit_timeout_start_seconds": limit}))["drop_in"]["seconds"] == seconds

    def test_ports_are_those_of_the_configuration(self):
        wanted = holding(fixed(proxy={"metrics_address": None, "healthz_address": "[::1]:29102"}))
        assert wanted["drop_in"]["ports"] == [29102]

    @pytest.mark.parametrize("unit", ["../../evil.service", "a b.service", "kube-proxy.scope", "", None, "x.service\n"])
    def test_a_unit_of_no_proper_name_gets_the_service_alone(self, unit):
        wanted = holding(fixed(proxy={"unit": unit}))
        assert (wanted["drop_in"], wanted["service"]) == (None, True)

    def test_a_new_kube_proxy_on_a_new_kernel_needs_no_hold(self):
        wanted = holding(fixed("E", "K3"))
        assert (wanted["action"], wanted["value"], wanted["service"], wanted["drop_in"], wanted["holds"]) == ("set", 1, False, None, [])

    def test_a_file_is_neutralised_and_nothing_else_needed(self):
        wanted = holding(fixed("E", "K3", 1, writers=[sysctl_file(0)]))
        assert (wanted["action"], wanted["service"]) == ("set", False)
        line = "net.ipv4.vs.conn_reuse_mode = 0"
        assert wanted["edits"] == [{"path": "/etc/sysctl.d/99-tuning.conf", "lines": [{"line": line, "replacement": "# kubeproxy.ipvs: " + line}]}]

    def test_what_cannot_be_neutralised_is_held_against(self):
        wanted = holding(fixed("E", "K3", 1, writers=[sysctl_file(0, text="net.ipv4.vs.* = 0")]))
        assert (wanted["action"], wanted["service"], wanted["drop_in"]) == ("hold", True, None)
        assert wanted["left"] == [{"path": "/etc/sysctl.d/99-tuning.conf", "reason": "its line does more than set this one key"}]

    def test_a_guard_that_waits_is_not_stacked_on(self):
        guard = {"kind": "exec_start_post", "path": "/etc/kubernetes/set-conn-reuse-mode.sh", "value": 1, "waits": True, "period_seconds": None}
        wanted = holding(fixed(value=1, hold={"guards": [guard], "service_manager": "systemd"}))
        assert (wanted["action"], wanted["service"], wanted["drop_in"]) == ("none", False, None)

    def test_a_guard_that_does_not_wait_is_not_relied_on(self):
        guard = {"kind": "exec_start_post", "path": "/etc/x.conf", "value": 1, "waits": False, "period_seconds": None}
        assert holding(fixed(hold={"guards": [guard], "service_manager": "systemd"}))["drop_in"] is not None

    @pytest.mark.parametrize(
        ("line", "harms"),
        [
            ("ExecStartPost=/sbin/sysctl -w net.ipv4.vs.conn_reuse_mode=1", True),
            ("ExecStartPost = @/usr/sbin/sysctl sysctl -w net.ipv4.vs.conn_reuse_mode=1", True),
            ("ExecStartPost=/sbin/sysctl -w net.ipv4.vs.conn_reuse_mode=0", True),
            ("ExecStartPost=-/sbin/sysctl -w net.ipv4.vs.conn_reuse_mode=1", False),
            ("ExecStartPost=/sbin/sysctl -e -w net.ipv4.vs.conn_reuse_mode=1", False),
            ("ExecStartPost=/sbin/sysctl -w net.ipv4.vs.conn_reuse_mode=1 --ignore", False),
            ("ExecStartPost=/bin/sh -c 'sysctl -w net.ipv4.vs.conn_reuse_mode=1 || true'", False),
        ],
    )
    def test_a_guard_that_stops_kube_proxy_after_a_reboot_is_taken_away(self, line, harms):
        """As measured in the scenario `hold`: without ip_vs sysctl fails, systemd stops kube-proxy, and nobody loads ip_vs."""
        value = 0 if line.endswith("=0") else 1
        guard = {"kind": "exec_start_post", "path": "/etc/x.conf", "text": line, "value": value, "waits": False, "period_seconds": None}
        writer = {"kind": "unit", "path": "/etc/x.conf", "text": line, "value": value, "moments": ["kube_proxy_restart"], "wins": []}
        facts = fixed(hold={"guards": [guard], "service_manager": "systemd"}, writers=[writer])
        edits = [{"path": "/etc/x.conf", "lines": [{"line": line, "replacement": f"# kubeproxy.ipvs: {line}"}]}]
        assert holding(facts)["edits"] == (edits if harms else [])
        assert ("guard_stops_kube_proxy" in keys(judge(facts))) == harms
        # Where ip_vs is there before kube-proxy, it only loses.
        facts["kernel"]["ip_vs_loaded_at_boot"] = [{"path": "/etc/modules-load.d/ipvs.conf", "line": 1}]
        assert "guard_stops_kube_proxy" not in keys(judge(facts))
        assert not any(entry["lines"][0]["replacement"].endswith(line) for entry in holding(facts)["edits"])

    def test_without_systemd_a_daemonset_is_what_is_left(self):
        facts = fixed(form="daemonset", hold={"service_manager": "other"})
        wanted = holding(facts)
        assert wanted["action"] == "leave" and "DaemonSet" in wanted["reason"]
        wanted = holding(facts, hold="daemonset")
        assert (wanted["action"], wanted["daemonset"], wanted["service"], wanted["drop_in"]) == ("hold", True, False, None)

    def test_a_daemonset_is_believed_afterwards_but_not_proved(self):
        facts = fixed(form="daemonset")
        after = done(facts, holding(facts, hold="daemonset"))
        assert judge(after)["moments"]["kube_proxy_restart"] == {"value": 1, "verdict": "safe", "writer": "kubeproxy.ipvs", "confidence": "inferred"}
        assert holding(after, hold="daemonset")["up_to_date"]
        assert not holding(after)["up_to_date"]

    @pytest.mark.parametrize("value", [0, 2, 3])
    def test_another_value_is_set(self, value):
        assert (holding(fixed(value=value))["value"], holding(fixed(value=value))["action"]) == (1, "hold")


class TestWhoIsLeftAlone:
    @pytest.mark.parametrize(("kernel", "plan"), [("B", "decide"), ("C", "decide"), ("weird", "probe")])
    def test_no_value_is_safe_or_nothing_is_known(self, kernel, plan):
        wanted = holding(fixed(kernel))
        assert (wanted["action"], wanted["value"], wanted["plan"]) == ("leave", None, plan)
        assert bool(wanted["options"]) == (plan == "decide")

    @pytest.mark.parametrize("mode", ["iptables", "nftables", "userspace"])
    def test_another_mode(self, mode):
        assert holding(fixed(mode=mode), value=1)["action"] == "none"

    def test_a_mode_that_is_not_known(self):
        assert holding(fixed(mode=None), value=1)["action"] == "leave"

    def test_no_value_to_set(self):
        assert holding(fixed("A"), value=1)["action"] == "leave"
        assert holding(fixed(value=None), value=1)["action"] == "leave"

    def test_a_network_of_its_own(self):
        assert holding(fixed(sysctl={"network_namespace": "kube_proxy"}))["action"] == "leave"

    @pytest.mark.parametrize("facts", [None, {}, [], "x", {"schema": 1}, {"kube_proxy": 3, "hold": {"managed": {"files": 7, "facts": []}}}])
    def test_nothing_known(self, facts):
        assert holding(facts)["action"] in ("leave", "none")


class TestTheOwnersWord:
    def test_it_goes_before_the_evidence(self):
        for kernel, value in (("B", 0), ("B", 1), ("C", 1), ("weird", 1), ("D", 0)):
            wanted = holding(fixed(kernel, value=1 - value), value=value)
            assert (wanted["value"], wanted["owner_word"]) == (value, True), (kernel, value)
            assert wanted["action"] in ("set", "hold")

    def test_what_is_safe_anyway_is_not_the_owners(self):
        assert holding(fixed(), value=1)["owner_word"] is False

    def test_a_zero_that_the_next_reboot_would_take_away_is_held(self):
        """kube-proxy leaves kernels below 4.1 alone, but they start with 1."""
        wanted = holding(fixed("B", "K2", 1), value=0)
        assert (wanted["action"], wanted["service"], wanted["drop_in"]) == ("hold", True, None)

    def test_it_is_reported(self):
        facts = fixed("B", value=0)
        after = done(facts, holding(facts, value=1))
        assert "owners_word" in keys(judge(after))

    @pytest.mark.parametrize("value", [2, -1, "1", True, 1.5])
    def test_values_that_cannot_be_meant(self, value):
        with pytest.raises(HoldingError):
            holding(fixed(), value=value)

    def test_a_hold_that_cannot_be_meant(self):
        with pytest.raises(HoldingError):
            holding(fixed(), hold="cron")


class TestAfterwards:
    def test_the_second_run_has_nothing_to_do(self):
        facts = fixed(writers=[sysctl_file(0)])
        first = holding(facts, script="a")
        after = done(facts, first)
        second = holding(after, script="a")
        assert second["up_to_date"] and second["proved"]
        assert second["record"] | {"reason": None} == first["record"] | {"reason": None}
        assert judge(after)["plan"]["action"] == "none"
        assert judge(after)["verdict"] == "safe"
        assert {entry["value"] for entry in judge(after)["moments"].values()} == {1}
        assert "held" in keys(judge(after))

    @pytest.mark.parametrize(
        ("change", "script"),
        [
            ({"files": [{"path": "/etc/kubeproxy.ipvs/hold", "state": "missing"}]}, "a"),
            ({"files": [{"path": "/etc/kubeproxy.ipvs/hold", "state": "changed"}]}, "a"),
            ({"service_running": False}, "a"),
            ({}, "b"),
        ],
    )
    def test_what_was_damaged_or_has_a_newer_version_is_done_again(self, change, script):
        facts = fixed()
        after = done(facts, holding(facts, script="a"), **change)
        assert not holding(after, script=script)["up_to_date"]
        assert ("hold_damaged" in keys(judge(after))) == bool(change)
        assert judge(after)["moments"]["kube_proxy_restart"]["value"] == (0 if change else 1)

    def test_a_value_that_was_changed_since(self):
        facts = fixed()
        after = done(facts, holding(facts))
        after["sysctl"]["conn_reuse_mode"] = 0
        assert not holding(after)["up_to_date"]

    def test_not_proved_before_kube_proxy_has_started_again(self):
        facts = fixed()
        wanted = holding(done(facts, holding(facts), applied_at=1001.0))
        assert (wanted["up_to_date"], wanted["proved"]) == (True, False)

    def test_a_hold_that_an_upgrade_made_needless_goes(self):
        facts = fixed("E", "K2", 0, writers=[sysctl_file(0)])
        after = done(facts, holding(facts))
        after["kube_proxy"]["version"] = VERSIONS["K3"]
        wanted = holding(after)
        assert (wanted["action"], wanted["service"], wanted["drop_in"], wanted["up_to_date"]) == ("set", False, None, False)
        # The line of the file stays away.
        assert [entry["path"] for entry in wanted["edits"]] == ["/etc/sysctl.d/99-tuning.conf"]

    def test_a_node_that_has_left_ipvs_mode_is_not_touched(self):
        facts = fixed()
        after = done(facts, holding(facts))
        after["kube_proxy"].update(mode="iptables", mode_effective="iptables")
        assert holding(after)["action"] == "leave"
        assert "hold_not_needed" in keys(judge(after))

    def test_unfixed_and_the_owners_word_of_an_earlier_run(self):
        """A default run afterwards leaves it as it is."""
        facts = fixed("B", value=0)
        assert holding(done(facts, holding(facts, value=1)))["action"] == "leave"


@given(
    st.sampled_from(sorted(KERNELS)),
    st.sampled_from(sorted(VERSIONS)),
    st.sampled_from([0, 1, 2]),
    st.lists(st.sampled_from([sysctl_file(0), sysctl_file(1), sysctl_file(0, text="net.ipv4.vs.* = 0"), sysctl_file(None, kind="unit", text="x")]), max_size=3),
    st.sampled_from([None, 0, 1]),
)
def test_rules_that_are_never_broken(kernel, version, value, writers, chosen):
    facts = fixed(kernel, version, value, writers=writers)
    wanted = holding(facts, value=chosen)
    if wanted["action"] in ("leave", "none"):
        assert not wanted["service"] and not wanted["edits"] and wanted["drop_in"] is None
        return
    fast = judge(facts)["capabilities"]["reuse_without_drop"]["state"]
    if not wanted["owner_word"]:
        assert fast == "yes" if wanted["value"] == 1 else fast == "no"
    # Whatever is done, afterwards every moment keeps the value, and nothing is left to do.
    after = done(facts, wanted)
    assert all((entry["value"] == 0) == (wanted["value"] == 0) for entry in judge(after)["moments"].values() if entry.get("kube_proxy") is None)
    again = holding(after, value=chosen)
    assert again["action"] == "none" or again["up_to_date"]
