# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes of many installers: what the module returns, once applied, makes the readers of this collection see the mode, and nothing else is changed."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from node_trees import API_UID, CONFIG_IPVS, CONTAINER, STATIC_UID, daemonset_kube_proxy, first_process, pod_cgroup, process, systemd_kube_proxy

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy import read_kube_proxy
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_rancher import rancher_settings
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_lines import replaced
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_wanted import wanted_files
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import Units
from ansible_collections.kubeproxy.ipvs.plugins.modules import kube_proxy_mode

DOCUMENTED = yaml.safe_load(kube_proxy_mode.RETURN)
TYPES = {"str": str, "list": list, "dict": dict, "bool": bool, "int": int}
UNITS = "/etc/systemd/system/"
UNIT = UNITS + "kube-proxy.service"
CONFIG = "/var/lib/kube-proxy/kube-proxy-config.yaml"
PID = 900


def unit(text, path=UNIT):
    """An enabled unit that is in service."""
    name = path.rpartition("/")[2]
    return {path: text, f"{UNITS}multi-user.target.wants/{name}": ("link", path)}


def running(name="kube-proxy", argv=("/usr/bin/kube-proxy",), cgroup="0::/system.slice/kube-proxy.service"):
    return {**first_process(), **process(PID, name, list(argv), cgroup)}


def service(command, **more):
    """A node with a kube-proxy in a unit with this command."""
    lines = "".join(f"{key}={value}\n" for key, value in more.items())
    return running() | unit(f"[Unit]\nDescription=kube-proxy\n\n[Service]\n{lines}ExecStart={command}\nRestart=on-failure\n")


def check(result):
    """What is returned is what is documented, and what recorded_files takes."""
    assert result.keys() == DOCUMENTED.keys()
    for name, entry in DOCUMENTED.items():
        assert result[name] is None or isinstance(result[name], TYPES[entry["type"]]), name
        for part in result[name] or [] if "contains" in entry else []:
            assert part.keys() == entry["contains"].keys(), name
    assert not (result["refused"] and result["files"])
    assert not (result["up_to_date"] and (result["files"] or result["refused"]))
    assert result["kind"] in re.findall(r"V\((\w+)\)", " ".join(DOCUMENTED["kind"]["description"]))
    wanted_files(result["files"], "/var/lib/kubeproxy.ipvs", [])
    json.dumps(result)
    return result


def look(tree, files, mode):
    return check(kube_proxy_mode.look(tree(files), mode))


def applied(files, result):
    """The files of the node after recorded_files did what is asked of it."""
    files = dict(files)
    for entry in result["files"]:
        path = entry["path"]
        if "content" in entry:
            files[path] = entry["content"].encode()
        else:
            before = files[path] if isinstance(files[path], bytes) else files[path].encode()
            files[path] = replaced(before, [[line["line"], [line["replacement"]]] for line in entry["lines"]])
            assert files[path] != before
    return files


def stopped(files):
    """The node with nothing but its files: what stands there is what the next start reads."""
    return {path: content for path, content in files.items() if not path.startswith(f"/proc/{PID}/")}


def moved(tree, files, mode, kind, **expected):
    """The result for a node that can be moved, after seeing that it does move it."""
    result = look(tree, files, mode)
    assert (result["refused"], result["up_to_date"], result["kind"]) == ([], False, kind)
    assert len(result["files"]) == 1
    after = applied(files, result)
    node = tree(stopped(after))
    if result["form"] == "rke2":
        arguments = rancher_settings(node, "/etc/rancher/rke2/config.yaml")["kube-proxy-arg"]
        assert [item for item in ([arguments] if isinstance(arguments, str) else arguments) if "proxy-mode" in item][-1].endswith("proxy-mode=" + mode)
    else:
        facts = read_kube_proxy(node, Units(node))
        assert (facts["form"], facts["mode_configured"]) == (result["form"], mode)
    again = look(tree, after, mode)
    assert (again["up_to_date"], again["files"], again["refused"]) == (True, [], [])
    for name, value in expected.items():
        assert result[name] == value, name
    return result


def lines_of(result):
    return [(entry["text"], entry["becomes"]) for entry in result["where"]]


class TestConfigFile:
    @pytest.mark.parametrize("mode", ["iptables", "nftables"])
    def test_kubeasz(self, tree, mode):
        result = moved(tree, systemd_kube_proxy("1.28.3"), mode, "config_file", restart="kube-proxy.service", daemon_reload=False)
        assert result["files"] == [{"path": CONFIG, "lines": [{"line": "mode: ipvs", "replacement": "mode: " + mode}]}]
        assert result["where"] == [{"path": CONFIG, "line": 3, "text": "mode: ipvs", "becomes": "mode: " + mode}]
        assert (result["version"], result["exclude_cidrs"], result["unit"]) == ("1.28.3", ["10.103.97.2/32"], "kube-proxy.service")

    def test_already_there(self, tree):
        result = look(tree, systemd_kube_proxy("1.28.3"), "ipvs")
        assert (result["up_to_date"], result["kind"], result["files"], result["restart"]) == (True, "config_file", [], None)

    def test_no_mode_is_inserted_as_content_with_the_mode_of_the_file(self, tree):
        # kubernetes-the-hard-way names iptables; this one names nothing.
        files = systemd_kube_proxy("1.28.3", "kind: KubeProxyConfiguration\r\nclusterCIDR: 10.200.0.0/16\r\n")
        result = moved(tree, files, "ipvs", "config_file")
        assert result["files"][0]["content"] == "kind: KubeProxyConfiguration\r\nmode: ipvs\r\nclusterCIDR: 10.200.0.0/16\r\n"
        assert re.fullmatch("06[0-7]{2}", result["files"][0]["mode"])
        assert result["where"] == [{"path": CONFIG, "line": 2, "text": None, "becomes": "mode: ipvs"}]

    def test_an_equal_line_elsewhere_stays(self, tree):
        text = CONFIG_IPVS + "---\nkind: Other\nmode: ipvs\n"
        result = moved(tree, systemd_kube_proxy("1.28.3", text), "iptables", "config_file")
        assert result["files"][0]["content"] == text.replace("mode: ipvs", "mode: iptables", 1)

    def test_flags_beside_it_have_no_effect(self, tree):
        files = systemd_kube_proxy("1.28.3")
        files[UNIT] = files[UNIT].replace("config.yaml\n", "config.yaml --proxy-mode=iptables\n")
        files |= process(PID, "kube-proxy", ["/opt/kube/bin/kube-proxy", f"--config={CONFIG}", "--proxy-mode=iptables"], "0::/system.slice/kube-proxy.service")
        assert moved(tree, files, "iptables", "config_file")["ignored_flags"] == ["--proxy-mode=iptables"]
        del files[CONFIG]
        (refused,) = look(tree, files, "iptables")["refused"]
        assert refused == f"{CONFIG} cannot be read: there is no such file; --proxy-mode=iptables has no effect beside --config"

    def test_named_in_an_environment_file(self, tree):
        files = service("/opt/kubernetes/bin/kube-proxy $KUBE_PROXY_OPTS", EnvironmentFile="/opt/kubernetes/cfg/kube-proxy.conf") | {
            "/opt/kubernetes/cfg/kube-proxy.conf": 'KUBE_PROXY_OPTS="--v=2 \\\n--config=/opt/kubernetes/cfg/kube-proxy-config.yml"\n',
            "/opt/kubernetes/cfg/kube-proxy-config.yml": 'kind: KubeProxyConfiguration\nmetricsBindAddress: 0.0.0.0:10249\nmode: "ipvs"  # here\n',
        }
        result = moved(tree, files, "iptables", "config_file", daemon_reload=False, restart="kube-proxy.service")
        assert lines_of(result) == [('mode: "ipvs"  # here', 'mode: "iptables"  # here')]

    def test_a_link_is_followed(self, tree):
        files = systemd_kube_proxy("1.28.3") | {CONFIG: ("link", "../../../srv/kp.yaml"), "/srv/kp.yaml": CONFIG_IPVS}
        assert moved(tree, files, "iptables", "config_file")["files"][0]["path"] == "/srv/kp.yaml"

    def test_relative_to_the_working_directory(self, tree):
        files = service("/usr/bin/kube-proxy --config kp.yaml", WorkingDirectory="/srv") | {"/srv/kp.yaml": CONFIG_IPVS}
        assert moved(tree, files, "iptables", "config_file")["where"][0]["path"] == "/srv/kp.yaml"

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({CONFIG: CONFIG_IPVS + "mode: iptables\n"}, f"{CONFIG}, line 7: the mode is given a second time, first in line 3"),
            ({CONFIG: CONFIG_IPVS + "x: [\n"}, f"{CONFIG}, line 7: "),
            ({CONFIG: CONFIG_IPVS.encode() + b"# \xff\n"}, f"{CONFIG}, line 7: not UTF-8 text"),
            ({CONFIG: CONFIG_IPVS + "\0"}, f"{CONFIG}, line 7: a zero byte, which no text has"),
            ({CONFIG: CONFIG_IPVS + "#" * 1024 * 1024}, f"{CONFIG} has 1048"),
            ({CONFIG: "mode: ipvs\n"}, f"{CONFIG}, no document of the kind KubeProxyConfiguration"),
            ({CONFIG: "kind: Other\n---\n" + CONFIG_IPVS}, f"{CONFIG}: kube-proxy takes another part of it"),
            ({CONFIG: ("link", "/usr/share/kp.yaml"), "/usr/share/kp.yaml": CONFIG_IPVS}, "/usr/share/kp.yaml belongs to a package or to the system"),
            ({CONFIG: ("link", CONFIG)}, f"{CONFIG} is a loop of symbolic links"),
            ({"/proc/mounts": "/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 /var/lib ext4 noatime,ro 0 0\n"}, f"{CONFIG} is on a file system that is mounted read-only"),
            (
                {f"{UNIT}.d/1.conf": f"[Service]\nExecStartPre=/bin/sh -c 'envsubst </srv/t >{CONFIG}'\n"},
                f"{UNIT}.d/1.conf, line 2: an ExecStartPre of kube-proxy.service",
            ),
            ({f"/proc/{PID}/stat": f"{PID} (kube-proxy) Z 1 0\n"}, "kube-proxy does not run"),
            (
                process(901, "kube-proxy", ["/usr/bin/kube-proxy"], "0::/system.slice/other.service"),
                "several kube-proxies run on this node, with the process ids 900, 901",
            ),
            ({f"/proc/{PID}/root": ("link", "/srv/root"), "/srv/root" + CONFIG: CONFIG_IPVS}, "kube-proxy has another root directory than the node"),
        ],
    )
    def test_refused(self, tree, change, sentence):
        result = look(tree, systemd_kube_proxy("1.28.3") | change, "iptables")
        (refused,) = result["refused"]
        assert refused.startswith(sentence)
        assert (result["where"], result["restart"], result["up_to_date"]) == ([], None, False)


class TestFlags:
    def test_continued_lines(self, tree):
        # githubixx: flags out of a sorted list, one a line
        files = service("/usr/local/bin/kube-proxy \\\n  --bind-address=0.0.0.0 \\\n  --proxy-mode=ipvs \\\n  --v=2")
        result = moved(tree, files, "iptables", "unit", daemon_reload=True, restart="kube-proxy.service")
        assert result["files"] == [{"path": UNIT, "lines": [{"line": "  --proxy-mode=ipvs \\", "replacement": "  --proxy-mode=iptables \\"}]}]

    @pytest.mark.parametrize(
        ("flag", "becomes"),
        [
            ("--proxy-mode ipvs", "--proxy-mode nftables"),
            ('--proxy-mode "ipvs"', '--proxy-mode "nftables"'),
            ("--proxy-mode='ipvs'", "--proxy-mode='nftables'"),
            ('"--proxy-mode=ipvs"', '"--proxy-mode=nftables"'),
            ("--proxy_mode=ipvs", "--proxy_mode=nftables"),
            ("--proxy-mode=", "--proxy-mode=nftables"),
            ("--proxy-mode \\\n   ipvs", "--proxy-mode \\\n   nftables"),
            # the last one decides
            ("--proxy-mode=iptables --proxy-mode=ipvs", "--proxy-mode=iptables --proxy-mode=nftables"),
        ],
    )
    @pytest.mark.parametrize("rest", ["", " --v=2"])
    def test_spellings(self, tree, flag, becomes, rest):
        files = service(f"/usr/bin/kube-proxy --hostname-override=n1 {flag}{rest}")
        result = moved(tree, files, "nftables", "unit")
        assert applied(files, result)[UNIT].decode() == files[UNIT].replace(flag, becomes)

    def test_comments_and_other_units_stay(self, tree):
        text = (
            "[Service]\n# ExecStart=/usr/bin/kube-proxy --proxy-mode=ipvs\nEnvironment=OLD=--proxy-mode=ipvs\nExecStart=/usr/bin/kube-proxy --proxy-mode=ipvs\n"
        )
        result = moved(tree, running() | unit(text), "iptables", "unit")
        assert lines_of(result) == [("ExecStart=/usr/bin/kube-proxy --proxy-mode=ipvs", "ExecStart=/usr/bin/kube-proxy --proxy-mode=iptables")]

    def test_a_drop_in_decides(self, tree):
        files = service("/usr/bin/kube-proxy --proxy-mode=ipvs") | {
            f"{UNIT}.d/9.conf": "[Service]\nExecStart=\nExecStart=/usr/bin/kube-proxy --proxy-mode=ipvs --v=4\n"
        }
        assert moved(tree, files, "iptables", "unit")["where"][0]["path"] == f"{UNIT}.d/9.conf"

    @pytest.mark.parametrize(
        ("more", "command", "path"),
        [
            ({"Environment": "KUBE_PROXY_ARGS=--proxy-mode=ipvs"}, "$KUBE_PROXY_ARGS", UNIT),
            ({"Environment": '"KUBE_PROXY_ARGS=--v=2 --proxy-mode=ipvs"'}, "$KUBE_PROXY_ARGS", UNIT),
            ({"Environment": "MODE=ipvs"}, "--proxy-mode=${MODE}", UNIT),
            ({"EnvironmentFile": "-/etc/kubernetes/proxy"}, "$KUBE_PROXY_ARGS", "/etc/kubernetes/proxy"),
            ({"EnvironmentFile": "/opt/kubernetes/cfg/kube-proxy.conf"}, "$KUBE_PROXY_OPTS", "/opt/kubernetes/cfg/kube-proxy.conf"),
            ({"EnvironmentFile": "/etc/kubernetes/mode"}, "--proxy-mode=$MODE", "/etc/kubernetes/mode"),
        ],
    )
    def test_environment(self, tree, more, command, path):
        files = service(f"/usr/bin/kube-proxy {command}", **more) | {
            "/etc/kubernetes/proxy": '# kube-proxy\nOTHER="--proxy-mode=ipvs"\nKUBE_PROXY_ARGS="--v=2 --proxy-mode=ipvs"\n',
            "/opt/kubernetes/cfg/kube-proxy.conf": 'KUBE_PROXY_OPTS="--logtostderr=false \\\n--v=2 \\\n--proxy-mode=ipvs \\\n--cluster-cidr=10.0.0.0/24"\n',
            "/etc/kubernetes/mode": "MODE=ipvs\n",
        }
        result = moved(tree, files, "iptables", "unit" if path == UNIT else "environment_file")
        assert result["where"][0]["path"] == path
        assert result["daemon_reload"] == (path == UNIT)
        assert len(result["where"]) == 1

    def test_the_same_line_twice_in_an_environment_file(self, tree):
        files = service("/usr/bin/kube-proxy $A $B", EnvironmentFile="/etc/x") | {"/etc/x": "A='\n--proxy-mode=ipvs\n'\nB='\n--proxy-mode=ipvs\n'\n"}
        result = moved(tree, files, "iptables", "environment_file")
        assert result["files"][0]["content"] == "A='\n--proxy-mode=ipvs\n'\nB='\n--proxy-mode=iptables\n'\n"

    def test_nothing_given_goes_where_kube_proxy_alone_reads(self, tree):
        # openSUSE: one file for all components, one for kube-proxy
        kubelet = {UNITS + "kubelet.service": "[Service]\nEnvironmentFile=-/etc/kubernetes/config\nExecStart=/usr/bin/kubelet $KUBE_LOG_LEVEL\n"}
        shared = {"/etc/kubernetes/config": 'KUBE_LOG_LEVEL="--v=0"\n'}
        text = "[Service]\nEnvironmentFile=-/etc/kubernetes/config\nEnvironmentFile=-/etc/kubernetes/proxy\n"
        text += "ExecStart=/usr/bin/kube-proxy $KUBE_LOG_LEVEL $KUBE_PROXY_ARGS\n"
        files = running() | unit(text, "/usr/lib/systemd/system/kube-proxy.service") | kubelet | shared
        result = moved(tree, files | {"/etc/kubernetes/proxy": 'KUBE_PROXY_ARGS=""\n'}, "ipvs", "environment_file")
        assert lines_of(result) == [('KUBE_PROXY_ARGS=""', 'KUBE_PROXY_ARGS="--proxy-mode=ipvs"')]
        result = moved(tree, files, "ipvs", "unit")
        assert result["files"][0]["path"] == UNIT + ".d/91-kubeproxy-ipvs-mode.conf"

    def test_a_unit_of_a_package_gets_a_drop_in(self, tree):
        path = "/usr/lib/systemd/system/kube-proxy.service"
        files = running() | unit("[Service]\nExecStart=-/usr/bin/kube-proxy \\\n  --proxy-mode=ipvs \\\n  --v=2\n", path)
        result = moved(tree, files, "iptables", "unit", daemon_reload=True)
        (entry,) = result["files"]
        assert entry["path"] == UNIT + ".d/91-kubeproxy-ipvs-mode.conf"
        assert entry["content"].split("\n")[1:] == ["[Service]", "ExecStart=", "ExecStart=-/usr/bin/kube-proxy --proxy-mode=iptables --v=2", ""]
        assert entry["mode"] == "0644"
        # The own file is written as a whole the next time.
        again = moved(tree, applied(files, result), "ipvs", "unit")
        assert "content" in again["files"][0] and again["files"][0]["path"] == entry["path"]

    def test_nothing_given_in_a_unit_of_the_owner(self, tree):
        result = moved(tree, service("/usr/bin/kube-proxy \\\n  --v=2"), "ipvs", "unit")
        assert lines_of(result) == [("  --v=2", "  --v=2 --proxy-mode=ipvs")]

    def test_a_shell_in_the_unit(self, tree):
        files = service("/bin/sh -c 'modprobe ip_vs; exec /usr/bin/kube-proxy --proxy-mode=ipvs --v=2 >>/var/log/kp 2>&1'")
        assert "--proxy-mode=iptables --v=2 >>" in moved(tree, files, "iptables", "unit")["where"][0]["becomes"]
        (refused,) = look(tree, service("/bin/sh -c 'exec /usr/bin/kube-proxy >>/var/log/kp'"), "ipvs")["refused"]
        assert "kube-proxy gets no --proxy-mode from kube-proxy.service" in refused

    @pytest.mark.parametrize("command", ["/opt/kubernetes/start.sh", "/bin/bash -e /opt/kubernetes/start.sh"])
    def test_a_script(self, tree, command):
        files = service(command) | {
            "/opt/kubernetes/start.sh": "#!/bin/sh\n# kube-proxy --proxy-mode=ipvs\nM=x\nexec /usr/bin/kube-proxy \\\n  --proxy-mode=ipvs \\\n  --v=2\n"
        }
        result = look(tree, files, "iptables")
        assert (result["kind"], lines_of(result)) == ("script", [("  --proxy-mode=ipvs \\", "  --proxy-mode=iptables \\")])
        assert look(tree, applied(files, result), "iptables")["up_to_date"]

    @pytest.mark.parametrize(
        ("script", "what"),
        [
            ("#!/bin/sh\nexec kube-proxy --proxy-mode=ipvs $EXTRA\n", "line 2: what $EXTRA stands for is known only when it runs"),
            ("#!/bin/sh\nif x; then\nkube-proxy --proxy-mode=ipvs\nelse\nkube-proxy\nfi\n", "it starts kube-proxy in several places, line 3, line 5"),
            ("#!/bin/sh\n/opt/other\n", "nothing in it is seen to start kube-proxy"),
            (b"\x7fELF", "by a command that is not understood: /opt/kubernetes/start.sh"),
        ],
    )
    def test_a_script_that_cannot_be_told(self, tree, script, what):
        (refused,) = look(tree, service("/opt/kubernetes/start.sh") | {"/opt/kubernetes/start.sh": script}, "iptables")["refused"]
        assert what in refused and "/opt/kubernetes/start.sh" in refused

    def test_cce(self, tree):
        path = "/opt/cloud/cce/kubernetes/kube-proxy/kube-proxy"
        files = service(f"{path[:-10]}start.sh kube-proxy") | {path: 'DAEMON_ARGS="--proxy-mode=ipvs --v=2"\n'}
        result = look(tree, files, "iptables")
        assert (result["kind"], result["where"][0]["path"]) == ("argument_file", path)
        assert look(tree, applied(files, result), "iptables")["up_to_date"]
        result = look(tree, files | {path: 'DAEMON_ARGS="--v=2"\n'}, "ipvs")
        assert lines_of(result) == [('DAEMON_ARGS="--v=2"', 'DAEMON_ARGS="--v=2 --proxy-mode=ipvs"')]

    def test_uk8s(self, tree):
        files = running() | unit(
            "[Service]\nExecStart=/usr/local/bin/kube-proxy --kubeconfig=/etc/kubernetes/kube-proxy.conf --proxy-mode=ipvs\n",
            "/usr/lib/systemd/system/kube-proxy.service",
        )
        assert moved(tree, files, "iptables", "unit")["files"][0]["path"].startswith(UNIT + ".d/")

    def test_charmed(self, tree):
        name, path = "snap.kube-proxy.daemon.service", "/var/snap/kube-proxy/current/args"
        files = running(argv=["/snap/kube-proxy/9/kube-proxy"], cgroup="0::/system.slice/" + name) | unit(
            "[Service]\nExecStart=/usr/bin/snap run kube-proxy.daemon\n", UNITS + name
        )
        assert lines_of(moved(tree, files | {path: '--proxy-mode "ipvs"\n--v=2\n'}, "iptables", "argument_file")) == [
            ('--proxy-mode "ipvs"', '--proxy-mode "iptables"')
        ]
        result = moved(tree, files | {path: "--v=2"}, "ipvs", "argument_file", restart=name)
        assert result["files"][0]["content"] == "--v=2\n--proxy-mode=ipvs\n"

    def test_a_unit_without_a_file(self, tree):
        (refused,) = look(tree, running(cgroup="0::/system.slice/odd.service"), "iptables")["refused"]
        assert refused == "the unit odd.service has no file on this node"


class TestMicroK8s:
    path = "/var/snap/microk8s/current/args/kube-proxy"
    node = running("kubelite", ["/snap/microk8s/6000/kubelite"], "0::/system.slice/snap.microk8s.daemon-kubelite.service")

    def test_given(self, tree):
        files = self.node | {self.path: "--kubeconfig=${SNAP_DATA}/p\n#--proxy-mode=ipvs\n--proxy-mode=ipvs\n"}
        result = moved(tree, files, "iptables", "argument_file", restart="snap.microk8s.daemon-kubelite.service")
        assert result["where"] == [{"path": self.path, "line": 3, "text": "--proxy-mode=ipvs", "becomes": "--proxy-mode=iptables"}]

    def test_not_given(self, tree):
        assert moved(tree, self.node | {self.path: "--v=2\r\n"}, "ipvs", "argument_file")["files"][0]["content"] == "--v=2\r\n--proxy-mode=ipvs\r\n"

    def test_no_file(self, tree):
        assert look(tree, self.node, "ipvs")["refused"] == [f"{self.path} cannot be read: there is no such file"]


K3S_UNIT = UNITS + "k3s.service"
K3S = running("k3s-server", ["/usr/local/bin/k3s server"], "0::/system.slice/k3s.service") | {"/etc/rancher/k3s/k3s.yaml": "kind: Config\n"}
K3S_YAML = "/etc/rancher/k3s/config.yaml"


def k3s(command="server", **files):
    """A k3s as its installer sets it up, and files of its configuration: config, or a name in config.yaml.d."""
    given = {K3S_YAML if name == "config" else f"{K3S_YAML}.d/{name}.yaml": text for name, text in files.items()}
    return (
        K3S
        | unit(f"[Service]\nType=notify\nEnvironmentFile=-/etc/systemd/system/k3s.service.env\nExecStart=/usr/local/bin/k3s \\\n    {command}\n", K3S_UNIT)
        | given
    )


class TestRancher:
    @pytest.mark.parametrize(
        ("files", "path", "change"),
        [
            (
                {"config": "kube-proxy-arg:\n  - proxy-mode=ipvs   # old\n  - ipvs-strict-arp=true\n"},
                K3S_YAML,
                ("  - proxy-mode=ipvs   # old", "  - proxy-mode=iptables   # old"),
            ),
            (
                {"config": 'kube-proxy-arg: ["proxy-mode=ipvs", "v=2"]\n'},
                K3S_YAML,
                ('kube-proxy-arg: ["proxy-mode=ipvs", "v=2"]', 'kube-proxy-arg: ["proxy-mode=iptables", "v=2"]'),
            ),
            ({"config": "kube-proxy-arg: --proxy-mode=ipvs\n"}, K3S_YAML, ("kube-proxy-arg: --proxy-mode=ipvs", "kube-proxy-arg: --proxy-mode=iptables")),
            (
                {"config": "kube-proxy-arg:\n- proxy-mode=ipvs\n", "5": "kube-proxy-arg:\n- 'proxy-mode=ipvs'\n"},
                f"{K3S_YAML}.d/5.yaml",
                ("- 'proxy-mode=ipvs'", "- 'proxy-mode=iptables'"),
            ),
            (
                {"config": "kube-proxy-arg: [v=2]\n", "5": "kube-proxy-arg+:\n- proxy-mode=ipvs\n"},
                f"{K3S_YAML}.d/5.yaml",
                ("- proxy-mode=ipvs", "- proxy-mode=iptables"),
            ),
            ({"command": "server \\\n\t'--kube-proxy-arg' \\\n\t'proxy-mode=ipvs' \\\n"}, K3S_UNIT, ("\t'proxy-mode=ipvs' \\", "\t'proxy-mode=iptables' \\")),
            (
                {"command": "server --kube-proxy-arg=proxy-mode=ipvs"},
                K3S_UNIT,
                ("    server --kube-proxy-arg=proxy-mode=ipvs", "    server --kube-proxy-arg=proxy-mode=iptables"),
            ),
            (
                {"command": "server --kube-proxy-arg proxy-mode=ipvs", "config": "kube-proxy-arg: proxy-mode=ipvs\n"},
                K3S_UNIT,
                ("    server --kube-proxy-arg proxy-mode=ipvs", "    server --kube-proxy-arg proxy-mode=iptables"),
            ),
        ],
    )
    def test_k3s(self, tree, files, path, change):
        result = moved(tree, k3s(**files), "iptables", "unit" if path == K3S_UNIT else "rancher_config", restart="k3s.service", daemon_reload=path == K3S_UNIT)
        assert (result["where"][0]["path"], lines_of(result)) == (path, [change])

    def test_k3s_with_another_file(self, tree):
        files = k3s("server --config /srv/k3s.yaml") | {"/srv/k3s.yaml": "kube-proxy-arg: proxy-mode=ipvs\n"}
        assert moved(tree, files, "nftables", "rancher_config")["where"][0]["path"] == "/srv/k3s.yaml"

    def test_k3s_under_openrc(self, tree):
        files = running("k3s-server", ["/usr/local/bin/k3s server"], "0::/") | {
            "/etc/rancher/k3s/k3s.yaml": "kind: Config\n",
            "/etc/init.d/k3s": "#!/sbin/openrc-run\ncommand_args=\"server \\\n    '--kube-proxy-arg=proxy-mode=ipvs' \\\n    >>/var/log/k3s.log 2>&1\"\n",
        }
        result = look(tree, files, "iptables")
        assert (result["where"][0]["path"], result["restart"], result["daemon_reload"], result["refused"]) == ("/etc/init.d/k3s", None, False, [])
        assert look(tree, applied(files, result), "iptables")["up_to_date"]

    def test_k3s_with_a_configuration_of_kube_proxy(self, tree):
        files = k3s(config="kube-proxy-arg: config=/srv/kp.yaml\n") | {"/srv/kp.yaml": CONFIG_IPVS}
        assert moved(tree, files, "nftables", "config_file", restart="k3s.service")["where"][0]["path"] == "/srv/kp.yaml"

    def version(self, tree, monkeypatch, version):
        monkeypatch.setattr(kube_proxy_mode, "read_kube_proxy", lambda *given: read_kube_proxy(*given) | {"version": version})

    @pytest.mark.parametrize("mode", ["ipvs", "nftables"])
    @pytest.mark.parametrize("config", ["token: x\n", "kube-proxy-arg: [ipvs-strict-arp=true]\n", "kube-proxy-arg: v=2\n"])
    def test_k3s_where_nothing_is_given(self, tree, monkeypatch, mode, config):
        self.version(tree, monkeypatch, "1.28.5+k3s1")
        result = moved(tree, k3s(config=config), mode, "rancher_config", daemon_reload=False)
        (entry,) = result["files"]
        assert entry["path"] == f"{K3S_YAML}.d/90-kubeproxy-ipvs.yaml"
        assert yaml.safe_load(entry["content"]) == {"kube-proxy-arg+": ["proxy-mode=" + mode]}
        assert entry["mode"] == "0600"
        again = moved(tree, applied(k3s(config=config), result), "iptables", "rancher_config")
        assert "content" in again["files"][0]

    def test_k3s_whose_own_mode_is_wanted(self, tree):
        assert look(tree, k3s(config="token: x\n"), "iptables")["up_to_date"]

    @pytest.mark.parametrize(("version", "what"), [("1.21.0+k3s1", "version 1.21.0+k3s1 is not known"), (None, "a version that cannot be told is not known")])
    def test_k3s_of_old(self, tree, monkeypatch, version, what):
        self.version(tree, monkeypatch, version)
        (refused,) = look(tree, k3s(config="token: x\n"), "ipvs")["refused"]
        assert what in refused and "kube-proxy-arg+" in refused

    def test_k3s_whose_later_file_replaces(self, tree, monkeypatch):
        self.version(tree, monkeypatch, "1.28.5+k3s1")
        (refused,) = look(tree, k3s(config="token: x\n", **{"99": "kube-proxy-arg: v=2\n"}), "ipvs")["refused"]
        assert refused.startswith("kube-proxy gets --proxy-mode=iptables from /etc/rancher/k3s/config.yaml and k3s.service")

    def test_k3s_whose_file_is_not_understood(self, tree):
        (refused,) = look(tree, k3s(config="token: x\nkube-proxy-arg: *a\n"), "iptables")["refused"]
        assert refused.startswith(f"{K3S_YAML}: not understood: line 2: ")

    rke2 = (
        running("kube-proxy", ["kube-proxy", "--proxy-mode=ipvs"], pod_cgroup(STATIC_UID))
        | {"/var/lib/rancher/rke2/agent/pod-manifests/kube-proxy.yaml": "{kind: Pod, spec: {containers: [{command: [kube-proxy, --proxy-mode=ipvs]}]}}\n"}
        | unit("[Service]\nEnvironmentFile=-/etc/default/%N\nExecStart=/usr/local/bin/rke2 server\n", "/usr/lib/systemd/system/rke2-server.service")
    )

    def test_rke2(self, tree):
        files = self.rke2 | {"/etc/rancher/rke2/config.yaml": "kube-proxy-arg:\n- proxy-mode=ipvs\n"}
        result = moved(tree, files, "iptables", "rancher_config", form="rke2", restart="rke2-server.service", daemon_reload=False)
        assert result["where"] == [{"path": "/etc/rancher/rke2/config.yaml", "line": 2, "text": "- proxy-mode=ipvs", "becomes": "- proxy-mode=iptables"}]

    def test_rke2_where_nothing_is_given(self, tree, monkeypatch):
        self.version(tree, monkeypatch, "1.28.5+rke2r1")
        assert moved(tree, self.rke2, "ipvs", "rancher_config")["files"][0]["path"] == "/etc/rancher/rke2/config.yaml.d/90-kubeproxy-ipvs.yaml"


class TestOthers:
    def test_daemonset(self, tree):
        result = look(tree, daemonset_kube_proxy("1.28.3"), "iptables")
        assert (result["kind"], result["files"], result["refused"], result["restart"], result["up_to_date"]) == ("configmap", [], [], None, False)
        assert look(tree, daemonset_kube_proxy("1.28.3"), "ipvs")["up_to_date"]

    @pytest.mark.parametrize(
        ("files", "sentence", "kind"),
        [
            (
                running(argv=["kube-proxy", "--proxy-mode=ipvs"], cgroup=pod_cgroup(STATIC_UID)),
                "kube-proxy runs as a static pod; whatever wrote its manifest on this node owns the mode",
                "manifest",
            ),
            (running(cgroup=f"0::/docker/{CONTAINER}"), "kube-proxy runs in a container without a kubelet", "unknown"),
            (running("openshift-sdn-node", ["openshift-sdn-node"], pod_cgroup(API_UID)), "kube-proxy is a part of openshift-sdn-node", "unknown"),
            (running(cgroup="0::/user.slice/user-0.slice/session-1.scope"), "kube-proxy was started by neither systemd nor the kubelet", "unknown"),
            (first_process(), "no kube-proxy runs on this node, and none is set up", "unknown"),
            ({}, "it cannot be told whether and how kube-proxy runs on this node", "unknown"),
        ],
    )
    def test_refused(self, tree, files, sentence, kind):
        result = look(tree, files, "nftables")
        (refused,) = result["refused"]
        assert refused.startswith(sentence)
        assert (result["kind"], result["files"]) == (kind, [])


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """run(option=...) -> (result, exit code), as Ansible runs it."""

    def call(**options):
        monkeypatch.setattr("ansible.module_utils.basic._ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode())
        monkeypatch.setattr("ansible.module_utils.basic._ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit) as ended:
            kube_proxy_mode.main()
        return json.loads(capsys.readouterr().out), ended.value.code

    return call


class TestModule:
    def test_run(self, run, tree):
        result, code = run(mode="iptables", root=tree(systemd_kube_proxy("1.28.3")).root)
        assert (code, result.pop("changed")) == (0, False)
        result.pop("invocation", None)
        check(result)

    def test_a_root_that_is_none(self, run, tmp_path):
        result, code = run(mode="iptables", root=str(tmp_path / "none"))
        assert (code, result["msg"]) == (1, f"root: {tmp_path}/none is not a directory on this host")

    def test_what_nobody_foresaw(self, run, tree, monkeypatch):
        monkeypatch.setattr(kube_proxy_mode, "find_mode", lambda *given: {}["odd"])
        result, code = run(mode="iptables", root=tree(systemd_kube_proxy("1.28.3")).root)
        assert (code, result["msg"]) == (1, "not understood: KeyError: 'odd'")

    def test_documentation(self):
        options = yaml.safe_load(kube_proxy_mode.DOCUMENTATION)["options"]
        assert tuple(options["mode"]["choices"]) == kube_proxy_mode.MODES
        yaml.safe_load(kube_proxy_mode.EXAMPLES)
