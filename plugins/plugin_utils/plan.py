# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to do with a node, and what that rests on."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import kube_proxy_versions, load, moments
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import NodeFacts
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.neutralise import Edit, neutralise, other_value, without

ACTIONS = ("none", "set", "hold", "switch_mode", "upgrade_kernel", "upgrade_kube_proxy", "decide", "probe")
REUSE, WEIGHT = "reuse_without_drop", "respects_zero_weight"


def safe_value(capabilities: dict, facts: NodeFacts) -> int | None:
    """The value that is safe on this kernel in IPVS mode, or None.

    1 where reused connections cost nothing. 0 only where they do and where weight 0 is respected all the same: where that they do is merely
    inferred the kernel may have the fix, and 0 would be wrong there.
    """
    if facts.value_absent:
        return None
    reuse = capabilities[REUSE]
    if reuse["state"] == "yes":
        return 1
    inferred = reuse.get("confidence") == "inferred" and reuse.get("evidence") != "operator"
    return 0 if reuse["state"] == "no" and not inferred and capabilities[WEIGHT]["state"] == "yes" else None


def _plan(action: str, reason: str, value: int | None = None, rests_on: tuple[str, ...] = (), **more) -> dict:
    return {"action": action, "value": value, "reason": reason, "rests_on": list(rests_on), **more}


def _evidence(capabilities: dict, name: str) -> str:
    entry = capabilities[name]
    return f"{entry['evidence'].replace('_', ' ')}, {entry['confidence']}" if "evidence" in entry else "no evidence"


def _load_sentence(facts: NodeFacts) -> str:
    measured = load.measure(facts)
    if measured is None:
        return "How many short connections this node carries was not measured."
    if measured.level == load.NONE:
        return (
            f"No client is near the {measured.threshold} connections per second to one service at which ports are "
            f"reused: the node is not under the load that shows the problem."
        )
    near = "above" if measured.level == load.REACHED else "near"
    return (
        f"{measured.client} opens about {measured.rate} connections per second to {measured.service}, {near} "
        f"the {measured.threshold} at which ports are reused: the node is under the load that shows the "
        f"problem."
    )


def _options(facts: NodeFacts) -> list[dict]:
    keeps = kube_proxy_versions.at_start(facts.kube_proxy, facts.kernel_version, runs_ipvs=facts.runs_ipvs).action == kube_proxy_versions.LEAVE
    nftables = kube_proxy_versions.nftables_possible(facts.kube_proxy, facts.kernel_version)
    return [
        {"action": "upgrade_kernel", "value": 1, "effect": "cures both problems"},
        {"action": "switch_mode", "value": None, "effect": f"iptables{' or nftables' if nftables else ''} mode does not have the problem"},
        {"action": "set" if keeps else "hold", "value": 1, "effect": "correct backends, but a reused source port costs one second"},
        {"action": "set" if keeps else "hold", "value": 0, "effect": "fast, but a reused source port reaches backends that are gone"},
    ]


def _decide(facts: NodeFacts, capabilities: dict) -> dict:
    reason = f"No value is safe: this kernel drops the first packet of a reused connection ({_evidence(capabilities, REUSE)}). {_load_sentence(facts)}"
    return _plan("decide", reason, None, (REUSE,), options=_options(facts))


def after_neutralising(facts: NodeFacts, edits: list[Edit], value: int) -> NodeFacts:
    """The node once VALUE is set and the edits are made, with nothing that holds it."""
    paths = {edit.path for edit in edits}
    guards = tuple(replace(guard, value=value) if guard.path in paths else guard for guard in facts.guards)
    return replace(facts, value=value, writers=without(facts, edits), writers_read=True, guards=guards, managed=None)


def moments_against(facts: NodeFacts, value: int) -> dict[str, moments.Setting]:
    """The moments at which the value would be another one, each with its setting."""
    return {moment: setting for moment, setting in moments.settings(facts).items() if other_value(setting.value, value)}


def _who(setting: moments.Setting, value: int) -> str:
    """Who brings another value than VALUE at a moment, and which."""
    who = setting.writer or "the kernel's default"
    return f"{who} may set {1 - value}" if setting.value is None else f"{who} sets {setting.value}"


def to_value(facts: NodeFacts, value: int, because: str, rests_on: tuple[str, ...], entries: dict) -> dict:
    """none, set or hold, for a node that is to have VALUE. because: why it is to have it; entries: its moments."""
    if not any(other_value(entry["value"], value) for entry in entries.values()):
        return _plan("none", f"{because}, and every moment keeps it", value, rests_on)
    edits = neutralise(facts, value)[0]
    files = sorted({edit.path for edit in edits})
    more = {"neutralise": files} if files else {}
    against = moments_against(after_neutralising(facts, edits, value), value)
    if against:
        who = _who(against.get(moments.KUBE_PROXY_RESTART) or next(iter(against.values())), value)
        often = "at every start" if moments.KUBE_PROXY_RESTART in against else "later"
        return _plan("hold", f"{because}, but {who} {often}: set it, and again after each start", value, rests_on, **more)
    also = f" and take it out of {', '.join(files)}" if files else ""
    return _plan("set", f"{because} and kube-proxy leaves it alone: set it once{also}", value, rests_on, **more)


def _safe(facts: NodeFacts, value: int, capability: str, capabilities: dict, entries: dict) -> dict:
    """The plan for a kernel on which VALUE is safe."""
    rests_on = (REUSE,) if capability == REUSE else (REUSE, capability)
    return to_value(facts, value, f"{value} is safe on this kernel ({_evidence(capabilities, capability)})", rests_on, entries)


def make_plan(facts: NodeFacts, applies: bool | None, capabilities: dict, entries: dict) -> dict:
    """{action, value, reason, rests_on, ...}: see DESIGN words `plan`. entries: the moments of the verdict."""
    if applies is False:
        return _plan("none", "kube-proxy does not run in IPVS mode on this node")
    if applies is None:
        if facts.mode == "ipvs":
            return _plan("none", "kube-proxy is configured for IPVS mode but ip_vs is not in the kernel; look again once it runs")
        return _plan("none", "the mode of kube-proxy is not known")
    kernel = facts.kernel_version
    start = kube_proxy_versions.at_start(facts.kube_proxy, kernel, facts.value_absent, facts.runs_ipvs)
    if start.action == kube_proxy_versions.FAIL and not facts.value_absent:
        return _plan("switch_mode", f"kube-proxy {facts.kube_proxy} does not start in IPVS mode")
    if facts.value_absent:
        return _plan("upgrade_kernel", "this kernel has no conn_reuse_mode: nothing can be set; a newer kernel, or iptables mode")
    if any(row["severity"] == "critical" for row in kube_proxy_versions.bugs(facts.kube_proxy, kernel)):
        return _plan("upgrade_kube_proxy", f"kube-proxy {facts.kube_proxy} does not work on this kernel")
    value = safe_value(capabilities, facts)
    if value is not None:
        return _safe(facts, value, REUSE if value == 1 else WEIGHT, capabilities, entries)
    if capabilities[REUSE]["state"] == "no":
        return _decide(facts, capabilities)
    leaning = " (it probably has the fix, but that is only inferred)" if capabilities[REUSE].get("leaning") else ""
    return _plan(
        "probe", f"nobody knows whether this kernel drops the first packet of a reused connection{leaning}: probe it, or look into its package changelog"
    )
