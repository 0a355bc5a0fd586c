# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""fill.py COUNT, inside the lab's network: make COUNT Node objects, and a DaemonSet and a ConfigMap as kubeadm makes them, in the lab's API server."""

from __future__ import annotations

import http.client
import json
import ssl
import sys

from kubeproxy_lab.control_plane import PORT, TOKEN
from kubeproxy_lab.keeper import GATEWAY

KERNELS = [
    ("4.18.0-147.5.1.6.h686.eulerosv2r9.x86_64", "EulerOS 2.0 (SP9x86_64)"),
    ("3.10.0-1160.el7.x86_64", "CentOS Linux 7 (Core)"),
    ("5.4.0-150-generic", "Ubuntu 20.04.6 LTS"),
    ("6.1.0-25-amd64", "Debian GNU/Linux 12 (bookworm)"),
    ("an odd kernel", ""),
]
# An API server lets no such label in, but it does not look into annotations and what a kubelet reports.
HOSTILE = "{{ lookup('ansible.builtin.pipe', 'touch PWNED') }}<script>\n\u202e=1+1"
CONFIGURATION = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n"
SYSTEM = "/namespaces/kube-system/"


def node(number: int) -> dict:
    """A Node object as a kubelet reports it."""
    kernel, system = KERNELS[number % len(KERNELS)]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": f"filled-{number:05}",
            "labels": {"kubernetes.io/os": "linux", "node-role.kubernetes.io/worker": "", "topology.kubernetes.io/zone": f"zone-{number % 3}"},
            "annotations": {"hostile": HOSTILE},
        },
        "spec": {"providerID": f"lab:///{number}"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": f"10.{100 + number // 65536}.{number // 256 % 256}.{number % 256}"}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ready"}],
            "images": [{"names": [f"registry.example.com/some/image-{index}:v1.2.{number % 9}"], "sizeBytes": 123456789} for index in range(20)],
            "nodeInfo": {
                "machineID": f"{number:032x}", "systemUUID": f"{number:032x}", "bootID": f"{number:032x}", "kernelVersion": kernel,
                "osImage": system or HOSTILE, "containerRuntimeVersion": "containerd://1.6.20", "kubeletVersion": "v1.24.3",
                "kubeProxyVersion": "v1.24.3", "operatingSystem": "linux", "architecture": "amd64",
            },
        },
    }  # fmt: skip


def daemonset() -> dict:
    """kubeadm's DaemonSet, in short."""
    container = {
        "name": "kube-proxy",
        "image": "registry.k8s.io/kube-proxy:v1.20.2",
        "command": ["/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf"],
        "volumeMounts": [{"name": "kube-proxy", "mountPath": "/var/lib/kube-proxy"}],
    }
    labels = {"k8s-app": "kube-proxy"}
    spec = {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
        "volumes": [{"name": "kube-proxy", "configMap": {"name": "kube-proxy"}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "kube-proxy", "namespace": "kube-system"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }


class Server:
    """One connection to the API server: thousands of TLS handshakes would be what takes the time."""

    def __init__(self):
        context = ssl._create_unverified_context()  # The certificate is made at each start; the network is the lab's own.
        self.connection = http.client.HTTPSConnection(GATEWAY, PORT, timeout=30, context=context)

    def send(self, method: str, path: str, body: dict, kind: str = "application/json") -> None:
        """One request; SystemExit with the server's words if it says no."""
        self.connection.request(method, path, json.dumps(body), {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind})
        answer = self.connection.getresponse()
        words = answer.read().decode("utf-8", "replace")
        if answer.status not in (200, 201):
            raise SystemExit(f"{method} {path}: {answer.status} {words[:300]}")


def main(count: int) -> None:
    """Make them all."""
    server = Server()
    for number in range(count):
        server.send("POST", "/api/v1/nodes", node(number))
    metadata = {"name": "kube-proxy", "namespace": "kube-system"}
    configmap = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config.conf": CONFIGURATION}}
    server.send("POST", f"/api/v1{SYSTEM}configmaps", configmap)
    server.send("POST", f"/apis/apps/v1{SYSTEM}daemonsets", daemonset())
    # Nobody in the lab runs DaemonSets: what its controller would report.
    status = {"currentNumberScheduled": count, "numberMisscheduled": 0, "desiredNumberScheduled": count, "numberReady": count, "updatedNumberScheduled": count}
    status["observedGeneration"] = 1
    server.send("PATCH", f"/apis/apps/v1{SYSTEM}daemonsets/kube-proxy/status", {"status": status}, "application/merge-patch+json")
    print(f"{count} nodes")


if __name__ == "__main__":
    main(int(sys.argv[1]))
