# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the recorded part of the example fleet: facts that the module reads on nodes of the lab, with a real kernel and kube-proxy.

Run it as tests/run ENVIRONMENT python tests/example_fleet/record.py, as root. It starts the nodes, uses a Service, lets one of its
backends leave while connections to it stand, and sets on one node what an administrator would set by hand.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
LAB = HERE.parent / "lab" / "lab"
FLEET = HERE.parent.parent / "docs" / "example_fleet"
SLICES = "/apis/discovery.k8s.io/v1beta1/namespaces/default/endpointslices"
ADDRESS = "10.96.14.7"
# node of the lab -> (name in the fleet, what it is)
NODES = {
    "fixed-below-5-9": ("lab-euleros-2.9", "EulerOS 2.9's fixed kernel by name and by behaviour; somebody set 1 by hand and wrote a sysctl file"),
    "fixed-above-5-9": ("lab-debian-6.1", "Debian's user-mode-linux 6.1, a backend with weight 0 in use"),
    "fixed-5-10": ("lab-debian-5.10", "Debian's user-mode-linux 5.10.46, fixed, but weight 0 is not respected while the value is 0; such a backend in use"),
    "unfixed": ("lab-centos-7", "CentOS 7.9's kernel by name and by behaviour, Python 2.7; kube-proxy leaves the value of this kernel alone"),
    "unfixed-unknown": ("lab-kylin-v10", "Kylin V10's kernel by name, unfixed by behaviour, which no public table tells; a backend with weight 0 in use"),
}
BY_HAND = "fixed-below-5-9"


def lab(*words, **options):
    """Run the lab's tool; what it printed."""
    return subprocess.run([LAB, *words], check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def set_backends(*numbers):
    """Give the Service these backends."""
    endpoints = [{"addresses": [f"10.244.{number}.2"], "conditions": {"ready": True}} for number in numbers]
    lab("api", "PATCH", f"{SLICES}/web", "--kind", "application/merge-patch+json", input=json.dumps({"endpoints": endpoints}))


def wait_for(text, count):
    """Until kube-proxy has brought the table of every node to where TEXT stands COUNT times in the Service's part."""
    for node in NODES:
        for _attempt in range(60):
            if lab("ssh", node, f"ipvsadm -Ln -t {ADDRESS}:80 2>/dev/null || true").count(text) == count:
                break
            time.sleep(1)
        else:
            raise SystemExit(f"{node}: {text!r} does not appear {count} times")


def prepare():
    """Bring the nodes into the states that NODES tells."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"clusterIP": ADDRESS, "ports": [{"port": 80, "targetPort": 8080}]}}
    lab("api", "POST", "/api/v1/namespaces/default/services", input=json.dumps(service))
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice", "addressType": "IPv4", "ports": [{"port": 8080, "name": "", "protocol": "TCP"}],
        "metadata": {"name": "web", "labels": {"kubernetes.io/service-name": "web"}}, "endpoints": [],
    }
    lab("api", "POST", SLICES, input=json.dumps(slice_))
    set_backends(1, 2, 3)
    wait_for("Masq    1", 3)
    client = f"ip netns exec client-1 lab-python /usr/local/lib/lab/client.py {ADDRESS} 80"
    for node in NODES:
        lab("ssh", node, f"systemd-run --quiet {client} 41000,41001,41002 hold; {client} {','.join(map(str, range(42000, 42040)))} 1 >/dev/null")
    set_backends(1, 2)
    wait_for("Masq    0", 1)
    path = "/etc/sysctl.d/99-tuning.conf"
    lab("ssh", BY_HAND, f"printf '# after the incident\\nnet.ipv4.vs.conn_reuse_mode = 1\\n' >{path}; sysctl -q -p {path}")


def main():
    """Write the files."""
    lab("down", *NODES)
    lab("up", *NODES)
    prepare()
    inventory = json.loads(lab("connection"))["inventory"]
    with tempfile.TemporaryDirectory() as report:
        hosts = ",".join(NODES)
        subprocess.run(["ansible-playbook", "-i", inventory, "--limit", hosts, "kubeproxy.ipvs.audit", "-e", f"audit_report_dir={report}"], check=True)
        for node, (name, what) in NODES.items():
            document = json.loads((pathlib.Path(report) / "nodes" / f"{node}.json").read_text(encoding="utf-8"))
            facts = document["ansible_facts"]
            recorded = {
                "name": name,
                "origin": f"lab: read by the module on a running node of tests/lab with kube-proxy {facts['ipvs']['kube_proxy']['version']}: {what}",
                "ansible_facts": facts,
            }
            (FLEET / f"{name}.json").write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    lab("down", *NODES)


if __name__ == "__main__":
    main()
