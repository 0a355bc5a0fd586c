# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the fuzzer begins with: the recorded nodes of the repository, and the texts in its tests."""

from __future__ import annotations

import ast
import functools
import json
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
for directory in ("unit", "unit/plugins/plugin_utils", "example_fleet"):
    sys.path.insert(0, str(TESTS / directory))

import compose  # noqa: E402
import example_reports  # noqa: E402

FLEET = TESTS.parent / "docs" / "example_fleet"
UNIT = TESTS / "unit" / "plugins"
LINK = "-> "


def _as_tree(files: dict) -> dict[str, str]:
    found = {}
    for path, content in files.items():
        if isinstance(content, tuple):
            found[path] = LINK + content[1]
        else:
            found[path] = content.decode("utf-8", "surrogateescape") if isinstance(content, bytes) else content
    return found


@functools.lru_cache
def trees() -> list[dict]:
    """The nodes from which the example fleet is composed, and the one that all Pythons read."""
    found = [_as_tree(files) for _origin, files in compose.NODES.values()]
    node = TESTS / "nodes_python" / "node"
    found.append({f"/{path.relative_to(node)}": path.read_bytes().decode("utf-8", "surrogateescape") for path in sorted(node.rglob("*")) if path.is_file()})
    cron = {
        "/etc/cron.d/a": "*/5 * * * * root sysctl -w net.ipv4.vs.conn_reuse_mode=0\n@reboot root /usr/local/bin/x.sh\n",
        "/etc/crontab": "0 3 * * 1 root sysctl --system\n",
        "/etc/anacrontab": "1 5 daily sysctl -p\n@monthly 45 m sysctl --system\n",
        "/usr/local/bin/x.sh": "#!/bin/sh\nwhile true; do sleep 5; echo 1 > /proc/sys/net/ipv4/vs/conn_reuse_mode; done\n",
        "/etc/rc.local": "#!/bin/sh\nsysctl -w net.ipv4.vs.conn_reuse_mode=0\n",
        "/etc/modules": "ip_vs\n",
        "/etc/rancher/k3s/config.yaml": "kube-proxy-arg:\n- proxy-mode=ipvs\n",
        "/etc/tuned/active_profile": "x\n",
        "/etc/tuned/x/tuned.conf": "[main]\ninclude=y\n[sysctl]\nnet.ipv4.vs.conn_reuse_mode=0\n",
        "/etc/kubernetes/manifests/kube-proxy.yaml": compose.KOPS_MANIFEST,
        "/etc/debian_version": "12\n",
    }
    return [*found, {**found[0], **cron}]


@functools.lru_cache
def texts_in_tests() -> list[str]:
    """The longer texts that the unit tests hand to the code."""
    found = {}
    for path in sorted(UNIT.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and 8 <= len(node.value) <= 3000:
                found.setdefault(node.value, path.stem)
    return list(found)


def _having(*words: str) -> list[str]:
    return [text for text in texts_in_tests() if any(word in text for word in words)]


def _files(*names: str) -> list[str]:
    return [content for tree in trees() for path, content in tree.items() if any(name in path for name in names)]


def _facts() -> list:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FLEET.glob("*.json"))]


def _reports() -> list:
    made = [example_reports.example_report(), example_reports.repair_report(), example_reports.forecast_report(), example_reports.hostile_report()]
    return [{**report, "nodes": report["nodes"][:3], "unreachable": report["unreachable"][:3], "errors": report["errors"][:3]} for report in made]


OBJECTS = [
    {
        "kind": "Node",
        "metadata": {"name": "node-1", "uid": "u", "labels": {"kubernetes.io/os": "linux", "node-role.kubernetes.io/worker": ""}},
        "spec": {"taints": [{"key": "a", "value": "b", "effect": "NoSchedule"}], "unschedulable": True, "providerID": "p"},
        "status": {
            "nodeInfo": {"kernelVersion": "5.10.0-30-amd64", "osImage": "Debian", "architecture": "amd64", "kubeletVersion": "v1.28.5+k3s1"},
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    },
    {
        "kind": "DaemonSet",
        "metadata": {"name": "kube-proxy", "namespace": "kube-system", "labels": {}, "resourceVersion": "1", "annotations": {}},
        "spec": {
            "template": {
                "metadata": {"annotations": {}},
                "spec": {
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "tolerations": [{"operator": "Exists"}],
                    "affinity": {
                        "nodeAffinity": {
                            "requiredDuringSchedulingIgnoredDuringExecution": {
                                "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}]
                            }
                        }
                    },
                    "containers": [
                        {
                            "name": "kube-proxy",
                            "image": "k/kube-proxy:v1.28.3",
                            "command": ["/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf"],
                            "volumeMounts": [{"name": "kube-proxy", "mountPath": "/var/lib/kube-proxy"}],
                        }
                    ],
                    "volumes": [{"name": "kube-proxy", "configMap": {"name": "kube-proxy", "items": [{"key": "config.conf", "path": "config.conf"}]}}],
                },
            }
        },
    },
    {
        "kind": "ConfigMap",
        "metadata": {"name": "kube-proxy", "namespace": "kube-system", "annotations": {}},
        "data": {"config.conf": "kind: KubeProxyConfiguration\nmode: ipvs\n"},
    },
]
POLICY = {
    "capabilities": {"reuse_without_drop": "yes"},
    "accept_inferred": True,
    "known_kernels": [
        {
            "key": "own",
            "name": "ours",
            "match": {"release": r"^4\.19\.0-(\d+)"},
            "source": "us",
            "confidence": "reported",
            "ranges": {"reuse_without_drop": [{"from": "13", "state": "yes"}, {"to": "12", "state": "no"}]},
        }
    ],
    "probes": [
        {
            "kernel": {"release": "5.10.0", "version": "#1", "live_patches": []},
            "node": "n",
            "date": "2026-01-02",
            "capabilities": {name: {"state": "yes", "seconds": 0.1} for name in ("reuse_without_drop", "respects_zero_weight", "flushes_deleted")},
        }
    ],
}
PROBES = {"schema": 1, "probes": POLICY["probes"]}
# What YAML libraries stumble over, each in a document of its own.
STRANGE_YAML = [
    "!!bool x",
    "!!timestamp x",
    "!!int ''",
    "!!float x",
    "- &a [*a, *a]",
    "a: &x [1, 2]\nb: *x",
    "2027-02-30",
    "? [a]\n: b",
    "!!binary x",
    "0x" + "f" * 40,
    "{[1]: 2}",
    "!!set {a}",
    "!!omap [a]",
    "<<: 3",
    "1:61:1",
    ".inf",
    "=",
    "!!python/name:os.system x",
    "%YAML 9.9\n---\na",
]
OUTCOME = {
    "result": "changed",
    "reason": "r",
    "value": 1,
    "owner_word": False,
    "hold": ["drop-in"],
    "neutralised": [],
    "rolled_back": False,
    "options": [{"value": 0, "text": "t"}],
    "proof": {"restarted": True, "seconds": 1.5, "wrong_seconds": 0.3, "services": {"tried": 3, "answered_before": 3, "answered_after": 3}},
}
SETTINGS = {
    "up_to_date": False,
    "files": [{"path": "/etc/x", "lines": [{"line": "a", "replacement": "b"}]}],
    "where": [{"path": "/etc/x", "line": 1, "text": "a", "becomes": "b"}],
    "kind": "unit",
    "daemon_reload": True,
    "restart": "unit",
    "refused": [],
    "neighbours": [{"name": "flannel", "why": "x"}],
}
IPTABLES = """*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "a \\"b\\" c" -j KUBE-SERVICES
-A KUBE-SERVICES -m set --match-set KUBE-LOOP-BACK dst,dst,src -j KUBE-MARK-MASQ
-A CUSTOM -j KUBE-MARK-MASQ
COMMIT
"""
CONNECTIONS = (
    "TCP 0A000001 8000 0A600001 0050 0AF40107 1F90 TIME_WAIT       119\nipv4     2 tcp      6 117 TIME_WAIT src=10.0.0.1 dst=10.96.0.1 sport=32768 dport=80\n"
)
LINES = "a = 1\r\n# b\nc\n=====\na = 1=>a = 2|x\nc=>\n"
VALUES = [
    "0A600001:01BB",
    "[fd00:0000:0000:0000:0000:0000:0000:0001]:0035",
    "10.0.0.0/8",
    "fd00::/8",
    "1h 30min",
    "*:0/15",
    "*-*-* *:*:0/10",
    "0x1F",
    "*/5 1-3,7 * * *",
    "registry/kube-proxy:v1.28.3-r1@sha256:aa",
    "127.0.0.1:10249",
    "v1.28.5+k3s1",
    "net/ipv4/vs.conn_reuse_mode",
    'kubernetes_build_info{git_version="v1.20.2"} 1',
]

HTTP = [
    b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nipvs",
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200\r\n\r\nenough",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"HTTP/1.0 200 OK\n\nipvs",
]
RECORD = {
    "schema": 1,
    "name": "found",
    "facts": {"value": 1, "from": "ipvs"},
    "directories": ["/etc/systemd/system/kube-proxy.service.d"],
    "values": [{"path": "/proc/sys/net/ipv4/vs/conn_reuse_mode", "original": "0\n"}, {"path": "/proc/sys/net/x", "original": None}],
    "files": [
        {"path": "/etc/a.conf", "original": {"kind": "absent"}, "written": ["aa"]},
    ],
}


def _record() -> dict:
    """A record as the collection keeps it, with the content of a file and lines of it."""
    from ansible_collections.kubeproxy.ipvs.plugins.module_utils import recorded_states

    known = {"uid": 0, "gid": 0, "mtime_ns": 1700000000500000000}
    content = {"kind": "file", "content": b"a = 1\n\xff\n", "mode": 0o644, "attributes": {"user.x": b"\0"}, **known}
    link = {"kind": "link", "target": b"/dev/null", "context": "system_u:object_r:etc_t:s0", **known}
    files = [
        {"path": "/etc/b.conf", "original": recorded_states.encode(link), "written": ["bb", "cc"]},
        {"path": "/etc/c.conf", "original": recorded_states.encode(content), "written": ["dd"], "lines": {"dd": [["a = 1", ["a = 2"]]]}},
    ]
    return {**RECORD, "files": [*RECORD["files"], *files]}


def _message() -> bytes:
    """A netlink message with an IPVS service, as the kernel sends it."""
    from ansible_collections.kubeproxy.ipvs.plugins.module_utils import ipvs_netlink, netlink

    service = ipvs_netlink.Service(2, 6, "10.96.0.1", 443, 0, 0xFFFFFFFF)
    payload = ipvs_netlink.GENL_HEADER.pack(1, 1, 0) + ipvs_netlink.encode_service(service)
    return netlink.message(0x20, 0, 7, payload) + netlink.message(3, 0, 7, b"\0\0\0\0")


def of(name: str) -> list:
    """The documents, texts or bytes with which the target NAME begins."""
    report = [json.dumps(document, indent=1).encode() for document in _reports()[:2]]
    yaml_texts = _having("KubeProxyConfiguration", "kind:", "mode:", "- ")[:150]
    known = {
        "facts": trees,
        "mode_of_node": trees,
        "tables": trees,
        "writers": trees,
        "yaml": lambda: [*yaml_texts, *STRANGE_YAML],
        "yaml_as_others_read_it": lambda: yaml_texts,
        "kube_proxy_configuration": lambda: [compose.trees.CONFIG_IPVS, *_having("metricsBindAddress", "excludeCIDRs", "KubeProxyConfiguration")],
        "mode_in_configuration": lambda: _having("KubeProxyConfiguration"),
        "command_line": lambda: (
            [text.replace(" ", "\n").replace("\0", "\n") for text in _having("--")[:150]] + [text.replace("\0", "\n") for text in _files("cmdline")]
        ),
        "one_line": lambda: [*VALUES, *_files("cgroup", "ip_local_port")],
        "sysctl_file": lambda: _files("sysctl") + _having("conn_reuse_mode"),
        "unit_file": lambda: _files(".service", ".conf") + _having("[Service]"),
        "shell_script": lambda: _files(".sh") + _having("sysctl", "sleep", "modprobe", "kube-proxy ", "do\n"),
        "flags_in_text": lambda: _having("proxy-mode", "ARGS"),
        "lines_of_file": lambda: [LINES, *[text + "\n=====\n" + text.split("\n")[0] + "=>x" for text in _files("sysctl")]],
        "text_with_secrets": lambda: _having("token", "password", "secret", "://", "Bearer", "-u "),
        "iptables_save": lambda: [IPTABLES, *_having("-A ", "-j ")],
        "messages_of_kernel": lambda: [_message()],
        "connection_lists": lambda: [CONNECTIONS, *_files("ip_vs_conn")],
        "http_answer": lambda: HTTP,
        "saved_record": lambda: [RECORD, _record()],
        "judged_facts": _facts,
        "facts_file": lambda: [json.dumps(document).encode() for document in _facts()],
        "version_strings": lambda: (
            [text for document in _facts() for text in _strings_of(document)] + _having("#1 SMP", "eulerosv", "-generic", "+k3s", "-eks-")
        ),
        "reports": _reports,
        "report_files": lambda: report,
        "waiver_files": lambda: [
            json.dumps(example_reports.WAIVERS, indent=1).encode(),
            *[text.encode() for text in STRANGE_YAML],
            *[f"- {text}".encode() for text in STRANGE_YAML],
        ],
        "waiver_rows": lambda: [example_reports.WAIVERS],
        "policies": lambda: [POLICY],
        "policy_files": lambda: [json.dumps(POLICY, indent=1).encode(), *[f"known_kernels: {text}".encode() for text in STRANGE_YAML]],
        "probe_files": lambda: [json.dumps(PROBES).encode()],
        "node_list_files": lambda: [json.dumps({"kind": "List", "items": OBJECTS}).encode()],
        "api_objects": lambda: [OBJECTS],
        "api_answers": lambda: [b'{"kind": "Status", "message": "no", "code": 403}', b"[]", b"<html>"],
        "outcomes": lambda: [OUTCOME, SETTINGS],
        "queries": lambda: [
            "syn_delay, unknown",
            "nodes[?verdict=='syn_delay'].name",
            "summary.verdicts.unknown > `0`",
            "length(nodes)",
            "max_by(nodes, &name)",
            "to_number('x')",
        ],
        "host_patterns": lambda: ["web*:!b-1", "~w.b", "a,&web", "all", "[a-c]-1", "web[0:1]", "~("],
    }
    return list(known[name]())


def _strings_of(document) -> list[str]:
    found = document["ansible_facts"]["ipvs"]
    return [text for text in (found["kernel"]["release"], found["kernel"]["version"], found["kube_proxy"]["version"]) if text]
