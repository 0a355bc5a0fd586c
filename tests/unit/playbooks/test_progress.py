# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The line of progress as a user sees it: the real ansible-playbook in a terminal."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import signal

import pytest
from ipvs_facts_stand_in import collection_with_stand_in
from real_ansible import NEEDS_ANSIBLE, THIS_PYTHON, ansible_playbook, json_of
from terminal_run import run_in_terminal

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
FLEET = sorted((CHECKOUT / "docs" / "example_fleet").glob("*.json"))
LINE = re.compile(
    r"audit (?P<done>\d+)/(?P<total>\d+) nodes(, worst so far (?P<worst>[a-z_]+))?(, (?P<not_read>\d+) not read)?"
    r"(, (about (?P<left>[0-9hmins ]+) left|no answer for [0-9hmins ]+))?"
)
AUDIT = "kubeproxy.ipvs.audit"
ENABLED = {"ANSIBLE_CALLBACKS_ENABLED": "kubeproxy.ipvs.progress", "KUBEPROXY_IPVS_PROGRESS_INTERVAL": "0.05"}
# From two hosts on, for the tests of anything but the number of hosts.
FEW = {**ENABLED, "KUBEPROXY_IPVS_PROGRESS_HOSTS": "2"}
pytestmark = NEEDS_ANSIBLE


@pytest.fixture
def fleet(tmp_path):
    """fleet(answers, seconds=...) writes an inventory of a host for each answer; the environment of a run that reads it."""
    collections = collection_with_stand_in(tmp_path / "collections")

    def write(answers, seconds=0.2):
        hosts = [f"n{number:02d} ansible_connection=local stand_in={answer} stand_in_seconds={seconds}" for number, answer in enumerate(answers)]
        (tmp_path / "hosts").write_text("\n".join(hosts) + "\n", encoding="utf-8")
        return {"ANSIBLE_COLLECTIONS_PATH": collections, "PYTHONPATH": collections, "ANSIBLE_FORKS": "4"}

    return write


def recorded(number):
    """Paths of NUMBER recorded facts."""
    return [FLEET[index % len(FLEET)] for index in range(number)]


def progress(screens):
    """The lines of progress that were shown, each as a match; that they stood alone, and below everything else."""
    shown = []
    for frame in screens.frames:
        filled = [line for line in frame if line]
        lines = [line for line in filled if re.search(r"audit \d+/\d+", line)]
        assert len(lines) <= 1, lines
        if lines:
            assert lines[0] == filled[-1], filled[-3:]
            match = LINE.fullmatch(lines[0])
            assert match, lines
            if not shown or shown[-1].group() != lines[0]:
                shown.append(match)
    return shown


def gone(screens):
    """Whether nothing of it is left at the end."""
    return not any(re.search(r"audit \d+/", line) for line in screens.last)


def test_sixty_nodes_of_which_some_cannot_be_read(fleet, tmp_path):
    answers = ["unreachable", "failed", *recorded(58)]
    screens = run_in_terminal(tmp_path, AUDIT, "-i", "hosts", environment={**fleet(answers), **ENABLED})
    report = json_of(tmp_path / "ipvs-report" / "report.json")
    shown = progress(screens)
    counts = [int(match["done"]) for match in shown]
    assert screens.status == 0 and report["summary"]["unreachable"] == 2, screens.last
    assert len(counts) > 5 and counts == sorted(counts) and {match["total"] for match in shown} == {"60"}
    assert shown[-1]["not_read"] == "2" and any(match["left"] for match in shown)
    assert shown[-1]["worst"] == next(iter(report["summary"]["verdicts"])) == "stale_backends"
    assert gone(screens)
    # What the run prints is whole: a line for each host, also of those whose line came while the progress was shown.
    printed = {match[1] for line in screens.last if (match := re.fullmatch(r"ok: \[(n\d\d)\]", line))}
    assert len(printed) >= 59
    assert any(line.startswith("fatal: [n00]: UNREACHABLE!") for line in screens.last)


@pytest.mark.parametrize(
    ("nodes", "more"),
    [
        (49, {}),
        (3, {"KUBEPROXY_IPVS_PROGRESS_HOSTS": "4"}),
        (3, {"KUBEPROXY_IPVS_PROGRESS_HOSTS": "2", "TERM": "dumb"}),
    ],
)
def test_nothing_is_shown(fleet, tmp_path, nodes, more):
    screens = run_in_terminal(tmp_path, AUDIT, "-i", "hosts", environment={**fleet(recorded(nodes), 0.3), **ENABLED, **more})
    assert screens.status == 0
    assert not re.search(rb"audit \d+/|\x1b\[K|\r[^\r\n]", screens.data)


def test_not_a_byte_where_there_is_no_terminal(fleet, tmp_path):
    environment = {**fleet(recorded(3)), "ANSIBLE_FORKS": "1"}
    without = ansible_playbook(tmp_path, AUDIT, "-i", "hosts", **environment)
    assert without[0] == 0
    assert ansible_playbook(tmp_path, AUDIT, "-i", "hosts", **environment, **FEW) == without
    # stderr alone is one: `ansible-playbook ... | tee log` shows stdout there as well, when it likes.
    with open(tmp_path / "stdout", "w", encoding="utf-8") as stdout:
        screens = run_in_terminal(tmp_path, AUDIT, "-i", "hosts", stdout=stdout, environment={**environment, **FEW, "ANSIBLE_NOCOLOR": "1"})
    assert screens.data == b""
    assert (tmp_path / "stdout").read_text(encoding="utf-8") == without[1]


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_line(fleet, tmp_path, by):
    environment = {**fleet(recorded(3), 30), **FEW}
    screens = run_in_terminal(tmp_path, AUDIT, "-i", "hosts", interrupt_at="audit 0/3 nodes", by=by, environment=environment)
    assert screens.status != 0
    assert progress(screens) and gone(screens)


def test_a_run_that_fails_and_the_words_of_the_owner(fleet, tmp_path):
    answers = [CHECKOUT / "docs" / "example_fleet" / "lab-centos-7.json"] * 7
    says = [{"state": "yes", "confidence": "reported", "source": "us"}]
    row = {"key": "ours", "name": "ours", "match": {"release": r"^3\.10"}, "ranges": {"reuse_without_drop": says}}
    words = []
    for known, arguments in (([], []), ([row], ["--check"])):
        variables = json.dumps({"audit_known_kernels": known, "audit_fail_on": ["syn_delay", "safe"]})
        words_of_run = [AUDIT, "-i", "hosts", "--limit", "!n06", "-e", variables, *arguments]
        screens = run_in_terminal(tmp_path, *words_of_run, environment={**fleet(answers), **FEW})
        judged = re.search(r"6 nodes judged.*?: 6 (\w+)", "\n".join(screens.last))
        assert judged, screens.last
        assert {match["worst"] for match in progress(screens)} - {None} == {judged[1]}
        assert {match["total"] for match in progress(screens)} == {"6"}
        assert screens.status == 2 and gone(screens)
        words.append(judged[1])
    assert words == ["syn_delay", "safe"]


PLAYS = """
- hosts: all
  gather_facts: false
  serial: 3
  tasks: &reading
    - name: Read
      kubeproxy.ipvs.ipvs_facts:
      ignore_unreachable: true
    - name: Say
      ansible.builtin.debug:
        msg: done
- hosts: all
  gather_facts: false
  strategy: free
  tasks: *reading
"""


def test_plays_batches_and_hosts_that_go_their_own_way(fleet, tmp_path):
    (tmp_path / "plays.yml").write_text(PLAYS, encoding="utf-8")
    screens = run_in_terminal(tmp_path, "plays.yml", "-i", "hosts", environment={**fleet(["unreachable", *recorded(8)], 0.4), **FEW})
    counts = [int(match["done"]) for match in progress(screens)]
    assert screens.status == 0 and gone(screens), screens.last
    second = next(index for index in range(1, len(counts)) if counts[index] < counts[index - 1])
    # All batches of a play are one count, the next play begins its own.
    assert counts == sorted(counts[:second]) + sorted(counts[second:])
    assert max(counts[:second]) >= 6 and counts[second] <= 4 and max(counts[second:]) >= 4
    assert {match["total"] for match in progress(screens)} == {"9"}


def test_a_narrow_terminal_and_one_that_becomes_narrower(fleet, tmp_path):
    environment = {**fleet(recorded(16), 0.5), **FEW, "ANSIBLE_DISPLAY_OK_HOSTS": "no"}
    screens = run_in_terminal(tmp_path, AUDIT, "-i", "hosts", columns=44, resize_at=("audit 4/16", 24), environment=environment)
    lines = [match.group() for match in progress(screens)]
    assert screens.status == 0 and gone(screens)
    # 43 columns have no room for all of the verdict, which is left out, not cut.
    assert "audit 4/16 nodes" in lines and all(len(line) <= 43 for line in lines)
    narrower = [line for line in lines if re.match(r"audit 1\d/16", line)]
    assert narrower and all(len(line) <= 23 for line in narrower)


def test_make_audit_shows_it_beside_the_callers_own_callbacks(tmp_path):
    """The real module, on this machine; from one host on, so that there is something to see."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    (tmp_path / "results").mkdir()
    environment = {
        **THIS_PYTHON,
        "KUBEPROXY_IPVS_PROGRESS_HOSTS": "1",
        "KUBEPROXY_IPVS_PROGRESS_INTERVAL": "0.1",
        "ANSIBLE_CALLBACKS_ENABLED": "junit",
        "JUNIT_OUTPUT_DIR": str(tmp_path / "results"),
        "ANSIBLE_CONFIG": None,
    }
    arguments = f"ARGS=-e audit_report_dir={tmp_path}/report -e audit_sample_seconds=2"
    screens = run_in_terminal(CHECKOUT, "audit", arguments, program="make", environment=environment)
    assert screens.status == 0, screens.last
    assert [match["total"] for match in progress(screens)][:1] == ["1"] and gone(screens)
    assert os.listdir(tmp_path / "results"), "the caller's own callback was lost"
    assert not any(line.startswith("ok: [") for line in screens.last)
