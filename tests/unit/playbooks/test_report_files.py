# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a report as a user asks for them: the real ansible-playbook."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

FLEET = pathlib.Path(__file__).resolve().parents[3] / "docs" / "example_fleet"
ANSIBLE_PLAYBOOK = os.path.join(os.path.dirname(sys.executable), "ansible-playbook")
pytestmark = pytest.mark.skipif(not os.path.exists(ANSIBLE_PLAYBOOK), reason="ansible-playbook is not beside this Python")


def audit(directory, playbook="kubeproxy.ipvs.audit", **variables):
    """(exit status, output, names of the report's files) of a playbook with VARIABLES in DIRECTORY."""
    command = [ANSIBLE_PLAYBOOK, playbook, "-i", "here,", "-c", "local", "-e", json.dumps(variables)]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PYTHON_INTERPRETER": sys.executable}
    done = subprocess.run(
        command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240, check=False
    )
    report = directory / "ipvs-report"
    return done.returncode, done.stdout, {path.name for path in report.iterdir()} if report.exists() else set()


def test_the_files_that_were_asked_for(tmp_path):
    status, output, files = audit(tmp_path, audit_facts_files=[str(FLEET)], audit_report_formats=["html", "csv", "junit", "sarif", "prom"])
    assert status == 0, output
    assert files == {"nodes", "report.json", "report.html", "report.csv", "junit.xml", "report.sarif", "metrics.prom"}
    assert "report.html, report.csv, junit.xml, report.sarif, metrics.prom and report.json, one file a node in nodes/" in output


def test_a_text_with_commas_is_a_list_and_other_files_of_the_run_before_go(tmp_path):
    assert audit(tmp_path)[2] == {"nodes", "report.json", "report.md"}
    assert audit(tmp_path, audit_report_formats="html,json")[2] == {"nodes", "report.json", "report.html"}


@pytest.mark.parametrize("playbook", ["kubeproxy.ipvs.audit", "kubeproxy.ipvs.remediate"])
def test_a_wrong_name_is_refused_before_any_host_is_contacted(tmp_path, playbook):
    status, output, files = audit(tmp_path, playbook, audit_report_formats=["json", "pdf"])
    assert status != 0 and files == set()
    assert "audit_report_formats" in output and "pdf" in output
    assert "Read | Kernel, IPVS and kube-proxy of the host" not in output
