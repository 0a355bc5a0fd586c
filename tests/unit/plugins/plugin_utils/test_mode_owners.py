# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each row of mode_owners.yml: the place that it forbids, and one beside it that it leaves alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import check_document, expression, load
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.mode_owners import owner_of, refusal_of

KNOWLEDGE = load("mode_owners")


def files(path):
    return {"form": "systemd", "files": [{"path": path, "lines": []}], "where": [{"path": path, "line": 1}]}


# key of the row: (settings, labels)
OWNED = {
    "cce_flags": (files("/opt/cloud/cce/kubernetes/kube-proxy/kube-proxy"), {}),
    "kubelet_pod_directory": (files("/var/lib/kubelet/pods/1b4e28ba/volumes/kubernetes.io~configmap/kube-proxy/config.conf"), {}),
    "rke2_manifest": ({"form": "static_pod", "manifest_path": "/var/lib/rancher/rke2/agent/pod-manifests/kube-proxy.yaml"}, {}),
    "gke_manifest": ({"form": "static_pod", "version": "1.34.0-gke.1662000"}, {}),
    "kops_manifest": ({"form": "static_pod", "manifest_path": "/etc/kubernetes/manifests/kube-proxy.manifest"}, {}),
    "rke1_container": ({"form": "container"}, {}),
    "k0s_configmap": ({"form": "daemonset", "image": "quay.io/k0sproject/kube-proxy:v1.33.4"}, {}),
    "k0s_controller_node": ({"form": "daemonset"}, {"node.k0sproject.io/role": "control-plane"}),
    "eks_addon": ({"form": "daemonset", "image": "602401143452.dkr.ecr.us-west-2.amazonaws.com/eks/kube-proxy:v1.33.3-minimal-eksbuild.6"}, {}),
    "tke_cluster": ({"form": "daemonset", "version": "1.20.6-tke.33"}, {}),
    "openshift": ({"form": "openshift_sdn"}, {"node.openshift.io/os_id": "rhcos"}),
}


@pytest.mark.parametrize("key", [row["key"] for row in KNOWLEDGE["rows"]])
def test_every_row_has_a_place_that_it_forbids(key):
    settings, labels = OWNED[key]
    row, _path = owner_of(settings, labels)
    assert row["key"] == key
    sentence = refusal_of(settings, labels)
    assert row["name"] in sentence and row["text"] in sentence and KNOWLEDGE["sources"][row["source"]] in sentence


def test_the_path_is_named():
    assert refusal_of(OWNED["cce_flags"][0]) == (
        "/opt/cloud/cce/kubernetes/kube-proxy/kube-proxy belongs to Huawei Cloud CCE and Open Telekom Cloud CCE: the vendor's check before an upgrade flags "
        "any change of this file; the forwarding mode of a CCE cluster is chosen by the vendor's console "
        "(opentelekomcloud-docs/cloud-container-engine at 4863737, page Node Configuration Consistency)"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"files": None, "where": None, "form": None},
        files("/var/lib/kube-proxy/kube-proxy-config.yaml"),
        files("/etc/rancher/rke2/config.yaml"),
        files("/etc/rancher/k3s/config.yaml.d/90-kubeproxy-ipvs.yaml"),
        files("/var/snap/microk8s/current/args/kube-proxy"),
        {"form": "daemonset", "image": "registry.k8s.io/kube-proxy:v1.28.3", "version": "1.28.3"},
        {"form": "rke2", "version": "1.28.5+rke2r1", "files": [{"path": "/etc/rancher/rke2/config.yaml.d/90-kubeproxy-ipvs.yaml"}]},
    ],
)
def test_what_nobody_else_owns(settings):
    assert refusal_of(settings) is None


def test_the_file_follows_its_schema():
    check_document("mode_owners", KNOWLEDGE)
    keys = [row["key"] for row in KNOWLEDGE["rows"]]
    assert len(set(keys)) == len(keys)
    assert {row["source"] for row in KNOWLEDGE["rows"]} == set(KNOWLEDGE["sources"])
    for row in KNOWLEDGE["rows"]:
        for name, pattern in row["match"].items():
            for one in pattern.values() if name == "labels" else [pattern]:
                expression(one)


@given(
    st.fixed_dictionaries(
        {}, optional={name: st.none() | st.text(max_size=9) | st.lists(st.integers(), max_size=2) for name in ("form", "image", "version", "manifest_path")}
    )
)
def test_whatever_is_known_it_is_a_sentence_or_nothing(settings):
    sentence = refusal_of(settings)
    assert sentence is None or sentence.strip()
