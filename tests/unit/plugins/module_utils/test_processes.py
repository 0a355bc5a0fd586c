# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which processes of a node are kube-proxy, and what must not be taken for it."""

from __future__ import annotations

import pytest
from node_trees import API_UID, BOOT_TIME, CONTAINER, STATIC_UID, first_process, pod_cgroup, process

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.processes import Placement, cgroup_path, read_processes, use_of

UID = API_UID.replace("-", "_")
PS = "/sos_commands/process/"


def found(tree, *parts):
    """[(pid, use)] of a tree with an ordinary first process."""
    files = first_process()
    for part in parts:
        files.update(part)
    return [(entry.pid, entry.uses) for entry in read_processes(tree(files))[0]]


@pytest.mark.parametrize(
    "argv",
    [
        ["pause"],
        ["kubectl", "proxy"],
        ["kube-rbac-proxy", "--v=2"],
        ["cloud-sql-proxy"],
        ["/opt/rke-tools/entrypoint.sh", "kube-proxy"],
        ["/bin/sh", "-c", "kube-proxy --v=2; sleep 1"],
        ["/go-runner", "--log-file=/var/log/kube-proxy.log", "/usr/local/bin/kube-proxy"],
        ["tail", "-f", "/var/log/kube-proxy"],
        ["kube-proxy-exporter"],
        ["vim", "/opt/kube/bin/kube-proxy"],
        ["/usr/local/bin/k3s", "kubectl", "get", "nodes"],
        ["/usr/local/bin/k3s", "ctr", "images", "ls"],
        ["/hyperkube", "kube-apiserver"],
        [],
    ],
)
def test_false_friends(tree, argv):
    name = argv[0].rpartition("/")[2] if argv else "x"
    assert found(tree, process(70, name, argv)) == []


@pytest.mark.parametrize("argv", [["/bin/bash", "/usr/local/bin/kube-proxy", "--v=2"], ["/usr/bin/python3", "/usr/bin/kube-proxy"]])
def test_a_script_of_that_name_is_not_the_program_that_it_starts(tree, argv):
    assert found(tree, process(70, "kube-proxy", argv), process(71, "kube-proxy", ["/opt/kube-proxy", "--v=2"])) == [(71, "kube-proxy")]


def test_what_has_ended_is_not_running(tree):
    ended = process(70, "kube-proxy", [])
    ended["/proc/70/stat"] = ended["/proc/70/stat"].replace(") S ", ") Z ")
    assert found(tree, ended) == []


def test_a_name_with_parentheses_and_blanks(tree):
    running = process(70, "kube-proxy", ["kube-proxy"], starttime=1234)
    running["/proc/70/stat"] = running["/proc/70/stat"].replace("(kube-proxy)", "(a) S 1 (b c) R)")
    (entry,) = read_processes(tree({**first_process(), **running}))[0]
    assert entry.start_time == BOOT_TIME + 12.34


@pytest.mark.parametrize(
    ("comm", "cmdline", "use"),
    [
        # k3s fills the room of its former arguments with zero bytes.
        ("k3s-server", b"/usr/local/bin/k3s server\0\0\0\0\0\0\0", "k3s"),
        ("k3s-agent", b"/usr/local/bin/k3s agent", "k3s"),
        ("k3s", b"/usr/local/bin/k3s\0server\0--docker\0", "k3s"),
        ("k3s", b"/usr/local/bin/k3s\0etcd-snapshot\0save\0", None),
        ("kubelite", b"/snap/microk8s/6000/kubelite\0--proxy-args-file=x\0", "microk8s"),
        ("openshift-sdn-n", b"openshift-sdn-node\0--node-name\0x\0", "openshift_sdn"),
        ("hyperkube", b"/hyperkube\0--v=2\0proxy\0", "kube-proxy"),
        ("kube-proxy", b"\xff\xfe\0\x80\0", "kube-proxy"),
        ("kube-proxy", b"", "kube-proxy"),
        ("exe", b"/usr/bin/kube-proxy\0", "kube-proxy"),
    ],
)
def test_programs(tree, comm, cmdline, use):
    running = process(70, comm, [])
    running["/proc/70/cmdline"] = cmdline
    assert found(tree, running) == ([(70, use)] if use else [])


def test_title_of_k3s_is_one_argument(tree):
    running = process(70, "k3s-server", [])
    running["/proc/70/cmdline"] = b"/usr/local/bin/k3s server\0\0\0\0"
    assert read_processes(tree({**first_process(), **running}))[0][0].argv == ["/usr/local/bin/k3s server"]


def test_binary_bytes_everywhere(tree):
    running = process(70, "kube-proxy", [])
    for name in ("cmdline", "cgroup", "stat"):
        running[f"/proc/70/{name}"] = bytes(range(256))
    (entry,) = read_processes(tree({**first_process(), **running, "/proc/stat": b"\x00\xff"}))[0]
    assert (entry.pid, entry.cgroup, entry.start_time) == (70, None, None)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        # A node that is a container itself, without a namespace of control groups.
        (f"/docker/{CONTAINER}/system.slice/kube-proxy.service", ("unit", None, "kube-proxy.service")),
        ("/lxc.payload.node1/system.slice/kube-proxy.service", ("unit", None, "kube-proxy.service")),
        (f"/docker/{CONTAINER}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{UID}.slice/cri-containerd-{'d' * 64}.scope", ("pod", API_UID, None)),
        (f"/system.slice/k0sworker.service/kubepods/burstable/pod{STATIC_UID}/{CONTAINER}", ("pod", STATIC_UID, "k0sworker.service")),
        (f"/../../kubepods.slice/kubepods-pod{UID}.slice/cri-containerd-{CONTAINER}.scope", ("pod", API_UID, None)),
        (f"/kubepods/besteffort/pod{API_UID}/{CONTAINER}/system.slice/kube-proxy.service", ("pod", API_UID, "kube-proxy.service")),
        (f"/machine.slice/libpod-{CONTAINER}.scope/container", ("container", None, None)),
        (f"/libpod_parent/libpod-{CONTAINER}", ("container", None, None)),
        (f"/system.slice/docker.service/docker/{CONTAINER}", ("container", None, "docker.service")),
        # Started by a user, not by the service that manages what he starts.
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope", (None, None, "user@1000.service")),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/kube-proxy.service", ("unit", None, "kube-proxy.service")),
        ("/init.scope", (None, None, None)),
    ],
)
def test_the_innermost_element_decides(path, expected):
    placement = Placement(path)
    assert (placement.kind, placement.pod_uid, placement.unit) == expected


def test_container_id():
    assert Placement(pod_cgroup(API_UID)[3:]).container_id == CONTAINER
    assert Placement(f"/system.slice/containerd.service/kubepods-besteffort-pod{UID}.slice:cri-containerd:{CONTAINER}").container_id == CONTAINER
    assert Placement("/system.slice/kube-proxy.service").container_id is None


def test_control_groups_of_version_1_and_2_together():
    text = "0::/\n1:name=systemd:/system.slice/kube-proxy.service\n2:cpu,cpuacct:/\n"
    assert cgroup_path(text) == "/system.slice/kube-proxy.service"
    assert cgroup_path("0::/\n") == "/"


class TestSeen:
    def test_a_tree_with_processes(self, tree):
        assert read_processes(tree(first_process())) == ([], True)

    def test_a_tree_without(self, tree):
        assert read_processes(tree({"/proc/cpuinfo": "x"})) == ([], False)

    def test_a_directory_alone_tells_nothing(self, tree):
        assert read_processes(tree({"/proc/77/limits": "x"})) == ([], False)


class TestSosreport:
    aux = (
        "USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n"
        "root           1  0.0  0.1 171820 13012 ?        -    Jan01   0:05 /usr/lib/systemd/systemd --switched-root\n"
        "root           -  0.0    -      -     - -        Ss   Jan01   0:05 -\n"
        "root         880  0.0  0.0 109096  4000 ?        -    Jan01   0:00 /go-runner --log-file=/x /usr/local/bin/kube-proxy --v=2\n"
        "root         899  0.0  0.0      0     0 ?        -    Jan01   0:00 [kube-proxy] <defunct>\n"
        "root         900  0.2  0.4 747996 41212 ?        -    Jan01  12:05 /usr/local/bin/kube-proxy --proxy-mode=ipvs --v=2\n"
    )
    long = (
        "F S UID          PID    PPID     LWP  C NLWP PRI  NI ADDR SZ WCHAN  STIME TTY          TIME CMD\n"
        "4 S root           1       0       1  0    1  80   0 - 42955 do_epo Jan01 ?        00:00:05 /usr/lib/systemd/systemd\n"
        "4 S root         900     880     900  0    2  80   0 - 186999 futex_ Jan01 ?       00:00:01 /usr/local/bin/kube-proxy --proxy-mode=ipvs\n"
        "1 S root         900     880     901  0    2  80   0 - 186999 futex_ Jan01 ?       00:00:01 /usr/local/bin/kube-proxy --proxy-mode=ipvs\n"
    )
    forest = aux.replace("/usr/local/bin/kube-proxy --proxy", "  \\_ /usr/local/bin/kube-proxy --proxy").replace("/go-runner", " \\_ /go-runner")

    @pytest.mark.parametrize(
        "files",
        [
            {PS + "ps_auxwwwm": aux},
            {PS + "ps_auxwww": aux.replace("-    Jan01", "Ssl  Jan01")},
            {PS + "ps_auxfwwwm": forest},
            {PS + "ps_-elfL": long},
            {"/ps": ("link", "sos_commands/process/ps_auxwwwm"), PS + "ps_auxwwwm": aux},
            {PS + "ps_auxwwwm": "", PS + "ps_-elfL": long},
            {"/ps": aux},
        ],
    )
    def test_outputs_of_ps(self, tree, files):
        entries, seen = read_processes(tree({**files, "/proc/900/status": "Name:\tkube-proxy\n"}))
        assert seen is True
        assert [(entry.pid, entry.uses, entry.argv[1]) for entry in entries] == [(900, "kube-proxy", "--proxy-mode=ipvs")]

    def test_k3s(self, tree):
        line = "root         500  9.0  4.0 747996 41212 ?        -    Jan01  12:05 /usr/local/bin/k3s server\n"
        (entry,) = read_processes(tree({PS + "ps_auxwwwm": self.aux.partition("root         880")[0] + line}))[0]
        assert (entry.uses, entry.argv) == ("k3s", ["/usr/local/bin/k3s server"])

    @pytest.mark.parametrize(
        "groups",
        [
            f"12:cpu,cpuacct:/kubepods/pod{API_UID}/{CONTAINER},3:pids:/x,1:name=systemd:/kubepods/besteffort/pod{API_UID}/{CONTAINER}",
            pod_cgroup(API_UID),
        ],
    )
    def test_control_group_from_ps(self, tree, groups):
        head = "    PID    PPID USER     GROUP        LWP NLWP START COMMAND         CGROUP\n"
        rows = head + f"    900     880 root     root         900   12 Jan01 kube-proxy      {groups}\n"
        name = PS + "ps_axo_pid_ppid_user_group_lwp_nlwp_start_time_comm_cgroup"
        (entry,) = read_processes(tree({PS + "ps_auxwwwm": self.aux, name: rows}))[0]
        assert Placement(entry.cgroup).pod_uid == API_UID

    def test_control_group_from_the_cpuset(self, tree):
        (entry,) = read_processes(tree({PS + "ps_auxwwwm": self.aux, "/proc/900/cpuset": f"/kubepods/burstable/pod{STATIC_UID}/{CONTAINER}\n"}))[0]
        assert Placement(entry.cgroup).static is True


def test_use_without_arguments():
    assert use_of("hyperkube", []) is None
    assert use_of("k3s", []) == "k3s"


class Hidden(NodeFiles):
    """A running node whose /proc is mounted with hidepid=2, seen by a user who owns process 42 alone."""

    def names(self, path):
        return ["42", "cpuinfo"] if path == "/proc" else []

    def read(self, path, limit=0):
        return {"/proc/42/comm": b"python3\n", "/proc/42/cmdline": b"python3\0"}.get(path)


def test_hidden_processes_are_not_absent_ones():
    node = Hidden("/")
    assert read_processes(node) == ([], False)
    assert [entry["path"] for entry in node.unreadable] == ["/proc"]
