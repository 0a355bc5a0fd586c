# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role conn_reuse_mode changes on a node: the value, what holds it there, and the lines of others that would set another one."""

from __future__ import annotations

import re
from dataclasses import asdict, replace

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import moments
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import Managed, NodeFacts, mapping, number, read, sequence, text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.neutralise import Edit, Left, harmful_guards, neutralise
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plan import after_neutralising, moments_against, to_value
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.policy import read_policy
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import in_ipvs_mode, judge_node

LEAVE, NONE, SET, HOLD = "leave", "none", "set", "hold"
# The plan of a node on which no value is safe.
DECIDE = "decide"
AUTO, DAEMONSET = "auto", "daemonset"
HOLDS = (AUTO, DAEMONSET)
# Forms whose unit's start is kube-proxy's start. MicroK8s' unit belongs to snapd, which writes it anew at each refresh.
FORMS_WITH_UNIT = ("systemd", "k3s")
DROP_IN = "90-kubeproxy-ipvs.conf"
# How long the drop-in waits at most, and which part of the unit's own limit.
WAIT_SECONDS, SHARE_OF_TIMEOUT = 60, 2 / 3
# As systemd allows them, but none that a program would take for an option.
_UNIT = re.compile(r"(?!-)[A-Za-z0-9:_.\\@-]+\.service")
_PORT = re.compile(r":([0-9]{1,5})$")


class HoldingError(ValueError):
    """What was asked for cannot be meant. The text names it."""


def _ports(proxy: dict) -> list[int]:
    """The ports on which kube-proxy itself listens, by its own configuration."""
    found = [_PORT.search(text(proxy.get(name)) or "") for name in ("metrics_address", "healthz_address")]
    ports = {int(match.group(1)) for match in found if match}
    return sorted(port for port in ports if 0 < port < 65536)


def _drop_in(facts: NodeFacts) -> dict | None:
    """The drop-in for kube-proxy's unit, or None where there is no such unit."""
    proxy = facts.part("kube_proxy")
    unit = text(proxy.get("unit"))
    if facts.form not in FORMS_WITH_UNIT or unit is None or not _UNIT.fullmatch(unit):
        return None
    limit = number(proxy.get("unit_timeout_start_seconds"))
    seconds = WAIT_SECONDS if limit is None else max(1, min(WAIT_SECONDS, int(limit * SHARE_OF_TIMEOUT)))
    return {"unit": unit, "path": f"/etc/systemd/system/{unit}.d/{DROP_IN}", "ports": _ports(proxy), "seconds": seconds}


def _old_edits(managed: Managed | None) -> list[Edit]:
    """What the role has neutralised on this node before."""
    found = []
    for entry in (mapping(entry) for entry in sequence(managed.facts.get("edits") if managed else None)):
        for line in (mapping(line) for line in sequence(entry.get("lines"))):
            if text(entry.get("path")) and text(line.get("line")) and isinstance(line.get("replacement"), str):
                found.append(Edit(entry["path"], line["line"], line["replacement"]))
    return found


def _grouped(edits: list[Edit]) -> list[dict]:
    """The edits of each file, as the module recorded_files takes them."""
    paths = sorted({edit.path for edit in edits})
    return [{"path": path, "lines": [{"line": edit.line, "replacement": edit.replacement} for edit in edits if edit.path == path]} for path in paths]


def _result(action: str, reason: str, value: int | None = None, **more) -> dict:
    empty = {"owner_word": False, "drop_in": None, "service": False, "daemonset": False, "edits": [], "left": [], "options": [], "holds": []}
    return {"action": action, "value": value, "reason": reason, **empty, "up_to_date": False, "proved": False, **more}


def _obstacle(facts: NodeFacts, applies: bool | None) -> str | None:
    """Why nothing can be set on this node, or None."""
    if applies is None:
        return "the mode of kube-proxy is not known"
    if facts.value_absent or facts.value is None:
        return "there is no value to set on this node now"
    if mapping(facts.raw.get("sysctl")).get("network_namespace") not in (None, "host"):
        return "kube-proxy runs in a network namespace of its own, whose value this cannot set"
    return None


def _words(drop_in: dict | None, service: bool, daemonset: bool) -> list[str]:
    """What holds the value, for a report."""
    found = [f"drop-in of {drop_in['unit']}"] if drop_in else []
    return found + (["service kubeproxy-ipvs-hold"] if service else []) + (["DaemonSet kubeproxy-ipvs-hold"] if daemonset else [])


def _kept(wanted: dict) -> dict:
    """What of the result the role writes into its record."""
    return {name: wanted[name] for name in ("value", "owner_word", "drop_in", "service", "daemonset", "script", "edits", "action", "reason")}


def _compared(facts: dict) -> dict:
    """What must be the same for the role to have nothing to do; reasons may be told otherwise by a newer release."""
    return {name: facts.get(name) for name in ("value", "owner_word", "drop_in", "service", "daemonset", "script", "edits")}


def _is_up_to_date(facts: NodeFacts, wanted: dict) -> bool:
    managed = facts.managed
    if managed is None or facts.value != wanted["value"] or managed.damaged or (wanted["service"] and managed.service_running is False):
        return False
    return _compared(managed.facts) == _compared(wanted)


def _is_proved(facts: NodeFacts) -> bool:
    """Whether kube-proxy has started since the role changed the node: only then the value proves anything."""
    started = facts.part("kube_proxy").get("start_time")
    at = facts.managed.applied_at if facts.managed else None
    return isinstance(started, (int, float)) and at is not None and started > at


def _service_possible(facts: NodeFacts) -> bool:
    return mapping(facts.raw.get("hold")).get("service_manager") != "other"


def _wanted(facts: NodeFacts, plan: dict, value: int, hold: str, owner_word: bool, script: str | None) -> dict:
    """What is to be on a node that is to have VALUE. facts: as it would be without the role."""
    new_edits, left = neutralise(facts, value)
    harmful, stays = harmful_guards(facts)
    left += [entry for entry in stays if entry not in left]
    lines = {(edit.path, edit.line) for edit in harmful}
    new_edits = harmful + [edit for edit in new_edits if (edit.path, edit.line) not in lines]
    old_edits = [edit for edit in _old_edits(facts.managed) if edit not in new_edits]
    against = moments_against(after_neutralising(facts, new_edits, value), value)
    needs_hold = bool(against)
    if needs_hold and hold == AUTO and not _service_possible(facts):
        return _result(LEAVE, "the value must be held but this node has no systemd: a DaemonSet can hold it", owner_word=owner_word)
    drop_in = _drop_in(facts) if needs_hold and hold == AUTO and moments.KUBE_PROXY_RESTART in against else None
    wanted = _result(
        HOLD if needs_hold else SET,
        plan["reason"],
        value,
        owner_word=owner_word,
        drop_in=drop_in,
        service=needs_hold and hold == AUTO,
        daemonset=needs_hold and hold == DAEMONSET,
        script=script if needs_hold and hold == AUTO else None,
        edits=_grouped(old_edits + new_edits),
        left=[asdict(entry) for entry in left if isinstance(entry, Left)],
    )
    wanted["holds"] = _words(drop_in, wanted["service"], wanted["daemonset"])
    return wanted


def _contradicted(managed: Managed | None, wanted: dict) -> str | None:
    """Why the value that the role holds on the node is not what is decided now. A probe that nobody repeats contradicts nothing."""
    held = managed.facts.get("value") if managed else None
    if held not in (0, 1) or managed.facts.get("owner_word") or held == wanted["value"]:
        return None
    if wanted["value"] is not None:
        return f"what the role holds is {held}, and {wanted['value']} is safe now: {wanted['reason']}"
    return f"what the role holds is {held}, which was safe when it was decided: {wanted['reason']}" if wanted.get("plan") == DECIDE else None


def holding(facts, policy=None, value: int | None = None, hold: str = AUTO, script: str | None = None) -> dict:
    """What the role conn_reuse_mode is to do to a node: see the filter conn_reuse_mode_changes.

    Arguments and errors are those of _decided().
    """
    node = facts if isinstance(facts, NodeFacts) else read(facts)
    wanted = _decided(node, policy, value, hold, script)
    return {**wanted, "contradicted": _contradicted(node.managed, wanted)}


def _decided(node: NodeFacts, policy, value: int | None, hold: str, script: str | None) -> dict:
    """What the role conn_reuse_mode is to do to a node: see the filter conn_reuse_mode_changes.

    value: the owner's own choice. hold: auto or daemonset. script: what tells one version of the hold's script from another.
    Raises HoldingError, and KnowledgeError for a policy that is malformed.
    """
    if value not in (None, 0, 1) or isinstance(value, bool):
        raise HoldingError(f"value: {value!r} is not 0, 1 or none")
    if hold not in HOLDS:
        raise HoldingError(f"hold: {hold!r} is not one of {', '.join(HOLDS)}")
    # What the role did before is decided anew each time, so that a second run comes to the same.
    bare = replace(node, managed=None)
    judged = judge_node(bare, read_policy(policy))
    plan, applies = judged["plan"], in_ipvs_mode(bare)
    if applies is False:
        return _result(LEAVE if node.managed else NONE, plan["reason"])
    obstacle = _obstacle(bare, applies)
    if obstacle:
        return _result(LEAVE, obstacle)
    safe = plan["value"] if plan["action"] in (NONE, SET, HOLD) else None
    owner_word = value is not None and value != safe
    if owner_word:
        plan = to_value(bare, value, f"the owner chose {value}", (), judged["moments"])
    elif safe is None:
        return _result(LEAVE, plan["reason"], options=plan.get("options", []), plan=plan["action"])
    target = value if owner_word else safe
    if plan["action"] == NONE and not (node.managed and node.managed.paths):
        return _result(NONE, plan["reason"], target, owner_word=owner_word)
    wanted = _wanted(replace(bare, managed=node.managed), plan, target, hold, owner_word, script)
    if wanted["action"] == LEAVE:
        return wanted
    wanted["record"] = _kept(wanted)
    wanted["up_to_date"] = _is_up_to_date(node, wanted)
    wanted["proved"] = _is_proved(node)
    return wanted
