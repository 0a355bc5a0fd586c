# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that are disturbed and complete all the same: the node or the controller goes away, other programs set the value."""

from __future__ import annotations

import time

import pytest

from fault_tools import RECORD, SERVICE, UNIT, assert_repaired, kill_when
from lab_tests import lab, say, wait_until


@pytest.fixture(name="node", scope="module")
def node_fixture(fleet):
    """The node of this module: a kernel above 5.9 with an older kube-proxy."""
    return fleet.node("fixed-above-5-9")


@pytest.mark.parametrize("power", ["reboot", "power cut"])
def test_a_node_that_goes_away_between_change_and_gate(fleet, untouched, power):
    """The run ends well or says that it did not; the next one completes it."""
    boot = untouched.boot()
    untouched.attempt("sync")
    waiting = untouched.start(f"until test -e {RECORD}; do sleep 0.02; done; {'systemctl reboot' if power == 'reboot' else 'echo there'}; read -r _")
    run = fleet.start("remediate", untouched)
    if power != "reboot":
        assert waiting.stdout.readline() == "there\n"
        untouched.forget()
        lab("stop", untouched.name)
        lab("up", untouched.name)
    ended = run.end()
    waiting.kill()
    untouched.forget()
    untouched.wait_for_boot(boot)
    remediation = ended.assert_result(untouched, "changed", "failed", "unreachable")
    say(f"{power}: first run {remediation['result']}, rolled back: {remediation['rolled_back']}: {remediation['reason'][:300]}")
    assert (ended.status == 0) == (remediation["result"] == "changed")
    if remediation["rolled_back"]:
        assert not untouched.has(RECORD)
    assert_repaired(fleet, untouched)


RECORD_THERE = f"until test -e {RECORD}; do sleep 0.02; done"
SERVICE_RUNS = f"until systemctl is-active --quiet {SERVICE}; do sleep 0.1; done"
ANOTHER_PROCESS = (
    f"old=$(systemctl show --property=MainPID --value {UNIT}); new=$old; "
    f"while test $new = $old -o $new = 0; do sleep 0.1; new=$(systemctl show --property=MainPID --value {UNIT}); done"
)


def test_a_controller_that_is_killed_three_times(fleet, untouched):
    """When the record is there, when the service has been started, and when the gate has restarted kube-proxy. The fourth run completes it."""
    for moment in (RECORD_THERE, SERVICE_RUNS, ANOTHER_PROCESS):
        kill_when(fleet, untouched, moment)
    remediation = assert_repaired(fleet, untouched)
    say(f"controller killed three times: the fourth run: {remediation['result']}, its proof: {remediation['proof']}")


@pytest.mark.parametrize("moment", [RECORD_THERE, ANOTHER_PROCESS], ids=["record", "gate"])
def test_a_killed_run_is_taken_back(fleet, untouched, moment):
    """`rollback` in place of a second run."""
    before = untouched.state()
    kill_when(fleet, untouched, moment)
    ended = fleet.play("rollback", untouched)
    ended.assert_result(untouched, "changed")
    assert ended.status == 0
    untouched.wait_until_healthy()
    assert untouched.state() == before


SYSCTL_FILE = """\
# Kubernetes, as sealos installs it
net.ipv4.ip_forward = 1
net.ipv4.vs.conn_reuse_mode=0
net.ipv4.vs.conntrack = 1
"""
PRE_START = """\
#!/bin/sh
# Open ipvs
modprobe -- ip_vs
sysctl --system >/dev/null
"""
SECOND = """\
#!/bin/sh
set -e
sysctl -w net.ipv4.vs.conn_reuse_mode=0
sysctl -q -w net.ipv4.vs.conntrack=1
"""
KUBELET = """\
[Unit]
Description=kubelet: The Kubernetes Node Agent

[Service]
ExecStartPre=/usr/local/bin/kubelet-pre-start.sh
ExecStart=/bin/sleep infinity
Restart=always

[Install]
WantedBy=multi-user.target
"""
AGENT = """\
[Unit]
Description=A node agent that knows better
After=kube-proxy.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/bin/acme-tuning.sh

[Install]
WantedBy=multi-user.target
"""
WRITERS = {
    "/etc/sysctl.d/sealos-k8s.conf": (SYSCTL_FILE, "0640"), "/usr/local/bin/kubelet-pre-start.sh": (PRE_START, "0755"),
    "/usr/local/bin/acme-tuning.sh": (SECOND, "0700"), "/etc/systemd/system/kubelet.service": (KUBELET, "0644"),
    "/etc/systemd/system/acme-tuning.service": (AGENT, "0644"),
}


def test_second_writers(fleet, untouched):
    """A sysctl file that the kubelet's start applies, and a unit whose script sets 0: both are neutralised, neither wins, both come back."""
    files = " ".join(WRITERS)
    undo = f"systemctl disable --now -q kubelet acme-tuning; rm -f {files}; systemctl daemon-reload"
    with untouched.fault("true", undo):
        for path, (text, mode) in WRITERS.items():
            untouched.put(path, text, mode)
        untouched.run(
            "chown nobody:nogroup /etc/sysctl.d/sealos-k8s.conf; touch -d '2021-03-04 05:06:07.123456789' /etc/sysctl.d/sealos-k8s.conf; "
            "systemctl daemon-reload; systemctl enable --now -q kubelet acme-tuning; systemctl restart kubelet")
        before = untouched.state()
        remediation = fleet.play("remediate", untouched).assert_result(untouched, "changed")
        assert sorted(remediation["neutralised"]) == ["/etc/sysctl.d/sealos-k8s.conf", "/usr/local/bin/acme-tuning.sh"]
        assert untouched.run("cat /etc/sysctl.d/sealos-k8s.conf") == SYSCTL_FILE.replace(
            "net.ipv4.vs.conn_reuse_mode=0", "# kubeproxy.ipvs: net.ipv4.vs.conn_reuse_mode=0").strip()
        assert untouched.run("stat -c '%a %U %G' /etc/sysctl.d/sealos-k8s.conf /usr/local/bin/acme-tuning.sh") == "640 nobody nogroup\n700 root root"
        script = untouched.run("cat /usr/local/bin/acme-tuning.sh").splitlines()
        assert script[3] == "sysctl -w net.ipv4.vs.conn_reuse_mode=1" and script[2].startswith("# kubeproxy.ipvs: ")
        assert script[:2] + script[4:] == SECOND.splitlines()[:2] + SECOND.splitlines()[3:]
        with untouched.watch() as watch:
            untouched.run("systemctl restart kubelet acme-tuning")
            time.sleep(2)
        assert watch.values() == ["1", "end"], "nobody sets 0 any more"
        untouched.reboot()
        wait_until(lambda: untouched.value() == "1", "1 after the boot")
        assert untouched.run("systemctl is-active kubelet acme-tuning") == "active\nactive"
        fleet.play("rollback", untouched).assert_result(untouched, "changed")
        assert untouched.state() == before
