# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The door of a cluster's Node objects to Ansible: an inventory of its nodes, from the API or from a saved list."""

from __future__ import annotations

DOCUMENTATION = r'''
name: nodes
short_description: The nodes of a Kubernetes cluster, from its API or from a saved list
version_added: 1.0.0
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
description:
  - Makes a host of every Node object of a cluster. No node is contacted.
  - Each host has the variable C(kube_node), with its kernel, OS, roles, labels, addresses and what the cluster's DaemonSet and ConfigMap say of
    kube-proxy there. C(docs/inventory.md) lists its keys.
  - The role P(kubeproxy.ipvs.audit#role) judges such hosts without contacting them if C(audit_source=api).
  - C(nodeInfo.kubeProxyVersion) is not used. The kubelet writes its own version there, and nothing since 1.33.
  - A file of this plugin is one cluster. Several clusters are several files, in one directory or each with its own C(-i).
  - Its name is C(nodes.yml) or ends with C(.nodes.yml); C(.yaml) does as well.
  - Text that comes from the cluster is data and never a template, also if it looks like one.
requirements:
  - the Python package kubernetes, beside ansible-core, unless O(file) is used
extends_documentation_fragment:
  - constructed
  - inventory_cache
notes:
  - It lists nodes with C(list) on C(nodes), and reads one DaemonSet and one ConfigMap with C(get). Where the latter is refused, version and mode of
    kube-proxy stay unknown, with a warning.
  - A cluster that cannot be read is an error that names it. Ansible then goes on with the other inventory sources, unless
    C(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=true).
options:
  plugin:
    description: This plugin's name.
    type: str
    required: true
    choices: [kubeproxy.ipvs.nodes]
  cluster_name:
    description:
      - What the cluster is called in reports and in O(host_name). Letters, digits, dots, underscores and hyphens.
      - By default the name of the inventory file without C(.nodes.yml).
    type: str
  host_name:
    description:
      - What a node is called in the inventory, C({name}) and C({cluster}) filled in.
      - A node whose name is taken by a node of another cluster is called C({cluster}.{name}) all the same, with a warning, so that none is lost.
    type: str
    default: '{name}'
  address_types:
    description:
      - Which of a node's addresses becomes C(ansible_host); of the first type that the node has, the first.
      - An empty list leaves C(ansible_host) out.
    type: list
    elements: str
    default: [InternalIP, ExternalIP, Hostname]
  annotations:
    description: Whether C(kube_node) has the node's annotations. They can be long.
    type: bool
    default: false
  label_selector:
    description:
      - Only nodes whose labels meet this selector, for example V(node-role.kubernetes.io/worker=).
      - The API server judges it, so that it cannot be used with O(file).
    type: str
  file:
    description:
      - Saved objects in place of the API, as C(kubectl get nodes -o json) writes them; relative to the inventory file. Several lists, also in one file,
        are read one after the other.
      - The DaemonSet and ConfigMap of kube-proxy are looked for in them as well. They are written by
        C(kubectl -n kube-system get daemonset/kube-proxy configmap/kube-proxy -o json).
    type: list
    elements: str
    default: []
  kubeconfig:
    description:
      - The kubeconfig to use.
      - By default what kubectl uses (E(KUBECONFIG), C(~/.kube/config)), else, in a pod, its account.
    type: path
    env:
      - name: K8S_AUTH_KUBECONFIG
  context:
    description: The context of the kubeconfig, by default its current one.
    type: str
    env:
      - name: K8S_AUTH_CONTEXT
  host:
    description:
      - URL of the API server, in place of a kubeconfig.
      - From the environment it counts only in a file that names neither O(kubeconfig) nor O(context), and so do O(api_key), O(ca_cert) and
        O(validate_certs).
    type: str
    env:
      - name: K8S_AUTH_HOST
  api_key:
    description: Token for O(host).
    type: str
    env:
      - name: K8S_AUTH_API_KEY
  ca_cert:
    description: File of the certificate authority of the API server, in place of the kubeconfig's.
    type: path
    env:
      - name: K8S_AUTH_SSL_CA_CERT
  validate_certs:
    description: Whether the API server's certificate is verified. By default what the kubeconfig says, else V(true).
    type: bool
    env:
      - name: K8S_AUTH_VERIFY_SSL
  page_size:
    description: How many nodes are asked for at once.
    type: int
    default: 500
  timeout:
    description: Seconds to wait for a connection, and for an answer.
    type: float
    default: 30
  retries:
    description:
      - How often a request is tried again that was throttled (429), failed in the server (500, 502, 503, 504) or got no answer.
      - Waits are 1, 2, 4, … seconds, or as long as C(Retry-After) says, never more than a minute.
    type: int
    default: 5
  namespace:
    description: Namespace of kube-proxy's DaemonSet and ConfigMap.
    type: str
    default: kube-system
  daemonset:
    description: Name of kube-proxy's DaemonSet. Empty not to look for it.
    type: str
    default: kube-proxy
'''

EXAMPLES = r'''
# eu.nodes.yml: the cluster of a context, with groups of its nodes
plugin: kubeproxy.ipvs.nodes
kubeconfig: ~/.kube/eu
context: prod
host_name: '{cluster}.{name}'
keyed_groups:
  - prefix: role
    key: kube_node.roles
  - prefix: zone
    key: kube_node.labels['topology.kubernetes.io/zone']
groups:
  old_kernels: kube_node.kernel is version('5.9', '<')
compose:
  ansible_user: "'core'"

# lab.nodes.yml: what kubectl has saved, somewhere else
#   kubectl get nodes -o json > nodes.json
#   kubectl -n kube-system get daemonset/kube-proxy configmap/kube-proxy -o json > kube-proxy.json
#
# plugin: kubeproxy.ipvs.nodes
# file: [nodes.json, kube-proxy.json]
'''

import hashlib
import json
import os
import re

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import daemonset_kube_proxy, kubernetes_api, node_lists, node_objects
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, sequence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import clean

SUFFIXES = (".nodes.yml", ".nodes.yaml")
NAMES = ("nodes.yml", "nodes.yaml")
# Names that mean something else to Ansible: tasks are delegated to the first, the others are groups.
RESERVED = ("localhost", "all", "ungrouped")
CACHE_SCHEMA = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
# What decides which objects are read; all else is done after the cache.
READING = ("file", "kubeconfig", "context", "host", "label_selector", "namespace", "daemonset")


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """See DOCUMENTATION."""

    NAME = "kubeproxy.ipvs.nodes"

    def verify_file(self, path):
        """Whether this is a file of this plugin, by its name."""
        name = os.path.basename(path)
        return super().verify_file(path) and (name.endswith(SUFFIXES) or name in NAMES)

    def parse(self, inventory, loader, path, cache=True):
        """Fill the inventory with the nodes of one cluster."""
        super().parse(inventory, loader, path, cache)
        self._named = set(self._read_config_data(path))
        self._cluster = self._cluster_name(path)
        self._check_options()
        document = self._cached(path, cache)
        if document["left_out"]:
            self._warn(f"{len(document['left_out'])} left out: {'; '.join(clean(reason, 120) for reason in document['left_out'][:3])}")
        renamed: list[str] = []
        seen: set[str] = set()
        for record in document["records"]:
            self._add(record, document, seen, renamed)
        if renamed:
            self._warn(f"{len(renamed)} of its nodes have names that are taken: they are called {self._cluster}.NAME, as {', '.join(renamed[:3])}")

    def _fail(self, sentence: str) -> AnsibleParserError:
        return AnsibleParserError(f"cluster {self._cluster}: {sentence}")

    def _warn(self, sentence: str) -> None:
        self.display.warning(f"cluster {self._cluster}: {sentence}")

    def _cluster_name(self, path: str) -> str:
        """The option, or what the file's name says."""
        name = os.path.basename(path)
        stem = next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), os.path.splitext(name)[0])
        cluster = str(plain(self.get_option("cluster_name")) or stem)
        if not _NAME.fullmatch(cluster):
            raise AnsibleParserError(f"cluster_name: {cluster!r} is not made of letters, digits, dots, underscores and hyphens")
        return cluster

    def _check_options(self) -> None:
        pattern = self.get_option("host_name")
        if "{name}" not in pattern or not _NAME.fullmatch(pattern.replace("{name}", "n").replace("{cluster}", "c")):
            raise self._fail(f"host_name: {str(pattern)!r} does not make a host name of {{name}} and {{cluster}}")
        if self.get_option("file") and self.get_option("label_selector"):
            raise self._fail("label_selector: the API server judges it, saved nodes cannot be selected by it; use groups")
        for option, minimum in (("page_size", 1), ("retries", 0)):
            if self.get_option(option) < minimum:
                raise self._fail(f"{option}: {self.get_option(option)} is less than {minimum}")
        if not self.get_option("timeout") > 0:
            raise self._fail(f"timeout: {self.get_option('timeout')} is not more than 0")

    def _cached(self, path: str, cache: bool) -> dict:
        """{source, records, kube_proxy, left_out}, from the cache if it is wanted and there."""
        wanted = self.get_option("cache")
        read = json.dumps([str(plain(self.get_option(name))) for name in READING])
        key = f"{self.get_cache_key(path)}_{hashlib.sha256(read.encode('utf-8')).hexdigest()[:12]}"
        if wanted and cache:
            try:
                document = plain(self._cache[key])
            except KeyError:
                document = None
            if isinstance(document, dict) and document.get("schema") == CACHE_SCHEMA:
                return document
        document = {"schema": CACHE_SCHEMA, **(self._from_files(path) if self.get_option("file") else self._from_api())}
        if wanted:
            self._cache[key] = document
        return document

    def _records(self, nodes: list) -> dict:
        records, left_out = [], []
        for node in nodes:
            try:
                records.append(node_objects.record_of(node))
            except node_objects.NodeObjectError as error:
                left_out.append(str(error))
        return {"records": records, "left_out": left_out}

    def _from_files(self, path: str) -> dict:
        """What the saved files hold."""
        found: dict[str, list] = {kind: [] for kind in node_lists.KINDS}
        files = [os.path.join(os.path.dirname(os.path.abspath(path)), os.path.expanduser(name)) for name in self.get_option("file")]
        for file in files:
            try:
                objects = node_lists.read_objects(file)
            except node_lists.NodeListError as error:
                raise self._fail(f"{file}: {error}") from error
            for kind, items in objects.items():
                found[kind] += items
        namespace, name = self.get_option("namespace"), self.get_option("daemonset")
        daemonset = node_lists.find_object(found["DaemonSet"], namespace, name)
        if daemonset is None:
            kube_proxy = daemonset_kube_proxy.unknown(f"the DaemonSet {namespace}/{name} is not among the saved objects")
        else:
            place = daemonset_kube_proxy.config_map_of(daemonset)
            config_map = node_lists.find_object(found["ConfigMap"], namespace, place[0]) if place else None
            reason = f"the ConfigMap {namespace}/{place[0]} is not among the saved objects" if place and config_map is None else ""
            kube_proxy = daemonset_kube_proxy.read_kube_proxy(daemonset, config_map, reason)
        return {**self._records(found["Node"]), "kube_proxy": kube_proxy, "source": f"the saved file {' and '.join(os.path.basename(file) for file in files)}"}

    def _access(self) -> kubernetes_api.Access:
        """How to reach the API server. A cluster that the file names is not another one because of what the environment says."""
        names = {"kubeconfig", "context", "host", "api_key", "ca_cert", "validate_certs", "timeout", "retries"}
        if self._named & {"kubeconfig", "context"}:
            names -= {"host", "api_key", "ca_cert", "validate_certs"} - self._named
        return kubernetes_api.Access(**{name: plain(self.get_option(name)) for name in names})

    def _from_api(self) -> dict:
        """What the API server says."""
        try:
            reader = kubernetes_api.ApiReader(self._access(), say=self._warn)
            nodes = reader.nodes(self.get_option("page_size"), plain(self.get_option("label_selector")))
        except kubernetes_api.ApiError as error:
            hint = "; the account may not list nodes" if error.status == 403 else ""
            raise self._fail(f"{error}{hint}") from error
        kube_proxy = self._kube_proxy(reader)
        self.display.v(f"cluster {self._cluster}: {len(nodes)} nodes from {reader.server} in {reader.requests} requests")
        return {**self._records(nodes), "kube_proxy": kube_proxy, "source": f"the API server {reader.server}"}

    def _kube_proxy(self, reader: kubernetes_api.ApiReader) -> dict:
        """What DaemonSet and ConfigMap say of kube-proxy. What cannot be read stays unknown, with a warning unless it does not exist."""
        namespace, name = self.get_option("namespace"), self.get_option("daemonset")
        if not name:
            return daemonset_kube_proxy.unknown("the DaemonSet of kube-proxy was not asked for")
        try:
            daemonset = reader.daemonset(namespace, name)
        except kubernetes_api.ApiError as error:
            if error.status == kubernetes_api.NOT_FOUND:
                return daemonset_kube_proxy.unknown(daemonset_kube_proxy.NOT_THERE.format(name=f"{namespace}/{name}"))
            self._warn(f"version and mode of kube-proxy stay unknown: the DaemonSet {namespace}/{name} cannot be read: {error}")
            return daemonset_kube_proxy.unknown(f"the DaemonSet {namespace}/{name} could not be read: {error}")
        place, config_map, reason = daemonset_kube_proxy.config_map_of(daemonset), None, ""
        if place:
            try:
                config_map = reader.config_map(namespace, place[0])
            except kubernetes_api.ApiError as error:
                reason = f"the ConfigMap {namespace}/{place[0]} could not be read: {error}"
                self._warn(f"the mode of kube-proxy stays unknown: {reason}")
        return daemonset_kube_proxy.read_kube_proxy(daemonset, config_map, reason)

    def _taken(self, name: str) -> bool:
        """Whether a host of this name is a node of another cluster, or would be something else to Ansible."""
        host = self.inventory.get_host(name) if name in self.inventory.hosts else None
        other = mapping(plain(host.vars.get(node_objects.VARIABLE))) if host else {}
        return name in RESERVED or name in self.inventory.groups or other.get("cluster", self._cluster) != self._cluster

    def _add(self, record: dict, document: dict, seen: set[str], renamed: list[str]) -> None:
        """One host with its variables and groups."""
        if record["name"] in seen:
            self._warn(f"the node {record['name']} is there more than once, the last one counts")
        seen.add(record["name"])
        name = self.get_option("host_name").replace("{cluster}", self._cluster).replace("{name}", record["name"])
        if self._taken(name):
            name = f"{self._cluster}.{record['name']}"
            renamed.append(name)
        self.inventory.add_host(name)
        variables = {
            node_objects.VARIABLE: node_objects.host_variables(
                record, self._cluster, document["kube_proxy"], document["source"], self.get_option("annotations")
            )
        }
        address = node_objects.address_of(record, [str(kind) for kind in sequence(plain(self.get_option("address_types")))])
        if address:
            variables["ansible_host"] = address
        for key, value in variables.items():
            # Text out of the cluster is never a template.
            self.inventory.set_variable(name, key, wrap_var(value))
        strict = self.get_option("strict")
        host_variables = self.inventory.get_host(name).get_vars()
        self._set_composite_vars(self.get_option("compose"), host_variables, name, strict=strict)
        # What was composed is there for the groups.
        host_variables = self.inventory.get_host(name).get_vars()
        self._add_host_to_composed_groups(self.get_option("groups"), host_variables, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), host_variables, name, strict=strict)
