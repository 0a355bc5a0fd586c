# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the callback makes of a result. That it is shown rightly is tested with real runs, tests/unit/playbooks/test_progress.py."""

from __future__ import annotations

import json
import pathlib
import types

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.callback.progress import CallbackModule
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.policy import read_policy
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.progress import NOT_JUDGED, NOT_READ, Progress

RECORDED = pathlib.Path(__file__).resolve().parents[4] / "docs" / "example_fleet" / "lab-centos-7.json"
READ = {"ansible_facts": json.loads(RECORDED.read_text(encoding="utf-8"))["ansible_facts"]}
CENSORED = {"censored": "the output has been hidden"}
HOST = types.SimpleNamespace(get_name=lambda: "n1")


def task(action, resolved=None):
    return types.SimpleNamespace(action=action, resolved_action=resolved)


def new_result(data, action="kubeproxy.ipvs.ipvs_facts"):
    """As ansible-core 2.19 and newer have it."""
    return types.SimpleNamespace(host=HOST, task=task(action), result=data)


def old_result(data, action="kubeproxy.ipvs.ipvs_facts"):
    """As ansible-core 2.16 has it."""
    return types.SimpleNamespace(_host=HOST, _task=task(action), _result=data)


@pytest.fixture
def callback():
    """One in the middle of a task that reads two nodes."""
    callback = CallbackModule()
    callback._progress, callback._policy = Progress(2, 0.0), read_policy(None)
    return callback


@pytest.mark.parametrize("result", [new_result, old_result])
@pytest.mark.parametrize(
    ("event", "data", "line"),
    [
        ("v2_runner_on_ok", READ, "audit 1/2 nodes, worst so far syn_delay"),
        ("v2_runner_on_ok", CENSORED, "audit 1/2 nodes"),
        ("v2_runner_on_ok", {"msg": "failed_when: false"}, "audit 1/2 nodes, 1 not read"),
        ("v2_runner_on_ok", {"ansible_facts": {"ipvs": "\x1b[2Jno facts"}}, "audit 1/2 nodes, 1 not read"),
        ("v2_runner_on_failed", {"failed": True}, "audit 1/2 nodes, 1 not read"),
        ("v2_runner_on_unreachable", {"unreachable": True}, "audit 1/2 nodes, 1 not read"),
        ("v2_runner_on_skipped", {"skipped": True}, "audit 1/2 nodes"),
    ],
)
def test_a_result_counts(callback, result, event, data, line):
    getattr(callback, event)(result(data))
    assert callback._progress.text(0.0, 99) == line


def test_other_tasks_do_not_count(callback):
    callback.v2_runner_on_ok(new_result(READ, action="ansible.builtin.setup"))
    assert callback._progress.done == 0


def test_a_short_name_counts(callback):
    result = new_result(READ)
    result.task = task("facts_by_another_name", "kubeproxy.ipvs.ipvs_facts")
    callback.v2_runner_on_ok(result)
    assert callback._progress.done == 1


def test_without_the_owners_words_there_is_no_verdict(callback):
    callback._policy = None
    assert callback._word(READ) == NOT_JUDGED
    assert callback._word({}) == NOT_READ


def test_after_the_last_node_it_is_over(callback):
    progress = callback._progress
    progress.note("n2", NOT_READ, 0.0)
    callback.v2_runner_on_ok(new_result(READ))
    assert progress.complete and callback._progress is None


def test_without_a_terminal_it_is_not_called(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    callback = CallbackModule()
    monkeypatch.setattr(type(callback).__mro__[1], "set_options", lambda self, **options: None)
    callback.set_options()
    assert callback.disabled is True
