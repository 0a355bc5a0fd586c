# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report for what collects findings of analysers: SARIF 2.1.0. Made from the report structure alone.

A rule is a verdict or a finding of the registry; a result is one of them on one node. The file of a result is the node's own file of the report.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import urllib.parse
from dataclasses import dataclass

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import report_advice
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, sequence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import load
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.recorded_facts import file_name
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_nodes import Identity, changes, identities, waiver_sentence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import MEANING, MOMENT_NAMES, clean
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_sarif_states import Baseline, has_waivers, most_severe, suppressions
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import DELAY, STALE, UNEVEN, UNKNOWN

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}
# A verdict that is not here is no result: the node is well, or is not concerned.
VERDICT_LEVELS = {STALE: "error", DELAY: "error", UNKNOWN: "none", UNEVEN: "note"}
MAXIMUM_TEXT = 2000


def _text(value) -> str:
    return clean(value, MAXIMUM_TEXT)


def _rule(key: str, short: str, full: str, level: str, page: str, what: str, run: str) -> dict:
    # GitHub shows help, others only the descriptions.
    help_text = " ".join(part for part in (what, f"Run: {report_advice.command(run)}" if run else "") if part) or full
    return {
        "id": key,
        "shortDescription": {"text": short},
        "fullDescription": {"text": full},
        "help": {"text": help_text},
        "helpUri": f"{report_advice.REPOSITORY}/{page}",
        "defaultConfiguration": {"level": level},
    }


def _rules(report: dict) -> list[dict]:
    """All verdicts and all findings of the registry, and what else the report names, so that a rule has the same place in every file."""
    rules = [
        _rule(word, f"Verdict {word}.", f"{MEANING[word].capitalize()}.", level, "verdict.md", "What to do is the node's plan; it stands in the result.", "")
        for word, level in VERDICT_LEVELS.items()
    ]
    registry = load("findings")["findings"]
    for key, row in registry.items():
        short, why = report_advice.sentence(key), report_advice.why(key)
        rules.append(_rule(key, short or why or key, why or short or key, LEVELS[row["severity"]], report_advice.page(key), *report_advice.advice(key)))
    others = {_text(mapping(item).get("key")) for node in report["nodes"] for item in sequence(node.get("findings"))} - set(registry) - set(VERDICT_LEVELS)
    rules += [_rule(key, f"Finding {key}.", f"Finding {key}.", "warning", report_advice.page(key), "", "") for key in sorted(others)]
    return rules


def _uri(node: Identity, merged: bool) -> str:
    """The node's file, relative to the report's directory; of a merged report to a directory in which each report has one that is called like it.

    The file's name has per cent signs of its own, which are quoted once more in an address.
    """
    uri = "nodes/" + urllib.parse.quote(file_name(node.name), safe="")
    if not (merged and node.report):
        return uri
    # Nor does ".." lead out of the directory.
    quoted = urllib.parse.quote(node.report, safe="", errors="surrogatepass")
    return f"{urllib.parse.quote(quoted if quoted.strip('.') else quoted.replace('.', '%2E'), safe='')}/{uri}"


def _fingerprint(*parts) -> str:
    return hashlib.sha256("\0".join(str(part) for part in parts).encode("utf-8", "replace")).hexdigest()[:32]


@dataclass(frozen=True)
class _Subject:
    """What results are about. name: the node's in this report; node: the node, whatever a merge calls it; uri: its file."""

    name: str
    node: Identity
    uri: str


def _result(rule: str, index: int, level: str, message: str, about: _Subject, place: str = "") -> dict:
    label = {"fullyQualifiedName": _text(f"{about.node.report}/{about.node.name}")} if about.node.report else {}
    result = {
        "ruleId": rule,
        "ruleIndex": index,
        "level": level,
        "message": {"text": message},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": about.uri, "uriBaseId": "REPORT"}, "region": {"startLine": 1}},
                "logicalLocations": [{"name": _text(about.name), "kind": "resource"} | label],
            }
        ],
        # What makes two results of two runs the same: node, rule and place, not the numbers in the text.
        "partialFingerprints": {"kubeproxyIpvs/v1": _fingerprint(*filter(None, [about.node.report]), about.node.name, rule, place)},
    }
    if level == "none":
        # Evaluated, but there was not enough to decide.
        result["kind"] = "open"
    return result


def _verdict_result(node: dict, index: dict, about: _Subject) -> list[dict]:
    word, name = str(node.get("verdict")), about.name
    if word not in VERDICT_LEVELS:
        return []
    at = [
        f"{MOMENT_NAMES.get(moment, moment)}: {mapping(entry).get('verdict')} ({'?' if mapping(entry).get('value') is None else mapping(entry)['value']})"
        for moment, entry in mapping(node.get("moments")).items()
    ]
    plan = mapping(node.get("plan"))
    run = report_advice.command(report_advice.action_advice(str(plan.get("action")))[1], about.node.name)
    planned = f"Plan {plan.get('action')}: {str(plan.get('reason')).rstrip('.')}."
    sentences = [f"{name}: {MEANING[word]}.", f"{', '.join(at)}.", planned, *([f"Run: {run}"] if run else [])]
    return [_result(word, index[word], VERDICT_LEVELS[word], _text(" ".join(sentences)), about)]


def _finding_results(node: dict, index: dict, about: _Subject) -> list[dict]:
    results = []
    for item in sequence(node.get("findings")):
        entry = mapping(item)
        key, path = _text(entry.get("key")), entry.get("path")
        level, message = LEVELS.get(str(entry.get("severity")), "warning"), _text(f"{about.name}: {entry.get('text')}")
        result = _result(key, index[key], level, message, about, str(path or ""))
        result["properties"] = {"severity": _text(entry.get("severity"))} | ({"path": _text(path)} if path else {})
        results.append(result)
    return results


def _zulu(generated_at) -> str | None:
    try:
        moment = datetime.datetime.fromisoformat(str(generated_at))
    except ValueError:
        return None
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _results(report: dict, index: dict) -> list[dict]:
    """All results, each with what the report says of it beside: whether it is accepted, and whether it is new."""
    known, changed, results = identities(report), changes(report), []
    with_waivers, compared = has_waivers(report), bool(mapping(report.get("drift")))
    for node in report["nodes"]:
        name = str(node.get("name"))
        about = _Subject(name, known[name], _uri(known[name], "merged" in report))
        baseline, items = Baseline(changed.get(name)), [mapping(item) for item in sequence(node.get("findings"))]
        of_node = [(result, node, baseline.of_verdict()) for result in _verdict_result(node, index, about)]
        of_node += [(result, item, baseline.of_finding(item)) for result, item in zip(_finding_results(node, index, about), items)]
        for result, entry, state in of_node:
            if with_waivers:
                result["suppressions"] = suppressions(entry)
            if compared:
                result["baselineState"] = state
            results.append(result)
    return results


def _left_out(counts: dict[str, int], kept: int) -> list[dict]:
    if not counts:
        return []
    told = ", ".join(f"{count} of level {level}" for level, count in counts.items())
    text = f"The report has more results than a run may hold: the {kept} most severe stand here, {told} do not. All of them stand in report.json."
    return [{"level": "warning", "descriptor": {"id": "left_out"}, "message": {"text": text}}]


def _invocation(report: dict, notifications: list[dict]) -> dict:
    """What could not be read and used are notifications of the run, not results. A node that is waived is a note."""
    for item in report["unreachable"]:
        told = "; ".join(part for part in (f"{item.get('name')} could not be read: {item.get('reason')}", waiver_sentence(item)) if part)
        level = "note" if "waived" in item else "error"
        notifications.append({"level": level, "descriptor": {"id": "unreachable"}, "message": {"text": _text(told)}})
    notifications += [
        {"level": "error", "descriptor": {"id": "not_used"}, "message": {"text": _text(f"{item.get('path')} could not be used: {item.get('reason')}")}}
        for item in report["errors"]
    ]
    invocation = {"executionSuccessful": True, "toolExecutionNotifications": notifications}
    made = _zulu(report.get("generated_at"))
    return invocation | ({"endTimeUtc": made} if made else {})


def sarif(report: dict) -> dict:
    """The report as a SARIF log of one run."""
    rules = _rules(report)
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    name, _space, version = str(report.get("collection", "kubeproxy.ipvs")).partition(" ")
    driver = {"name": name, "informationUri": report_advice.REPOSITORY.removesuffix("/blob/main/docs"), "rules": rules}
    results, left_out = most_severe(_results(report, index))
    kind, label = "remediate" if "remediation" in report["summary"] else "audit", urllib.parse.quote(str(report.get("name") or ""), safe="", errors="replace")
    run = {
        "tool": {"driver": driver | ({"version": version, "semanticVersion": version} if version else {})},
        "automationDetails": {"id": f"kubeproxy.ipvs/{kind}/{label}{'/' if label else ''}"},
        "invocations": [_invocation(report, _left_out(left_out, len(results)))],
        "originalUriBaseIds": {"REPORT": {"description": {"text": "The directory of the report."}}},
        "results": results,
    }
    if mapping(report.get("drift")):
        # What is gone has no result, since whoever does not know `absent` would take it for one that is there.
        baseline = {key: _text(value) if isinstance(value, str) else value for key, value in report["drift"]["baseline"].items()}
        run["properties"] = {"drift": report["drift"]["summary"], "baseline": baseline}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def sarif_text(report: dict) -> str:
    """The report as SARIF 2.1.0, one result for each node and verdict that is not good, and for each node and finding."""
    return json.dumps(sarif(report), indent=1) + "\n"
