# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Saved outputs of `kubectl get ... -o json`: lists, lists of lists, several in a file, and files that are something else."""

from __future__ import annotations

import json

import pytest
from api_server_stand_in import config_map_object, daemonset_object, node_object

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.node_lists import NodeListError, find_object, read_objects


@pytest.fixture
def saved(tmp_path):
    """saved(content) -> what read_objects() makes of a file with it."""

    def read(content):
        path = tmp_path / "nodes.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return read_objects(str(path))

    return read


def kind(name):
    return {"apiVersion": "v1", "kind": "Node", **node_object(name)}


def names(objects):
    return [item["metadata"]["name"] for item in objects["Node"]]


LIST = {"apiVersion": "v1", "kind": "List", "items": [kind("a"), kind("b")]}
# The API itself does not name the kind of what is in a list.
NODE_LIST = {"apiVersion": "v1", "kind": "NodeList", "items": [node_object("c"), node_object("d")]}


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ([LIST], ["a", "b"]),
        ([NODE_LIST], ["c", "d"]),
        ([LIST, NODE_LIST], ["a", "b", "c", "d"]),
        ([[LIST, NODE_LIST]], ["a", "b", "c", "d"]),
        ([{"kind": "List", "items": [NODE_LIST, LIST]}], ["c", "d", "a", "b"]),
        ([kind("a")], ["a"]),
        ([{"kind": "List", "items": []}], []),
        ([{"kind": "List", "items": [{"kind": "Pod", "metadata": {"name": "p"}}, kind("a")]}], ["a"]),
    ],
)
def test_lists(saved, documents, expected):
    assert names(saved("\n".join(json.dumps(document, indent=1) for document in documents))) == expected


def test_what_is_no_object_is_handed_on_to_be_named(saved):
    assert saved('{"kind": "NodeList", "items": [null, 3]}')["Node"] == [None, 3]


def test_what_names_no_kind_is_not_lost(saved):
    assert saved('{"kind": "List", "items": [{"metadata": {"name": "a"}}, {"kind": "Pod"}]}')["Node"] == [{"metadata": {"name": "a"}}]
    with pytest.raises(NodeListError, match="neither a List nor a Node object"):
        saved('{"metadata": {"name": "a"}}')


def test_byte_order_mark(saved):
    assert names(saved(b"\xef\xbb\xbf" + json.dumps(LIST).encode())) == ["a", "b"]


def test_daemonset_and_config_map(saved):
    objects = saved(json.dumps({"kind": "List", "items": [daemonset_object(), config_map_object()]}))
    assert find_object(objects["DaemonSet"], "kube-system", "kube-proxy") == daemonset_object()
    assert find_object(objects["ConfigMap"], "kube-system", "kube-proxy") == config_map_object()
    assert find_object(objects["ConfigMap"], "default", "kube-proxy") is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "neither a List nor a Node object"),
        ("3", "neither a List nor a Node"),
        ('{"kind": "Status", "message": "forbidden"}', "neither a List nor a Node object"),
        ("apiVersion: v1\nitems: []\n", "not JSON, as"),
        ('{"kind": "List", "items": [', "not JSON, as"),
        ("No resources found\n", "not JSON, as"),
        (b"\xff\xfe{\x00", "not UTF-8"),
        ("[" * 200000, "nested too deeply"),
    ],
)
def test_other_files(saved, content, reason):
    with pytest.raises(NodeListError, match=reason):
        saved(content)


def test_no_such_file(tmp_path):
    with pytest.raises(NodeListError, match="No such file"):
        read_objects(str(tmp_path / "none.json"))
    with pytest.raises(NodeListError, match="Is a directory"):
        read_objects(str(tmp_path))
