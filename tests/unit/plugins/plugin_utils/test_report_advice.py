# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the reports say about plans and findings in general, and the files that it comes from."""

from __future__ import annotations

import copy
import pathlib

import pytest
from example_reports import HOSTILE

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import plan
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import KnowledgeError, check_document, load
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_advice import action_advice, actions, advice, command, sentence, why

PLAYBOOKS = pathlib.Path(__file__).resolve().parents[4] / "playbooks"
ROWS = {**load("findings")["findings"], **load("actions")["actions"]}


@pytest.mark.parametrize("name", ["findings", "actions"])
def test_the_files_follow_their_schema(name):
    check_document(name, load(name))


@pytest.mark.parametrize(
    ("key", "change", "told"),
    [
        ("held", {"why": ""}, "does not match"),
        ("held", {"run": "ansible-playbook kubeproxy.ipvs.audit -i INVENTORY -b --limit {node}"}, "'do' is a dependency of 'run'"),
        ("second_writer", {"run": "rm -rf {path}"}, "does not match"),
        ("second_writer", {"severity": "grave"}, "'grave' is not one of"),
        ("second_writer", {"when": "x"}, "'when' was unexpected"),
    ],
)
def test_a_row_that_is_wrong_is_refused(key, change, told):
    document = copy.deepcopy(load("findings"))
    document["findings"][key] |= change
    with pytest.raises(KnowledgeError, match=f"{key}.*{told}"):
        check_document("findings", document)


def test_each_finding_says_why_and_each_plan_what_to_do():
    assert all(why(key) for key in load("findings")["findings"])
    assert tuple(sorted(actions())) == tuple(sorted(plan.ACTIONS)) and all(action_advice(action)[0] for action in plan.ACTIONS)
    assert advice("held") == ("", "") and advice("metrics_exposed")[0].startswith("Bind the metrics address")


def test_what_is_not_known_is_empty():
    assert (why("nobody"), advice("nobody"), sentence("nobody"), action_advice("nobody")) == ("", ("", ""), "", ("", ""))


@pytest.mark.parametrize("key", [key for key, row in ROWS.items() if "run" in row])
def test_a_command_runs_a_playbook_of_this_collection(key):
    words = command(ROWS[key]["run"], "node-1").split()
    assert (PLAYBOOKS / f"{words[1].removeprefix('kubeproxy.ipvs.')}.yml").is_file()
    assert words[words.index("--limit") + 1] == "node-1"


@pytest.mark.parametrize("name", [*HOSTILE, "$(reboot)", "a b", "-x", "a;b", None])
def test_a_command_holds_no_name_that_a_shell_would_read(name):
    filled = command("run --limit {node}", name)
    assert filled == "run --limit NODE" or (name.isidentifier() and filled == f"run --limit {name}")
