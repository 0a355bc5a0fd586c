# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks as the pages say that they are run, word by word, with this machine and recorded facts in place of the reader's nodes.

Audits and merges run, and repairs where the page has them with --check; of commands that name the same options and variables one runs. What all of
them name is checked by tests/unit/docs/test_documented_words.py.
"""

from __future__ import annotations

import json
import shutil

import documented
import pytest
import yaml
from api_server_stand_in import node_object
from node_trees import QUIET_NODE, write_tree
from real_ansible import NEEDS_ANSIBLE, THIS_PYTHON, ansible_playbook, json_of

pytestmark = NEEDS_ANSIBLE
SOSREPORT = "/srv/reports/sosreport-node-17"


def runs(command):
    """Whether it can run here: nothing that it does changes this machine."""
    if command.program != "ansible-playbook":
        return False
    return command.words[1] in ("kubeproxy.ipvs.audit", "kubeproxy.ipvs.merge") or "--check" in command.words


def named(command):
    """The playbook, the options, the files and the variables of a command, without their values, and the page if that shows what is printed."""
    page = [command.page] if "docs/example_fleet" in str(command) else []
    return frozenset([command.words[1], *page, *(word for word in command.words if word[0] in "-@"), *documented.extra_variables(command.words)])


# A run takes two seconds: those that name no more than another one are left to the check of words, which knows all values.
RUN = {named(command): command for command in reversed(documented.commands()) if runs(command)}
COMMANDS = [command for names, command in reversed(RUN.items()) if not any(names < others for others in RUN)]


def files_of_the_reader(folder):
    """What the pages take for granted: an inventory, saved objects of a cluster, an earlier report, a collected tree, rows of kernels."""
    (folder / "docs").symlink_to(documented.ROOT / "docs")
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"node-1": {"ansible_connection": "local"}}}}), encoding="utf-8")
    rows = documented.yaml_of("docs/add-a-kernel.md", "# kernels-of-ours.yml")
    (folder / "kernels-of-ours.yml").write_text(yaml.safe_dump(rows), encoding="utf-8")
    (folder / "clusters").mkdir()
    (folder / "nodes.json").write_text(json.dumps({"kind": "List", "items": [{"kind": "Node", **node_object("node-1")}]}), encoding="utf-8")
    for name, saved in (("prod.nodes.yml", "nodes.json"), ("clusters/eu.nodes.yml", "../nodes.json")):
        (folder / name).write_text(yaml.safe_dump({"plugin": "kubeproxy.ipvs.nodes", "file": saved}), encoding="utf-8")
    write_tree(folder / "sosreport", QUIET_NODE)


@pytest.fixture(scope="module", name="earlier")
def earlier_fixture(tmp_path_factory):
    """The report of an audit of one recorded node, for comparisons and merges."""
    folder = tmp_path_factory.mktemp("earlier")
    facts = str(documented.ROOT / "docs" / "example_fleet" / "kubeasz-centos7.json")
    words = ["kubeproxy.ipvs.audit", "-i", "prod.nodes.yml", "-e", json.dumps({"audit_source": "api", "audit_facts_files": [facts]})]
    files_of_the_reader(folder)
    status, output = ansible_playbook(folder, *words)
    assert status == 0, output
    return folder / "ipvs-report"


def test_there_is_something_to_run():
    assert {command.words[1].rpartition(".")[2] for command in COMMANDS} == {"audit", "merge", "remediate"}
    assert len(COMMANDS) >= 12


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_of_a_page(command, tmp_path, earlier):
    files_of_the_reader(tmp_path)
    for place in ("eu", "us", "slices/1", "slices/2", "ipvs-report"):
        shutil.copytree(earlier, tmp_path / place)
    # Who runs the tests may not become root, and /srv is not theirs.
    words = [word.replace(SOSREPORT, str(tmp_path / "sosreport")) for word in command.words[1:] if word != "-b"]
    status, output = ansible_playbook(tmp_path, *words, **THIS_PYTHON, ANSIBLE_HOST_PATTERN_MISMATCH="error")
    assert status == 0, output
    assert "changed=0" in output and "failed=0" in output and "unreachable=0" in output and "ignored=0" in output
    assert "NOT READ" not in output and "Traceback" not in output
    if "--check" in words:
        return
    made = documented.extra_variables(words).get("merge_report_dir", "ipvs-report-merged") if words[0] == "kubeproxy.ipvs.merge" else "ipvs-report"
    report = json_of(tmp_path / made / "report.json")
    assert report["errors"] == [] and report["summary"]["judged"] > 0
    if "docs/example_fleet" in str(command):
        shown = documented.shown_after(command)
        said = output + (tmp_path / made / "report.md").read_text(encoding="utf-8")
        assert shown and [text for text in shown if text not in said] == []
    # It was written by this run.
    assert made != "ipvs-report" or report["generated_at"] != json_of(earlier / "report.json")["generated_at"]
