# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report for what reads test results: JUnit XML, a test suite for each moment, a test case for each node. Made from the report structure alone."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.forecast import target_text
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


def _case(suite: str, name, outcome: str | None = None, kind: str = "", message: str = "", text: str = "") -> tuple[str, ElementTree.Element]:
    """(outcome, test case). outcome: failure, error, skipped, or None for passed."""
    case = ElementTree.Element("testcase", classname=f"kubeproxy.ipvs.{suite}", name=xml_text(name), time="0")
    if outcome:
        told = ElementTree.SubElement(case, outcome, message=xml_text(message), **({"type": xml_text(kind)} if kind else {}))
        told.text = text or xml_text(message)
    return outcome or "passed", case


def _node_case(suite: str, node: dict, moment: dict, plan: dict) -> tuple[str, ElementTree.Element]:
    word, value = str(moment.get("verdict")), moment.get("value")
    shown = f"{word}: {MEANING.get(word, '')}; the value is {'not known' if value is None else value}"
    if moment.get("writer"):
        shown += f", set by {moment['writer']}"
    if word in SKIPPED:
        return _case(suite, node.get("name"), "skipped", word, shown)
    if word not in FAILURES:
        return _case(suite, node.get("name"))
    facts = mapping(node.get("facts"))
    lines = [
        shown,
        f"plan: {plan.get('action')}: {plan.get('reason')}",
        f"kernel {facts.get('kernel')}, {facts.get('os')}, kube-proxy {facts.get('kube_proxy')} ({facts.get('form')}, mode {facts.get('mode')})",
    ]
    return _case(suite, node.get("name"), "failure", word, shown, "\n".join(xml_text(line) for line in lines))


def _moment_suites(nodes: list[tuple[dict, dict]], prefix: str) -> dict[str, list]:
    """Suites of [(node, what holds its moments and plan)], in the order in which moments come."""
    suites: dict[str, list] = {}
    present = {name for _node, entry in nodes for name in mapping(entry.get("moments"))}
    for moment in [name for name in MOMENT_NAMES if name in present]:
        suite = f"{prefix}{moment}"
        suites[suite] = [
            _node_case(suite, node, mapping(entry["moments"][moment]), mapping(entry.get("plan")))
            for node, entry in nodes
            if moment in mapping(entry.get("moments"))
        ]
    return suites


def _repair_case(node: dict) -> tuple[str, ElementTree.Element]:
    repair = mapping(node.get("remediation"))
    result = str(repair.get("result"))
    outcome = "failure" if result in FAILED_REPAIRS else "skipped" if result in SKIPPED_REPAIRS else None
    return _case("repair", node.get("name"), outcome, result, f"{result}: {repair.get('reason')}")


def _suites(report: dict) -> dict[str, list]:
    suites = _moment_suites([(node, node) for node in report["nodes"]], "")
    planned = [(node, mapping(node["forecast"])) for node in report["nodes"] if "forecast" in node]
    suites |= _moment_suites(planned, "forecast.")
    repaired = [node for node in (*report["nodes"], *report["unreachable"]) if "remediation" in node]
    if repaired:
        suites["repair"] = [_repair_case(node) for node in repaired]
    read = [_case("read", node.get("name")) for node in report["nodes"]]
    read += [_case("read", item.get("name"), "error", "unreachable", str(item.get("reason"))) for item in report["unreachable"]]
    read += [_case("read", item.get("path"), "error", "facts", str(item.get("reason"))) for item in report["errors"]]
    return {**suites, "read": read}


def junit_text(report: dict) -> str:
    """The report as JUnit XML. stale_backends and syn_delay are failures, what could not be read is an error, unknown and not_applicable are skipped."""
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
        if name.startswith("forecast.") and report.get("target"):
            properties = ElementTree.SubElement(suite, "properties")
            ElementTree.SubElement(properties, "property", name="target", value=xml_text(target_text(report["target"])))
        suite.extend(element for _outcome, element in cases)
        totals = {key: totals[key] + counts[key] for key in totals}
    for key, value in totals.items():
        root.set(key, str(value))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
