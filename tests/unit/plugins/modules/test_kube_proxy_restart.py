# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module around the restart: its arguments, what it returns, and how it fails."""

from __future__ import annotations

import functools
import json
import os

import pytest
import yaml
from kube_proxy_stand_in import UNIT, stand_in

from ansible_collections.kubeproxy.ipvs.plugins.modules import kube_proxy_restart

DOCUMENTED = yaml.safe_load(kube_proxy_restart.RETURN)
OPTIONS = yaml.safe_load(kube_proxy_restart.DOCUMENTATION)["options"]
TYPES = {"str": str, "list": list, "dict": dict, "bool": bool, "int": int, "float": float}


@pytest.fixture
def node(tmp_path):
    """A Node whose kube-proxy runs."""
    node = stand_in(tmp_path)
    node.manager.start()
    yield node
    node.manager.stop()


@pytest.fixture
def run(node, monkeypatch, capsys):
    """run(option=...) -> (result, exit code), as Ansible runs it, on the node."""
    directory = node.manager.directory
    monkeypatch.setenv("PATH", f"{directory}/bin:{os.environ['PATH']}")
    # The stand-in for systemctl lies where everybody may write.
    monkeypatch.setattr(kube_proxy_restart, "trust_programs", lambda: None)
    monkeypatch.setattr(kube_proxy_restart, "NodeFiles", lambda: node)
    restart = functools.partial(kube_proxy_restart.KubeProxyRestart, value_path=str(directory / "value"), lock_path=str(directory / "lock"))
    monkeypatch.setattr(kube_proxy_restart, "KubeProxyRestart", restart)

    def call(**options):
        monkeypatch.setattr("ansible.module_utils.basic._ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode())
        monkeypatch.setattr("ansible.module_utils.basic._ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit) as ended:
            kube_proxy_restart.main()
        return json.loads(capsys.readouterr().out), ended.value.code

    return call


def check(result, documented=None):
    """What is returned is what is documented."""
    documented = documented or DOCUMENTED
    for name, entry in documented.items():
        assert result[name] is None or isinstance(result[name], TYPES[entry["type"]]), name
        if "contains" not in entry or result[name] is None:
            continue
        for part in result[name] if entry["type"] == "list" else [result[name]]:
            assert part.keys() == entry["contains"].keys(), name
            check(part, entry["contains"])
    known = documented.keys() | ({"invocation", "msg", "failed"} if documented is DOCUMENTED else set())
    assert result.keys() <= known


def test_it_restarts(run, node):
    foretold, code = run(_ansible_check_mode=True)
    check(foretold)
    assert (code, foretold["changed"], len(node.manager.pids)) == (0, True, 1)
    result, code = run(watch_seconds=0.2, value=0)
    check(result)
    assert (code, result["changed"], result["method"], result["unit"], len(node.manager.pids)) == (0, True, "systemctl", UNIT, 2)
    assert "msg" not in result
    looked, code = run(restart=False)
    check(looked)
    assert (code, looked["changed"], looked["before"]["pid"]) == (0, False, result["after"]["pid"])


def test_it_fails_with_all_that_it_saw(run, node):
    node.manager.behaviours = [{"mode": "iptables"}]
    result, code = run(watch_seconds=0.2, value=1)
    check(result)
    assert code == 1
    assert result["failed"]
    assert result["changed"]
    assert result["problems"] == ["the mode is iptables, not ipvs", "net.ipv4.vs.conn_reuse_mode is 0 after the restart, not 1"]
    assert result["msg"] == "; ".join(result["problems"])
    assert result["after"]["healthy"]


def test_without_a_kube_proxy(run, node):
    node.manager.behaviours = [None]
    node.manager.pids.clear()
    result, code = run()
    check(result)
    assert (code, result["msg"], result["changed"]) == (1, "kube-proxy does not run", False)


def test_what_nobody_foresaw(run, monkeypatch):
    def fail(_self):
        raise KeyError("odd")

    monkeypatch.setattr("ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_restart.KubeProxyRestart._restart", fail)
    result, code = run()
    check(result)
    assert (code, result["msg"]) == (1, "not understood: KeyError: 'odd'")


@pytest.mark.parametrize(("name", "value"), [("wait_seconds", 0), ("watch_seconds", -1), ("watch_seconds", 301), ("services", 501), ("connect_seconds", 0)])
def test_limits(run, node, name, value):
    result, code = run(**{name: value})
    assert code == 1
    assert result["msg"].startswith(f"{name}: ")
    assert "is not between" in result["msg"]
    assert len(node.manager.pids) == 1


def test_limits_are_documented():
    for name, (least, most) in kube_proxy_restart.LIMITS.items():
        text = OPTIONS[name]["description"]
        assert f"rom {least} to {most}." in (text if isinstance(text, str) else " ".join(text))
