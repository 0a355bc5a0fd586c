# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether kube-proxy is in a mode now, by its own word: only then what other modes left behind may go."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import time

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import kube_proxy_health
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy import read_kube_proxy
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import Units


def look(node):
    """(the facts of kube-proxy, its Health or None) as they are now."""
    facts = read_kube_proxy(node, Units(node))
    if facts['pid'] is None or facts['network_namespace'] == 'other':
        return facts, None
    ports = kube_proxy_health.Ports(facts)
    ports.guess(node, facts['pid'])
    ports.without_silent_metrics(node, facts['pid'])
    age = time.time() - facts['start_time'] if facts['start_time'] is not None else 0
    return facts, kube_proxy_health.look(node, facts['pid'], ports, age)


def why_not(facts, health, wanted, unproven_mode):
    """Why nothing may be removed, a sentence, or None.

    facts: `kube_proxy` of docs/facts.md. health: its Health, or None. wanted: the mode. unproven_mode: whether the configuration's word will do.
    """
    if facts['pid'] is None:
        if facts['form'] == 'none':
            return 'there is no kube-proxy on this node'
        return 'kube-proxy does not run' if facts['running'] is False else 'the processes of this node cannot be seen without root'
    if facts['network_namespace'] == 'other':
        return 'the kube-proxy of process %d is not in the network namespace of the host' % facts['pid']
    others = [other['pid'] for other in facts['others'] if other['network_namespace'] != 'other']
    if others:
        return 'there are several kube-proxies on this node, the processes %s' % ', '.join('%d' % pid for pid in sorted([facts['pid']] + others))
    if not health.healthy:
        return 'kube-proxy, process %d, is not healthy: %s' % (facts['pid'], health.reason)
    mode = health.mode or facts['mode_effective']
    if mode is None and unproven_mode:
        mode = facts['mode_configured']
    if mode is None:
        configured = ', only from its configuration, which says %s' % facts['mode_configured'] if facts['mode_configured'] else ''
        return 'the mode of kube-proxy, process %d, cannot be told from the process itself%s' % (facts['pid'], configured)
    return None if mode == wanted else 'the mode of kube-proxy, process %d, is %s, not %s' % (facts['pid'], mode, wanted)
