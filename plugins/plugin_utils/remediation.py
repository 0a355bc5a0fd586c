# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a repair did to a node, beside what was so before it and what is so after it.

An outcome is what the repairing play says of one node. It is read like facts are: what is missing or malformed becomes "not known",
never an exception.
"""

from __future__ import annotations

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, number, sequence, text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import UNKNOWN, VERDICTS

FAILED, UNREACHABLE, NOT_ATTEMPTED, LEFT, WOULD_CHANGE = "failed", "unreachable", "not_attempted", "left", "would_change"
CHANGED, UNCHANGED, RESULT_UNKNOWN = "changed", "unchanged", "unknown"
# What needs somebody first.
RESULTS = (FAILED, RESULT_UNKNOWN, UNREACHABLE, NOT_ATTEMPTED, LEFT, WOULD_CHANGE, CHANGED, UNCHANGED)
# Nothing was done to these nodes: what was read before the repair still holds.
UNTOUCHED = (NOT_ATTEMPTED, LEFT, WOULD_CHANGE, UNCHANGED)
NOT_READ_AFTER = "the node was not read after the change"
NO_OUTCOME = "no outcome was recorded for this node"
_WORDS = {"true": True, "yes": True, "false": False, "no": False}


def _boolean(value) -> bool | None:
    """VALUE as a boolean, also as the word that a template makes of one, else None."""
    return value if isinstance(value, bool) else _WORDS.get(value.strip().lower()) if isinstance(value, str) else None


def _seconds(value) -> float | None:
    """VALUE as a duration, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        value = float(value)
    except (ValueError, OverflowError):
        return None
    return value if 0 <= value < 1e9 else None


def _count(value) -> int | None:
    value = number(value)
    return value if value is not None and value >= 0 else None


def _texts(value) -> list[str]:
    return [item for item in ([value] if isinstance(value, str) else sequence(value)) if text(item)]


def _reason(value) -> str:
    if isinstance(value, list):
        return "; ".join(_texts(value))
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""


def _proof(value) -> dict | None:
    if not mapping(value):
        return None
    services = mapping(value.get("services"))
    return {
        "restarted": _boolean(value.get("restarted")),
        "seconds": _seconds(value.get("seconds")),
        "wrong_seconds": _seconds(value.get("wrong_seconds")),
        "services": {name: _count(services.get(name)) for name in ("tried", "answered_before", "answered_after")} if services else None,
    }


def read_outcome(outcome) -> dict:
    """An outcome with every key, each of the type that the report's schema names; other keys stay as they are. Never raises."""
    given = plain(outcome)
    entry = mapping(given)
    reason = _reason(entry.get("reason"))
    result = entry.get("result") if isinstance(entry.get("result"), str) else None
    if result not in RESULTS:
        if given is None:
            wrong = NO_OUTCOME
        elif not isinstance(given, dict):
            wrong = f"the outcome of this node is not a mapping but a {type(given).__name__}"
        else:
            wrong = "the outcome of this node has no result" if result is None else f"the outcome of this node has an unknown result: {result}"
        result, reason = RESULT_UNKNOWN, f"{wrong}; {reason}" if reason else wrong
    value = number(entry.get("value"))
    word = entry.get("owner_word")
    return {
        **entry,
        "result": result,
        "reason": reason,
        "value": value if value in (0, 1) else None,
        # Whatever is not clearly a no is said to be the owner's word: it must never go unsaid.
        "owner_word": bool(word) and _boolean(word) is not False,
        "hold": _texts(entry.get("hold")),
        "neutralised": _texts(entry.get("neutralised")),
        "rolled_back": _boolean(entry.get("rolled_back")),
        "proof": _proof(entry.get("proof")),
        "options": [item for item in sequence(entry.get("options")) if text(item) or mapping(item)],
    }


def was_touched(outcome) -> bool:
    """Whether a node may have been changed, as its outcome has it: then what was read before says nothing about now."""
    return read_outcome(outcome)["result"] not in UNTOUCHED


def not_read_entry(before: dict, reason: str = NOT_READ_AFTER) -> dict:
    """The entry of a node that was judged BEFORE and that could not be read after a change: its kernel is known, its state is not."""
    return {
        **{key: value for key, value in before.items() if key != "forecast"},
        "verdict": UNKNOWN,
        "moments": {moment: {"value": None, "verdict": UNKNOWN} for moment in mapping(before.get("moments"))},
        "findings": [],
        "plan": {"action": "none", "value": None, "reason": f"{reason}: audit it again", "rests_on": []},
        "facts": {**mapping(before.get("facts")), "value": None},
    }


def state(entry, not_read: str | None = None) -> dict:
    """{verdict, value, moments} of a node entry or a verdict; all of it unknown, with the reason, where NOT_READ is given or there is none."""
    entry = mapping(entry)
    moments = {}
    for moment, what in mapping(entry.get("moments")).items():
        word = mapping(what).get("verdict")
        moments[moment] = {"value": number(mapping(what).get("value")), "verdict": word if word in VERDICTS else UNKNOWN}
    verdict = entry.get("verdict") if entry.get("verdict") in VERDICTS else UNKNOWN
    answer = {"verdict": verdict, "value": mapping(moments.get("now")).get("value"), "moments": moments}
    if not entry or not_read:
        nothing = {moment: {"value": None, "verdict": UNKNOWN} for moment in moments}
        answer = {"verdict": UNKNOWN, "value": None, "moments": nothing, "not_read": not_read or "the node was not read"}
    return answer


def remediation_of(record, after=None, not_read: str | None = None) -> dict:
    """`remediation` of a node of the report.

    record: {outcome, before, before_not_read, after_not_read}: the outcome, the node's verdict before the change (none if there is
    none), and why it could not be read. after: the node's entry after it; none, with the reason in not_read, for a node that was never read.
    """
    record = mapping(record)
    outcome = record.get("outcome")
    if outcome is None and after is None:
        outcome = {"result": UNREACHABLE}
    entry = read_outcome(outcome)
    if after is None and not entry["reason"]:
        entry["reason"] = not_read or ""
    first = state(record.get("before"), text(record.get("before_not_read")) or (not_read if after is None else None))
    then = state(after, text(record.get("after_not_read")) or (not_read if after is None else None))
    head = {"result": entry.pop("result"), "reason": entry.pop("reason")}
    return {**head, **entry, "before": first, "after": then}


def count(remediations: list[dict]) -> dict[str, int]:
    """How many nodes have which result. Every result is there, so that a condition on it never meets an undefined one."""
    words = [entry["result"] for entry in remediations]
    return {result: words.count(result) for result in RESULTS}
