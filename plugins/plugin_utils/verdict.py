# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict of a node: what it can do, what each moment brings, what else is worth a line, and the plan."""

from __future__ import annotations

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import moments
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.capabilities import judge_kernel
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import NodeFacts, read
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.findings import find
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.kube_proxy_versions import can_fall_back
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.moments import Setting
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plan import make_plan, safe_value
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.policy import Policy, read_policy

STALE, DELAY, UNKNOWN, UNEVEN, SAFE, NOT_APPLICABLE = "stale_backends", "syn_delay", "unknown", "uneven_load", "safe", "not_applicable"
# Worst first.
VERDICTS = (STALE, DELAY, UNKNOWN, UNEVEN, SAFE, NOT_APPLICABLE)


def worst(words) -> str:
    """The worst of some verdicts; not_applicable if there are none."""
    return min(words, key=VERDICTS.index, default=NOT_APPLICABLE)


def in_ipvs_mode(facts: NodeFacts) -> bool | None:
    """Whether kube-proxy runs in IPVS mode; None if that cannot be told.

    A kube-proxy that is only configured for IPVS, on a node without ip_vs, may have fallen back to iptables mode.
    """
    if facts.mode is None:
        return False if facts.form == "none" else None
    if facts.mode != "ipvs":
        return False
    if facts.mode_effective != "ipvs" and facts.ip_vs == "absent" and can_fall_back(facts.kube_proxy):
        return None
    return True


def verdict_of(setting: Setting, capabilities: dict) -> str:
    """The one word for a node in IPVS mode with this setting on a kernel with these capabilities."""
    if setting.kube_proxy_fails or setting.absent:
        # Without the sysctl connections are always reused; without kube-proxy nobody takes dead backends out.
        return STALE
    if setting.value is None:
        return UNKNOWN
    if setting.value == 0:
        respected = capabilities["respects_zero_weight"]["state"] == "yes" and setting.expire_nodest_conn == 1
        return UNEVEN if respected else STALE
    reuse = capabilities["reuse_without_drop"]["state"]
    if reuse == "yes" or setting.conntrack == 0:
        return SAFE
    return DELAY if reuse == "no" else UNKNOWN


def moment_entry(setting: Setting, word: str) -> dict:
    """One entry of `moments` in a verdict."""
    entry = {"value": setting.value, "verdict": word}
    if setting.writer:
        entry["writer"] = setting.writer
    if setting.confidence and setting.confidence != "proven":
        entry["confidence"] = setting.confidence
    if setting.kube_proxy_fails:
        entry["kube_proxy"] = "does_not_start"
    return entry


def moment_entries(facts: NodeFacts, settings: dict[str, Setting], capabilities: dict) -> dict[str, dict]:
    """`moments` of a verdict for the settings of a node, whatever mode it is in."""
    applies = in_ipvs_mode(facts)
    if applies:
        return {moment: moment_entry(setting, verdict_of(setting, capabilities)) for moment, setting in settings.items()}
    return {moment: {"value": facts.value if moment == moments.NOW else None, "verdict": UNKNOWN if applies is None else NOT_APPLICABLE} for moment in settings}


def judge(facts, policy=None) -> dict:
    """{capabilities, moments, findings, plan, verdict} of a node. See docs/verdict.md. Never raises on any facts.

    policy: mapping as in policy.read_policy; raises KnowledgeError if it is malformed.
    """
    return judge_node(facts if isinstance(facts, NodeFacts) else read(facts), read_policy(policy))


def judge_node(node: NodeFacts, policy: Policy) -> dict:
    """As judge(), on facts and policy that have been read."""
    capabilities = judge_kernel(node, policy)
    applies = in_ipvs_mode(node)
    entries = moment_entries(node, moments.settings(node), capabilities)
    return {
        "verdict": _headline(entries),
        "capabilities": capabilities,
        "moments": entries,
        "findings": find(node, applies, entries, capabilities),
        "plan": make_plan(node, applies, capabilities, entries),
    }


def headline(node: NodeFacts, policy: Policy) -> str:
    """The verdict of judge_node() alone, in half its time."""
    return _headline(moment_entries(node, moments.settings(node), judge_kernel(node, policy)))


def _headline(entries: dict[str, dict]) -> str:
    return worst(entry["verdict"] for entry in entries.values())


def safe_conn_reuse_mode(facts, policy=None) -> int | None:
    """1, 0, or None where no value is safe, nothing is known, or the node does not run kube-proxy in IPVS mode."""
    node, word = read(facts), read_policy(policy)
    return safe_value(judge_kernel(node, word), node) if in_ipvs_mode(node) else None
