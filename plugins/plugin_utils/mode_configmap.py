# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mode of kube-proxy in a cluster's ConfigMap, as kubeadm makes it, and the undo that is kept in an annotation of it."""

from __future__ import annotations

import json

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.mode_in_yaml import ModeError, edited, mode_in
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, sequence, text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain

UNDO = "kubeproxy.ipvs/mode-before"
# Where installers keep the configuration: kubeadm, EKS, OpenShift.
KEYS = ("config.conf", "config", "kube-proxy-config.yaml")
PRESENT, ABSENT = "present", "absent"


def _undo_of(configmap: dict) -> dict:
    """What the annotation says, {} if there is none or none that can be understood."""
    written = mapping(mapping(configmap.get("metadata")).get("annotations")).get(UNDO)
    try:
        return mapping(json.loads(written)) if isinstance(written, str) else {}
    except ValueError:
        return {}


def _answer(problem: str = "", **more) -> dict:
    return {"problem": problem, "changed": False, "key": None, "from": None, "before": "", "after": "", "definition": {}, **more}


def _taken_back(content: str, undo: dict) -> str:
    """The text with the lines of before. Where they are others by now, the mode alone is put back. Raises ModeError."""
    lines = content.split("\n")
    for number, before, after in (entry for entry in sequence(undo.get("lines")) if isinstance(entry, list) and len(entry) == 3):
        if not isinstance(number, int) or not 0 < number <= len(lines) or lines[number - 1] != after or not isinstance(before, str):
            return edited(content, undo["from"])[0]
        lines[number - 1] = before
    return "\n".join(lines)


def configmap_change(resources, target: str, state: str = PRESENT, name: str = "kube-proxy") -> dict:
    """What to write so that a ConfigMap has the mode TARGET, or what it had before the role: see the filter kube_proxy_configmap.

    resources: the ConfigMaps that were found, none or one.
    """
    found = [mapping(item) for item in sequence(plain(resources))]
    if len(found) != 1:
        return _answer(f"the cluster has no ConfigMap {name}")
    configmap = found[0]
    metadata, data = mapping(configmap.get("metadata")), mapping(configmap.get("data"))
    label = f"ConfigMap {metadata.get('namespace')}/{metadata.get('name')}"
    keys = [key for key in KEYS if text(data.get(key))]
    if not keys:
        return _answer(f"{label} has none of the keys {', '.join(KEYS)}")
    key, undo = keys[0], _undo_of(configmap)
    content = data[key]
    if state == ABSENT and not undo:
        return _answer(key=key, before=content, after=content)
    try:
        before = mode_in(content)
        if state == ABSENT:
            new, undo_after = _taken_back(content, undo), None
        else:
            new, lines = edited(content, target)
            # The first switch is the one to go back to.
            undo_after = json.dumps(undo or {"key": key, "from": before or "iptables", "lines": lines}, sort_keys=True)
    except ModeError as error:
        return _answer(f"{label}, {key}: {error}")
    if state == PRESENT and new == content:
        return _answer(key=key, before=content, after=content, **{"from": before})
    definition = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": metadata.get("name"),
            "namespace": metadata.get("namespace"),
            # Somebody else's change in between is not overwritten: the API server refuses.
            "resourceVersion": metadata.get("resourceVersion"),
            "annotations": {UNDO: undo_after},
        },
        "data": {key: new},
    }
    return _answer(changed=True, key=key, before=content, after=new, definition=definition, **{"from": before})
