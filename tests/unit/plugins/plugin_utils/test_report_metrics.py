# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as metrics, read back by Prometheus' own parser for Python, and, where there is promtool, checked by it with the alert rules."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest
import yaml
from example_reports import HOSTILE, example_report, forecast_report, hostile_report, repair_report

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_metrics import RANKS, metrics_text

parser = pytest.importorskip("prometheus_client.parser")
ROOT = pathlib.Path(__file__).resolve().parents[4]
ALERTS = ROOT / "docs" / "alerts.yml"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
REPORTS = {"fleet": example_report(), "forecast": forecast_report(), "repair": repair_report(), "hostile": hostile_report(), "none": fleet([])}


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
        "nodes_unreachable": [],
        "report_errors": [],
        "plans": ["action"],
        "findings": ["key", "severity"],
        "node_read": ["node_name"],
        "node_verdict_rank": ["moment", "node_name"],
        "node_conn_reuse_mode": ["node_name"],
        "node_findings": ["node_name", "severity"],
        "node_info": ["form", "kernel", "kube_proxy", "mode", "node_name", "os", "plan"],
    }
    assert values(repair_report(), "repair_nodes")[("failed",)] == 1
    assert sum(values(forecast_report(), "forecast_nodes").values()) == len(forecast_report()["nodes"])


def test_hostile_labels_are_read_back_as_text():
    names = {key[0] for key in values(hostile_report(), "node_verdict_rank")}
    assert 'quote " and \' and \\ and `' in names and "</script><script>document.title='owned'</script>" in names
    # Two of them are nothing, and two the same, once they are cleaned.
    assert len(HOSTILE) - 3 <= len(names) <= len(HOSTILE)


def test_the_rules_use_metrics_that_there_are():
    rules = [rule for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
    known = set(families(example_report()))
    for rule in rules:
        assert any(name in rule["expr"] for name in known), rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert {"summary", "description"} <= set(rule["annotations"])
        assert all(name in known for name in rule["expr"].replace("(", " ").replace("{", " ").split() if name.startswith("kubeproxy_ipvs_"))


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
