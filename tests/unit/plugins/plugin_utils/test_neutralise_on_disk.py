# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From files of a node to its facts, to what is to be changed, to the changed files: what is told as taken away is gone, all else is held against."""

from __future__ import annotations

import pytest
from node_trees import write_tree
from nodes import node

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.hold import read_hold
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_changes import RecordedChanges
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import Units
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.writers import read_writers
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.holding import holding
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.neutralise import NOT_ONE_LINE
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import judge

KEY = "net.ipv4.vs.conn_reuse_mode"
WANTED = "/etc/systemd/system/multi-user.target.wants/"
PROXY = {"form": "systemd", "unit": "kube-proxy.service"}
UNIT = {
    "/etc/systemd/system/kube-proxy.service": "[Service]\nExecStart=/usr/bin/kube-proxy --proxy-mode=ipvs\n",
    WANTED + "kube-proxy.service": ("link", "/etc/systemd/system/kube-proxy.service"),
}


def oneshot(command):
    """The files of a unit that runs a command at boot; COMMAND is its line."""
    path = "/etc/systemd/system/tune.service"
    return {path: f"[Service]\nType=oneshot\n{command}\n", WANTED + "tune.service": ("link", path)}


class OnDisk:
    """A node on the disk, whose kernel value is 1 now."""

    def __init__(self, folder, files, executable, kernel="E+weight", loaded=True):
        self.root = str(write_tree(folder / "node", {**UNIT, **files}))
        self.directory = str(folder / "records")
        self.release, self.kernel = kernel, {"ip_vs": "loaded", "ip_vs_loaded_at_boot": [{"path": "/etc/modules", "line": 1}] if loaded else []}
        for path in executable:
            (folder / "node" / path.lstrip("/")).chmod(0o755)

    def facts(self):
        tree = NodeFiles(self.root)
        writers = read_writers(tree, self.kernel, Units(tree), PROXY)
        hold = {**read_hold(tree, PROXY, writers, None), "service_manager": "systemd"}
        facts = node(self.release, "K3", writers=writers, hold=hold)
        return {**facts, "kernel": {**facts["kernel"], **self.kernel}, "kube_proxy": {**facts["kube_proxy"], **PROXY}}

    def changed(self):
        """What was decided, after its edits were made."""
        wanted = holding(self.facts())
        changes = RecordedChanges(self.directory, "conn_reuse_mode")
        changes.apply([{**edit, "path": self.root + edit["path"]} for edit in wanted["edits"]], [], {})
        assert [entry["action"] for entry in changes.files] == ["changed"] * len(wanted["edits"])
        return wanted


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/sysctl.d/9.conf", f"{KEY}=0\n"),
        ("/etc/sysctl.d/9.conf", f"  {KEY} = 0 \t\r\n"),
        ("/etc/rc.local", f"#!/bin/sh\nif true; then\n    sysctl -w {KEY}=0\nfi\n"),
        ("/etc/rc.local", "#!/bin/sh\ntune() {\n\techo 0 > /proc/sys/net/ipv4/vs/conn_reuse_mode\n}\ntune\n"),
        ("/etc/cron.d/a", f" @reboot root /sbin/sysctl -w {KEY}=0\n"),
        ("/etc/systemd/system/tune.service", f"[Service]\nType=oneshot\n  ExecStart = /sbin/sysctl -w {KEY}=0\n"),
    ],
)
def test_what_is_taken_away_is_gone(tmp_path, path, text):
    on_disk = OnDisk(tmp_path, {path: text, WANTED + "tune.service": ("link", "/etc/systemd/system/tune.service")}, {"/etc/rc.local"} & {path})
    assert judge(on_disk.facts())["moments"]["reboot"]["value"] == 0
    wanted = on_disk.changed()
    assert (wanted["action"], wanted["left"]) == ("set", [])
    assert {moment: entry["value"] for moment, entry in judge(on_disk.facts())["moments"].items()} == dict.fromkeys(
        ("now", "kube_proxy_restart", "kubelet_restart", "reboot"), 1
    )
    # The line keeps its place in the text.
    line = next(line for line in text.split("\n") if "conn_reuse_mode" in line)
    blanks = line[: len(line) - len(line.lstrip())]
    changed = (tmp_path / "node" / path.lstrip("/")).read_text(encoding="utf-8")
    assert all(line.startswith(f"{blanks}# kubeproxy.ipvs: ") for line in changed.split("\n") if "kubeproxy.ipvs" in line)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"/etc/rc.local": f"#!/bin/sh\nsysctl -w net.ipv4.vs.conntrack=1 \\\n    {KEY}=0\n"}, NOT_ONE_LINE),
        (oneshot(f"ExecStart=/sbin/sysctl -w \\\n  net.ipv4.vs.conntrack=1 \\\n  {KEY}=0"), NOT_ONE_LINE),
        (oneshot('ExecStart=/bin/sh -c "modprobe ip_vs; \\\n  echo 0 > /proc/sys/net/ipv4/vs/conn_reuse_mode"'), NOT_ONE_LINE),
        ({"/etc/udev/rules.d/9.rules": f'ACTION=="add", SUBSYSTEM=="module", KERNEL=="ip_vs", \\\n  RUN+="/sbin/sysctl -w {KEY}=0"\n'}, NOT_ONE_LINE),
        ({"/etc/modprobe.d/a.conf": f"install ip_vs /sbin/modprobe --ignore-install ip_vs && \\\n  /sbin/sysctl -w {KEY}=0\n"}, NOT_ONE_LINE),
        # An edit would look for U+FFFD.
        ({"/etc/rc.local": b"#!/bin/sh\nsysctl -w net.ipv4.vs.conn_reuse_mode=0 # \xff\n"}, NOT_ONE_LINE),
        ({"/usr/lib/sysctl.d/9.conf": f"{KEY}=0\n"}, "the file belongs to a package or is made anew at each boot"),
    ],
)
def test_what_is_left_is_held_against(tmp_path, files, reason):
    on_disk = OnDisk(tmp_path, files, [path for path in files if path == "/etc/rc.local"])
    assert judge(on_disk.facts())["moments"]["reboot"]["value"] == 0
    wanted = on_disk.changed()
    assert (wanted["action"], wanted["edits"], wanted["service"]) == ("hold", [], True)
    assert [entry["reason"] for entry in wanted["left"]] == [reason]


@pytest.mark.parametrize(
    ("line", "replaced"),
    [(f"\tExecStartPost=/sbin/sysctl -w {KEY}=1 ", True), (f"ExecStartPost=/sbin/sysctl -w \\\n {KEY}=1", False)],
)
def test_a_guard_that_stops_kube_proxy(tmp_path, line, replaced):
    path = "/etc/systemd/system/kube-proxy.service.d/10-guard.conf"
    # Here kube-proxy writes 0 at each start: something has to hold the value, and takes the place of the guard.
    on_disk = OnDisk(tmp_path, {path: f"[Service]\n{line}\n"}, [], kernel="D+weight", loaded=False)
    wanted = on_disk.changed()
    assert [edit["path"] for edit in wanted["edits"]] == ([path] if replaced else [])
    assert [entry["reason"] for entry in wanted["left"]] == ([] if replaced else [NOT_ONE_LINE])
    if replaced:
        assert (tmp_path / "node" / path.lstrip("/")).read_text(encoding="utf-8") == f"[Service]\n\t# kubeproxy.ipvs: {line.strip()}\n"
