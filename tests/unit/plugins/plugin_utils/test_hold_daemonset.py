# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The DaemonSets that hold the value. What a real API server makes of them stands in the Molecule scenario `daemonset`."""

from __future__ import annotations

import copy
import json
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.filter.hold_daemonsets import hold_daemonsets
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.hold_daemonset import HoldDaemonsetError, decide, nodes_of

SCRIPT = (pathlib.Path(__file__).resolve().parents[4] / "roles" / "conn_reuse_mode" / "files" / "hold").read_text(encoding="utf-8")
IMAGE = "registry.k8s.io/kube-proxy:v1.20.2"
NODES = [f"node-{number}" for number in range(1, 7)]
NAMES = {0: "kubeproxy-ipvs-hold-0", 1: "kubeproxy-ipvs-hold-1"}


def daemonset(name, image=IMAGE, container="kube-proxy", namespace="kube-system", **specification):
    """A DaemonSet of others, as the API gives it back."""
    containers = [{"name": "sidecar", "image": "example.org/sidecar:1"}, {"name": container, "image": image}]
    template = {"spec": {"containers": containers, **specification}}
    return {"kind": "DaemonSet", "metadata": {"name": name, "namespace": namespace}, "spec": {"template": template}}


KUBE_PROXY = daemonset("kube-proxy")


def node_objects(names=NODES):
    """The Node objects of the API."""
    return [{"kind": "Node", "metadata": {"name": f"{name}.example.org", "labels": {"kubernetes.io/hostname": name}}} for name in names]


def merge(target, patch):
    """A JSON merge patch, as the API server applies it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


class Cluster:
    """What of an API server the role uses, with its habits: versions, refusal of old ones, values that were not given."""

    def __init__(self, *others):
        self.objects = {entry["metadata"]["name"]: copy.deepcopy(entry) for entry in others}
        self.version = 100
        self.writes = []

    def read(self):
        """All DaemonSets."""
        return copy.deepcopy(list(self.objects.values()))

    def write(self, write):
        """One write of the role, through JSON as all that goes over a wire."""
        write = json.loads(json.dumps(write))
        name, wanted, existing = write["name"], write["definition"], self.objects.get(write["name"])
        self.writes.append((write["state"], name))
        self.version += 1
        if write["state"] == "absent":
            assert write["options"]["preconditions"]["resourceVersion"] == existing["metadata"]["resourceVersion"]
            del self.objects[name]
            return
        assert wanted["metadata"].get("resourceVersion") == (existing["metadata"]["resourceVersion"] if existing else None)
        assert existing or write["state"] == "present"
        made = merge(existing or {}, wanted)
        made["metadata"]["resourceVersion"] = str(self.version)
        made["metadata"]["uid"] = "c0ffee"
        made["spec"]["template"]["spec"]["schedulerName"] = "default-scheduler"
        made["spec"]["template"]["spec"]["containers"][0]["terminationMessagePath"] = "/dev/termination-log"
        made["status"] = {"numberReady": self.version}
        self.objects[name] = made

    def want(self, values, **more):
        """Decide, and write that. values: {node: value}"""
        wanted = [{"node": node, "value": value} for node, value in values.items()]
        found = decide(self.read(), wanted, more.pop("nodes", node_objects()), more.pop("script", SCRIPT), **more)
        for write in found["writes"]:
            self.write(write)
        return found

    def held(self):
        """{value: nodes} of what stands in the API."""
        return {value: sorted(nodes_of(self.objects[name])) for value, name in NAMES.items() if name in self.objects}

    def strategy(self, value=1):
        """How the controller brings a change to the pods."""
        return self.objects[NAMES[value]]["spec"]["updateStrategy"]


@pytest.fixture
def cluster():
    """A cluster with kubeadm's kube-proxy."""
    return Cluster(KUBE_PROXY)


class TestNodes:
    def test_batches_add_up(self, cluster):
        cluster.want({"node-1": 1})
        cluster.want({"node-3": 1, "node-2": 1})
        assert cluster.held() == {1: ["node-1", "node-2", "node-3"]}
        assert cluster.writes == [("present", NAMES[1]), ("present", NAMES[1])]

    def test_a_second_run_writes_nothing(self, cluster):
        cluster.want({"node-1": 1, "node-2": 0})
        found = cluster.want({"node-1": 1, "node-2": 0})
        assert (found["writes"], found["moved"]) == ([], [])

    def test_each_value_has_its_own(self, cluster):
        found = cluster.want({"node-1": 1, "node-2": 0})
        assert cluster.held() == {0: ["node-2"], 1: ["node-1"]}
        assert found["moved"] == ["node-1", "node-2"]
        for value, name in NAMES.items():
            specification = cluster.objects[name]["spec"]
            assert specification["template"]["spec"]["containers"][0]["command"][3:] == ["kubeproxy-ipvs-hold", "keep", str(value)]
            assert specification["selector"]["matchLabels"].items() <= specification["template"]["metadata"]["labels"].items()
        assert cluster.objects[NAMES[0]]["spec"]["selector"] != cluster.objects[NAMES[1]]["spec"]["selector"]

    def test_a_node_that_gets_another_value_leaves_that_of_the_first(self, cluster):
        cluster.want({"node-1": 1, "node-2": 1})
        assert cluster.want({"node-1": 0})["moved"] == ["node-1"]
        assert cluster.held() == {0: ["node-1"], 1: ["node-2"]}

    @pytest.mark.parametrize("nothing", [None, ""])
    def test_the_last_one_takes_it_away(self, cluster, nothing):
        cluster.want({"node-1": 1, "node-2": 1})
        cluster.want({"node-1": nothing})
        assert cluster.held() == {1: ["node-2"]}
        cluster.want({"node-2": nothing})
        assert cluster.held() == {}
        assert cluster.writes[1:] == [("patched", NAMES[1]), ("absent", NAMES[1])]
        assert cluster.want({"node-2": nothing})["writes"] == []

    def test_who_leaves_needs_no_image_and_no_node(self, cluster):
        cluster.want({"node-1": 1, "node-2": 1})
        before = copy.deepcopy(cluster.objects[NAMES[1]]["spec"]["template"]["spec"]["containers"])
        del cluster.objects["kube-proxy"]
        assert cluster.want({"node-1": None}, nodes=[], script="another")["unknown"] == []
        assert cluster.objects[NAMES[1]]["spec"]["template"]["spec"]["containers"] == before

    def test_a_node_that_the_cluster_does_not_have_does_not_join(self, cluster):
        found = cluster.want({"node-1": 1, "elsewhere": 1})
        assert (found["unknown"], cluster.held()) == (["elsewhere"], {1: ["node-1"]})
        assert cluster.want({"elsewhere": 1})["writes"] == []

    def test_two_hosts_with_one_name(self):
        with pytest.raises(HoldDaemonsetError, match="two hosts are the node node-1"):
            decide([KUBE_PROXY], [{"node": "node-1", "value": 1}] * 2, node_objects(), SCRIPT)

    @pytest.mark.parametrize("entry", [{"node": "node-1", "value": 2}, {"node": "", "value": 1}, {"value": 1}, {"node": "node-1", "value": True}, "node-1"])
    def test_what_is_no_node_and_no_value(self, entry):
        with pytest.raises(HoldDaemonsetError, match="is not a node and its value"):
            decide([KUBE_PROXY], [entry], node_objects(), SCRIPT)

    def test_what_cannot_be_a_label_does_not_come_back(self, cluster):
        """What somebody has put into the object goes nowhere, in particular not into a template of Ansible's."""
        cluster.want({"node-1": 1})
        term = cluster.objects[NAMES[1]]["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        term["nodeSelectorTerms"][0]["matchExpressions"][0]["values"] += ["{{ lookup('pipe', 'id') }}", 7]
        cluster.want({"node-2": 1})
        assert cluster.held() == {1: ["node-1", "node-2"]}
        assert "lookup" not in json.dumps(cluster.objects)

    @given(st.lists(st.dictionaries(st.sampled_from(NODES), st.sampled_from([0, 1, None]), min_size=1), max_size=6))
    def test_any_batches_in_any_order(self, batches):
        cluster, expected = Cluster(KUBE_PROXY), {}
        for batch in batches:
            cluster.want(batch)
            expected.update(batch)
            held = {value: sorted(node for node in expected if expected[node] == value) for value in (0, 1)}
            assert cluster.held() == {value: nodes for value, nodes in held.items() if nodes}
            assert cluster.want(batch)["writes"] == []


class TestPods:
    def test_the_pods_of_other_nodes_are_left_alone(self, cluster):
        """The affinity stands in the template of the pods: RollingUpdate would end all of them with each batch."""
        cluster.want({"node-1": 1})
        assert cluster.strategy() == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%"}}
        cluster.want({"node-2": 1})
        assert cluster.strategy() == {"type": "OnDelete"}
        cluster.want({"node-2": None})
        assert cluster.strategy() == {"type": "OnDelete"}

    @pytest.mark.parametrize("change", [{"script": "another"}, {"image": "example.org/another:1"}])
    def test_another_script_or_image_comes_to_all_of_them(self, cluster, change):
        cluster.want({"node-1": 1})
        cluster.want({"node-2": 1})
        assert cluster.want({"node-2": 1}, **change)["moved"] == []
        assert cluster.strategy() == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%"}}
        assert cluster.held() == {1: ["node-1", "node-2"]}
        assert cluster.want({"node-1": 1}, **change)["writes"] == []

    def test_what_somebody_has_changed_is_put_right(self, cluster):
        cluster.want({"node-1": 1})
        good = copy.deepcopy(cluster.objects[NAMES[1]]["spec"])
        cluster.objects[NAMES[1]]["spec"]["template"]["spec"]["hostNetwork"] = False
        cluster.objects[NAMES[1]]["spec"]["template"]["spec"]["containers"].append({"name": "another"})
        cluster.objects[NAMES[1]]["metadata"]["labels"] = {}
        cluster.want({"node-1": 1})
        assert cluster.objects[NAMES[1]]["spec"] == good
        assert cluster.objects[NAMES[1]]["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "kubeproxy.ipvs"

    def test_the_kubelet_changes_nothing_in_the_script(self):
        """It expands $(NAME) for variables of the container, and makes $$ of $."""
        assert "$$" not in SCRIPT
        assert all(not rest.partition(")")[0].isidentifier() for rest in SCRIPT.split("$(")[1:])

    def test_ansible_takes_no_part_of_the_script_for_a_template(self):
        assert not any(mark in SCRIPT for mark in ("{{", "{%", "{#"))


class TestImage:
    def image(self, *others, **more):
        """The image that is chosen, and its container."""
        cluster = Cluster(*others)
        cluster.want({"node-1": 1}, **more)
        return cluster.objects[NAMES[1]]["spec"]["template"]["spec"]["containers"][0]["image"]

    def test_it_is_that_of_the_cluster(self):
        assert self.image(daemonset("kube-proxy-worker", "example.org/worker:2", "kube-proxy-worker"), KUBE_PROXY) == IMAGE
        assert self.image(daemonset("kube-proxy-worker", "example.org/worker:2", "kube-proxy-worker")) == "example.org/worker:2"
        assert self.image(daemonset("kube-proxy", container="other")) == "example.org/sidecar:1"

    def test_the_owners_word_goes_first(self):
        assert self.image(KUBE_PROXY, image="example.org/mine@sha256:0123") == "example.org/mine@sha256:0123"

    def test_without_a_daemonset_it_is_that_of_most_nodes(self):
        assert self.image(daemonset("kube-proxy", namespace="elsewhere"), images=["", "a:2", "b:1", "a:2", None]) == "a:2"
        assert self.image(images=["sha256:0123", "{{ 1 }}", "b:1"]) == "b:1"

    def test_without_a_daemonset_another_batch_does_not_change_it(self):
        cluster = Cluster()
        cluster.want({"node-1": 1}, images=["a:1"])
        cluster.want({"node-2": 1}, images=["a:2", "a:2"])
        cluster.want({"node-3": 0}, images=["a:3"])
        assert {cluster.objects[name]["spec"]["template"]["spec"]["containers"][0]["image"] for name in NAMES.values()} == {"a:1"}

    def test_nothing_is_known(self):
        with pytest.raises(HoldDaemonsetError, match="no image is known"):
            self.image(daemonset("kube-proxy", image=None, container="kube-proxy"), images=["", None])

    @pytest.mark.parametrize("image", ["{{ 1 }}", "a b", "-a", "a\nb"])
    def test_what_is_no_image(self, image):
        with pytest.raises(HoldDaemonsetError, match="is not the name of an image"):
            self.image(KUBE_PROXY, image=image)

    @pytest.mark.parametrize("namespace,expected", [("kube-system", [{"name": "registry"}]), ("elsewhere", None)])
    def test_what_it_is_pulled_with_comes_with_it(self, namespace, expected):
        cluster = Cluster(daemonset("kube-proxy", imagePullSecrets=[{"name": "registry"}, {"name": "{{ 1 }}"}]))
        cluster.want({"node-1": 1}, namespace=namespace)
        assert cluster.objects[NAMES[1]]["spec"]["template"]["spec"].get("imagePullSecrets") == expected
        assert cluster.objects[NAMES[1]]["metadata"]["namespace"] == namespace
        assert cluster.want({"node-1": 1}, namespace=namespace)["writes"] == []


class TestFilter:
    def test_a_problem_is_told_and_is_no_error(self):
        """An error of a task that runs once would be one of all hosts."""
        found = hold_daemonsets([], [{"node": "node-1", "value": 1}], SCRIPT, nodes=node_objects())
        assert found["writes"] == [] and found["problem"].startswith("no image is known")

    def test_the_script_keeps_its_type(self):
        class Marked(str):
            """As Ansible marks what is no template."""

        found = hold_daemonsets([KUBE_PROXY], [{"node": "node-1", "value": 1}], Marked(SCRIPT), nodes=node_objects())
        assert found["problem"] is None
        assert isinstance(found["writes"][0]["definition"]["spec"]["template"]["spec"]["containers"][0]["command"][2], Marked)

    @pytest.mark.parametrize("rubbish", [None, "", [None], [{"metadata": None}], [{"metadata": {"name": NAMES[1], "namespace": "kube-system"}}]])
    def test_rubbish_from_the_api(self, rubbish):
        found = hold_daemonsets(rubbish, [{"node": "node-1", "value": 1}], SCRIPT, nodes=node_objects(), image="a:1")
        assert found["problem"] is None and found["moved"] == ["node-1"]
