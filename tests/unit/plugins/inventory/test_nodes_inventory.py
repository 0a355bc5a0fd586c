# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin as a user runs it: the real ansible-inventory on saved lists and on a stand-in for an API server."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest
from api_server_stand_in import (
    CONFIG_MAP,
    DAEMONSET,
    NODES,
    StandIn,
    config_map_object,
    daemonset_object,
    node_object,
    serve,
    status_object,
)

ANSIBLE_INVENTORY = os.path.join(os.path.dirname(sys.executable), "ansible-inventory")
pytestmark = pytest.mark.skipif(not os.path.exists(ANSIBLE_INVENTORY), reason="ansible-inventory is not beside this Python")
TEMPLATE = "{{ lookup('ansible.builtin.pipe', 'touch PWNED') }}"
PLUGIN = "plugin: kubeproxy.ipvs.nodes\n"


def unmarked(value):
    """What ansible-inventory printed, without the marks that older ones put on text that is not a template."""
    if isinstance(value, dict):
        if set(value) == {"__ansible_unsafe"}:
            return value["__ansible_unsafe"]
        return {key: unmarked(item) for key, item in value.items()}
    return [unmarked(item) for item in value] if isinstance(value, list) else value


class Run:
    """What one ansible-inventory said."""

    def __init__(self, done):
        self.status, self.output, self.errors = done.returncode, done.stdout, " ".join(done.stderr.split())
        document = unmarked(json.loads(done.stdout)) if done.stdout.startswith("{") else {}
        self.hosts = document.get("_meta", {}).get("hostvars", {})
        self.groups = {name: sorted(group["hosts"]) for name, group in document.items() if name != "_meta" and "hosts" in group}


@pytest.fixture
def inventory(tmp_path):
    """inventory({file name: content}, *arguments) -> Run of ansible-inventory --list on all *.nodes.yml among them."""

    def run(files, *arguments, sources=None, **environment):
        for name, content in files.items():
            (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        sources = sources or sorted(name for name in files if name.endswith((".nodes.yml", ".nodes.yaml")))
        command = [ANSIBLE_INVENTORY, *(word for name in sources for word in ("-i", name)), *(arguments or ("--list",))]
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("K8S_AUTH_", "KUBE"))},
            "ANSIBLE_NOCOLOR": "1",
            "COLUMNS": "10000",
            "HOME": str(tmp_path),
            **environment,
        }
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False
        )
        return Run(done)

    run.folder = pathlib.Path(tmp_path)
    return run


def saved(*nodes):
    return {"kind": "List", "items": [{"kind": "Node", **node} for node in nodes]}


KUBE_PROXY = {"kind": "List", "items": [daemonset_object(), config_map_object()]}


def test_saved_list(inventory):
    nodes = saved(node_object("web-1", labels={"zone": "a", "node-role.kubernetes.io/worker": ""}), node_object("web-2", "6.1.0-25-amd64", address=None))
    constructed = (
        "keyed_groups: [{prefix: role, key: kube_node.roles}]\ncompose: {zone: kube_node.labels.zone}\n"
        "groups: {old: \"kube_node.kernel is version('5.9', '<')\"}\n"
    )
    run = inventory({"prod.nodes.yml": f"{PLUGIN}file: [nodes.json, kube-proxy.json]\n{constructed}", "nodes.json": nodes, "kube-proxy.json": KUBE_PROXY})
    assert run.status == 0 and not run.errors, run.errors
    assert sorted(run.hosts) == ["web-1", "web-2"]
    first = run.hosts["web-1"]
    assert first["ansible_host"] == "10.0.0.1" and first["zone"] == "a" and run.hosts["web-2"]["ansible_host"] == "web-2"
    assert first["kube_node"]["cluster"] == "prod" and first["kube_node"]["source"] == "the saved file nodes.json and kube-proxy.json"
    assert first["kube_node"]["kube_proxy"]["version"] == "1.20.2" and first["kube_node"]["kube_proxy"]["mode"] == "ipvs"
    assert "9.9.9" not in json.dumps({**first["kube_node"], "kubelet": None})
    assert run.groups["role_worker"] == ["web-1"] and run.groups["old"] == ["web-1"]


def test_graph(inventory):
    run = inventory({"prod.nodes.yaml": f"{PLUGIN}file: [nodes.json]\n", "nodes.json": saved(node_object("web-1"))}, "--graph")
    assert run.status == 0 and "|--web-1" in run.output


@pytest.fixture
def server():
    """A stand-in with 25 nodes."""
    with serve(StandIn([node_object(f"node-{number}", labels={"n": str(number)}) for number in range(25)])) as stand_in:
        yield stand_in


def from_api(server, more=""):
    pytest.importorskip("kubernetes")
    return {"lab.nodes.yml": f"{PLUGIN}kubeconfig: kubeconfig\npage_size: 10\n{more}", "kubeconfig": server.kubeconfig()}


def without_source(run):
    return {name: {**variables, "kube_node": {**variables["kube_node"], "source": None}} for name, variables in run.hosts.items()}


def test_the_api_and_the_saved_list_give_the_same_inventory(inventory, server):
    run = inventory(from_api(server))
    assert run.status == 0 and not run.errors, run.errors
    assert len(run.hosts) == 25 and [path for path, _query in server.requests] == [NODES] * 3 + [DAEMONSET, CONFIG_MAP]
    again = inventory({"lab.nodes.yml": f"{PLUGIN}file: [nodes.json, kube-proxy.json]\n", "nodes.json": saved(*server.nodes), "kube-proxy.json": KUBE_PROXY})
    assert without_source(again) == without_source(run)
    assert again.hosts["node-3"]["kube_node"]["kube_proxy"]["version"] == "1.20.2"


def test_a_context_in_the_file_goes_before_the_environment(inventory, server):
    run = inventory(from_api(server, "context: stand-in\n"), K8S_AUTH_HOST="http://127.0.0.1:1", K8S_AUTH_API_KEY="other", K8S_AUTH_SSL_CA_CERT="/none")
    assert len(run.hosts) == 25 and server.authorization == {"Bearer secret-token"}
    run = inventory({"lab.nodes.yml": PLUGIN}, K8S_AUTH_HOST=server.url, K8S_AUTH_API_KEY="other")
    assert len(run.hosts) == 25 and server.authorization == {"Bearer secret-token", "Bearer other"}


def test_how_many_requests_is_said_when_asked(inventory, server):
    run = inventory(from_api(server), "--list", "-v")
    assert "25 nodes from http://127.0.0.1" in run.errors + run.output and "in 5 requests" in run.errors + run.output


@pytest.mark.parametrize(
    ("refused", "version", "mode", "warning"),
    [
        (DAEMONSET, None, None, "version and mode of kube-proxy stay unknown: the DaemonSet kube-system/kube-proxy cannot be read"),
        (CONFIG_MAP, "1.20.2", None, "the mode of kube-proxy stays unknown: the ConfigMap kube-system/kube-proxy could not be read"),
    ],
)
def test_refusal_of_kube_proxy_is_a_warning(inventory, server, refused, version, mode, warning):
    server.trouble = lambda path, query, number: (403, status_object(403, "sa cannot get"), {}) if path == refused else None
    run = inventory(from_api(server))
    proxy = run.hosts["node-0"]["kube_node"]["kube_proxy"]
    assert run.status == 0 and len(run.hosts) == 25
    assert (proxy["version"], proxy["mode"]) == (version, mode) and "403: sa cannot get" in proxy["reason"]
    assert f"cluster lab: {warning}" in run.errors


def test_a_cluster_without_the_daemonset_is_no_warning(inventory, server):
    server.objects = {}
    run = inventory(from_api(server))
    assert not run.errors and run.hosts["node-0"]["kube_node"]["kube_proxy"] == {
        "form": None,
        "image": None,
        "version": None,
        "mode": None,
        "mode_source": None,
        "reason": "the cluster has no DaemonSet kube-system/kube-proxy: kube-proxy runs otherwise, or not at all",
    }


def test_refusal_of_nodes_names_the_cluster_and_the_others_go_on(inventory, server):
    server.trouble = lambda path, query, number: (403, status_object(403, "sa cannot list nodes"), {}) if path == NODES else None
    run = inventory({**from_api(server), "other.nodes.yml": f"{PLUGIN}file: [nodes.json]\n", "nodes.json": saved(node_object("web-1"))})
    assert sorted(run.hosts) == ["web-1"]
    assert "cluster lab: http://127.0.0.1" in run.errors and "answers 403: sa cannot list nodes; the account may not list nodes" in run.errors
    assert "Traceback" not in run.errors


def test_silence_is_an_error_that_names_the_cluster(inventory, server):
    server.url = "http://127.0.0.1:1"
    run = inventory(from_api(server, "retries: 0\n"))
    assert not run.hosts and "cluster lab: no connection to http://127.0.0.1:1" in run.errors and "Traceback" not in run.errors


def test_the_cache_spares_the_requests(inventory, server):
    files = from_api(server, "cache: true\ncache_plugin: ansible.builtin.jsonfile\ncache_connection: cache\n")
    first = inventory(files)
    asked = len(server.requests)
    second = inventory(files)
    assert asked == 5 and len(server.requests) == 5 and second.hosts == first.hosts and len(first.hosts) == 25
    # What is made of the objects may change, what is read of the API is another thing.
    assert "lab.node-1" in inventory({**files, "lab.nodes.yml": files["lab.nodes.yml"] + "host_name: '{cluster}.{name}'\n"}).hosts
    assert len(server.requests) == 5
    inventory({**files, "lab.nodes.yml": files["lab.nodes.yml"] + "label_selector: a=b\n"})
    assert len(server.requests) == 10


def test_two_nodes_of_one_name_in_two_clusters_stay_two_hosts(inventory):
    files = {
        "a.nodes.yml": f"{PLUGIN}file: [a.json]\n",
        "b.nodes.yml": f"{PLUGIN}file: [b.json]\n",
        "c.nodes.yml": f"{PLUGIN}file: [b.json]\nhost_name: '{{cluster}}-{{name}}'\ncluster_name: third\n",
        "a.json": saved(node_object("web-1", address="10.0.0.1")),
        "b.json": saved(node_object("web-1", address="10.0.0.2"), node_object("web-2")),
    }
    run = inventory(files)
    assert {name: variables["ansible_host"] for name, variables in run.hosts.items()} == {
        "web-1": "10.0.0.1",
        "b.web-1": "10.0.0.2",
        "web-2": "10.0.0.1",
        "third-web-1": "10.0.0.2",
        "third-web-2": "10.0.0.1",
    }
    assert "cluster b: 1 of its nodes have names that are taken: they are called b.NAME, as b.web-1" in run.errors


def test_hostile_text_is_data(inventory):
    labels = {"evil": TEMPLATE, "html": "<script>", "lines": "a\nb\u202ec", "half": "\ud800", TEMPLATE: "x"}
    node = node_object("web-1", labels=labels, annotations={"evil": TEMPLATE})
    node["status"]["nodeInfo"]["osImage"] = TEMPLATE
    constructed = (
        "strict: true\nannotations: true\nkeyed_groups: [{prefix: evil, key: kube_node.labels.evil}, {prefix: html, key: kube_node.labels.html}]\n"
        "compose: {evil: kube_node.labels.evil, longer: \"'<' ~ kube_node.labels.evil ~ '>'\"}\ngroups: {os: kube_node.os_image != ''}\n"
    )
    run = inventory({"x.nodes.yml": f"{PLUGIN}file: [nodes.json]\n{constructed}", "nodes.json": saved(node)})
    assert run.status == 0, run.errors
    variables = run.hosts["web-1"]
    assert variables["evil"] == TEMPLATE and variables["longer"] == f"<{TEMPLATE}>"
    assert variables["kube_node"]["labels"] == {"kubernetes.io/os": "linux", **labels, "half": "?"}
    assert variables["kube_node"]["annotations"] == {"evil": TEMPLATE} and variables["kube_node"]["os_image"] == TEMPLATE
    assert all(name.replace("_", "").isalnum() for name in run.groups)
    assert not (inventory.folder / "PWNED").exists()


def test_nodes_without_a_usable_name_are_named_and_left_out(inventory):
    nodes = saved(node_object("web-1"), node_object("-oProxyCommand=x"), node_object(TEMPLATE), {}, node_object("web-2"))
    nodes["items"].append(None)
    run = inventory({"x.nodes.yml": f"{PLUGIN}file: [nodes.json]\n", "nodes.json": nodes})
    assert sorted(run.hosts) == ["web-1", "web-2"]
    assert "cluster x: 4 left out: a Node object whose name is not one that a node can have: '-oProxyCommand=x'" in run.errors
    assert not (inventory.folder / "PWNED").exists()


def test_names_that_mean_something_to_ansible(inventory):
    run = inventory({"x.nodes.yml": f"{PLUGIN}file: [nodes.json]\n", "nodes.json": saved(node_object("localhost"), node_object("all"))})
    assert sorted(run.hosts) == ["x.all", "x.localhost"]


def test_a_node_that_is_there_twice(inventory):
    run = inventory({"x.nodes.yml": f"{PLUGIN}file: [nodes.json]\n", "nodes.json": saved(node_object("web-1"), node_object("web-1", address="10.0.0.9"))})
    assert run.hosts["web-1"]["ansible_host"] == "10.0.0.9" and "the node web-1 is there more than once" in run.errors


REFUSED = [
    ("file: [none.json]", "none.json: No such file or directory"),
    ("file: [text]", "text: not JSON"),
    ("file: [nodes.json]\nhost_name: node", "host_name: 'node' does not make a host name of {name} and {cluster}"),
    ("file: [nodes.json]\nhost_name: '{name} {x}'", "host_name: '{name} {x}' does not make a host name"),
    ("file: [nodes.json]\ncluster_name: 'a/b'", "cluster_name: 'a/b' is not made of letters"),
    ("file: [nodes.json]\nlabel_selector: a=b", "label_selector: the API server judges it"),
    ("file: [nodes.json]\npage_size: 0", "page_size: 0 is less than 1"),
    ("file: [nodes.json]\nretries: -1", "retries: -1 is less than 0"),
    ("file: [nodes.json]\ntimeout: 0", "timeout: 0.0 is not more than 0"),
    ("file: [nodes.json]\npage_size: many", "page_size"),
    ("kubeconfig: none", "the kubeconfig cannot be"),
]


def test_options_that_cannot_be_used(inventory):
    pytest.importorskip("kubernetes")
    files = {f"x{number}.nodes.yml": f"{PLUGIN}{options}\n" for number, (options, _sentence) in enumerate(REFUSED)}
    run = inventory({**files, "nodes.json": saved(node_object("web-1")), "text": "none"})
    assert not run.hosts and "Traceback" not in run.errors
    for _options, sentence in REFUSED:
        assert sentence in run.errors
    assert "cluster x0: " in run.errors


def test_other_file_names_are_not_its_own(inventory):
    run = inventory({"hosts.yml": f"{PLUGIN}file: [nodes.json]\n", "nodes.json": saved(node_object("web-1"))}, sources=["hosts.yml"])
    assert not run.hosts
    run = inventory({"nodes.yml": f"{PLUGIN}file: [nodes.json]\n", "nodes.json": saved(node_object("web-1"))}, sources=["nodes.yml"])
    assert run.hosts["web-1"]["kube_node"]["cluster"] == "nodes"
