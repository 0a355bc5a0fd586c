# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nodes of a repair's report as rows: what is said of each, which of them are alike, what is so over all of them.

What these functions return is not cleaned or escaped yet, but for the names and reasons of groups: remediation_text does it.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, number, sequence, text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.remediation import CHANGED, FAILED, LEFT, RESULTS, UNCHANGED, WOULD_CHANGE
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import MOMENT_NAMES, clean, examples
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import UNKNOWN, VERDICTS

MAXIMUM_REASON = 2000
# What the owner of a node can do where its plan lists no options.
_HINTS = {
    "probe": (
        "what helps:",
        "look into the package changelog of its kernel: audit_evidence=[changelog]",
        "what you know of its kernel you say with audit_capabilities or audit_known_kernels",
    ),
}
# Two reasons that differ in these alone are one: addresses, durations, identifiers.
_VARYING = re.compile(r"\b[0-9a-f]{8,}\b|\d+(?:[.:]\d+)+|\d{2,}")


@dataclass(frozen=True)
class Row:
    """A node of the remediation. plan: what it now needs."""

    name: str
    remediation: dict
    plan: dict

    @property
    def result(self) -> str:
        """Its one word of RESULTS."""
        return self.remediation["result"]

    @property
    def reason(self) -> str:
        """Why, as whoever repaired it said."""
        return self.remediation["reason"]

    def at(self, when: str, moment: str) -> dict:
        """{value, verdict} at a moment as it was seen before or after the change."""
        return mapping(self.remediation[when]["moments"].get(moment))

    def verdict(self, when: str) -> str:
        """The headline before or after, ? where the node was not read."""
        side = self.remediation[when]
        return "?" if "not_read" in side else side["verdict"]


def _rank(word: str) -> int:
    return VERDICTS.index(word) if word in VERDICTS else VERDICTS.index(UNKNOWN)


def is_taken_back(row: Row) -> bool:
    """Whether the change is that an earlier one was taken back, which nothing need prove."""
    return row.result == CHANGED and row.remediation["rolled_back"] is True


def is_worse(row: Row) -> bool:
    """Whether a node that was read both times has a worse verdict than before, and nobody asked for that."""
    before, after = row.verdict("before"), row.verdict("after")
    return not is_taken_back(row) and "?" not in (before, after) and _rank(after) < _rank(before)


def _urgency(row: Row) -> tuple:
    """What comes first: the result, and of those what is worst, a change that was not taken back and a verdict that is worse than before."""
    return (RESULTS.index(row.result), row.remediation["rolled_back"] is not False, not is_worse(row))


def rows_of(report: dict) -> list[Row]:
    """The nodes that a remediation names, those that need somebody first."""
    rows = [Row(node["name"], node["remediation"], node["plan"]) for node in report["nodes"] if "remediation" in node]
    rows += [Row(str(node.get("name")), node["remediation"], {}) for node in report["unreachable"] if "remediation" in node]
    return sorted(rows, key=lambda row: (*_urgency(row), _rank(row.verdict("after")), row.name))


def shown(value) -> str:
    return "?" if value is None else str(value)


def verdict_words(row: Row) -> str:
    """The headline before and after."""
    return f"{row.verdict('before')} -> {row.verdict('after')}"


def value_words(row: Row, moment: str = "now") -> str:
    """The value before and after, at a moment."""
    return " -> ".join(shown(row.at(when, moment).get("value")) for when in ("before", "after"))


def restart_words(row: Row) -> str:
    """The value before and after the next restart of kube-proxy, nothing where it is the one of now."""
    restart = [row.at(when, "kube_proxy_restart") for when in ("before", "after")]
    if all(moment.get("verdict", "not_applicable") == "not_applicable" for moment in restart):
        return ""
    words = value_words(row, "kube_proxy_restart")
    return "" if words in (value_words(row), "? -> ?") else words


def _other(found, wanted: int) -> bool:
    return found is not None and (found == 0) != (wanted == 0)


def contradiction(row: Row) -> str:
    """What was read after the change against what the result says, or nothing."""
    wanted = row.remediation["value"]
    if row.result not in (CHANGED, UNCHANGED) or wanted is None:
        return ""
    for moment in ("now", "kube_proxy_restart", "kubelet_restart", "reboot"):
        found = row.at("after", moment).get("value")
        if _other(found, wanted):
            return f"BUT {found}, not {wanted}, " + ("now" if moment == "now" else f"after {MOMENT_NAMES[moment]}")
    return ""


def _services(row: Row) -> dict:
    return mapping(mapping(row.remediation["proof"]).get("services"))


def lost_services(row: Row) -> int:
    """How many services answered before the change and not after it."""
    before, after = (number(_services(row).get(name)) for name in ("answered_before", "answered_after"))
    return max(before - after, 0) if before is not None and after is not None else 0


def is_proved(row: Row) -> bool:
    """Whether kube-proxy was really restarted after the change."""
    return mapping(row.remediation["proof"]).get("restarted") is True


def rolled_back_words(row: Row) -> str:
    return {True: "rolled back", False: "NOT ROLLED BACK", None: ""}[row.remediation["rolled_back"]]


def owner_words(row: Row) -> str:
    """That a value rests on its owner's word alone, or nothing."""
    entry = row.remediation
    return f"{shown(entry['value'])} is the owner's word, without evidence" if entry["owner_word"] else ""


def as_it_is(words: str) -> str:
    """The words themselves."""
    return words


def without_details(row: Row):
    """What makes the words of a row those of all that went the same way: without the node's name, addresses, durations."""
    return lambda words: _VARYING.sub("#", words.replace(row.name, "NODE")).lower()


def holding_words(row: Row, told=as_it_is) -> str:
    """What holds the value, or what would."""
    entry = row.remediation
    holds = told("; ".join(entry["hold"]))
    count = len(entry["neutralised"])
    files = f"{count} file{'s' if count != 1 else ''} neutralised" if count and row.result != WOULD_CHANGE else ""
    return "; ".join(part for part in (holds, files) if part)


def note_parts(row: Row, told=as_it_is) -> list[str]:
    """A row's last column: what holds the value, or why it was not set, what speaks against it first. told: what to make of free text."""
    entry, lost, reason = row.remediation, lost_services(row), told(row.reason)
    parts = [contradiction(row), f"{lost} service{'s' if lost != 1 else ''} no longer answer{'s' if lost == 1 else ''}" if lost else ""]
    parts += [rolled_back_words(row), owner_words(row)]
    if row.result == WOULD_CHANGE and entry["value"] is not None and not entry["owner_word"]:
        parts.append(f"to {entry['value']}")
    if row.result in (CHANGED, UNCHANGED, WOULD_CHANGE):
        parts.append(holding_words(row, told) or reason)
    else:
        parts.append(reason)
    if row.result == CHANGED and not is_proved(row) and not is_taken_back(row):
        parts.append("not proved by a restart")
    not_read = entry["after"].get("not_read") if row.result in (CHANGED, FAILED) else None
    return [part for part in (*parts, f"afterwards: {told(not_read)}" if not_read else "") if part]


def names_of(rows: list[Row], maximum: int) -> str:
    return examples({"count": len(rows), "examples": [row.name for row in rows[:maximum]]})


def _grouped(rows: list[Row], key) -> list[list[Row]]:
    """The rows that agree in a key, in the order in which the first of each comes."""
    groups = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return list(groups.values())


def cells_of(row: Row, told=as_it_is) -> tuple[str, ...]:
    return (verdict_words(row), value_words(row), restart_words(row), row.result, "; ".join(note_parts(row, told)))


def table_groups(rows: list[Row]) -> list[list[Row]]:
    """Rows that look alike, those that need somebody first, of those the largest groups."""
    groups = _grouped(rows, lambda row: cells_of(row, without_details(row)))
    return sorted(groups, key=lambda group: (*_urgency(group[0]), -len(group), _rank(group[0].verdict("after"))))


def by_reason(rows: list[Row]) -> list[list[Row]]:
    groups = _grouped(rows, lambda row: (row.remediation["rolled_back"], without_details(row)(row.reason)))
    return sorted(groups, key=lambda group: (group[0].remediation["rolled_back"] is not False, -len(group)))


def reason_of(group: list[Row]) -> str:
    """The reason that a group of rows has, in full; where they differ in detail, that of the first."""
    first = group[0]
    words = clean(": ".join(part for part in (rolled_back_words(first), first.reason) if part), MAXIMUM_REASON) or "no reason was given"
    alike = len({row.reason for row in group}) == 1
    return words if alike else f"for example {clean(first.name, 60)}: {words}"


def option_words(option) -> str:
    """One of the things that an owner can choose."""
    if not isinstance(option, dict):
        return clean(option)
    action, effect = text(option.get("action")) or "", text(option.get("effect")) or ""
    value = number(option.get("value"))
    # A newer kernel's value is no choice of its own.
    what = f"{action} {value}" if value is not None and action in ("set", "hold") else action
    words = ": ".join(part for part in (what, effect) if part) or json.dumps(option, sort_keys=True)
    return clean(words)


def choices(row: Row) -> tuple[str, ...]:
    """What the owner of a node that was left alone can choose, or what helps; first a line that says which."""
    given = row.remediation["options"] or sequence(row.plan.get("options"))
    if given:
        return ("to choose from:", *(option_words(option) for option in given))
    return _HINTS.get(str(row.plan.get("action")), ())


def left_groups(rows: list[Row]) -> list[tuple[str, tuple[str, ...], list[Row]]]:
    """(plan, what can be chosen, nodes) of the nodes that were left alone, most nodes first."""
    groups = _grouped([row for row in rows if row.result == LEFT], lambda row: (str(row.plan.get("action", UNKNOWN)), choices(row)))
    return [(str(group[0].plan.get("action", UNKNOWN)), choices(group[0]), group) for group in sorted(groups, key=lambda group: -len(group))]


def count_words(count: int) -> str:
    return f"{count} node{'s' if count != 1 else ''}"


def _seconds(seconds: float) -> str:
    return f"{round(seconds, 2):g} s"


def proof_lines(rows: list[Row]) -> list[str]:
    """How the changes were proved, over all nodes."""
    changed = [row for row in rows if row.result == CHANGED and not is_taken_back(row)]
    proved = [row for row in rows if row.result in (CHANGED, UNCHANGED) and is_proved(row)]
    if not changed and not proved:
        return []
    done = sum(1 for row in changed if is_proved(row))
    lines = [f"{done} of {len(changed)} changed node{'s' if len(changed) != 1 else ''} proved by a restart of kube-proxy"] if changed else []
    for key, words in (("seconds", "the proof took up to"), ("wrong_seconds", "the value was wrong for up to")):
        timed = [(row.remediation["proof"][key], row.name) for row in proved if row.remediation["proof"][key] is not None]
        if timed:
            longest, name = max(timed)
            lines.append(f"{words} {_seconds(longest)} ({clean(name, 60)})")
    with_services = [_services(row) for row in proved if _services(row)]
    if with_services:
        tried, before, after = (sum(number(entry.get(key)) or 0 for entry in with_services) for key in ("tried", "answered_before", "answered_after"))
        lines.append(f"services: {tried} tried, {before} answered before, {after} after")
    return lines


def attention_lines(rows: list[Row]) -> list[str]:
    """What contradicts the aim: nodes that are worse than before, values that are not as they were set, services that went away."""
    kinds = (
        ("worse than before", [row for row in rows if is_worse(row)]),
        ("with a value that is not the one that was set, or will not stay", [row for row in rows if contradiction(row)]),
        ("on which services no longer answer", [row for row in rows if lost_services(row)]),
        ("not rolled back", [row for row in rows if row.remediation["rolled_back"] is False and row.result == FAILED]),
        ("with a value on the owner's word, without evidence", [row for row in rows if row.remediation["owner_word"] and row.result != LEFT]),
    )
    return [f"{count_words(len(found))} {words}: {names_of(found, 5)}" for words, found in kinds if found]


def verdict_counts(rows: list[Row]) -> list[tuple[str, int, int]]:
    """(verdict, nodes before, nodes after), worst first; ? for nodes that were not read."""
    before, after = (Counter(row.verdict(when) for row in rows) for when in ("before", "after"))
    return [(word, before[word], after[word]) for word in (*VERDICTS, "?") if before[word] or after[word]]


def node_proof(row: Row) -> list[str]:
    """The proof of one node in words."""
    proof, services = mapping(row.remediation["proof"]), _services(row)
    if not proof:
        return ["none"] if row.result == CHANGED else []
    words = [
        {True: "kube-proxy was restarted", False: "kube-proxy was not restarted"}.get(proof.get("restarted"), "whether kube-proxy was restarted is not known")
    ]
    words += [_seconds(proof["seconds"])] if proof.get("seconds") is not None else []
    words += [f"the value was wrong for {_seconds(proof['wrong_seconds'])}"] if proof.get("wrong_seconds") is not None else []
    if services:
        words.append("services: " + ", ".join(f"{shown(services.get(key))} {key.replace('_', ' ')}" for key in ("tried", "answered_before", "answered_after")))
    return words
