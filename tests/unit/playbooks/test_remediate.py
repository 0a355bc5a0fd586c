# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks that change nodes, on hosts where there is nothing to change: this machine, and hosts that cannot be reached.

On nodes with IPVS they run in the Molecule scenario `hold` and in tests/lab/faults.
"""

from __future__ import annotations

import json

import pytest
from real_ansible import NEEDS_ANSIBLE, THIS_PYTHON, ansible_playbook, json_of

pytestmark = NEEDS_ANSIBLE
HERE = "here ansible_connection=local\n"
# Nothing listens on port 1.
GONE = "gone ansible_host=127.0.0.1 ansible_port=1\n"


@pytest.fixture
def play(tmp_path):
    """play(playbook, *arguments, inventory=text, **variables) -> (exit status, output, {name: its part of the report})."""

    def run(playbook, *arguments, inventory=HERE, **variables):
        (tmp_path / "hosts").write_text(inventory, encoding="utf-8")
        words = [f"kubeproxy.ipvs.{playbook}", "-i", "hosts", "-e", json.dumps(variables), *arguments]
        status, output = ansible_playbook(tmp_path, *words, **THIS_PYTHON, ANSIBLE_HOST_PATTERN_MISMATCH="error")
        report = json_of(tmp_path / "ipvs-report" / "report.json") or {"nodes": [], "unreachable": []}
        return status, output, {node["name"]: node["remediation"] for node in report["nodes"] + report["unreachable"]}

    return run


@pytest.mark.parametrize("playbook", ["remediate", "rollback", "verify"])
def test_a_machine_without_kube_proxy(play, playbook):
    status, output, nodes = play(playbook)
    assert status == 0, output
    assert nodes["here"]["result"] == "unchanged"
    assert nodes["here"]["before"]["verdict"] == nodes["here"]["after"]["verdict"] == "not_applicable"
    assert "changed=0" in output and "failed=0" in output and "WARNING" not in output


@pytest.mark.parametrize("playbook", ["remediate", "rollback", "verify"])
def test_a_host_that_cannot_be_reached_is_reported_and_fails_the_play(play, playbook):
    status, output, nodes = play(playbook, inventory=HERE + GONE)
    assert status == 2, output
    assert (nodes["here"]["result"], nodes["gone"]["result"]) == ("unchanged", "unreachable" if playbook != "rollback" else "failed")
    assert "Traceback" not in output and "is undefined" not in output


@pytest.mark.parametrize("arguments", [["--check", "--diff"], ["--tags", "remediate"], ["--skip-tags", "remediate"], ["--limit", "here"]])
def test_the_usual_arguments(play, arguments):
    status, output, nodes = play("remediate", *arguments)
    assert status == 0, output
    assert "changed=0" in output
    if "--check" not in arguments:
        assert nodes["here"]["result"] == "unchanged"


def test_started_in_the_middle_it_changes_nothing(play):
    """Without the audit it does not know what to change."""
    status, output, dummy = play("remediate", "--start-at-task", "Batch | See whether too many nodes have failed")
    assert "changed=0" in output or "no hosts matched" in output, output
    assert status == 0


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"remediate_unfixed": "prefer_nothing"}, "remediate_unfixed"),
        ({"remediate_max_fail_percentage": "many"}, "remediate_max_fail_percentage"),
        ({"remediate_wait_seconds": "long"}, "remediate_wait_seconds"),
        ({"audit_known_kernels": [{"key": "x"}]}, "x"),
    ],
)
def test_what_cannot_be_meant_is_said_before_any_host_is_contacted(play, variables, words):
    status, output, nodes = play("remediate", inventory=GONE, **variables)
    assert status == 2 and words in output, output
    assert nodes == {} and "port 1" not in output
