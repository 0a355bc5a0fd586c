# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a cluster's DaemonSet kube-proxy and its ConfigMap say of kube-proxy, and on which nodes.

nodeInfo.kubeProxyVersion of a Node object is never used: the kubelet writes its own version there, and nothing since 1.33 (KEP-4004). A DaemonSet
that exists may still run nowhere (GKE's selects no node), so that it counts for a node only if it selects it.
"""

from __future__ import annotations

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_version import from_image
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.mode_in_yaml import ModeError, mode_in
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import MODES, mapping, number, sequence, text

# What kube-proxy takes on Linux if neither a file nor a flag names a mode.
DEFAULT_MODE = "iptables"
NAME = "kube-proxy"
NOT_THERE = "the cluster has no DaemonSet {name}: kube-proxy runs otherwise, or not at all"
# The DaemonSet controller lets its pods tolerate these (pkg/controller/daemon/util).
TOLERATED_ALWAYS = (
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
    "node.kubernetes.io/network-unavailable",
)


def unknown(reason: str) -> dict:
    """What is known of a cluster's kube-proxy when nothing is, and why."""
    return {
        "image": None,
        "version": None,
        "version_reason": reason,
        "mode": None,
        "mode_source": None,
        "mode_reason": reason,
        "reason": reason,
        "scheduling": None,
    }


def _template(daemonset: dict) -> dict:
    return mapping(mapping(mapping(mapping(daemonset).get("spec")).get("template")).get("spec"))


def _container(daemonset: dict) -> dict:
    """The container that runs kube-proxy: the one of that name, or the only one."""
    containers = [mapping(item) for item in sequence(_template(daemonset).get("containers"))]
    named = [item for item in containers if item.get("name") == NAME]
    return (named or (containers if len(containers) == 1 else [{}]))[0]


def _words(container: dict) -> list[str]:
    return [word for key in ("command", "args") for word in sequence(container.get(key)) if isinstance(word, str)]


def _flag(words: list[str], name: str) -> str | None:
    """The last value of a flag in a list of arguments, or None."""
    value = None
    for index, word in enumerate(words):
        head, equals, tail = word.partition("=")
        if head.lstrip("-") == name and head.startswith("-"):
            value = tail if equals else (words[index + 1] if index + 1 < len(words) else None)
    return value


def _is_script(words: list[str]) -> bool:
    """Whether a shell puts the arguments together, so that they cannot be read off."""
    return any(" " in word.strip() or "\n" in word for word in words)


def _mounted_from(daemonset: dict, container: dict, path: str) -> tuple[str, str] | None:
    """(ConfigMap, key) that a path of the container is mounted from, None if it is not from a ConfigMap."""
    volumes = {text(mapping(item).get("name")): mapping(mapping(item).get("configMap")) for item in sequence(_template(daemonset).get("volumes"))}
    best = None
    for mount in (mapping(item) for item in sequence(container.get("volumeMounts"))):
        where = (text(mount.get("mountPath")) or "").rstrip("/")
        below = path == where or path.startswith(where + "/")
        if where and below and (best is None or len(where) > len(best[0])):
            best = (where, mount)
    volume = volumes.get(text(best[1].get("name"))) if best else None
    if not volume or not text(volume.get("name")):
        return None
    rest = path[len(best[0]) :].lstrip("/")
    inside = "/".join(part for part in ((text(best[1].get("subPath")) or "").strip("/"), rest) if part)
    items = {text(mapping(item).get("path")): mapping(item).get("key") for item in sequence(volume.get("items"))}
    key = items.get(inside) if items else inside
    return (volume["name"], key) if text(key) else None


def config_map_of(daemonset: dict) -> tuple[str, str] | None:
    """(name, key) of the ConfigMap that holds kube-proxy's configuration, None if it has none or it stands elsewhere."""
    container = _container(daemonset)
    path = _flag(_words(container), "config")
    return _mounted_from(daemonset, container, path) if path else None


def _mode_in_config_map(place: tuple[str, str], config_map: dict | None, reason: str) -> dict:
    label = f"ConfigMap {place[0]}, key {place[1]}"
    if config_map is None:
        return {"mode": None, "mode_source": None, "mode_reason": reason or f"there is no {label}"}
    content = mapping(config_map.get("data")).get(place[1])
    if not isinstance(content, str):
        return {"mode": None, "mode_source": None, "mode_reason": f"there is no {label}"}
    try:
        mode = mode_in(content)
    except ModeError as error:
        return {"mode": None, "mode_source": None, "mode_reason": f"{label}: {error}"}
    if mode is not None and mode not in MODES:
        return {"mode": None, "mode_source": None, "mode_reason": f"{label} gives a mode that is none"}
    return {"mode": mode or DEFAULT_MODE, "mode_source": "config_file" if mode else "default", "mode_reason": None}


def _mode(daemonset: dict, config_map: dict | None, reason: str) -> dict:
    container = _container(daemonset)
    words = _words(container)
    if not container or _is_script(words):
        return {"mode": None, "mode_source": None, "mode_reason": "the arguments of kube-proxy cannot be read off its DaemonSet"}
    if _flag(words, "config"):
        place = config_map_of(daemonset)
        if place is None:
            return {"mode": None, "mode_source": None, "mode_reason": "kube-proxy's configuration file is not in a ConfigMap"}
        return _mode_in_config_map(place, config_map, reason)
    mode = _flag(words, "proxy-mode")
    if mode and mode not in MODES:
        return {"mode": None, "mode_source": None, "mode_reason": "the DaemonSet's flag --proxy-mode names a mode that is none"}
    return {"mode": mode or DEFAULT_MODE, "mode_source": "flag" if mode else "default", "mode_reason": None}


def _rolled_out(daemonset: dict) -> bool:
    """Whether every pod of the DaemonSet has the image that it names now, as far as its status says."""
    status, metadata = mapping(daemonset.get("status")), mapping(daemonset.get("metadata"))
    observed, generation = number(status.get("observedGeneration")), number(metadata.get("generation"))
    if observed is None or (generation is not None and observed < generation):
        return False
    return (number(status.get("updatedNumberScheduled")) or 0) >= (number(status.get("desiredNumberScheduled")) or 0)


def read_kube_proxy(daemonset, config_map=None, config_map_reason: str = "") -> dict:
    """What a cluster says of its kube-proxy. Never raises.

    daemonset: the DaemonSet kube-proxy as the API gives it. config_map: the ConfigMap that config_map_of() names, None if it was not read,
    config_map_reason then says why. Returns image, version, mode and mode_source, null where it is not known, version_reason and mode_reason, why
    not; and scheduling, the part of the DaemonSet that selects nodes.
    """
    daemonset = mapping(daemonset)
    container, template, status = _container(daemonset), _template(daemonset), mapping(daemonset.get("status"))
    image = text(container.get("image"))
    version, reason = from_image(image), None
    if version is None:
        reason = "the image of the DaemonSet names no version"
    elif not _rolled_out(daemonset):
        version, reason = None, f"the rollout of the image {image} is not complete, as far as the DaemonSet says"
    nowhere = number(status.get("desiredNumberScheduled")) == 0 and number(status.get("observedGeneration")) is not None
    return {
        "image": image,
        "version": version,
        "version_reason": reason,
        **_mode(daemonset, mapping(config_map) or None, config_map_reason),
        "reason": None,
        "scheduling": {
            "nowhere": nowhere,
            "node_selector": mapping(template.get("nodeSelector")),
            "terms": _affinity_terms(template),
            "tolerations": [mapping(item) for item in sequence(template.get("tolerations"))],
        },
    }


def _affinity_terms(template: dict) -> list | None:
    """The terms of the node affinity, one of which a node must meet; None if there is none."""
    affinity = mapping(mapping(template.get("affinity")).get("nodeAffinity"))
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return None if required is None else sequence(mapping(required).get("nodeSelectorTerms"))


def _meets(expression: dict, values: dict) -> bool | None:
    """Whether labels (or fields) meet one expression of a term; None for an operator that is not known."""
    key, operator, wanted = expression.get("key"), expression.get("operator"), sequence(expression.get("values"))
    if not isinstance(key, str) or not isinstance(operator, str):
        return None
    value = values.get(key)
    if operator in ("Gt", "Lt"):
        left, right = number(value), number(wanted[0]) if wanted else None
        return left is not None and right is not None and (left > right if operator == "Gt" else left < right)
    answers = {"In": value is not None and value in wanted, "NotIn": value not in wanted, "Exists": key in values, "DoesNotExist": key not in values}
    return answers.get(operator)


def _all(answers: list[bool | None]) -> bool | None:
    return False if False in answers else None if None in answers else True


def _term(term: dict, labels: dict, name: str) -> bool | None:
    labelled = [_meets(mapping(item), labels) for item in sequence(term.get("matchExpressions"))]
    fields = [_meets(mapping(item), {"metadata.name": name}) for item in sequence(term.get("matchFields"))]
    # An empty term selects nothing.
    return _all(labelled + fields) if labelled or fields else False


def _tolerated(taint: dict, tolerations: list[dict]) -> bool:
    if taint.get("effect") == "PreferNoSchedule" or taint.get("key") in TOLERATED_ALWAYS:
        return True
    for toleration in tolerations:
        effect, key, operator = toleration.get("effect"), toleration.get("key"), toleration.get("operator") or "Equal"
        if effect and effect != taint.get("effect"):
            continue
        if operator == "Exists" and (not key or key == taint.get("key")):
            return True
        if operator == "Equal" and key == taint.get("key") and (toleration.get("value") or "") == (taint.get("value") or ""):
            return True
    return False


def selects(scheduling, name: str, labels: dict, taints: list[dict]) -> bool | None:
    """Whether the DaemonSet has a pod on a node of this name; None if that cannot be told."""
    if not isinstance(scheduling, dict):
        return None
    if scheduling.get("nowhere"):
        return False
    answers = [labels.get(key) == value for key, value in mapping(scheduling.get("node_selector")).items()]
    if scheduling.get("terms") is not None:
        met = [_term(mapping(term), labels, name) for term in sequence(scheduling["terms"])]
        answers.append(True if True in met else None if None in met else False)
    if not all(_tolerated(mapping(taint), sequence(scheduling.get("tolerations"))) for taint in taints):
        # A pod that was there before the taint may have stayed.
        answers.append(None)
    return _all(answers)


def kube_proxy_on_node(cluster, name: str, labels: dict, taints: list[dict]) -> dict:
    """What is known of kube-proxy on one node: form, image, version, mode, mode_source, and why something is not known (or null).

    cluster: what read_kube_proxy() or unknown() returned.
    """
    cluster = mapping(cluster)
    here = selects(cluster.get("scheduling"), name, labels, taints)
    if not here:
        reason = text(cluster.get("reason")) or (
            "the DaemonSet kube-proxy does not select this node" if here is False else "whether the DaemonSet kube-proxy selects this node is not known"
        )
        return {"form": None, "image": None, "version": None, "mode": None, "mode_source": None, "reason": reason}
    reasons = [reason for reason in (text(cluster.get("version_reason")), text(cluster.get("mode_reason"))) if reason]
    return {
        "form": "daemonset",
        "image": text(cluster.get("image")),
        "version": text(cluster.get("version")),
        "mode": cluster.get("mode") if cluster.get("mode") in MODES else None,
        "mode_source": text(cluster.get("mode_source")),
        "reason": "; ".join(dict.fromkeys(reasons)) or None,
    }
