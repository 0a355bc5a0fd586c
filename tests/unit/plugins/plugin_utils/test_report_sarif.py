# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as SARIF, checked with the schema of SARIF 2.1.0 (tests/unit/schemas)."""

from __future__ import annotations

import json
import pathlib
import urllib.parse

import jsonschema
import pytest
from example_reports import cluster_report, compared_report, example_report, fleet_facts, hostile_report, large_report, reports_of_all_kinds
from nodes import node

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.recorded_facts import file_name
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_drift import drift
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_merge import merge
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_sarif import VERDICT_LEVELS, sarif, sarif_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_sarif_states import MAXIMUM_RESULTS, most_severe

SCHEMA = json.loads((pathlib.Path(__file__).resolve().parents[2] / "schemas" / "sarif-2.1.0.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
REPORTS = reports_of_all_kinds()


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_it_follows_the_schema(report):
    document = json.loads(sarif_text(report))
    problem = jsonschema.exceptions.best_match(VALIDATOR.iter_errors(document))
    assert problem is None, problem
    run = document["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert (result["level"] == "none") == (result.get("kind") == "open")


def test_one_result_for_each_node_and_finding():
    report = example_report()
    results = sarif(report)["runs"][0]["results"]
    for node in report["nodes"]:
        mine = [result["ruleId"] for result in results if result["locations"][0]["logicalLocations"][0]["name"] == node["name"]]
        verdict = [node["verdict"]] if node["verdict"] not in ("safe", "not_applicable") else []
        assert mine == verdict + [finding["key"] for finding in node["findings"]]


def test_a_result_says_what_to_run():
    results = sarif(example_report())["runs"][0]["results"]
    verdict = next(result for result in results if result["ruleId"] == "stale_backends" and result["message"]["text"].startswith("lab-euleros-2.9:"))
    assert verdict["level"] == "error"
    assert "kubeproxy.ipvs.remediate -i INVENTORY -b --limit lab-euleros-2.9 --check --diff" in verdict["message"]["text"]


def test_fingerprints_stay_when_numbers_change():
    first, second = example_report(), example_report()
    for node in second["nodes"]:
        for finding in node["findings"]:
            finding["text"] += " 17"

    def prints(report):
        return [result["partialFingerprints"] for result in sarif(report)["runs"][0]["results"]]

    assert prints(first) == prints(second)
    assert len({fingerprint["kubeproxyIpvs/v1"] for fingerprint in prints(first)}) > 0.9 * len(prints(first))


def test_what_could_not_be_read_is_told():
    report = example_report(unreachable=[{"name": "web-17", "reason": "no route to host"}], errors=[{"path": "/x.json", "reason": "not JSON"}])
    invocation = sarif(report)["runs"][0]["invocations"][0]
    assert [entry["message"]["text"] for entry in invocation["toolExecutionNotifications"]] == [
        "web-17 could not be read: no route to host",
        "/x.json could not be used: not JSON",
    ]
    assert invocation["endTimeUtc"] == "2026-01-02T03:04:05Z"


def test_a_location_is_the_nodes_own_file():
    names = {f"nodes/{file_name(node['name'])}" for node in hostile_report()["nodes"]}
    for result in sarif(hostile_report())["runs"][0]["results"]:
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.isascii() and urllib.parse.unquote(uri) in names


def by_name(report):
    """{(node, rule): results} of a report."""
    found = {}
    for result in sarif(report)["runs"][0]["results"]:
        found.setdefault((result["locations"][0]["logicalLocations"][0]["name"], result["ruleId"]), []).append(result)
    return found


def test_what_is_waived_is_suppressed_and_all_others_say_that_they_are_not():
    found = by_name(compared_report())
    accepted = [{"kind": "external", "status": "accepted", "justification": "no reused ports, ticket 4711 (until 2026-12-31)"}]
    suppressed = {key: [{k: v for k, v in entry.items() if k != "properties"} for entry in rows[0]["suppressions"]] for key, rows in found.items()}
    assert suppressed["cce-euler29-b (eu)", "stale_backends"] == suppressed["lab-centos-7 (us)", "syn_delay"] == accepted
    assert suppressed["cce-euler29-b (us)", "stale_backends"] == suppressed["lab-euleros-2.9 (eu)", "stale_backends"] == []
    assert {tuple(map(str, value)) for (_node, rule), value in suppressed.items() if rule == "metrics_exposed"} == {(str(accepted[0]),)}
    assert not any("suppressions" in result for result in sarif(example_report())["runs"][0]["results"])


def test_what_is_new_since_the_baseline():
    report = compared_report()
    states = {key: [result["baselineState"] for result in rows] for key, rows in by_name(report).items()}
    assert states["lab-debian-5.10 (eu)", "stale_backends"] == ["new"]
    assert states["lab-debian-5.10 (eu)", "stuck_destinations"] == ["new"]
    assert states["lab-kylin-v10 (eu)", "stale_backends"] == states["sealos-debian11 (eu)", "uneven_load"] == ["new"]
    assert states["lab-euleros-2.9 (us)", "stale_backends"] == states["kubespray-rocky8 (eu)", "uneven_load"] == ["unchanged"]
    run = sarif(report)["runs"][0]
    assert run["properties"]["drift"] == report["drift"]["summary"]
    assert not any("baselineState" in result for result in sarif(example_report())["runs"][0]["results"])


def test_a_verdict_that_stays_is_updated_where_a_moment_changes():
    before, after = cluster_report("eu", fleet_facts()), cluster_report("eu", fleet_facts())
    entry = next(entry for entry in after["nodes"] if entry["name"] == "lab-euleros-2.9")
    entry["moments"]["now"]["verdict"] = "uneven_load"
    states = {key: rows[0]["baselineState"] for key, rows in by_name({**after, "drift": drift(before, after)}).items()}
    assert states["lab-euleros-2.9", "stale_backends"] == "updated"
    assert set(states.values()) == {"updated", "unchanged"}


def test_a_result_is_the_same_alone_and_in_a_merged_report():
    def prints(report):
        return [result["partialFingerprints"]["kubeproxyIpvs/v1"] for result in sarif(report)["runs"][0]["results"]]

    alone, merged = prints(cluster_report("us", fleet_facts())), prints(compared_report())
    assert set(alone) <= set(merged)
    eu, us = by_name(compared_report())["lab-euleros-2.9 (eu)", "stale_backends"][0], by_name(compared_report())["lab-euleros-2.9 (us)", "stale_backends"][0]
    assert eu["partialFingerprints"] != us["partialFingerprints"]
    places = [result["locations"][0] for result in (eu, us)]
    assert [place["physicalLocation"]["artifactLocation"]["uri"] for place in places] == ["eu/nodes/lab-euleros-2.9.json", "us/nodes/lab-euleros-2.9.json"]
    assert [place["logicalLocations"][0]["fullyQualifiedName"] for place in places] == ["eu/lab-euleros-2.9", "us/lab-euleros-2.9"]
    assert "--limit lab-euleros-2.9 --check" in eu["message"]["text"]


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../../x", "%2e%2e"])
def test_no_name_of_a_report_leads_out_of_the_directory(name):
    other = cluster_report("us", {"other": node("D", "K2", 0)})
    uris = [place["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for place in
            sarif(merge([cluster_report(name, {"node-1": node("D", "K2", 0)}), other]))["runs"][0]["results"]]  # fmt: skip
    for uri in uris:
        steps = urllib.parse.unquote(uri).split("/")
        assert len(steps) == 3 and steps[1] == "nodes" and not {"", ".", ".."} & set(steps)


def test_of_too_many_results_the_most_severe_stay():
    levels = ["note", "error", "warning", "error", "none", "error"]
    results = [{"level": level, "number": number, "suppressions": [{}] if number == 3 else []} for number, level in enumerate(levels)]
    kept, left_out = most_severe(results, 3)
    assert [result["number"] for result in kept] == [1, 2, 5] and left_out == {"error": 1, "none": 1, "note": 1}
    assert most_severe(results, 6) == (results, {})


def test_a_large_fleet_is_within_what_github_takes():
    report = large_report(5000)
    run = sarif(report)["runs"][0]
    every = sum((node["verdict"] in VERDICT_LEVELS) + len(node["findings"]) for node in report["nodes"])
    assert every <= MAXIMUM_RESULTS and len(run["results"]) == every
    for entry in report["nodes"]:
        entry["findings"] += [{"key": "live_patch", "severity": "info", "text": "x"}] * 5
    run = sarif(report)["runs"][0]
    assert len(run["results"]) == MAXIMUM_RESULTS
    told = [entry["message"]["text"] for entry in run["invocations"][0]["toolExecutionNotifications"] if entry["descriptor"]["id"] == "left_out"]
    assert told == [
        f"The report has more results than a run may hold: the 25000 most severe stand here, {every + 25000 - MAXIMUM_RESULTS} of level note do not. "
        "All of them stand in report.json."
    ]
