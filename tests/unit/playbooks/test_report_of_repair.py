# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a repair as a play makes it: the real ansible-playbook, nodes of the example fleet, outcomes good and bad."""

from __future__ import annotations

import json
import pathlib

import pytest
from real_ansible import NEEDS_ANSIBLE, THIS_PYTHON, ansible_playbook, json_of

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import check_document

FLEET = pathlib.Path(__file__).resolve().parents[3] / "docs" / "example_fleet"
pytestmark = NEEDS_ANSIBLE
GUARD = {"path": "/etc/systemd/system/kube-proxy.service.d/hold.conf", "value": 1, "waits": True, "period_seconds": None}
PROOF = {"restarted": True, "seconds": 3.5, "wrong_seconds": 0.4, "services": {"tried": 12, "answered_before": 12, "answered_after": 12}}
NO_ROUTE = {"unreachable": True, "msg": "Failed to connect to the host via ssh: No route to host"}


def facts_of(name):
    """The facts of a node of the example fleet, as the module gave them."""
    return json.loads((FLEET / f"{name}.json").read_text(encoding="utf-8"))["ansible_facts"]["ipvs"]


def result_of(facts):
    """The module's result with some facts."""
    return {"changed": False, "ansible_facts": {"ipvs": facts}}


def repaired(facts):
    """The facts of a node on which 1 was set and is held."""
    return {**facts, "sysctl": {**facts["sysctl"], "conn_reuse_mode": 1}, "writers": [], "hold": {"guards": [GUARD], "managed": None}}


def host(before, outcome=None, after=None):
    """Variables of a host: what was read before, what was done, what was read after; none means that the variable is not set."""
    variables = {"before_in": before, "outcome_in": outcome, "after_in": after}
    return {"ansible_connection": "local", **{name: value for name, value in variables.items() if value is not None}}


HOSTS = {
    "lab-euleros-2.9": host(
        result_of(facts_of("lab-euleros-2.9")),
        {"result": "changed", "value": 1, "hold": ["drop-in of kube-proxy.service"], "proof": PROOF},
        result_of(repaired(facts_of("lab-euleros-2.9"))),
    ),
    "lab-debian-5.10": host(
        result_of(facts_of("lab-debian-5.10")),
        {"result": "failed", "value": 1, "rolled_back": True, "reason": "kube-proxy was not healthy after 30 s"},
        result_of(facts_of("lab-debian-5.10")),
    ),
    # A task that was skipped has a result, too.
    "lab-centos-7": host(result_of(facts_of("lab-centos-7")), {"result": "left", "reason": "no value is safe"}, {"skipped": True, "changed": False}),
    "lab-kylin-v10": host(result_of(facts_of("lab-kylin-v10")), {"result": "left", "reason": "nobody knows"}),
    "lab-debian-6.1": host(result_of(facts_of("lab-debian-6.1")), ["not", "an outcome"]),
    "lost": host(result_of(facts_of("kubeadm-ubuntu2004")), {"result": "changed", "value": 1}, NO_ROUTE),
    "cut": host(result_of(facts_of("kubeadm-ubuntu1804")), {"result": "changed", "value": 1}),
    "silent": host(result_of(facts_of("kubeadm-debian12"))),
    "gone": host(NO_ROUTE),
    "back": host(NO_ROUTE, {"result": "unchanged"}, result_of(facts_of("kubeadm-debian12"))),
}
TASKS = [
    *({"ansible.builtin.set_fact": {name: f"{{{{ {name}_in }}}}"}, "when": f"{name}_in is defined"} for name in ("before", "outcome", "after")),
    {
        "kubeproxy.ipvs.report": {"hosts": "{{ ansible_play_hosts_all }}", "result_name": "before"},
        "delegate_to": "localhost",
        "run_once": True,
        "register": "done",
    },
    {"ansible.builtin.copy": {"content": "{{ done | to_json }}", "dest": "done.json", "mode": "0600"}, "delegate_to": "localhost", "run_once": True},
]


@pytest.fixture
def report_of(tmp_path):
    """report_of(**arguments of report) -> (exit status, output, result of the task, report or None), run in an empty directory."""

    def run(*arguments, failed_when=None, **options):
        tasks = json.loads(json.dumps(TASKS))
        tasks[3]["kubeproxy.ipvs.report"].update(options)
        tasks[4]["ansible.builtin.copy"]["dest"] = str(tmp_path / "done.json")
        if failed_when:
            tasks[3]["failed_when"] = failed_when
        (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": HOSTS}}), encoding="utf-8")
        (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
        status, output = ansible_playbook(tmp_path, "-i", "hosts.json", "play.yml", *arguments, **THIS_PYTHON)
        return status, output, json_of(tmp_path / "done.json"), json_of(tmp_path / "ipvs-report" / "report.json")

    return run


def test_before_and_after_of_each_node(report_of, tmp_path):
    status, output, result, report = report_of(outcome_name="outcome", after_result_name="after")
    assert status == 0 and "Traceback" not in output, output
    check_document("report", report)
    nodes = {node["name"]: node for node in report["nodes"]}
    done = {name: node["remediation"] for name, node in nodes.items()}
    assert set(nodes) == set(HOSTS) - {"gone"}
    assert {name: (entry["result"], entry["before"]["verdict"], entry["after"]["verdict"]) for name, entry in done.items()} == {
        "lab-euleros-2.9": ("changed", "stale_backends", "safe"),
        "lab-debian-5.10": ("failed", "stale_backends", "stale_backends"),
        "lab-centos-7": ("left", "syn_delay", "syn_delay"),
        "lab-kylin-v10": ("left", "stale_backends", "stale_backends"),
        "lab-debian-6.1": ("unknown", "uneven_load", "unknown"),
        "lost": ("changed", "uneven_load", "unknown"),
        "cut": ("changed", "stale_backends", "unknown"),
        "silent": ("unknown", "safe", "unknown"),
        "back": ("unchanged", "unknown", "safe"),
    }
    assert {name: node["verdict"] for name, node in nodes.items()} == {name: entry["after"]["verdict"] for name, entry in done.items()}
    assert done["lost"]["after"]["not_read"] == done["back"]["before"]["not_read"] == NO_ROUTE["msg"]
    assert done["cut"]["after"]["not_read"] == "the node was not read after the change"
    assert report["unreachable"][0]["remediation"]["result"] == "unreachable"
    counts = {"failed": 1, "unknown": 2, "unreachable": 1, "not_attempted": 0, "left": 2, "would_change": 0, "changed": 3, "unchanged": 1}
    assert result["remediation"] == result["summary"]["remediation"] == report["summary"]["remediation"] == counts
    assert "conn_reuse_mode remediation: 10 nodes: 1 failed, 2 unknown, 1 unreachable, 2 left, 3 changed, 1 unchanged" in output
    kept = json.loads((tmp_path / "ipvs-report" / "nodes" / "lab-euleros-2.9.json").read_text(encoding="utf-8"))
    assert kept["verdict"]["remediation"]["after"]["value"] == kept["ansible_facts"]["ipvs"]["sysctl"]["conn_reuse_mode"] == 1
    assert json.loads((tmp_path / "ipvs-report" / "nodes" / "cut.json").read_text(encoding="utf-8"))["origin"].startswith("read, before the change, from cut")
    page = (tmp_path / "ipvs-report" / "report.md").read_text(encoding="utf-8")
    assert page.startswith("# Remediation of") and "| lab-euleros-2.9 | stale\\_backends -\\> safe | 1 -\\> 1 | 0 -\\> 1 | changed |" in page


def test_without_outcomes_it_is_an_audit(report_of):
    status, output, result, report = report_of(after_result_name="after")
    assert status == 0, output
    assert sorted(result) == ["changed", "failed", "report_dir", "summary"]
    assert "remediation" not in json.dumps(report) and "conn_reuse_mode audit: 8 nodes judged, 2 could not be read" in output


def test_a_condition_on_the_counts(report_of):
    status, output, _result, report = report_of(outcome_name="outcome", failed_when="done.remediation.failed + done.remediation.unreachable > 1")
    assert status != 0, output
    assert report["summary"]["remediation"]["failed"] == 1


def test_an_outcome_that_cannot_be_made_out(report_of):
    status, output, result, report = report_of("-e", json.dumps({"torn": "{{ no_such_variable.result }}"}), outcome_name="torn", after_result_name="after")
    assert status == 0 and "Traceback" not in output, output
    check_document("report", report)
    assert result["remediation"]["unknown"] == len(HOSTS)


def test_check_mode_writes_nothing(report_of):
    status, output, _result, report = report_of("--check", outcome_name="outcome", after_result_name="after")
    assert (status, report) == (0, None), output
    assert "LEFT ALONE" in output
