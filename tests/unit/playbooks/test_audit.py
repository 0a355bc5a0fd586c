# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit as a user runs it: the real ansible-playbook, on this machine, recorded facts and hosts that cannot be read."""

from __future__ import annotations

import json
import os
import pathlib
import shutil

import pytest
from node_trees import QUIET_NODE, write_tree
from real_ansible import NEEDS_ANSIBLE, THIS_PYTHON, ansible_playbook, json_of

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import check_document

FLEET = pathlib.Path(__file__).resolve().parents[3] / "docs" / "example_fleet"
pytestmark = NEEDS_ANSIBLE


@pytest.fixture
def audit(tmp_path):
    """audit(*arguments, inventory=text, **variables) -> (exit status, output, report or None), run in an empty directory."""

    def run(*arguments, inventory="here ansible_connection=local\n", **variables):
        (tmp_path / "hosts").write_text(inventory, encoding="utf-8")
        words = ["kubeproxy.ipvs.audit", "-i", "hosts", "-e", json.dumps(variables), *arguments]
        return *ansible_playbook(tmp_path, *words, **THIS_PYTHON), json_of(tmp_path / "ipvs-report" / "report.json")

    return run


def test_this_machine_and_the_example_fleet(audit, tmp_path):
    status, output, report = audit(audit_facts_files=[str(FLEET)])
    check_document("report", report)
    names = [path.stem for path in FLEET.glob("*.json")] + ["here"]
    assert status == 0, output
    assert sorted(node["name"] for node in report["nodes"]) == sorted(names)
    assert sorted(path.name for path in (tmp_path / "ipvs-report" / "nodes").iterdir()) == sorted(f"{name}.json" for name in names)
    assert "changed=0" in output and "failed=0" in output
    assert "lab-euleros-2.9" in output
    assert "# Audit" in (tmp_path / "ipvs-report" / "report.md").read_text(encoding="utf-8")


def test_what_was_written_can_be_audited_again(audit, tmp_path):
    first = audit(audit_facts_files=[str(FLEET)])[2]
    shutil.move(tmp_path / "ipvs-report" / "nodes", tmp_path / "kept")
    again = audit(inventory="here ansible_connection=local ansible_python_interpreter=/nonexistent/python\n", audit_facts_files=[str(tmp_path / "kept")])[2]

    def judged(report):
        return {node["name"]: (node["verdict"], node["plan"], node["moments"]) for node in report["nodes"]}

    assert judged(again) == judged(first)


def test_hosts_that_cannot_be_read_are_listed(audit):
    inventory = (
        "here ansible_connection=local\n"
        "nopython ansible_connection=local ansible_python_interpreter=/nonexistent/python\n"
        "down ansible_host=127.0.0.1 ansible_port=1 ansible_connection=ssh\n"
    )
    status, output, report = audit(inventory=inventory)
    assert status == 0, output
    assert [node["name"] for node in report["nodes"]] == ["here"]
    missing = {entry["name"]: entry["reason"] for entry in report["unreachable"]}
    assert set(missing) == {"nopython", "down"}
    assert "/nonexistent/python" in missing["nopython"]
    assert report["summary"]["nodes"] == 3
    assert "NOT READ" in output


def test_hosts_that_fail_before_anything_runs_on_them(audit, tmp_path):
    """Nothing of a host takes the answers of the others away, wherever it stands, or ends the run."""
    (tmp_path / "sudo").write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n", encoding="utf-8")
    (tmp_path / "sudo").chmod(0o755)
    local = "ansible_connection=local"
    inventory = (
        f"password {local} ansible_become=true ansible_become_user=nobody ansible_become_exe={tmp_path}/sudo\n"
        f"method {local} ansible_become=true ansible_become_user=nobody ansible_become_method=nosuch\n"
        "connection ansible_connection=loco\n"
        "address ansible_host='{{ nope }}'\n"
        f"user {local} ansible_user='{{{{ nope }}}}'\n"
        f"target {local} audit_target_kernel='{{{{ nope }}}}'\n"
        f"here {local}\n"
    )
    status, output, report = audit(inventory=inventory)
    assert status == 0, output
    assert [node["name"] for node in report["nodes"]] == ["here", "target"]
    missing = {entry["name"]: entry["reason"] for entry in report["unreachable"]}
    assert set(missing) == {"password", "method", "connection", "address", "user"}
    assert "nosuch" in missing["method"] and "loco" in missing["connection"]
    assert "'nope' is undefined" in missing["address"] and "'nope' is undefined" in missing["user"]
    assert "sudo: a password is required" in missing["password"]
    assert [entry["path"] for entry in report["errors"]] == ["target of target"]
    assert "NOT READ" in output and "FACTS THAT COULD NOT BE USED" in output


def test_nobody_can_be_read(audit):
    status, output, report = audit(inventory="nopython ansible_connection=local ansible_python_interpreter=/nonexistent/python\n")
    assert (status, report["summary"]["judged"], report["summary"]["unreachable"]) == (0, 0, 1), output


def test_bad_recorded_facts_are_named_and_the_others_judged(audit, tmp_path):
    good = shutil.copy(FLEET / "kubeadm-debian12.json", tmp_path / "good.json")
    (tmp_path / "cut.json").write_bytes((FLEET / "lab-kylin-v10.json").read_bytes()[:700])
    (tmp_path / "later.json").write_text('{"ansible_facts": {"ipvs": {"schema": 2, "kernel": {}}}}', encoding="utf-8")
    status, output, report = audit(audit_facts_files=[str(good), str(tmp_path / "cut.json"), str(tmp_path / "later.json"), "/no/such/file"])
    assert status == 0, output
    assert [node["name"] for node in report["nodes"]] == ["kubeadm-debian12", "here"]
    assert [(os.path.basename(entry["path"]), entry["reason"].split(":")[0]) for entry in report["errors"]] == [
        ("cut.json", "not JSON"),
        ("later.json", "facts of version '2', this collection reads version 1"),
        ("file", "No such file or directory"),
    ]


@pytest.mark.parametrize("fail_on", [["stale_backends"], "stale_backends,safe", "nodes[?plan.action=='decide']"])
def test_failing_on_something_writes_the_report_first(audit, fail_on):
    status, output, report = audit(audit_facts_files=[str(FLEET)], audit_fail_on=fail_on)
    assert status != 0
    assert "audit_fail_on matched" in output
    assert report["summary"]["judged"] > 12


def test_not_failing_where_nothing_matches(audit):
    status, output, report = audit(audit_facts_files=[str(FLEET)], audit_fail_on="unreachable", audit_query="nodes[?verdict=='safe'].name")
    assert status == 0, output
    assert '"kubeadm-debian12",' in output


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"audit_known_kernels": [{"key": "acme", "name": "ACME", "match": {"release": "("}}]}, ["acme", "regular expression"]),
        ({"audit_fail_on": ["bad"]}, ["bad"]),
        ({"audit_query": "nodes[?"}, ["nodes[?"]),
        ({"audit_target_kube_proxy": "latest"}, ["audit_target_kube_proxy", "latest"]),
        ({"audit_sample_seconds": "soon"}, ["audit_sample_seconds"]),
        ({"audit_evidence": ["magic"]}, ["magic"]),
        ({"audit_fail_on": "drift.summary.worse > `0`"}, ["asks for drift, which there is with audit_baseline alone"]),
        ({"audit_query": "node[0].name"}, ["asks for node, which no report has"]),
        ({"audit_fail_on": "stale_backends,"}, ["behind a comma stands nothing"]),
        ({"audit_report_dir": "/proc/version/report"}, ["the report cannot be written into /proc/version/report: /proc/version is not a directory"]),
    ],
)
def test_what_is_wrong_is_said_before_any_host_is_contacted(audit, variables, words):
    status, output, report = audit(**variables)
    assert status != 0
    assert report is None
    assert all(word in output for word in words), output
    assert "Read | Kernel" not in output
    assert "Traceback" not in output


def test_a_variable_that_nothing_reads_is_told(audit):
    status, output, report = audit(audit_fail_no="stale_backends")
    assert status == 0 and report is not None
    assert "audit_fail_no is no variable of the audit, and nothing reads it: is audit_fail_on meant?" in " ".join(output.split())


def test_forecast_with_targets_of_hosts(audit, tmp_path):
    inventory = "here ansible_connection=local audit_target_kernel=4.18.0-193.el8.x86_64\n"
    status, output, report = audit(inventory=inventory, audit_facts_files=[str(FLEET / "kubeasz-centos7.json")], audit_target_kube_proxy="1.30.4")
    targets = {node["name"]: node["forecast"]["target"] for node in report["nodes"]}
    assert status == 0, output
    assert targets == {"here": {"kube_proxy": "1.30.4", "kernel": "4.18.0-193.el8.x86_64"}, "kubeasz-centos7": {"kube_proxy": "1.30.4", "kernel": None}}


def test_an_owners_word_for_one_host(audit, tmp_path):
    write_tree(tmp_path / "node", QUIET_NODE)
    hosts = {
        name: {"ansible_connection": "local", "audit_root": str(tmp_path / "node"), "audit_capabilities": word}
        for name, word in (("kylin", {"reuse_without_drop": True}), ("bad", {"reuse": True}))
    }
    inventory = json.dumps({"all": {"hosts": hosts}})
    status, output, report = audit(inventory=inventory)
    assert status == 0, output
    by_name = {node["name"]: node for node in report["nodes"]}
    assert by_name["kylin"]["capabilities"]["reuse_without_drop"]["evidence"] == "operator"
    assert (by_name["kylin"]["plan"]["action"], by_name["bad"]["plan"]["action"]) == ("hold", "probe")
    assert [entry["path"] for entry in report["errors"]] == ["audit_capabilities of bad"]


def test_check_mode_writes_nothing(audit):
    status, output, report = audit("--check", audit_facts_files=[str(FLEET)])
    assert (status, report) == (0, None), output
    assert "stale_backends" in output


def test_a_root_that_is_no_directory(audit):
    status, output, report = audit(audit_root="/no/such/tree")
    assert status == 0, output
    assert report["unreachable"] == [{"name": "here", "reason": "root: /no/such/tree is not a directory on this host"}]


def test_files_of_nodes_that_are_gone_are_taken_away_and_no_others(audit, tmp_path):
    audit(audit_facts_files=[str(FLEET)])
    (tmp_path / "ipvs-report" / "nodes" / "mine.json").write_text("{}", encoding="utf-8")
    audit()
    assert sorted(path.name for path in (tmp_path / "ipvs-report" / "nodes").iterdir()) == ["here.json", "mine.json"]


def test_the_filters_in_a_template(tmp_path):
    playbook = tmp_path / "play.yml"
    playbook.write_text(
        json.dumps(
            [
                {
                    "hosts": "localhost",
                    "gather_facts": False,
                    "tasks": [
                        {"ansible.builtin.set_fact": {"facts": "{{ (lookup('ansible.builtin.file', file) | from_json).ansible_facts.ipvs }}"}},
                        {
                            "ansible.builtin.assert": {
                                "that": [
                                    "facts | kubeproxy.ipvs.safe_conn_reuse_mode == 1",
                                    "(facts | kubeproxy.ipvs.verdict).plan.action == 'hold'",
                                    "(facts | kubeproxy.ipvs.forecast(kernel='5.10.0', kube_proxy='1.22.0')).moments.reboot.value == 1",
                                    "({'a': facts | kubeproxy.ipvs.verdict} | kubeproxy.ipvs.fleet).summary.verdicts.stale_backends == 1",
                                    "facts | kubeproxy.ipvs.safe_conn_reuse_mode(policy={'capabilities': {'reuse_without_drop': 'no'}}) is none",
                                ]
                            }
                        },
                    ],
                }
            ]
        ),
        encoding="utf-8",
    )
    status, output = ansible_playbook(tmp_path, str(playbook), "-e", f"file={FLEET / 'lab-euleros-2.9.json'}")
    assert status == 0, output
    assert "failed=0" in output
