# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kube_proxy_mode_changes
short_description: Whether kube-proxy of a node can be moved to another mode, and what that takes
version_added: 1.0.0
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
description:
  - What the role P(kubeproxy.ipvs.kube_proxy_mode#role) does, as data.
positional: _input
options:
  _input:
    description: What M(kubeproxy.ipvs.ipvs_facts) returned, C(ansible_facts['ipvs']), or a mapping of the same shape.
    type: dict
    required: true
  settings:
    description: What M(kubeproxy.ipvs.kube_proxy_mode) returned for the same O(target).
    type: dict
    required: true
  target:
    description: The mode that kube-proxy is to be in.
    type: str
    choices: [iptables, nftables, ipvs]
    required: true
  foreign:
    description:
      - What IPVS services that kube-proxy does not own, or its setting C(excludeCIDRs), mean for a node that leaves IPVS mode.
      - With V(keep) they are no obstacle, and stay. For V(nftables) they always are one, because kube-proxy removes them in that mode.
    type: str
    choices: [refuse, keep]
    default: refuse
  ignored:
    description: Names of programs beside kube-proxy, such as V(lvscare), that are no obstacle.
    type: list
    elements: str
    default: []
  recorded:
    description: What the role wrote down on the node when it switched it before, if it did.
    type: dict
    required: false
"""

EXAMPLES = r"""
- name: Find where the mode is set
  kubeproxy.ipvs.kube_proxy_mode:
    mode: iptables
  register: settings

- name: Show what a switch would take
  ansible.builtin.debug:
    msg: "{{ ansible_facts['ipvs'] | kubeproxy.ipvs.kube_proxy_mode_changes(settings=settings, target='iptables') }}"
"""

RETURN = r"""
_value:
  description: The changes.
  type: dict
  contains:
    action:
      description:
        - V(switch), V(none), or V(refuse) for the C(reasons).
        - V(clear) means that kube-proxy is in the mode already and what IPVS left is to be removed.
        - V(take_back) means that the role's own record leads there.
      type: str
    target:
      description: The mode.
      type: str
    from:
      description: The mode that kube-proxy is in now, null where that is not known.
      type: str
    reasons:
      description: Why, as sentences without a full stop.
      type: list
      elements: str
    warnings:
      description: What the owner of the node has to know, though it forbids nothing.
      type: list
      elements: str
    files:
      description: The edits, in the form of M(kubeproxy.ipvs.recorded_files), option C(files).
      type: list
      elements: dict
    where:
      description: The lines that set the mode, each with C(path), C(line), C(text) and C(becomes).
      type: list
      elements: dict
    cluster:
      description: Whether the mode is set in a ConfigMap, for the whole cluster.
      type: bool
    daemon_reload:
      description: Whether systemd has to read its units again.
      type: bool
    restart:
      description: The unit of another program that has to start anew for kube-proxy to get its arguments, as with RKE2. Else empty.
      type: str
    leftovers:
      description: Whether something will be left to be cleared.
      type: bool
    exclude_cidrs:
      description: Networks whose IPVS services are not kube-proxy's.
      type: list
      elements: str
    record:
      description: What the role keeps in its record on the node.
      type: dict
"""

from ansible.errors import AnsibleFilterError

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.mode_switch import ModeSwitchError, mode_switch


def kube_proxy_mode_changes(facts, settings=None, target=None, foreign="refuse", ignored=(), recorded=None):
    """The changes."""
    try:
        return mode_switch(facts, settings, target, foreign, ignored, recorded)
    except ModeSwitchError as error:
        raise AnsibleFilterError(f"kubeproxy.ipvs.kube_proxy_mode_changes: {error}") from error


class FilterModule:
    """The filter kube_proxy_mode_changes."""

    def filters(self):
        return {"kube_proxy_mode_changes": kube_proxy_mode_changes}
