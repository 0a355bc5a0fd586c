# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines that set another value: which are touched, and what becomes of them."""

from __future__ import annotations

import pytest
from nodes import node, sysctl_file

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import shell_actions
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import read
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.neutralise import Edit, neutralise

KEY = "net.ipv4.vs.conn_reuse_mode"


def script(line, value=0, kind="kubelet_pre_start", moments=("kubelet_restart",), **more):
    """A writer that is a line of a script."""
    return {"kind": kind, "path": "/opt/start.sh", "line": 3, "text": line, "value": value, "moments": list(moments), "wins": list(moments), **more}


def edits(*writers, wanted=1):
    """(edits, what is left) of a node with these writers."""
    return neutralise(read(node(writers=list(writers))), wanted)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"sysctl -w {KEY}=0", f"sysctl -w {KEY}=1"),
        (f'  sysctl -w "{KEY}=0" net.core.somaxconn=0 || true', f'sysctl -w "{KEY}=1" net.core.somaxconn=0 || true'),
        ("echo 0 > /proc/sys/net/ipv4/vs/conn_reuse_mode", "echo 1 > /proc/sys/net/ipv4/vs/conn_reuse_mode"),
        ("echo 0 | sudo tee /proc/sys/net/ipv4/vs/conn_reuse_mode", "echo 1 | sudo tee /proc/sys/net/ipv4/vs/conn_reuse_mode"),
        ("printf '%s\\n' 0 >/proc/sys/net/ipv4/vs/conn_reuse_mode", "printf '%s\\n' 1 >/proc/sys/net/ipv4/vs/conn_reuse_mode"),
        (f"ExecStartPre=/sbin/sysctl -w {KEY}=0", f"ExecStartPre=/sbin/sysctl -w {KEY}=1"),
        (f"* * * * * root /sbin/sysctl -q -w {KEY}=0", f"* * * * * root /sbin/sysctl -q -w {KEY}=1"),
    ],
)
def test_a_command_gets_the_wanted_value(line, expected):
    found, left = edits(script(line.strip()))
    assert left == []
    assert found == [Edit("/opt/start.sh", line.strip(), f"# kubeproxy.ipvs: the value in the next line was another one\n{expected.strip()}")]
    assert {action.value for action in shell_actions.read_actions(found[0].replacement) if action.kind == shell_actions.WRITE} == {1}


def test_a_setting_becomes_a_comment():
    found, left = edits(sysctl_file(0))
    assert found == [Edit("/etc/sysctl.d/99-tuning.conf", f"{KEY} = 0", f"# kubeproxy.ipvs: {KEY} = 0")]
    assert left == []


@pytest.mark.parametrize("kind", ["ufw", "tuned"])
def test_settings_of_others(kind):
    assert len(edits(sysctl_file(0, kind=kind, path="/etc/ufw/sysctl.conf"))[0]) == 1


@pytest.mark.parametrize(
    "writer",
    [
        sysctl_file(1),
        sysctl_file(2),
        # Hidden by another file of the same name: nobody reads it.
        sysctl_file(0, moments=(), reason="masked by /etc/sysctl.d/99-tuning.conf"),
        script("sysctl -w x=0", moments=()),
        # The file that it reads is what is changed.
        script("sysctl --system", via="/etc/sysctl.d/99-tuning.conf"),
    ],
)
def test_what_is_not_touched(writer):
    assert edits(writer) == ([], [])


def test_a_line_that_comes_second_now_is_touched_too():
    """It would come first once the other one is gone."""
    found, dummy = edits(sysctl_file(0), sysctl_file(0, moments=(), path="/etc/sysctl.d/10-x.conf", reason="overridden by /etc/sysctl.d/99-tuning.conf"))
    assert [edit.path for edit in found] == ["/etc/sysctl.d/99-tuning.conf", "/etc/sysctl.d/10-x.conf"]


@pytest.mark.parametrize(
    ("writer", "reason"),
    [
        (sysctl_file(0, text="net.ipv4.vs.* = 0"), "its line does more than set this one key"),
        (script(f"sysctl -w {KEY}=$MODE", value=None), "the value that it writes cannot be read from its text"),
        (script("for f in conn_reuse_mode; do echo 0 > /proc/sys/net/ipv4/vs/$f; done"), "its text cannot be changed for certain"),
        (script(f"sysctl -w {KEY}=0" + " " * 200), "its line is too long"),
        ({"kind": "kube_router", "path": None, "value": 0, "moments": ["reboot"], "wins": []}, "a program writes it"),
    ],
)
def test_what_cannot_be_changed_is_told(writer, reason):
    found, left = edits(writer)
    assert found == []
    assert [entry.reason for entry in left] == [reason]


def test_the_other_way_round():
    found, dummy = edits(script(f"sysctl -w {KEY}=1", value=1), wanted=0)
    assert found[0].replacement.endswith(f"\nsysctl -w {KEY}=0")
