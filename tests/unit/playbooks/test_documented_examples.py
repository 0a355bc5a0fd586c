# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples in the documentation of modules and filters, as they stand there, run by Ansible on a collected tree of a node.

What changes or measures a running kernel or kube-proxy, or needs a cluster, is parsed by Ansible here and runs in the lab.
"""

from __future__ import annotations

import pathlib

import pytest
import yaml
from ansible.parsing.plugin_docs import read_docstring
from node_trees import ipvs_sysctls, kernel, systemd_kube_proxy, write_tree
from real_ansible import NEEDS_ANSIBLE, THIS_PYTHON, ansible_playbook, json_of

pytestmark = NEEDS_ANSIBLE
ROOT = pathlib.Path(__file__).resolve().parents[3]
# A kernel whose vendor says that it has the fix, and the kube-proxy that sets it to 0.
NODE = (
    kernel("4.18.0-147.5.1.6.h686.eulerosv2r9.x86_64", "#1 SMP Wed Jun 22 04:03:11 UTC 2022", "euleros", "EulerOS 2.0 (SP9x86_64)", "2.0")
    | ipvs_sysctls(0)
    | systemd_kube_proxy("1.20.2")
)
# The tests of the lab run these modules; Node objects and a ConfigMap come from a cluster's API.
OF_A_NODE = {"kubeproxy.ipvs.ipvs_probe", "kubeproxy.ipvs.kube_proxy_restart", "kubeproxy.ipvs.kube_proxy_leftovers"}
OF_A_CLUSTER = {"kubernetes.core.k8s_info"}
# What needs what a repair leaves behind (test_report_of_repair.py), and what fails, as it should, where kubernetes.core is not installed
# (test_missing_modules.py).
NOT_HERE = {"Report a repair, and fail if it failed anywhere", "Say what is missing"}


def examples():
    """{plugin: its tasks}, as YAML says them, of all modules and filters."""
    paths = [path for folder in ("modules", "filter") for path in sorted((ROOT / "plugins" / folder).glob("*.py"))]
    return {f"{path.parent.name}/{path.stem}": yaml.safe_load(read_docstring(str(path))["plainexamples"]) for path in paths}


EXAMPLES = examples()


def module(task):
    return next(key for key in task if "." in key)


def runs(task):
    return module(task) not in OF_A_NODE | OF_A_CLUSTER and task["name"] not in NOT_HERE


def elsewhere(value, folder):
    """The value with the paths of a node, and of the reader's files, below FOLDER."""
    if isinstance(value, dict):
        return {key: elsewhere(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [elsewhere(item, folder) for item in value]
    if isinstance(value, str) and value.startswith("/srv/"):
        return str(folder / "tree")
    return f"{folder}/node{value}" if isinstance(value, str) and value.startswith(("/etc/", "/proc/")) else value


def play(name, tasks, folder):
    facts = {"kubeproxy.ipvs.ipvs_facts": {"root": str(folder / "tree")}, "kubeproxy.ipvs.kube_proxy_mode": {"root": str(folder / "tree")}}
    defaults = {**facts, "kubeproxy.ipvs.recorded_files": {"directory": str(folder / "records")}}
    # Lines of a file of the tree are not to be looked for in a file of this machine.
    check = {"check_mode": True} if name.endswith("/kube_proxy_mode") else {}
    return {"name": name, "hosts": "node-1", "gather_facts": False, "module_defaults": defaults, **check, "tasks": tasks}


@pytest.fixture(scope="module", name="run")
def run_fixture(tmp_path_factory):
    """(output, folder) of one run of all examples that can run here, one play for each plugin."""
    folder = tmp_path_factory.mktemp("examples")
    write_tree(folder / "tree", NODE)
    for name, content in (("etc/sysctl.conf", "vm.swappiness = 1\nnet.ipv4.vs.conn_reuse_mode = 0\n"), ("proc/sys/net/ipv4/vs/conn_reuse_mode", "0\n")):
        (folder / "node" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "node" / name).write_text(content, encoding="utf-8")
    for name in ("etc/sysctl.d", "etc/cron.d"):
        (folder / "node" / name).mkdir()
    (folder / "node/etc/cron.d/set-conn-reuse-mode").write_text("* * * * * root sysctl -w net.ipv4.vs.conn_reuse_mode=0\n", encoding="utf-8")
    read = [{"name": "Read", "kubeproxy.ipvs.ipvs_facts": None, "register": "audit_result"}]
    for name in ("eu", "us"):
        report = {"hosts": ["node-1"], "report_dir": name, "report_name": name}
        read.append({"name": name, "kubeproxy.ipvs.report": report, "delegate_to": "localhost", "run_once": True})
    plays = [play("first", read, folder)]
    for name, tasks in EXAMPLES.items():
        chosen = [elsewhere(task, folder) for task in tasks if runs(task)]
        plays += [play(name, chosen, folder)] if chosen else []
    (folder / "examples.yml").write_text(yaml.safe_dump(plays, sort_keys=False), encoding="utf-8")
    cluster = {"daemonsets": [], "nodes": [], "script": "true", "found": {"resources": []}, "asked": {"results": []}}
    probe = {"capabilities": {"reuse_without_drop": {"state": "yes"}}}
    recorded = json_of(ROOT / "docs" / "example_fleet" / "kubeasz-centos7.json")["ansible_facts"]["ipvs"]
    variables = {**cluster, "probe": probe, "first": recorded, "second": recorded, "ansible_connection": "local"}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"node-1": variables}}}), encoding="utf-8")
    status, output = ansible_playbook(folder, "-i", "hosts.yml", "examples.yml", **THIS_PYTHON)
    assert status == 0, output
    return output, folder


def test_all_have_examples():
    assert sorted(EXAMPLES) == sorted(f"{folder}/{path.stem}" for folder in ("modules", "filter") for path in (ROOT / "plugins" / folder).glob("*.py"))
    assert all(EXAMPLES.values())


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_options_are_documented(name):
    """Of our own modules, in the examples of all."""
    for task in EXAMPLES[name]:
        if module(task).startswith("kubeproxy.ipvs."):
            source = ROOT / "plugins" / "modules" / f"{module(task).rpartition('.')[2]}.py"
            assert set(task[module(task)] or {}) <= set(read_docstring(str(source))["doc"]["options"]), task["name"]


@pytest.mark.parametrize("name", [name for name, tasks in EXAMPLES.items() if any(map(runs, tasks))])
def test_it_runs(run, name):
    output, _folder = run
    begun = output.partition(f"PLAY [{name}] ")[2].partition("\nPLAY ")[0]
    assert [task["name"] for task in EXAMPLES[name] if runs(task) and f"TASK [{task['name']}] " not in begun] == []
    assert "fatal:" not in begun and "Traceback" not in begun and "[WARNING]" not in begun


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("filter/safe_conn_reuse_mode", '"msg": 1'),
        ("filter/verdict", '"verdict": "stale_backends"'),
        ("filter/fleet", '"syn_delay": 2'),
        ("filter/conn_reuse_mode_changes", '"action": "hold"'),
        ("modules/kube_proxy_mode", "skipping: [node-1]"),
    ],
)
def test_what_it_says(run, name, said):
    output, _folder = run
    assert said in output.partition(f"PLAY [{name}] ")[2].partition("\nPLAY ")[0]


def test_what_they_leave(run):
    """Files were changed and put back; reports were written and merged."""
    _output, folder = run
    assert (folder / "node/etc/cron.d/set-conn-reuse-mode").exists() and not (folder / "node/etc/sysctl.d/99-kubeproxy-ipvs.conf").exists()
    assert (folder / "node/proc/sys/net/ipv4/vs/conn_reuse_mode").read_text(encoding="utf-8").strip() == "0"
    assert "# net.ipv4.vs.conn_reuse_mode = 0" in (folder / "node/etc/sysctl.conf").read_text(encoding="utf-8")
    assert json_of(folder / "ipvs-report/report.json")["summary"]["judged"] == 1
    assert len(json_of(folder / "ipvs-report-merged/report.json")["nodes"]) == 2


def test_the_others_are_playbooks_too(tmp_path):
    """Ansible's parser takes those that do not run here. kubernetes.core may not be installed."""
    tasks = [task for tasks in EXAMPLES.values() for task in tasks if not runs(task) and module(task) not in OF_A_CLUSTER]
    assert len(tasks) > 5
    (tmp_path / "others.yml").write_text(yaml.safe_dump([play("others", tasks, tmp_path)], sort_keys=False), encoding="utf-8")
    status, output = ansible_playbook(tmp_path, "--syntax-check", "-i", "node-1,", "others.yml")
    assert status == 0, output
