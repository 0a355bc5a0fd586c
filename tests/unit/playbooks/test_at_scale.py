# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What docs/at-scale.md tells: slices of a job that become one report, and nodes that pull their audit, with the real programs."""

from __future__ import annotations

import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys

import pytest
import yaml
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import check_document
from node_trees import ipvs_sysctls, kernel, systemd_kube_proxy, write_tree
from real_ansible import ANSIBLE_PLAYBOOK, NEEDS_ANSIBLE, THIS_PYTHON, ansible_playbook, json_of

PULL = pathlib.Path(__file__).resolve().parents[3] / "docs" / "pull"
RELEASES = ["4.18.0-147.5.1.6.h686.eulerosv2r9.x86_64", "3.10.0-1160.el7.x86_64", "6.1.0-25-amd64"]
pytestmark = NEEDS_ANSIBLE

# An inventory as AWX hands it to a slice: of the enabled hosts, in the order of their names, every COUNT-th, beginning with NUMBER. Groups lose
# what is not in the slice. After awx/main/models/inventory.py, Inventory.get_script_data.
INVENTORY = """#!{python}
import json, os
hosts = json.load(open({hosts!r}))
number, count = json.loads(os.environ.get("SLICE", "[1, 1]"))
enabled = sorted(name for name in hosts if hosts[name].pop("enabled", True))
mine = enabled[number - 1::count]
edge = [name for name in mine if name.endswith("0")]
print(json.dumps({{"all": {{"hosts": mine}}, "edge": {{"hosts": edge}}, "_meta": {{"hostvars": {{name: hosts[name] for name in mine}}}}}}))
"""


@pytest.fixture
def play(tmp_path):
    """play(playbook, slice, report's directory, **variables) -> (exit status, output, report or None); 11 hosts, one cannot be read, one is off."""
    hosts = {}
    for number, release in enumerate(RELEASES):
        write_tree(tmp_path / f"tree-{number}", kernel(release, name=f"Linux {number}") | ipvs_sysctls(0) | systemd_kube_proxy("1.21.14"))
    for number in range(11):
        hosts[f"node-{number}"] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "/nonexistent/python" if number == 7 else sys.executable,
            "audit_root": str(tmp_path / f"tree-{number % 3}"),
            "enabled": number != 4,
        }
    (tmp_path / "hosts.json").write_text(json.dumps(hosts), encoding="utf-8")
    script = tmp_path / "inventory.py"
    script.write_text(INVENTORY.format(python=sys.executable, hosts=str(tmp_path / "hosts.json")), encoding="utf-8")
    script.chmod(0o755)

    def run(playbook, directory, of=(1, 1), **variables):
        words = [f"kubeproxy.ipvs.{playbook}", "-i", "inventory.py", "-e", json.dumps(variables)]
        return *ansible_playbook(tmp_path, *words, SLICE=json.dumps(of)), json_of(tmp_path / directory / "report.json")

    return run


def of_the_run(report):
    """What two runs on the same nodes have in common."""
    return {key: value for key, value in report.items() if key not in ("generated_at", "merged")}


def sliced(play, count, **variables):
    """The reports of all slices, each with the number of its job in its directory's name, as docs/at-scale.md has it."""
    return [
        play("audit", f"runs/today/{100 + number}", (number, count), audit_report_dir="runs/today/{{ awx_job_id }}", awx_job_id=100 + number, **variables)
        for number in range(1, count + 1)
    ]


def test_slices_merged_are_the_report_of_one_run(play):
    parts = sliced(play, 3)
    assert [status for status, _output, _report in parts] == [0, 0, 0], parts
    assert [sorted(entry["name"] for entry in report["nodes"] + report["unreachable"]) for _status, _output, report in parts] == [
        ["node-0", "node-2", "node-6", "node-9"], ["node-1", "node-3", "node-7"], ["node-10", "node-5", "node-8"]]
    whole = play("audit", "whole", audit_report_dir="whole")[2]
    assert [entry["name"] for entry in whole["unreachable"]] == ["node-7"] and {node["verdict"] for node in whole["nodes"]} > {"stale_backends"}
    status, output, merged = play("merge", "all", merge_reports=["runs/today"], merge_report_dir="all")
    assert status == 0, output
    check_document("report", merged)
    assert of_the_run(merged) == of_the_run(whole)


def test_one_directory_for_all_slices_keeps_the_last_report_alone(play):
    """Why the page has a directory for each."""
    for number in (1, 2):
        report = play("audit", "shared", (number, 2), audit_report_dir="shared")[2]
    assert len(report["nodes"]) + len(report["unreachable"]) == 5


def test_what_fails_waives_and_compares_belongs_to_the_merge(play, tmp_path):
    (tmp_path / "waivers.yml").write_text("- {verdict: stale_backends, hosts: 'node-*', reason: ticket 4711, until: 2999-12-31}\n", encoding="utf-8")
    baseline = play("audit", "whole", audit_report_dir="whole")[2]
    assert all(status == 0 for status, _output, _report in sliced(play, 2))
    status, output, merged = play(
        "merge", "all", merge_reports=["runs/today"], merge_report_dir="all", audit_waivers="waivers.yml", audit_baseline="whole/report.json",
        audit_fail_on="stale_backends")
    assert status == 0, output
    assert merged["drift"]["summary"]["unchanged"] == len(baseline["nodes"]) + len(baseline["unreachable"])
    assert merged["waivers"][0]["state"] == "active"
    status, output, _merged = play("merge", "all", merge_reports=["runs/today"], merge_report_dir="all", audit_fail_on="stale_backends")
    assert status != 0 and "audit_fail_on matched: " in " ".join(output.split())


def test_a_slice_that_is_missing_is_seen(play):
    play("audit", "runs/today/101", (1, 2), audit_report_dir="runs/today/101")
    status, output, merged = play("merge", "all", merge_reports=["runs/today"], merge_report_dir="all", audit_fail_on="length(merged.reports) != `2`")
    assert status != 0 and merged is not None
    assert "length(merged.reports) != `2` gives True" in " ".join(output.split())


def test_a_slice_without_hosts_fails_and_writes_no_report(play):
    """As AWX says of slices that a limit leaves empty."""
    status, output, report = play("audit", "empty", (12, 12), audit_report_dir="empty")
    assert report is None and "no hosts matched" in output.lower().replace("skipping: ", ""), (status, output)


def pull(folder, repository, *words):
    """(exit status, output) of ansible-pull with the words of docs/pull/kubeproxy-ipvs-audit.service that fit a machine of a test."""
    program = os.path.join(os.path.dirname(ANSIBLE_PLAYBOOK), "ansible-pull")
    variables = {"pull_report_dir": str(folder / "report"), "pull_textfile_directory": str(folder / "exporter")}
    done = subprocess.run(
        [program, "--url", f"file://{repository}", "--checkout", "main", "--directory", str(folder / "checkout"), "--inventory", platform.node() + ",",
         "-e", json.dumps(variables), *words],
        cwd=folder, env={**os.environ, **THIS_PYTHON, "ANSIBLE_NOCOLOR": "1"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=180, check=False)
    return done.returncode, done.stdout


@pytest.fixture
def repository(tmp_path):
    """A git repository with the playbook of docs/pull."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    path = tmp_path / "repository"
    path.mkdir()
    shutil.copy(PULL / "local.yml", path)
    for words in (["init", "-q", "-b", "main"], ["add", "local.yml"], ["-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "Audit"]):
        subprocess.run(["git", *words], cwd=path, check=True)
    return path


def test_a_node_pulls_its_audit_and_publishes_metrics(tmp_path, repository):
    (tmp_path / "exporter").mkdir()
    status, output = pull(tmp_path, repository, "local.yml")
    assert status == 0, output
    report = json_of(tmp_path / "report" / "report.json")
    check_document("report", report)
    assert [node["name"] for node in report["nodes"]] == [platform.node()]
    assert [path.name for path in (tmp_path / "exporter").iterdir()] == ["kubeproxy_ipvs.prom"]
    metrics = (tmp_path / "exporter" / "kubeproxy_ipvs.prom").read_text(encoding="utf-8")
    assert f'kubeproxy_ipvs_node_read{{node_name="{platform.node()}"}} 1\n' in metrics
    assert (tmp_path / "exporter" / "kubeproxy_ipvs.prom").stat().st_mode & 0o777 == 0o644
    # The second run replaces it.
    assert pull(tmp_path, repository, "local.yml")[0] == 0
    assert (tmp_path / "exporter" / "kubeproxy_ipvs.prom").read_text(encoding="utf-8") != metrics


def test_ansible_pull_takes_no_name_of_a_collections_playbook(tmp_path, repository):
    """Why the page has a local.yml."""
    status, output = pull(tmp_path, repository, "kubeproxy.ipvs.audit")
    assert status != 0 and "Could not find a playbook to run" in output, output


def test_the_unit_runs_what_was_tested():
    lines = (PULL / "kubeproxy-ipvs-audit.service").read_text(encoding="utf-8").splitlines()
    (command,) = [line.partition("=")[2].split() for line in lines if line.startswith("ExecStart=")]
    assert command[0] == "/opt/ansible/bin/ansible-pull" and command[-1] == "local.yml"
    assert command[command.index("--inventory") + 1] == "%H,"
    assert {"--url", "--checkout", "--directory", "--verify-commit"} < set(command)
    timer = (PULL / "kubeproxy-ipvs-audit.timer").read_text(encoding="utf-8")
    assert "RandomizedDelaySec=6h" in timer and "FixedRandomDelay=true" in timer


def test_what_is_pulled_changes_nothing_of_the_node():
    imported = [play["ansible.builtin.import_playbook"] for play in yaml.safe_load((PULL / "local.yml").read_text(encoding="utf-8")) if "hosts" not in play]
    assert imported == ["kubeproxy.ipvs.audit"]
