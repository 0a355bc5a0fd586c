# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: safe_conn_reuse_mode
short_description: The safe value of net.ipv4.vs.conn_reuse_mode on one node
version_added: 1.0.0
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
description:
  - One number for a template.
  - V(1) where the kernel has the fix that makes V(1) cost nothing; V(0) where it lacks it but respects weight 0 all the same;
    none where no value is safe, nothing is known, or kube-proxy does not run in IPVS mode.
positional: _input
options:
  _input:
    description: What M(kubeproxy.ipvs.ipvs_facts) returned, C(ansible_facts['ipvs']), or a mapping of the same shape.
    type: dict
    required: true
  policy:
    description: The owner's word, as in P(kubeproxy.ipvs.verdict#filter).
    type: dict
    required: false
"""

EXAMPLES = r"""
- name: Show the safe value
  ansible.builtin.debug:
    msg: "{{ ansible_facts['ipvs'] | kubeproxy.ipvs.safe_conn_reuse_mode | default('no value is safe', true) }}"
"""

RETURN = r"""
_value:
  description: V(1), V(0) or none.
  type: int
"""

from ansible.errors import AnsibleFilterError

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import verdict
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import KnowledgeError


def safe_conn_reuse_mode(facts, policy=None):
    """The safe value, or None."""
    try:
        return verdict.safe_conn_reuse_mode(facts, policy)
    except KnowledgeError as error:
        raise AnsibleFilterError(f"kubeproxy.ipvs.safe_conn_reuse_mode: {error}") from error


class FilterModule:
    """The filter safe_conn_reuse_mode."""

    def filters(self):
        return {"safe_conn_reuse_mode": safe_conn_reuse_mode}
