# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as metrics, read back by Prometheus' own parser for Python, and, where there is promtool, checked by it with the alert rules."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess

import pytest
import yaml
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

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_metrics import RANKS, metrics_text

parser = pytest.importorskip("prometheus_client.parser")
ROOT = pathlib.Path(__file__).resolve().parents[4]
ALERTS = ROOT / "docs" / "alerts.yml"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
REPORTS = reports_of_all_kinds()


def families(report):
    return {family.name: family for family in parser.text_string_to_metric_families(metrics_text(report))}


def values(report, name):
    return {tuple(sample.labels.values()): sample.value for sample in families(report)[f"kubeproxy_ipvs_{name}"].samples}


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_every_series_comes_once_with_help_and_type(report):
    for family in families(report).values():
        assert family.name.startswith("kubeproxy_ipvs_") and family.type == "gauge" and family.documentation.endswith(".")
        series = [tuple(sorted(sample.labels.items())) for sample in family.samples]
        assert len(series) == len(set(series))
        assert all(sample.timestamp is None for sample in family.samples)


def test_numbers():
    report = example_report(unreachable=[{"name": "web-17", "reason": "no route to host"}])
    assert values(report, "nodes") == {(word,): report["summary"]["verdicts"].get(word, 0) for word in RANKS}
    assert values(report, "nodes_unreachable") == {(): 1}
    assert values(report, "report_timestamp_seconds") == {(): 1767323045}
    ranks = values(report, "node_verdict_rank")
    assert len(ranks) == 4 * len(report["nodes"])
    assert ranks["lab-euleros-2.9", "reboot"] == RANKS["stale_backends"] == 5
    assert values(report, "node_read")[("web-17",)] == 0
    assert values(report, "findings")["not_persistent", "high"] == next(row["count"] for row in report["findings"] if row["key"] == "not_persistent")


def test_names_and_labels_are_the_same_for_ever():
    assert {name.removeprefix("kubeproxy_ipvs_"): sorted(family.samples[0].labels) for name, family in families(example_report()).items()} == {
        "report_timestamp_seconds": [],
        "nodes": ["verdict"],
        "nodes_waived": ["verdict"],
        "nodes_unreachable": [],
        "nodes_unreachable_waived": [],
        "report_errors": [],
        "plans": ["action"],
        "findings": ["key", "severity"],
        "waivers": ["state"],
        "node_read": ["node_name"],
        "node_verdict_rank": ["moment", "node_name"],
        "node_conn_reuse_mode": ["node_name"],
        "node_findings": ["node_name", "severity"],
        "node_info": ["form", "kernel", "kube_proxy", "mode", "node_name", "os", "plan"],
    }
    assert values(repair_report(), "repair_nodes")[("failed",)] == 1
    assert sum(values(forecast_report(), "forecast_nodes").values()) == len(forecast_report()["nodes"])


def test_a_report_with_a_name_and_a_merged_one_have_the_label_report():
    found = families(compared_report(target="1.30.4"))
    labels = {name.removeprefix("kubeproxy_ipvs_"): sorted(family.samples[-1].labels) for name, family in found.items()}
    of_nodes = {name for name in labels if name.startswith("node_")}
    assert {name for name, keys in labels.items() if "report" in keys} == {"merged_report_timestamp_seconds", *of_nodes}
    alone = families(cluster_report("us", fleet_facts()))
    assert all(sample.labels["report"] == "us" for family in alone.values() for sample in family.samples)
    # A node's series are those of its own report.
    for name in ("node_verdict_rank", "node_info", "node_read"):
        mine = {tuple(sorted(sample.labels.items())): sample.value for sample in alone[f"kubeproxy_ipvs_{name}"].samples}
        merged = {tuple(sorted(sample.labels.items())): sample.value for sample in found[f"kubeproxy_ipvs_{name}"].samples}
        assert mine.items() <= merged.items() and len(merged) > len(mine)


def test_what_is_waived_and_what_has_changed():
    report = compared_report()
    assert values(report, "nodes_waived") == {(word,): {"stale_backends": 1, "syn_delay": 2}.get(word, 0) for word in RANKS}
    assert values(report, "nodes_unreachable") == {(): 2} and values(report, "nodes_unreachable_waived") == {(): 1}
    assert values(report, "waivers") == {("active",): 4, ("expired",): 1, ("matches_nothing",): 1}
    assert values(report, "drift_nodes") == {(word,): count for word, count in report["drift"]["summary"].items()}
    until = values(report, "node_waived_until_seconds")
    # The first second of 2027, in UTC.
    assert set(until.values()) == {1798761600} and {key[:2] for key in until} == {("cce-euler29-b", "eu"), ("lab-centos-7", "eu"), ("lab-centos-7", "us")}
    waived = values(report, "node_findings_waived")
    exposed = [node for node in report["nodes"] if any(item["key"] == "metrics_exposed" for item in node["findings"])]
    assert len(waived) == len(exposed) and set(waived.values()) == {1}
    assert values(example_report(), "waivers") == {("active",): 0, ("expired",): 0, ("matches_nothing",): 0}
    assert "kubeproxy_ipvs_drift_nodes" not in families(example_report())


def test_a_moment_with_another_verdict_than_the_waived_one_is_not_accepted():
    report = example_report()
    node = next(node for node in report["nodes"] if node["verdict"] == "stale_backends")
    node["moments"]["now"]["verdict"], node["waived"] = "syn_delay", {"reason": "accepted", "until": "2026-12-31"}
    assert (node["name"], "now") not in values(report, "node_waived_until_seconds")
    assert (node["name"], "reboot") in values(report, "node_waived_until_seconds")


def test_hostile_labels_are_read_back_as_text():
    names = {key[0] for key in values(hostile_report(), "node_verdict_rank")}
    assert 'quote " and \' and \\ and `' in names and "</script><script>document.title='owned'</script>" in names
    # Two of them are nothing, and two the same, once they are cleaned.
    assert len(HOSTILE) - 3 <= len(names) <= len(HOSTILE)


def test_the_rules_use_metrics_that_there_are():
    rules = [rule for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
    known = set(families(compared_report()))
    for rule in rules:
        assert any(name in rule["expr"] for name in known), rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert {"summary", "description"} <= set(rule["annotations"])
        assert set(re.findall(r"kubeproxy_ipvs_\w+", rule["expr"])) <= known


@needs_promtool
@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_promtool_reads_the_metrics(report):
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=metrics_text(report).encode(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@needs_promtool
def test_promtool_runs_the_rules():
    done = subprocess.run([PROMTOOL, "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run([PROMTOOL, "test", "rules", str(ROOT / "tests" / "unit" / "alerts_test.yml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
