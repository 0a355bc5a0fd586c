# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The DaemonSets that hold the value: which objects of the API have to change for some nodes to join them or to leave.

There is one for each value, and which nodes it is for stands in its node affinity. Nodes that are not spoken of stay where they are.
"""

from __future__ import annotations

import re
from collections import Counter
from copy import deepcopy

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, number, sequence, text

NAME = "kubeproxy-ipvs-hold"
KUBE_SYSTEM = "kube-system"
NAME_LABEL, VALUE_LABEL, MANAGER_LABEL = "app.kubernetes.io/name", "kubeproxy.ipvs/value", "app.kubernetes.io/managed-by"
NODE_LABEL = "kubernetes.io/hostname"
VALUES = (0, 1)
# kubeadm's name, which most have taken, and Alibaba Cloud's; their containers have the same.
KUBE_PROXIES = ("kube-proxy", "kube-proxy-worker")
PRESENT, PATCHED, ABSENT = "present", "patched", "absent"
# Whatever else stands in an object of the API can be no label of a node, no image or no name, and goes nowhere.
_LABEL_VALUE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_IMAGE = re.compile(r"(?!sha256:)[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}")
_SECRET = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9]{1,64}")


class HoldDaemonsetError(ValueError):
    """What was asked for cannot be meant. The text names it."""


def _at(thing, *path) -> dict | list | str | int | None:
    """What stands at a path of nested mappings, or None."""
    for key in path:
        thing = mapping(thing).get(key)
    return thing


def _matching(pattern: re.Pattern, thing) -> str | None:
    found = text(thing)
    return found if found and pattern.fullmatch(found) else None


def _pod_specification(daemonset: dict) -> dict:
    return mapping(_at(daemonset, "spec", "template", "spec"))


def nodes_of(daemonset: dict) -> set[str]:
    """The nodes that a DaemonSet is for."""
    required = _at(_pod_specification(daemonset), "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    expressions = [entry for term in sequence(_at(required, "nodeSelectorTerms")) for entry in sequence(_at(term, "matchExpressions"))]
    names = [name for entry in expressions if _at(entry, "key") == NODE_LABEL for name in sequence(_at(entry, "values"))]
    return {name for name in names if _matching(_LABEL_VALUE, name)}


def _affinity(nodes: set[str]) -> dict:
    expression = {"key": NODE_LABEL, "operator": "In", "values": sorted(nodes)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}}


def name_for(value: int) -> str:
    """The name of the DaemonSet that holds a value."""
    return f"{NAME}-{value}"


def _head(value: int, namespace: str, resource_version: str | None) -> dict:
    """What names an object. With the version that was read the API refuses to overwrite what somebody else has written since."""
    metadata = {"name": name_for(value), "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {**metadata, **({"resourceVersion": resource_version} if resource_version else {})}}


def _container(value: int, image: str, script: str) -> dict:
    return {
        "name": "hold",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        # The script is the command's text, so that nothing has to be on the node or in a ConfigMap.
        "command": ["/bin/sh", "-c", script, NAME, "keep", str(value)],
        # Privileged, because /proc/sys cannot be written otherwise.
        "securityContext": {"privileged": True, "runAsUser": 0, "readOnlyRootFilesystem": True},
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"cpu": "100m", "memory": "32Mi"}},
    }


def definition(value: int, nodes: set[str], namespace: str, image: str, script: str, pull_secrets: list[str], resource_version: str | None = None) -> dict:
    """The DaemonSet that holds a value on these nodes, without its updateStrategy."""
    selector = {NAME_LABEL: NAME, VALUE_LABEL: str(value)}
    labels = {**selector, MANAGER_LABEL: "kubeproxy.ipvs"}
    found = _head(value, namespace, resource_version)
    found["metadata"]["labels"] = labels
    found["metadata"]["annotations"] = {
        "kubernetes.io/description": f"Keeps net.ipv4.vs.conn_reuse_mode at {value} on some nodes. Installed by the Ansible collection kubeproxy.ipvs, "
        "role conn_reuse_mode; its playbook rollback takes it away."
    }
    found["spec"] = {
        "revisionHistoryLimit": 1,
        "selector": {"matchLabels": selector},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                # The value is that of a network namespace.
                "hostNetwork": True,
                "dnsPolicy": "Default",
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "priorityClassName": "system-node-critical",
                "terminationGracePeriodSeconds": 1,
                "tolerations": [{"operator": "Exists"}],
                "affinity": _affinity(nodes),
                "imagePullSecrets": [{"name": name} for name in pull_secrets] or None,
                "containers": [_container(value, image, script)],
            },
        },
    }
    return found


def _covers(existing, wanted) -> bool:
    """Whether an object has everything that is wanted; what else the API server put into its mappings does not count."""
    if isinstance(wanted, dict):
        return all(_covers(mapping(existing).get(name), entry) for name, entry in wanted.items())
    if isinstance(wanted, list):
        there = sequence(existing)
        return len(there) == len(wanted) and all(_covers(left, right) for left, right in zip(there, wanted))
    return existing == wanted


def _without_nodes(wanted: dict) -> dict:
    found = deepcopy(wanted)
    del found["spec"]["template"]["spec"]["affinity"]
    return found


ALL_AT_ONCE = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%"}}
# Which nodes a DaemonSet is for stands in the template of its pods, so that RollingUpdate would end the pods of all other nodes with each
# batch. The controller starts pods on nodes that join and ends those on nodes that leave without it.
LEAVE_OTHERS_ALONE = {"type": "OnDelete", "rollingUpdate": None}


def _present(existing: dict | None, wanted: dict) -> dict | None:
    """The write that brings a DaemonSet to what is wanted, or None if it is that already."""
    if existing is None:
        strategy = ALL_AT_ONCE
    elif not _covers(_at(existing, "spec", "template"), _without_nodes(wanted)["spec"]["template"]):
        strategy = ALL_AT_ONCE
    elif nodes_of(existing) != nodes_of(wanted):
        strategy = LEAVE_OTHERS_ALONE
    elif not _covers(existing, wanted):
        strategy = None
    else:
        return None
    if strategy:
        wanted["spec"]["updateStrategy"] = strategy
    return {"name": wanted["metadata"]["name"], "state": PRESENT, "definition": wanted, "options": {}}


def _fewer(value: int, namespace: str, version: str | None, nodes: set[str]) -> dict:
    """The write that leaves only these nodes in a DaemonSet, and all else as it is."""
    wanted = _head(value, namespace, version)
    if not nodes:
        unchanged = {"preconditions": {"resourceVersion": version}} if version else {}
        return {"name": name_for(value), "state": ABSENT, "definition": wanted, "options": {"propagationPolicy": "Background", **unchanged}}
    wanted["spec"] = {"updateStrategy": LEAVE_OTHERS_ALONE, "template": {"spec": {"affinity": _affinity(nodes)}}}
    return {"name": name_for(value), "state": PATCHED, "definition": wanted, "options": {}}


def _image_and_secrets(daemonset: dict) -> tuple[str | None, list[str]]:
    containers = [mapping(entry) for entry in sequence(_pod_specification(daemonset).get("containers"))]
    chosen = next((entry for entry in containers if entry.get("name") in KUBE_PROXIES), containers[0] if containers else {})
    secrets = [_matching(_SECRET, _at(entry, "name")) for entry in sequence(_pod_specification(daemonset).get("imagePullSecrets"))]
    return _matching(_IMAGE, chosen.get("image")), [name for name in secrets if name]


def _image(given: str, daemonsets: list[dict], held: dict[int, dict], namespace: str, of_nodes: list) -> tuple[str | None, list[str]]:
    """The image to run the script with, and the names of the secrets to pull it with.

    All nodes have kube-proxy's. Where it is no DaemonSet, what the hold has had so far goes before what the facts of these nodes say,
    so that nodes of several versions do not change it in turns.
    """
    if given:
        return given, []
    by_name = {text(_at(entry, "metadata", "name")): entry for entry in daemonsets if _at(entry, "metadata", "namespace") == KUBE_SYSTEM}
    for name in KUBE_PROXIES:
        image, secrets = _image_and_secrets(mapping(by_name.get(name)))
        if image:
            return image, secrets if namespace == KUBE_SYSTEM else []
    for daemonset in held.values():
        image, secrets = _image_and_secrets(daemonset)
        if image:
            return image, secrets
    counted = Counter(sorted(image for image in (_matching(_IMAGE, entry) for entry in of_nodes) if image))
    return (counted.most_common(1)[0][0] if counted else None), []


def _read_wanted(wanted: list) -> dict[str, int | None]:
    """{node: value, or None for a node that is to leave}"""
    found = {}
    for entry in wanted:
        node, value = text(_at(entry, "node")), _at(entry, "value")
        # A template gives an empty text for none.
        value = None if value == "" else value
        if node is None or (value is not None and number(value) not in VALUES):
            raise HoldDaemonsetError(f"{entry!r} is not a node and its value")
        if node in found:
            raise HoldDaemonsetError(f"two hosts are the node {node}: conn_reuse_mode_daemonset_node_name must be one host's own")
        found[node] = None if value is None else number(value)
    return found


def decide(daemonsets, wanted, nodes, script: str, namespace: str = KUBE_SYSTEM, image: str = "", images=()) -> dict:
    """What to write: see the filter hold_daemonsets.

    daemonsets: those of the namespace and of kube-system. wanted: [{node, value}]. nodes: the Node objects of those that are to join.
    image: the owner's word; images: what the facts of the nodes say. Raises HoldDaemonsetError.
    """
    daemonsets = [mapping(entry) for entry in sequence(daemonsets)]
    if image and not _IMAGE.fullmatch(image):
        raise HoldDaemonsetError(f"{image!r} is not the name of an image")
    asked = _read_wanted(sequence(wanted))
    known = {text(_at(node, "metadata", "labels", NODE_LABEL)) for node in sequence(nodes)}
    unknown = sorted(node for node, value in asked.items() if value is not None and node not in known)
    asked = {node: value for node, value in asked.items() if node not in unknown}
    mine = {text(_at(entry, "metadata", "name")): entry for entry in daemonsets if _at(entry, "metadata", "namespace") == namespace}
    held = {value: mine[name_for(value)] for value in VALUES if name_for(value) in mine}
    chosen, secrets = _image(image, daemonsets, held, namespace, sequence(images))
    before = {value: nodes_of(held[value]) if value in held else set() for value in VALUES}
    after = {value: {node for node in before[value] if node not in asked} | {node for node in asked if asked[node] == value} for value in VALUES}
    if chosen is None and set(asked.values()) & set(VALUES):
        raise HoldDaemonsetError(
            "no image is known: the cluster has no DaemonSet kube-proxy in kube-system, and the nodes do not tell theirs; conn_reuse_mode_daemonset_image can"
        )
    writes = []
    for value in VALUES:
        existing = held.get(value)
        version = _matching(_VERSION, _at(existing, "metadata", "resourceVersion"))
        if value in asked.values():
            writes.append(_present(existing, definition(value, after[value], namespace, chosen, script, secrets, version)))
        elif after[value] != before[value]:
            writes.append(_fewer(value, namespace, version, after[value]))
    moved = sorted(node for value in VALUES for node in before[value] ^ after[value])
    return {"writes": [write for write in writes if write], "moved": sorted(set(moved)), "unknown": unknown, "image": chosen}
