# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whoever runs it, with whatever surroundings: an ordinary user, a umask, a home, a temporary directory, a path of programs. The report is the same."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile

import pytest
from node_trees import QUIET_NODE, write_tree
from real_ansible import ANSIBLE_PLAYBOOK, NEEDS_ANSIBLE, THIS_PYTHON, json_of

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles
from ansible_collections.kubeproxy.ipvs.plugins.modules import ipvs_facts

FLEET = pathlib.Path(__file__).resolve().parents[3] / "docs" / "example_fleet"
NOBODY = 65534
# As nobody, but able to read the environment that the tests run in, which is root's.
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
FORMATS = ["json", "md", "html", "csv", "junit", "sarif", "prom"]
PROGRAMS = (
    "sysctl", "systemctl", "ipvsadm", "ipset", "ip", "iptables", "iptables-save", "iptables-restore", "iptables-nft-save", "sh", "bash", "python3", "python",
    "git", "uname", "nft", "timeout", "modprobe", "lsmod", "rpm", "dpkg", "crictl", "docker", "kubectl", "journalctl", "hostname", "getconf", "ldconfig", "gcc",
    "id", "ps", "ss", "cat", "ls", "grep",
)
# Not rm and mkdir: with those Ansible itself, not the collection, makes and removes its temporary directories, by the path of its user.
pytestmark = NEEDS_ANSIBLE


@pytest.fixture(scope="module")
def user():
    """The words before a command that make it an ordinary user's."""
    if os.geteuid() != 0 or subprocess.run([*AS_NOBODY, "true"], capture_output=True, check=False).returncode:
        pytest.skip("only root can become an ordinary user")
    return AS_NOBODY


@pytest.fixture
def place():
    """A directory that everybody may write to, without a sticky bit, below one that everybody may pass through."""
    found = pathlib.Path(tempfile.mkdtemp(dir="/tmp"))
    found.chmod(0o777)
    yield found
    shutil.rmtree(found)


def bait(directory, mark):
    """Programs in DIRECTORY that say in MARK that they were run."""
    directory.mkdir(exist_ok=True)
    for name in PROGRAMS:
        program = directory / name
        program.write_text(f"#!/bin/sh\n/bin/echo {name} >>{mark}\nexit 1\n", encoding="utf-8")
        program.chmod(0o755)
    directory.chmod(0o777)


def play(place, playbook, variables, words=(), umask=0o022, **environment):
    """(exit status, output) of a playbook in PLACE with a bare environment."""
    keep = ("LC_ALL", "PYTHONPATH", "ANSIBLE_CONFIG", "ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_INJECT_FACT_VARS", "PYTHONDONTWRITEBYTECODE")
    given = {name: os.environ[name] for name in keep if name in os.environ} | {"PATH": os.environ["PATH"], "ANSIBLE_NOCOLOR": "1", **THIS_PYTHON, **environment}
    command = [*words, ANSIBLE_PLAYBOOK, playbook, "-i", "here,", "-c", "local", "-e", json.dumps(variables)]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(command, cwd=place, env=given, umask=umask, text=True, timeout=120, check=False, **streams)
    return done.returncode, done.stdout


def judged(report):
    """What of a report does not depend on when it was made."""
    return [{name: node[name] for name in ("name", "verdict", "plan", "moments", "findings")} for node in report["nodes"] if node["name"] != "here"]


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """What the report says in the usual surroundings."""
    folder = tmp_path_factory.mktemp("usual")
    status, output = play(folder, "kubeproxy.ipvs.audit", {"audit_facts_files": [str(FLEET)]}, HOME=str(folder))
    assert status == 0, output
    return judged(json_of(folder / "ipvs-report" / "report.json"))


@pytest.mark.parametrize(
    ("umask", "home", "modes"),
    [(0o077, "read-only", {0o600, 0o700}), (0o000, "none", {0o640, 0o755}), (0o022, "its own", {0o640, 0o755})],
)
def test_an_ordinary_user(user, place, usual, umask, home, modes):
    """Ansible itself needs a place of its own, which ANSIBLE_HOME names where there is no home to write to."""
    (place / "home").mkdir(mode=0o555)
    (place / "temporary").mkdir()
    (place / "temporary").chmod(0o777)
    environment = {"ANSIBLE_HOME": str(place / "ansible"), "TMPDIR": str(place / "temporary"), "ANSIBLE_REMOTE_TEMP": str(place / "remote")}
    environment |= {"read-only": {"HOME": str(place / "home")}, "none": {}, "its own": {"HOME": str(place)}}[home]
    status, output = play(
        place, "kubeproxy.ipvs.audit", {"audit_facts_files": [str(FLEET)], "audit_report_formats": FORMATS}, user, umask, **environment
    )
    assert status == 0 and "Traceback" not in output, output
    report = json_of(place / "ipvs-report" / "report.json")
    assert judged(report) == usual and "here" in {node["name"] for node in report["nodes"]}
    merge = {"merge_reports": ["ipvs-report"], "merge_report_dir": "a/b/merged", "audit_baseline": "ipvs-report/report.json"}
    status, output = play(place, "kubeproxy.ipvs.merge", merge, user, umask, **environment)
    assert status == 0 and judged(json_of(place / "a/b/merged" / "report.json")) == usual, output
    written = [path for name in ("ipvs-report", "a") for path in [place / name, *(place / name).rglob("*")]]
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == modes
    assert {path.stat().st_uid for path in written} == {NOBODY}
    assert list((place / "temporary").iterdir()) == [] and list((place / "home").iterdir()) == []


def test_a_path_with_programs_of_others(place, usual):
    """As root: none of them is run, neither from a directory of the path nor from the one that the play is started in."""
    mark = place / "mark"
    bait(place / "programs", mark)
    bait(place / "here", mark)
    environment = {"PATH": f"{place}/programs::.:{os.environ['PATH']}", "HOME": str(place), "TMPDIR": str(place)}
    status, output = play(place / "here", "kubeproxy.ipvs.audit", {"audit_facts_files": [str(FLEET)], "audit_evidence": ["changelog"]}, **environment)
    assert status == 0, output
    assert judged(json_of(place / "here" / "ipvs-report" / "report.json")) == usual
    # A module that looks for a program that this machine may not have.
    tasks = [{"kubeproxy.ipvs.kube_proxy_mode": {"mode": "nftables"}, "register": "found"}, {"ansible.builtin.debug": {"var": "found.nft_version"}}]
    (place / "here" / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    status, output = play(place / "here", "play.yml", {}, **environment)
    assert status == 0, output
    assert not mark.exists(), mark.read_text(encoding="utf-8")


def test_such_a_program_would_be_run(place):
    """What the test before looks for is there where something does look for programs on that path."""
    bait(place / "programs", place / "mark")
    subprocess.run(["nft"], env={"PATH": f"{place}/programs"}, check=False)
    assert (place / "mark").read_text(encoding="utf-8") == "nft\n"


def test_facts_that_an_ordinary_user_cannot_read(user, tmp_path):
    """They are unknown, with the reason; what can be read is there."""
    del user
    place = pathlib.Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        place.chmod(0o755)
        write_tree(place / "node", QUIET_NODE)
        (place / "node/var/lib/kube-proxy/kube-proxy-config.yaml").chmod(0o600)
        (place / "node/etc/sysctl.d").mkdir(mode=0o700)
        # Loaded before it is given up, since it is root's.
        ipvs_facts.collect(NodeFiles(str(place / "node")))
        for root in (place / "node", "/"):
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                try:
                    facts = ipvs_facts.collect(NodeFiles(str(root)), ask=False)
                    answer = {"unreadable": facts["unreadable"], "release": facts["kernel"]["release"], "user": facts["effective_user_id"]}
                except BaseException as error:
                    answer = {"error": repr(error)}
                with os.fdopen(writer, "w") as stream:
                    json.dump(answer, stream)
                os._exit(0)
            os.close(writer)
            with os.fdopen(reader) as stream:
                answer = json.loads(stream.read())
            os.waitpid(child, 0)
            assert "error" not in answer and answer["release"], answer
            reasons = {entry["path"]: entry["reason"] for entry in answer["unreadable"]}
            if root == "/":
                assert answer["user"] == NOBODY
            else:
                assert reasons["/var/lib/kube-proxy/kube-proxy-config.yaml"] == reasons["/etc/sysctl.d"] == "Permission denied"
            assert not [reason for reason in reasons.values() if reason.startswith("not understood")]
    finally:
        shutil.rmtree(place)
