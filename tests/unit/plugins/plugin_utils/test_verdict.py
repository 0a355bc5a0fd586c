# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every class of kube-proxy on every kind of kernel: the value after its start, and what that means."""

from __future__ import annotations

import pytest
from nodes import KERNELS, VERSIONS, keys, node, sysctl_file

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.kube_proxy_versions import at_start, upstream_class
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.release import leading_version
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import judge, safe_conn_reuse_mode

STALE, DELAY, UNEVEN, SAFE = "stale_backends", "syn_delay", "uneven_load", "safe"

# (class, kernel, value before) -> (value after kube-proxy has started, verdict)
CELLS = {
    ("K0", "A", None): (None, STALE),
    ("K0", "B", 1): (1, DELAY),
    ("K0", "C", 1): (1, DELAY),
    ("K0", "D", 1): (1, SAFE),
    ("K0", "E", 1): (1, SAFE),
    ("K1", "B", 1): (0, STALE),
    ("K1", "C", 1): (0, STALE),
    ("K1", "D", 1): (0, STALE),
    ("K1", "D+weight", 1): (0, UNEVEN),
    ("K1", "E", 1): (0, STALE),
    ("K1", "E+weight", 1): (0, UNEVEN),
    ("K2", "A", None): (None, STALE),
    ("K2", "B", 1): (1, DELAY),
    ("K2", "B", 0): (0, STALE),
    ("K2", "C", 1): (0, STALE),
    ("K2", "D", 1): (0, STALE),
    ("K2", "D+weight", 1): (0, UNEVEN),
    ("K2", "E", 1): (0, STALE),
    ("K2", "E+weight", 1): (0, UNEVEN),
    ("K3", "A", None): (None, STALE),
    ("K3", "B", 1): (1, DELAY),
    ("K3", "B", 0): (0, STALE),
    ("K3", "C", 1): (0, STALE),
    ("K3", "D", 1): (0, STALE),
    ("K3", "D+weight", 1): (0, UNEVEN),
    ("K3", "E", 1): (1, SAFE),
    ("K3", "E", 0): (0, STALE),
    ("K3", "E+weight", 0): (0, UNEVEN),
}


@pytest.mark.parametrize(("version_class", "kernel", "before"), CELLS)
def test_value_after_kube_proxy_has_started(version_class, kernel, before):
    entry = judge(node(kernel, version_class, before))["moments"]["kube_proxy_restart"]
    assert (entry["value"], entry["verdict"]) == CELLS[version_class, kernel, before]


def test_kube_proxy_that_insists_on_the_sysctl_does_not_start_without_it():
    verdict = judge(node("A", "K1"))
    assert verdict["moments"]["kube_proxy_restart"]["kube_proxy"] == "does_not_start"
    assert "kube_proxy_cannot_start" in keys(verdict)
    assert verdict["plan"]["action"] == "upgrade_kernel"


@pytest.mark.parametrize(("version", "effective"), [("1.40.0", None), ("1.42.3", None), ("1.43.0", "ipvs"), ("1.43.0", None)])
@pytest.mark.parametrize("kernel", KERNELS)
def test_no_ipvs_mode_from_1_40_on(kernel, version, effective):
    facts = node(kernel, version)
    facts["kube_proxy"]["mode_effective"] = effective
    verdict = judge(facts)
    assert verdict["moments"]["reboot"]["kube_proxy"] == "does_not_start"
    assert "kube_proxy_cannot_start" in keys(verdict)
    assert verdict["plan"]["action"] == ("upgrade_kernel" if kernel == "A" else "switch_mode")


@pytest.mark.parametrize("version", ["1.40.0-alpha.1", "1.40.1", "1.42.9"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_one_that_runs_in_ipvs_mode_all_the_same_starts_again(kernel, version):
    """From 1.40 to 1.42 a feature gate decides; where kube-proxy was seen in IPVS mode it is set."""
    verdict, before = judge(node(kernel, version, 1)), judge(node(kernel, "1.39.0", 1))
    assert "kube_proxy_cannot_start" not in keys(verdict)
    assert "ipvs_removal" in keys(verdict)
    assert [(entry["value"], entry["verdict"]) for entry in verdict["moments"].values()] == [
        (entry["value"], entry["verdict"]) for entry in before["moments"].values()
    ]
    assert verdict["plan"]["action"] == before["plan"]["action"]


def test_one_that_does_not_run_was_not_seen_in_ipvs_mode():
    facts = node("E", "1.40.1", 1)
    facts["kube_proxy"]["running"] = False
    assert "kube_proxy_cannot_start" in keys(judge(facts))


@pytest.mark.parametrize(
    ("version", "runs", "behaviour"),
    [
        ("1.40.1", False, ("fail", "K4", "inferred")),
        ("1.40.1", True, ("leave", "K3", "inferred")),
        ("1.43.0", True, ("fail", "K4", "reported")),
        ("1.39.0", True, ("leave", "K3", "proven")),
    ],
)
def test_how_sure_the_end_of_ipvs_mode_is(version, runs, behaviour):
    found = at_start(version, leading_version("6.1.0"), False, runs)
    assert (found.action, found.group, found.confidence) == behaviour


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.8.0", "K0"),
        ("1.10.13", "K0"),
        ("1.11.0", "K0"),
        ("1.11.6", "K0"),
        ("1.11.7", "K1"),
        ("1.11.10", "K1"),
        ("1.12.0", "K0"),
        ("1.12.4", "K0"),
        ("1.12.5", "K1"),
        ("1.13.0", "K1"),
        ("1.14.0", "K1"),
        ("1.15.12", "K1"),
        ("1.16.0", "K1"),
        ("1.17.17", "K1"),
        ("1.18.0", "K1"),
        ("1.18.20", "K1"),
        ("1.19.0-alpha.1", "K2"),
        ("1.19.0", "K2"),
        ("1.19.16", "K2"),
        ("1.20.0", "K2"),
        ("1.20.2", "K2"),
        ("1.20.14", "K2"),
        ("1.20.15", "K3"),
        ("1.21.0-rc.0", "K2"),
        ("1.21.0", "K2"),
        ("1.21.8", "K2"),
        ("1.21.9", "K3"),
        ("1.21.14", "K3"),
        ("1.22.0-rc.0", "K3"),
        ("1.22.0", "K3"),
        ("1.30.4", "K3"),
        ("1.39.9", "K3"),
        ("1.40.0", "K4"),
        ("1.43.1", "K4"),
        ("v1.28.5+k3s1", "K3"),
        ("1.20.6-tke.33", "K2"),
        ("v1.34.1-aliyun.1", "K3"),
        ("v1.19.16-r4", "K2"),
        ("1.28.13-eks-a5ec690", "K3"),
        ("1.7.3", None),
        ("1.22.0-alpha.1", None),
        ("", None),
        (None, None),
        ("latest", None),
        ("1", None),
    ],
)
def test_class_of_a_version(version, expected):
    assert upstream_class(version) == expected


@pytest.mark.parametrize(
    ("version", "kernel", "action"),
    [
        # Huawei CCE on EulerOS 2.5
        ("1.19.16-r59", "3.10.0-862.14.1.5.h520.eulerosv2r7.x86_64", "leave"),
        ("1.19.16-r60", "3.10.0-862.14.1.5.h520.eulerosv2r7.x86_64", "write"),
        ("v1.21.11-r19", "3.10.0-1160.el7.x86_64", "leave"),
        ("v1.21.11-r20", "3.10.0-1160.el7.x86_64", "write"),
        ("v1.23.10-r0", "3.10.0-1160.el7.x86_64", "write"),
        ("v1.23.9-r9", "3.10.0-1160.el7.x86_64", "leave"),
        ("v1.25.5-r0", "3.10.0-1160.el7.x86_64", "write"),
        ("v1.27.2-r0", "3.10.0-1160.el7.x86_64", "write"),
        ("v1.25.5-r0", "5.10.0-60.18.0.50.r865_35.hce2.x86_64", "leave"),
        ("v1.25.5-r0", "4.18.0-147.5.1.6.h686.eulerosv2r9.x86_64", "write"),
        # the bounds, and how kube-proxy reads them: the leading number alone
        ("1.20.2", "4.1.0", "write"),
        ("1.20.2", "4.0.9", "leave"),
        ("1.22.3", "5.8.18", "write"),
        ("1.22.3", "5.9.0-rc1", "leave"),
        ("1.22.3", "5.9.0", "leave"),
        ("1.22.3", "not a kernel", "unknown"),
        ("not a version", "5.10.0", "unknown"),
        ("1.10.5", "not a kernel", "leave"),
    ],
)
def test_what_a_build_does_at_its_start(version, kernel, action):
    assert at_start(version, leading_version(kernel)).action == action


class TestReboot:
    def test_starts_from_the_kernels_own_value(self):
        assert judge(node("E", "K3", 0))["moments"]["reboot"] == {"value": 1, "verdict": SAFE}

    def test_a_sysctl_file_decides_where_kube_proxy_leaves_it(self):
        entry = judge(node("E", "K3", 1, writers=[sysctl_file(0)]))["moments"]["reboot"]
        assert entry == {"value": 0, "verdict": STALE, "writer": "/etc/sysctl.d/99-tuning.conf"}

    def test_kube_proxy_comes_after_the_files(self):
        assert judge(node("D", "K2", 1, writers=[sysctl_file(1)]))["moments"]["reboot"]["writer"] == "kube-proxy"

    def test_a_file_that_never_fires_changes_nothing(self):
        entry = judge(node("E", "K3", 1, writers=[sysctl_file(0, moments=())]))["moments"]["reboot"]
        assert entry == {"value": 1, "verdict": SAFE}

    def test_the_winner_of_several_decides(self):
        loser = {**sysctl_file(0, path="/etc/sysctl.d/zz.conf"), "wins": []}
        entry = judge(node("E", "K3", 1, writers=[sysctl_file(1), loser]))["moments"]["reboot"]
        assert entry["value"] == 1

    def test_expire_nodest_conn_comes_with_kube_proxy(self):
        old = judge(node("E+weight", "1.12.4", 1, expire=1, writers=[sysctl_file(0)]))["moments"]["reboot"]
        new = judge(node("E+weight", "1.22.3", 1, expire=0, writers=[sysctl_file(0)]))["moments"]["reboot"]
        assert (old["verdict"], new["verdict"]) == (STALE, UNEVEN)


class TestKubeletRestart:
    def test_leaves_everything_alone(self):
        assert judge(node("D", "K2", 1))["moments"]["kubelet_restart"] == {"value": 1, "verdict": SAFE}

    def test_a_pre_start_script_writes(self):
        script = sysctl_file(0, ("kubelet_restart", "reboot"), "/usr/bin/kubelet-pre-start.sh", "kubelet_pre_start")
        entries = judge(node("E", "K3", 1, form="daemonset", writers=[script]))["moments"]
        assert entries["kubelet_restart"] == {"value": 0, "verdict": STALE, "writer": "/usr/bin/kubelet-pre-start.sh"}
        assert entries["reboot"]["value"] == 0
        assert entries["kube_proxy_restart"]["value"] == 1

    @pytest.mark.parametrize(
        ("form", "version", "value"),
        [
            ("k3s", "1.28.5+k3s1", 0),
            ("microk8s", "1.28.3", 0),
            ("microk8s", "1.20.5", 1),
            ("rke2", "1.27.12+rke2r1", 1),
            ("rke2", "1.27.13+rke2r1", 0),
            ("rke2", "1.28.8+rke2r1", 1),
            ("rke2", "1.28.9+rke2r1", 0),
            ("rke2", "1.29.3+rke2r1", 1),
            ("rke2", "1.30.1+rke2r1", 0),
            ("systemd", "1.28.5", 1),
        ],
    )
    def test_kube_proxy_in_the_kubelets_process_starts_too(self, form, version, value):
        assert judge(node("D", version, 1, form=form))["moments"]["kubelet_restart"]["value"] == value


class TestLateAtBoot:
    """What waits before it writes does so after kube-proxy, most likely."""

    late = "/etc/cron.d/late"

    def reboot(self, *writers, kernel="D", kube_proxy="K2"):
        return judge(node(kernel, kube_proxy, 1, writers=list(writers)))["moments"]["reboot"]

    @pytest.mark.parametrize("kind", ["cron", "unit", "rc_local"])
    def test_it_has_the_last_word(self, kind):
        expected = {"value": 1, "verdict": SAFE, "writer": self.late, "confidence": "inferred"}
        assert self.reboot(sysctl_file(1, path=self.late, kind=kind, waits=True)) == expected
        assert self.reboot(sysctl_file(1, path=self.late, kind=kind, waits=False)) == {"value": 0, "verdict": STALE, "writer": "kube-proxy"}

    def test_the_other_moments_are_as_without_it(self):
        entries = judge(node("D", "K2", 1, writers=[sysctl_file(1, path=self.late, kind="cron", waits=True)]))["moments"]
        assert (entries["kube_proxy_restart"]["value"], entries["kubelet_restart"]["value"]) == (0, 1)

    def test_the_same_value_is_as_sure_as_without_it(self):
        assert self.reboot(sysctl_file(0, path=self.late, kind="cron", waits=True)) == {"value": 0, "verdict": STALE, "writer": "kube-proxy"}

    def test_an_early_one_counts_before_kube_proxy(self):
        early, late = sysctl_file(1, wins=[]), sysctl_file(0, path=self.late, kind="cron", waits=True)
        assert self.reboot(early, late, kernel="E", kube_proxy="K3") == {"value": 0, "verdict": STALE, "writer": self.late, "confidence": "inferred"}
        early, late = sysctl_file(0, wins=[]), sysctl_file(0, path=self.late, kind="cron", waits=True)
        assert self.reboot(early, late, kernel="E", kube_proxy="K3") == {"value": 0, "verdict": STALE, "writer": early["path"]}

    def test_what_belongs_to_kube_proxys_start_is_not_late(self):
        before = sysctl_file(1, ("kube_proxy_restart", "reboot"), "/etc/systemd/system/kube-proxy.service", "unit", waits=True)
        assert self.reboot(before)["writer"] == "kube-proxy"
        assert self.reboot(sysctl_file(1, ("kubelet_restart", "reboot"), kind="kubelet_pre_start", waits=True))["writer"] == "kube-proxy"

    def test_what_writes_again_and_again_comes_after_it(self):
        again = sysctl_file(0, (), "/etc/cron.d/again", "cron", period_seconds=60)
        assert self.reboot(again, sysctl_file(1, path=self.late, kind="cron", waits=True))["writer"] == "/etc/cron.d/again"


class TestGuards:
    guard = {"kind": "exec_start_post", "path": "/etc/systemd/system/kube-proxy.service.d/x.conf", "value": 1, "waits": False, "period_seconds": None}

    def test_one_that_does_not_wait_loses(self):
        verdict = judge(node("D", "K2", 1, hold={"guards": [self.guard]}))
        assert verdict["moments"]["kube_proxy_restart"]["value"] == 0
        assert "guard_loses_race" in keys(verdict)

    def test_one_that_waits_is_believed_but_not_proven(self):
        verdict = judge(node("D", "K2", 1, hold={"guards": [{**self.guard, "waits": True}]}))
        assert verdict["moments"]["kube_proxy_restart"] == {"value": 1, "verdict": SAFE, "writer": self.guard["path"], "confidence": "inferred"}
        assert "unproven_guard" in keys(verdict)

    def test_one_that_writes_again_and_again_has_the_last_word(self):
        cron = sysctl_file(1, (), "/etc/cron.d/reuse", "cron", period_seconds=60)
        assert judge(node("D", "K2", 1, writers=[cron]))["moments"]["reboot"]["value"] == 1

    def test_it_is_not_needed_where_kube_proxy_leaves_the_value_alone(self):
        verdict = judge(node("E", "K3", 0, hold={"guards": [self.guard]}))
        assert verdict["moments"]["kube_proxy_restart"]["value"] == 1


class TestSafeValue:
    @pytest.mark.parametrize(("kernel", "expected"), [("A", None), ("B", None), ("C", None), ("D", 1), ("E", 1), ("weird", None)])
    def test_by_kernel(self, kernel, expected):
        for version in VERSIONS:
            assert safe_conn_reuse_mode(node(kernel, version)) == expected

    def test_zero_only_without_the_fix_where_weight_zero_is_respected(self):
        policy = {"capabilities": {"reuse_without_drop": "no", "respects_zero_weight": "yes"}}
        assert safe_conn_reuse_mode(node("C"), policy) == 0

    def test_no_zero_on_a_kernel_that_lacks_the_fix_only_by_inference(self):
        """A changelog that is cut may name the later fix alone."""
        facts = node("5.4.50-1.ph3", "K2")
        facts["kernel"]["changelog"] = {"package": "linux", "found": {"respects_zero_weight": "- ipvs: Fix reuse connection if RS weight is 0"}}
        verdict = judge(facts)
        assert [verdict["capabilities"][name]["state"] for name in ("reuse_without_drop", "respects_zero_weight")] == ["no", "yes"]
        assert safe_conn_reuse_mode(facts) is None
        assert verdict["plan"]["action"] == "decide"

    @pytest.mark.parametrize("release", ["5.4.50-1.ph3", "4.19.112+", "4.19.124-flatcar"])
    def test_where_nothing_else_is_known_the_owner_still_decides(self, release):
        assert judge(node(release, "K2", 1))["plan"]["action"] == "decide"

    def test_none_outside_ipvs_mode(self):
        for mode in ("iptables", "nftables", None):
            assert safe_conn_reuse_mode(node("D", mode=mode)) is None


class TestVerdictOfNow:
    def test_conntrack_off(self):
        """Measured on an unfixed kernel: without conntrack no SYN is dropped."""
        assert judge(node("C", "K0", 1, conntrack=0))["moments"]["now"]["verdict"] == SAFE
        # Measured (docs/measured.md): with 0 a kernel that does not respect the weight sticks, whether conntrack is used or not.
        assert judge(node("C", "K0", 0, conntrack=0))["moments"]["now"]["verdict"] == STALE
        assert judge(node("E+weight", "K0", 0, conntrack=0))["moments"]["now"]["verdict"] == UNEVEN

    def test_weight_zero_needs_expire_nodest_conn(self):
        assert judge(node("E+weight", "K3", 0))["moments"]["now"]["verdict"] == UNEVEN
        verdict = judge(node("E+weight", "K3", 0, expire=0))
        assert verdict["moments"]["now"]["verdict"] == STALE
        assert "expire_nodest_conn_off" in keys(verdict)

    @pytest.mark.parametrize("value", [2, 3, 4, -1])
    def test_any_other_value_acts_like_one(self, value):
        verdict = judge(node("E", "K3", value))
        assert verdict["moments"]["now"] == {"value": value, "verdict": SAFE}
        assert "unusual_value" in keys(verdict)

    def test_not_ipvs(self):
        verdict = judge(node("C", "K2", 0, mode="iptables"))
        assert verdict["verdict"] == "not_applicable"
        assert {entry["verdict"] for entry in verdict["moments"].values()} == {"not_applicable"}
        assert verdict["plan"]["action"] == "none"

    def test_mode_not_known(self):
        assert judge(node("D", "K2", 1, mode=None))["verdict"] == "unknown"

    def test_configured_for_ipvs_without_ip_vs(self):
        facts = node("D", "1.20.2", None)
        facts["kernel"]["ip_vs"] = "absent"
        facts["kube_proxy"] |= {"mode_effective": None, "mode_source": "config_file"}
        verdict = judge(facts)
        assert verdict["verdict"] == "unknown"
        assert verdict["plan"]["action"] == "none"
        assert "ip_vs_not_loaded" in keys(verdict)

    def test_nothing_known_of_the_kernel(self):
        verdict = judge(node("weird", "K2", 1))
        assert verdict["verdict"] == "unknown"
        assert verdict["plan"]["action"] == "probe"


class TestPlan:
    @pytest.mark.parametrize(
        ("kernel", "version", "value", "action"),
        [
            ("D", "K0", 1, "none"),
            ("D", "K1", 0, "hold"),
            ("D", "K2", 1, "hold"),
            ("D", "K3", 0, "hold"),
            ("E", "K3", 1, "none"),
            ("E", "K3", 0, "set"),
            ("E", "K2", 0, "hold"),
            ("E+weight", "K2", 0, "hold"),
            ("B", "K2", 1, "decide"),
            ("C", "K2", 0, "decide"),
            ("A", "K2", None, "upgrade_kernel"),
            ("weird", "K3", 0, "probe"),
        ],
    )
    def test_action(self, kernel, version, value, action):
        assert judge(node(kernel, version, value))["plan"]["action"] == action

    def test_a_file_that_sets_zero_is_named(self):
        plan = judge(node("E", "K3", 1, writers=[sysctl_file(0)]))["plan"]
        assert (plan["action"], plan["neutralise"]) == ("set", ["/etc/sysctl.d/99-tuning.conf"])

    def test_kube_router_needs_a_hold(self):
        router = {"kind": "kube_router", "path": None, "value": 0, "moments": ["reboot"], "wins": ["reboot"], "period_seconds": None}
        assert judge(node("E", "K3", 1, writers=[router]))["plan"]["action"] == "hold"

    def test_version_not_known_is_held(self):
        assert judge(node("D", None, 1))["plan"]["action"] == "hold"

    def test_endpoints_bug_of_1_18_on_3_10(self):
        verdict = judge(node("B", "1.18.2", 0))
        assert verdict["plan"]["action"] == "upgrade_kube_proxy"
        assert "kube_proxy_bug" in keys(verdict)
        assert "kube_proxy_bug" not in keys(judge(node("B", "1.18.3", 0)))

    @pytest.mark.parametrize(
        ("version", "kernel", "found"),
        [
            ("1.10.13", "4.19.12-1.el7.elrepo.x86_64", True),
            ("1.11.2", "5.4.100-1.el7.elrepo.x86_64", True),
            ("1.11.8", "4.19.0", True),
            ("1.12.3", "4.19.12-1.el7.elrepo.x86_64", True),
            ("1.12.6", "4.19.0", True),
            # the first that can have the back-port
            ("1.11.9", "4.19.0", False),
            ("1.12.7", "4.19.0", False),
            ("1.13.0", "4.19.0", False),
            ("1.12.3", "4.18.0-193.el8.x86_64", False),
        ],
    )
    def test_the_module_that_was_renamed_in_4_19(self, version, kernel, found):
        verdict = judge(node(kernel, version, 1))
        assert ("kube_proxy_bug" in keys(verdict)) == found
        assert verdict["plan"]["action"] != "upgrade_kube_proxy", "kube-proxy goes on in iptables mode"

    def test_decide_says_whether_the_load_is_there(self):
        ports = {"first": 32768, "last": 60999, "count": 28232}

        def reason(waiting, sampled=28232):
            pair = {"client": "10.0.0.5", "service": "10.96.0.10:80", "protocol": "TCP", "connections": waiting, "time_wait": waiting}
            pressure = {"ephemeral_ports": ports, "sampled_connections": sampled, "sample_complete": True, "busiest": [pair]}
            return judge(node("C", "K2", 0, pressure=pressure))["plan"]["reason"]

        assert "235 the" not in reason(10)
        assert "not under the load" in reason(10)
        assert "above the 235" in reason(28232)
        assert "near the 235" in reason(10000)
        assert "was not measured" in judge(node("C", "K2", 0))["plan"]["reason"]

    def test_a_cut_sample_is_scaled_up(self):
        pair = {"client": "10.0.0.5", "service": "10.96.0.10:80", "protocol": "TCP", "connections": 5000, "time_wait": 5000}
        pressure = {"ephemeral_ports": {"count": 28232}, "sampled_connections": 10000, "sample_complete": False, "busiest": [pair]}
        table = {"active_connections": 1000, "inactive_connections": 99000}
        assert "about 416 connections per second" in judge(node("C", "K2", 0, pressure=pressure, table=table))["plan"]["reason"]


class TestFindings:
    def test_stuck_destinations(self):
        table = {"stuck": 2, "stuck_connections": 40}
        assert "stuck_destinations" in keys(judge(node("D", "K2", 0, table=table)))
        assert "draining_destinations" in keys(judge(node("D", "K2", 1, table=table)))

    def test_a_kernel_that_respects_the_weight_lets_them_drain(self):
        """Measured on 6.1 (molecule/default): with 0, a used port no longer reaches a backend with weight 0."""
        table = {"stuck": 2, "stuck_connections": 40}
        assert "draining_destinations" in keys(judge(node("E+weight", "K2", 0, table=table)))
        assert "stuck_destinations" in keys(judge(node("E+weight", "K2", 0, expire=0, table=table)))

    def test_leftovers_of_another_mode(self):
        table = {"services": 3, "kube_ipvs0": {"exists": True, "addresses": 3}}
        assert "leftover_ipvs_state" in keys(judge(node("D", "K2", 0, mode="iptables", table=table)))
        assert "leftover_ipvs_state" not in keys(judge(node("D", "K2", 0, table=table)))

    def test_services_of_a_director_are_no_leftovers(self):
        table = {"services": 3, "foreign": 3, "kube_ipvs0": {"exists": False, "addresses": 0}}
        assert keys(judge(node("D", "K2", 0, mode="iptables", table=table))) == ["foreign_ipvs_services"]

    def test_stale_zero(self):
        assert "stale_zero" in keys(judge(node("E", "K3", 0)))
        assert "stale_zero" not in keys(judge(node("E", "K2", 0)))

    def test_not_persistent_names_the_moment_and_the_writer(self):
        finding = next(entry for entry in judge(node("D", "K2", 1))["findings"] if entry["key"] == "not_persistent")
        assert "the next start of kube-proxy sets 0 (kube-proxy)" in finding["text"]

    def test_removal_plan(self):
        assert "ipvs_removal" not in keys(judge(node("E", "1.34.1", 1)))
        assert "1.37" in next(entry["text"] for entry in judge(node("E", "1.38.0", 1))["findings"] if entry["key"] == "ipvs_removal")

    def test_worst_first(self):
        severities = [
            entry["severity"]
            for entry in judge(node("D", "1.20.2-tke.1", 1, writers=[sysctl_file(1)], unreadable=[{"path": "/x", "reason": "y"}]))["findings"]
        ]
        order = ["critical", "high", "medium", "low", "info"]
        assert severities == sorted(severities, key=order.index)
