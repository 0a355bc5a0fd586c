# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mode in a cluster's ConfigMap, and the undo in its annotation."""

from __future__ import annotations

import copy
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.mode_configmap import UNDO, configmap_change

# As kubeadm writes it, with what people add to it.
CONFIG = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
clientConnection:
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
detectLocalMode: ""
ipvs:
  # the load balancer in front of the API servers
  excludeCIDRs: null
  scheduler: ""
kind: KubeProxyConfiguration
metricsBindAddress: ""
mode: "ipvs"  # since the second cluster
nodePortAddresses: null
"""
KUBECONFIG = "apiVersion: v1\nkind: Config\n"


def configmap(config=CONFIG, annotations=None, **data):
    """The ConfigMap of a cluster, as the API gives it."""
    metadata = {"name": "kube-proxy", "namespace": "kube-system", "resourceVersion": "242", "labels": {"app": "kube-proxy"}}
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config.conf": config, "kubeconfig.conf": KUBECONFIG, **data}}


def written(before, change):
    """The ConfigMap after a merge patch with what CHANGE says."""
    after = copy.deepcopy(before)
    definition = change["definition"]
    after["data"].update(definition["data"])
    annotations = after["metadata"].setdefault("annotations", {})
    for name, value in definition["metadata"]["annotations"].items():
        annotations.pop(name, None)
        if value is not None:
            annotations[name] = value
    return after


def test_only_the_mode_changes():
    change = configmap_change([configmap()], "iptables")
    assert (change["problem"], change["changed"], change["from"], change["key"]) == ("", True, "ipvs", "config.conf")
    assert change["before"] == CONFIG
    assert change["after"] == CONFIG.replace('mode: "ipvs"', 'mode: "iptables"')
    assert list(change["definition"]["data"]) == ["config.conf"]
    assert change["definition"]["metadata"]["resourceVersion"] == "242"


def test_there_and_back_again():
    before = configmap(annotations={"somebody/else": "1"})
    after = written(before, configmap_change([before], "iptables"))
    assert configmap_change([after], "iptables")["changed"] is False
    back = written(after, configmap_change([after], "iptables", state="absent"))
    assert back == before
    assert configmap_change([back], "iptables", state="absent") == {**configmap_change([back], "iptables", state="absent"), "changed": False, "problem": ""}


def test_the_first_switch_is_the_one_to_go_back_to():
    before = configmap()
    once = written(before, configmap_change([before], "iptables"))
    twice = written(once, configmap_change([once], "nftables"))
    assert 'mode: "nftables"' in twice["data"]["config.conf"]
    back = written(twice, configmap_change([twice], "", state="absent"))
    assert back["data"] == before["data"]


def test_others_have_changed_it_since():
    """Their change stays, and the mode is that of before."""
    before = configmap()
    after = written(before, configmap_change([before], "iptables"))
    after["data"]["config.conf"] = "# edited\n" + after["data"]["config.conf"].replace("bindAddress: 0.0.0.0", "bindAddress: 10.0.0.1")
    back = written(after, configmap_change([after], "iptables", state="absent"))
    assert back["data"]["config.conf"] == "# edited\n" + CONFIG.replace("bindAddress: 0.0.0.0", "bindAddress: 10.0.0.1")


def test_a_configuration_without_a_mode():
    config = CONFIG.replace('mode: "ipvs"  # since the second cluster\n', "")
    before = configmap(config)
    change = configmap_change([before], "ipvs")
    assert yaml.safe_load(change["after"]) == {**yaml.safe_load(config), "mode": "ipvs"}
    after = written(before, change)
    assert yaml.safe_load(written(after, configmap_change([after], "", state="absent"))["data"]["config.conf"]).get("mode") in (None, "", "iptables")


@pytest.mark.parametrize(("resources", "problem"), [
    ([], "the cluster has no ConfigMap kube-proxy"),
    (None, "the cluster has no ConfigMap kube-proxy"),
    ([configmap(""), configmap("")], "the cluster has no ConfigMap kube-proxy"),
    ([configmap("")], "ConfigMap kube-system/kube-proxy has none of the keys config.conf, config, kube-proxy-config.yaml"),
    ([configmap(CONFIG + "mode: ipvs\n")], "ConfigMap kube-system/kube-proxy, config.conf: line 14: the mode is given a second time, first in line 12"),
    ([configmap("kind: KubeProxyConfiguration\n\tmode: ipvs\n")], "ConfigMap kube-system/kube-proxy, config.conf: line 2"),
    ([configmap("kind: Config\n")], "ConfigMap kube-system/kube-proxy, config.conf: no document of the kind KubeProxyConfiguration"),
])
def test_problems(resources, problem):
    change = configmap_change(resources, "iptables")
    assert change["problem"].startswith(problem)
    assert change["changed"] is False and change["definition"] == {}


@pytest.mark.parametrize("annotation", ["", "{", "[]", "null", json.dumps({"from": None}), json.dumps({"from": "ipvs", "lines": 3}),
                                        json.dumps({"from": "ipvs", "lines": [[1], ["x", "y", "z"], [99, "a", "b"], [True, 1, 2]]})])
def test_a_damaged_annotation(annotation):
    before = configmap(annotations={UNDO: annotation})
    change = configmap_change([before], "iptables", state="absent")
    assert change["problem"] or change["after"] == CONFIG


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["metadata", "data", "config.conf", "annotations", UNDO, "labels"]), inner), max_leaves=10))
def test_anything_is_an_answer(anything):
    for state in ("present", "absent"):
        assert configmap_change(anything, "iptables", state=state)["changed"] in (True, False)
        assert isinstance(configmap_change([anything], "iptables", state=state)["problem"], str)
