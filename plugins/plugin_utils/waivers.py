# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waivers: verdicts and findings that an owner accepts on some nodes until a day. They stay in the report, marked, and no longer fail a run."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from dataclasses import dataclass

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import host_patterns
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.document_file import DocumentError, load_document
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fail_on import UNREACHABLE, WORDS, finding_keys
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import EXAMPLE_NAMES
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_file import own_name
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import clean

ACTIVE, EXPIRED, UNMATCHED = "active", "expired", "matches_nothing"
KEYS = ("verdict", "finding", "hosts", "report", "reason", "until")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)


class WaiverError(ValueError):
    """Waivers that cannot be used. The text names the file and the waiver, and says what is wrong with it."""


@dataclass(frozen=True)
class Waiver:
    """kind: verdict or finding; key: its word; hosts: patterns; report: name of the only report that it is for; until: its last day, in UTC."""

    kind: str
    key: str
    hosts: tuple[str, ...]
    reason: str
    until: datetime.date
    report: str | None = None

    @property
    def mark(self) -> dict:
        """What stands beside that which is waived."""
        return {"reason": self.reason, "until": self.until.isoformat()}


def _day(value) -> datetime.date:
    if not isinstance(value, str) or not _DAY.match(value):
        raise WaiverError(f"until: {clean(value, 40)!r} is not a date like 2027-03-31")
    try:
        return datetime.date.fromisoformat(value)
    except ValueError as error:
        raise WaiverError(f"until: {value} is not a date: {error}") from error


def _hosts(value) -> tuple[str, ...]:
    patterns = [value] if isinstance(value, str) else value
    if not isinstance(patterns, list) or not patterns:
        raise WaiverError("hosts is missing: a pattern of hosts or groups, or a list of them")
    for pattern in patterns:
        wrong = host_patterns.check(pattern) if text(pattern) else "it is empty or not a text"
        if wrong:
            raise WaiverError(f"hosts: {clean(pattern, 60)!r} is not a pattern of hosts: {wrong}")
    return tuple(patterns)


def _kind(row: dict) -> tuple[str, str]:
    kinds = [kind for kind in ("verdict", "finding") if kind in row]
    if len(kinds) != 1:
        raise WaiverError("it needs one of verdict and finding" if not kinds else "it has both verdict and finding: make two waivers of it")
    kind, key = kinds[0], row[kinds[0]]
    if kind == "verdict" and key not in WORDS:
        raise WaiverError(f"verdict: {clean(key, 60)!r} is not one of {', '.join(WORDS)}")
    if kind == "finding" and not (isinstance(key, str) and key in finding_keys()):
        raise WaiverError(f"finding: {clean(key, 60)!r} is no finding of this collection, see docs/findings.md")
    return kind, key


def _reason(row: dict) -> str:
    if not text(row.get("reason")):
        raise WaiverError("reason is missing: say why this is accepted")
    return row["reason"]


def _until(row: dict) -> datetime.date:
    if "until" not in row:
        raise WaiverError("until is missing: the last day on which this is accepted")
    return _day(row["until"])


def _report(row: dict) -> str | None:
    if row.get("report") is not None and not text(row["report"]):
        raise WaiverError("report: not the name of a report")
    return row.get("report")


def _waiver(row) -> Waiver:
    """The waiver that ROW is. Raises WaiverError with all that is wrong with it."""
    if not isinstance(row, dict):
        raise WaiverError(f"not a mapping but a {type(row).__name__}")
    wrong = [f"unknown key {clean(key, 40)!r}; known are {', '.join(KEYS)}" for key in row if key not in KEYS]
    read = []
    for part in (_kind, lambda row: _hosts(row.get("hosts")), _reason, _until, _report):
        try:
            read.append(part(row))
        except WaiverError as error:
            wrong.append(str(error))
    if wrong:
        raise WaiverError(", and ".join(wrong))
    (kind, key), *others = read
    return Waiver(kind, key, *others)


def check(document) -> list[Waiver]:
    """The waivers in DOCUMENT, a list of mappings, or None for none. Raises WaiverError that names every one that cannot be used."""
    rows = plain(document)
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise WaiverError(f"not a list of waivers but a {type(rows).__name__}")
    read, wrong = [], []
    for number, row in enumerate(rows, 1):
        try:
            read.append(_waiver(row))
        except WaiverError as error:
            key = text(mapping(row).get("finding")) or text(mapping(row).get("verdict"))
            wrong.append(f"waiver {number}{f' ({clean(key, 60)})' if key else ''}: {error}")
    if wrong:
        raise WaiverError("; ".join(wrong))
    return read


def load(path: str) -> list[Waiver]:
    """The waivers of a YAML or JSON file. Raises WaiverError that names the file."""
    try:
        return check(load_document(path, "YAML"))
    except (DocumentError, WaiverError) as error:
        raise WaiverError(f"{clean(path)}: {error if isinstance(error, WaiverError) else clean(error)}") from error


def _without(entry: dict) -> dict:
    return {key: value for key, value in entry.items() if key != "waived"}


def _unmarked(node: dict) -> dict:
    node = {**_without(node), "findings": [_without(item) for item in node["findings"]]}
    return {**node, "forecast": _without(node["forecast"])} if isinstance(node.get("forecast"), dict) else node


def _fitting(waiver: Waiver, node: dict) -> list[dict]:
    """What of a node's entry a waiver is about: the entry itself, its forecast, or findings."""
    if waiver.kind == "finding":
        return [item for item in node["findings"] if item["key"] == waiver.key]
    forecast = [node["forecast"]] if isinstance(node.get("forecast"), dict) else []
    return [part for part in (node, *forecast) if part.get("verdict") == waiver.key]


def _listed(waiver: Waiver, names: list[str], expired: bool) -> dict:
    state = UNMATCHED if not names else EXPIRED if expired else ACTIVE
    entry = {waiver.kind: waiver.key, "hosts": list(waiver.hosts), **waiver.mark, "state": state, "count": len(names), "examples": names[:EXAMPLE_NAMES]}
    return entry | ({"report": waiver.report} if waiver.report else {})


def apply(report: dict, waivers: list[Waiver], groups: dict[str, list[str]], today: datetime.date) -> dict:
    """REPORT with everything marked that a waiver is about, as `waived: {reason, until}`, and with the list `waivers`; as a copy.

    Of several waivers of the same thing the one that lasts longest is shown. A waiver that has expired marks nothing; it is listed, and so is one that
    matches nothing. A pattern means nodes by the names of their own reports, or by exactly the name that a merge gave them.
    groups: {group: names of its hosts} of the inventory.
    """
    nodes, missing = [_unmarked(node) for node in report["nodes"]], [_without(entry) for entry in report["unreachable"]]
    entries = [*nodes, *missing]
    own = sorted({own_name(entry) for entry in entries})
    # "node (eu)" is this node's name and no pattern of two words.
    given = {entry["name"] for entry in entries}.difference(own)
    listed = []
    for waiver in sorted(waivers, key=lambda waiver: waiver.until):
        expired = waiver.until < today
        meant = host_patterns.matching([pattern for pattern in waiver.hosts if pattern not in given], own, groups)
        about_missing, names = (waiver.kind, waiver.key) == ("verdict", UNREACHABLE), []
        for entry in missing if about_missing else nodes:
            named = own_name(entry) in meant or (entry["name"] in given and entry["name"] in waiver.hosts)
            if not named or waiver.report not in (None, entry.get("report")):
                continue
            fitting = [entry] if about_missing else _fitting(waiver, entry)
            names += [entry["name"]] if fitting else []
            for part in fitting if not expired else ():
                part["waived"] = waiver.mark
        listed.append((waivers.index(waiver), _listed(waiver, names, expired)))
    listed.sort(key=lambda item: item[0])
    return counted({**report, "nodes": nodes, "unreachable": missing, "waivers": [entry for _index, entry in listed]})


def counted(report: dict) -> dict:
    """REPORT with what is marked in it counted: `summary.waived` and `findings[].waived`, neither of them where nothing is."""
    verdicts = Counter(node["verdict"] for node in report["nodes"] if "waived" in node)
    not_read = sum("waived" in entry for entry in report["unreachable"])
    by_group: Counter = Counter()
    for node in report["nodes"]:
        of_node: dict[tuple[str, str], bool] = {}
        for item in node["findings"]:
            group = (item["key"], item["severity"])
            of_node[group] = of_node.get(group, True) and "waived" in item
        by_group.update(group for group, all_waived in of_node.items() if all_waived)
    findings = []
    for row in report["findings"]:
        number = by_group[row["key"], row["severity"]]
        findings.append({**_without(row), "waived": number} if number else _without(row))
    summary = _without(report["summary"])
    marks = sum("waived" in item for node in report["nodes"] for item in node["findings"])
    if verdicts or not_read or marks:
        ordered = {word: verdicts[word] for word in WORDS if verdicts[word]}
        summary["waived"] = {"verdicts": ordered, "unreachable": not_read, "findings": marks}
    return {**report, "summary": summary, "findings": findings}
