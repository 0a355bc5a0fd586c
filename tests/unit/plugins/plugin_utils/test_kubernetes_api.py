# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading an API server through the real Kubernetes client: pages, expired tokens, throttling, silence, refusal. The server is a stand-in."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading

import pytest
from api_server_stand_in import DAEMONSET, NODES, StandIn, node_object, serve, status_object

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import kubernetes_api
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.kubernetes_api import Access, ApiError, ApiReader

pytest.importorskip("kubernetes")

NAMES = [f"node-{number}" for number in range(25)]


@pytest.fixture
def server():
    """A stand-in with 25 nodes."""
    with serve(StandIn([node_object(name) for name in NAMES])) as stand_in:
        yield stand_in


@pytest.fixture
def reader(server, tmp_path):
    """reader(**access) -> (ApiReader, what it waited for in seconds, what it said)."""

    def make(**access):
        waited, said = [], []
        (tmp_path / "kubeconfig").write_text(server.kubeconfig(), encoding="utf-8")
        return ApiReader(Access(kubeconfig=str(tmp_path / "kubeconfig"), **access), waited.append, said.append), waited, said

    return make


def names_of(nodes):
    return [node["metadata"]["name"] for node in nodes]


def gone(**metadata):
    return 410, status_object(410, "The provided continue parameter is too old", **metadata), {}


@pytest.mark.parametrize(("page_size", "pages"), [(500, 1), (25, 1), (24, 2), (10, 3), (1, 25)])
def test_pages(server, reader, page_size, pages):
    api, waited, _said = reader()
    assert names_of(api.nodes(page_size)) == NAMES
    assert api.requests == len(server.requests) == pages and not waited
    assert server.authorization == {"Bearer secret-token"}
    assert all(query["limit"] == str(page_size) for _path, query in server.requests)


def test_the_label_selector_is_asked_on_every_page(server, reader):
    reader()[0].nodes(10, "a=b")
    assert [query["labelSelector"] for _path, query in server.requests] == ["a=b"] * 3


def test_an_expired_token_starts_the_list_anew(server, reader):
    server.trouble = lambda path, query, number: gone(**{"continue": "token-10"}) if number == 2 else None
    api, _waited, said = reader()
    assert names_of(api.nodes(10)) == NAMES
    assert api.requests == 5
    assert said == ["the list of nodes expired while it was read: reading it from its beginning again"]


def test_tokens_that_expire_again_and_again_lead_to_the_rest_as_it_is(server, reader):
    def expire(path, query, number):
        token = query.get("continue", "")
        return gone(**{"continue": f"now-{token[6:]}"}) if token.startswith("token") else None

    server.trouble = expire
    api, _waited, said = reader()
    assert names_of(api.nodes(10)) == NAMES
    assert "the list of nodes expired again: taking the rest of it as it is now" in said


def test_a_server_that_only_expires_is_an_error_after_a_bounded_number(server, reader):
    server.trouble = lambda path, query, number: gone() if "continue" in query else None
    api, _waited, _said = reader()
    with pytest.raises(ApiError, match="expired 3 times") as error:
        api.nodes(10)
    assert error.value.status == 410 and api.requests == 6


def test_a_token_that_never_changes_is_an_error(server, reader):
    server.trouble = lambda path, query, number: (200, {"metadata": {"continue": "same"}, "items": []}, {})
    with pytest.raises(ApiError, match="again and again"):
        reader()[0].nodes(10)


def test_throttling_waits_as_long_as_the_server_says(server, reader):
    server.trouble = lambda path, query, number: (429, status_object(429, "Too many requests"), {"Retry-After": "7"}) if number in (2, 3) else None
    api, waited, said = reader()
    assert names_of(api.nodes(10)) == NAMES
    assert waited == [7, 7] and api.requests == 5
    assert said[0].endswith("answers 429: Too many requests; trying again in 7 seconds")


@pytest.mark.parametrize(("after", "wait"), [(None, 1), ("86400", 60), ("0", 0), ("Wed, 21 Oct 2026 07:28:00 GMT", 1), ("-3", 1)])
def test_waits_are_bounded(server, reader, after, wait):
    header = {} if after is None else {"Retry-After": after}
    server.trouble = lambda path, query, number: (429, b"slow down", header) if number == 1 else None
    api, waited, _said = reader()
    assert len(api.nodes(500)) == 25
    assert waited == [wait]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_failures_that_stay_are_an_error(server, reader, status):
    server.trouble = lambda path, query, number: (status, status_object(status, "etcd\x1b[31m is\nhot"), {})
    api, waited, _said = reader(retries=3)
    with pytest.raises(ApiError, match=rf"answers {status}: etcd \[31m is hot \(tried 4 times\)") as error:
        api.nodes(500)
    assert waited == [1, 2, 4] and error.value.status == status


@pytest.mark.parametrize(("status", "words"), [(401, "Unauthorized"), (403, 'nodes is forbidden: User "x" cannot list')])
def test_refusal_is_not_tried_again(server, reader, status, words):
    server.trouble = lambda path, query, number: (status, status_object(status, words), {})
    api, waited, _said = reader()
    with pytest.raises(ApiError, match=f"answers {status}: {words}") as error:
        api.nodes(500)
    assert error.value.status == status and not waited and api.requests == 1


def test_silence_is_tried_again_and_then_an_error(server, reader):
    release = threading.Event()

    def silent(path, query, number):
        if number != 2:
            return None
        release.wait(60)
        raise ConnectionError

    server.trouble = silent
    try:
        api, waited, said = reader(timeout=0.3)
        assert names_of(api.nodes(10)) == NAMES
        assert waited == [1] and "did not answer within 0.3 seconds" in said[0]
        api, waited, _said = reader(timeout=0.3, retries=0)
        server.requests.clear()
        with pytest.raises(ApiError, match="did not answer within 0.3 seconds .tried 1 times"):
            api.nodes(10)
    finally:
        release.set()


def test_a_server_that_hangs_up(server, reader):
    def hang_up(path, query, number):
        if number in (1, 2):
            raise ConnectionError

    server.trouble = hang_up
    api, waited, _said = reader()
    assert names_of(api.nodes(500)) == NAMES
    assert waited == [1, 2]


def test_nobody_there(reader, server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        server.url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        api, _waited, _said = reader(retries=1)
        with pytest.raises(ApiError, match="no connection to http://127.0.0.1:.*tried 2 times"):
            api.nodes(500)


@pytest.mark.parametrize("body", [b"<html>a proxy's page</html>", b"[]", b"", b"\xff\xfe", b"[" * 100000])
def test_an_answer_that_is_no_object(server, reader, body):
    server.trouble = lambda path, query, number: (200, body, {})
    api, _waited, _said = reader()
    with pytest.raises(ApiError, match="is not a JSON object: is that an API server"):
        api.nodes(500)


def test_an_answer_that_is_no_list(server, reader):
    server.trouble = lambda path, query, number: (200, {"message": "please log in"}, {})
    with pytest.raises(ApiError, match="is not a list of nodes"):
        reader()[0].nodes(500)
    server.trouble = lambda path, query, number: (200, {"kind": "NodeList", "items": None}, {})
    assert reader()[0].nodes(500) == []


def test_objects_that_are_not_there_or_refused(server, reader):
    api = reader()[0]
    assert api.daemonset("kube-system", "kube-proxy")["metadata"]["name"] == "kube-proxy"
    assert "mode" in api.config_map("kube-system", "kube-proxy")["data"]["config.conf"]
    with pytest.raises(ApiError) as error:
        api.config_map("kube-system", "other")
    assert error.value.status == 404
    server.trouble = lambda path, query, number: (403, status_object(403, "forbidden"), {}) if path == DAEMONSET else None
    with pytest.raises(ApiError) as error:
        api.daemonset("kube-system", "kube-proxy")
    assert error.value.status == 403


EMPTY = "current-context: nobody\ncontexts: []\nclusters: []\nusers: []\n"


@pytest.mark.parametrize("content", [None, "", "{", "- a\n", "kind: Config\n", '{"clusters": 3}', "\x00", EMPTY])
def test_a_kubeconfig_that_cannot_be_used(tmp_path, content):
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ApiError, match="the kubeconfig cannot be"):
        ApiReader(Access(kubeconfig=str(path)))


def test_a_context_that_does_not_exist(reader):
    with pytest.raises(ApiError, match="the kubeconfig cannot be used: .*nowhere"):
        reader(context="nowhere")


def test_host_and_token_in_place_of_a_kubeconfig(server):
    api = ApiReader(Access(host=server.url, api_key="other"))
    assert len(api.nodes(500)) == 25
    assert server.authorization == {"Bearer other"} and server.requests[0][0] == NODES


@pytest.mark.parametrize(
    "access",
    [{"host": "ftp://x"}, {"host": "no address"}, {"host": "http://["}, {"host": "http://a b/"}, {"host": "http://127.0.0.1:1", "api_key": "se\ncret"}],
)
def test_addresses_and_tokens_that_cannot_be_used(access):
    with pytest.raises(ApiError) as error:
        ApiReader(Access(**{"retries": 0, **access})).nodes(500)
    assert access["host"].split()[0] in str(error.value) and "cret" not in str(error.value)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_certificates(tmp_path):
    key, certificate, both = (tmp_path / name for name in ("key.pem", "certificate.pem", "both.pem"))
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "1", "-subj", "/CN=stand-in"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    both.write_text(key.read_text(encoding="ascii") + certificate.read_text(encoding="ascii"), encoding="ascii")
    with serve(StandIn([node_object("web-1")]), str(both)) as server:
        waited = []
        with pytest.raises(ApiError, match="no TLS connection to https://127.0.0.1:.*CERTIFICATE_VERIFY_FAILED"):
            ApiReader(Access(host=server.url, api_key="x"), waited.append).nodes(500)
        assert not waited and not server.requests
        for access in (Access(host=server.url, ca_cert=str(certificate)), Access(host=server.url, validate_certs=False)):
            assert len(ApiReader(access).nodes(500)) == 1
        with pytest.raises(ApiError, match="cannot be used|no TLS connection"):
            ApiReader(Access(host=server.url, ca_cert=str(tmp_path / "none.pem"))).nodes(500)


def test_the_client_is_missing(monkeypatch):
    monkeypatch.setattr(kubernetes_api, "IMPORT_ERROR", ImportError("No module named 'kubernetes'"))
    with pytest.raises(ApiError, match="pip install kubernetes, or read a saved list"):
        ApiReader(Access())
