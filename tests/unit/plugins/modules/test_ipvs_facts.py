# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as a whole: its shape is documented, and nothing that it reads makes it fail."""

from __future__ import annotations

import json
import random

import pytest
import yaml
from node_trees import daemonset_kube_proxy, first_process, ipvs_connections, ipvs_sysctls, ipvs_table, kernel, process, systemd_kube_proxy

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles
from ansible_collections.kubeproxy.ipvs.plugins.modules import ipvs_facts

WEB = ("TCP", "10.96.14.7", 80)
NODE = (
    kernel("4.18.0-513.9.1.el8_9.x86_64")
    | ipvs_sysctls(0)
    | systemd_kube_proxy("1.28.3")
    | ipvs_table({WEB: [("10.244.2.4", 8080, 0, 3, 611)]})
    | ipvs_connections("10.0.0.5", "10.96.14.7", 80, 5)
    | {
        "/etc/sysctl.d/9.conf": "net.ipv4.vs.conn_reuse_mode = 1\n",
        "/etc/systemd/system/kube-proxy.service.d/1.conf": "[Service]\nExecStartPost=/sbin/sysctl -w net.ipv4.vs.conn_reuse_mode=1\n",
        "/sys/kernel/livepatch/kpatch_1/enabled": "1\n",
        "/var/lib/kube-proxy/unreadable/x": "",
    }
)
DOCUMENTED = yaml.safe_load(ipvs_facts.RETURN)["ansible_facts"]["contains"]["ipvs"]["contains"]
TYPES = {"str": str, "int": int, "bool": bool, "float": (float, int), "dict": dict, "list": list}
# Keys that docs/facts.md explains for some kinds of writers alone, and files of net/ipv4/vs, which bear their own names.
OPEN = ("sysctl", "writers")


def compare(documented, facts, where=""):
    """Every key is documented with its type, and every documented one is there."""
    if where not in OPEN:
        assert set(facts) == set(documented), where
    for name, entry in documented.items():
        value = facts.get(name)
        if value is None or (where == "sysctl" and isinstance(value, str)):
            continue
        assert isinstance(value, TYPES[entry["type"]]), (where, name)
        if entry["type"] != "bool":
            assert not isinstance(value, bool), (where, name)
        if entry["type"] == "list":
            assert all(isinstance(item, TYPES[entry["elements"]]) for item in value), (where, name)
        inner = value if entry["type"] == "list" else [value]
        for item in inner if "contains" in entry else []:
            compare(entry["contains"], item, name)


@pytest.mark.parametrize("files", [NODE, {}, NODE | daemonset_kube_proxy("1.26.3"), first_process()], ids=["node", "empty", "daemonset", "processes"])
def test_facts_are_what_is_documented(tree, files):
    facts = ipvs_facts.collect(tree(files))
    compare(DOCUMENTED, facts)
    assert json.loads(json.dumps(facts)) == facts


def test_this_machine():
    facts = ipvs_facts.collect(NodeFiles("/"), ask=False)
    compare(DOCUMENTED, facts)
    assert (facts["live"], facts["root"]) == (True, "/")
    assert [entry for entry in facts["unreadable"] if "not understood" in entry["reason"]] == []


def test_parts_fit_together(tree):
    facts = ipvs_facts.collect(tree(NODE))
    assert (facts["kube_proxy"]["mode"], facts["kube_proxy"]["version"], facts["kube_proxy"]["mode_source"]) == ("ipvs", "1.28.3", "log")
    assert facts["kube_proxy"]["traces"] == {"kube_ipvs0": True, "ip_vs_services": 1, "nft_table_kube_proxy": None}
    assert (facts["sysctl"]["conn_reuse_mode"], facts["table"]["stuck"], facts["pressure"]["sampled_connections"]) == (0, 1, 5)
    assert [(guard["kind"], guard["value"]) for guard in facts["hold"]["guards"]] == [("exec_start_post", 1)]
    assert facts["unreadable"] == []


def test_leftovers_alone_give_no_mode(tree):
    leftovers = first_process() | ipvs_table({WEB: [("10.244.2.4", 8080, 1, 0, 0)]})
    facts = ipvs_facts.collect(tree(leftovers))["kube_proxy"]
    assert (facts["form"], facts["mode"], facts["mode_source"], facts["traces"]["ip_vs_services"]) == ("none", None, None, 1)


def test_excluded_networks_reach_the_table(tree):
    table = ipvs_facts.collect(tree(NODE | ipvs_table({("TCP", "10.103.97.2", 6443): [("10.0.0.11", 6443, 1, 9, 0)]})))["table"]
    assert [entry["reason"] for entry in table["foreign_services"]] == ["excluded_cidr"]


def test_kube_proxy_in_another_network_namespace(tree):
    files = NODE | ipvs_table({}) | {"/proc/1/ns/net": ("link", "net:[1]"), "/proc/900/ns/net": ("link", "net:[2]")}
    files["/proc/900/net/ip_vs"] = ipvs_table({WEB: []})["/proc/net/ip_vs"]
    facts = ipvs_facts.collect(tree(files))
    assert facts["kube_proxy"]["network_namespace"] == "other"
    assert facts["table"]["services"] == 1


@pytest.mark.parametrize(
    "part",
    [
        "read_kernel",
        "read_sysctl",
        "read_writers",
        "hold.read_hold",
        "managed_hold.read_managed",
        "Units",
        "kube_proxy.read_kube_proxy",
        "ipvs_table.read_table",
        "counters.read_counters",
        "pressure.read_pressure",
    ],
)
def test_one_part_that_breaks_costs_that_part_alone(tree, monkeypatch, part):
    def broken(*arguments, **options):
        raise RuntimeError("nobody foresaw \xfc")

    owner, dummy, name = part.rpartition(".")
    monkeypatch.setattr(getattr(ipvs_facts, owner) if owner else ipvs_facts, name, broken)
    node = tree(NODE)
    facts = ipvs_facts.collect(node)
    compare(DOCUMENTED, facts)
    assert [entry["reason"] for entry in facts["unreadable"]] == ["not understood: RuntimeError: nobody foresaw \xfc"]
    assert facts["counters"] and facts["schema"] == 1


@pytest.mark.parametrize("seed", range(20))
def test_any_bytes_in_any_file(tree, seed):
    chance = random.Random(seed)
    files = {}
    for path, content in (NODE | daemonset_kube_proxy("1.26.3") | process(8, "k3s-server", ["/usr/local/bin/k3s server"])).items():
        if isinstance(content, str):
            data = bytearray(content.encode())
            for _number in range(chance.randrange(1, 20)):
                position = chance.randrange(len(data) + 1)
                data[position : position + chance.randrange(3)] = chance.choice(
                    [b"\xff", b"\0", b"\n", b"9" * 400, b"{", b"'", b"-", b":", b"\\", b"%s", b"\xc3"]
                )
            content = bytes(data) if chance.random() < 0.9 else b""
        files[path] = content
    facts = ipvs_facts.collect(tree(files))
    compare(DOCUMENTED, facts)
    json.dumps(facts)
    assert [entry for entry in facts["unreadable"] if not entry["path"].startswith("/")] == []


def run(monkeypatch, capsys, **options):
    """What the module prints and how it ends, as Ansible runs it."""
    monkeypatch.setattr("ansible.module_utils.basic._ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode())
    monkeypatch.setattr("ansible.module_utils.basic._ANSIBLE_PROFILE", "legacy", raising=False)
    with pytest.raises(SystemExit) as ended:
        ipvs_facts.main()
    return json.loads(capsys.readouterr().out), ended.value.code


class TestModule:
    def test_facts(self, tree, monkeypatch, capsys):
        node = tree(NODE)
        result, code = run(monkeypatch, capsys, root=node.root)
        assert (code, result["changed"], list(result["ansible_facts"])) == (0, False, ["ipvs"])
        assert (result["ansible_facts"]["ipvs"]["root"], result["ansible_facts"]["ipvs"]["live"]) == (node.root, False)

    def test_check_mode(self, tree, monkeypatch, capsys):
        result, code = run(monkeypatch, capsys, root=tree(NODE).root, _ansible_check_mode=True)
        assert (code, result["ansible_facts"]["ipvs"]["kube_proxy"]["mode"]) == (0, "ipvs")

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"root": "/nonexistent/tree"}, "/nonexistent/tree is not a directory"),
            ({"root": "/etc/passwd"}, "/etc/passwd is not a directory"),
            ({"sample_seconds": 301}, "301 is not between 0 and 300"),
            ({"sample_seconds": -1}, "-1 is not between 0 and 300"),
            ({"evidence": ["all"]}, "evidence"),
        ],
    )
    def test_what_it_refuses(self, monkeypatch, capsys, options, words):
        result, code = run(monkeypatch, capsys, **options)
        assert (code, result["failed"]) == (1, True)
        assert words in result["msg"]


def test_documented_options_are_the_arguments():
    documented = yaml.safe_load(ipvs_facts.DOCUMENTATION)
    assert set(documented["options"]) == {"root", "evidence", "sample_seconds", "ask_kube_proxy"}
    assert documented["attributes"]["check_mode"]["support"] == "full"
