# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the composed part of the example fleet: facts that the module itself reads from trees of nodes.

Each tree is composed of what is publicly known of such nodes (release strings, unit files, process arguments, log lines); none of them
is a copy of a real machine. Run it as tests/run ENVIRONMENT python tests/example_fleet/compose.py; a test checks that the files in
docs/example_fleet are what it writes.
"""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "unit"))

import node_trees as trees  # noqa: E402

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles  # noqa: E402
from ansible_collections.kubeproxy.ipvs.plugins.modules.ipvs_facts import collect  # noqa: E402

FLEET = HERE.parent.parent / "docs" / "example_fleet"
DNS = ("UDP", "10.96.0.10", 53)
WEB = ("TCP", "10.96.14.7", 80)
QUIET = trees.ipvs_table({DNS: [("10.244.1.7", 53, 1, 0, 12)], WEB: [("10.244.1.9", 8080, 1, 31, 240)]})
SHRINKING = trees.ipvs_table(
    {DNS: [("10.244.1.7", 53, 1, 0, 12)], WEB: [("10.244.1.9", 8080, 1, 31, 240), ("10.244.2.4", 8080, 0, 3, 611), ("10.244.2.5", 8080, 0, 0, 87)]}
)
ENABLED_KUBELET = {"/etc/systemd/system/multi-user.target.wants/kubelet.service": ("link", "/etc/systemd/system/kubelet.service")}
IPVS_AT_BOOT = {"/etc/modules-load.d/ipvs.conf": "ip_vs\nip_vs_rr\nnf_conntrack\n"}
K3S_UNIT = "[Service]\nType=notify\nExecStart=/usr/local/bin/k3s server\nTimeoutStartSec=0\n"
RKE2_MANIFEST = (
    "kind: Pod\n"
    "spec:\n"
    "  containers:\n"
    "  - name: kube-proxy\n"
    "    command: [kube-proxy]\n"
    "    args: [--proxy-mode=ipvs, --healthz-bind-address=127.0.0.1]\n"
    "    image: index.docker.io/rancher/hardened-kubernetes:v1.26.15-rke2r1-build20240314\n"
)
KOPS_MANIFEST = (
    "kind: Pod\n"
    "spec:\n"
    "  containers:\n"
    "  - name: kube-proxy\n"
    "    image: k8s.gcr.io/kube-proxy:v1.17.17\n"
    "    command: [/usr/local/bin/kube-proxy, --proxy-mode=ipvs, --v=2]\n"
)


def kernel_of(release, version, os_id, version_id, name, signature=None):
    """The files of a kernel, in the order in which a person reads them."""
    return trees.kernel(release, version, os_id, name, version_id, signature)


# name: (what it is composed of, files)
NODES = {
    "cce-euler29-b": (
        "EulerOS 2.9 with a kernel older than the fixed one of Huawei's CCE FAQ 00409; kube-proxy 1.21.7, backends being scaled down",
        kernel_of("4.18.0-147.5.1.6.h579.eulerosv2r9.x86_64", "#1 SMP Fri Nov 5 04:41:12 UTC 2021", "euleros", "2.0", "EulerOS 2.0 (SP9x86_64)")
        | trees.ipvs_sysctls(0)
        | trees.systemd_kube_proxy("1.21.7-r0")
        | SHRINKING,
    ),
    "kubeasz-centos7": (
        "CentOS 7.9 and kube-proxy 1.19.12 by kubeasz, which leaves the value of this kernel alone; a client near the limit of its source ports",
        kernel_of("3.10.0-1160.el7.x86_64", "#1 SMP Mon Oct 19 16:18:59 UTC 2020", "centos", "7", "CentOS Linux 7 (Core)")
        | trees.ipvs_sysctls(1)
        | trees.systemd_kube_proxy("1.19.12")
        | QUIET
        | trees.ipvs_connections("10.0.0.23", "10.96.14.7", 80, 9000),
    ),
    "kubeadm-ubuntu2004": (
        "Ubuntu 20.04 and the kube-proxy DaemonSet of kubeadm 1.24.3: a fixed kernel that kube-proxy takes for an old one",
        kernel_of(
            "5.4.0-150-generic",
            "#167-Ubuntu SMP Mon May 15 17:35:05 UTC 2023",
            "ubuntu",
            "20.04",
            "Ubuntu 20.04.6 LTS",
            "Ubuntu 5.4.0-150.167-generic 5.4.233",
        )
        | trees.ipvs_sysctls(0)
        | trees.daemonset_kube_proxy("1.24.3")
        | QUIET,
    ),
    "kubeadm-ubuntu1804": (
        "Ubuntu 18.04 and the kube-proxy DaemonSet of kubeadm 1.20.6, with ufw",
        kernel_of(
            "4.15.0-213-generic",
            "#224-Ubuntu SMP Mon Jun 19 13:30:12 UTC 2023",
            "ubuntu",
            "18.04",
            "Ubuntu 18.04.6 LTS",
            "Ubuntu 4.15.0-213.224-generic 4.15.18",
        )
        | trees.ipvs_sysctls(0)
        | trees.daemonset_kube_proxy("1.20.6")
        | SHRINKING
        | IPVS_AT_BOOT
        | {"/etc/ufw/ufw.conf": "ENABLED=yes\n", "/etc/ufw/sysctl.conf": "net/ipv4/vs/conn_reuse_mode=0\n"},
    ),
    "kubespray-rocky8": (
        "Rocky Linux 8.9 and the kube-proxy DaemonSet of Kubespray, Kubernetes 1.28.3",
        kernel_of("4.18.0-513.9.1.el8_9.x86_64", "#1 SMP Sat Dec 2 05:23:44 EST 2023", "rocky", "8.9", "Rocky Linux 8.9 (Green Obsidian)")
        | trees.ipvs_sysctls(0)
        | trees.daemonset_kube_proxy("1.28.3")
        | QUIET,
    ),
    "kubespray-rocky84": (
        "Rocky Linux 8.4, the last release of RHEL 8 without the fix, Kubernetes 1.23.4",
        kernel_of("4.18.0-305.25.1.el8_4.x86_64", "#1 SMP Wed Nov 3 10:29:07 UTC 2021", "rocky", "8.4", "Rocky Linux 8.4 (Green Obsidian)")
        | trees.ipvs_sysctls(0)
        | trees.daemonset_kube_proxy("1.23.4")
        | QUIET
        | trees.ipvs_connections("10.244.3.11", "10.96.14.7", 80, 12),
    ),
    "sealos-debian11": (
        "Debian 11 and Kubernetes 1.25.3 by sealos, whose image brings a sysctl file with 0 and a script that applies it before each start of the kubelet",
        kernel_of("5.10.0-28-amd64", "#1 SMP Debian 5.10.209-2 (2024-01-31)", "debian", "11", "Debian GNU/Linux 11 (bullseye)")
        | trees.ipvs_sysctls(0)
        | trees.daemonset_kube_proxy("1.25.3")
        | trees.ipvs_table({WEB: [("10.244.1.9", 8080, 1, 31, 240)], ("TCP", "10.103.97.2", 6443): [("10.0.0.11", 6443, 1, 9, 0)]})
        | ENABLED_KUBELET
        | {
            "/etc/sysctl.d/sealos-k8s.conf": "net.ipv4.vs.conn_reuse_mode=0\nnet.ipv4.vs.conntrack=1\n",
            "/etc/systemd/system/kubelet.service": "[Service]\nExecStartPre=/usr/bin/kubelet-pre-start.sh\nExecStart=/usr/bin/kubelet\n",
            "/usr/bin/kubelet-pre-start.sh": "#!/bin/bash\nmodprobe -- ip_vs\nmodprobe -- ip_vs_rr\nsysctl --system\nswapoff --all\n",
        },
    ),
    "kubeadm-debian12": (
        "Debian 12 and the kube-proxy DaemonSet of kubeadm 1.30.4",
        kernel_of("6.1.0-25-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.106-3 (2024-08-26)", "debian", "12", "Debian GNU/Linux 12 (bookworm)")
        | trees.ipvs_sysctls(1)
        | trees.daemonset_kube_proxy("1.30.4")
        | QUIET,
    ),
    "k3s-ubuntu2204": (
        "Ubuntu 22.04 and k3s with kube-proxy-arg proxy-mode=ipvs in its config.yaml",
        kernel_of(
            "5.15.0-91-generic",
            "#101-Ubuntu SMP Tue Nov 14 13:30:08 UTC 2023",
            "ubuntu",
            "22.04",
            "Ubuntu 22.04.3 LTS",
            "Ubuntu 5.15.0-91.101-generic 5.15.131",
        )
        | trees.ipvs_sysctls(1)
        | trees.first_process()
        | trees.process(500, "k3s-server", ["/usr/local/bin/k3s server"], "0::/system.slice/k3s.service")
        | QUIET
        | {"/etc/systemd/system/k3s.service": K3S_UNIT, "/etc/rancher/k3s/config.yaml": "kube-proxy-arg:\n  - proxy-mode=ipvs\n"},
    ),
    "rke2-sles15sp3": (
        "SLES 15 SP3 and the static pod of RKE2 1.26.15: nobody has published which build of this kernel took the fix",
        kernel_of("5.3.18-150300.59.93-default", "#1 SMP Tue Sep 6 05:05:37 UTC 2022 (d4f6a8c)", "sles", "15.3", "SUSE Linux Enterprise Server 15 SP3")
        | trees.ipvs_sysctls(0)
        | trees.first_process()
        | trees.process(900, "kube-proxy", ["kube-proxy", "--proxy-mode=ipvs", "--healthz-bind-address=127.0.0.1"], trees.pod_cgroup(trees.STATIC_UID))
        | QUIET
        | {"/var/lib/rancher/rke2/agent/pod-manifests/kube-proxy.yaml": RKE2_MANIFEST},
    ),
    "tke-tencentos2": (
        "TencentOS 2 with the vendor's own form of the fix and its switch, kube-proxy 1.20.6-tke.33",
        kernel_of("4.14.105-19-0019", "#1 SMP Tue Mar 16 11:52:36 CST 2021", "tencentos", "2.4", "TencentOS Server 2.4 (Tkernel 4)")
        | trees.ipvs_sysctls(0, conn_reuse_old_conntrack=1)
        | trees.daemonset_kube_proxy("1.20.6-tke.33", image="ccr.ccs.tencentyun.com/tkeimages/hyperkube")
        | SHRINKING,
    ),
    "kops-amazonlinux2": (
        "Amazon Linux 2 one build before the fix, and the static pod of kops with kube-proxy 1.17.17",
        kernel_of("4.14.193-149.317.amzn2.x86_64", "#1 SMP Thu Sep 3 19:04:44 UTC 2020", "amzn", "2", "Amazon Linux 2")
        | trees.ipvs_sysctls(0)
        | trees.first_process()
        | trees.process(900, "kube-proxy", ["/usr/local/bin/kube-proxy", "--proxy-mode=ipvs", "--v=2"], trees.pod_cgroup(trees.STATIC_UID))
        | SHRINKING
        | {"/etc/kubernetes/manifests/kube-proxy.manifest": KOPS_MANIFEST},
    ),
    "uk8s-centos7": (
        "CentOS 7 with ELRepo's 5.4 kernel, kube-proxy 1.22.5 as a systemd unit, and a vendor's script that waits and sets 1",
        kernel_of("5.4.249-1.el7.elrepo.x86_64", "#1 SMP Thu Jun 29 09:21:00 EDT 2023", "centos", "7", "CentOS Linux 7 (Core)")
        | trees.ipvs_sysctls(1)
        | trees.systemd_kube_proxy("1.22.5")
        | QUIET
        | {
            "/etc/systemd/system/kube-proxy.service.d/10-reuse.conf": "[Service]\nExecStartPost=-/etc/kubernetes/set-conn-reuse-mode.sh\n",
            "/etc/kubernetes/set-conn-reuse-mode.sh": "#!/bin/bash\nfor i in $(seq 60); do\n  sleep 1\n  sysctl -w net.ipv4.vs.conn_reuse_mode=1\ndone\n",
        },
    ),
    "left-ipvs-alinux3": (
        "Alibaba Cloud Linux 3 that was moved from IPVS to iptables mode without a reboot",
        kernel_of("5.10.134-16.1.al8.x86_64", "#1 SMP Thu Dec 7 14:11:24 UTC 2023", "alinux", "3", "Alibaba Cloud Linux 3 (Soaring Falcon)")
        | trees.ipvs_sysctls(1)
        | trees.systemd_kube_proxy("1.26.3", "kind: KubeProxyConfiguration\nmode: iptables\n")
        | QUIET,
    ),
}


def facts_of(files):
    """What the module reads from a tree with these files."""
    with tempfile.TemporaryDirectory() as directory:
        node = NodeFiles(str(trees.write_tree(pathlib.Path(directory), files)))
        facts = collect(node)
    # Where the tree stood, and when it was written, says nothing about the node.
    facts["root"] = "/"
    facts["kube_proxy"]["config_modified"] = None
    return facts


def document_of(name):
    """The recorded file of one node of the fleet."""
    origin, files = NODES[name]
    return {"name": name, "origin": f"composed: {origin}", "ansible_facts": {"ipvs": facts_of(files)}}


def main():
    """Write every composed file."""
    FLEET.mkdir(parents=True, exist_ok=True)
    for name in NODES:
        (FLEET / f"{name}.json").write_text(json.dumps(document_of(name), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
