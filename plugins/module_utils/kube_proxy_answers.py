# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a running kube-proxy says of itself at its own addresses on this node."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import http_get, ip_addresses, kube_proxy_config, kube_proxy_version
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock

METRICS_LIMIT = 8 * 1024 * 1024
# What share of the time for all questions the first one may take.
FIRST_SHARE = 0.6


def _is_own_address(host, listed):
    """Whether HOST is an address of this machine: only then somebody else's kube-proxy cannot be the one that answers.

    listed: ip_addresses.node_addresses. To bind it proves nothing: with net.ipv4.ip_nonlocal_bind any address can be bound.
    """
    packed = ip_addresses.address_bytes(host)
    if packed is None:
        return False
    if packed[:1] == b'\x7f' and len(packed) == 4:
        return True
    # On kube-ipvs0 a service answers, on whatever node.
    return any(packed == ip_addresses.address_bytes(address) for name, address in listed or [] if name != 'kube-ipvs0')


def _target(address, default_port, listed):
    """(host, port) at which an address of the configuration can be asked from this node, or None."""
    parts = kube_proxy_config.split_address(address, default_port) if address else None
    if parts is None:
        return None
    for host in {'0.0.0.0': ('127.0.0.1',), '::': ('::1', '127.0.0.1')}.get(parts[0], parts[:1]):
        if _is_own_address(host, listed):
            return host, parts[1]
    return None


class _Budget(object):
    """The time for all questions together."""

    def __init__(self, seconds):
        self.seconds, self._end = seconds, clock() + seconds

    def get(self, target, path, limit, share=1.0, until=None):
        """As http_get.get, in what is left of the time but at most SHARE of all of it; None if none is left."""
        left = min(self._end - clock(), self.seconds * share)
        return http_get.get(target[0], target[1], path, left, limit, until) if left > 0 else None


def ask_process(node, facts, timeout_seconds):
    """Fill in what the process itself says: mode, version, whether its two addresses answer.

    facts: `kube_proxy` of docs/facts.md with the addresses. timeout_seconds: for all questions together.
    """
    listed = ip_addresses.node_addresses(node)
    metrics = _target(facts['metrics_address'], kube_proxy_config.METRICS_PORT, listed)
    healthz = _target(facts['healthz_address'], kube_proxy_config.HEALTHZ_PORT, listed)
    budget = _Budget(timeout_seconds)
    if metrics is not None:
        status, body = budget.get(metrics, '/proxyMode', 1024, FIRST_SHARE) or (None, b'')
        facts['metrics_answers'] = status is not None
        mode = body.decode('utf-8', 'replace').strip()
        if status == 200 and mode in kube_proxy_config.MODES:
            facts['mode_effective'], facts['mode_source'] = mode, 'proxy_mode_endpoint'
    if healthz is not None:
        answer = budget.get(healthz, '/healthz', 1024)
        facts['healthz_answers'] = None if answer is None else answer[0] is not None
    if facts['metrics_answers']:
        version = kube_proxy_version.build_info
        # Only what is new is searched, and so much before it that no line is cut.
        dummy, body = budget.get(metrics, '/metrics', METRICS_LIMIT, until=lambda data: version(data[-2 * http_get.CHUNK :]) is not None) or (None, b'')
        found = version(body)
        if found:
            facts['version'], facts['version_source'] = found, 'metrics'
