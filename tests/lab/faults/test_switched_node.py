# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leaving IPVS while things break: the node ends up in one mode or the other, whole, and the next run completes what was cut off."""

from __future__ import annotations

import json
import time

import pytest

from fault_tools import MODE, MODE_RECORD, UNIT, kill_when
from lab_tests import lab, say, wait_until

CONFIGURATION = "/var/lib/kube-proxy/kube-proxy-config.yaml"
SHOP = "10.96.0.90"
# Somebody else's IPVS service, as keepalived or lvscare have them.
FOREIGN = "10.103.97.2"
MANY = 3000
# A node of the lab shares two cores with others.
CLEARED_SECONDS = 90
# The clearing makes it when it begins.
LOCK = "/run/kubeproxy.ipvs.leftovers.lock"
LEFT_OF_IPVS = f"""
ipvsadm --save --numeric | grep -v {FOREIGN}
ip -oneline link | grep kube-ipvs0
ipset list -name | grep ^KUBE-
iptables-legacy-save | grep -e :KUBE-NODE-PORT -e :KUBE-LOAD-BALANCER
true
"""
LEFT_OF_IPTABLES = "iptables-legacy-save | grep -e :KUBE-SVC- -e :KUBE-SEP- -e :KUBE-NODEPORTS || true"
IN_IPTABLES_MODE = f"until test \"$({MODE})\" = iptables; do sleep 0.1; done"


def asked(**more):
    """Arguments of a run that moves this node's kube-proxy, on whose kernel no value is safe."""
    return ["-e", json.dumps({"remediate_unfixed": "switch_mode", "audit_capabilities": {"reuse_without_drop": "no"}, **more})]


@pytest.fixture(name="node", scope="module")
def node_fixture(fleet):
    """The node of this module: no value is safe on it. Its cluster has a Service, which stays: nodes of other modules see it too."""
    node = fleet.node("unfixed-unknown")
    lab("service", "shop", SHOP)
    wait_until(lambda: f"{SHOP}:80 " in node.run("ipvsadm -Ln"), "the Service is there")
    return node


def answer(node, address=SHOP, port=80):
    """What a client is told there, or nothing."""
    told = f"exec 3<>/dev/tcp/{address}/{port} && printf x >&3 && head -c 9 <&3"
    return node.attempt(f"timeout 5 ip netns exec client-1 bash -c '{told}'").stdout


def assert_in_ipvs_mode(node):
    """It is, with nothing of the other mode, and clients are served."""
    assert node.mode() == "ipvs"
    wait_until(lambda: f"{SHOP}:80 " in node.run("ipvsadm -Ln"), "the Service is in the IPVS table")
    assert answer(node).startswith("backend-")
    assert node.run(LEFT_OF_IPTABLES) == ""
    assert not node.has(MODE_RECORD)


def assert_switched(node):
    """It is in iptables mode, with nothing of IPVS, and clients are served."""
    assert node.mode() == "iptables"
    assert node.run(LEFT_OF_IPVS) == ""
    assert answer(node).startswith("backend-")
    assert node.run(f"grep ^mode: {CONFIGURATION}") == 'mode: "iptables"'
    assert node.has(MODE_RECORD)


def complete(fleet, node, *results, **more):
    """The next run completes it; what the report says."""
    ended = fleet.play("remediate", node, arguments=asked(**more))
    remediation = ended.assert_result(node, *results)
    assert ended.status == 0
    assert_switched(node)
    return remediation


@pytest.fixture(autouse=True)
def in_ipvs_mode_again_fixture(node):
    """After the test and what puts the node back."""
    yield
    assert_in_ipvs_mode(node)


# sed gives the file another inode: kube-proxy ends by itself only when the one that it has read is written.
SAVED = f"cp -a {CONFIGURATION} {CONFIGURATION}.saved"
PUT_BACK = f"mv {CONFIGURATION}.saved {CONFIGURATION}"


def test_services_of_others(fleet, untouched):
    """They forbid the switch; where they are to stay, they survive it, and the way back. `--check --diff` shows the one line."""
    make = f"""
{SAVED}
sed -i '$a ipvs: {{excludeCIDRs: [10.103.97.0/24]}}  # keepalived' {CONFIGURATION}
systemctl restart {UNIT}
ip link add lvs0 type dummy
ip address add {FOREIGN}/32 dev lvs0
ip link set lvs0 up
"""
    undo = f"{PUT_BACK}; ipvsadm -D -t {FOREIGN}:6443; ip link delete lvs0; systemctl restart {UNIT}"
    with untouched.fault(make, undo):
        untouched.wait_until_healthy()
        untouched.run(f"ipvsadm -A -t {FOREIGN}:6443 -s rr; ipvsadm -a -t {FOREIGN}:6443 -r 10.244.3.2:8080 -m")
        assert answer(untouched, FOREIGN, 6443) == "backend-3"
        before, process = untouched.whole_state(), untouched.process()
        ended = fleet.play("remediate", untouched, arguments=asked())
        remediation = ended.assert_result(untouched, "left")
        assert f"the IPVS table has services that kube-proxy does not own (TCP {FOREIGN}:6443)" in remediation["reason"]
        ended = fleet.play("remediate", untouched, arguments=[*asked(kube_proxy_mode_foreign="keep"), "--check", "--diff"])
        # In check mode no report is written, but shown.
        assert ended.status == 0 and "1 node: 1 would_change" in ended.output, ended.output
        lines = [line for line in ended.output.splitlines() if line.startswith(("-mode", "+mode"))]
        assert lines == ['-mode: "ipvs"', '+mode: "iptables"'], ended.output
        assert (untouched.whole_state(), untouched.process()) == (before, process)
        complete(fleet, untouched, "changed", kube_proxy_mode_foreign="keep")
        assert answer(untouched, FOREIGN, 6443) == "backend-3"
        fleet.play("rollback", untouched).assert_result(untouched, "changed")
        assert untouched.whole_state() == before
        assert answer(untouched, FOREIGN, 6443) == "backend-3"
        assert_in_ipvs_mode(untouched)


@pytest.mark.parametrize(("edit", "sentence"), [
    # What the file says is not known at all then.
    ("s/^  kubeconfig:/\\tkubeconfig:/", f"{CONFIGURATION} (not understood: line 5: a tab indents)"),
    ("$a mode: ipvs", f"{CONFIGURATION}, line 17: the mode is given a second time, first in line 16"),
], ids=["tab", "second mode"])
def test_a_malformed_configuration(fleet, untouched, edit, sentence):
    """The node is left alone, and the report names file and line."""
    with untouched.fault(f"{SAVED}; sed -i '{edit}' {CONFIGURATION}", PUT_BACK):
        before, process = untouched.whole_state(), untouched.process()
        ended = fleet.play("remediate", untouched, arguments=asked())
        remediation = ended.assert_result(untouched, "left")
        findings = [finding["text"] for entry in ended.report["nodes"] for finding in entry["findings"]]
        assert any(sentence in text for text in [remediation["reason"], *findings]), ended.output
        assert (untouched.whole_state(), untouched.process()) == (before, process)


def test_kube_proxy_that_refuses_the_new_configuration(fleet, untouched):
    """The node is put back by itself, and the report says why."""
    with untouched.script_of_kube_proxy([f"ExecStartPre=/bin/sh -c '! grep -q iptables {CONFIGURATION}'"]):
        before = untouched.whole_state()
        began = time.monotonic()
        ended = fleet.play("remediate", untouched, arguments=asked(), wait_seconds=60)
        say(f"kube-proxy refuses its configuration: put back within {time.monotonic() - began:.0f} s")
        remediation = ended.assert_result(untouched, "failed")
        assert ended.status != 0
        assert remediation["rolled_back"] is True, remediation["reason"]
        assert "Restart kube-proxy and see that it is in the mode" in remediation["reason"] and UNIT in remediation["reason"]
        assert untouched.whole_state() == before
        assert_in_ipvs_mode(untouched)


def test_the_api_server_is_gone(fleet, untouched):
    """No kube-proxy starts without it, in whatever mode. The run ends, with the configuration of before; with the API server the next one completes it."""
    block = "OUTPUT --protocol tcp --destination 10.99.0.1 --dport 6443 --jump DROP"
    configuration = untouched.run(f"sha256sum {CONFIGURATION}")
    with untouched.fault(f"iptables --insert {block}", f"iptables --delete {block}"):
        began = time.monotonic()
        ended = fleet.play("remediate", untouched, arguments=asked(), wait_seconds=10)
        seconds = time.monotonic() - began
        remediation = ended.assert_result(untouched, "failed")
        say(f"API server gone during the switch: ended after {seconds:.0f} s, rolled back: {remediation['rolled_back']}: {remediation['reason']}")
        assert ended.status != 0
        assert "kube-proxy is not healthy" in remediation["reason"]
        assert untouched.run(f"sha256sum {CONFIGURATION}") == configuration
    untouched.wait_until_healthy()
    assert untouched.mode() == "ipvs"
    complete(fleet, untouched, "changed")


def test_a_reboot_between_restart_and_clearing(fleet, untouched):
    """The run says what it did; the next one completes it, here by a reboot in place of the clearing."""
    boot = untouched.boot()
    waiting = untouched.start(f"{IN_IPTABLES_MODE}; sync; systemctl reboot; read -r _")
    ended = fleet.play("remediate", untouched, arguments=asked())
    waiting.kill()
    untouched.forget()
    untouched.wait_for_boot(boot)
    remediation = ended.assert_result(untouched, "changed", "failed", "unreachable")
    say(f"reboot between restart and clearing: {remediation['result']}, rolled back: {remediation['rolled_back']}: {remediation['reason'][:300]}")
    assert (ended.status == 0) == (remediation["result"] == "changed")
    mode, boot = untouched.mode(), untouched.boot()
    assert mode == ("ipvs" if remediation["rolled_back"] else "iptables")
    complete(fleet, untouched, "changed", "unchanged", kube_proxy_mode_cleanup="reboot", kube_proxy_mode_reboot_command="systemctl reboot")
    assert mode == "iptables" or untouched.boot() != boot


def test_switched_by_hand_with_many_services(fleet, untouched):
    """What IPVS left is cleared in seconds, and nothing else is changed."""
    saved = "/run/iptables.saved"
    make = f"iptables-legacy-save >{saved}; {SAVED}; sed -i 's/^mode:.*/mode: iptables/' {CONFIGURATION}; systemctl restart {UNIT}"
    # The rules of IPVS mode name its sets.
    there = "timeout 60 bash -c 'until ipset list -name | grep -q ^KUBE-CLUSTER-IP; do sleep 0.2; done'"
    undo = f"{PUT_BACK}; systemctl restart {UNIT}; {there}; iptables-legacy-restore {saved}; rm {saved}"
    with untouched.fault(make, undo):
        wait_until(lambda: untouched.mode() == "iptables", "kube-proxy is in iptables mode")
        wait_until(lambda: ":KUBE-SVC-" in untouched.run("iptables-legacy-save -t nat"), "its rules are there")
        untouched.run(f"""
for a in $(seq 1 12); do for b in $(seq 1 {MANY // 12}); do echo "address add 10.97.$a.$b/32 dev kube-ipvs0"; done; done | ip -batch -
for a in $(seq 1 12); do for b in $(seq 1 {MANY // 12}); do echo "-A -t 10.97.$a.$b:80 -s rr"; done; done | ipvsadm -R
""")
        others = "iptables-legacy-save | grep -v -e '^[#:]' -e KUBE-"
        before, process, rules = untouched.whole_state(), untouched.process(), untouched.run(f"{others} | sort")
        gone = untouched.start("until ! ip link show kube-ipvs0; do sleep 0.1; done >/dev/null 2>&1; cut -d ' ' -f 1 /proc/uptime; read -r _")
        begun = untouched.start(f"rm -f {LOCK}; until test -e {LOCK}; do sleep 0.1; done; cut -d ' ' -f 1 /proc/uptime; read -r _")
        ended = fleet.play("remediate", untouched, arguments=["-e", "remediate_leftovers=clear"])
        remediation = ended.assert_result(untouched, "changed")
        seconds = float(gone.stdout.readline()) - float(begun.stdout.readline())
        for process_there in (gone, begun):
            process_there.kill()
        say(f"{remediation['cleared']['services']} services cleared in {seconds:.1f} s")
        assert remediation["cleared"]["services"] >= MANY and seconds < CLEARED_SECONDS
        assert untouched.run(LEFT_OF_IPVS) == ""
        assert answer(untouched).startswith("backend-")
        assert (untouched.process(), untouched.run(f"{others} | sort")) == (process, rules)
        assert [line for line in untouched.whole_state() if line not in before] == []
    untouched.wait_until_healthy()
    assert_in_ipvs_mode(untouched)


def test_two_runs_at_once(fleet, untouched):
    """Both come to an end, the node is right, and a third run finds nothing to do."""
    runs = [fleet.start("remediate", untouched, arguments=asked()) for _time in range(2)]
    ended = [run.end() for run in runs]
    outcomes = [one.of(untouched) for one in ended]
    for one, outcome in zip(ended, outcomes, strict=True):
        say(f"two switches at once: status {one.status}, {outcome['result']}, {outcome['reason'][:300]}")
        assert "Traceback" not in one.output, one.output
    untouched.wait_until_healthy()
    assert [outcome["result"] in ("changed", "unchanged") for outcome in outcomes] == [True, True]
    process = untouched.process()
    complete(fleet, untouched, "unchanged")
    assert untouched.process() == process


RECORDED = f"until test -e {MODE_RECORD}; do sleep 0.02; done"
CLEARING = "while ip link show kube-ipvs0 >/dev/null 2>&1; do sleep 0.05; done"


def test_a_killed_run_is_taken_back(fleet, untouched):
    """kube-proxy is in its new mode already: `rollback` in place of a second run."""
    before = untouched.whole_state()
    kill_when(fleet, untouched, IN_IPTABLES_MODE, arguments=asked())
    fleet.play("rollback", untouched).assert_result(untouched, "changed")
    untouched.wait_until_healthy()
    assert untouched.whole_state() == before
    assert_in_ipvs_mode(untouched)


def test_a_controller_that_is_killed_three_times(fleet, untouched):
    """When the record is there, when kube-proxy is in its new mode, and in the middle of clearing. The fourth run completes it."""
    for moment in (RECORDED, IN_IPTABLES_MODE, CLEARING):
        kill_when(fleet, untouched, moment, arguments=asked())
    remediation = complete(fleet, untouched, "changed", "unchanged")
    say(f"controller killed three times in a switch: the fourth run: {remediation['result']}, {remediation['reason']}")
