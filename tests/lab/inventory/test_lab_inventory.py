# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin against a real API server (Kubernetes 1.20) with thousands of Node objects, and the audit of them."""

from __future__ import annotations

import json
import math
import pathlib
import sys
import time

import pytest
from fill import HOSTILE
from inventory_tools import COUNT, ENVIRONMENT, HERE, api, inventory, lab, lists_of_nodes
from lab_tests import TESTS, say

# The lab's own node is one more.
ALL = COUNT + 1


@pytest.fixture(scope="session", name="kubeconfig")
def filled():
    """The kubeconfig of the lab's API server, once it is filled."""
    begun = time.monotonic()
    lab("inside", sys.executable, HERE / "fill.py", COUNT)
    say(f"made {COUNT} Node objects in {time.monotonic() - begun:.0f} s")
    return json.loads(lab("connection"))["kubeconfig"]


def without_source(hosts):
    """Host variables without what says where they are from."""
    return {name: {**variables, "kube_node": {**variables["kube_node"], "source": None}} for name, variables in hosts.items()}


@pytest.fixture(scope="session", name="from_api")
def read_once(kubeconfig, tmp_path_factory):
    """Host variables of all nodes, from the API, with annotations."""
    folder = tmp_path_factory.mktemp("api")
    before = lists_of_nodes()
    hosts, seconds, requests = inventory(folder, f"kubeconfig: {kubeconfig}\nannotations: true\n")
    pages = lists_of_nodes() - before
    say(f"{len(hosts)} nodes from the API: {seconds:.1f} s, {requests} requests, {pages} of them lists of nodes as the API server counts them")
    # Others, such as a kube-proxy, may have listed nodes meanwhile.
    assert requests == math.ceil(ALL / 500) + 2 <= pages + 2
    assert not (folder / "PWNED").exists()
    return hosts


def test_every_node_is_there_with_what_it_said(from_api):
    assert len(from_api) == ALL
    variables = from_api["filled-00000"]
    assert variables["ansible_host"] == "10.100.0.0"
    node = variables["kube_node"]
    assert node["kernel"] == "4.18.0-147.5.1.6.h686.eulerosv2r9.x86_64" and node["roles"] == ["worker"] and node["cluster"] == "lab"
    assert node["annotations"]["hostile"] == HOSTILE
    assert node["kube_proxy"]["version"] == "1.20.2" and node["kube_proxy"]["mode"] == "ipvs"
    assert from_api["filled-00004"]["kube_node"]["os_image"] == HOSTILE
    # The lab's own node has no label kubernetes.io/os, so that the DaemonSet does not select it.
    assert from_api["unfixed"]["kube_node"]["kube_proxy"]["form"] is None


@pytest.mark.parametrize("page_size", [100, 100000])
def test_the_size_of_pages_changes_nothing(kubeconfig, from_api, tmp_path, page_size):
    hosts, seconds, requests = inventory(tmp_path, f"kubeconfig: {kubeconfig}\nannotations: true\npage_size: {page_size}\n")
    assert hosts == from_api and requests == math.ceil(ALL / page_size) + 2
    say(f"pages of {page_size}: {seconds:.1f} s, {requests} requests")


def test_the_saved_list_gives_the_same_inventory(from_api, tmp_path):
    system = "namespaces/kube-system"
    saved = {
        "nodes.json": api("/api/v1/nodes"),
        "kube-proxy.json": {"kind": "List", "items": [api(f"/apis/apps/v1/{system}/daemonsets/kube-proxy"), api(f"/api/v1/{system}/configmaps/kube-proxy")]},
    }
    for name, document in saved.items():
        (tmp_path / name).write_text(json.dumps(document), encoding="utf-8")
    hosts, seconds, _requests = inventory(tmp_path, "file: [nodes.json, kube-proxy.json]\nannotations: true\n")
    assert without_source(hosts) == without_source(from_api)
    say(f"{len(hosts)} nodes from the saved list: {seconds:.1f} s")


def test_only_some_nodes(kubeconfig, tmp_path):
    hosts, _seconds, _requests = inventory(tmp_path, f"kubeconfig: {kubeconfig}\nlabel_selector: topology.kubernetes.io/zone=zone-1\n")
    assert len(hosts) == len(range(1, COUNT, 3))


def test_a_token_that_no_server_knows_is_an_error(tmp_path, kubeconfig):
    text = pathlib.Path(kubeconfig).read_text(encoding="utf-8").replace("token: lab", "token: nobody")
    (tmp_path / "kubeconfig").write_text(text, encoding="utf-8")
    (tmp_path / "lab.nodes.yml").write_text("plugin: kubeproxy.ipvs.nodes\nkubeconfig: kubeconfig\n", encoding="utf-8")
    said = lab("inside", TESTS / "run", ENVIRONMENT, "ansible-inventory", "-i", "lab.nodes.yml", "--list", cwd=tmp_path, errors=True)
    assert "answers 401: Unauthorized" in " ".join(said.split()) and "Traceback" not in said


def test_the_audit(kubeconfig, tmp_path):
    (tmp_path / "lab.nodes.yml").write_text(f"plugin: kubeproxy.ipvs.nodes\nkubeconfig: {kubeconfig}\n", encoding="utf-8")
    begun = time.monotonic()
    playbook = ("ansible-playbook", "kubeproxy.ipvs.audit", "-i", "lab.nodes.yml", "-e", "audit_source=api")
    lab("inside", TESTS / "run", ENVIRONMENT, *playbook, cwd=tmp_path)
    say(f"an audit of {ALL} nodes from the API, from the command to the report: {time.monotonic() - begun:.0f} s")
    report = json.loads((tmp_path / "ipvs-report" / "report.json").read_text(encoding="utf-8"))
    assert report["summary"]["judged"] == ALL and not report["unreachable"] and not report["errors"]
    entries = {node["name"]: node for node in report["nodes"]}
    assert entries["filled-00000"]["verdict"] == "stale_backends" and entries["filled-00000"]["plan"]["action"] == "hold"
    assert entries["filled-00004"]["verdict"] == "unknown"
    assert all(node["origin"].startswith(f"Node object {name} of cluster lab") for name, node in entries.items())
    assert not (tmp_path / "PWNED").exists()
