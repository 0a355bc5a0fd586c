# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade of kube-proxy, of the kernel, or of both makes of a node: at once, and after the reboot that may come later."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import kube_proxy_versions, moments
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.capabilities import judge_kernel, kernel_letter
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import NodeFacts, mapping, read, text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.findings import find
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import load, source_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plan import make_plan
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.policy import read_policy
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.release import leading_version, version
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import in_ipvs_mode, moment_entries, worst


# What can be planned, and what it is called.
TARGETS = {"kube_proxy": "kube-proxy", "kernel": "kernel"}
MAXIMUM_TARGETS = 3


class TargetError(ValueError):
    """A planned version that cannot be read. The text names it."""


def check_target(name: str, value) -> str | None:
    """VALUE as a version to forecast, None if there is none. Raises TargetError."""
    if value is None or value == "":
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise TargetError(f"{name}: {value} is a number, of which YAML may have taken a zero away: write the version in quotation marks")
    if not isinstance(value, str) or leading_version(value) is None:
        raise TargetError(f"{name}: {str(value)[:60]!r} does not begin with a version number")
    return value.strip()


def with_kube_proxy(node: NodeFacts, target: str | None) -> NodeFacts:
    """The node with another kube-proxy. A feature gate that the running one needs for IPVS mode is set for the new one, too; none else is known to be."""
    if not target:
        return node
    gated = node.runs_ipvs and kube_proxy_versions.runs_all_the_same(node.kube_proxy)
    return replace(node, kube_proxy=target.lstrip("v"), kube_proxy_version=leading_version(target), runs_ipvs=gated)


def with_kernel(node: NodeFacts, target: str | None) -> NodeFacts:
    """The node after it has booted kernel TARGET (uname -r): nothing read from the old kernel says anything about it."""
    if not target:
        return node
    return replace(
        node,
        kernel_release=target,
        kernel_version=leading_version(target),
        uname_version=None,
        version_signature=None,
        symbols=(),
        changelog={},
        probe={},
        live_patches=(),
        value=None,
        value_absent=False,
        old_conntrack_switch=None,
    )


def _class_of(node: NodeFacts) -> str | None:
    return kube_proxy_versions.upstream_class(node.kube_proxy, node.runs_ipvs)


def _version_holds(row: dict, before: NodeFacts, after: NodeFacts) -> bool:
    old, new = before.kube_proxy_version, after.kube_proxy_version
    if "version_from_below" in row and (old is None or old >= version(row["version_from_below"])):
        return False
    if "version_to_from" in row and (new is None or new < version(row["version_to_from"])):
        return False
    return "version_to_below" not in row or (new is not None and new < version(row["version_to_below"]))


def _holds(row: dict, before: NodeFacts, after: NodeFacts, letters: tuple[str | None, str | None]) -> bool:
    tests = {
        "kube_proxy_from": _class_of(before),
        "kube_proxy_to": _class_of(after),
        "kernel_from": letters[0],
        "kernel_to": letters[1],
        "form": before.form,
    }
    if any(key in row and value not in row[key] for key, value in tests.items()):
        return False
    if "value_now" in row and before.value != row["value_now"]:
        return False
    if row.get("new_kernel") and before.kernel_release == after.kernel_release:
        return False
    if row.get("new_kube_proxy") and before.kube_proxy == after.kube_proxy:
        return False
    return _version_holds(row, before, after)


def transitions(before: NodeFacts, after: NodeFacts, letters: tuple[str | None, str | None]) -> list[dict]:
    """The sentences that explain this change: [{key, text, source}]."""
    document = load("kube_proxy")
    return [
        {"key": row["key"], "text": row["text"], "source": source_text(document, row["source"])}
        for row in document["transitions"]
        if _holds(row, before, after, letters)
    ]


def forecast(facts, kube_proxy=None, kernel=None, policy=None) -> dict:
    """The verdict of a node after a planned change.

    kube_proxy: the planned version; kernel: the planned `uname -r`; None keeps what there is. As judge(), and:
    moments.upgrade is the moment after the new kube-proxy has started on the running kernel; kube_proxy_restart and
    kubelet_restart come after it, reboot boots the planned kernel. capabilities are those of the planned kernel,
    capabilities_now those of the running one. target, transitions [{key, text, source}], modes {ipvs, iptables, nftables},
    nftables_needs [{text, met}], removal [{release, text, reached}].
    Raises TargetError for a target that is no version.
    """
    before, word = facts if isinstance(facts, NodeFacts) else read(facts), read_policy(policy)
    new_proxy, new_kernel = check_target("kube_proxy", kube_proxy), check_target("kernel", kernel)
    upgraded = with_kube_proxy(before, new_proxy)
    rebooted = with_kernel(upgraded, new_kernel)
    can_now, can_then = judge_kernel(before, word), judge_kernel(rebooted, word)
    applies = in_ipvs_mode(before)
    at_once = moments.after_kube_proxy_restart(upgraded) if new_proxy else moments.current(before)
    on_this_kernel = {
        moments.NOW: moments.current(before),
        moments.UPGRADE: at_once,
        moments.KUBE_PROXY_RESTART: moments.after_kube_proxy_restart(upgraded, at_once),
        moments.KUBELET_RESTART: moments.after_kubelet_restart(upgraded, at_once),
    }
    entries = moment_entries(before, on_this_kernel, can_now)
    after_reboot = moments.after_reboot(rebooted)
    entries.update(moment_entries(rebooted, {moments.REBOOT: after_reboot}, can_then))
    after = {moment: entry for moment, entry in entries.items() if moment != moments.NOW}
    letters = (kernel_letter(before, can_now), kernel_letter(rebooted, can_then))
    return {
        "verdict": worst(entry["verdict"] for entry in after.values()),
        "target": {"kube_proxy": new_proxy, "kernel": new_kernel},
        "capabilities": can_then,
        "capabilities_now": can_now,
        "moments": entries,
        "findings": find(rebooted, applies, entries, can_then),
        "plan": make_plan(rebooted, applies, can_then, after),
        "transitions": transitions(before, rebooted, letters) if applies is not False else [],
        "modes": {
            "ipvs": kube_proxy_versions.at_start(rebooted.kube_proxy, rebooted.kernel_version, after_reboot.absent, rebooted.runs_ipvs).action
            != kube_proxy_versions.FAIL,
            "iptables": True,
            "nftables": kube_proxy_versions.nftables_possible(rebooted.kube_proxy, rebooted.kernel_version),
        },
        "nftables_needs": kube_proxy_versions.nftables_needs(rebooted.kube_proxy, rebooted.kernel_version),
        "removal": kube_proxy_versions.removal_plan(rebooted.kube_proxy),
    }


def target_of(nodes) -> dict:
    """{kube_proxy, kernel} of the forecasts in the entries of NODES, None where they have none or not all the same."""
    planned = {key: _planned(nodes, key) for key in TARGETS}
    return {key: next(iter(values)) if len(values) == 1 else None for key, values in planned.items()}


def _planned(nodes, key: str) -> Counter:
    """How many of NODES have which planned kube_proxy or kernel; None is none."""
    forecasts = [mapping(node.get("forecast")) for node in nodes]
    return Counter(text(mapping(forecast.get("target")).get(key)) for forecast in forecasts if forecast)


def target_text(nodes) -> str:
    """What is planned for the entries NODES in words: 'kube-proxy 1.22.0, kernel 5.10.0 (3 nodes) or as it is (2 nodes)'."""
    parts = []
    for key, name in TARGETS.items():
        values = _planned(nodes, key).most_common()
        if len(values) == 1 and values[0][0]:
            parts.append(f"{name} {values[0][0]}")
        elif len(values) > 1:
            words = [f"{value or 'as it is'} ({count} node{'s' * (count != 1)})" for value, count in values[:MAXIMUM_TARGETS]]
            more = len(values) - MAXIMUM_TARGETS
            parts.append(f"{name} {' or '.join(words)}" + (f" or {more} others" if more > 0 else ""))
    return ", ".join(parts)
