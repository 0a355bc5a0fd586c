# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as JUnit XML, checked with the schema that Jenkins publishes for it (tests/unit/schemas)."""

from __future__ import annotations

import pathlib
from xml.etree import ElementTree

import pytest
from example_reports import (
    HOSTILE,
    cluster_report,
    compared_report,
    example_report,
    fleet_facts,
    forecast_report,
    hostile_report,
    repair_report,
    reports_of_all_kinds,
)
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_junit import junit_text, xml_text

xmlschema = pytest.importorskip("xmlschema")
SCHEMA = xmlschema.XMLSchema(str(pathlib.Path(__file__).resolve().parents[2] / "schemas" / "junit-10.xsd"))
REPORTS = reports_of_all_kinds()


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_it_follows_the_schema(report):
    SCHEMA.validate(junit_text(report))


def suites(report):
    return {suite.get("name"): suite for suite in ElementTree.fromstring(junit_text(report))}


def test_a_suite_for_each_moment_and_a_case_for_each_node():
    report = example_report(unreachable=[{"name": "web-17", "reason": "no route to host"}], errors=[{"path": "/x.json", "reason": "not JSON"}])
    found = suites(report)
    assert list(found) == ["now", "kube_proxy_restart", "kubelet_restart", "reboot", "read"]
    for moment in ("now", "reboot"):
        outcomes = {case.get("name"): [child.tag for child in case] for case in found[moment]}
        words = {node["name"]: node["moments"][moment]["verdict"] for node in report["nodes"]}
        expected = {"stale_backends": ["failure"], "syn_delay": ["failure"], "unknown": ["skipped"], "not_applicable": ["skipped"]}
        assert outcomes == {name: expected.get(word, []) for name, word in words.items()}
        assert int(found[moment].get("failures")) == sum(outcome == ["failure"] for outcome in outcomes.values()) > 0
    assert {case.get("name"): case[0].get("message") for case in found["read"] if len(case)} == {"web-17": "no route to host", "/x.json": "not JSON"}
    root = ElementTree.fromstring(junit_text(report))
    assert (root.get("tests"), root.get("errors")) == (str(5 * len(report["nodes"]) + 2), "2")


def test_a_failure_says_what_to_do():
    failure = next(case[0] for case in suites(example_report())["reboot"] if case.get("name") == "lab-euleros-2.9")
    assert failure.get("type") == "stale_backends"
    assert "new connections can reach pods that are gone" in failure.get("message") and "plan: hold: 1 is safe" in failure.text


def test_a_forecast_and_a_repair_have_suites_of_their_own():
    assert {"forecast.now", "forecast.upgrade", "forecast.reboot"} <= set(suites(forecast_report()))
    assert suites(forecast_report())["forecast.now"].find("properties/property").get("value") == "kube-proxy 1.30.4"
    repair = suites(repair_report())["repair"]
    assert {case.get("name"): [child.tag for child in case] for case in repair} == {
        "done": [],
        "broken": ["failure"],
        "left": ["skipped"],
        "down": ["failure"],
    }


def outcomes(suite):
    """{(class, name): outcome, message} of a suite's cases that did not pass."""
    return {(case.get("classname"), case.get("name")): (case[0].tag, case[0].get("message")) for case in suite if case.tag == "testcase" and len(case)}


def test_what_is_waived_is_skipped_with_its_reason():
    report = compared_report(target="1.30.4")
    found, plain = suites(report), "waived until 2026-12-31: no reused ports, ticket 4711; "
    for name in ("now", "reboot", "forecast.reboot"):
        moment, node = outcomes(found[name]), "cce-euler29-b"
        kind, message = moment[f"kubeproxy.ipvs.{name}.eu", node]
        assert kind == "skipped" and message.startswith(f"{plain}stale_backends: new connections can reach pods that are gone")
        assert moment[f"kubeproxy.ipvs.{name}.us", node][0] == "failure"
    # Its waiver has expired.
    assert outcomes(found["reboot"])["kubeproxy.ipvs.reboot.eu", "lab-euleros-2.9"][0] == "failure"
    assert outcomes(found["read"]) == {
        ("kubeproxy.ipvs.read.eu", "down"): ("skipped", f"{plain}no route to host"),
        ("kubeproxy.ipvs.read.eu", "uk8s-centos7"): ("error", "no route to host"),
    }
    assert (found["read"].get("errors"), found["read"].get("skipped")) == ("1", "1")


def test_a_waiver_of_the_worst_verdict_accepts_no_other_one():
    report = example_report()
    node = next(node for node in report["nodes"] if node["verdict"] == "stale_backends" and node["moments"]["now"]["verdict"] == "stale_backends")
    node["moments"]["now"]["verdict"], node["waived"] = "syn_delay", {"reason": "accepted", "until": "2026-12-31"}
    found = suites(report)
    assert outcomes(found["now"])["kubeproxy.ipvs.now", node["name"]][0] == "failure"
    assert outcomes(found["reboot"])["kubeproxy.ipvs.reboot", node["name"]][0] == "skipped"


def test_a_test_is_the_same_alone_and_in_a_merged_report():
    def called(report):
        return {(case.get("classname"), case.get("name")) for suite in suites(report).values() for case in suite if case.tag == "testcase"}

    alone, merged = called(cluster_report("us", fleet_facts())), called(compared_report())
    assert alone <= merged
    cases = [(case.get("classname"), case.get("name")) for suite in suites(compared_report()).values() for case in suite if case.tag == "testcase"]
    assert len(cases) == len(set(cases))


def test_changes_are_properties():
    report = compared_report()
    read = {entry.get("name"): entry.get("value") for entry in suites(report)["read"].find("properties")}
    assert {word: int(read[f"drift.{word}"]) for word in report["drift"]["summary"]} == report["drift"]["summary"]
    assert read["drift.node.lab-debian-5.10 (eu)"] == "worse" and read["drift.baseline"] == "2026-01-02T03:04:05+00:00"
    assert suites(example_report())["read"].find("properties") is None


def test_hostile_names_are_text():
    names = [case.get("name") for case in suites(hostile_report())["now"]]
    assert len(names) == len(HOSTILE) and "</script><script>document.title='owned'</script>" in names


@given(st.text())
def test_whatever_the_text_xml_can_hold_it(text):
    element = ElementTree.Element("x", y=xml_text(text))
    assert ElementTree.fromstring(ElementTree.tostring(element)).get("y") == xml_text(text)
