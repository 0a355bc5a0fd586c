# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report for what reads test results: JUnit XML, a test suite for each moment, a test case for each node. Made from the report structure alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.forecast import target_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_nodes import changes, identities, waiver_sentence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import MEANING, MOMENT_NAMES, clean
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import DELAY, NOT_APPLICABLE, STALE, UNKNOWN

FAILURES = (STALE, DELAY)
# Neither passed nor failed: nothing is known, or the question does not arise.
SKIPPED = (UNKNOWN, NOT_APPLICABLE)
FAILED_REPAIRS = ("failed", "unknown", "unreachable", "not_attempted")
SKIPPED_REPAIRS = ("left", "would_change")
# What XML 1.0 cannot hold, not even escaped, and what is left after cleaning.
_INVALID = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(value) -> str:
    """VALUE as one line that XML can hold; a character that it cannot becomes U+FFFD."""
    return _INVALID.sub("\ufffd", clean(value, 2000))


Case = tuple[str, ElementTree.Element]
# (suite, name in the report) -> (class, name) of a test case
Naming = Callable[[str, str], tuple[str, str]]


def _naming(report: dict) -> Naming:
    """How test cases are called. The class has the report's name, so that a test keeps its history whichever other clusters are in a merged report."""
    known = identities(report)

    def named(suite: str, name: str) -> tuple[str, str]:
        identity = known.get(name)
        label = f".{identity.report}" if identity and identity.report else ""
        return f"kubeproxy.ipvs.{suite}{label}", identity.name if identity else name

    return named


def _case(called: tuple[str, str], outcome: str | None = None, kind: str = "", message: str = "", text: str = "") -> Case:
    """(outcome, test case). outcome: failure, error, skipped, or None for passed."""
    case = ElementTree.Element("testcase", classname=xml_text(called[0]), name=xml_text(called[1]), time="0")
    if outcome:
        told = ElementTree.SubElement(case, outcome, message=xml_text(message), **({"type": xml_text(kind)} if kind else {}))
        told.text = text or xml_text(message)
    return outcome or "passed", case


def _node_case(called: tuple[str, str], node: dict, entry: dict, name: str) -> Case:
    """The case of a moment. entry: what holds the moments, the plan and the waiver: the node or its forecast; name: of the moment."""
    moment, plan = mapping(entry["moments"][name]), mapping(entry.get("plan"))
    word, value = str(moment.get("verdict")), moment.get("value")
    shown = f"{word}: {MEANING.get(word, '')}; the value is {'not known' if value is None else value}"
    if moment.get("writer"):
        shown += f", set by {moment['writer']}"
    # A waiver is about one verdict: another one that is bad too, at another moment, is not accepted by it.
    waived = waiver_sentence(entry) if word == entry.get("verdict") else ""
    if word in SKIPPED or (waived and word in FAILURES):
        return _case(called, "skipped", word, f"{waived}; {shown}" if waived else shown)
    if word not in FAILURES:
        return _case(called)
    facts = mapping(node.get("facts"))
    lines = [
        shown,
        f"plan: {plan.get('action')}: {plan.get('reason')}",
        f"kernel {facts.get('kernel')}, {facts.get('os')}, kube-proxy {facts.get('kube_proxy')} ({facts.get('form')}, mode {facts.get('mode')})",
    ]
    return _case(called, "failure", word, shown, "\n".join(xml_text(line) for line in lines))


def _moment_suites(nodes: list[tuple[dict, dict]], prefix: str, named: Naming) -> dict[str, list]:
    """Suites of [(node, what holds its moments, plan and waiver)], in the order in which moments come."""
    suites: dict[str, list] = {}
    present = {name for _node, entry in nodes for name in mapping(entry.get("moments"))}
    for moment in [name for name in MOMENT_NAMES if name in present]:
        suite = f"{prefix}{moment}"
        suites[suite] = [
            _node_case(named(suite, str(node.get("name"))), node, entry, moment)
            for node, entry in nodes
            if moment in mapping(entry.get("moments"))
        ]
    return suites


def _repair_case(called: tuple[str, str], node: dict) -> Case:
    repair = mapping(node.get("remediation"))
    result = str(repair.get("result"))
    outcome = "failure" if result in FAILED_REPAIRS else "skipped" if result in SKIPPED_REPAIRS else None
    return _case(called, outcome, result, f"{result}: {repair.get('reason')}")


def _missing_case(called: tuple[str, str], item: dict) -> Case:
    waived, reason = waiver_sentence(item), str(item.get("reason"))
    return _case(called, "skipped" if waived else "error", "unreachable", f"{waived}; {reason}" if waived else reason)


def _suites(report: dict) -> dict[str, list]:
    named = _naming(report)
    suites = _moment_suites([(node, node) for node in report["nodes"]], "", named)
    planned = [(node, mapping(node["forecast"])) for node in report["nodes"] if "forecast" in node]
    suites |= _moment_suites(planned, "forecast.", named)
    repaired = [node for node in (*report["nodes"], *report["unreachable"]) if "remediation" in node]
    if repaired:
        suites["repair"] = [_repair_case(named("repair", str(node.get("name"))), node) for node in repaired]
    read = [_case(named("read", str(node.get("name")))) for node in report["nodes"]]
    read += [_missing_case(named("read", str(item.get("name"))), item) for item in report["unreachable"]]
    errors = [(f"kubeproxy.ipvs.read{'.' + str(item['report']) if item.get('report') else ''}", item) for item in report["errors"]]
    read += [_case((classname, str(item.get("path"))), "error", "facts", str(item.get("reason"))) for classname, item in errors]
    return {**suites, "read": read}


def _properties(report: dict, suite: str) -> dict[str, str]:
    """What is said of a suite: the target of a forecast; how many nodes have changed since the baseline, and which."""
    if suite.startswith("forecast.") and report.get("target"):
        return {"target": target_text(report["nodes"])}
    drift = mapping(report.get("drift"))
    if suite != "read" or not drift:
        return {}
    found = {"drift.baseline": str(drift["baseline"]["generated_at"])} | {f"drift.{word}": str(count) for word, count in drift["summary"].items()}
    return found | {f"drift.node.{name}": str(entry["change"]) for name, entry in changes(report).items()}


def junit_text(report: dict) -> str:
    """The report as JUnit XML. stale_backends and syn_delay are failures, what could not be read an error, unknown and what is waived skipped."""
    root = ElementTree.Element("testsuites", name="kubeproxy.ipvs")
    totals = {"tests": 0, "failures": 0, "errors": 0}
    for name, cases in _suites(report).items():
        outcomes = [outcome for outcome, _case_element in cases]
        counts = {"tests": len(cases), "failures": outcomes.count("failure"), "errors": outcomes.count("error")}
        attributes = {key: str(value) for key, value in (counts | {"skipped": outcomes.count("skipped"), "time": 0}).items()}
        # The format's dates have no zone; they are in UTC.
        if report.get("generated_at"):
            attributes["timestamp"] = xml_text(str(report["generated_at"])[:19])
        suite = ElementTree.SubElement(root, "testsuite", name=name, **attributes)
        said = _properties(report, name)
        properties = ElementTree.SubElement(suite, "properties") if said else None
        for key, value in said.items():
            ElementTree.SubElement(properties, "property", name=xml_text(key), value=xml_text(value))
        suite.extend(element for _outcome, element in cases)
        totals = {key: totals[key] + counts[key] for key in totals}
    for key, value in totals.items():
        root.set(key, str(value))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
