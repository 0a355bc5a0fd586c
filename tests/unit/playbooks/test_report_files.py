# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a report as a user asks for them: the real ansible-playbook."""

from __future__ import annotations

import json
import pathlib

import pytest
from real_ansible import NEEDS_ANSIBLE, THIS_PYTHON, ansible_playbook

FLEET = pathlib.Path(__file__).resolve().parents[3] / "docs" / "example_fleet"
pytestmark = NEEDS_ANSIBLE


def audit(directory, playbook="kubeproxy.ipvs.audit", **variables):
    """(exit status, output, names of the report's files) of a playbook with VARIABLES in DIRECTORY."""
    status, output = ansible_playbook(directory, playbook, "-i", "here,", "-c", "local", "-e", json.dumps(variables), **THIS_PYTHON)
    report = directory / "ipvs-report"
    return status, output, {path.name for path in report.iterdir()} if report.exists() else set()


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
