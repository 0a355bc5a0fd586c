# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs beside kube-proxy, and what only has a similar name; and the programs for packet filters."""

from __future__ import annotations

import pytest
from node_trees import first_process, process

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.neighbours import read_neighbours
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.packet_filters import iptables_variants, nft_version


@pytest.mark.parametrize(
    ("command", "argv", "found"),
    [
        ("kube-router", ["/usr/local/bin/kube-router", "--run-router"], ("kube-router", "ipvs")),
        ("lvscare", ["/usr/bin/lvscare", "care", "--vs", "10.103.97.2:6443"], ("lvscare", "ipvs")),
        ("keepalived", ["/usr/sbin/keepalived", "-n"], ("keepalived", "ipvs")),
        ("ldirectord", ["/usr/bin/perl", "-w", "/usr/sbin/ldirectord", "start"], ("ldirectord", "ipvs")),
        ("kube-vip", ["/kube-vip", "manager"], ("kube-vip", "ipvs")),
        ("calico-node", ["calico-node", "-felix"], ("calico-node", "mode")),
        ("calico-felix", ["calico-felix"], ("calico-node", "mode")),
        ("node-cache", ["/node-cache", "-localip", "169.254.20.10"], ("node-cache", "mode")),
        ("speaker", ["/speaker", "--port=7472", "--log-level=info"], ("speaker", "mode")),
        ("cilium-agent", ["cilium-agent", "--config-dir=/tmp"], ("cilium-agent", "replaces")),
        ("antrea-agent", ["antrea-agent"], ("antrea-agent", "replaces")),
        # similar names
        ("calico-node", ["calico-node", "-confd"], None),
        ("speaker", ["/opt/audio/speaker", "-volume", "3"], None),
        ("keepalived_expo", ["/usr/bin/keepalived_exporter"], None),
        ("kube-vip-cloud", ["/kube-vip-cloud-provider"], None),
        ("bash", ["bash", "-c", "keepalived"], None),
        ("vi", ["vi", "/etc/keepalived/keepalived.conf"], None),
        ("bash", ["/bin/bash", "/usr/bin/keepalived.sh"], None),
        ("kworker/0:1", [], None),
    ],
)
def test_processes(tree, command, argv, found):
    files = first_process() | process(77, command, argv)
    if not argv:
        files["/proc/77/cmdline"] = ""
    expected = [] if found is None else [{"name": found[0], "kind": found[1], "pid": 77, "path": argv[0]}]
    assert read_neighbours(tree(files)) == expected


def test_each_program_once_and_by_its_file(tree):
    files = (
        first_process()
        | process(9, "keepalived", ["keepalived"])
        | process(10, "keepalived", ["keepalived"])
        | {"/proc/9/exe": ("link", "/usr/sbin/keepalived")}
    )
    assert read_neighbours(tree(files)) == [{"name": "keepalived", "kind": "ipvs", "pid": 9, "path": "/usr/sbin/keepalived"}]


POD = "kind: Pod\nspec:\n  containers:\n  - name: x\n    image: %s\n"


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("sealos.hub:5000/sealos/lvscare:v4.1.3", "lvscare"),
        ("lvscare", "lvscare"),
        ("ghcr.io/kube-vip/kube-vip@sha256:00", "kube-vip"),
        ("osixia/keepalived:2.0.20", "keepalived"),
        ("example.org/lvscare/tool:1", None),
        ("osixia/keepalived-exporter:1", None),
    ],
)
@pytest.mark.parametrize("directory", ["/etc/kubernetes/manifests", "/srv/pods"])
def test_static_pods(tree, image, name, directory):
    path = directory + "/x.yaml"
    files = {path: POD % image, "/var/lib/kubelet/config.yaml": f"staticPodPath: {directory}/\n"}
    assert read_neighbours(tree(files)) == ([{"name": name, "kind": "ipvs", "pid": None, "path": path}] if name else [])


def test_one_that_runs_is_not_named_again(tree):
    files = first_process() | process(9, "lvscare", ["lvscare"]) | {"/etc/kubernetes/manifests/l.yaml": POD % "lvscare:1"}
    assert [entry["pid"] for entry in read_neighbours(tree(files))] == [9]


@pytest.mark.parametrize(
    "text", ["lvscare: [", "lvscare", "kind: Pod\nspec: lvscare\n", "kind: Pod\nspec: {containers: [lvscare, {image: [lvscare]}]}\n", b"\xff lvscare"]
)
def test_senseless_manifests(tree, text):
    assert read_neighbours(tree({"/etc/kubernetes/manifests/l.yaml": text})) == []


@pytest.mark.parametrize(
    ("files", "variants"),
    [
        ({}, None),
        ({"/usr/sbin/iptables": ("link", "xtables-nft-multi"), "/usr/sbin/xtables-nft-multi": ""}, ["nft"]),
        (
            {
                "/usr/sbin/iptables": ("link", "/etc/alternatives/iptables"),
                "/etc/alternatives/iptables": ("link", "/usr/sbin/iptables-nft"),
                "/usr/sbin/iptables-nft": ("link", "xtables-nft-multi"),
                "/usr/sbin/iptables-legacy": ("link", "xtables-legacy-multi"),
                "/usr/sbin/xtables-nft-multi": "",
                "/usr/sbin/xtables-legacy-multi": "",
            },
            ["nft", "legacy"],
        ),
        ({"/sbin/iptables": ("link", "xtables-multi"), "/sbin/xtables-multi": ""}, None),
        ({"/sbin/iptables-legacy": ""}, ["legacy"]),
    ],
)
def test_iptables(tree, files, variants):
    assert iptables_variants(tree(files)) == variants


@pytest.mark.parametrize(
    ("output", "code", "programs", "version"),
    [
        ("nftables v1.0.6 (Lester Gooch #5)\n", 0, ("nft", "timeout"), "1.0.6"),
        ("nftables v1.0.6\n", 1, ("nft", "timeout"), None),
        ("", 124, ("nft", "timeout"), None),
        ("?", 0, ("nft", "timeout"), None),
        ("nftables v1.0.6\n", 0, ("nft",), None),
        ("nftables v1.0.6\n", 0, ("timeout",), None),
    ],
)
def test_nft(tree, output, code, programs, version):
    calls = []

    def run_command(words):
        calls.append(words)
        return code, output, ""

    node = tree({})
    node.live = True
    assert nft_version(node, run_command, lambda name: "/x/" + name if name in programs else None) == version
    assert calls == ([["/x/timeout", "5", "/x/nft", "--version"]] if len(programs) == 2 else [])
    node.live = False
    assert nft_version(node, run_command, lambda name: name) is None
