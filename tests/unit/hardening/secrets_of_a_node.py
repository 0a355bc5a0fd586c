# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes with secrets wherever a node has some: each a word of its own, so that a test can say which one got out."""

from __future__ import annotations

import base64

from node_trees import CONFIG_IPVS, KUBEASZ_UNIT, QUIET_NODE, ipvs_sysctls, kernel, process

KEY = "net.ipv4.vs.conn_reuse_mode"
# Where it stands, and what it is.
SECRETS = {
    "argument of kube-proxy": "argSecret01",
    "user of a URL": "urlSecret02",
    "Environment= of the unit": "envSecret03",
    "file of the environment": "envFileSecret04",
    "kubeconfig, token": "kubeconfigSecret05",
    "kubeconfig, key": base64.b64encode(b"-----BEGIN RSA PRIVATE KEY-----keySecret06").decode("ascii"),
    "comment of a sysctl file": "commentSecret07",
    "ExecStartPost": "execSecret08",
    "config.yaml of k3s": "k3sSecret09",
    "config.yaml of RKE2": "rke2Secret10",
    "manifest, environment": "manifestSecret11",
    "cron": "cronSecret12",
    "script of a unit": "scriptSecret13",
    "argument of k3s": "K10" + "ab" * 32 + "::server:k3sArgSecret14",
    "drop-in": "dropInSecret15",
    "log of kube-proxy": "logSecret16",
    "configuration of kube-proxy": "configSecret17",
    "process, environment": "environSecret18",
    "next line of a script": "nextSecret19",
    "header": "headerSecret20",
}
S = SECRETS
_KUBECONFIG = f"""\
apiVersion: v1
kind: Config
users:
- name: kube-proxy
  user:
    token: {S["kubeconfig, token"]}
    client-key-data: {S["kubeconfig, key"]}
"""
_SCRIPT = f"""\
#!/bin/sh
curl -H 'Authorization: Bearer {S["header"]}' https://x; sysctl -w {KEY}=1
API_TOKEN={S["script of a unit"]} report
PASSWORD={S["next line of a script"]}
sysctl -w {KEY}=1
"""
_WANTS = "/etc/systemd/system/multi-user.target.wants/"
COMMON = {
    **QUIET_NODE,
    **process(
        900,
        "kube-proxy",
        [
            "/opt/kube/bin/kube-proxy",
            "--config=/var/lib/kube-proxy/kube-proxy-config.yaml",
            f"--token={S['argument of kube-proxy']}",
            f"--master=https://admin:{S['user of a URL']}@10.0.0.1:6443",
            "--kubeconfig=/etc/kubernetes/kube-proxy.kubeconfig",
        ],
        "0::/system.slice/kube-proxy.service",
        4250,
    ),
    "/proc/900/environ": f"BOOTSTRAP={S['process, environment']}\0",
    "/etc/kubernetes/kube-proxy.kubeconfig": _KUBECONFIG,
    "/root/.kube/config": _KUBECONFIG,
    "/etc/systemd/system/kube-proxy.service": KUBEASZ_UNIT.replace(
        "Restart=",
        f"Environment=API_PASSWORD={S['Environment= of the unit']}\nEnvironmentFile=/etc/default/kube-proxy\n"
        f"ExecStartPost=/bin/sh -c 'curl -u root:{S['ExecStartPost']} https://x; sysctl -w {KEY}=1'\nRestart=",
    ),
    "/etc/default/kube-proxy": f"DB_PASSWORD={S['file of the environment']}\nKUBE_PROXY_ARGS=\n",
    "/etc/systemd/system/kube-proxy.service.d/10-x.conf": f"[Service]\nEnvironment=\"VAULT_TOKEN={S['drop-in']}\"\n",
    "/var/lib/kube-proxy/kube-proxy-config.yaml": f"{CONFIG_IPVS}# token: {S['configuration of kube-proxy']}\n",
    "/etc/sysctl.d/90-reuse.conf": f"# password: {S['comment of a sysctl file']}\n{KEY} = 1\n",
    "/etc/cron.d/reuse": f"* * * * * root curl --user ops:{S['cron']} https://x; sysctl -w {KEY}=1\n",
    "/etc/systemd/system/tune.service": "[Service]\nType=oneshot\nExecStart=/opt/tune.sh\n[Install]\nWantedBy=multi-user.target\n",
    f"{_WANTS}tune.service": ("link", "/etc/systemd/system/tune.service"),
    "/opt/tune.sh": _SCRIPT,
    "/etc/rancher/k3s/config.yaml": f"token: {S['config.yaml of k3s']}\n",
    "/etc/rancher/rke2/config.yaml": f"server: https://10.0.0.1:9345\ntoken: {S['config.yaml of RKE2']}\nagent-token: {S['config.yaml of RKE2']}\n",
    "/etc/kubernetes/manifests/x.yaml": (
        "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: kube-proxy\n    command: [kube-proxy]\n"
        f"    env:\n    - name: API_TOKEN\n      value: {S['manifest, environment']}\n"
    ),
    "/var/log/kube-proxy.log": (
        f'I0101 00:00:00.000000       1 flags.go:59] FLAG: --token="{S["log of kube-proxy"]}"\n'
        "I0101 00:00:00.000000       1 server_others.go:259] Using ipvs Proxier.\nI0101 00:00:01.000000       1 server.go:650] Version: v1.21.14\n"
    ),
}
_K3S = ["/usr/local/bin/k3s", "agent", "--token", S["argument of k3s"], "--kube-proxy-arg=proxy-mode=ipvs"]
_K3S += [f"--kube-proxy-arg=token={S['argument of kube-proxy']}"]
_OF_SYSTEMD = ("/proc/900/", "/etc/systemd/system/kube-proxy", "/var/log/kube-proxy", "/etc/systemd/system/multi-user.target.wants/kube-proxy")
# The same node with k3s in the place of kube-proxy's own unit.
WITH_K3S = {
    **{path: content for path, content in COMMON.items() if not path.startswith(_OF_SYSTEMD)},
    **kernel("5.15.0-76-generic", "#83-Ubuntu SMP", "ubuntu", "Ubuntu 22.04", "22.04"),
    **ipvs_sysctls(0),
    **process(700, "k3s-agent", _K3S, "0::/system.slice/k3s-agent.service", 4250),
    "/etc/systemd/system/k3s-agent.service": f"[Service]\nType=notify\nEnvironment=K3S_TOKEN={S['Environment= of the unit']}\n"
    f"EnvironmentFile=-/etc/systemd/system/k3s-agent.service.env\nExecStart=/usr/local/bin/k3s agent --token {S['argument of k3s']} "
    f"--kube-proxy-arg=proxy-mode=ipvs --kube-proxy-arg=token={S['argument of kube-proxy']}\n",
    "/etc/systemd/system/k3s-agent.service.env": f"K3S_TOKEN={S['file of the environment']}\nK3S_URL=https://u:{S['user of a URL']}@10.0.0.1:6443\n",
    f"{_WANTS}k3s-agent.service": ("link", "/etc/systemd/system/k3s-agent.service"),
}
NODES = {"unit": COMMON, "k3s": WITH_K3S}


def found_in(text):
    """The places of SECRETS that TEXT gives away, also where only a part of one stands in it."""
    return sorted(place for place, secret in SECRETS.items() if secret in text or secret[-12:] in text)
