# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands, units, manifests and argument files of kube-proxy, and what only looks like one."""

from __future__ import annotations

import pytest
from node_trees import API_UID, CONFIG_IPVS, STATIC_UID, first_process, pod_cgroup, process

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy import read_kube_proxy
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_argument_files import snap_arguments
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_arguments import after_program, starts_k3s
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_pods import find_manifest
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_rancher import rancher_settings
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import Units, split_command
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.unit_commands import environment_of
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import facts as nodefacts
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import verdict

UNITS = "/etc/systemd/system/"


def read(tree, *parts):
    """read_kube_proxy on a tree of several parts with an ordinary first process."""
    files = first_process()
    for part in parts:
        files.update(part)
    node = tree(files)
    return read_kube_proxy(node, Units(node))


def unit(name, *lines):
    """A unit with these lines in [Service], enabled."""
    return {UNITS + name: "[Service]\n" + "\n".join(lines) + "\n", f"{UNITS}multi-user.target.wants/{name}": ("link", UNITS + name)}


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (["/opt/kube/bin/kube-proxy", "--v=2"], ["--v=2"]),
        (["kube-proxy"], []),
        (["/hyperkube", "proxy", "--v=2"], ["--v=2"]),
        (["./hyperkube", "--alsologtostderr", "kube-proxy", "--v=2"], ["--v=2"]),
        (["/hyperkube", "kubelet", "--v=2"], None),
        (["/hyperkube"], None),
        (["/go-runner", "--log-file=/var/log/kube-proxy", "--also-stdout", "/usr/local/bin/kube-proxy", "--v=2"], ["--v=2"]),
        (["/opt/rke-tools/entrypoint.sh", "kube-proxy", "--v=2"], ["--v=2"]),
        (["/bin/sh", "-c", "exec kube-proxy --v=2 1>>/var/log/kube-proxy.log 2>&1"], ["--v=2"]),
        (["/bin/sh", "-ec", "mkdir -p /x; exec /usr/bin/kube-proxy --v=2 > /var/log/x"], ["--v=2"]),
        (
            ["/bin/bash", "-c", "set -e\nA=1 exec /usr/bin/kube-proxy --config=/config/kube-proxy-config.yaml &\nwait"],
            ["--config=/config/kube-proxy-config.yaml"],
        ),
        (["/bin/sh", "-c", "sleep 5 && kube-proxy"], []),
        (["/bin/sh", "-c", "modprobe ip_vs | tee /x; hyperkube proxy --v=2"], ["--v=2"]),
        (["/usr/bin/nice", "-n", "-5", "/usr/bin/kube-proxy", "--v=2"], ["--v=2"]),
        (["/usr/bin/docker", "run", "--name", "kube-proxy", "--net=host", "rancher/hyperkube:v1.20.6", "kube-proxy", "--v=2"], ["--v=2"]),
        (["/usr/bin/docker", "stop", "kube-proxy"], None),
        (["/usr/bin/systemctl", "restart", "kube-proxy"], None),
        (["/usr/bin/pkill", "-x", "kube-proxy"], None),
        (["/usr/bin/timeout", "5", "pkill", "kube-proxy"], None),
        (["/bin/sh", "-c", "systemctl is-active kube-proxy && sysctl -w net.ipv4.vs.conn_reuse_mode=1"], None),
        (["/bin/sh", "-c", "while pgrep -x kube-proxy; do sleep 1; done"], None),
        (["/usr/bin/kubectl", "-n", "kube-system", "rollout", "restart", "ds", "kube-proxy"], None),
        (["/usr/bin/kube-proxy-exporter"], None),
        (["/bin/sh", "-c"], None),
        ([], None),
    ],
)
def test_commands(words, arguments):
    assert after_program(words) == arguments


class TestUnits:
    def test_a_unit_that_handles_kube_proxy_is_not_its_unit(self, tree):
        guard = unit("a-guard.service", "ExecStart=/bin/sh -c 'systemctl restart kube-proxy'")
        facts = read(tree, guard, unit("kube-proxy.service", "ExecStart=/usr/bin/kube-proxy --proxy-mode=ipvs"))
        assert (facts["form"], facts["unit"], facts["mode"]) == ("systemd", "kube-proxy.service", "ipvs")
        assert read(tree, guard)["form"] == "none"

    def test_of_two_units_the_enabled_one(self, tree):
        old = {UNITS + "a-proxy.service": "[Service]\nExecStart=/opt/old/kube-proxy --proxy-mode=iptables\n"}
        assert read(tree, old, unit("kube-proxy.service", "ExecStart=/usr/bin/kube-proxy --proxy-mode=ipvs"))["unit"] == "kube-proxy.service"

    def test_a_masked_unit_starts_nothing(self, tree):
        assert (
            read(
                tree,
                {
                    UNITS + "kube-proxy.service": ("link", "/dev/null"),
                    "/usr/lib/systemd/system/kube-proxy.service": "[Service]\nExecStart=/usr/bin/kube-proxy\n",
                },
            )["form"]
            == "none"
        )

    def test_value_of_several_lines_without_continuation(self, tree):
        options = {"/etc/kubernetes/kube-proxy.conf": 'KUBE_PROXY_OPTS="--logtostderr=false\n--v=2\n--proxy-mode=ipvs"\nOTHER=1\n'}
        facts = read(
            tree,
            options,
            unit("kube-proxy.service", "EnvironmentFile=/etc/kubernetes/kube-proxy.conf", "ExecStart=/opt/kubernetes/bin/kube-proxy $KUBE_PROXY_OPTS"),
        )
        assert (facts["mode"], facts["verbosity"]) == ("ipvs", 2)

    def test_flags_of_cce(self, tree):
        flags = {"/opt/cloud/cce/kubernetes/kube-proxy/kube-proxy": 'DAEMON_ARGS="--proxy-mode=ipvs --metrics-bind-address=10.0.0.7"\n'}
        facts = read(
            tree,
            flags,
            unit("kube-proxy.service", "ExecStart=/opt/cloud/cce/kubernetes/kube-proxy/start.sh kube-proxy"),
            process(9, "kube-proxy", ["kube-proxy", "--proxy-mode=ipvs"], "0::/system.slice/kube-proxy.service"),
        )
        assert (facts["form"], facts["mode"], facts["mode_source"]) == ("systemd", "ipvs", "flag")

    def test_snap_of_charmed_kubernetes_that_does_not_run(self, tree):
        files = {"/var/snap/kube-proxy/current/args": '--proxy-mode="ipvs"\n--v 2\n'}
        facts = read(tree, files, unit("snap.kube-proxy.daemon.service", "ExecStart=/usr/bin/snap run kube-proxy.daemon"))
        assert (facts["form"], facts["running"], facts["mode"], facts["mode_source"], facts["verbosity"]) == ("systemd", False, "ipvs", "argument_file", 2)

    def test_old_microk8s_has_a_unit_of_its_own(self, tree):
        running = process(
            9, "kube-proxy", ["/snap/microk8s/2000/kube-proxy", "--proxy-mode=ipvs"], "1:name=systemd:/system.slice/snap.microk8s.daemon-proxy.service"
        )
        facts = read(
            tree, running, {"/snap/microk8s/2000/meta/snap.yaml": "version: 'v1.19.7'\n", "/snap/microk8s/current/meta/snap.yaml": "version: v1.20.0\n"}
        )
        assert (facts["form"], facts["unit"], facts["version"], facts["vendor"]) == ("systemd", "snap.microk8s.daemon-proxy.service", "1.19.7", "microk8s")

    def test_another_root_directory(self, tree):
        files = {"/proc/9/root": ("link", "/srv/chroot"), "/srv/chroot/c.yaml": "mode: ipvs\n", "/c.yaml": "mode: iptables\n"}
        facts = read(tree, process(9, "kube-proxy", ["kube-proxy", "--config=/c.yaml"], "0::/system.slice/kube-proxy.service"), files)
        assert facts["mode"] == "ipvs"

    def test_config_relative_to_the_working_directory(self, tree):
        service = unit("kube-proxy.service", "WorkingDirectory=/srv/kp", "ExecStart=/usr/bin/kube-proxy --config conf.yaml")
        facts = read(tree, service, {"/srv/kp/conf.yaml": "mode: ipvs\n"})
        assert (facts["mode"], facts["config_path"]) == ("ipvs", "/srv/kp/conf.yaml")


class TestEnvironment:
    """Environment= and EnvironmentFile= of a unit."""

    def of(self, tree, *lines, files=None):
        node = tree({**unit("a@b-c.service", *lines), **(files or {})})
        return environment_of(node, Units(node).find("a@b-c.service"))

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ('"A=1 B=2"', {"A": "1 B=2"}),
            ('"A=1 B=2" B=3', {"A": "1 B=2", "B": "3"}),
            ("A=1 B=2", {"A": "1", "B": "2"}),
            ("'A=--x=1 --y'", {"A": "--x=1 --y"}),
            ("A=%N B=%i C=50%%", {"A": "a@b-c", "B": "b-c", "C": "50%"}),
            ("A", {}),
        ],
    )
    def test_variables(self, tree, text, expected):
        assert self.of(tree, "Environment=" + text) == expected

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("/etc/x.d/*.env", {"A": "2", "B": "1"}),
            ("-/etc/x.d/?.env", {"A": "2", "B": "1"}),
            ("/etc/*.d/b.*", {"A": "2"}),
            ("-/etc/none.d/*", {}),
            ("/etc/x.d", {}),
            ("/etc/sysconfig/%p-%i", {"C": "3"}),
            ("x.d/*.env", {}),
        ],
    )
    def test_files(self, tree, path, expected):
        files = {"/etc/x.d/b.env": "A=2\n", "/etc/x.d/a.env": "A=1\nB=1\n", "/etc/x.d/.c.env": "A=3\n", "/etc/sysconfig/a-b-c": "C=3\n"}
        assert self.of(tree, "EnvironmentFile=" + path, files=files) == expected


class TestWhatAShellFillsIn:
    @pytest.mark.parametrize(
        ("command", "mode"),
        [
            ("/usr/bin/kube-proxy --proxy-mode=${MODE}", "ipvs"),
            ("/usr/bin/kube-proxy $FLAGS", "ipvs"),
            ("/usr/bin/kube-proxy $NOTHING --v=2", "iptables"),
            ("/bin/sh -c 'exec kube-proxy --proxy-mode=$MODE'", "ipvs"),
            ("/bin/sh -c 'exec kube-proxy --proxy-mode=$OWN'", None),
            ("/bin/sh -c 'exec kube-proxy --v=2 $OWN'", None),
            ("/bin/sh -c 'exec kube-proxy --v=2 `cat /x`'", None),
            ("/bin/sh -c 'exec kube-proxy --proxy-mode $OWN'", None),
            ("/bin/sh -c 'exec kube-proxy --hostname-override=$(hostname) --proxy-mode=ipvs'", "ipvs"),
            ("/bin/sh -c 'exec kube-proxy --hostname-override $(hostname) --proxy-mode=ipvs'", "ipvs"),
        ],
    )
    def test_a_unit(self, tree, command, mode):
        facts = read(tree, unit("kube-proxy.service", "Environment=MODE=ipvs FLAGS=--proxy-mode=ipvs", "ExecStart=" + command))
        assert (facts["form"], facts["mode"]) == ("systemd", mode)

    def test_specifiers(self, tree):
        facts = read(tree, unit("kube-proxy.service", "ExecStart=/usr/bin/kube-proxy --config=/etc/%N.yaml"), {"/etc/kube-proxy.yaml": CONFIG_IPVS})
        assert (facts["config_path"], facts["mode"]) == ("/etc/kube-proxy.yaml", "ipvs")

    @pytest.mark.parametrize(
        ("command", "mode"),
        [
            ("/usr/local/bin/k3s server --kube-proxy-arg proxy-mode=ipvs", "ipvs"),
            ("/bin/sh -c 'modprobe ip_vs; exec /usr/local/bin/k3s server --kube-proxy-arg proxy-mode=ipvs >/var/log/k3s 2>&1'", "ipvs"),
            ("/bin/sh -c 'exec k3s agent --server https://x:6443'", "iptables"),
            ("/usr/bin/nice -n 5 /usr/local/bin/k3s agent --kube-proxy-arg=proxy-mode=ipvs", "ipvs"),
            ("/bin/sh -c 'k3s server --node-ip=$(hostname -I) --kube-proxy-arg proxy-mode=ipvs'", "ipvs"),
            ("/bin/sh -c 'k3s server --kube-proxy-arg proxy-mode=$MODE'", None),
            ("/bin/sh -c 'k3s server $ARGS'", None),
        ],
    )
    @pytest.mark.parametrize("runs", [True, False])
    def test_k3s(self, tree, command, mode, runs):
        running = process(9, "k3s-server", ["/usr/local/bin/k3s server"], "0::/system.slice/k3s.service") if runs else {}
        facts = read(tree, unit("k3s.service", "ExecStart=" + command), running, {"/etc/rancher/k3s/config.yaml": "node-name: a\n"})
        assert (facts["form"], facts["mode"]) == ("k3s", mode)

    def test_a_script_that_starts_k3s(self, tree):
        running = process(9, "k3s-server", ["/usr/local/bin/k3s server"], "0::/system.slice/k3s.service")
        facts = read(tree, unit("k3s.service", "ExecStart=/opt/start-k3s.sh"), running, {"/etc/rancher/k3s/config.yaml": "node-name: a\n"})
        assert (facts["form"], facts["mode"]) == ("k3s", None)

    @pytest.mark.parametrize(
        "command",
        ["/usr/local/bin/k3s kubectl get nodes", "/bin/sh -c 'k3s etcd-snapshot save'", "/usr/bin/timeout 5 killall k3s server"],
    )
    def test_other_uses_of_k3s(self, command):
        assert not starts_k3s(split_command(command))


class TestManifests:
    json_pod = '{"kind": "Pod", "spec": {"containers": [{"name": "p", "command": ["/hyperkube", "proxy"], "args": ["--v=2"]}]}}'
    pod = "kind: Pod\nspec:\n  containers:\n  - name: kube-proxy\n    image: k/kube-proxy:v1.28.3\n"

    @pytest.mark.parametrize(
        ("files", "arguments"),
        [
            ({"/etc/kubernetes/manifests/proxy.yaml": pod + "    command: [kube-proxy, --v=2]\n"}, ["--v=2"]),
            (
                {"/etc/kubernetes/manifests/kube-proxy.json": json_pod},
                ["--v=2"],
            ),
            ({"/etc/kubernetes/manifests/kube-proxy.yaml": pod + "    args: [--v=2]\n"}, ["--v=2"]),
            ({"/etc/kubernetes/manifests/kube-proxy.yaml": pod + "    command: [/start]\n    args: [--v=2]\n"}, None),
            ({"/srv/pods/kp.yaml": pod + "    command: [kube-proxy, --v=2]\n", "/var/lib/kubelet/config.yaml": "staticPodPath: /srv/pods/\n"}, ["--v=2"]),
            (
                {
                    "/data/rke2/agent/pod-manifests/kube-proxy.yaml": pod + "    command: [kube-proxy, --v=2]\n",
                    "/etc/rancher/rke2/config.yaml.d/9.yaml": "data-dir: /data/rke2\n",
                },
                ["--v=2"],
            ),
        ],
    )
    def test_found(self, tree, files, arguments):
        found = find_manifest(tree(files))
        assert found is not None and found.arguments == arguments

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "kind: Pod\n",
            "kind: Pod\nspec: kube-proxy\n",
            "kind: Pod\nspec: {containers: kube-proxy}\n",
            "kind: Pod\nspec:\n  containers:\n  - 7\n  - name: [kube-proxy]\n",
            "kind: ConfigMap\ndata: {kube-proxy: x}\n",
            "kind: Pod\nspec:\n  containers:\n  - {name: x, command: [kube-rbac-proxy, kube-proxy]}\n",
            b"\x00\xff kube-proxy",
        ],
    )
    def test_senseless_ones_are_none(self, tree, content):
        assert find_manifest(tree({"/etc/kubernetes/manifests/kube-proxy.yaml": content})) is None

    def test_one_that_is_not_understood_is_not_none(self, tree):
        anchor = self.pod.replace("kind: Pod\n", "kind: Pod\nx: &args [--proxy-mode=ipvs]\n") + "    command: [kube-proxy]\n    args: *args\n"
        files = {**first_process(), "/etc/kubernetes/manifests/kube-proxy.yaml": anchor}
        node = tree(files)
        facts = read_kube_proxy(node, Units(node))
        assert (facts["form"], facts["running"], facts["mode"], facts["manifest_path"]) == (
            "static_pod",
            False,
            None,
            "/etc/kubernetes/manifests/kube-proxy.yaml",
        )
        assert [entry["path"] for entry in node.unreadable] == ["/etc/kubernetes/manifests/kube-proxy.yaml"]
        assert verdict.in_ipvs_mode(nodefacts.read({"schema": 1, "kube_proxy": facts})) is None
        files["/etc/kubernetes/manifests/proxy.yaml"] = self.pod + "    command: [kube-proxy, --proxy-mode=ipvs]\n"
        assert read(tree, files)["mode"] == "ipvs"

    def test_hidden_files_are_not_read_by_the_kubelet(self, tree):
        assert find_manifest(tree({"/etc/kubernetes/manifests/.kube-proxy.yaml": self.pod + "    command: [kube-proxy]\n"})) is None

    def test_the_running_process_counts_not_its_changed_manifest(self, tree):
        files = {"/etc/kubernetes/manifests/kube-proxy.yaml": self.pod + "    command: [kube-proxy, --proxy-mode=iptables]\n"}
        facts = read(tree, files, process(9, "kube-proxy", ["kube-proxy", "--proxy-mode=ipvs"], pod_cgroup(STATIC_UID)))
        assert (facts["form"], facts["mode"]) == ("static_pod", "ipvs")

    def test_rke2_daemonset_of_old(self, tree):
        assert read(tree, process(9, "kube-proxy", ["kube-proxy", "--proxy-mode=ipvs"], pod_cgroup(API_UID)))["form"] == "daemonset"


class TestConfigMaps:
    volume = f"/pods/{API_UID}/volumes/kubernetes.io~configmap/"

    @pytest.mark.parametrize(
        "path",
        [
            "/var/lib/kubelet" + volume + "kube-proxy/config.conf",
            "/var/lib/kubelet" + volume + "kube-proxy-config/config",
            "/var/lib/k0s/kubelet" + volume + "kube-proxy/config.conf",
            "/var/lib/kubelet" + volume + "kube-proxy-worker/config.conf",
        ],
    )
    def test_a_pod_that_does_not_run(self, tree, path):
        facts = read(tree, {path: CONFIG_IPVS})
        assert (facts["form"], facts["running"], facts["mode"], facts["config_read_from"], facts["config_path"]) == ("daemonset", False, "ipvs", path, None)


class TestRancher:
    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            ({}, {}),
            ({"c": "a: 1\n", "c.d/1.yaml": "a: 2\n"}, {"a": 2}),
            ({"c": "a: [1]\n", "c.d/1.yaml": "a+: [2, 3]\n"}, {"a": [1, 2, 3]}),
            ({"c": "a: 1\n", "c.d/1.yaml": "a+: 2\n", "c.d/2.yaml": "a: 3\n"}, {"a": 3}),
            ({"c.d/1.yaml": "a: 1\n", "c.d/2.txt": "a: 2\n"}, {"a": 1}),
            ({"c": "- 1\n"}, {}),
            ({"c": "a: *x\n"}, None),
            ({"c": "1: 2\n"}, {1: 2}),
        ],
    )
    def test_merge(self, tree, files, expected):
        assert rancher_settings(tree({"/etc/" + name: text for name, text in files.items()}), "/etc/c") == expected


def test_arguments_of_a_snap(tree):
    path = "/var/snap/microk8s/6000/args/kube-proxy"
    node = tree({path: "# --proxy-mode=userspace\n--kubeconfig=${SNAP_DATA}/credentials/proxy.config --x=$SNAP_DATA/a\n--proxy-mode 'ipvs'\n"})
    data = "/var/snap/microk8s/6000"
    assert snap_arguments(node, path).words == [f"--kubeconfig={data}/credentials/proxy.config", f"--x={data}/a", "--proxy-mode", "ipvs"]


def test_microk8s_without_its_file_is_not_the_default(tree):
    running = process(500, "kubelite", ["/snap/microk8s/6000/kubelite"], "0::/system.slice/snap.microk8s.daemon-kubelite.service")
    facts = read(tree, running)
    assert (facts["form"], facts["mode"], facts["mode_source"]) == ("microk8s", None, None)
