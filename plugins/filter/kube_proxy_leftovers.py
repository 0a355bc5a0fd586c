# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kube_proxy_leftovers
short_description: What kube-proxy of other modes leaves behind on a node
version_added: 1.0.0
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
description:
  - The option O(kubeproxy.ipvs.kube_proxy_leftovers#module:owned) for a node whose kube-proxy is in a mode now.
  - Chains that kubelet writes too are never part of it, in whatever mode.
positional: _input
options:
  _input:
    description: The mode in which kube-proxy is now, V(ipvs), V(iptables) or V(nftables).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Remove what IPVS left behind
  kubeproxy.ipvs.kube_proxy_leftovers:
    mode: iptables
    owned: "{{ 'iptables' | kubeproxy.ipvs.kube_proxy_leftovers }}"
"""

RETURN = r"""
_value:
  description: What is left over.
  type: dict
  contains:
    services:
      description: Whether there are IPVS services.
      type: bool
    interfaces:
      description: Names of interfaces.
      type: list
      elements: str
    chains:
      description: Chains of iptables, each with C(table), C(name) or C(prefix), and C(jumps), the rules of other chains that jump there.
      type: list
      elements: dict
    sets:
      description: IP sets, with C(names) and C(prefixes).
      type: dict
    written:
      description: Chains that show that kube-proxy of the mode has written its rules.
      type: list
      elements: dict
"""

from ansible.errors import AnsibleFilterError

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import leftovers


def kube_proxy_leftovers(mode):
    """What is left over."""
    try:
        return leftovers.leftovers(mode)
    except leftovers.LeftoversError as error:
        raise AnsibleFilterError(f"kubeproxy.ipvs.kube_proxy_leftovers: {error}") from error


class FilterModule:
    """The filter kube_proxy_leftovers."""

    def filters(self):
        return {"kube_proxy_leftovers": kube_proxy_leftovers}
