# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-proxy in every form that it is deployed in, on trees of nodes."""

from __future__ import annotations

import json

import pytest
from node_trees import API_UID, CONFIG_IPVS, CONTAINER, KUBEASZ_UNIT, STATIC_UID, first_process, pod_cgroup, process

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy import read_kube_proxy
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.processes import Placement, cgroup_path, use_of
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import Units


def read(tree, *parts, **options):
    """read_kube_proxy on a tree of several parts, with an ordinary first process."""
    files = first_process()
    for part in parts:
        files.update(part)
    node = tree(files)
    return read_kube_proxy(node, Units(node), **options)


class TestOfUsers:
    """A user of the node may call a process kube-proxy, and choose its arguments, its control group and, with patience, its number."""

    false = process(300, "kube-proxy", ["/home/eve/kube-proxy", "--proxy-mode=iptables"], "0::/user.slice/user@1000.service/app.slice/sshd.service")
    true = process(900, "kube-proxy", ["/usr/bin/kube-proxy", "--proxy-mode=ipvs"], "0::/system.slice/kube-proxy.service")

    @staticmethod
    def status(pid, *users):
        """/proc/PID/status with these four user ids."""
        uids = "\t".join(str(user) for user in users)
        return {f"/proc/{pid}/status": f"Name:\tkube-proxy\nUmask:\t0022\nUid:\t{uids}\nGid:\t0\t0\t0\t0\n"}

    # Of a program with the set-user-ID bit, run under that name, the real one is the user's.
    @pytest.mark.parametrize("users", [(1000, 1000, 1000, 1000), (1000, 0, 0, 0)])
    def test_roots_is_taken(self, tree, users):
        facts = read(tree, self.false, self.true, self.status(300, *users), self.status(900, 0, 0, 0, 0))
        assert (facts["pid"], facts["unit"], facts["mode"], facts["others"]) == (900, "kube-proxy.service", "ipvs", [])

    def test_alone_it_is_none_and_that_is_said(self, tree):
        node = tree({**first_process(), **self.false, **self.status(300, 1000, 1000, 1000, 1000)})
        facts = read_kube_proxy(node, Units(node))
        assert (facts["running"], facts["form"], facts["unit"]) == (False, "none", None)
        assert node.unreadable == [{"path": "/proc/300", "reason": "a process named kube-proxy that belongs to user 1000, not to root, is not taken for it"}]

    def test_in_a_network_of_its_own_it_can_be_rootless(self, tree):
        links = {"/proc/1/ns/net": ("link", "net:[1]"), "/proc/300/ns/net": ("link", "net:[2]")}
        facts = read(tree, self.false, links, self.status(300, 1000, 1000, 1000, 1000))
        assert (facts["pid"], facts["network_namespace"]) == (300, "other")

    @pytest.mark.parametrize("text", ["", "Uid:\t1000\n", "Uid: x 1 2 3\n"])
    def test_what_cannot_be_told_counts(self, tree, text):
        assert read(tree, self.false, {"/proc/300/status": text})["pid"] == 300


class TestSystemd:
    unit = {
        "/etc/systemd/system/kube-proxy.service": KUBEASZ_UNIT,
        "/etc/systemd/system/multi-user.target.wants/kube-proxy.service": ("link", "/etc/systemd/system/kube-proxy.service"),
        "/var/lib/kube-proxy/kube-proxy-config.yaml": CONFIG_IPVS + 'metricsBindAddress: 0.0.0.0:10249\n',
    }
    running = process(
        900, "kube-proxy", ["/opt/kube/bin/kube-proxy", "--config=/var/lib/kube-proxy/kube-proxy-config.yaml"], "0::/system.slice/kube-proxy.service", 4250
    )

    def test_kubeasz(self, tree):
        facts = read(tree, self.unit, self.running)
        assert (facts["form"], facts["unit"], facts["running"], facts["vendor"]) == ("systemd", "kube-proxy.service", True, "kubeasz")
        assert (facts["mode"], facts["mode_source"], facts["mode_configured"], facts["mode_effective"]) == ("ipvs", "config_file", "ipvs", None)
        assert facts["start_time"] == 1700000042.5
        assert (facts["metrics_address"], facts["healthz_address"]) == ("0.0.0.0:10249", "0.0.0.0:10256")
        assert (facts["strict_arp"], facts["exclude_cidrs"]) == (True, ["10.103.97.2/32"])
        assert (facts["unit_type"], facts["unit_timeout_start_seconds"]) == ("simple", 90)

    def test_unit_of_another_name(self, tree):
        facts = read(
            tree, self.unit, process(900, "kube-proxy", ["/usr/bin/kube-proxy", "--proxy-mode=ipvs"], "1:name=systemd:/system.slice/acme-proxy.service")
        )
        assert (facts["form"], facts["unit"]) == ("systemd", "acme-proxy.service")

    def test_not_running_but_set_up(self, tree):
        facts = read(tree, self.unit)
        assert (facts["form"], facts["running"], facts["mode"], facts["unit"]) == ("systemd", False, "ipvs", "kube-proxy.service")

    def test_flags_from_environment_files(self, tree):
        unit = (
            "[Service]\n"
            "EnvironmentFile=-/etc/kubernetes/config\n"
            "EnvironmentFile=/etc/kubernetes/proxy\n"
            "ExecStart=/usr/bin/kube-proxy $KUBE_LOGTOSTDERR ${KUBE_MODE} $KUBE_PROXY_ARGS\n"
        )
        facts = read(
            tree,
            {
                "/usr/lib/systemd/system/kube-proxy.service": unit,
                "/etc/kubernetes/proxy": 'KUBE_MODE=--proxy-mode=ipvs\nKUBE_PROXY_ARGS="--v=2 \\\n --metrics-bind-address=10.0.0.7"\n',
            },
        )
        assert (facts["mode"], facts["mode_source"], facts["verbosity"], facts["metrics_address"]) == ("ipvs", "flag", 2, "10.0.0.7:10249")

    def test_drop_in_replaces_the_command(self, tree):
        drop_in = {
            "/etc/systemd/system/kube-proxy.service.d/10.conf": (
                "[Service]\nExecStart=\nExecStart=/opt/kube/bin/kube-proxy --proxy-mode=iptables\nExecStartPost=/bin/true\nTimeoutStartSec=0\n"
            )
        }
        facts = read(tree, self.unit, drop_in)
        assert (facts["mode"], facts["unit_exec_start_post"], facts["unit_timeout_start_seconds"]) == ("iptables", ["/bin/true"], None)
        assert facts["unit_drop_ins"] == ["/etc/systemd/system/kube-proxy.service.d/10.conf"]

    def test_hyperkube(self, tree):
        facts = read(
            tree,
            process(7, "hyperkube", ["/usr/local/bin/hyperkube", "kubelet", "--v=2"]),
            process(8, "hyperkube", ["/usr/local/bin/hyperkube", "proxy", "--proxy-mode", "ipvs"], "0::/system.slice/kube-proxy.service"),
        )
        assert (facts["pid"], facts["mode"]) == (8, "ipvs")

    def test_started_by_hand(self, tree):
        assert read(tree, process(8, "kube-proxy", ["./kube-proxy", "--proxy-mode=ipvs"], "0::/user.slice/user-0.slice/session-3.scope"))["form"] == "process"

    def test_config_beside_flags_wins(self, tree):
        argv = ["kube-proxy", "--config=/c.yaml", "--proxy-mode=ipvs", "--hostname-override=a", "--v=4", "--kubeconfig=/k"]
        facts = read(tree, process(8, "kube-proxy", argv, "0::/system.slice/kube-proxy.service"), {"/c.yaml": "mode: iptables\n"})
        assert (facts["mode"], facts["ignored_flags"], facts["verbosity"]) == ("iptables", ["--proxy-mode=ipvs", "--kubeconfig=/k"], 4)

    def test_a_config_that_cannot_be_read_gives_no_mode(self, tree):
        facts = read(tree, process(8, "kube-proxy", ["kube-proxy", "--config=/gone.yaml", "--proxy-mode=ipvs"], "0::/system.slice/kube-proxy.service"))
        assert (facts["mode"], facts["mode_source"]) == (None, None)


class TestPods:
    manifest = (
        "kind: Pod\n"
        "spec:\n"
        "  containers:\n"
        "  - name: kube-proxy\n"
        "    image: registry.k8s.io/kube-proxy-amd64:v1.28.3\n"
        "    command:\n"
        "    - /go-runner\n"
        "    - --log-file=/var/log/kube-proxy.log\n"
        "    - --also-stdout\n"
        "    - /usr/local/bin/kube-proxy\n"
        "    - --proxy-mode=ipvs\n"
        "    - --v=2\n"
    )

    def test_kubeadm_daemonset(self, tree):
        running = process(
            900, "kube-proxy", ["/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf", "--hostname-override=n1"], pod_cgroup(API_UID)
        )
        inside = {
            "/proc/900/root/var/lib/kube-proxy/config.conf": ("link", "..data/config.conf"),
            "/proc/900/root/var/lib/kube-proxy/..data": ("link", "..2024"),
            "/proc/900/root/var/lib/kube-proxy/..2024/config.conf": CONFIG_IPVS,
            f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{CONTAINER}/config.json": json.dumps(
                {"annotations": {"io.kubernetes.cri.image-name": "registry.k8s.io/kube-proxy:v1.26.3@sha256:" + "0" * 64}}
            ),
        }
        facts = read(tree, running, inside)
        assert (facts["form"], facts["pod_uid"], facts["container_id"]) == ("daemonset", API_UID, CONTAINER)
        assert (facts["mode"], facts["config_read_from"]) == ("ipvs", "/proc/900/root/var/lib/kube-proxy/config.conf")
        assert (facts["version"], facts["version_source"]) == ("1.26.3", "image")

    def test_config_in_the_kubelets_volume(self, tree):
        running = process(900, "kube-proxy", ["/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf"], pod_cgroup(API_UID))
        facts = read(tree, running, {f"/var/lib/kubelet/pods/{API_UID}/volumes/kubernetes.io~configmap/kube-proxy/config.conf": CONFIG_IPVS})
        assert facts["mode"] == "ipvs"

    def test_kops_static_pod_behind_go_runner(self, tree):
        facts = read(
            tree,
            process(
                899,
                "go-runner",
                ["/go-runner", "--log-file=/var/log/kube-proxy.log", "/usr/local/bin/kube-proxy", "--proxy-mode=ipvs"],
                pod_cgroup(STATIC_UID),
            ),
            process(900, "kube-proxy", ["/usr/local/bin/kube-proxy", "--proxy-mode=ipvs", "--v=2"], pod_cgroup(STATIC_UID)),
            {"/etc/kubernetes/manifests/kube-proxy.manifest": self.manifest},
        )
        assert (facts["pid"], facts["form"], facts["mode"], facts["version"]) == (900, "static_pod", "ipvs", "1.28.3")
        assert facts["manifest_path"] == "/etc/kubernetes/manifests/kube-proxy.manifest"

    def test_static_pod_that_does_not_run(self, tree):
        facts = read(tree, {"/etc/kubernetes/manifests/kube-proxy.manifest": self.manifest})
        assert (facts["form"], facts["running"], facts["mode"], facts["version"]) == ("static_pod", False, "ipvs", "1.28.3")

    def test_a_shell_in_the_manifest(self, tree):
        manifest = (
            'kind: Pod\n'
            'spec:\n'
            '  containers:\n'
            '  - name: kube-proxy\n'
            '    command: [/bin/sh, -c, "exec kube-proxy --proxy-mode=ipvs --v=2 1>>/var/log/kube-proxy.log 2>&1"]\n'
        )
        assert read(tree, {"/etc/kubernetes/manifests/kube-proxy.manifest": manifest})["mode"] == "ipvs"

    def test_rke2(self, tree):
        manifest = (
            "kind: Pod\n"
            "spec:\n"
            "  containers:\n"
            "  - name: kube-proxy\n"
            "    args:\n"
            "    - --proxy-mode=ipvs\n"
            "    - --healthz-bind-address=127.0.0.1\n"
            "    command:\n"
            "    - kube-proxy\n"
            "    image: index.docker.io/rancher/hardened-kubernetes:v1.28.5-rke2r1-build20231220\n"
        )
        facts = read(
            tree,
            process(900, "kube-proxy", ["kube-proxy", "--proxy-mode=ipvs", "--healthz-bind-address=127.0.0.1"], pod_cgroup(STATIC_UID)),
            {"/var/lib/rancher/rke2/agent/pod-manifests/kube-proxy.yaml": manifest},
        )
        assert (facts["form"], facts["version"], facts["vendor"]) == ("rke2", "1.28.5-rke2r1-build20231220", "rke2")
        assert facts["healthz_address"] == "127.0.0.1:10256"

    def test_rke1_container(self, tree):
        facts = read(
            tree,
            process(9, "kube-proxy", ["kube-proxy", "--proxy-mode=ipvs"], f"0::/system.slice/docker-{CONTAINER}.scope"),
            {f"/var/lib/docker/containers/{CONTAINER}/config.v2.json": json.dumps({"Config": {"Image": "rancher/hyperkube:v1.20.6-rancher1"}})},
        )
        assert (facts["form"], facts["version"]) == ("container", "1.20.6-rancher1")

    def test_sealos_address_without_port(self, tree):
        running = process(900, "kube-proxy", ["kube-proxy", "--config=/c"], pod_cgroup(API_UID))
        assert read(tree, running, {"/proc/900/root/c": "mode: ipvs\nmetricsBindAddress: 0.0.0.0\n"})["metrics_address"] == "0.0.0.0:10249"

    def test_mode_and_version_from_the_pods_log(self, tree):
        log = (
            "2024-01-01T00:00:00Z stderr F I0101 00:00:00.000000       1 server_others.go:259] Using ipvs Proxier.\n"
            "2024-01-01T00:00:01Z stderr F I0101 00:00:01.000000       1 server.go:650] Version: v1.20.6-tke.33\n"
        )
        running = process(900, "kube-proxy", ["kube-proxy", "--config=/unreadable"], pod_cgroup(API_UID))
        facts = read(
            tree,
            running,
            {
                f"/var/log/pods/kube-system_kube-proxy-x7k2p_{API_UID}/kube-proxy/0.log": "old\n",
                f"/var/log/pods/kube-system_kube-proxy-x7k2p_{API_UID}/kube-proxy/1.log": log,
            },
        )
        assert (facts["mode"], facts["mode_source"], facts["version"], facts["version_source"]) == ("ipvs", "log", "1.20.6-tke.33", "log")


class TestEmbedded:
    unit = (
        "[Service]\n"
        "Type=notify\n"
        "EnvironmentFile=-/etc/systemd/system/k3s.service.env\n"
        "ExecStart=/usr/local/bin/k3s \\\n"
        "    server \\\n"
        "\t'--kube-proxy-arg=ipvs-strict-arp=true' \\\n"
        "\n"
        "TimeoutStartSec=0\n"
    )
    k3s = process(500, "k3s-server", ["/usr/local/bin/k3s server"], "0::/system.slice/k3s.service")

    def test_k3s_arguments_from_files_and_unit(self, tree):
        facts = read(
            tree,
            self.k3s,
            {
                "/etc/systemd/system/k3s.service": self.unit,
                "/etc/rancher/k3s/config.yaml": "kube-proxy-arg:\n  - proxy-mode=iptables\n",
                "/etc/rancher/k3s/config.yaml.d/10.yaml": "kube-proxy-arg: [proxy-mode=ipvs]\n",
                "/etc/rancher/k3s/config.yaml.d/20.yml": "kube-proxy-arg+: v=2\n",
                "/etc/rancher/k3s/config.yaml.d/30.txt": "kube-proxy-arg: [proxy-mode=userspace]\n",
            },
        )
        assert (facts["form"], facts["unit"], facts["mode"], facts["mode_source"]) == ("k3s", "k3s.service", "ipvs", "argument_file")
        assert (facts["strict_arp"], facts["verbosity"], facts["unit_type"], facts["unit_timeout_start_seconds"]) == (True, 2, "notify", None)
        assert (facts["healthz_address"], facts["metrics_address"]) == ("127.0.0.1:10256", "127.0.0.1:10249")

    def test_k3s_default_is_iptables(self, tree):
        facts = read(tree, self.k3s, {"/etc/rancher/node/password": "x"})
        assert (facts["mode"], facts["mode_source"], facts["config_path"]) == ("iptables", "default", None)

    def test_k3s_without_its_configuration_in_the_tree_is_not_known(self, tree):
        facts = read(tree, self.k3s, {"/etc/systemd/system/k3s.service": self.unit})
        assert (facts["form"], facts["mode"], facts["mode_source"]) == ("k3s", None, None)

    def test_k3s_mode_on_the_command_line_wins(self, tree):
        unit = self.unit.replace("ipvs-strict-arp=true", "proxy-mode=ipvs")
        facts = read(tree, self.k3s, {"/etc/systemd/system/k3s.service": unit, "/etc/rancher/k3s/config.yaml": "kube-proxy-arg: [proxy-mode=iptables]\n"})
        assert (facts["mode"], facts["mode_source"]) == ("ipvs", "flag")

    def test_k3s_file_named_in_an_environment_file(self, tree):
        environment = {"/etc/systemd/system/k3s.service.env": "K3S_CONFIG_FILE=/srv/k3s.yaml\n", "/srv/k3s.yaml": "kube-proxy-arg: [proxy-mode=ipvs]\n"}
        assert read(tree, self.k3s, {"/etc/systemd/system/k3s.service": self.unit, **environment})["mode"] == "ipvs"

    def test_k3s_hands_a_config_file_on(self, tree):
        files = {"/etc/rancher/k3s/config.yaml": "kube-proxy-arg: [config=/srv/kp.yaml, proxy-mode=iptables]\n", "/srv/kp.yaml": "mode: ipvs\n"}
        facts = read(tree, self.k3s, files)
        assert (facts["mode"], facts["mode_source"], facts["config_path"], facts["healthz_address"]) == ("ipvs", "config_file", "/srv/kp.yaml", "0.0.0.0:10256")
        assert "--proxy-mode=iptables" in facts["ignored_flags"]

    @pytest.mark.parametrize("broken", ["kube-proxy-arg: &x [proxy-mode=ipvs]\n", ("link", "config.yaml")])
    def test_k3s_configuration_that_cannot_be_read_is_not_the_default(self, tree, broken):
        assert read(tree, self.k3s, {"/etc/rancher/k3s/config.yaml": broken})["mode"] is None

    def test_k3s_under_openrc(self, tree):
        script = 'command="/usr/local/bin/k3s"\ncommand_args="server \\\n    \'--kube-proxy-arg=proxy-mode=ipvs\' \\\n    >>/var/log/k3s.log 2>&1"\n'
        running = process(500, "k3s-server", ["/usr/local/bin/k3s server"], "0::/k3s")
        facts = read(tree, running, {"/etc/init.d/k3s": script, "/etc/rancher/k3s/k3s.yaml": ""})
        assert (facts["form"], facts["unit"], facts["mode"]) == ("k3s", None, "ipvs")

    @pytest.mark.parametrize("flag", ["--disable-kube-proxy", "--disable-kube-proxy=true", "--disable-agent"])
    def test_k3s_switched_off_on_the_command_line(self, tree, flag):
        files = {"/etc/systemd/system/k3s.service": f"[Service]\nExecStart=/usr/local/bin/k3s server {flag}\n", "/etc/rancher/k3s/k3s.yaml": ""}
        facts = read(tree, self.k3s, files)
        assert (facts["form"], facts["running"], facts["pid"], facts["mode"]) == ("none", False, None, None)

    def test_kube_proxy_beside_a_k3s_without_one(self, tree):
        running = process(900, "kube-proxy", ["kube-proxy", "--proxy-mode=ipvs"], pod_cgroup(API_UID))
        facts = read(tree, self.k3s, running, {"/etc/rancher/k3s/config.yaml": 'disable-kube-proxy: "true"\n'})
        assert (facts["form"], facts["pid"], facts["mode"]) == ("daemonset", 900, "ipvs")

    def test_k3s_with_kube_proxy_switched_off(self, tree):
        assert read(tree, self.k3s, {"/etc/rancher/k3s/config.yaml": "disable-kube-proxy: true\n"})["form"] == "none"

    def test_k3s_agent_with_another_config(self, tree):
        unit = "[Service]\nExecStart=/usr/local/bin/k3s agent --config /etc/k3s.yaml\n"
        facts = read(
            tree,
            process(500, "k3s-agent", ["/usr/local/bin/k3s agent"], "0::/system.slice/k3s-agent.service"),
            {"/etc/systemd/system/k3s-agent.service": unit, "/etc/k3s.yaml": "kube-proxy-arg: --proxy-mode=ipvs\n"},
        )
        assert (facts["form"], facts["mode"]) == ("k3s", "ipvs")

    def test_microk8s(self, tree):
        facts = read(
            tree,
            process(
                500,
                "kubelite",
                ["/snap/microk8s/6000/kubelite", "--proxy-args-file=/var/snap/microk8s/6000/args/kube-proxy"],
                "0::/system.slice/snap.microk8s.daemon-kubelite.service",
            ),
            {
                "/var/snap/microk8s/6000/args/kube-proxy": "# by hand\n--proxy-mode ipvs\n--healthz-bind-address=127.0.0.1\n",
                "/snap/microk8s/current/meta/snap.yaml": "name: microk8s\nversion: v1.28.3\n",
            },
        )
        assert (facts["form"], facts["mode"], facts["version"], facts["unit"]) == ("microk8s", "ipvs", "1.28.3", "snap.microk8s.daemon-kubelite.service")

    def test_openshift_sdn_is_never_ipvs(self, tree):
        facts = read(tree, process(500, "openshift-sdn-node", ["openshift-sdn-node", "--node-name", "x", "--proxy-config=/c"], pod_cgroup(API_UID)))
        assert (facts["form"], facts["mode"]) == ("openshift_sdn", "iptables")


class TestOthers:
    def test_no_kube_proxy(self, tree):
        facts = read(
            tree,
            process(5, "kubectl", ["kubectl", "proxy"]),
            process(6, "kube-rbac-proxy", ["kube-rbac-proxy"]),
            process(7, "cloud-sql-proxy", ["cloud-sql-proxy"]),
            process(8, "sh", ["sh", "-c", "kube-proxy --cleanup; sleep 9"]),
        )
        assert (facts["form"], facts["running"], facts["mode"]) == ("none", False, None)

    def test_kube_router(self, tree):
        assert read(tree, process(5, "kube-router", ["/usr/local/bin/kube-router"]))["kube_router"] is True

    def test_name_in_argv_alone(self, tree):
        facts = read(tree, process(5, "proxy-1.20", ["/opt/bin/kube-proxy", "--proxy-mode=ipvs"], "0::/system.slice/kube-proxy.service"))
        assert (facts["pid"], facts["mode"]) == (5, "ipvs")

    def test_the_one_in_the_hosts_namespace_comes_first(self, tree):
        files = {"/proc/1/ns/net": ("link", "net:[1]"), "/proc/50/ns/net": ("link", "net:[2]"), "/proc/60/ns/net": ("link", "net:[1]")}
        facts = read(
            tree,
            process(50, "kube-proxy", ["kube-proxy", "--proxy-mode=iptables"], pod_cgroup(API_UID)),
            process(60, "kube-proxy", ["kube-proxy", "--proxy-mode=ipvs"], "0::/system.slice/kube-proxy.service"),
            files,
        )
        assert (facts["pid"], facts["network_namespace"], [other["pid"] for other in facts["others"]]) == (60, "host", [50])

    def test_sosreport_has_ps_alone(self, tree):
        ps = (
            "USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n"
            "root         1  0.0  0.1 1 1 ?        -    Jan01   0:05 /usr/lib/systemd/systemd --switched-root\n"
            "root         -  0.0    -   - - -        Ss   Jan01   0:05 -\n"
            "root       900  0.2  0.4 747996 41212 ?      -    Jan01  12:05 /usr/local/bin/kube-proxy --config=/var/lib/kube-proxy/config.conf\n"
        )
        groups = (
            f"    PID    PPID USER     GROUP        LWP NLWP START COMMAND         CGROUP\n"
            f"    900     880 root     root         900   12 Jan01 kube-proxy      {pod_cgroup(API_UID)}\n"
        )
        node = tree(
            {
                "/sos_commands/process/ps_auxwwwm": ps,
                "/sos_commands/process/ps_axo_pid_ppid_user_group_lwp_nlwp_start_time_comm_cgroup": groups,
                f"/var/lib/kubelet/pods/{API_UID}/volumes/kubernetes.io~configmap/kube-proxy/config.conf": CONFIG_IPVS,
                "/proc/900/status": "Name:\tkube-proxy\nPid:\t900\n",
            }
        )
        facts = read_kube_proxy(node, Units(node))
        assert (facts["running"], facts["pid"], facts["form"], facts["mode"]) == (True, 900, "daemonset", "ipvs")

    def test_a_tree_without_processes(self, tree):
        node = tree({"/etc/os-release": "ID=x\n"})
        facts = read_kube_proxy(node, Units(node))
        assert (facts["form"], facts["running"], facts["mode"]) == (None, None, None)


UID_UNDERSCORED = API_UID.replace("-", "_")


@pytest.mark.parametrize(
    ("path", "kind", "static", "unit"),
    [
        (f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_UNDERSCORED}.slice/cri-containerd-{CONTAINER}.scope", "pod", False, None),
        (f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{STATIC_UID}.slice/crio-{CONTAINER}.scope", "pod", True, None),
        (f"/kubepods.slice/kubepods-pod{STATIC_UID}.slice/docker-{CONTAINER}.scope", "pod", True, None),
        (f"/kubepods/besteffort/pod{API_UID}/{CONTAINER}", "pod", False, None),
        (f"/kubepods/burstable/pod{STATIC_UID}/crio-{CONTAINER}", "pod", True, None),
        (f"/system.slice/containerd.service/kubepods-besteffort-pod{UID_UNDERSCORED}.slice:cri-containerd:{CONTAINER}", "pod", False, "containerd.service"),
        (
            (
                f""
                "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
                f"kubelet-kubepods-besteffort-pod{UID_UNDERSCORED}.slice/cri-containerd-{CONTAINER}.scope"
            ),
            "pod",
            False,
            None,
        ),
        (f"/docker/{CONTAINER}", "container", False, None),
        (f"/system.slice/docker-{CONTAINER}.scope", "container", False, None),
        (f"/docker/{CONTAINER}/kubelet/kubepods/besteffort/pod{API_UID}/{'d' * 64}", "pod", False, None),
        ("/system.slice/kube-proxy.service", "unit", False, "kube-proxy.service"),
        ("/system.slice/snap.microk8s.daemon-kubelite.service", "unit", False, "snap.microk8s.daemon-kubelite.service"),
        ("/system.slice/k3s.service", "unit", False, "k3s.service"),
        ("/system.slice/system-proxy.slice/proxy@1.service/init", "unit", False, "proxy@1.service"),
        ("/user.slice/user-0.slice/session-3.scope", None, False, None),
        ("/", None, False, None),
        (None, None, False, None),
    ],
)
def test_control_group(path, kind, static, unit):
    placement = Placement(path)
    assert (placement.kind, placement.static, placement.unit) == (kind, static, unit)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0::/system.slice/kube-proxy.service\n", "/system.slice/kube-proxy.service"),
        ("12:memory:/system.slice/x.service\n1:name=systemd:/system.slice/kube-proxy.service\n0::/\n", "/system.slice/kube-proxy.service"),
        ("4:cpu,cpuacct:/kubepods/pod1\n3:pids:/\n", "/kubepods/pod1"),
        ("nonsense", None),
    ],
)
def test_the_control_group_that_tells_most(text, expected):
    assert cgroup_path(text) == expected


@pytest.mark.parametrize(
    ("name", "argv", "expected"),
    [
        ("kube-proxy", [], "kube-proxy"),
        ("hyperkube", ["/hyperkube", "kube-proxy", "--v=2"], "kube-proxy"),
        ("hyperkube", ["/hyperkube", "--v=2", "proxy"], "kube-proxy"),
        ("hyperkube", ["/hyperkube", "kubelet"], None),
        ("openshift-sdn-n", ["openshift-sdn-node"], "openshift_sdn"),
        ("k3s-server", ["/usr/local/bin/k3s server"], "k3s"),
        ("go-runner", ["/go-runner", "/usr/local/bin/kube-proxy"], None),
        ("pause", ["/pause"], None),
        (None, ["/usr/local/bin/kube-proxy", "--v=2"], "kube-proxy"),
        (None, ["/bin/sh", "-c", "kube-proxy"], None),
        (None, ["/usr/local/bin/k3s agent"], "k3s"),
        (None, [], None),
    ],
)
def test_what_a_process_is(name, argv, expected):
    assert use_of(name, argv) == expected
