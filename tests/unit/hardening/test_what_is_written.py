# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modes, owners and contents of what is written on a node, and what is shown of it: the real module by the real ansible-playbook, in a directory."""

from __future__ import annotations

import json
import os
import pathlib
import stat

import pytest
import yaml
from real_ansible import NEEDS_ANSIBLE, THIS_PYTHON, ansible_playbook
from secrets_of_a_node import SECRETS, found_in

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
pytestmark = NEEDS_ANSIBLE
SETTING = "net.ipv4.vs.conn_reuse_mode = 0"
# Path below the directory: mode, whatever the umask is.
MODES = {
    "etc/kubeproxy.ipvs": 0o755,
    "etc/kubeproxy.ipvs/hold": 0o755,
    "etc/systemd/kubeproxy-ipvs-hold.service": 0o644,
    "etc/systemd/multi-user.target.wants": 0o755,
    "etc/systemd/kube-proxy.service.d": 0o755,
    "etc/systemd/kube-proxy.service.d/90-kubeproxy-ipvs.conf": 0o644,
    "lib/record": 0o700,
    "lib/record/conn_reuse_mode.json": 0o600,
    # Edited: as it was.
    "etc/sysctl.conf": 0o640,
}


def files_of(node):
    """What the role conn_reuse_mode has written, below another root."""
    return [
        {"path": f"{node}/etc/kubeproxy.ipvs/hold", "content": "#!/bin/sh\n", "mode": "0755"},
        {"path": f"{node}/etc/systemd/kubeproxy-ipvs-hold.service", "content": "[Service]\n"},
        {"path": f"{node}/etc/systemd/multi-user.target.wants/kubeproxy-ipvs-hold.service", "link": "../kubeproxy-ipvs-hold.service"},
        {"path": f"{node}/etc/systemd/kube-proxy.service.d/90-kubeproxy-ipvs.conf", "content": "[Service]\n"},
        {"path": f"{node}/etc/sysctl.conf", "lines": [{"line": SETTING, "replacement": f"# {SETTING}"}]},
    ]


@pytest.fixture
def node(tmp_path):
    """A directory with a file to be edited, which holds secrets beside the line."""
    found = tmp_path / "node"
    for name in ("etc/systemd", "lib"):
        (found / name).mkdir(parents=True)
    secrets = list(SECRETS.values())
    (found / "etc/sysctl.conf").write_text(
        f"# password: {secrets[0]}\n{SETTING}\nAPI_TOKEN={secrets[1]}\nExecStart=k3s agent --token {secrets[2]}\n"
        f"user:\n  client-key-data: {SECRETS['kubeconfig, key']}\n  token: {secrets[4]}\n"
        f"-----BEGIN EC PRIVATE KEY-----\n{secrets[6]}\n{secrets[7]}\n-----END EC PRIVATE KEY-----\n",
        encoding="utf-8",
    )
    (found / "etc/sysctl.conf").chmod(0o640)
    return found


@pytest.fixture
def change(tmp_path, node):
    """change(*arguments, state=..., umask=...) -> output of ansible-playbook with one task."""

    def run(*arguments, state="applied", umask=0o022, files=None):
        options = {"name": "conn_reuse_mode", "directory": str(node / "lib/record"), "state": state}
        task = {"kubeproxy.ipvs.recorded_files": options | ({"files": files or files_of(node)} if state == "applied" else {})}
        (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
        former = os.umask(umask)
        try:
            words = ["-i", "here,", "-c", "local", "play.yml", "-vvv", "--diff", *arguments]
            status, output = ansible_playbook(tmp_path, *words, **THIS_PYTHON, ANSIBLE_LOG_PATH=str(tmp_path / "ansible.log"))
        finally:
            os.umask(former)
        assert status == 0, output
        return output

    return run


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_modes_and_owners(change, node, umask):
    before = {path: path.lstat().st_mode for path in node.rglob("*")}
    change(umask=umask)
    found = {name: stat.S_IMODE((node / name).lstat().st_mode) for name in MODES}
    assert {name: oct(mode) for name, mode in found.items()} == {name: oct(mode) for name, mode in MODES.items()}
    assert {path.lstat().st_uid for path in node.rglob("*")} == {os.geteuid()}
    assert not list(node.rglob(".*")), "nothing temporary is left"
    change(state="restored", umask=umask)
    assert {path: path.lstat().st_mode for path in node.rglob("*")} == before


@pytest.mark.parametrize("arguments", [["--check"], []], ids=["check", "real"])
def test_what_is_shown_of_a_file_with_secrets(change, node, tmp_path, arguments):
    output = change(*arguments)
    assert f"-{SETTING}" in output and f"+# {SETTING}" in output and "[redacted]" in output
    assert found_in(output) == [] and found_in((tmp_path / "ansible.log").read_text(encoding="utf-8")) == []
    if not arguments:
        # The file and its undo have them still, byte for byte.
        assert found_in((node / "etc/sysctl.conf").read_text(encoding="utf-8"))
        output = change("--check", state="restored")
        assert f"+{SETTING}" in output and found_in(output) == []


def test_lines_with_secrets_as_arguments(change, node, tmp_path):
    """Whoever has lines of a unit changed hands them over whole; they are not shown again."""
    line = f"ExecStart=k3s agent --token {list(SECRETS.values())[2]}"
    output = change(files=[{"path": str(node / "etc/sysctl.conf"), "lines": [{"line": line, "replacement": f"{line} --v=2"}]}])
    assert "--token [redacted] --v=2" in output
    assert found_in(output) == [] and found_in((tmp_path / "ansible.log").read_text(encoding="utf-8")) == []


def test_links_that_somebody_has_left_there(change, node, tmp_path):
    """In the place of a file and of what is made ready beside it: neither is followed."""
    target = tmp_path / "target"
    target.write_text("mine\n", encoding="utf-8")
    (node / "etc/systemd/kubeproxy-ipvs-hold.service").symlink_to(target)
    change()
    assert target.read_text(encoding="utf-8") == "mine\n"
    assert not (node / "etc/systemd/kubeproxy-ipvs-hold.service").is_symlink()


def test_no_task_writes_a_file_in_another_way():
    """All that roles and playbooks write on nodes goes through the record."""
    writing = ("copy", "template", "file", "lineinfile", "blockinfile", "replace", "get_url", "unarchive", "tempfile", "cron", "mount")
    texts = [path.read_text(encoding="utf-8") for path in [*CHECKOUT.glob("roles/*/tasks/*.yml"), *CHECKOUT.glob("playbooks/**/*.yml")]]
    for name in writing:
        assert not [text for text in texts if f"ansible.builtin.{name}:" in text], name


def test_modes_that_the_roles_ask_for():
    variables = yaml.safe_load((CHECKOUT / "roles/conn_reuse_mode/vars/main.yml").read_text(encoding="utf-8"))
    assert [entry["mode"] for entry in variables["__conn_reuse_mode_script_files"]] == ["0755"]
    others = variables["__conn_reuse_mode_service_files"] + variables["__conn_reuse_mode_drop_in_files"]
    # The module's own default, 0644.
    assert not [entry for entry in others if "mode" in entry]
    note = yaml.safe_load((CHECKOUT / "roles/kube_proxy_mode/vars/main.yml").read_text(encoding="utf-8"))["__kube_proxy_mode_note"]
    assert set(note) == {"path", "content"}
