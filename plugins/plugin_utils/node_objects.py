# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Node objects of a cluster as host variables, and host variables as the facts of docs/facts.md, with null for all that the API does not know."""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.daemonset_kube_proxy import kube_proxy_on_node
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import MODES, SCHEMA, boolean, mapping, sequence, text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain

VARIABLE = "kube_node"
MAXIMUM_NAME = 253
# RFC 1123, as the API server demands it of names and of host names in addresses; nothing else can become a host or an address to connect to.
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_ROLE = "node-role.kubernetes.io/"
_OLD_ROLE = "kubernetes.io/role"
# GOARCH as `uname -m` says it.
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64", "loong64": "loongarch64"}
_KERNEL_NOT_READ = (
    "version", "version_signature", "ip_vs", "ip_vs_module_available", "ip_vs_loaded_at_boot", "symbols", "live_patches", "changelog", "probe",
)  # fmt: skip
_SYSCTL_NOT_READ = (
    "state", "network_namespace", "conn_reuse_mode", "conntrack", "expire_nodest_conn", "expire_quiescent_template", "conn_reuse_old_conntrack",
    "schedule_icmp", "absent",
)  # fmt: skip
_KUBE_PROXY_NOT_READ = (
    "running", "vendor", "pid", "start_time", "network_namespace", "others", "unit", "unit_path", "unit_drop_ins", "unit_type", "unit_exec_start_post",
    "unit_timeout_start_seconds", "manifest_path", "pod_uid", "container_id", "argv", "config_path", "config_read_from", "config_modified", "mode_effective",
    "ignored_flags", "metrics_address", "healthz_address", "metrics_answers", "healthz_answers", "strict_arp", "exclude_cidrs", "scheduler", "verbosity",
    "traces", "kube_router",
)  # fmt: skip
_TABLE_NOT_READ = (
    "state", "services", "services_by_kind", "destinations", "destinations_weight_zero", "active_connections", "inactive_connections", "kube_ipvs0", "stuck",
    "stuck_connections", "stuck_worst", "foreign", "foreign_services", "unparsed_lines",
)  # fmt: skip
_COUNTERS_NOT_READ = ("tcp_syn_retransmits", "tcp_active_opens", "conntrack_insert_failed", "conntrack_drop", "conntrack_count", "conntrack_max")
_PRESSURE_NOT_READ = (
    "ephemeral_ports", "sampled_bytes", "sample_complete", "sampled_connections", "time_wait", "time_wait_share", "busiest",
    "connections_per_second_estimate", "sample_seconds", "connections_per_second", "growth",
)  # fmt: skip


class NodeObjectError(ValueError):
    """Something that is not a Node object, or one without a name that a host can have. The text says which and why."""


def is_dns_name(value) -> bool:
    """Whether VALUE is a name as the API server allows it for a node."""
    return isinstance(value, str) and len(value) <= MAXIMUM_NAME and bool(_DNS_NAME.fullmatch(value))


def encodable(value):
    """VALUE with what cannot be written as UTF-8 (halves of surrogate pairs out of JSON) replaced, also in keys."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [encodable(item) for item in value]
    return value


def _texts(value) -> dict[str, str]:
    return {key: item for key, item in mapping(value).items() if isinstance(key, str) and isinstance(item, str)}


def _roles(labels: dict[str, str]) -> list[str]:
    named = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE)} | {labels.get(_OLD_ROLE, "")}
    return sorted(role for role in named if role.strip())


def _addresses(status: dict) -> list[dict]:
    pairs = [(text(mapping(item).get("type")), text(mapping(item).get("address"))) for item in sequence(status.get("addresses"))]
    return [{"type": kind, "address": address} for kind, address in pairs if kind and address]


def _taints(spec: dict) -> list[dict]:
    taints = [mapping(item) for item in sequence(spec.get("taints"))]
    return [{"key": taint["key"], "value": text(taint.get("value")), "effect": text(taint.get("effect"))} for taint in taints if text(taint.get("key"))]


def _ready(status: dict) -> bool | None:
    found = [mapping(item).get("status") for item in sequence(status.get("conditions")) if mapping(item).get("type") == "Ready"]
    return {"True": True, "False": False}.get(found[-1]) if found and isinstance(found[-1], str) else None


def record_of(node) -> dict:
    """What the inventory keeps of one Node object, made of plain values. Raises NodeObjectError if it has no usable name.

    Whatever else is missing or of another type is null or empty.
    """
    node = encodable(plain(node))
    if not isinstance(node, dict):
        raise NodeObjectError(f"not a Node object but a {type(node).__name__}")
    metadata, spec, status = mapping(node.get("metadata")), mapping(node.get("spec")), mapping(node.get("status"))
    name = metadata.get("name")
    if not is_dns_name(name):
        raise NodeObjectError(f"a Node object whose name is not one that a node can have: {str(name)[:60]!r}")
    info, labels = mapping(status.get("nodeInfo")), _texts(metadata.get("labels"))
    return {
        "name": name,
        "uid": text(metadata.get("uid")),
        "kernel": text(info.get("kernelVersion")),
        "os_image": text(info.get("osImage")),
        "operating_system": text(info.get("operatingSystem")) or labels.get("kubernetes.io/os"),
        "architecture": text(info.get("architecture")) or labels.get("kubernetes.io/arch"),
        "container_runtime": text(info.get("containerRuntimeVersion")),
        "kubelet": text(info.get("kubeletVersion")),
        "roles": _roles(labels),
        "labels": labels,
        "annotations": _texts(metadata.get("annotations")),
        "addresses": _addresses(status),
        "taints": _taints(spec),
        "ready": _ready(status),
        "unschedulable": boolean(spec.get("unschedulable")) or False,
        "provider_id": text(spec.get("providerID")),
    }


def _connectable(address: str) -> bool:
    """Whether an address can be handed to a connection plugin: an IP address or a host name, nothing that a program could take for an option."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return is_dns_name(address.lower())
    return "%" not in address


def address_of(record: dict, types: list[str]) -> str | None:
    """The first address of the first of TYPES that the node has, None if it has none of them."""
    for kind in types:
        for entry in record["addresses"]:
            if entry["type"] == kind and _connectable(entry["address"]):
                return entry["address"]
    return None


def host_variables(record: dict, cluster: str, cluster_kube_proxy, source: str, annotations: bool = False) -> dict:
    """The variable kube_node of a host.

    record: what record_of() returned. cluster_kube_proxy: what daemonset_kube_proxy.read_kube_proxy() or unknown() returned. source: where the
    objects are from, for people. annotations: whether they are in it.
    """
    kept = {key: value for key, value in record.items() if key != "annotations" or annotations}
    windows = record["operating_system"] == "windows"
    proxy = kube_proxy_on_node(cluster_kube_proxy, record["name"], record["labels"], record["taints"])
    if windows:
        proxy = {**proxy, "form": "none", "image": None, "version": None, "mode": None, "mode_source": None, "reason": "a Windows node has no IPVS"}
    return {"cluster": cluster, "source": source, **kept, "kube_proxy": proxy}


def _nulls(names: tuple[str, ...]) -> dict:
    return dict.fromkeys(names)


def facts_from_host(variable) -> dict | None:
    """Facts in the form of docs/facts.md out of a host's variable kube_node, None if it is not one. What the API does not know is null."""
    node = plain(variable)
    if not isinstance(node, dict) or not text(node.get("name")):
        return None
    proxy = mapping(node.get("kube_proxy"))
    windows = node.get("operating_system") == "windows"
    mode = proxy.get("mode") if proxy.get("mode") in MODES else None
    return {
        "schema": SCHEMA,
        "root": None,
        "live": False,
        "collected_at": None,
        "effective_user_id": None,
        "kernel": {
            "release": None if windows else text(node.get("kernel")),
            "machine": _MACHINES.get(str(node.get("architecture"))),
            "os_release": {"id": None, "version_id": None, "name": text(node.get("os_image")), "id_like": None},
            **_nulls(_KERNEL_NOT_READ),
        },
        "sysctl": _nulls(_SYSCTL_NOT_READ),
        "writers": None,
        "kube_proxy": {
            "form": text(proxy.get("form")),
            "image": text(proxy.get("image")),
            "version": text(proxy.get("version")),
            "version_source": "image" if text(proxy.get("version")) else None,
            "mode": mode,
            "mode_source": text(proxy.get("mode_source")) if mode else None,
            "mode_configured": mode,
            **_nulls(_KUBE_PROXY_NOT_READ),
        },
        "table": _nulls(_TABLE_NOT_READ),
        "counters": _nulls(_COUNTERS_NOT_READ),
        "pressure": _nulls(_PRESSURE_NOT_READ),
        "hold": {"guards": None, "managed": None, "service_manager": None},
        "unreadable": [],
    }


def origin_of(variable) -> str:
    """Where the facts of facts_from_host() are from, for people."""
    node = mapping(plain(variable))
    reason = text(mapping(node.get("kube_proxy")).get("reason"))
    missing = f"; kube-proxy: {reason}" if reason else ""
    return f"Node object {node.get('name')} of cluster {node.get('cluster')}, from {node.get('source')}; nothing was read on the node{missing}"


def facts_of_inventory_host(variables) -> tuple[dict | None, str, str | None]:
    """(facts, why there are none, origin) of a host of the inventory. variables: all of the host's, a mapping."""
    variable = variables.get(VARIABLE) if VARIABLE in variables else None
    facts = facts_from_host(variable)
    if facts is None:
        return None, f"the inventory has no Node object of it: audit_source is api, and only kubeproxy.ipvs.nodes gives hosts the variable {VARIABLE}", None
    return facts, "", origin_of(variable)
