# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No text of a node is a template: every playbook, on a node all of whose answers are templates that would run a program on the controller."""

from __future__ import annotations

import itertools
import json
import os
import pathlib

import pytest
from node_that_lies import ANSWERS, MODULES, collection_with_lies
from real_ansible import NEEDS_ANSIBLE, THIS_PYTHON, ansible_playbook, json_of, old_ansible_playbook

FLEET = pathlib.Path(__file__).resolve().parents[3] / "docs" / "example_fleet"
pytestmark = NEEDS_ANSIBLE
# A text that is only that, and ones that end a text, a comment or a block.
TEMPLATES = ("{{ lookup('pipe', 'touch $MARK') }}", "{% set x = lookup('pipe', 'touch $MARK') %}", "'}} {{ lookup('pipe', 'touch $MARK') }}")
# What decides about the way through the playbooks.
KEPT = (
    "absent", "applied_by", "conn_reuse_mode", "evidence", "exclude_cidrs", "form", "healthz_address", "id", "ip_vs", "kind", "metrics_address", "mode",
    "mode_configured", "mode_effective", "moments", "name", "network_namespace", "release", "service_manager", "state", "version", "version_id", "wins",
)


def planted(value, keep=KEPT, templates=None):
    """VALUE with one of the templates behind each of its texts but those below a name in KEEP."""
    templates = templates or itertools.cycle(TEMPLATES)
    if isinstance(value, dict):
        return {name: item if name in keep else planted(item, keep, templates) for name, item in value.items()}
    if isinstance(value, list):
        return [planted(item, keep, templates) for item in value]
    return f"{value} {next(templates)}" if isinstance(value, str) else value


def node_to_hold():
    """The facts of a node whose value must be held, and on which a line of a file sets another one."""
    facts = json.loads((FLEET / "lab-euleros-2.9.json").read_text(encoding="utf-8"))["ansible_facts"]["ipvs"]
    writer = {**facts["writers"][0], "text": "net.ipv4.vs.conn_reuse_mode = 0", "value": 0}
    script = {**writer, "kind": "kubelet_script", "path": "/opt/x", "text": "sysctl -w net.ipv4.vs.conn_reuse_mode=0 #", "moments": ["reboot"], "reason": None}
    # systemd is not asked: it would be the one of the machine that runs the tests.
    return {**facts, "writers": [writer, script], "hold": {**facts["hold"], "service_manager": None}}


@pytest.fixture(params=["this", "2.16"])
def play(request, tmp_path, monkeypatch):
    """play(playbook, answers, *arguments, **variables) -> (exit status, output, report): a node gives ANSWERS, {module: [result, ...]}."""
    binary = None if request.param == "this" else old_ansible_playbook()
    collections = collection_with_lies(tmp_path / "collections")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([collections, *(str(path) for path in pathlib.Path(__file__).parents[:2])]))

    def run(playbook, answers, *arguments, **variables):
        directory = tmp_path / "answers"
        directory.mkdir(exist_ok=True)
        for name in MODULES:
            (directory / f"{name}.given").unlink(missing_ok=True)
            (directory / f"{name}.json").write_text(json.dumps(answers.get(name, [{"failed": True, "msg": f"{name} was not expected"}])), encoding="utf-8")
        environment = {**THIS_PYTHON, "ANSIBLE_COLLECTIONS_PATH": collections, ANSWERS: str(directory), "MARK": str(tmp_path / "mark")}
        words = [f"kubeproxy.ipvs.{playbook}", "-i", "node,", "-c", "local", "-e", json.dumps(variables), *arguments]
        status, output = ansible_playbook(tmp_path, *words, binary=binary, **environment)
        assert not (tmp_path / "mark").exists(), output
        assert "Traceback" not in output, output
        return status, output, json_of(tmp_path / "ipvs-report" / "report.json")

    return run


def given(tmp_path, name):
    """What a module was asked for, each time."""
    path = tmp_path / "answers" / f"{name}.given"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def answers_of(facts, **more):
    """The answers of a node with FACTS on which all goes well."""
    shown = {"before": TEMPLATES[0], "after": TEMPLATES[0], "before_header": TEMPLATES[0]}
    return {
        "ipvs_facts": [{"changed": False, "ansible_facts": {"ipvs": facts}}],
        "recorded_files": [{"changed": True, "files": [], "values": [], "facts": {}, "diff": [shown]}],
        "kube_proxy_restart": [{"changed": True, "msg": TEMPLATES[0], "after": {"seconds": 1}}],
        **more,
    }


def failed(**more):
    """A module's answer that it has failed."""
    return [{"failed": True, "msg": TEMPLATES[0], "warnings": [TEMPLATES[0]], **more}]


def test_such_a_template_would_run(tmp_path):
    """What the other tests look for is there if Ansible ever takes a text for a template: here one of the owner's own."""
    variables = json.dumps({"merge_reports": ["nothing"], "merge_report_dir": TEMPLATES[0]})
    ansible_playbook(tmp_path, "kubeproxy.ipvs.merge", "-e", variables, MARK=str(tmp_path / "mark"))
    assert (tmp_path / "mark").exists()


def test_an_audit(play, tmp_path):
    status, output, report = play("audit", answers_of(planted(node_to_hold())), "-vvv", audit_report_formats=["json", "md", "html", "csv"])
    assert status == 0, output
    assert any(template in str(report["nodes"]) for template in TEMPLATES)
    kept = (tmp_path / "ipvs-report" / "nodes" / "node.json").read_text(encoding="utf-8")
    assert all(template in kept for template in TEMPLATES)
    play("audit", answers_of(planted(node_to_hold(), keep=())))
    status, output, report = play("audit", {"ipvs_facts": failed(exception=TEMPLATES[0], module_stderr=TEMPLATES[0])})
    assert TEMPLATES[0] in report["unreachable"][0]["reason"]


def test_a_repair(play, tmp_path):
    status, output, report = play("remediate", answers_of(planted(node_to_hold())), "-vvv", "--diff")
    assert status == 0, output
    assert report["nodes"][0]["remediation"]["result"] == "changed", output
    lines = [line["line"] for entry in given(tmp_path, "recorded_files")[0]["files"] for line in entry.get("lines", ())]
    # They came through, as text.
    assert len(lines) == 2 and all(line.endswith(TEMPLATES) for line in lines), lines


@pytest.mark.parametrize("failing", ["recorded_files", "kube_proxy_restart"])
def test_a_repair_that_fails(play, failing):
    answers = {**answers_of(planted(node_to_hold())), failing: failed()}
    status, output, report = play("remediate", answers)
    assert status == 2 and TEMPLATES[0] in report["nodes"][0]["remediation"]["reason"], output


def test_another_mode(play):
    facts = planted(node_to_hold())
    facts["kernel"]["release"] = "4.19.90-0-generic"
    settings = {name: TEMPLATES[0] for name in ("msg", "unit", "config_file", "problem", "reason")} | {"changed": False, "changes": list(TEMPLATES)}
    leftovers = [{"changed": True, "removed": {"rules": TEMPLATES[0]}, "msg": TEMPLATES[0]}]
    for answer in ([settings], failed()):
        answers = answers_of(facts, kube_proxy_mode=answer, kube_proxy_leftovers=leftovers)
        dummy, output, report = play("remediate", answers, remediate_unfixed="switch_mode", audit_capabilities={"reuse_without_drop": False})
        assert report["nodes"][0]["remediation"]["result"] in ("left", "failed"), output


def test_a_record(play):
    before = {"from": TEMPLATES[0], "to": TEMPLATES[1], "restart": "", "daemon_reload": False}
    recorded = {"changed": True, "files": [TEMPLATES[0]], "values": [], "facts": before}
    answers = answers_of(planted(node_to_hold()), recorded_files=[recorded], kube_proxy_leftovers=[{"changed": False, "removed": None}])
    dummy, output, report = play("rollback", answers)
    # The mode of before is a word of the node's, and none that the role knows.
    assert TEMPLATES[0] in report["nodes"][0]["remediation"]["reason"], output


def test_a_proof(play):
    facts = planted(node_to_hold())
    status, output, report = play("verify", answers_of(facts), verify_restart_kube_proxy=True)
    assert status == 0 and report["nodes"][0]["remediation"]["result"] == "unchanged", output
    status, output, report = play("verify", answers_of(facts, kube_proxy_restart=failed()))
    assert status == 2 and TEMPLATES[0] in report["nodes"][0]["remediation"]["reason"], output
