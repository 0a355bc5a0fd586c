# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""etcd and kube-apiserver for the nodes: real ones, on the bridge of the lab's network, open to who has the token."""

from __future__ import annotations

import json
import pathlib
import ssl
import time
import urllib.error
import urllib.request

from kubeproxy_lab import kubernetes
from kubeproxy_lab.keeper import GATEWAY, Keeper
from kubeproxy_lab.storage import LabError, run

PORT = 6443
ADDRESS = f"https://{GATEWAY}:{PORT}"
TOKEN = "lab"
SERVICES = "10.96.0.0/16"
PODS = "10.244.0.0/16"
START_SECONDS = 90

KUBECONFIG = f"""\
apiVersion: v1
kind: Config
clusters:
- name: lab
  cluster:
    server: {ADDRESS}
    insecure-skip-tls-verify: true
users:
- name: lab
  user:
    token: {TOKEN}
contexts:
- name: lab
  context:
    cluster: lab
    user: lab
current-context: lab
"""


def request(method: str, path: str, body=None, kind: str = "application/json") -> dict:
    """Ask the API server, from within the lab's network; its answer. An error is a LabError with the server's own words."""
    context = ssl._create_unverified_context()  # The certificate is made at each start; the network is the lab's own.
    data = None if body is None else json.dumps(body).encode("utf-8")
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
    query = urllib.request.Request(ADDRESS + path, data=data, method=method, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(query, timeout=10) as answer:
            text = answer.read().decode("utf-8")
    except urllib.error.HTTPError as error:
        raise LabError(f"{method} {path}: {error.code} {error.read().decode('utf-8', 'replace')[:300]}") from error
    except OSError as error:
        raise LabError(f"{method} {path}: the API server does not answer: {error}") from error
    return json.loads(text) if text.startswith("{") else {"text": text}


def apply(collection: str, body: dict) -> None:
    """Make an object, or bring one that is there to this state."""
    name = body["metadata"]["name"]
    try:
        request("POST", collection, body)
    except LabError as error:
        if "AlreadyExists" not in str(error):
            raise
        request("PATCH", f"{collection}/{name}", body, "application/merge-patch+json")


def start(keeper: Keeper, folder: pathlib.Path) -> None:
    """Start both; wait until the API server is ready. This process is in the lab's network already."""
    folder.mkdir()
    run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", folder / "accounts"], "making the key of service accounts")
    (folder / "tokens.csv").write_text(f'{TOKEN},lab,lab,"system:masters"\n', encoding="ascii")
    (folder / "kubeconfig").write_text(KUBECONFIG, encoding="ascii")
    etcd = [
        kubernetes.etcd(), "--data-dir=/dev/shm/etcd", "--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
    ]
    server = [
        kubernetes.provide("kube-apiserver"), "--etcd-servers=http://127.0.0.1:2379", f"--advertise-address={GATEWAY}", f"--bind-address={GATEWAY}",
        f"--secure-port={PORT}", f"--service-cluster-ip-range={SERVICES}", f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={folder / 'tokens.csv'}", "--authorization-mode=AlwaysAllow", "--disable-admission-plugins=ServiceAccount",
        "--service-account-issuer=https://lab",
        f"--service-account-key-file={folder / 'accounts'}", f"--service-account-signing-key-file={folder / 'accounts'}", "--allow-privileged=true",
    ]
    for name, command in (("etcd", etcd), ("kube-apiserver", server)):
        keeper.start([str(word) for word in command], folder / f"{name}.log")


def wait(folder: pathlib.Path) -> None:
    """Until the API server is ready."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            request("GET", "/readyz")
            return
        except LabError as error:
            if time.monotonic() > deadline:
                last = (folder / "kube-apiserver.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
                raise LabError(f"the API server is not ready after {START_SECONDS} s: {error} / " + " / ".join(last)) from error
        time.sleep(0.2)


def add_service(name: str, address: str, backends: list[str]) -> None:
    """A Service of the namespace default, port 80 at ADDRESS; its backends answer on port 8080. One that is there is brought to this state."""
    port = {"name": "http", "port": 80, "protocol": "TCP"}
    apply("/apis/discovery.k8s.io/v1beta1/namespaces/default/endpointslices", {
        "apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}}, "ports": [{**port, "port": 8080}],
        "endpoints": [{"addresses": [backend], "conditions": {"ready": True}} for backend in backends],
    })
    apply("/api/v1/namespaces/default/services", {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"clusterIP": address, "ports": [{**port, "targetPort": 8080}]},
    })


def add_node(name: str, address: str) -> None:
    """The Node object that kube-proxy waits for."""
    apply("/api/v1/nodes", {
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}]},
    })
