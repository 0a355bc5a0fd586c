# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes whose Python is too old for the ansible-core that runs: one sentence each, in every playbook, and the other nodes are read."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest
from real_ansible import NEEDS_ANSIBLE, THIS_PYTHON, ansible_playbook, json_of

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.node_python import drives
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.play_results import MINIMUM

INTERPRETER = pathlib.Path(__file__).resolve().parents[2] / "interpreter"
pytestmark = NEEDS_ANSIBLE


def interpreter(version):
    """The path of a Python that this core does not drive; the test is skipped if it is not installed."""
    if drives(tuple(map(int, version.split("."))), MINIMUM):
        pytest.skip(f"this ansible-core drives Python {version}")
    done = subprocess.run([INTERPRETER, version], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"Python {version} is not installed")
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("playbook", "version"), [("audit", "2.7"), ("audit", "3.6"), ("audit", "3.7"), ("remediate", "2.7"), ("verify", "3.6"), ("rollback", "2.7")]
)
def test_one_sentence(tmp_path, playbook, version):
    lines = ["here", f"old ansible_python_interpreter={interpreter(version)}", "[all:vars]", "ansible_connection=local"]
    (tmp_path / "hosts").write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = [f"kubeproxy.ipvs.{playbook}", "-i", "hosts", "-v", *([] if playbook == "audit" else ["--check"])]
    status, output = ansible_playbook(tmp_path, *words, **THIS_PYTHON)
    assert (status == 0) is (playbook == "audit")
    sentence = f"Python {version}."
    said = [line for line in output.splitlines() if line.startswith("old ") and sentence in line]
    assert said and all("is too old for ansible-core" in line and line.endswith("or ipvs_probe.py (docs/probe.md)") for line in said[-1:])
    for word in ("SyntaxError", "Traceback", "deserialization", "AnsiballZ"):
        assert word not in output
    if playbook == "audit":
        report = json_of(tmp_path / "ipvs-report" / "report.json")
        assert [node["name"] for node in report["nodes"]] == ["here"]
        assert [(node["name"], node["reason"]) for node in report["unreachable"]] == [("old", said[-1].split(None, 1)[1])]


def test_the_playbooks_stop_on_an_older_core(tmp_path):
    (tmp_path / "play.yml").write_text(
        "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - kubeproxy.ipvs.report: {check_only: true}\n", encoding="utf-8"
    )
    (tmp_path / "sitecustomize.py").write_text("import ansible.release\nansible.release.__version__ = '2.15.13'\n", encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    status, output = ansible_playbook(tmp_path, "play.yml", PYTHONPATH=path, ANSIBLE_COLLECTIONS_ON_ANSIBLE_VERSION_MISMATCH="warning", **THIS_PYTHON)
    assert status == 2
    assert "kubeproxy.ipvs needs ansible-core >=2.16.0, this is 2.15.13" in output
    status, output = ansible_playbook(tmp_path, "play.yml", PYTHONPATH=path, ANSIBLE_COLLECTIONS_ON_ANSIBLE_VERSION_MISMATCH="ignore", **THIS_PYTHON)
    assert status == 0, output
