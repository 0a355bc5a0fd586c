# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a cluster's DaemonSet and ConfigMap say of kube-proxy, on which nodes, and what they do not say."""

from __future__ import annotations

import copy

import pytest
from api_server_stand_in import config_map_object, daemonset_object
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.daemonset_kube_proxy import config_map_of, kube_proxy_on_node, read_kube_proxy, selects, unknown

LINUX = {"kubernetes.io/os": "linux"}


def on_node(daemonset, config_map=None, labels=None, taints=(), name="node-1"):
    return kube_proxy_on_node(read_kube_proxy(daemonset, config_map), name, LINUX if labels is None else labels, list(taints))


def test_kubeadm():
    assert config_map_of(daemonset_object()) == ("kube-proxy", "config.conf")
    assert on_node(daemonset_object(), config_map_object()) == {
        "form": "daemonset",
        "image": "registry.k8s.io/kube-proxy:v1.20.2",
        "version": "1.20.2",
        "mode": "ipvs",
        "mode_source": "config_file",
        "reason": None,
    }


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("602401143452.dkr.ecr.us-west-2.amazonaws.com/eks/kube-proxy:v1.20.4-eksbuild.2", "1.20.4-eksbuild.2"),
        ("localhost:5000/kube-proxy:v1.30.4@sha256:0000", "1.30.4"),
        ("localhost:5000/kube-proxy", None),
        ("registry.k8s.io/kube-proxy@sha256:0000", None),
        ("registry.k8s.io/kube-proxy:latest", None),
        (None, None),
        (7, None),
    ],
)
def test_version(image, version):
    answer = on_node(daemonset_object(image), config_map_object())
    assert (answer["form"], answer["version"], answer["mode"]) == ("daemonset", version, "ipvs")
    assert version or answer["reason"] == "the image of the DaemonSet names no version"


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2},
        {"observedGeneration": 3, "desiredNumberScheduled": 2, "updatedNumberScheduled": 1},
        {"observedGeneration": 3, "desiredNumberScheduled": 2},
    ],
)
def test_while_it_rolls_out_no_node_is_said_to_have_the_new_version(status):
    answer = on_node({**daemonset_object(), "status": status}, config_map_object())
    assert answer["version"] is None and "rollout" in answer["reason"] and answer["mode"] == "ipvs"


@pytest.mark.parametrize(
    ("command", "mode", "source"),
    [
        (["kube-proxy", "--proxy-mode=ipvs", "--v=2"], "ipvs", "flag"),
        (["kube-proxy", "--proxy-mode", "iptables"], "iptables", "flag"),
        (["kube-proxy", "--v=2"], "iptables", "default"),
        (["kube-proxy", "--proxy-mode=kernelspace"], None, None),
        (["/bin/sh", "-c", "exec kube-proxy --proxy-mode=ipvs"], None, None),
        # The file decides, the flag is ignored.
        (["kube-proxy", "--config=/var/lib/kube-proxy/config.conf", "--proxy-mode=iptables"], "ipvs", "config_file"),
        (["kube-proxy", "--config", "/var/lib/kube-proxy/config.conf"], "ipvs", "config_file"),
        (["kube-proxy", "--config=/etc/on-the-node.yaml"], None, None),
        (["kube-proxy", "--config=/var/lib/kube-proxy/another.conf"], None, None),
    ],
)
def test_mode(command, mode, source):
    answer = on_node(daemonset_object(command=command), config_map_object())
    assert (answer["mode"], answer["mode_source"]) == (mode, source)
    assert mode or answer["reason"]


@pytest.mark.parametrize(
    ("content", "mode", "source"),
    [
        ("kind: KubeProxyConfiguration\n", "iptables", "default"),
        ('kind: KubeProxyConfiguration\nmode: ""\n', "iptables", "default"),
        ("kind: KubeProxyConfiguration\nmode: nftables\n", "nftables", "config_file"),
        ("kind: KubeProxyConfiguration\nmode: '{{ 7 }}'\n", None, None),
        ("kind: KubeProxyConfiguration\nmode: [ipvs]\n", None, None),
        ("kind: Other\n", None, None),
        ("", None, None),
    ],
)
def test_configuration(content, mode, source):
    answer = on_node(daemonset_object(), config_map_object(content=content))
    assert (answer["mode"], answer["mode_source"]) == (mode, source)


def test_items_and_sub_paths_name_other_keys():
    volume = {"name": "kube-proxy", "configMap": {"name": "kube-proxy-config", "items": [{"key": "config", "path": "config.conf"}]}}
    assert config_map_of(daemonset_object(volumes=[volume])) == ("kube-proxy-config", "config")
    daemonset = daemonset_object()
    daemonset["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [
        {"name": "lib", "mountPath": "/var/lib"},
        {"name": "kube-proxy", "mountPath": "/var/lib/kube-proxy/config.conf", "subPath": "kube-proxy.yaml"},
    ]
    assert config_map_of(daemonset) == ("kube-proxy", "kube-proxy.yaml")


def test_a_config_map_that_was_not_read_leaves_the_mode_unknown():
    answer = kube_proxy_on_node(read_kube_proxy(daemonset_object(), None, "refused"), "n", LINUX, [])
    assert (answer["version"], answer["mode"], answer["reason"]) == ("1.20.2", None, "refused")


def test_nothing_known():
    answer = kube_proxy_on_node(unknown("no DaemonSet"), "n", LINUX, [])
    assert answer == {"form": None, "image": None, "version": None, "mode": None, "mode_source": None, "reason": "no DaemonSet"}


def affinity(*terms):
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}}


def expression(key, operator, *values):
    return {"key": key, "operator": operator, "values": list(values)}


NOT_FARGATE = {"matchExpressions": [expression("kubernetes.io/os", "In", "linux"), expression("eks.amazonaws.com/compute-type", "NotIn", "fargate")]}


@pytest.mark.parametrize(
    ("template", "labels", "taints", "answer"),
    [
        ({}, LINUX, [], True),
        ({}, {}, [], False),
        # GKE's selects no node.
        ({"nodeSelector": {"kubernetes.io/os": "linux", "node.kubernetes.io/kube-proxy-ds-ready": "true"}}, LINUX, [], False),
        ({"affinity": affinity(NOT_FARGATE)}, LINUX, [], True),
        ({"affinity": affinity(NOT_FARGATE)}, {**LINUX, "eks.amazonaws.com/compute-type": "fargate"}, [], False),
        ({"affinity": affinity({"matchExpressions": [expression("x", "Exists")]}, NOT_FARGATE)}, LINUX, [], True),
        ({"affinity": affinity({"matchExpressions": [expression("x", "DoesNotExist")]})}, {**LINUX, "x": ""}, [], False),
        ({"affinity": affinity({"matchExpressions": [expression("n", "Gt", "3")]})}, {**LINUX, "n": "4"}, [], True),
        ({"affinity": affinity({"matchExpressions": [expression("n", "Lt", "3")]})}, {**LINUX, "n": "four"}, [], False),
        ({"affinity": affinity({"matchFields": [expression("metadata.name", "In", "node-1")]})}, LINUX, [], True),
        ({"affinity": affinity({"matchFields": [expression("metadata.name", "In", "node-2")]})}, LINUX, [], False),
        ({"affinity": affinity({"matchExpressions": [expression("x", "Resembles", "y")]})}, LINUX, [], None),
        ({"affinity": affinity({})}, LINUX, [], False),
        ({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}}, LINUX, [], True),
        ({"tolerations": []}, LINUX, [{"key": "dedicated", "value": "x", "effect": "NoSchedule"}], None),
        ({"tolerations": []}, LINUX, [{"key": "dedicated", "value": "x", "effect": "PreferNoSchedule"}], True),
        ({"tolerations": []}, LINUX, [{"key": "node.kubernetes.io/not-ready", "value": None, "effect": "NoExecute"}], True),
        ({"tolerations": [{"key": "dedicated", "value": "x"}]}, LINUX, [{"key": "dedicated", "value": "x", "effect": "NoSchedule"}], True),
        ({"tolerations": [{"key": "dedicated", "value": "y"}]}, LINUX, [{"key": "dedicated", "value": "x", "effect": "NoSchedule"}], None),
        (
            {"tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}]},
            LINUX,
            [{"key": "dedicated", "value": "x", "effect": "NoSchedule"}],
            None,
        ),
    ],
)
def test_which_nodes(template, labels, taints, answer):
    cluster = read_kube_proxy(daemonset_object(**template), config_map_object())
    assert selects(cluster["scheduling"], "node-1", labels, taints) is answer
    here = kube_proxy_on_node(cluster, "node-1", labels, taints)
    assert (here["form"], here["mode"]) == (("daemonset", "ipvs") if answer else (None, None))
    assert bool(here["reason"]) is not bool(answer)


def test_a_daemonset_without_pods_runs_nowhere():
    daemonset = {**daemonset_object(), "status": {"observedGeneration": 3, "desiredNumberScheduled": 0}}
    assert on_node(daemonset, config_map_object())["reason"] == "the DaemonSet kube-proxy does not select this node"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["kube-proxy", "--config=/a", "ipvs", "{{ 1 }}", "", "\x00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "key", "operator", "path", "items", "x"]), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize("odd", [[], {}, 3, None, True, [{}], {"a": []}])
def test_odd_values_in_every_place_never_raise(odd):
    def places(value, path=()):
        yield path
        for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            yield from places(value[key], (*path, key))

    template = {
        "affinity": affinity(NOT_FARGATE),
        "tolerations": [{"key": "a", "value": "b", "effect": "NoSchedule", "operator": "Equal"}],
        "volumes": [{"name": "kube-proxy", "configMap": {"name": "kube-proxy", "items": [{"key": "config.conf", "path": "config.conf"}]}}],
    }
    whole = {"daemonset": daemonset_object(**template), "config_map": config_map_object()}
    for path in list(places(whole))[1:]:
        changed = copy.deepcopy(whole)
        place = changed
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = odd
        config_map_of(changed["daemonset"])
        answer = on_node(changed["daemonset"], changed["config_map"], LINUX, [{"key": "a", "value": "c", "effect": "NoSchedule"}])
        assert answer["mode"] in (None, "ipvs", "iptables")


@given(st.data())
def test_holes_and_odd_values_never_raise(data):
    daemonset, config_map = daemonset_object(affinity=affinity(NOT_FARGATE)), config_map_object()
    for document in (daemonset, config_map):
        for _time in range(data.draw(st.integers(0, 3))):
            place, depth = document, data.draw(st.integers(0, 8))
            while depth and isinstance(place, (dict, list)) and place:
                keys = list(place) if isinstance(place, dict) else list(range(len(place)))
                key = data.draw(st.sampled_from(keys))
                if depth == 1 or not isinstance(place[key], (dict, list)):
                    place[key] = data.draw(JSON)
                    break
                place, depth = place[key], depth - 1
    answer = kube_proxy_on_node(read_kube_proxy(daemonset, config_map), "node-1", LINUX, [])
    assert set(answer) == {"form", "image", "version", "mode", "mode_source", "reason"}
    assert answer["mode"] in (None, "ipvs", "iptables", "nftables", "userspace")
    if isinstance(config_map_of(daemonset), tuple):
        assert all(isinstance(part, str) and part for part in config_map_of(daemonset))
