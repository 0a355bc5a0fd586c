# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for a cluster's API server, as far as the inventory plugin asks one: pages with continue tokens, and what can go wrong; and the objects in it."""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import threading
import urllib.parse

NODES = "/api/v1/nodes"
DAEMONSET = "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy"
CONFIG_MAP = "/api/v1/namespaces/kube-system/configmaps/kube-proxy"
EULER = "4.18.0-147.5.1.6.h686.eulerosv2r9.x86_64"
CONFIGURATION = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: {mode}\n"


def node_object(name: str, kernel: str = EULER, labels: dict | None = None, address: str | None = "10.0.0.1", **metadata) -> dict:
    """A Node object as the API gives it. Its kubeProxyVersion is a lie, as it may be on real clusters."""
    addresses = [{"type": "InternalIP", "address": address}] if address else []
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": {"kubernetes.io/os": "linux", **(labels or {})}, **metadata},
        "spec": {"providerID": f"stand-in:///{name}"},
        "status": {
            "addresses": [*addresses, {"type": "Hostname", "address": name}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {
                "kernelVersion": kernel,
                "osImage": "EulerOS 2.0 (SP9x86_64)",
                "operatingSystem": "linux",
                "architecture": "amd64",
                "kubeletVersion": "v9.9.9",
                "kubeProxyVersion": "v9.9.9",
            },
        },
    }


def daemonset_object(image: str = "registry.k8s.io/kube-proxy:v1.20.2", command: list[str] | None = None, **template) -> dict:
    """kubeadm's DaemonSet kube-proxy, fully rolled out. template: more of its pod's spec."""
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "kube-proxy", "namespace": "kube-system", "generation": 3},
        "spec": {
            "template": {
                "spec": {
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [
                        {
                            "name": "kube-proxy",
                            "image": image,
                            "command": command
                            or ["/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf", "--hostname-override=$(NODE_NAME)"],
                            "volumeMounts": [{"name": "kube-proxy", "mountPath": "/var/lib/kube-proxy"}, {"name": "lib", "mountPath": "/lib/modules"}],
                        }
                    ],
                    "volumes": [{"name": "kube-proxy", "configMap": {"name": "kube-proxy"}}, {"name": "lib", "hostPath": {"path": "/lib/modules"}}],
                    **template,
                }
            }
        },
        "status": {"observedGeneration": 3, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2},
    }


def config_map_object(mode: str = "ipvs", key: str = "config.conf", content: str | None = None) -> dict:
    """kubeadm's ConfigMap kube-proxy."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kube-proxy", "namespace": "kube-system"},
        "data": {key: CONFIGURATION.format(mode=json.dumps(mode)) if content is None else content},
    }


def status_object(code: int, message: str, **metadata) -> dict:
    """What an API server says in place of an object."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code, "metadata": metadata}


class StandIn:
    """objects: path -> object. trouble: (path, query, number of the request) -> None, or (status, document, headers); or it waits, or raises to hang up."""

    def __init__(self, nodes: list, objects: dict | None = None):
        self.nodes, self.objects = nodes, objects if objects is not None else {DAEMONSET: daemonset_object(), CONFIG_MAP: config_map_object()}
        self.trouble = lambda path, query, number: None
        self.requests: list[tuple[str, dict]] = []
        self.authorization: set[str] = set()
        self.url = ""

    def kubeconfig(self) -> str:
        """The text of a kubeconfig for it."""
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": self.url}}],
                "users": [{"name": "u", "user": {"token": "secret-token"}}],
                "contexts": [{"name": "stand-in", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "stand-in",
            }
        )

    def answer(self, path: str, query: dict) -> tuple[int, dict, dict]:
        """(status, document, headers) for one request."""
        self.requests.append((path, query))
        trouble = self.trouble(path, query, len(self.requests))
        if trouble:
            return trouble
        if path == NODES:
            start, limit = int(query.get("continue", "0").rpartition("-")[2]), int(query.get("limit", 0)) or len(self.nodes)
            rest = {"continue": f"token-{start + limit}"} if start + limit < len(self.nodes) else {}
            return 200, {"kind": "NodeList", "apiVersion": "v1", "metadata": rest, "items": self.nodes[start : start + limit]}, {}
        if path in self.objects:
            return 200, self.objects[path], {}
        return 404, status_object(404, f"{path} not found"), {}


@contextlib.contextmanager
def serve(stand_in: StandIn, certificate: str | None = None):
    """The stand-in, answering on a port of its own; with TLS if it has a certificate (the path of a file with its key)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        """One connection."""

        protocol_version = "HTTP/1.1"

        def do_GET(self):
            """One request."""
            parts = urllib.parse.urlsplit(self.path)
            stand_in.authorization.add(self.headers.get("Authorization", ""))
            try:
                status, document, headers = stand_in.answer(parts.path, dict(urllib.parse.parse_qsl(parts.query)))
            except ConnectionError:
                self.close_connection = True
                return
            body = document if isinstance(document, bytes) else json.dumps(document).encode("utf-8")
            with contextlib.suppress(OSError):
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_arguments):
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    stand_in.url = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
