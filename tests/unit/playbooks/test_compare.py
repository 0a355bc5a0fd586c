# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports that are merged, waived and compared, as a user does it: with the real ansible-playbook, on the example fleet."""

from __future__ import annotations

import json
import os
import pathlib

import pytest
from real_ansible import NEEDS_ANSIBLE, ansible_playbook, json_of
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import check_document

FLEET = pathlib.Path(__file__).resolve().parents[3] / "docs" / "example_fleet"
pytestmark = NEEDS_ANSIBLE


@pytest.fixture
def play(tmp_path):
    """play(playbook, *arguments, directory=of the report, **variables) -> (exit status, output, report or None), run in an empty directory.

    The host of the inventory cannot be read, so that the report is the same on every machine; it is in the group edge.
    """

    def run(playbook, *arguments, directory, **variables):
        (tmp_path / "hosts").write_text("[edge]\nhere ansible_connection=local ansible_python_interpreter=/nonexistent/python\n", encoding="utf-8")
        words = [f"kubeproxy.ipvs.{playbook}", "-i", "hosts", "-e", json.dumps(variables), *arguments]
        return *ansible_playbook(tmp_path, *words), json_of(tmp_path / directory / "report.json")

    def audit(*arguments, directory="ipvs-report", **variables):
        return run("audit", *arguments, directory=directory, audit_report_dir=directory, **variables)

    def merge(*arguments, directory="ipvs-report-merged", **variables):
        return run("merge", *arguments, directory=directory, **variables)

    run.audit, run.merge = audit, merge
    return run


def of_the_run(report):
    """What two runs on the same nodes have in common."""
    return {key: value for key, value in report.items() if key not in ("generated_at", "merged")}


def test_slices_merged_are_the_report_of_one_run(play, tmp_path):
    names = sorted(FLEET.glob("*.json"))
    for number in range(3):
        play.audit(directory=f"slices/{number}", audit_facts_files=[str(path) for path in names[number::3]], audit_report_name="eu")
    whole = play.audit(directory="whole", audit_facts_files=[str(FLEET)], audit_report_name="eu")[2]
    status, output, merged = play.merge(merge_reports=["slices"])
    assert status == 0, output
    check_document("report", merged)
    assert of_the_run(merged) == of_the_run(whole)
    assert "Merged from 3 reports (eu)" in output
    assert sorted(path.name for path in (tmp_path / "ipvs-report-merged").iterdir()) == ["report.json", "report.md"]
    assert "Merged from 3 reports" in (tmp_path / "ipvs-report-merged" / "report.md").read_text(encoding="utf-8")


def test_a_bad_report_is_named_and_nothing_is_written(play, tmp_path):
    play.audit(directory="good", audit_facts_files=[str(FLEET / "kubeadm-debian12.json")])
    (tmp_path / "cut.json").write_bytes((tmp_path / "good" / "report.json").read_bytes()[:500])
    (tmp_path / "old.json").write_text('{"schema": 0, "summary": {}}', encoding="utf-8")
    status, output, merged = play.merge(merge_reports=["good/report.json", "cut.json", "old.json"])
    flat = " ".join(output.split())
    assert status != 0 and merged is None and "Traceback" not in output
    assert "cut.json: not JSON" in flat and "old.json: a report of version 0, this collection reads version 1" in flat


def test_a_report_is_not_replaced_by_the_merge_of_it(play):
    before = play.audit(directory="ipvs-report-merged", audit_facts_files=[str(FLEET / "kubeadm-debian12.json")])[2]
    status, output, after = play.merge(merge_reports=["ipvs-report-merged"])
    assert status != 0 and after == before
    assert "is one of the reports to merge" in " ".join(output.split())


@pytest.mark.parametrize("variables", [{}, {"merge_reports": []}, {"merge_reports": {"eu": "report.json"}}])
def test_nothing_to_merge(play, variables):
    status, output, merged = play.merge(**variables)
    assert status != 0 and merged is None
    assert "merge_reports is missing or no list" in " ".join(output.split())


def test_a_merge_can_fail_the_play(play):
    play.audit(directory="good", audit_facts_files=[str(FLEET)])
    status, output, merged = play.merge(merge_reports=["good"], audit_fail_on="stale_backends")
    assert status != 0 and merged is not None
    assert "audit_fail_on matched: " in " ".join(output.split())


def test_what_has_changed_since_the_last_run(play):
    play.audit(audit_facts_files=[str(FLEET / "kubeadm-debian12.json")])
    status, output, report = play.audit(audit_facts_files=[str(FLEET)], audit_baseline="ipvs-report/report.json", audit_fail_on="drift.summary.new > `0`")
    assert status != 0 and "audit_fail_on matched: drift.summary.new > `0` gives True" in " ".join(output.split())
    check_document("report", report)
    assert report["drift"]["summary"]["new"] == len(list(FLEET.glob("*.json"))) - 1
    assert output.index("Since the report of ") < output.index("conn_reuse_mode audit: ")


def test_a_baseline_that_cannot_be_used_is_named_before_any_host_is_contacted(play):
    status, output, report = play.audit(audit_baseline="gone/report.json")
    assert status != 0 and report is None and "Read | " not in output
    assert "audit_baseline: gone/report.json: No such file or directory" in " ".join(output.split()).replace(os.getcwd(), "")


def test_what_is_waived_is_marked_and_fails_no_run(play, tmp_path):
    (tmp_path / "waivers.yml").write_text(
        "- {verdict: unreachable, hosts: edge, reason: being repaired, until: 2999-12-31}\n"
        "- {verdict: syn_delay, hosts: 'lab-*:kubeasz-*', reason: ticket 4711, until: 2999-12-31}\n"
        "- {finding: metrics_exposed, hosts: all, reason: behind a firewall, until: 2999-12-31}\n"
        "- {finding: reuse_pressure, hosts: all, reason: was accepted once, until: 2020-01-01}\n"
        "- {verdict: safe, hosts: nobody, reason: gone, until: 2999-12-31}\n",
        encoding="utf-8",
    )
    status, output, report = play.audit(audit_facts_files=[str(FLEET)], audit_waivers="waivers.yml", audit_fail_on="unreachable,syn_delay")
    assert status == 0, output
    check_document("report", report)
    assert [row["state"] for row in report["waivers"]] == ["active", "active", "active", "expired", "matches_nothing"]
    assert report["summary"]["waived"]["unreachable"] == 1 and report["summary"]["waived"]["verdicts"]["syn_delay"] > 1
    name = next(node["name"] for node in report["nodes"] if "waived" in node)
    assert json.loads((tmp_path / "ipvs-report" / "nodes" / f"{name}.json").read_text(encoding="utf-8"))["verdict"]["waived"]["reason"] == "ticket 4711"
    assert "EXPIRED WAIVERS, WHICH COUNT AGAIN" in output and "WAIVERS THAT MATCH NOTHING" in output


def test_a_bad_waiver_is_named_before_any_host_is_contacted(play, tmp_path):
    (tmp_path / "waivers.yml").write_text("- {finding: second_writers, hosts: all, reason: x, until: 2999-12-31}\n", encoding="utf-8")
    status, output, report = play.audit(audit_waivers="waivers.yml")
    assert status != 0 and report is None and "Read | " not in output
    assert "waivers.yml: waiver 1 (second_writers): finding: 'second_writers' is no finding of this collection" in " ".join(output.split())
