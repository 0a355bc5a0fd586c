# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: forecast
short_description: Judges one node as a planned upgrade will leave it
version_added: 1.0.0
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
description:
  - As P(kubeproxy.ipvs.verdict#filter), with kube-proxy, the kernel, or both replaced by what is planned.
  - The new kube-proxy starts at once and finds the value that the old one left; the new kernel comes with the next reboot.
positional: _input
options:
  _input:
    description: What M(kubeproxy.ipvs.ipvs_facts) returned, C(ansible_facts['ipvs']), or a mapping of the same shape.
    type: dict
    required: true
  kube_proxy:
    description: The planned version of kube-proxy, for example V(1.30.4).
    type: str
    required: false
  kernel:
    description: The planned kernel release, as C(uname -r) will print it.
    type: str
    required: false
  policy:
    description: The owner's word, as in P(kubeproxy.ipvs.verdict#filter).
    type: dict
    required: false
"""

EXAMPLES = r"""
- name: What will 1.30.4 do to this node?
  ansible.builtin.debug:
    msg: "{{ (ansible_facts['ipvs'] | kubeproxy.ipvs.forecast(kube_proxy='1.30.4')).transitions | map(attribute='text') }}"
"""

RETURN = r"""
_value:
  description:
    - A verdict whose C(moments) have V(upgrade) in addition, the moment after the new kube-proxy has started.
    - C(verdict) is the worst of the moments after the change, C(capabilities) are those of the planned kernel and C(capabilities_now) those
      of the running one, C(transitions) a list of C(key), C(text) and C(source) that explain the change, C(modes) says which modes
      the planned kube-proxy has on the planned kernel, C(nftables_needs) lists as C(text) and C(met) what nftables mode needs of both,
      C(removal) lists the steps of the plan to remove IPVS mode and whether they are reached.
  type: dict
"""

from ansible.errors import AnsibleFilterError

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import forecast as planned
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import KnowledgeError


def forecast(facts, kube_proxy=None, kernel=None, policy=None):
    """The verdict of a node after a planned change."""
    try:
        return planned.forecast(facts, kube_proxy, kernel, policy)
    except (KnowledgeError, planned.TargetError) as error:
        raise AnsibleFilterError(f"kubeproxy.ipvs.forecast: {error}") from error


class FilterModule:
    """The filter forecast."""

    def filters(self):
        return {"forecast": forecast}
