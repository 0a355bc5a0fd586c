# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asking kube-proxy on its own address: what it answers, and what a broken or silent listener costs."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import http_get, ip_addresses, kube_proxy
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_answers import ask_process
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_version import build_info, from_image
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles

OLD = b'kubernetes_build_info{buildDate="x",gitCommit="y",gitVersion="v1.18.6",major="1"} 1\n'
NEW = b'kubernetes_build_info{build_date="x",git_commit="y",git_version="v1.28.5+k3s1",major="1"} 1\n'


@pytest.fixture
def listener():
    """listener({path: bytes or None}) -> port of a server on 127.0.0.1; None: it accepts and stays silent."""
    servers = []

    def serve(server, answers):
        while True:
            try:
                client = server.accept()[0]
            except OSError:
                return
            path = client.recv(4096).split()[1].decode()
            if answers.get(path) is not None:
                try:
                    client.sendall(answers[path])
                except ConnectionError:
                    # Who asked has heard enough.
                    pass
                client.close()
            else:
                servers.append(client)

    def start(answers):
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        threading.Thread(target=serve, args=(server, answers), daemon=True).start()
        return server.getsockname()[1]

    yield start
    for server in servers:
        server.close()


def answer(body, status=b"200 OK"):
    """An HTTP answer without a length, which ends with the connection."""
    return b"HTTP/1.0 " + status + b"\r\nContent-Type: text/plain\r\n\r\n" + body


def asked(metrics, healthz=None):
    """What ask_process makes of these addresses."""
    facts = kube_proxy.empty() | {"metrics_address": metrics, "healthz_address": healthz, "mode_configured": "ipvs", "mode_source": "config_file"}
    ask_process(NodeFiles("/"), facts, 0.5)
    return facts


@pytest.mark.parametrize(("metrics", "version"), [(OLD, "1.18.6"), (NEW, "1.28.5+k3s1"), (b"# HELP x\n" * 200000 + NEW + b"y 1\n" * 200000, "1.28.5+k3s1")])
def test_mode_and_version(listener, metrics, version):
    port = listener({"/proxyMode": answer(b"iptables"), "/metrics": answer(metrics), "/healthz": answer(b"{}", b"503 Service Unavailable")})
    facts = asked(f"0.0.0.0:{port}", f"127.0.0.1:{port}")
    assert (facts["mode_effective"], facts["mode_source"], facts["version"], facts["version_source"]) == (
        "iptables",
        "proxy_mode_endpoint",
        version,
        "metrics",
    )
    assert (facts["metrics_answers"], facts["healthz_answers"]) == (True, True)


@pytest.mark.parametrize("reply", [answer(b"404 page not found", b"404 Not Found"), answer(b"<html>"), b"\x00\xff\r\n\r\n", answer(b"ipvs\x1b[31m")])
def test_somebody_elses_answer_decides_nothing(listener, reply):
    facts = asked(f"127.0.0.1:{listener({'/proxyMode': reply, '/metrics': reply})}")
    assert (facts["mode_effective"], facts["version"]) == (None, None)


def test_a_silent_listener_costs_the_time_out_at_most(listener):
    began = time.time()
    facts = asked(f"127.0.0.1:{listener({})}")
    assert facts["metrics_answers"] is False
    assert time.time() - began < 5


def test_two_silent_listeners_cost_the_time_out_together(listener):
    ports = [listener({}) for _number in range(2)]
    began = time.time()
    facts = asked(*[f"127.0.0.1:{port}" for port in ports])
    assert (facts["metrics_answers"], facts["healthz_answers"]) == (False, False)
    assert time.time() - began < 1


def test_metrics_that_never_end_cost_the_time_out(listener):
    port = listener({"/proxyMode": answer(b"ipvs"), "/healthz": answer(b"ok")})
    began = time.time()
    facts = asked(f"127.0.0.1:{port}", f"127.0.0.1:{port}")
    assert (facts["mode_effective"], facts["healthz_answers"], facts["version"]) == ("ipvs", True, None)
    assert time.time() - began < 1


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert asked(f"127.0.0.1:{port}")["metrics_answers"] is False


@pytest.mark.parametrize("address", ["203.0.113.7:10249", "[2001:db8::7]:10249", "localhost:10249", "224.0.0.1:10249", None, "nonsense", "host.example:10249"])
def test_only_this_nodes_own_addresses_are_asked(address):
    assert asked(address)["metrics_answers"] is None


def test_an_address_of_a_service_is_not_the_nodes_own(listener, monkeypatch):
    port = listener({"/proxyMode": answer(b"ipvs")})
    for name, asked_it in (("eth0", True), ("kube-ipvs0", None)):
        monkeypatch.setattr(ip_addresses, "node_addresses", lambda node, name=name: [(name, "::ffff:127.0.0.1")])
        assert asked(f"[::ffff:127.0.0.1]:{port}")["metrics_answers"] is asked_it


def test_the_body_is_capped(listener):
    port = listener({"/x": answer(b"a" * 1000000)})
    assert http_get.get("127.0.0.1", port, "/x", 2, 1000) == (200, b"a" * 1000)


@pytest.mark.parametrize(("metrics", "version"), [(OLD, "1.18.6"), (NEW, "1.28.5+k3s1"), (b"kubernetes_build_info{} 1", None), (b"", None)])
def test_build_info(metrics, version):
    assert build_info(metrics) == version


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("registry.k8s.io/kube-proxy:v1.26.3@sha256:" + "0" * 64, "1.26.3"),
        ("registry:5000/kube-proxy-worker:v1.34.1-aliyun.1", "1.34.1-aliyun.1"),
        ("rancher/hardened-kubernetes:v1.36.4-rke2r1-build20260101", "1.36.4-rke2r1-build20260101"),
        ("602401143452.dkr.ecr/eks/kube-proxy:v1.33.3-minimal-eksbuild.6", "1.33.3-minimal-eksbuild.6"),
        ("registry:5000/kube-proxy", None),
        ("kube-proxy:latest", None),
        ("sha256:" + "a" * 64, None),
        (None, None),
    ],
)
def test_version_in_an_image_name(image, version):
    assert from_image(image) == version
