# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has changed between two reports of the same nodes."""

from __future__ import annotations

from collections import Counter

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, sequence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_file import own_name
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import NOT_APPLICABLE, SAFE, UNKNOWN, VERDICTS

WORSE, NOT_READ, GONE, NEW, READ_AGAIN, OTHER, BETTER = "worse", "no_longer_read", "gone", "new", "read_again", "other", "better"
# What needs somebody first.
CHANGES = (WORSE, NOT_READ, GONE, NEW, READ_AGAIN, OTHER, BETTER)
UNCHANGED = "unchanged"
# A node that leaves IPVS mode, or comes to it and is safe, is neither worse nor better.
_RANK = {**{word: index for index, word in enumerate(VERDICTS)}, NOT_APPLICABLE: VERDICTS.index(SAFE)}
_FACTS = ("value", "kernel", "os", "kube_proxy", "mode", "form")


def _keys(entry: dict) -> tuple:
    """What a node can be found by in another report, the surest first: another report may have had no name, or another one."""
    return (entry.get("report"), own_name(entry)), ("name", entry.get("name")), ("own name", own_name(entry))


def _pairs(before: list[dict], after: list[dict]) -> list[tuple[dict | None, dict | None]]:
    """The nodes of two reports that are the same; a node that only one of them has stands beside None."""
    pairs, left, right = [], list(range(len(before))), list(range(len(after)))
    for step in range(3):
        by_key = {}
        for side, (numbers, entries) in enumerate(((left, before), (right, after))):
            for number in numbers:
                by_key.setdefault(_keys(entries[number])[step], ([], []))[side].append(number)
        # A key that two nodes of a report have does not say which of them is meant.
        found = [(first[0], second[0]) for first, second in by_key.values() if len(first) == len(second) == 1]
        pairs += [(before[first], after[second]) for first, second in found]
        left_found, right_found = {first for first, _second in found}, {second for _first, second in found}
        left, right = [number for number in left if number not in left_found], [number for number in right if number not in right_found]
    return pairs + [(before[number], None) for number in left] + [(None, after[number]) for number in right]


def _state(entry: dict | None) -> dict | None:
    """What of a node is compared: nothing but a reason of one that could not be read."""
    if entry is None:
        return None
    if "moments" not in entry:
        return {"not_read": str(entry.get("reason", ""))}
    moments = {moment: mapping(what).get("verdict", UNKNOWN) for moment, what in mapping(entry["moments"]).items()}
    return {"verdict": entry["verdict"], "plan": entry["plan"]["action"], **{key: entry["facts"].get(key) for key in _FACTS}, "moments": moments}


def _findings(entry: dict | None) -> Counter:
    """How often a node has a finding about the same thing. Numbers in its sentence change all the time and are no other finding."""
    return Counter((str(item["key"]), str(item.get("path", ""))) for item in sequence(mapping(entry).get("findings")))


def _listed(findings: Counter) -> list[dict]:
    return [{"key": key, **({"path": path} if path else {})} for key, path in sorted(findings.elements())]


def _change(first: dict | None, then: dict | None) -> str:
    """The one word for what became of a node."""
    if first is None:
        return NEW
    if then is None:
        return GONE
    if "not_read" in first or "not_read" in then:
        return READ_AGAIN if "not_read" in first else NOT_READ
    before, after = first["verdict"], then["verdict"]
    if after == UNKNOWN and _RANK[before] < _RANK[UNKNOWN]:
        # To know less is no improvement.
        return OTHER
    return WORSE if _RANK[after] < _RANK[before] else BETTER if _RANK[after] > _RANK[before] else OTHER


def _node(before: dict | None, after: dict | None) -> dict | None:
    """One entry of drift.nodes; None if nothing about the node has changed."""
    first, then = _state(before), _state(after)
    both_read = first is not None and then is not None and "not_read" not in first and "not_read" not in then
    was, now = _findings(before), _findings(after)
    new, gone = _listed(now - was) if both_read else [], _listed(was - now) if both_read else []
    read_by_none = all(state is not None and "not_read" in state for state in (first, then))
    if read_by_none or (first == then and not new and not gone):
        return None
    entry = {"name": mapping(after or before)["name"], "change": _change(first, then), "before": first, "after": then}
    report = mapping(after or before).get("report")
    return entry | {"new_findings": new, "gone_findings": gone} | ({"report": report} if report else {})


def _order(entry: dict) -> tuple:
    """Worst first: by what happened, then by what is so now, then by what was so before."""
    ranks = [_RANK.get(mapping(entry[side]).get("verdict"), len(_RANK)) for side in ("after", "before")]
    return CHANGES.index(entry["change"]), *ranks, entry["name"]


def drift(baseline: dict, report: dict) -> dict:
    """What has changed from BASELINE to REPORT, both as report_file.load() gives them: {baseline, summary, nodes}, see the schema of report.json.

    Nodes are the same if they have the same name and their reports have the same name, else if one name means one node in both of them.
    A node is in `nodes` if its verdict (headline or of a moment), plan, value, kernel, operating system, kube-proxy, its mode or form has changed, if it
    has findings that it had not or no longer those it had, if it is new or gone, or if it could be read in one of the reports alone.
    """
    pairs = _pairs([*baseline["nodes"], *baseline["unreachable"]], [*report["nodes"], *report["unreachable"]])
    nodes = sorted((entry for entry in (_node(*pair) for pair in pairs) if entry is not None), key=_order)
    words = Counter(entry["change"] for entry in nodes)
    summary = {word: words[word] for word in CHANGES} | {UNCHANGED: len(pairs) - len(nodes)}
    about = {"generated_at": str(baseline["generated_at"]), "collection": str(baseline["collection"])}
    about |= {key: baseline["summary"][key] for key in ("judged", "unreachable")}
    return {"baseline": about | ({"name": baseline["name"]} if baseline.get("name") else {}), "summary": summary, "nodes": nodes}
