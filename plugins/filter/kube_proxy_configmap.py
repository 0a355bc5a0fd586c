# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kube_proxy_configmap
short_description: What to write into kube-proxy's ConfigMap for another mode
version_added: 1.0.0
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
description:
  - Changes the mode in the configuration that the ConfigMap holds, and nothing else; comments, order and unknown keys stay.
  - The definition also sets the annotation C(kubeproxy.ipvs/mode-before), from which V(absent) puts the text back.
positional: _input
options:
  _input:
    description: The ConfigMap, as the only item of what M(kubernetes.core.k8s_info) returns as C(resources).
    type: list
    elements: dict
    required: true
  target:
    description: The mode. Of no meaning with V(absent).
    type: str
    required: true
  state:
    description: Whether to have the mode, or what was there before.
    type: str
    choices: [present, absent]
    default: present
  name:
    description: How to name a ConfigMap that was not found.
    type: str
    default: kube-proxy
"""

EXAMPLES = r"""
- name: Read the ConfigMap
  kubernetes.core.k8s_info:
    kind: ConfigMap
    namespace: kube-system
    name: kube-proxy
  register: found
  delegate_to: localhost

- name: Show what would be written
  ansible.builtin.debug:
    msg: "{{ found.resources | kubeproxy.ipvs.kube_proxy_configmap(target='iptables') }}"
"""

RETURN = r"""
_value:
  description: The change.
  type: dict
  contains:
    problem:
      description: A sentence if nothing can be written, else empty.
      type: str
    changed:
      description: Whether there is anything to write.
      type: bool
    key:
      description: The key that holds the configuration.
      type: str
    from:
      description: The mode that it gives now, null where it gives none.
      type: str
    before:
      description: The configuration as it is.
      type: str
    after:
      description: The configuration as it will be.
      type: str
    definition:
      description: What to give M(kubernetes.core.k8s), merge type V(merge).
      type: dict
"""

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.mode_configmap import configmap_change


class FilterModule:
    """The filter kube_proxy_configmap."""

    def filters(self):
        return {"kube_proxy_configmap": configmap_change}
