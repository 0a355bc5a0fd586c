# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that fail: kube-proxy does not bear the change, or the node's disk does not take it."""

from __future__ import annotations

import pytest

from fault_tools import RECORD, SCRIPT, UNIT, VALUE, assert_repaired
from lab_tests import say

CONFIGURATION = "/var/lib/kube-proxy/kube-proxy-config.yaml"
DROP_INS = f"/etc/systemd/system/{UNIT}.d"


@pytest.fixture(name="node", scope="module")
def node_fixture(fleet):
    """The node of this module: 5.10, where weight 0 is not respected while the value is 0."""
    return fleet.node("fixed-5-10")


@pytest.fixture(name="later")
def later_fixture(fleet):
    """A node that comes after the other in the batches. Its kube-proxy leaves the value alone, so that somebody's 0 is to be set once."""
    later = fleet.node("left-alone")
    later.run(f"echo 0 >{VALUE}")
    fleet.check_in(later)
    yield later
    fleet.put_back(later)


def test_kube_proxy_that_does_not_start_after_the_change(fleet, untouched, later):
    """The gate fails, the node is put back by itself and kube-proxy runs as before; the nodes of later batches are not begun."""
    process = later.process()
    state = later.state()
    # systemd does not try again by itself.
    with untouched.script_of_kube_proxy([f"ExecStartPre=/bin/sh -c '! test -e {SCRIPT}'", "Restart=no"]):
        before = untouched.state()
        ended = fleet.play("remediate", untouched, later)
        remediation = ended.assert_result(untouched, "failed")
        untouched.wait_until_healthy()
        assert untouched.state() == before
        assert remediation["rolled_back"] is True, remediation["reason"]
        assert "Gate | Restart kube-proxy" in remediation["reason"] and "systemctl restart" in remediation["reason"]
        assert remediation["after"]["value"] == 0
    assert ended.status != 0
    remediation = ended.assert_result(later, "not_attempted")
    assert remediation["reason"] == "too many nodes before it have failed"
    assert later.process() == process and later.state() == state


def test_kube_proxy_that_crashes_again_and_again(fleet, untouched):
    """Its configuration is broken, which only a restart shows. The node is put back, and repaired once the configuration is."""
    make = f"cp -a {CONFIGURATION} {CONFIGURATION}.saved; sed -i s/KubeProxyConfiguration/Nonsense/ {CONFIGURATION}"
    files = len(untouched.state())
    before = untouched.state()
    with untouched.fault(make, f"mv {CONFIGURATION}.saved {CONFIGURATION}"):
        ended = fleet.play("remediate", untouched)
        remediation = ended.assert_result(untouched, "failed")
        assert ended.status != 0
        after = untouched.state()
        assert len(after) == files and [line for line in after if not line.startswith("kube-proxy ")] == [
            line for line in before if not line.startswith("kube-proxy ")]
        say(f"kube-proxy crashes: {remediation['reason']}")
        assert "kube-proxy" in remediation["reason"] and UNIT in remediation["reason"]
        assert remediation["rolled_back"] is True
    untouched.wait_until_healthy()
    assert assert_repaired(fleet, untouched)["result"] == "changed"


def assert_refused(fleet, node, sentence):
    """A run fails with SENTENCE in its reason, nothing is changed, and kube-proxy is not restarted."""
    before, process = node.state(), node.process()
    ended = fleet.play("remediate", node)
    remediation = ended.assert_result(node, "failed")
    assert ended.status != 0
    assert sentence in remediation["reason"], remediation["reason"]
    assert node.state() == before
    assert "Nothing was changed." in remediation["reason"] or "could not be read" in sentence
    assert node.process() == process


def test_etc_is_read_only(fleet, untouched):
    """A sentence that names the path."""
    with untouched.fault("mount --bind /etc /etc; mount -o remount,bind,ro /etc", "umount /etc"):
        assert_refused(fleet, untouched, "/etc/kubeproxy.ipvs cannot be made: its file system is read-only")


FULL = """
for size in 100M 10M 1M 100K 4K; do
    while fallocate -l $size /fill.$((number += 1)) 2>/dev/null; do :; done
done
cat /dev/zero >/fill 2>/dev/null || true
"""
SMALL = "mkdir -p {0}; mount -t tmpfs -o size=4k,mode=755 none {0}; cat /dev/zero >{0}/fill 2>/dev/null || true"


@pytest.mark.parametrize(("folder", "sentence"), [
    ("/var/lib/kubeproxy.ipvs", f"{RECORD} cannot be written: no space is left on its file system. Nothing was changed."),
    (DROP_INS, f"{DROP_INS}/90-kubeproxy-ipvs.conf cannot be written: no space is left on its file system. Nothing was changed."),
])
def test_a_full_file_system(fleet, untouched, folder, sentence):
    """Of the record: nothing is begun. Of the last file: those before it are taken back."""
    with untouched.fault(SMALL.format(folder), f"umount {folder}; rmdir {folder}"):
        assert_refused(fleet, untouched, sentence)


def test_a_full_disk(fleet, untouched):
    """Not even Ansible can put its modules there: the node was not read, which is no success."""
    with untouched.fault(FULL, "rm -f /fill*"):
        assert_refused(fleet, untouched, "its facts could not be read")
