# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which node an entry of a report is about, what has changed on it, and until when something on it is accepted: what all forms of a report need."""

from __future__ import annotations

import datetime
from collections import Counter
from dataclasses import dataclass

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, sequence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_file import own_name


@dataclass(frozen=True)
class Identity:
    """A node in words that stay when other reports are merged with its own. name: in its own report; report: that report's name, empty for none."""

    name: str
    report: str = ""


def identities(report: dict) -> dict[str, Identity]:
    """{name in REPORT: identity} of all nodes, each identity once.

    A merge gives a node another name if another cluster has one of that name. Whoever follows a node from run to run takes its own name and its
    report's; the name that the merge gave stands in its place only where several entries share these two.
    """
    entries = [*report["nodes"], *report["unreachable"]]
    found = {str(entry.get("name")): Identity(own_name(entry), str(entry.get("report") or "")) for entry in entries}
    given = Counter(found.values())
    # Without a report's name "node-1 (2)" is all that tells it from node-1.
    return {name: identity if identity.report and given[identity] == 1 else Identity(name, identity.report) for name, identity in found.items()}


def report_names(report: dict) -> list[str]:
    """The names of the reports that the nodes of a merged report are from, if there are several; none otherwise."""
    names = {str(entry.get("report") or "") for entry in (*report["nodes"], *report["unreachable"])}
    return sorted(names) if "merged" in report and len(names) > 1 else []


def changes(report: dict) -> dict[str, dict]:
    """{name: entry of drift.nodes} of the nodes that changed since the baseline and are in REPORT; empty if it was not compared."""
    return {str(entry["name"]): entry for entry in sequence(mapping(report.get("drift")).get("nodes")) if entry.get("after") is not None}


def change_word(report: dict, name: str, changed: dict[str, dict]) -> str | None:
    """What became of the node NAME since the baseline, in the word of drift.summary; None if the report was not compared. changed: of changes()."""
    if not mapping(report.get("drift")):
        return None
    return str(changed[name]["change"]) if name in changed else "unchanged"


def waiver_sentence(entry: dict) -> str:
    """'waived until 2027-03-31: reason' of a thing that is waived; empty for another one. Not escaped."""
    waived = mapping(entry.get("waived"))
    return f"waived until {waived['until']}: {waived['reason']}" if waived else ""


def waived_until(entry: dict) -> int | None:
    """When the waiver of a thing ends, the first second of the day after, in seconds since 1970; None if it is not waived or the day is none."""
    try:
        day = datetime.datetime.fromisoformat(str(mapping(entry.get("waived")).get("until")))
    except ValueError:
        return None
    return int((day.replace(tzinfo=datetime.timezone.utc) + datetime.timedelta(days=1)).timestamp())
