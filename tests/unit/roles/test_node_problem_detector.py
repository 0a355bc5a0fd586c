# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plugin of the node-problem-detector, in every shell of this machine, beside records that the role's own module writes."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import threading

import pytest
import yaml

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.managed_hold import CONTROL_GROUPS, RECORD, SCRIPT, SERVICE
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.record_store import RecordStore, empty

HERE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "node-problem-detector"
PLUGIN, MONITOR = HERE / "conn_reuse_mode.sh", HERE / "kubeproxy-ipvs-monitor.json"
SHELLS = [shell for shell in (["dash"], ["bash"], ["bash", "--posix"], ["busybox", "sh"], ["ksh"]) if shutil.which(shell[0])]
DROP_IN = "/etc/systemd/system/kube-proxy.service.d/90-kubeproxy-ipvs.conf"
HELD = {
    "value": 1,
    "owner_word": False,
    "service": True,
    "daemonset": False,
    "script": "0a",
    "drop_in": {"unit": "kube-proxy.service", "path": DROP_IN, "ports": [10249, 10256], "seconds": 60},
    # Text of the node, which may say what it likes.
    "edits": [{"path": "/etc/cron.d/x", "lines": [{"line": '  "value": 0,', "replacement": '\n  "value": 0\n  "service": false\n }\n'}]}],
    "action": "hold",
    "reason": '"value": 0',
}
INTERFACES = "Inter-| Receive\n face |bytes\n    lo: 0 0\nkube_ipvs0: 0 0\n"


class Node:
    """The files of a node, as a pod of the node-problem-detector sees them."""

    def __init__(self, directory):
        self.root, self.proc = directory / "host", directory / "proc"
        self.value = self.proc / "sys/net/ipv4/vs/conn_reuse_mode"
        self.write(self.value, "1\n")
        self.write(self.proc / "net/dev", INTERFACES)
        (self.root / RECORD[1:]).parent.mkdir(parents=True)
        self.write(self.root / (CONTROL_GROUPS[0] + "/" + SERVICE + "/cgroup.procs")[1:], "812\n")
        self.write(self.root / SCRIPT[1:], "#!/bin/sh\n")
        self.write(self.root / DROP_IN[1:], "[Service]\n")

    @staticmethod
    def write(path, text):
        """A file, with its directories."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def record(self, **facts):
        """What the role writes down."""
        record = {**empty(), "facts": {**HELD, **facts}}
        record["files"] = [{"path": "/etc/x", "original": {"kind": "file", "content": b'  "value": 0\n' * 1000, "mode": 0o644}, "written": ["absent"]}]
        (self.root / RECORD[1:]).parent.chmod(0o700)
        RecordStore(str(self.root / RECORD[1:].rpartition("/")[0]), "conn_reuse_mode").write(record)

    def run(self, shell, *arguments, **environment):
        """(status, text) of the plugin with short pauses."""
        script = self.root.parent / "plugin"
        script.write_text(PLUGIN.read_text(encoding="utf-8").replace("pause_seconds=3", "pause_seconds=0.4"), encoding="utf-8")
        settings = {**os.environ, "KUBEPROXY_IPVS_ROOT": str(self.root), "KUBEPROXY_IPVS_PROC": str(self.proc), **environment}
        done = subprocess.run(shell + [str(script), *arguments], env=settings, capture_output=True, text=True, timeout=30, check=False)
        assert done.stdout.count("\n") == 1 and len(done.stdout) <= 81, done.stdout
        return done.returncode, done.stdout.strip()


@pytest.fixture(params=SHELLS, ids=" ".join)
def shell(request):
    """One shell, as the beginning of a command."""
    return request.param


@pytest.fixture
def node(tmp_path):
    """A node that has 1, which the role holds."""
    found = Node(tmp_path)
    found.record()
    return found


class TestValue:
    def test_as_it_should_be(self, node, shell):
        assert node.run(shell, "value") == (0, "conn_reuse_mode is 1, as it should be")

    def test_another_value(self, node, shell):
        node.value.write_text("0\n", encoding="ascii")
        assert node.run(shell, "value") == (1, "conn_reuse_mode is 0, 1 is right on this node")

    def test_zero_can_be_right(self, node, shell):
        node.record(value=0)
        assert node.run(shell, "value") == (1, "conn_reuse_mode is 1, 0 is right on this node")

    def test_a_restart_of_kube_proxy_is_no_problem(self, node, shell):
        node.value.write_text("0\n", encoding="ascii")
        later = threading.Timer(0.15, lambda: node.value.write_text("1\n", encoding="ascii"))
        later.start()
        assert node.run(shell, "value")[0] == 0
        later.join()

    def test_the_record_of_a_python_2(self, node, shell):
        path = node.root / RECORD[1:]
        path.write_text(path.read_text(encoding="utf-8").replace(",\n", ", \n"), encoding="utf-8")
        assert node.run(shell, "value") == (0, "conn_reuse_mode is 1, as it should be")
        assert node.run(shell, "hold")[0] == 0

    def test_without_a_record(self, node, shell):
        (node.root / RECORD[1:]).unlink()
        assert node.run(shell, "value") == (2, "nothing on this node says which value is right: audit it")
        assert node.run(shell, "value", "1") == (0, "conn_reuse_mode is 1, as it should be")
        assert node.run(shell, "value", "0") == (1, "conn_reuse_mode is 1, 0 is right on this node")
        assert node.run(shell, "value", "2")[0] == 2

    def test_the_record_is_believed_first(self, node, shell):
        assert node.run(shell, "value", "0") == (0, "conn_reuse_mode is 1, as it should be")

    def test_a_network_namespace_of_its_own(self, node, shell):
        node.write(node.proc / "net/dev", INTERFACES.replace("kube_ipvs0", "eth0"))
        assert node.run(shell, "value") == (2, "no kube_ipvs0: kube-proxy is not in IPVS mode, or this pod lacks hostNetwork")

    @pytest.mark.parametrize("text", ["", "junk\n", "1;reboot\n", None])
    def test_no_value(self, node, shell, text):
        node.value.unlink() if text is None else node.value.write_text(text, encoding="ascii")
        assert node.run(shell, "value") == (2, "there is no conn_reuse_mode now: ip_vs is not loaded")

    @pytest.mark.parametrize("text", ["", "{}", '{"facts": {"value": 1}}', ' "files": [\n "facts": {\n  "value": 1\n }\n'])
    def test_a_damaged_record(self, node, shell, text):
        (node.root / RECORD[1:]).write_text(text, encoding="ascii")
        assert node.run(shell, "value", "1") == (2, "the record of conn_reuse_mode cannot be read, or is damaged")

    def test_what_is_not_mounted(self, node, shell, tmp_path):
        assert node.run(shell, "value", KUBEPROXY_IPVS_ROOT=str(tmp_path / "other"))[0] == 2


class TestHold:
    def test_in_place(self, node, shell):
        assert node.run(shell, "hold") == (0, "what holds conn_reuse_mode is in place")

    def test_nothing_to_hold(self, node, shell):
        node.record(service=False, drop_in=None)
        shutil.rmtree(node.root / "sys")
        assert node.run(shell, "hold") == (0, "what holds conn_reuse_mode is in place")
        node.record(service=False, drop_in=None, daemonset=True)
        assert node.run(shell, "hold") == (0, "a DaemonSet holds conn_reuse_mode, which leaves nothing on the node to look for")
        (node.root / RECORD[1:]).unlink()
        assert node.run(shell, "hold") == (0, "the collection does not hold this node")

    @pytest.mark.parametrize("directory", CONTROL_GROUPS)
    def test_the_service(self, node, shell, directory):
        shutil.rmtree(node.root / "sys")
        group = node.root / f"{directory}/{SERVICE}/cgroup.procs"[1:]
        node.write(group, "0\n")
        assert node.run(shell, "hold")[0] == 0
        group.write_text("", encoding="ascii")
        assert node.run(shell, "hold") == (1, "the service kubeproxy-ipvs-hold does not run")
        group.unlink()
        assert node.run(shell, "hold") == (1, "the service kubeproxy-ipvs-hold does not run")

    def test_files_that_are_gone(self, node, shell):
        (node.root / DROP_IN[1:]).unlink()
        assert node.run(shell, "hold") == (1, "the drop-in of kube-proxy's unit is gone")
        (node.root / SCRIPT[1:]).unlink()
        assert node.run(shell, "hold") == (1, "/etc/kubeproxy.ipvs/hold is gone")

    def test_what_cannot_be_seen(self, node, shell):
        shutil.rmtree(node.root / "etc/systemd")
        assert node.run(shell, "hold") == (2, "/etc/systemd/system of the node cannot be seen")
        shutil.rmtree(node.root / "sys")
        assert node.run(shell, "hold") == (2, "/sys/fs/cgroup of the node cannot be seen")

    def test_wrong_arguments(self, node, shell):
        assert node.run(shell)[0] == 2
        assert node.run(shell, "other")[0] == 2


class TestMonitor:
    """The configuration against pkg/custompluginmonitor/types and pkg/types of the node-problem-detector; its own names, no others."""

    monitor = json.loads(MONITOR.read_text(encoding="utf-8"))

    def test_names(self):
        assert set(self.monitor) == {"plugin", "pluginConfig", "source", "metricsReporting", "conditions", "rules"}
        assert self.monitor["plugin"] == "custom"
        assert set(self.monitor["pluginConfig"]) <= {
            "invoke_interval",
            "timeout",
            "max_output_length",
            "concurrency",
            "enable_message_change_based_condition_update",
            "skip_initial_status",
        }
        assert all(set(condition) == {"type", "reason", "message"} for condition in self.monitor["conditions"])
        assert all(set(rule) <= {"type", "condition", "reason", "path", "args", "timeout"} for rule in self.monitor["rules"])

    def test_what_it_would_refuse_or_cut(self):
        limits, conditions = self.monitor["pluginConfig"], [condition["type"] for condition in self.monitor["conditions"]]
        assert [rule["condition"] for rule in self.monitor["rules"]] == conditions
        assert all(re.fullmatch(r"[A-Z][A-Za-z]+", entry["reason"]) for entry in self.monitor["rules"] + self.monitor["conditions"])
        seconds = [int(text[:-1]) for text in [limits["timeout"], limits["invoke_interval"]] + [rule["timeout"] for rule in self.monitor["rules"]]]
        # A rule's time may not be longer than that of all; a problem takes one pause more, the hold's two looks at the service as well.
        assert seconds == [10, 60, 10, 10] and limits["max_output_length"] == 80
        # A ConfigMap's files cannot be executed: a shell reads them.
        assert [(rule["path"], rule["args"]) for rule in self.monitor["rules"]] == [
            ("/bin/sh", [f"/custom-config/{PLUGIN.name}", word]) for word in ("value", "hold")
        ]


class TestPatch:
    """What the page gives to `kubectl patch --type json`."""

    def _patched(self):
        daemonset = {"spec": {"template": {"spec": {"containers": [{"command": ["/node-problem-detector"], "env": [], "volumeMounts": []}], "volumes": []}}}}
        for operation in yaml.safe_load((HERE / "daemonset-patch.yml").read_text(encoding="utf-8")):
            assert set(operation) == {"op", "path", "value"} and operation["op"] == "add"
            *parents, last = operation["path"].strip("/").split("/")
            place = daemonset
            for name in parents:
                place = place[int(name) if isinstance(place, list) else name]
            if isinstance(place, list):
                assert last == "-"
                place.append(operation["value"])
            else:
                place[last] = operation["value"]
        return daemonset["spec"]["template"]["spec"]

    def test_the_plugin_finds_what_it_reads(self):
        spec = self._patched()
        container = spec["containers"][0]
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        assert spec["hostNetwork"] is True
        assert container["command"][-1] == f"--config.custom-plugin-monitor=/custom-config/{MONITOR.name}"
        assert container["env"] == [{"name": "KUBEPROXY_IPVS_ROOT", "value": "/host"}]
        assert set(mounts) == {"/custom-config", "/host/var/lib/kubeproxy.ipvs", "/host/etc/systemd/system", "/host/sys/fs/cgroup"}
        assert all(mount["readOnly"] for mount in mounts.values())
        assert {mount["name"] for mount in mounts.values()} == {volume["name"] for volume in spec["volumes"]}
        paths = {volume["name"]: volume["hostPath"]["path"] for volume in spec["volumes"] if "hostPath" in volume}
        assert all("/host" + paths[mount["name"]] == path for path, mount in mounts.items() if mount["name"] in paths)
