# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module that removes leftovers: its arguments, what it returns, and how it fails. What it does on a node is tried on nodes of the lab."""

from __future__ import annotations

import functools
import json

import pytest
import yaml
from kube_proxy_stand_in import stand_in

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.iptables_programs import Found
from ansible_collections.kubeproxy.ipvs.plugins.modules import kube_proxy_leftovers
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.leftovers import leftovers

DOCUMENTED = yaml.safe_load(kube_proxy_leftovers.RETURN)
OPTIONS = yaml.safe_load(kube_proxy_leftovers.DOCUMENTATION)["options"]
TYPES = {"str": str, "list": list, "dict": dict, "bool": bool, "int": int, "float": float}
# Nothing that needs a table as proof.
OWNED = {**leftovers("iptables"), "written": []}


class Kernel:
    """One set, and no more. It cannot be destroyed where `refuses` is set."""

    def __init__(self):
        self.sets = ["KUBE-CLUSTER-IP", "KUBE-OTHER"]

    def services(self):
        return []

    def find_link(self, _name):
        return None

    def set_names(self):
        return list(self.sets)

    def destroy_set(self, name):
        self.sets.remove(name)

    def close(self):
        pass

    def look(self, *_words):
        """In place of Iptables."""
        return Found()


@pytest.fixture(name="kernel")
def kernel_fixture():
    """What is on the node."""
    return Kernel()


@pytest.fixture(name="node")
def node_fixture(tmp_path):
    """A node whose kube-proxy runs in iptables mode, as far as it says."""
    node = stand_in(tmp_path)
    node.manager.behaviours = [{"mode": "iptables"}]
    node.manager.start()
    yield node
    node.manager.stop()


@pytest.fixture(name="run")
def run_fixture(node, kernel, monkeypatch, capsys):
    """run(option=...) -> (result, exit code), as Ansible runs it, on the node."""
    monkeypatch.setattr(kube_proxy_leftovers, "NodeFiles", lambda: node)
    lock_path = str(node.manager.directory / "lock")
    made = functools.partial(kube_proxy_leftovers.KubeProxyLeftovers, kernel=kernel, iptables=kernel, lock_path=lock_path)
    monkeypatch.setattr(kube_proxy_leftovers, "KubeProxyLeftovers", made)

    def call(**options):
        arguments = {"mode": "iptables", "owned": OWNED, **options}
        monkeypatch.setattr("ansible.module_utils.basic._ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
        monkeypatch.setattr("ansible.module_utils.basic._ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit) as ended:
            kube_proxy_leftovers.main()
        return json.loads(capsys.readouterr().out), ended.value.code

    return call


def check(result, documented=None):
    """What is returned is what is documented."""
    documented = documented or DOCUMENTED
    for name, entry in documented.items():
        assert isinstance(result[name], TYPES[entry["type"]]), name
        if "contains" in entry:
            assert result[name].keys() == entry["contains"].keys(), name
            check(result[name], entry["contains"])
    if documented is DOCUMENTED:
        assert result.keys() <= documented.keys() | {"invocation", "msg", "failed", "diff"}


def test_check_then_remove_then_nothing(run, kernel):
    foretold, code = run(_ansible_check_mode=True, _ansible_diff=True)
    check(foretold)
    assert (code, foretold["changed"], len(kernel.sets)) == (0, True, 2)
    assert foretold["diff"] == {"before": "set KUBE-CLUSTER-IP\n", "after": ""}
    result, code = run(_ansible_diff=True)
    check(result)
    assert (code, result["changed"], kernel.sets) == (0, True, ["KUBE-OTHER"])
    assert result["diff"] == foretold["diff"]
    assert result["removed"]["sets"] == ["KUBE-CLUSTER-IP"]
    again, code = run()
    check(again)
    assert (code, again["changed"]) == (0, False)
    assert "diff" not in again and "msg" not in again


def test_the_mode_is_asked_of_the_process(run, node, kernel):
    result, code = run(mode="nftables", owned={"sets": {"names": ["KUBE-CLUSTER-IP"]}})
    check(result)
    assert code == 1
    assert result["msg"] == f"the mode of kube-proxy, process {node.manager.pids[0]}, is iptables, not nftables: nothing was removed"
    assert len(kernel.sets) == 2


def test_without_a_kube_proxy(run, node):
    node.manager.behaviours = [None]
    node.manager.pids.clear()
    result, code = run()
    check(result)
    assert (code, result["msg"], result["changed"]) == (1, "kube-proxy does not run: nothing was removed", False)


def test_what_nobody_foresaw(run, kernel):
    def fail():
        raise KeyError("odd")

    kernel.set_names = fail
    result, code = run()
    check(result)
    assert (code, result["msg"]) == (1, "not understood: KeyError: 'odd'")


@pytest.mark.parametrize(("name", "value"), [("drain_seconds", -1), ("drain_seconds", 86401), ("timeout_seconds", 0), ("timeout_seconds", 3601)])
def test_limits(run, name, value):
    result, code = run(**{name: value})
    assert code == 1
    assert result["msg"].startswith(f"{name}: ")
    assert "is not between" in result["msg"]


def test_limits_are_documented():
    for name, (least, most) in kube_proxy_leftovers.LIMITS.items():
        text = OPTIONS[name]["description"]
        assert f"rom {least} to {most}." in (text if isinstance(text, str) else " ".join(text))


@pytest.mark.parametrize(
    "owned",
    [
        {"chains": [{"table": "nat"}]},
        {"chains": [{"table": "nat", "name": "KUBE-A", "prefix": "KUBE-"}]},
        {"chains": [{"name": "KUBE-A"}]},
        {"unknown": True},
    ],
)
def test_what_is_no_option(run, kernel, owned):
    result, code = run(owned=owned)
    assert code == 1
    assert "owned" in result["msg"]
    assert len(kernel.sets) == 2


def test_the_least_that_can_be_given(run, kernel):
    result, code = run(owned={})
    check(result)
    assert (code, result["changed"], len(kernel.sets)) == (0, False, 2)
