# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets of a node are in nothing that leaves it: neither output nor log, neither facts nor report nor diff."""

from __future__ import annotations

import json
import os
import pathlib

import pytest
from node_that_lies import ANSWERS, MODULES, collection_with_lies
from node_trees import write_tree
from real_ansible import NEEDS_ANSIBLE, THIS_PYTHON, ansible_playbook
from secrets_of_a_node import NODES, SECRETS, found_in

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles
from ansible_collections.kubeproxy.ipvs.plugins.modules import ipvs_facts

FORMATS = ["json", "md", "html", "csv", "junit", "sarif", "prom"]
pytestmark = NEEDS_ANSIBLE


def files_below(folder, but=()):
    """Every file below FOLDER with its text, but those below directories named BUT."""
    for directory, names, files in os.walk(folder):
        names[:] = [name for name in names if name not in but]
        for name in files:
            path = pathlib.Path(directory, name)
            if not path.is_symlink():
                yield path, path.read_text(encoding="utf-8", errors="replace")


def assert_nothing_got_out(output, folder, but):
    assert found_in(output) == []
    for path, text in files_below(folder, but):
        assert found_in(text) == [], path


@pytest.mark.parametrize("name", NODES)
def test_there_are_secrets_to_be_found(name, tmp_path):
    """They stand where the facts are taken from, and the facts come from there."""
    tree = write_tree(tmp_path, NODES[name])
    facts = ipvs_facts.collect(NodeFiles(str(tree)))
    there = {place for dummy, text in files_below(tree) for place in found_in(text)}
    assert len(there) >= len(SECRETS) - 5
    assert facts["kube_proxy"]["mode_configured"] == "ipvs"
    assert {"/etc/cron.d/reuse", "/etc/sysctl.d/90-reuse.conf", "/opt/tune.sh"} <= {entry["path"] for entry in facts["writers"]}
    assert json.dumps(facts).count("[redacted]") >= 4
    assert found_in(json.dumps(facts)) == []


@pytest.mark.parametrize("name", NODES)
def test_an_audit(name, tmp_path):
    write_tree(tmp_path / "node", NODES[name])
    variables = {"audit_root": str(tmp_path / "node"), "audit_report_formats": FORMATS, "audit_query": "nodes"}
    words = ["kubeproxy.ipvs.audit", "-i", "here,", "-c", "local", "-vvvv", "--diff", "-e", json.dumps(variables)]
    log = {"ANSIBLE_LOG_PATH": str(tmp_path / "ansible.log"), "ANSIBLE_CACHE_PLUGIN": "jsonfile", "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(tmp_path / "cache")}
    status, output = ansible_playbook(tmp_path, *words, **THIS_PYTHON, **log)
    assert status == 0, output
    assert "[redacted]" in output and (tmp_path / "ansible.log").stat().st_size > 1000
    assert {path.name for path in (tmp_path / "ipvs-report").iterdir()} >= {"report.json", "report.html", "report.csv", "report.sarif", "junit.xml", "nodes"}
    assert_nothing_got_out(output, tmp_path, ["node"])


@pytest.mark.parametrize("name", NODES)
@pytest.mark.parametrize("arguments", [["--check"], []], ids=["check", "real"])
def test_a_repair(name, arguments, tmp_path, monkeypatch):
    """The facts are those of the tree; what the changes are asked for and how they are shown is all that can hold a secret."""
    facts = ipvs_facts.collect(NodeFiles(str(write_tree(tmp_path / "node", NODES[name]))))
    facts["live"], facts["sysctl"]["network_namespace"] = True, "host"
    facts["hold"]["service_manager"] = None
    collections = collection_with_lies(tmp_path / "collections")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([collections, *(str(path) for path in pathlib.Path(__file__).parents[:2])]))
    answers = tmp_path / "answers"
    answers.mkdir()
    given = {
        "ipvs_facts": {"changed": False, "ansible_facts": {"ipvs": facts}},
        "recorded_files": {"changed": True, "files": [], "values": [], "facts": {}},
        "kube_proxy_restart": {"changed": True, "after": {"seconds": 1}},
    }
    for module in MODULES:
        (answers / f"{module}.json").write_text(json.dumps([given.get(module, {"failed": True, "msg": "not expected"})]), encoding="utf-8")
    words = ["kubeproxy.ipvs.remediate", "-i", "here,", "-c", "local", "-vvvv", "--diff", "-e", json.dumps({"conn_reuse_mode_value": "0"}), *arguments]
    environment = {"ANSIBLE_COLLECTIONS_PATH": collections, ANSWERS: str(answers), "ANSIBLE_LOG_PATH": str(tmp_path / "ansible.log")}
    status, output = ansible_playbook(tmp_path, *words, **THIS_PYTHON, **environment)
    assert status == 0, output
    asked = (answers / "recorded_files.given").read_text(encoding="utf-8")
    assert "90-reuse.conf" in asked and "# kubeproxy.ipvs: " in asked
    # Lines that hold one are not edited: what held one cannot be told without it.
    assert "[redacted]" not in json.dumps([line for entry in json.loads(asked.splitlines()[0])["files"] for line in entry.get("lines", [])])
    assert_nothing_got_out(output, tmp_path, ["node", "collections"])
