# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether one certain process of kube-proxy is healthy, as far as it says so itself on its own listeners."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import http_get
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_config import HEALTHZ_PORT, METRICS_PORT, MODES, split_address
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.listening_sockets import listening

# How long a process must live that can be asked nothing.
ALIVE_SECONDS = 3
# Where to ask what listens on all addresses. Go listens on :: for 0.0.0.0 too.
ANYWHERE = {'0.0.0.0': ('127.0.0.1',), '::': ('127.0.0.1', '::1')}
ANSWER_LIMIT = 1024


class Health(object):
    """healthy: True or False; by: own_listener, address or alive; mode: what /proxyMode says, or None; reason: why it is not healthy, or None."""

    def __init__(self, healthy, by=None, mode=None, reason=None):
        self.healthy, self.by, self.mode, self.reason = healthy, by, mode, reason


class Ports(object):
    """The two ports on which a kube-proxy answers, None for one that is switched off. known: whether its settings could be read."""

    def __init__(self, facts):
        """facts: `kube_proxy` of docs/facts.md."""
        self.healthz = self._port(facts['healthz_address'], HEALTHZ_PORT)
        self.metrics = self._port(facts['metrics_address'], METRICS_PORT)
        self.known = facts['mode_configured'] is not None

    @staticmethod
    def _port(address, default):
        parts = split_address(address, default) if address else None
        return parts[1] if parts else None

    def guess(self, node, pid):
        """Where the settings are unknown, take those of the usual ports on which the process listens."""
        if not self.known:
            found, sure = listening(node, pid, (HEALTHZ_PORT, METRICS_PORT))
            self.healthz = HEALTHZ_PORT if sure and found[HEALTHZ_PORT] else None
            self.metrics = METRICS_PORT if sure and found[METRICS_PORT] else None

    def without_silent_metrics(self, node, pid):
        """Do not ask on a metrics port that somebody else has: kube-proxy runs on without it."""
        if self.healthz is not None and self.metrics is not None and not listening(node, pid, (self.metrics,))[0][self.metrics]:
            self.metrics = None


def _get(addresses, port, path, timeout_seconds):
    """(status, text) of the first of the addresses that answers, (None, '') if none does."""
    for address in addresses:
        for host in ANYWHERE.get(address, (address,)):
            status, body = http_get.get(host, port, path, timeout_seconds, ANSWER_LIMIT)
            if status is not None:
                return status, body.decode('utf-8', 'replace').strip()
    return None, ''


def _why_not(port, path, addresses, status):
    if not addresses:
        return 'it does not listen on port %d' % port
    return '%s on port %d %s' % (path, port, 'does not answer' if status is None else 'answers with status %d' % status)


def look(node, pid, ports, alive_seconds, timeout_seconds=1.0):
    """The Health of process PID.

    ports: Ports. alive_seconds: how long the process has been seen to live. timeout_seconds: for each question.
    """
    asked = [port for port in (ports.healthz, ports.metrics) if port is not None]
    if not asked:
        if alive_seconds >= ALIVE_SECONDS:
            return Health(True, 'alive')
        return Health(False, 'alive', reason='it can be asked nothing and lives for less than %d seconds' % ALIVE_SECONDS)
    found, sure = listening(node, pid, asked)
    by = 'own_listener' if sure else 'address'
    if ports.healthz is not None:
        status = _get(found[ports.healthz], ports.healthz, '/healthz', timeout_seconds)[0]
        if status != 200:
            return Health(False, by, reason=_why_not(ports.healthz, '/healthz', found[ports.healthz], status))
    mode = None
    if ports.metrics is not None:
        status, mode = _get(found[ports.metrics], ports.metrics, '/proxyMode', timeout_seconds)
        if status != 200:
            return Health(False, by, reason=_why_not(ports.metrics, '/proxyMode', found[ports.metrics], status))
        if mode not in MODES:
            return Health(False, by, reason='/proxyMode on port %d answers with no mode' % ports.metrics)
    return Health(True, by, mode)
