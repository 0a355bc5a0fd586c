# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the facts tell of the role conn_reuse_mode."""

from __future__ import annotations

import hashlib
import json

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.managed_hold import RECORD, SCRIPT, is_ours, read_managed
from ansible_collections.kubeproxy.ipvs.plugins.modules import ipvs_facts

LINK = "/etc/systemd/system/multi-user.target.wants/kubeproxy-ipvs-hold.service"
SERVICE_GROUP = "/sys/fs/cgroup/system.slice/kubeproxy-ipvs-hold.service/cgroup.procs"
SCRIPT_TEXT = "#!/bin/sh\necho 1 >/proc/sys/net/ipv4/vs/conn_reuse_mode\n"


def mark(kind, text):
    """A fingerprint as a record has it."""
    return f"{kind}:" + hashlib.sha256(text.encode()).hexdigest()


def record(**more):
    """A record as the module recorded_files writes it."""
    files = [
        {"path": SCRIPT, "original": {"kind": "absent"}, "written": [mark("sha256", SCRIPT_TEXT)]},
        {"path": LINK, "original": {"kind": "absent"}, "written": [mark("link", "../kubeproxy-ipvs-hold.service")]},
        {"path": "/etc/cron.d/old", "original": {"kind": "absent"}, "written": ["absent"]},
    ]
    return json.dumps({"schema": 1, "name": "conn_reuse_mode", "facts": {"value": 1, "service": True}, "directories": [], "values": [], "files": files, **more})


@pytest.fixture
def files():
    """A node to which the role has done something."""
    return {
        RECORD: record(),
        SCRIPT: SCRIPT_TEXT,
        LINK: ("link", "../kubeproxy-ipvs-hold.service"),
        SERVICE_GROUP: "812\n",
    }


def states(managed):
    """{path: state}"""
    return {entry["path"]: entry["state"] for entry in managed["files"]}


def test_as_the_role_left_it(tree, files):
    node = tree(files)
    managed = read_managed(node)
    assert states(managed) == {SCRIPT: "intact", LINK: "intact", "/etc/cron.d/old": "intact"}
    assert (managed["facts"], managed["record"], managed["service_running"]) == ({"value": 1, "service": True}, RECORD, True)
    assert managed["applied_at"] == node.modified(RECORD)


def test_what_was_changed_since(tree, files):
    files[SCRIPT] += "# mine\n"
    files["/etc/cron.d/old"] = "again"
    del files[LINK]
    assert states(read_managed(tree(files))) == {SCRIPT: "changed", LINK: "missing", "/etc/cron.d/old": "changed"}
    files[LINK] = ("link", "/dev/null")
    assert states(read_managed(tree(files)))[LINK] == "changed"


@pytest.mark.parametrize(
    ("group", "running"),
    [
        ({SERVICE_GROUP: "\n"}, False),
        ({"/sys/fs/cgroup/system.slice/ssh.service/cgroup.procs": "1\n"}, False),
        ({SERVICE_GROUP.replace("cgroup/", "cgroup/systemd/", 1): "9\n"}, True),
        ({SERVICE_GROUP.replace("cgroup/", "cgroup/unified/", 1): "9\n"}, True),
        ({}, None),
    ],
)
def test_whether_the_service_runs(tree, files, group, running):
    del files[SERVICE_GROUP]
    assert read_managed(tree({**files, **group}))["service_running"] is running


def test_a_node_without_a_record(tree):
    assert read_managed(tree({})) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"facts": {}}', '{"facts": 3, "files": []}', '{"facts": {}, "files": [{"path": 3}]}', "\udcff"])
def test_a_damaged_record_is_reported(tree, text):
    node = tree({RECORD: text.encode("utf-8", "surrogateescape")})
    assert read_managed(node) is None
    assert [entry["path"] for entry in node.unreadable] == [RECORD]


def test_the_own_script_is_no_foreign_writer(tree, files):
    files["/etc/systemd/system/kube-proxy.service"] = "[Service]\nExecStart=/usr/bin/kube-proxy\n[Install]\nWantedBy=multi-user.target\n"
    files["/etc/systemd/system/kube-proxy.service.d/90-kubeproxy-ipvs.conf"] = f"[Service]\nExecStartPost=-/bin/sh {SCRIPT} after-start 1 60 10249\n"
    facts = ipvs_facts.collect(tree(files))
    assert (facts["writers"], facts["hold"]["guards"]) == ([], [])
    assert facts["hold"]["managed"]["facts"]["value"] == 1
    # One that somebody has changed is whatever it says.
    files[SCRIPT] = SCRIPT_TEXT.replace("echo 1", "echo 0")
    facts = ipvs_facts.collect(tree(files))
    assert [(entry["path"], entry["value"]) for entry in facts["writers"]] == [(SCRIPT, 0)]


def test_another_file_is_never_ours():
    managed = {"files": [{"path": "/etc/sysctl.d/x.conf", "state": "intact"}]}
    assert not is_ours({"path": "/etc/sysctl.d/x.conf"}, managed)
    assert not is_ours({"path": SCRIPT}, None)
