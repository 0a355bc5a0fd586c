# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several reports as one: the slices of a job, or several clusters.

A merge is a pure function of the set of what the reports say. Their order, how they are merged in steps, and a report that is given twice make no
difference. Everything that a report counts is counted anew by fleet().
"""

from __future__ import annotations

import hashlib
import json

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, sequence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import count_repairs, fleet
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.remediation import RESULT_UNKNOWN, RESULTS
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_file import ReportError, own_name
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import clean
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.waivers import counted

MAXIMUM_NAME = 60
# What a report has of its own, beside what it says of its nodes.
_PART = ("merged", "drift", "waivers")


def check_name(name) -> str | None:
    """A report's name as a text, none if it is empty. Raises ReportError if it cannot be shown as it is."""
    name = plain(name)
    if name in (None, ""):
        return None
    if not isinstance(name, str) or clean(name, MAXIMUM_NAME) != name:
        raise ReportError(f"audit_report_name: {clean(name, MAXIMUM_NAME)!r} is not a name of one line and at most {MAXIMUM_NAME} characters")
    return name


def labelled(report: dict, name: str | None) -> dict:
    """REPORT, which from now on says of itself and of all that it lists that it is of the report NAME; as it was without one."""
    if not name:
        return report
    parts = {part: [{**entry, "report": name} for entry in report[part]] for part in ("nodes", "unreachable", "errors")}
    return {**report, "name": name, **parts}


def _text(value) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _as_reported(entry: dict) -> dict:
    return {**{key: value for key, value in entry.items() if key != "name_in_report"}, "name": own_name(entry)}


def _identity(entry: dict) -> tuple[str, str]:
    """A node: two reports of the same name speak of the same nodes."""
    return own_name(entry), str(entry.get("report", ""))


def _unlike(entries) -> list[dict]:
    """ENTRIES without repetitions, in an order that is theirs alone."""
    by_text = {_text(entry): entry for entry in entries}
    return [by_text[key] for key in sorted(by_text)]


def _reasons(entry: dict) -> list[str]:
    return [str(reason) for reason in sequence(entry.get("reasons")) or [entry.get("reason", "")]]


def _not_read(entries: list[dict]) -> dict:
    """What several reports say of a node that none of them could read, as one entry."""
    reasons = sorted({reason for entry in entries for reason in _reasons(entry)})
    merged = {key: value for key, value in entries[0].items() if key not in ("reasons", "remediation", "waived")}
    merged["reason"] = "; ".join(reasons)
    if len(reasons) > 1:
        merged["reasons"] = reasons
    repairs = [entry["remediation"] for entry in entries if mapping(entry.get("remediation"))]
    if repairs:
        # What needs somebody first.
        merged["remediation"] = min(repairs, key=lambda repair: (RESULTS.index(repair.get("result", RESULT_UNKNOWN)), _text(repair)))
    waived = [entry["waived"] for entry in entries if mapping(entry.get("waived"))]
    if waived and len(waived) == len(entries):
        merged["waived"] = min(waived, key=_text)
    return merged


def _told_apart(entries: list[dict]) -> list[dict]:
    """ENTRIES, each with a name that no other has: their own, or with the name of their report, or a number behind it."""
    by_name: dict[str, list[dict]] = {}
    for entry in entries:
        by_name.setdefault(entry["name"], []).append(entry)
    taken, named = set(by_name), []
    for name in sorted(by_name):
        same = by_name[name]
        reports = {str(entry.get("report", "")) for entry in same}
        used: dict[str, int] = {}
        for entry in sorted(same, key=lambda entry: (str(entry.get("report", "")), _text(entry))):
            label = str(entry.get("report", "")) if len(reports) > 1 else ""
            number = used[label] = used.get(label, 0) + 1
            new = name if not label and number == 1 else _suffixed(name, label, number)
            while new != name and new in taken:
                number = used[label] = used[label] + 1
                new = _suffixed(name, label, number)
            taken.add(new)
            named.append(entry if new == name else {**entry, "name": new, "name_in_report": name})
    return named


def _suffixed(name: str, label: str, number: int) -> str:
    return f"{name} ({', '.join(part for part in (label, str(number) if number > 1 else '') if part)})"


def _part(report: dict) -> dict:
    """What a merged report says of one that went into it."""
    content = _text({key: value for key, value in report.items() if key not in _PART})
    part = {"id": hashlib.sha256(content.encode()).hexdigest()[:16], "generated_at": str(report.get("generated_at", ""))}
    part |= {key: report["summary"][key] for key in ("judged", "unreachable", "errors")}
    return part | ({"name": report["name"]} if report.get("name") else {})


def _check_kinds(reports: list[dict]) -> None:
    kinds = {"remediation" in report["summary"] for report in reports}
    if len(kinds) > 1:
        raise ReportError("reports of audits and reports of repairs cannot be merged: what they say of a node is not from the same time")


def merge(reports: list[dict]) -> dict:
    """One report of REPORTS, each as report_file.load() gives it. Raises ReportError if there are none, or if audits and repairs are mixed.

    A node that reports say the very same of is there once. Nodes of the same name of which they say something else are all kept, under names that are
    told apart: `node (report)` if the reports have names, `node (2)` if not. A node that one report could not read and another one of the same name
    judged counts as judged; `merged.judged_elsewhere` lists it. `generated_at` is that of the newest report, `merged.reports` has all of them.
    """
    if not reports:
        raise ReportError("no report is named")
    _check_kinds(reports)
    judged = _unlike(_as_reported(entry) for report in reports for entry in report["nodes"])
    known = {_identity(entry) for entry in judged}
    not_read: dict[tuple[str, str], list[dict]] = {}
    for entry in _unlike(_as_reported(entry) for report in reports for entry in report["unreachable"]):
        not_read.setdefault(_identity(entry), []).append(entry)
    elsewhere = [entry for report in reports for entry in mapping(report.get("merged")).get("judged_elsewhere", [])]
    for identity in known.intersection(not_read):
        for entry in not_read.pop(identity):
            label = {"report": entry["report"]} if "report" in entry else {}
            elsewhere += [{"name": entry["name"], "reason": reason, **label} for reason in _reasons(entry)]
    named = _told_apart([*judged, *(_not_read(entries) for entries in not_read.values())])
    nodes = [entry for entry in named if "moments" in entry]
    missing = [entry for entry in named if "moments" not in entry]
    errors = _unlike(error for report in reports for error in report["errors"])
    errors.sort(key=lambda error: (str(error["path"]), _text(error)))
    merged = fleet(nodes, missing, errors)
    if "remediation" in reports[0]["summary"]:
        merged["summary"].update(count_repairs(merged["nodes"], merged["unreachable"]))
    parts = _unlike(part for report in reports for part in mapping(report.get("merged")).get("reports") or [_part(report)])
    parts.sort(key=lambda part: (part.get("name", ""), part["generated_at"], part["id"]))
    names = {report.get("name") for report in reports}
    head = {"schema": merged.pop("schema"), "collection": max(str(report["collection"]) for report in reports)}
    head["generated_at"] = max(str(report["generated_at"]) for report in reports)
    if len(names) == 1 and None not in names:
        head["name"] = names.pop()
    return counted({**head, "merged": {"reports": parts, "judged_elsewhere": _unlike(elsewhere)}, **merged})
