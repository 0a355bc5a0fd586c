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

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import report_advice
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, sequence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import load
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.recorded_facts import file_name
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import MEANING, MOMENT_NAMES, clean
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
        short, why = report_advice.sentence(key), report_advice.WHY.get(key, "")
        rules.append(_rule(key, short or why or key, why or short or key, LEVELS[row["severity"]], f"findings.md#{key}", *report_advice.advice(key)))
    others = {_text(mapping(item).get("key")) for node in report["nodes"] for item in sequence(node.get("findings"))} - set(registry) - set(VERDICT_LEVELS)
    rules += [_rule(key, f"Finding {key}.", f"Finding {key}.", "warning", "findings.md", "", "") for key in sorted(others)]
    return rules


def _uri(name: str) -> str:
    """The node's file, relative to the report's directory. Its name has per cent signs of its own, which are quoted once more in an address."""
    return "nodes/" + urllib.parse.quote(file_name(name), safe="")


def _fingerprint(*parts) -> str:
    return hashlib.sha256("\0".join(str(part) for part in parts).encode("utf-8", "replace")).hexdigest()[:32]


def _result(rule: str, index: int, level: str, message: str, name: str, place: str = "") -> dict:
    result = {
        "ruleId": rule,
        "ruleIndex": index,
        "level": level,
        "message": {"text": message},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": _uri(name), "uriBaseId": "REPORT"}, "region": {"startLine": 1}},
                "logicalLocations": [{"name": _text(name), "kind": "resource"}],
            }
        ],
        # What makes two results of two runs the same: node, rule and place, not the numbers in the text.
        "partialFingerprints": {"kubeproxyIpvs/v1": _fingerprint(name, rule, place)},
    }
    if level == "none":
        # Evaluated, but there was not enough to decide.
        result["kind"] = "open"
    return result


def _verdict_result(node: dict, index: dict) -> list[dict]:
    word, name = str(node.get("verdict")), str(node.get("name"))
    if word not in VERDICT_LEVELS:
        return []
    at = [
        f"{MOMENT_NAMES.get(moment, moment)}: {mapping(entry).get('verdict')} ({'?' if mapping(entry).get('value') is None else mapping(entry)['value']})"
        for moment, entry in mapping(node.get("moments")).items()
    ]
    plan = mapping(node.get("plan"))
    run = report_advice.command(report_advice.ACTIONS.get(str(plan.get("action")), ("", ""))[1], name)
    planned = f"Plan {plan.get('action')}: {str(plan.get('reason')).rstrip('.')}."
    sentences = [f"{name}: {MEANING[word]}.", f"{', '.join(at)}.", planned, *([f"Run: {run}"] if run else [])]
    return [_result(word, index[word], VERDICT_LEVELS[word], _text(" ".join(sentences)), name)]


def _finding_results(node: dict, index: dict) -> list[dict]:
    results, name = [], str(node.get("name"))
    for item in sequence(node.get("findings")):
        entry = mapping(item)
        key, path = _text(entry.get("key")), entry.get("path")
        result = _result(key, index[key], LEVELS.get(str(entry.get("severity")), "warning"), _text(f"{name}: {entry.get('text')}"), name, str(path or ""))
        result["properties"] = {"severity": _text(entry.get("severity"))} | ({"path": _text(path)} if path else {})
        results.append(result)
    return results


def _zulu(generated_at) -> str | None:
    try:
        moment = datetime.datetime.fromisoformat(str(generated_at))
    except ValueError:
        return None
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _invocation(report: dict) -> dict:
    """What could not be read and used are notifications of the run, not results."""
    notifications = [
        {"level": "error", "descriptor": {"id": "unreachable"}, "message": {"text": _text(f"{item.get('name')} could not be read: {item.get('reason')}")}}
        for item in report["unreachable"]
    ]
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
    run = {
        "tool": {"driver": driver | ({"version": version, "semanticVersion": version} if version else {})},
        "automationDetails": {"id": "kubeproxy.ipvs/remediate/" if "remediation" in report["summary"] else "kubeproxy.ipvs/audit/"},
        "invocations": [_invocation(report)],
        "originalUriBaseIds": {"REPORT": {"description": {"text": "The directory of the report."}}},
        "results": [result for node in report["nodes"] for result in (*_verdict_result(node, index), *_finding_results(node, index))],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def sarif_text(report: dict) -> str:
    """The report as SARIF 2.1.0, one result for each node and verdict that is not good, and for each node and finding."""
    return json.dumps(sarif(report), indent=1) + "\n"
