# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What SARIF says of a result beside what it is: that it is accepted, and whether it is new; and which results stay if they are too many."""

from __future__ import annotations

from collections import Counter

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, sequence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_drift import NEW, READ_AGAIN
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import clean

# GitHub rejects a run that has more, and shows 5,000 of them:
# https://docs.github.com/en/code-security/code-scanning/troubleshooting-sarif-uploads/results-exceed-limit
MAXIMUM_RESULTS = 25000
_LEVELS = ("error", "warning", "none", "note")


def has_waivers(report: dict) -> bool:
    """Whether the report was judged with waivers: then every result says whether it is accepted, as SARIF wants it of all results or of none."""
    return bool(report.get("waivers")) or "waived" in report["summary"]


def suppressions(entry: dict) -> list[dict]:
    """`suppressions` of a result about ENTRY, a node or a finding of it: none if it is not waived."""
    waived = mapping(entry.get("waived"))
    if not waived:
        return []
    text = clean(f"{waived['reason']} (until {waived['until']})", 2000)
    return [{"kind": "external", "status": "accepted", "justification": text, "properties": {"until": clean(waived["until"])}}]


class Baseline:
    """`baselineState` of the results of one node. entry: its entry in drift.nodes, None if nothing of it has changed."""

    def __init__(self, entry: dict | None) -> None:
        self._entry = entry
        self._whole = mapping(entry).get("change") in (NEW, READ_AGAIN)
        self._new = Counter((item["key"], item.get("path", "")) for item in sequence(mapping(entry).get("new_findings")))

    def of_verdict(self) -> str:
        """new, unchanged, or updated where the verdict is as it was but the value, the plan or what a moment brings is not."""
        if self._entry is None:
            return "unchanged"
        before, after = mapping(self._entry["before"]), mapping(self._entry["after"])
        if self._whole or before.get("verdict") != after.get("verdict"):
            return "new"
        return "updated" if any(before.get(key) != after.get(key) for key in ("value", "plan", "moments")) else "unchanged"

    def of_finding(self, item: dict) -> str:
        """new or unchanged; of several findings about the same thing as many are new as there are more of them."""
        key = (str(item.get("key")), str(item.get("path", "")))
        if self._whole:
            return "new"
        if self._new[key] > 0:
            self._new[key] -= 1
            return "new"
        return "unchanged"


def _rank(result: dict) -> tuple[bool, int]:
    return bool(result.get("suppressions")), _LEVELS.index(result["level"])


def most_severe(results: list[dict], maximum: int = MAXIMUM_RESULTS) -> tuple[list[dict], dict[str, int]]:
    """RESULTS that a run can hold, in their order, and {level: how many were left out}. What is accepted is left out first, then the least severe."""
    if len(results) <= maximum:
        return results, {}
    places = sorted(range(len(results)), key=lambda place: (_rank(results[place]), place))
    left_out = Counter(results[place]["level"] for place in places[maximum:])
    return [results[place] for place in sorted(places[:maximum])], {level: left_out[level] for level in _LEVELS if left_out[level]}
