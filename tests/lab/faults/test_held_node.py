# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happens to a repaired node later: kube-proxy starts late, again and again or without ip_vs, other tools have their own way."""

from __future__ import annotations

import json
import os
import subprocess
import time

import pytest

from fault_tools import RECORD, SERVICE, SETTLED_SECONDS, UNIT, UNIT_FILE, VALUE, WRONG_SECONDS
from lab_tests import TESTS, say, wait_until

DROP_IN = f"/etc/systemd/system/{UNIT}.d/90-kubeproxy-ipvs.conf"


@pytest.fixture(name="node", scope="module")
def node_fixture(fleet):
    """The node of this module: a vendor's kernel below 5.9 that is fixed."""
    return fleet.node("fixed-below-5-9")


@pytest.fixture(name="oldest")
def oldest_fixture():
    """Options of a run with the oldest ansible-core, where there is a Python for it."""
    found = subprocess.run([TESTS / "controller216"], check=False, capture_output=True, text=True)
    if found.returncode:
        pytest.skip("ansible-core 2.16 needs Python 3.10, 3.11 or 3.12")
    return {"environment": "core216", "python": found.stdout.strip()}


def assert_short(watch, what):
    """The value that kube-proxy sets was never there for long, and is gone."""
    lasted = watch.lasted("0")
    say(f"{what}: 0 for {', '.join(map(str, lasted)) or 'less than is seen'} s")
    assert watch.values()[-1] != "0" and max(lasted, default=0) <= WRONG_SECONDS, watch.changes


def test_a_start_that_takes_a_minute_because_the_api_server_is_gone(held):
    """The drop-in gives up, which must not fail the restart; when kube-proxy starts and sets 0 at last, the service sees it."""
    block = "OUTPUT --protocol tcp --destination 10.99.0.1 --dport 6443 --jump DROP"
    with held.watch() as watch:
        with held.fault(f"iptables --insert {block}", f"iptables --delete {block}"):
            began, clock = time.monotonic(), held.run("date +%s")
            held.run(f"systemctl restart {UNIT}")
            seconds = time.monotonic() - began
            assert not held.is_healthy() and watch.values() == ["1"], "kube-proxy waits for the API server"
            assert held.run(f"systemctl is-active {UNIT}") == "active"
            journal = held.run(f"journalctl --boot --unit {UNIT} --output cat")
        held.wait_until_healthy()
        time.sleep(SETTLED_SECONDS)
        wait_until(lambda: watch.values()[-1] == "1", "1")
    # That 0 was there for too short a time to be seen is no sign that it was there: the service says so.
    told = held.run(f"journalctl --boot --since=@{clock} --unit {SERVICE} --output cat")
    assert "net.ipv4.vs.conn_reuse_mode was 0, set to 1" in told
    say(f"API server gone: `systemctl restart` succeeded after {seconds:.0f} s")
    assert "does not listen after 60 seconds; the service kubeproxy-ipvs-hold goes on looking" in journal
    assert_short(watch, "API server gone, then kube-proxy started")


def test_killed_ten_times(held):
    """Each time systemd starts it again, it sets 0, and 1 comes back."""
    with held.script_of_kube_proxy(["RestartSec=1"]), held.watch() as watch:
        for _time in range(10):
            watch.saw_it_held(lambda: held.run(f"kill -9 $(systemctl show --property=MainPID --value {UNIT})"), held)
        assert held.value() == "1"
    assert_short(watch, "kube-proxy killed ten times")


def test_ip_vs_unloaded_and_loaded_again(held):
    """With the module the value goes; kube-proxy loads it and sets 0."""
    remove = "for module in ip_vs_sh ip_vs_wrr ip_vs_rr ip_vs; do rmmod $module; done"
    with held.watch() as watch:
        with held.fault(f"systemctl stop {UNIT}; ipvsadm --clear; {remove}", f"systemctl start {UNIT}"):
            watch.wait_for("1", "-")
            assert not held.has(VALUE)
            time.sleep(3)
            assert held.run(f"systemctl is-active {SERVICE}") == "active", "the service waits for it"
        held.wait_until_healthy()
        wait_until(lambda: watch.values()[-1] == "1", "1")
    assert_short(watch, "ip_vs loaded again")


def test_a_tool_that_wipes_the_folder_of_the_drop_in(fleet, held):
    """The service holds the value; `verify` tells that the drop-in is gone, and the next run brings it back."""
    tool = "/run/systemd/system/acme-tool.service"
    loop = f"while :; do rm -rf /etc/systemd/system/{UNIT}.d; systemctl daemon-reload; sleep 2; done"
    make = f"printf '[Service]\\nExecStart=/bin/sh -c \"{loop}\"\\n' >{tool}; systemctl daemon-reload; systemctl start acme-tool"
    with held.fault(make, f"systemctl stop acme-tool; rm {tool}; systemctl daemon-reload"):
        wait_until(lambda: not held.has(DROP_IN), "the drop-in is wiped")
        with held.watch() as watch:
            watch.saw_it_held(lambda: held.run(f"systemctl restart {UNIT}"), held)
        assert_short(watch, "drop-in wiped by a tool")
        ended = fleet.play("verify", held)
        remediation = ended.assert_result(held, "failed")
        assert ended.status != 0
        assert "is no longer as the role left it: run the role again, or take it back" in remediation["reason"]
        assert DROP_IN in remediation["reason"]
    ended = fleet.play("remediate", held)
    ended.assert_result(held, "changed")
    assert ended.status == 0 and held.has(DROP_IN)
    # The file is another one, with another time.
    fleet.held[held.name] = held.state()


def test_a_later_drop_in_that_empties_the_list(held):
    """`ExecStartPost=` of somebody else takes ours out of the unit; the service is there for that."""
    other = f"/etc/systemd/system/{UNIT}.d/99-acme.conf"
    make = f"printf '[Service]\\nExecStartPost=\\n' >{other}; systemctl daemon-reload"
    with held.fault(make, f"rm {other}; systemctl daemon-reload"), held.watch() as watch:
        assert held.run(f"systemctl show --property=ExecStartPost {UNIT}") == ""
        watch.saw_it_held(lambda: held.run(f"systemctl restart {UNIT}"), held)
    assert_short(watch, "drop-in emptied by a later one")


@pytest.mark.parametrize(
    ("make", "undo", "sentence"),
    [
        (f"cp -a {RECORD} /run/kept.json; truncate -s 40 {RECORD}", f"cp -a /run/kept.json {RECORD}", "a damaged one; it is left as it is"),
        (f"setsid flock {os.path.dirname(RECORD)}/lock sleep 600 >/dev/null 2>&1 & echo $! >/run/kept.pid",
         f"kill -- -$(cat /run/kept.pid); rm -f {os.path.dirname(RECORD)}/lock", "is held by another run for more than 30 seconds"),
    ],
    ids=["damaged", "locked"],
)
def test_a_rollback_that_can_put_nothing_back(fleet, held, make, undo, sentence):
    """What holds the value goes on."""
    with held.fault(make, undo):
        ended = fleet.play("rollback", held)
        assert sentence in ended.assert_result(held, "failed")["reason"]
        assert held.run(f"systemctl is-active {SERVICE}") == "active"
        with held.watch() as watch:
            watch.saw_it_held(lambda: held.run(f"systemctl restart {UNIT}"), held)


def test_a_value_that_is_no_longer_what_would_be_decided(fleet, held):
    """As after a boot of a kernel that has no fix: `verify` says so, and `remediate` tells it of a node that it leaves as it is."""
    other = ["-e", json.dumps({"audit_capabilities": {"reuse_without_drop": False, "respects_zero_weight": False}})]
    sentence = "what the role holds is 1, which was safe when it was decided: No value is safe"
    assert sentence in fleet.play("verify", held, arguments=other).assert_result(held, "failed")["reason"]
    assert fleet.play("remediate", held, arguments=other).assert_result(held, "left")["reason"].startswith(sentence)
    fleet.play("verify", held).assert_result(held, "unchanged")


def test_the_folder_of_the_drop_in_is_a_link(fleet, untouched):
    """Somebody's tool keeps drop-ins elsewhere: ours is put there, works, and is taken back; link and folder stay."""
    folder, link = "/etc/acme-drop-ins", f"/etc/systemd/system/{UNIT}.d"
    with untouched.fault(f"mkdir {folder}; ln -s {folder} {link}", f"rm {link}; rmdir {folder}; systemctl daemon-reload"):
        before = untouched.state()
        ended = fleet.play("remediate", untouched)
        remediation = ended.assert_result(untouched, "changed")
        assert remediation["after"]["verdict"] == "safe"
        assert untouched.has(f"{folder}/90-kubeproxy-ipvs.conf")
        assert untouched.run(f"readlink {link}") == folder
        assert "after-start 1" in untouched.run(f"systemctl show --property=ExecStartPost {UNIT}")
        fleet.play("rollback", untouched).assert_result(untouched, "changed")
        assert untouched.state() == before


def test_a_unit_of_another_name(fleet, untouched):
    """The drop-in goes where kube-proxy runs, also into an instance of a template."""
    unit = "acme-node@proxy.service"
    path = f"/etc/systemd/system/{unit}"
    wanted = "/etc/systemd/system/multi-user.target.wants"
    make = f"systemctl stop {UNIT}; mv {UNIT_FILE} {path}; mv {wanted}/{UNIT} {wanted}/{unit}; systemctl daemon-reload; systemctl start {unit}"
    undo = f"systemctl stop {unit}; mv {path} {UNIT_FILE}; mv {wanted}/{unit} {wanted}/{UNIT}; systemctl daemon-reload; systemctl start {UNIT}"
    with untouched.fault(make, undo):
        untouched.wait_until_healthy()
        before = untouched.state(unit)
        ended = fleet.play("remediate", untouched)
        remediation = ended.assert_result(untouched, "changed")
        assert remediation["hold"] == [f"drop-in of {unit}", "service kubeproxy-ipvs-hold"]
        assert untouched.has(f"{path}.d/90-kubeproxy-ipvs.conf")
        with untouched.watch() as watch:
            watch.saw_it_held(lambda: untouched.run(f"systemctl restart '{unit}'"), untouched, unit)
        assert_short(watch, f"unit {unit}")
        fleet.play("rollback", untouched).assert_result(untouched, "changed")
        assert untouched.state(unit) == before


def test_a_value_that_somebody_set_comes_back(fleet, untouched, oldest):
    """3 is as good as 1, and 1 is set where it is held. Rollback gives back 3. With the oldest ansible-core."""
    with untouched.fault(f"echo 3 >{VALUE}", f"echo 0 >{VALUE}"):
        before = untouched.state()
        assert "value 3" in before
        ended = fleet.play("remediate", untouched, **oldest)
        remediation = ended.assert_result(untouched, "changed")
        assert (remediation["before"]["value"], remediation["after"]["value"], untouched.value()) == (3, 1, "1")
        fleet.play("rollback", untouched, **oldest).assert_result(untouched, "changed")
        assert untouched.state() == before


def test_two_runs_at_once(fleet, untouched):
    """Both come to an end, the node is right, and a third run finds nothing to do."""
    runs = [fleet.start("remediate", untouched) for _time in range(2)]
    ended = [run.end() for run in runs]
    results = [one.assert_result(untouched, "changed", "unchanged")["result"] for one in ended]
    say("two runs at once: " + " and ".join(results))
    assert [one.status for one in ended] == [0, 0]
    untouched.wait_until_healthy()
    process = untouched.process()
    third = fleet.play("remediate", untouched)
    third.assert_result(untouched, "unchanged")
    assert third.status == 0 and untouched.process() == process and untouched.value() == "1"
