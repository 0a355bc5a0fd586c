# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit of what a cluster's API knows, as a user runs it: no host is contacted, and the report says where its facts are from."""

from __future__ import annotations

import json
import pathlib

import pytest
from api_server_stand_in import StandIn, config_map_object, daemonset_object, node_object, serve
from real_ansible import NEEDS_ANSIBLE, ansible_playbook, json_of

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import check_document

pytestmark = NEEDS_ANSIBLE
TEMPLATE = "{{ lookup('ansible.builtin.pipe', 'touch PWNED') }}"
NODES = [
    node_object("euler-1", labels={"evil": TEMPLATE, "html": "<script>alert(1)</script>"}),
    node_object("debian-1", "6.1.0-25-amd64"),
    node_object("centos-1", "4.18.0-305.25.1.el8_4.x86_64"),
]


class Audit:
    """audit(files, *arguments, **variables) -> (exit status, output, report or None), run in an empty directory."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.ssh = folder / "ssh"
        self.ssh.write_text(f"#!/bin/sh\ntouch {folder}/CONTACTED\nexit 255\n", encoding="utf-8")
        self.ssh.chmod(0o755)

    def __call__(self, files, *arguments, **variables):
        for name, content in files.items():
            (self.folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        sources = [word for name in files if name.endswith((".nodes.yml", ".ini")) for word in ("-i", name)]
        words = ["kubeproxy.ipvs.audit", *sources, "-e", json.dumps({"audit_source": "api", **variables}), *arguments]
        status, output = ansible_playbook(self.folder, *words, ANSIBLE_SSH_EXECUTABLE=str(self.ssh), COLUMNS="1000")
        return status, output, json_of(self.folder / "ipvs-report" / "report.json")

    @property
    def left_behind(self):
        """Files that would prove a contact with a host, or that text of a node was executed."""
        return [name for name in ("CONTACTED", "PWNED") if (self.folder / name).exists()]


@pytest.fixture
def audit(tmp_path):
    """See Audit."""
    return Audit(tmp_path)


def saved(*objects):
    return {"kind": "List", "items": list(objects)}


SAVED = {
    "prod.nodes.yml": "plugin: kubeproxy.ipvs.nodes\nfile: [nodes.json]\n",
    "nodes.json": saved(*({"kind": "Node", **node} for node in NODES), daemonset_object(), config_map_object()),
}


def judged(report):
    return {node["name"]: (node["verdict"], node["plan"], node["moments"]) for node in report["nodes"]}


def test_saved_nodes_are_judged_without_a_contact(audit):
    status, output, report = audit({**SAVED, "hosts.ini": "stranger ansible_host=10.0.0.99\n"})
    assert status == 0, output
    check_document("report", report)
    assert not audit.left_behind
    entries = {node["name"]: node for node in report["nodes"]}
    assert {name: (node["verdict"], node["plan"]["action"]) for name, node in entries.items()} == {
        "euler-1": ("stale_backends", "hold"),
        "centos-1": ("stale_backends", "decide"),
        "debian-1": ("unknown", "hold"),
    }
    for name, node in entries.items():
        assert node["origin"] == f"Node object {name} of cluster prod, from the saved file nodes.json; nothing was read on the node"
        assert node["moments"]["now"] == {"value": None, "verdict": "unknown"}
        assert node["moments"]["reboot"]["confidence"] == "inferred"
        assert node["facts"]["kube_proxy"] == "1.20.2" and node["facts"]["mode_source"] == "config_file"
    assert [entry["name"] for entry in report["unreachable"]] == ["stranger"]
    assert "the inventory has no Node object of it" in report["unreachable"][0]["reason"]
    assert "judged without reading the node" in output and output.count("skipping:") == 5
    page = (audit.folder / "ipvs-report" / "report.md").read_text(encoding="utf-8")
    assert "nothing was read on the node" in page and "<script" not in page


def test_what_was_written_can_be_audited_again(audit):
    first = audit(SAVED)[2]
    (audit.folder / "ipvs-report" / "nodes").rename(audit.folder / "kept")
    again = audit({"hosts.ini": "stranger\n"}, audit_facts_files=["kept"])[2]
    assert judged(again) == judged(first)
    assert {node["origin"] for node in again["nodes"]} == {node["origin"] for node in first["nodes"]}


def test_the_owners_word_and_a_target_count_here_too(audit):
    report = audit({**SAVED, "hosts.ini": "euler-1 audit_capabilities='{\"respects_zero_weight\": True}'\n"}, audit_target_kube_proxy="1.30.4")[2]
    entries = {node["name"]: node for node in report["nodes"]}
    assert entries["euler-1"]["verdict"] == "unknown" and entries["euler-1"]["moments"]["reboot"]["verdict"] == "uneven_load"
    # 1.30.4 leaves the value alone on 6.1, and what the files of the node set at a boot nobody has read.
    assert entries["debian-1"]["forecast"]["moments"]["reboot"] == {"value": None, "verdict": "unknown"}


def test_probing_is_refused(audit):
    status, output, report = audit(SAVED, audit_probe="unknown")
    assert status != 0 and report is None and not audit.left_behind
    assert "audit_source: api contacts no host, so that audit_probe must be never, not unknown" in output


def test_another_word_is_refused(audit):
    status, output, report = audit(SAVED, audit_source="cloud")
    assert status != 0 and report is None and "audit_source" in output and "node, api" in output


def test_from_an_api(audit):
    pytest.importorskip("kubernetes")
    with serve(StandIn(NODES)) as server:
        inventory = "plugin: kubeproxy.ipvs.nodes\nkubeconfig: kubeconfig\npage_size: 2\n"
        status, output, report = audit({"lab.nodes.yml": inventory, "kubeconfig": server.kubeconfig()})
    assert status == 0, output
    assert report["summary"]["verdicts"] == {"stale_backends": 2, "unknown": 1} and not audit.left_behind
    assert "secret-token" not in output + json.dumps(report)
