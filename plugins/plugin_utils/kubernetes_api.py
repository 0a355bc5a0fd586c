# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading from a cluster's API server through the Kubernetes Python client: pages, tokens that expire, throttling, timeouts.

The client is used for what it is good at (kubeconfig, authentication, TLS). The objects stay the JSON that came: making typed objects of 5,000 nodes takes
longer than reading them, and does not survive one that is odd.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, number, sequence, text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import clean

try:
    import urllib3
    from kubernetes import client as kubernetes_client
    from kubernetes import config as kubernetes_config
except ImportError as import_error:
    urllib3 = kubernetes_client = kubernetes_config = None
    IMPORT_ERROR: ImportError | None = import_error
else:
    IMPORT_ERROR = None

EXPIRED, TOO_MANY, REFUSED, NOT_FOUND = 410, 429, (401, 403), 404
RETRIED = (TOO_MANY, 500, 502, 503, 504)
# How often a list is read from its beginning again because its continue token expired, before the server's offer of an inconsistent rest is taken.
FRESH_STARTS = 2
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0


class ApiError(Exception):
    """What the API server, or the way to it, did not give. The text is for people. status: of HTTP, or None if there was no answer."""

    def __init__(self, sentence: str, status: int | None = None):
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Access:
    """How to reach an API server; None and True stand for what the kubeconfig says. timeout: seconds for one request, to connect and to answer each."""

    kubeconfig: str | None = None
    context: str | None = None
    host: str | None = None
    api_key: str | None = None
    ca_cert: str | None = None
    validate_certs: bool | None = None
    timeout: float = 30
    retries: int = 5


@dataclass(frozen=True)
class Answer:
    """What came back for one request. document: its JSON, an empty mapping if it is none; retry_after: seconds, or None."""

    status: int
    document: dict
    retry_after: float | None = None

    @property
    def words(self) -> str:
        """What the server says itself."""
        return clean(text(self.document.get("message")) or text(self.document.get("reason")) or "no reason given", 200)


def _has_kubeconfig() -> bool:
    """Whether there is a kubeconfig where kubectl looks for it."""
    named = os.environ.get("KUBECONFIG") or os.path.join("~", ".kube", "config")
    return any(os.path.exists(os.path.expanduser(path)) for path in named.split(os.pathsep) if path)


def _configuration(access: Access):
    """The client's settings. Raises ApiError."""
    settings = kubernetes_client.Configuration()
    try:
        if access.host:
            settings.host = access.host
            if access.api_key:
                settings.api_key = {"authorization": f"Bearer {access.api_key}"}
        elif not access.kubeconfig and not access.context and not _has_kubeconfig() and os.environ.get("KUBERNETES_SERVICE_HOST"):
            # The account of the pod that this runs in.
            kubernetes_config.load_incluster_config(client_configuration=settings)
        else:
            kubernetes_config.load_kube_config(config_file=access.kubeconfig, context=access.context, client_configuration=settings)
    except kubernetes_config.ConfigException as error:
        raise ApiError(f"the kubeconfig cannot be used: {clean(error, 200)}") from error
    except OSError as error:
        raise ApiError(f"the kubeconfig cannot be read: {clean(error.strerror or error, 200)}") from error
    except Exception as error:
        # The client lets errors of YAML, base64, certificates and login plugins through as they are, all of them of their own kinds.
        what = f"the address {access.host}" if access.host else "the kubeconfig"
        raise ApiError(f"{what} cannot be used: {type(error).__name__}: {clean(error, 200)}") from error
    if access.ca_cert:
        settings.ssl_ca_cert = access.ca_cert
    if access.validate_certs is not None:
        settings.verify_ssl = access.validate_certs
    # Who waits how long is decided here, where it can be said.
    settings.retries = False
    settings.client_go_retries = False
    return settings


def _seconds(value) -> float | None:
    """A Retry-After header in seconds; a date counts as none, the API server sends seconds."""
    seconds = number(value)
    return float(seconds) if seconds is not None and seconds >= 0 else None


def _json(body) -> dict | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


class ApiReader:
    """Reads lists and single objects from one API server. requests: how many HTTP requests that took so far.

    Raises ApiError. sleep: how to wait, in seconds. say: is told about each wait, in a sentence.
    """

    def __init__(self, access: Access, sleep: Callable[[float], None] = time.sleep, say: Callable[[str], None] = lambda sentence: None):
        if IMPORT_ERROR is not None:
            raise ApiError(
                f"the Python package kubernetes is missing beside ansible-core ({IMPORT_ERROR}): "
                "pip install kubernetes, or read a saved list with the option file"
            )
        self._access, self._sleep, self._say = access, sleep, say
        settings = _configuration(access)
        self.server = str(settings.host)
        if not settings.verify_ssl:
            # Somebody has said that it is not to be verified; to warn of each request would hide what else there is to say.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self.requests = 0
        self._client = kubernetes_client.ApiClient(settings)

    def _once(self, call: Callable, arguments: dict) -> Answer:
        """One request. Raises urllib3's HTTPError if there was no answer."""
        self.requests += 1
        try:
            answer = call(**arguments, _preload_content=False, _request_timeout=(self._access.timeout, self._access.timeout))
            body = answer.data
        except kubernetes_client.ApiException as error:
            if not error.status:
                # That is how the client hands on errors of TLS.
                raise ApiError(f"no TLS connection to {self.server}: {clean(error.reason or error, 200)}") from error
            headers = error.headers or {}
            return Answer(int(error.status), _json(error.body or b"") or {"message": error.reason}, _seconds(headers.get("Retry-After")))
        document = _json(body)
        if document is None:
            raise ApiError(f"what {self.server} answers is not a JSON object: is that an API server?")
        return Answer(int(answer.status), document)

    def _get(self, call: Callable, arguments: dict) -> Answer:
        """One answer, also one that says no; throttling, failures of the server and of the way to it are tried again."""
        problem, status = "", None
        for attempt in range(self._access.retries + 1):
            wait = min(FIRST_WAIT * 2**attempt, LONGEST_WAIT)
            try:
                answer = self._once(call, arguments)
            except urllib3.exceptions.NewConnectionError as error:
                # To urllib3 a kind of timeout, also where the connection was refused at once.
                problem, status = f"no connection to {self.server}: {clean(error, 200)}", None
            except urllib3.exceptions.TimeoutError:
                problem, status = f"{self.server} did not answer within {self._access.timeout:g} seconds", None
            except urllib3.exceptions.LocationValueError as error:
                raise ApiError(f"{self.server} is no address of an API server: {clean(error, 200)}") from error
            except (ValueError, TypeError) as error:
                # A header or an address that cannot be sent. The text of the error may hold the token.
                raise ApiError(f"no request to {self.server} can be made ({type(error).__name__}): look at the address, the token and the selector") from error
            except urllib3.exceptions.HTTPError as error:
                problem, status = f"no connection to {self.server}: {clean(error, 200)}", None
            else:
                if answer.status not in RETRIED:
                    return answer
                problem, status = f"{self.server} answers {answer.status}: {answer.words}", answer.status
                if answer.retry_after is not None:
                    wait = min(answer.retry_after, LONGEST_WAIT)
            if attempt < self._access.retries:
                self._say(f"{problem}; trying again in {wait:g} seconds")
                self._sleep(wait)
        raise ApiError(f"{problem} (tried {self._access.retries + 1} times)", status)

    def _object(self, call: Callable, namespace: str, name: str) -> dict:
        answer = self._get(call, {"namespace": namespace, "name": name})
        if answer.status != 200:
            raise ApiError(f"{self.server} answers {answer.status}: {answer.words}", answer.status)
        return answer.document

    def daemonset(self, namespace: str, name: str) -> dict:
        """A DaemonSet. Raises ApiError with the status, also for one that is not there (404) or may not be read (403)."""
        return self._object(kubernetes_client.AppsV1Api(self._client).read_namespaced_daemon_set, namespace, name)

    def config_map(self, namespace: str, name: str) -> dict:
        """A ConfigMap. Raises ApiError as daemonset()."""
        return self._object(kubernetes_client.CoreV1Api(self._client).read_namespaced_config_map, namespace, name)

    def nodes(self, page_size: int, label_selector: str | None = None) -> list:
        """All Node objects, read page by page.

        A continue token lives as long as etcd keeps the list's revision, five minutes by default. If it expires (410), the list is read from its beginning
        again, twice; then the rest as it is now, if the server offers that: a node that came or went meanwhile may be missing from it.
        """
        call = kubernetes_client.CoreV1Api(self._client).list_node
        arguments = {"label_selector": label_selector} if label_selector else {}
        found: list = []
        token, starts = "", 0
        while True:
            page = {**arguments, "limit": page_size, **({"_continue": token} if token else {})}
            answer = self._get(call, page)
            if answer.status == EXPIRED and token:
                offered = text(mapping(answer.document.get("metadata")).get("continue"))
                if starts < FRESH_STARTS:
                    starts, found, token = starts + 1, [], ""
                    self._say("the list of nodes expired while it was read: reading it from its beginning again")
                    continue
                if offered and offered != token:
                    self._say("the list of nodes expired again: taking the rest of it as it is now")
                    token = offered
                    continue
                raise ApiError(f"the list of nodes expired {starts + 1} times before it was read to its end: raise page_size, or read a saved list", EXPIRED)
            if answer.status != 200:
                raise ApiError(f"{self.server} answers {answer.status}: {answer.words}", answer.status)
            if "items" not in answer.document:
                raise ApiError(f"what {self.server} answers is not a list of nodes: is that an API server?")
            found += sequence(answer.document["items"])
            former, token = token, text(mapping(answer.document.get("metadata")).get("continue")) or ""
            if not token:
                return found
            if token == former:
                raise ApiError(f"{self.server} gives the same page of nodes again and again")
