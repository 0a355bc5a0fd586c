# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many verdicts as one report structure. The report's files and its table are made from this and from nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import NodeFacts, mapping, read, sequence, text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.findings import SEVERITIES
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.forecast import target_of
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.remediation import count, remediation_of
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import UNKNOWN, VERDICTS, judge_node, worst
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.policy import read_policy

SCHEMA = 1
EXAMPLE_NAMES = 5
NOT_KNOWN = "unknown"


def summary_of(node: NodeFacts) -> dict:
    """The few facts of a node that a report shows."""
    return {
        "kernel": node.kernel_release or NOT_KNOWN,
        "os": node.os_name or NOT_KNOWN,
        "kube_proxy": node.kube_proxy or ("none" if node.form == "none" else NOT_KNOWN),
        "form": node.form or NOT_KNOWN,
        "mode": node.mode or ("none" if node.form == "none" else NOT_KNOWN),
        "mode_source": node.mode_source,
        "value": node.value,
    }


def node_entry(name: str, facts, policy=None, forecast: dict | None = None, origin: str | None = None) -> dict:
    """One node of a report: its name, a summary of its facts, its verdict and, if asked for, its forecast.

    origin: where the facts are from, if not from the node itself in this run.
    """
    node = read(facts)
    entry = {"name": name, **judge_node(node, read_policy(policy)), "facts": summary_of(node)}
    if forecast is not None:
        entry["forecast"] = forecast
    if origin is not None:
        entry["origin"] = origin
    return entry


def _complete(name: str, entry) -> dict:
    """A verdict that somebody handed in, with everything a report needs."""
    entry = mapping(entry)
    words = [mapping(moment).get("verdict") for moment in mapping(entry.get("moments")).values()]
    verdict = entry.get("verdict") if entry.get("verdict") in VERDICTS else worst(word for word in words if word in VERDICTS) if words else UNKNOWN
    facts = {key: NOT_KNOWN for key in ("kernel", "os", "kube_proxy", "form", "mode")} | {"mode_source": None, "value": None} | mapping(entry.get("facts"))
    plan = {"action": "none", "value": None, "reason": "", "rests_on": []} | mapping(entry.get("plan"))
    findings = [{"severity": "info", "text": ""} | item for item in sequence(entry.get("findings")) if isinstance(item, dict) and text(item.get("key"))]
    return {
        **entry,
        "name": name,
        "verdict": verdict,
        "facts": facts,
        "plan": plan,
        "findings": findings,
        "moments": mapping(entry.get("moments")),
        "capabilities": mapping(entry.get("capabilities")),
    }


def _named(verdicts) -> list[tuple[str, dict]]:
    verdicts = plain(verdicts)
    if isinstance(verdicts, dict):
        return list(verdicts.items())
    return [(text(mapping(entry).get("name")) or f"node {index}", entry) for index, entry in enumerate(sequence(verdicts), 1)]


def _rank(verdict: str) -> int:
    return VERDICTS.index(verdict)


def _group_key(entry: dict) -> tuple:
    facts = entry["facts"]
    return (entry["verdict"], entry["plan"]["action"], facts["kernel"], facts["os"], facts["kube_proxy"], facts["mode"])


def _groups(entries: list[dict]) -> list[dict]:
    members = defaultdict(list)
    for entry in entries:
        members[tuple(str(part) for part in _group_key(entry))].append(entry["name"])
    ordered = sorted(members.items(), key=lambda item: (_rank(item[0][0]), -len(item[1]), item[0]))
    names = ("verdict", "plan", "kernel", "os", "kube_proxy", "mode")
    return [{**dict(zip(names, key)), "count": len(nodes), "examples": nodes[:EXAMPLE_NAMES]} for key, nodes in ordered]


def _finding_groups(entries: list[dict]) -> list[dict]:
    members, example = defaultdict(list), {}
    for entry in entries:
        for item in entry["findings"]:
            key = (str(item["key"]), str(item["severity"]))
            if entry["name"] not in members[key][-1:]:
                members[key].append(entry["name"])
            example.setdefault(key, str(item["text"]))

    def order(item):
        (key, severity), nodes = item
        return (SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES), -len(nodes), key)

    return [
        {"key": key, "severity": severity, "count": len(nodes), "text": example[key, severity], "examples": nodes[:EXAMPLE_NAMES]}
        for (key, severity), nodes in sorted(members.items(), key=order)
    ]


def _count(entries: list[dict], value, order) -> dict:
    counted = Counter(value(entry) for entry in entries)
    return {key: counted[key] for key in sorted(counted, key=order)}


def _remediate(entries: list[dict], missing: list[dict], records: dict) -> dict:
    """Say of each node that has a record what became of it; the part of the summary that counts them."""
    for entry in entries:
        entry.pop("remediation", None)
        if entry["name"] in records:
            entry["remediation"] = remediation_of(records[entry["name"]], entry)
    for item in missing:
        item.pop("remediation", None)
        if str(item.get("name")) in records:
            item["remediation"] = remediation_of(records[str(item["name"])], None, text(item.get("reason")))
    return count_repairs(entries, missing)


def count_repairs(entries: list[dict], missing: list[dict]) -> dict:
    """The part of a summary that counts what a repair did to the nodes, those that were judged and those that could not be read."""
    repaired = [entry["remediation"] for entry in (*entries, *missing) if "remediation" in entry]
    before = [entry["before"] for entry in repaired if "not_read" not in entry["before"]]
    return {"remediation": count(repaired), "verdicts_before": _count(before, lambda side: side["verdict"], _rank)}


def fleet(verdicts, unreachable=(), errors=(), remediation=None) -> dict:
    """The report structure of many verdicts.

    verdicts: mapping name -> verdict (a node entry or what the filter verdict returns), or a list of those with `name`.
    unreachable: [{name, reason}], nodes that could not be read. errors: [{path, reason}], recorded facts that could not be used.
    remediation: mapping name -> {outcome, before, before_not_read, after_not_read}, see remediation.remediation_of(); VERDICTS are then those
    after the change. A node without one gets none.
    """
    entries = [_complete(name, entry) for name, entry in _named(verdicts)]
    entries.sort(key=lambda entry: (_rank(entry["verdict"]), entry["name"]))
    missing = sorted((dict(item) for item in plain(list(unreachable))), key=lambda item: str(item.get("name")))
    report = {
        "schema": SCHEMA,
        "summary": {
            "nodes": len(entries) + len(missing),
            "judged": len(entries),
            "unreachable": len(missing),
            "errors": len(errors),
            "verdicts": _count(entries, lambda entry: entry["verdict"], _rank),
            "plans": dict(Counter(str(entry["plan"]["action"]) for entry in entries).most_common()),
        },
        "groups": _groups(entries),
        "findings": _finding_groups(entries),
        "nodes": entries,
        "unreachable": missing,
        "errors": plain(list(errors)),
    }
    if remediation is not None:
        report["summary"].update(_remediate(entries, missing, mapping(plain(remediation))))
    with_forecast = [entry for entry in entries if isinstance(entry.get("forecast"), dict)]
    if with_forecast:
        report["target"] = target_of(with_forecast)
        report["summary"]["forecast"] = _count(
            with_forecast, lambda entry: str(entry["forecast"].get("verdict", UNKNOWN)), lambda word: _rank(word) if word in VERDICTS else 99
        )
    return report
