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
from example_reports import HOSTILE, example_report, forecast_report, hostile_report, repair_report

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import load
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.recorded_facts import file_name
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_advice import FINDINGS, WHY, command
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_sarif import sarif, sarif_text

SCHEMA = json.loads((pathlib.Path(__file__).resolve().parents[2] / "schemas" / "sarif-2.1.0.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
REPORTS = {"fleet": example_report(), "forecast": forecast_report(), "repair": repair_report(), "hostile": hostile_report(), "none": fleet([])}


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


def test_the_advice_is_about_findings_that_there_are():
    assert set(FINDINGS) <= set(load("findings")["findings"]) == set(WHY)


@pytest.mark.parametrize("name", [*HOSTILE, "$(reboot)", "a b", "-x", "a;b", None])
def test_a_command_holds_no_name_that_a_shell_would_read(name):
    filled = command("run --limit {node}", name)
    assert filled == "run --limit NODE" or (name.isidentifier() and filled == f"run --limit {name}")
