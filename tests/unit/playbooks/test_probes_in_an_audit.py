# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which nodes are asked, and what an audit makes of kept measurements: the real ansible-playbook. That nodes are really asked is tests/lab/probe's business."""

from __future__ import annotations

import json
import pathlib

import pytest
import yaml
from real_ansible import NEEDS_ANSIBLE, THIS_PYTHON, ansible_playbook

FLEET = pathlib.Path(__file__).resolve().parents[3] / "docs" / "example_fleet"
pytestmark = NEEDS_ANSIBLE
CAPABILITIES = ("reuse_without_drop", "respects_zero_weight", "flushes_deleted")
BUILD = "#9 SMP Tue Mar 2 10:00:00 UTC 2021"
KNOWN, PRIVATE, OTHER = "4.18.0-553.el8_10.x86_64", "5.4.17-acme.7", "5.4.17-acme.8"


def facts(release, mode="ipvs", ip_vs="loaded", live=True, patches=()):
    kernel = {"release": release, "version": BUILD, "ip_vs": ip_vs, "live_patches": list(patches)}
    proxy = {"form": "systemd", "running": True, "mode": mode, "mode_effective": mode, "version": "1.20.2"}
    sysctl = {"state": "present", "conn_reuse_mode": 0, "conntrack": 1, "expire_nodest_conn": 1, "absent": []}
    return {"schema": 1, "live": live, "kernel": kernel, "sysctl": sysctl, "kube_proxy": proxy}


def answer(node, release, state="yes"):
    capabilities = {name: {"state": state, "seconds": [0.001], "control_seconds": 0.001} for name in CAPABILITIES}
    return {"item": node, "capabilities": capabilities, "answer": "conclusive", "reason": None, "kernel": {"release": release, "version": BUILD}}


def row(release, node="elsewhere", state="yes"):
    kernel = {"release": release, "version": BUILD, "live_patches": []}
    return {"kernel": kernel, "capabilities": {name: {"state": state} for name in CAPABILITIES}, "node": node, "date": "2026-11-20T10:00:00Z"}


@pytest.fixture
def choose(tmp_path):
    """choose(nodes, *arguments, steps=[options of a call, ...]) -> (status, output, [what each call returned])."""

    def play(nodes, *arguments, steps):
        hosts = {name: {"audit_result": {"ansible_facts": {"ipvs": node}} if "schema" in node else node} for name, node in nodes.items()}
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}), encoding="utf-8")
        tasks = []
        for number, options in enumerate(steps):
            before = {"before": "{{ kernels }}"} if number else {}
            tasks += [
                {"kubeproxy.ipvs.kernels_to_probe": {"hosts": "{{ ansible_play_hosts_all }}", **before, **options}, "run_once": True, "register": "kernels",
                 "delegate_to": "localhost"},
                {"ansible.builtin.copy": {"content": "{{ kernels | to_json }}", "dest": f"{tmp_path}/{number}.json"}, "run_once": True,
                 "delegate_to": "localhost", "check_mode": False},
            ]
        play = {"hosts": "all", "gather_facts": False, "vars": {"ansible_connection": "local"}, "tasks": tasks}
        (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
        status, output = ansible_playbook(tmp_path, "-i", "hosts.yml", "play.yml", *arguments, **THIS_PYTHON)
        return status, output, [json.loads(path.read_text(encoding="utf-8")) for path in sorted(tmp_path.glob("[0-9].json"))]

    return play


def test_one_node_of_each_kernel_is_asked_and_the_next_if_it_gives_no_answer(choose, tmp_path):
    nodes = {
        "a1": facts(PRIVATE), "a2": facts(PRIVATE), "a3": facts(PRIVATE, patches=[{"name": "kpatch_x", "enabled": True}]), "b1": facts(OTHER),
        "known": facts(KNOWN), "iptables": facts("5.4.17-acme.9", mode="iptables"), "no_ip_vs": facts("5.4.17-acme.10", ip_vs="absent"),
        "tree": facts("5.4.17-acme.11", live=False), "away": {"unreachable": True, "msg": "no route"}, "odd": {"schema": 1},
    }
    cache = {"cache": str(tmp_path / "probes.json")}
    refused = {"item": "a1", "failed": False, "msg": "not measured: it needs root, to make network namespaces"}
    gone = {"item": "b1", "unreachable": True, "msg": "Connection timed out"}
    status, output, called = choose(nodes, steps=[
        cache, {**cache, "answers": [refused, gone, answer("a3", PRIVATE)]}, {**cache, "answers": [answer("a2", PRIVATE, "no")]}])
    assert status == 0, output
    assert [call["hosts"] for call in called] == [["a1", "a3", "b1"], ["a2"], []]
    assert called[2]["not_measured"] == [
        {"node": "a1", "reason": "not measured: it needs root, to make network namespaces"}, {"node": "b1", "reason": "Connection timed out"}]
    kept = json.loads((tmp_path / "probes.json").read_text(encoding="utf-8"))["probes"]
    assert sorted((entry["node"], entry["kernel"]["live_patches"], entry["capabilities"]["flushes_deleted"]["state"]) for entry in kept) == [
        ("a2", [], "no"), ("a3", ["kpatch_x"], "yes")]
    assert called[2]["rows"] == kept or sorted(map(str, called[2]["rows"])) == sorted(map(str, kept))


def test_always_asks_known_kernels_too_and_sees_what_contradicts_earlier_runs(choose, tmp_path):
    path = tmp_path / "probes.json"
    path.write_text(json.dumps({"schema": 1, "probes": [row(PRIVATE)]}), encoding="utf-8")
    options = {"cache": str(path), "probe": "always"}
    nodes = {"a1": facts(PRIVATE), "known": facts(KNOWN)}
    status, output, called = choose(nodes, steps=[options, {**options, "answers": [answer("a1", PRIVATE, "no"), answer("known", KNOWN)]}])
    assert status == 0 and [call["hosts"] for call in called] == [["a1", "known"], []], output
    assert len(called[1]["contradictions"]) == 3 and "contradict each other in reuse_without_drop" in output
    # Both stay, so that a later run sees it too.
    assert len(json.loads(path.read_text(encoding="utf-8"))["probes"]) == 3


def test_what_is_kept_is_not_asked_again(choose, tmp_path):
    path = tmp_path / "probes.json"
    path.write_text(json.dumps({"schema": 1, "probes": [row(PRIVATE)]}), encoding="utf-8")
    before = path.read_bytes()
    for probe, hosts in (("unknown", ["b1"]), ("never", [])):
        status, output, called = choose({"a1": facts(PRIVATE), "b1": facts(OTHER)}, steps=[{"cache": str(path), "probe": probe}])
        assert status == 0 and called[0]["hosts"] == hosts and called[0]["rows"] == [row(PRIVATE)], output
    assert path.read_bytes() == before


def test_check_mode_writes_nothing(choose, tmp_path):
    path = tmp_path / "probes.json"
    status, output, called = choose({"a1": facts(PRIVATE)}, "--check", steps=[{"cache": str(path)}, {"cache": str(path), "answers": [answer("a1", PRIVATE)]}])
    assert status == 0 and called[0]["hosts"] == ["a1"], output
    assert not path.exists()


def test_an_audit_uses_what_is_kept(tmp_path):
    """Without asking anybody: recorded nodes are judged by it, and their files hold it for whoever reads them next."""
    node = json.loads((FLEET / "lab-kylin-v10.json").read_text(encoding="utf-8"))
    kernel = node["ansible_facts"]["ipvs"]["kernel"]
    measured = {**row(kernel["release"]), "kernel": {"release": kernel["release"], "version": kernel["version"], "live_patches": []}}
    (tmp_path / "probes.json").write_text(json.dumps({"schema": 1, "probes": [measured]}), encoding="utf-8")
    (tmp_path / "hosts").write_text("here ansible_connection=local\n", encoding="utf-8")
    words = ["kubeproxy.ipvs.audit", "-i", "hosts", "-e"]
    variables = {"audit_facts_files": [str(FLEET / "lab-kylin-v10.json")], "audit_probe_cache": "probes.json"}
    status, output = ansible_playbook(tmp_path, *words, json.dumps(variables), **THIS_PYTHON)
    assert status == 0, output
    report = json.loads((tmp_path / "ipvs-report/report.json").read_text(encoding="utf-8"))
    [entry] = [entry for entry in report["nodes"] if entry["name"] == "lab-kylin-v10"]
    assert entry["capabilities"]["reuse_without_drop"]["source"] == "measured on this kernel (elsewhere, 2026-11-20T10:00:00Z)"
    assert entry["plan"]["action"] in ("set", "hold") and entry["plan"]["value"] == 1
    # The same from its file alone.
    variables = {"audit_facts_files": ["ipvs-report/nodes/lab-kylin-v10.json"], "audit_report_dir": "again"}
    status, output = ansible_playbook(tmp_path, *words, json.dumps(variables), **THIS_PYTHON)
    assert status == 0, output
    [again] = [one for one in json.loads((tmp_path / "again/report.json").read_text(encoding="utf-8"))["nodes"] if one["name"] == "lab-kylin-v10"]
    assert (again["capabilities"], again["plan"]) == (entry["capabilities"], entry["plan"])


@pytest.mark.parametrize(("variables", "sentence"), [
    ({"audit_probe": "sometimes"}, "value of audit_probe must be one of: never, unknown, always"),
    ({"audit_probe_cache": "probes.json"}, "probes.json: not JSON"),
])
def test_bad_options_are_named_before_a_host_is_asked(tmp_path, variables, sentence):
    (tmp_path / "probes.json").write_text("{", encoding="utf-8")
    (tmp_path / "hosts").write_text("here ansible_connection=local\n", encoding="utf-8")
    status, output = ansible_playbook(tmp_path, "kubeproxy.ipvs.audit", "-i", "hosts", "-e", json.dumps(variables), **THIS_PYTHON)
    assert status != 0 and sentence in " ".join(output.split()), output
    assert "Read |" not in output and "Traceback" not in output
