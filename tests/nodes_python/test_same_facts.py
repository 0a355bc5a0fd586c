# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module returned on each Python, as tests/nodes_python/run left it in $NODES_PYTHON, is the same and is right."""

from __future__ import annotations

import json
import os
import pathlib
import re

import pytest
from packaging.version import Version

WORK = pathlib.Path(os.environ["NODES_PYTHON"])


def kept(folder):
    """{core and host: what was kept of it} of the files in a folder."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((WORK / folder).glob("*.json"))}
    return {f"{core}-{host}": result for core, hosts in found.items() for host, result in hosts.items()}


READ = {name: dict(zip(("machine", "tree"), results)) for name, results in kept("read").items()}
REFUSED = kept("refused")
SKIPPED = (WORK / "skipped").read_text(encoding="utf-8").splitlines()
FIRST = next(iter(READ), None)
# Two readings of a running machine differ in these, however they are made.
MOVING = ("collected_at", "counters", "pressure")
MOVING_IN_TABLE = ("active_connections", "inactive_connections", "stuck_connections", "stuck_worst")


def facts_of(reading, node):
    """The facts of a node (machine or tree), out of the result of the task as Ansible registered it."""
    return READ[reading][node]["ansible_facts"]["ipvs"]


def at_rest(facts):
    """The facts without what a running machine changes from one reading to the next."""
    kept = {name: value for name, value in facts.items() if name not in MOVING}
    kept["table"] = {name: value for name, value in facts["table"].items() if name not in MOVING_IN_TABLE}
    return kept


def test_something_was_read():
    assert READ


@pytest.mark.parametrize("reading", REFUSED)
def test_one_sentence_to_a_python_that_is_too_old(reading):
    core, version = reading.removeprefix("core").split("-python")
    result = REFUSED[reading]
    assert result["node_python"]["supported"] is False
    assert result["node_python"]["version"].rpartition(".")[0] == version
    assert re.fullmatch(
        rf"Python {re.escape(version)}\.\d+ is too old for ansible-core {re.escape(core)}, which needs 3\.\d+: "
        r"use ansible-core 2\.16, another ansible_python_interpreter or ipvs_probe\.py \(docs/probe\.md\)",
        result["msg"],
    )
    assert not {"module_stderr", "module_stdout", "exception", "ansible_facts"} & set(result)


def test_the_oldest_core_reads_them_all():
    oldest = min(READ, key=lambda reading: Version(reading.removeprefix("core").partition("-")[0])).partition("-")[0]
    assert {reading.rpartition("-")[2] for reading in REFUSED} <= {reading.rpartition("-")[2] for reading in READ if reading.startswith(oldest)}


if SKIPPED:

    @pytest.mark.parametrize("reason", SKIPPED)
    def test_left_out(reason):
        pytest.skip(reason)


@pytest.mark.parametrize("reading", READ)
def test_nothing_but_facts(reading):
    for node in ("machine", "tree"):
        result = READ[reading][node]
        assert result["changed"] is False
        assert list(result["ansible_facts"]) in (["ipvs"], ["ipvs", "discovered_interpreter_python"])
        assert not result.get("warnings") and not result.get("deprecations")


@pytest.mark.parametrize("reading", READ)
def test_same_machine(reading):
    assert at_rest(facts_of(reading, "machine")) == at_rest(facts_of(FIRST, "machine"))


@pytest.mark.parametrize("reading", READ)
def test_same_tree(reading):
    assert facts_of(reading, "tree") == facts_of(FIRST, "tree")


@pytest.mark.parametrize("reading", READ)
def test_right_machine(reading):
    facts = facts_of(reading, "machine")
    assert facts["live"] is True
    assert facts["effective_user_id"] == os.geteuid()
    kernel = facts["kernel"]
    assert [kernel["release"], kernel["version"], kernel["machine"]] == [os.uname().release, os.uname().version, os.uname().machine]
    assert facts["counters"]["tcp_active_opens"] > 0


@pytest.mark.parametrize("reading", READ)
def test_right_tree(reading):
    facts = facts_of(reading, "tree")
    assert facts["live"] is False
    kernel = facts["kernel"]
    assert kernel["release"] == "4.18.0-147.5.1.6.h686.eulerosv2r9.x86_64"
    assert kernel["os_release"]["name"] == "EulerOS 2.0 (SP9) – Prüfstand"
    assert kernel["ip_vs"] == "loaded"
    assert kernel["symbols"] == ["expire_nodest_conn_handler"]
    assert [facts["sysctl"][name] for name in ("conn_reuse_mode", "sync_threshold", "conn_reuse_old_conntrack")] == [0, "3\t50", None]
    assert facts["unreadable"] == []


@pytest.mark.parametrize("reading", READ)
def test_right_kube_proxy(reading):
    facts = facts_of(reading, "tree")["kube_proxy"]
    expected = {
        "running": True,
        "form": "systemd",
        "pid": 1234,
        "start_time": 1790000010.25,
        "network_namespace": "host",
        "unit": "kube-proxy.service",
        "mode": "ipvs",
        "mode_configured": "ipvs",
        "ignored_flags": ["--proxy-mode=iptables"],
        "version": "1.20.2",
        "strict_arp": True,
        "exclude_cidrs": ["192.0.2.0/24"],
        "scheduler": "rr",
    }
    assert {name: facts[name] for name in expected} == expected
    assert facts["argv"][-1] == "--hostname-override=prüfstand-1"
    assert facts["config_modified"] == pytest.approx(1767268800.123, abs=0.001)


@pytest.mark.parametrize("reading", READ)
def test_right_writers(reading):
    facts = facts_of(reading, "tree")
    assert {writer["path"]: (writer["value"], sorted(writer["moments"]), sorted(writer["wins"])) for writer in facts["writers"]} == {
        "/etc/sysctl.d/10-kubernetes.conf": (1, [], []),
        "/etc/sysctl.d/99-tuning.conf": (0, ["reboot"], []),
        "/etc/systemd/system/kube-proxy.service.d/10-conn-reuse.conf": (1, ["kube_proxy_restart", "reboot"], ["kube_proxy_restart", "reboot"]),
    }
    assert [(guard["kind"], guard["value"], guard["waits"]) for guard in facts["hold"]["guards"]] == [("exec_start_post", 1, True)]


@pytest.mark.parametrize("reading", READ)
def test_right_table(reading):
    facts = facts_of(reading, "tree")
    table = facts["table"]
    assert [table[name] for name in ("services", "destinations", "destinations_weight_zero", "stuck", "stuck_connections", "foreign")] == [5, 6, 1, 1, 40, 1]
    assert table["stuck_worst"][0]["service"] == "10.68.0.10:80"
    assert table["foreign_services"] == [{"protocol": "TCP", "service": "192.0.2.7:6443", "reason": "excluded_cidr"}]
    assert table["kube_ipvs0"] == {"exists": True, "addresses": 3, "ipv4": 2, "ipv6": 1}
    assert [facts["counters"][name] for name in ("tcp_syn_retransmits", "conntrack_insert_failed", "conntrack_drop")] == [12, 4, 2]
    assert [facts["pressure"][name] for name in ("sampled_connections", "time_wait", "connections_per_second_estimate")] == [3, 2, 235]
