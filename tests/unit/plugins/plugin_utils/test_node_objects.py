# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Node objects as host variables and as facts: what is kept, what is unknown, holes and hostile text, and what the verdict makes of it."""

from __future__ import annotations

import copy
import json

import pytest
from api_server_stand_in import config_map_object, daemonset_object, node_object
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.daemonset_kube_proxy import read_kube_proxy, unknown
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import check
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import check_document
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.node_objects import (
    NodeObjectError,
    address_of,
    facts_from_host,
    facts_of_inventory_host,
    host_variables,
    is_dns_name,
    origin_of,
    record_of,
)
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_text import markdown, table
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import judge

TYPES = ["InternalIP", "ExternalIP", "Hostname"]
IPVS = read_kube_proxy(daemonset_object(), config_map_object())
HOSTILE = [
    "{{ lookup('pipe', 'touch /tmp/x') }}",
    "{% for a in b %}",
    "<script>alert(1)</script>",
    "=HYPERLINK(\"http://x\")",
    "a\nb\r\n| c |",
    "\u202ereversed",
    "\x1b]0;title\x07",
    "'\"`",
    "\ud800",
    "\x00",
    "a" * 5000,
]


def variable(node, cluster_kube_proxy=None, **options):
    return host_variables(record_of(node), "prod", IPVS if cluster_kube_proxy is None else cluster_kube_proxy, "a test", **options)


def test_what_is_kept():
    node = node_object("web-1", labels={"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "web"}, annotations={"a": "b"})
    node["spec"].update({"taints": [{"key": "dedicated", "value": "x", "effect": "NoSchedule"}, {"effect": "NoSchedule"}], "unschedulable": True})
    kept = variable(node)
    assert kept["cluster"] == "prod" and kept["name"] == "web-1" and kept["source"] == "a test"
    assert kept["roles"] == ["web", "worker"]
    assert kept["taints"] == [{"key": "dedicated", "value": "x", "effect": "NoSchedule"}]
    assert (kept["ready"], kept["unschedulable"], kept["provider_id"]) == (True, True, "stand-in:///web-1")
    assert (kept["kubelet"], kept["architecture"], kept["operating_system"]) == ("v9.9.9", "amd64", "linux")
    assert kept["kube_proxy"]["version"] == "1.20.2"
    assert "annotations" not in kept and variable(node, annotations=True)["annotations"] == {"a": "b"}


@pytest.mark.parametrize(("status", "ready"), [("True", True), ("False", False), ("Unknown", None), (True, None), ([], None)])
def test_ready(status, ready):
    node = node_object("web-1")
    node["status"]["conditions"] = [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": status}]
    assert record_of(node)["ready"] is ready


@pytest.mark.parametrize("name", [None, "", 7, "Web", "-oProxyCommand=x", "{{ 1 }}", "a b", "a/b", "a\n", "a" * 254, "é", "a..b", "a:22", "x[1:3]"])
def test_names_that_no_node_can_have(name):
    assert not is_dns_name(name)
    with pytest.raises(NodeObjectError, match="a Node object whose name is not one"):
        record_of(node_object(name))


@pytest.mark.parametrize("thing", [None, 3, "node", [], [{}]])
def test_what_is_no_object(thing):
    with pytest.raises(NodeObjectError, match="not a Node object but"):
        record_of(thing)


@pytest.mark.parametrize("name", ["web-1", "10.0.0.5", "ip-10-0-0-1.eu-west-1.compute.internal", "a", "0"])
def test_names_that_a_node_can_have(name):
    assert record_of(node_object(name))["name"] == name


@pytest.mark.parametrize(
    ("addresses", "types", "address"),
    [
        ([("Hostname", "web-1"), ("InternalIP", "10.0.0.1"), ("InternalIP", "fd00::1")], TYPES, "10.0.0.1"),
        ([("InternalIP", "10.0.0.1"), ("ExternalIP", "192.0.2.1")], ["ExternalIP", "InternalIP"], "192.0.2.1"),
        ([("InternalIP", "fd00::1")], TYPES, "fd00::1"),
        ([("Hostname", "Web-1.example.com")], TYPES, "Web-1.example.com"),
        ([("InternalIP", "-oProxyCommand=x"), ("Hostname", "web-1")], TYPES, "web-1"),
        ([("InternalIP", "{{ 1 }}")], TYPES, None),
        ([("InternalIP", "fe80::1%eth0")], TYPES, None),
        ([("InternalIP", "10.0.0.1")], [], None),
        ([], TYPES, None),
    ],
)
def test_address(addresses, types, address):
    node = node_object("web-1")
    node["status"]["addresses"] = [{"type": kind, "address": value} for kind, value in addresses]
    assert address_of(record_of(node), types) == address


def test_facts_have_every_key_of_the_example_fleet_and_null_for_what_is_not_known():
    facts = facts_from_host(variable(node_object("web-1")))
    assert check({"ansible_facts": {"ipvs": facts}}) == facts
    assert facts["live"] is False and facts["writers"] is None
    assert facts["kernel"]["release"].endswith("eulerosv2r9.x86_64") and facts["kernel"]["machine"] == "x86_64"
    assert {key: value for key, value in facts["kube_proxy"].items() if value is not None} == {
        "form": "daemonset",
        "image": "registry.k8s.io/kube-proxy:v1.20.2",
        "version": "1.20.2",
        "version_source": "image",
        "mode": "ipvs",
        "mode_source": "config_file",
        "mode_configured": "ipvs",
    }
    for part in ("sysctl", "table", "counters", "pressure", "hold"):
        assert set(facts[part].values()) == {None}
    assert "9.9.9" not in json.dumps(facts)


def judged(kernel, image="registry.k8s.io/kube-proxy:v1.20.2", mode="ipvs"):
    cluster = read_kube_proxy(daemonset_object(image), config_map_object(mode))
    return judge(facts_from_host(variable(node_object("web-1", kernel), cluster)))


def words(answer):
    return {moment: (entry["value"], entry["verdict"], entry.get("confidence")) for moment, entry in answer["moments"].items()}


NOT_KNOWN = (None, "unknown", None)


def test_what_kube_proxy_writes_is_predicted_and_only_inferred():
    answer = judged("4.18.0-147.5.1.6.h686.eulerosv2r9.x86_64")
    assert words(answer) == {
        "now": NOT_KNOWN,
        "kube_proxy_restart": (0, "stale_backends", "inferred"),
        "kubelet_restart": NOT_KNOWN,
        "reboot": (0, "stale_backends", "inferred"),
    }
    assert (answer["verdict"], answer["plan"]["action"], answer["plan"]["value"]) == ("stale_backends", "hold", 1)
    assert [entry["key"] for entry in answer["findings"]] == ["writers_not_read"]


def test_what_kube_proxy_leaves_alone_is_not_known():
    # A file on the node may set 0 at the boot: nobody has looked, so that the kernel's default is no answer.
    answer = judged("6.1.0-25-amd64", "registry.k8s.io/kube-proxy:v1.30.4")
    assert set(words(answer).values()) == {NOT_KNOWN}
    assert (answer["verdict"], answer["plan"]["action"], answer["plan"]["value"]) == ("unknown", "set", 1)


@pytest.mark.parametrize(("mode", "verdict", "action"), [("iptables", "not_applicable", "none"), ("", "not_applicable", "none"), ("odd", "unknown", "none")])
def test_other_modes(mode, verdict, action):
    answer = judged("5.4.0-150-generic", mode=mode)
    assert (answer["verdict"], answer["plan"]["action"]) == (verdict, action)


def test_a_cluster_whose_kube_proxy_is_not_known():
    answer = judge(facts_from_host(variable(node_object("web-1"), unknown("refused"))))
    assert answer["verdict"] == "unknown"
    assert (answer["plan"]["action"], answer["plan"]["reason"]) == ("none", "the mode of kube-proxy is not known")


def test_a_windows_node_is_none_of_ours():
    node = node_object("win-1", "10.0.17763.1999")
    node["status"]["nodeInfo"]["operatingSystem"] = "windows"
    facts = facts_from_host(variable(node))
    assert facts["kernel"]["release"] is None and facts["kube_proxy"]["form"] == "none"
    assert judge(facts)["verdict"] == "not_applicable"


def test_the_same_facts_with_writers_that_were_read_know_more():
    facts = facts_from_host(variable(node_object("web-1", "6.1.0-25-amd64"), read_kube_proxy(daemonset_object("x:v1.30.4"), config_map_object())))
    assert judge({**facts, "writers": []})["moments"]["reboot"] == {"value": 1, "verdict": "safe"}


def test_a_host_of_another_inventory_has_no_facts():
    facts, reason, origin = facts_of_inventory_host({"ansible_host": "10.0.0.1"})
    assert facts is None and origin is None and "kubeproxy.ipvs.nodes" in reason
    for odd in (None, "text", [], {}, {"name": 3}):
        assert facts_of_inventory_host({"kube_node": odd})[0] is None
    facts, reason, origin = facts_of_inventory_host({"kube_node": variable(node_object("web-1"))})
    assert facts and not reason and origin == "Node object web-1 of cluster prod, from a test; nothing was read on the node"


def test_the_origin_says_why_nothing_is_known_of_kube_proxy():
    words = "Node object web-1 of cluster prod, from a test; nothing was read on the node; kube-proxy: refused"
    assert origin_of(variable(node_object("web-1"), unknown("refused"))) == words
    assert "null" not in origin_of({}) and isinstance(origin_of(None), str)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(HOSTILE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.sampled_from(HOSTILE), inner, max_size=3),
    max_leaves=6,
)


def places(value, path=()):
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def has(place, key):
    """Whether there is something at KEY."""
    return key in place if isinstance(place, dict) else isinstance(place, list) and isinstance(key, int) and key < len(place)


WHOLE = node_object("web-1", labels={"a": "b"}, annotations={"c": "d"})
WHOLE["spec"]["taints"] = [{"key": "a", "value": "b", "effect": "NoSchedule"}]
PLACES = [path for path in places(WHOLE) if path and path != ("metadata", "name") and path != ("metadata",)]


@given(st.lists(st.tuples(st.sampled_from(PLACES), ODD), max_size=4), st.dictionaries(st.text(max_size=20) | st.sampled_from(HOSTILE), ODD, max_size=3))
def test_odd_nodes_never_raise_and_stay_inert(changes, labels):
    node = copy.deepcopy(WHOLE)
    node["metadata"]["labels"].update(labels)
    for path, value in changes:
        place = node
        for key in path[:-1]:
            place = place[key] if has(place, key) else {}
        if isinstance(place, dict) or has(place, path[-1]):
            place[path[-1]] = value
    kept = variable(node, annotations=True)
    # It can be cached and written as UTF-8, and comes back as it was.
    assert json.loads(json.dumps(kept, ensure_ascii=False).encode("utf-8")) == kept
    assert all(isinstance(key, str) and isinstance(value, str) for key, value in kept["labels"].items())
    facts = facts_from_host(kept)
    report = fleet([node_entry("web-1", facts, origin=origin_of(kept))])
    check_document("report", {"collection": "c", "generated_at": "now", **report})
    page = markdown(report)
    assert "<script" not in page and "\x1b" not in page + table(report) and "\u202e" not in page + table(report)
