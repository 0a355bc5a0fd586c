# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: verdict
short_description: Judges the facts of one node
version_added: 1.0.0
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
description:
  - Says what the node's kernel can do and on which evidence, which value C(net.ipv4.vs.conn_reuse_mode) has now and after the next start
    of kube-proxy, start of the kubelet and reboot, what that means for new connections, what else was found, and what to do.
  - It never fails on facts, however incomplete; what is not known is V(unknown).
positional: _input
options:
  _input:
    description: What M(kubeproxy.ipvs.ipvs_facts) returned, C(ansible_facts['ipvs']), or a mapping of the same shape.
    type: dict
    required: true
  policy:
    description:
      - The owner's word, a mapping. C(capabilities) sets C(reuse_without_drop), C(respects_zero_weight) or C(flushes_deleted) to V(yes),
        V(no) or V(unknown); C(known_kernels) is a list of rows like those of C(kernels.yml), asked before them;
        C(accept_inferred) counts a fix that is only inferred; C(probes) is the list C(probes) of a file of C(audit_probe_cache).
    type: dict
    required: false
"""

EXAMPLES = r"""
- name: Say what to do with this node
  ansible.builtin.debug:
    msg: "{{ (ansible_facts['ipvs'] | kubeproxy.ipvs.verdict).plan.reason }}"

- name: The same, with the owner's knowledge of a private kernel
  ansible.builtin.debug:
    msg: "{{ ansible_facts['ipvs'] | kubeproxy.ipvs.verdict(policy={'capabilities': {'reuse_without_drop': 'yes'}}) }}"
"""

RETURN = r"""
_value:
  description:
    - The verdict.
    - C(verdict) is the worst of the moments, worst first V(stale_backends), V(syn_delay), V(unknown), V(uneven_load), V(safe), V(not_applicable).
    - C(capabilities) has C(state), C(evidence), C(confidence) and C(source) of each capability. Where a probe and other evidence contradict each other,
      C(contradicted_by) has those of the evidence that does not count.
    - C(moments) has C(value) and C(verdict) at V(now), V(kube_proxy_restart), V(kubelet_restart) and V(reboot), and the C(writer) that sets it.
    - C(findings) is a list of C(key), C(severity) and C(text), worst first.
    - C(plan) has C(action) (V(none), V(set), V(hold), V(switch_mode), V(upgrade_kernel), V(upgrade_kube_proxy), V(decide) or V(probe)), C(value),
      C(reason) and C(rests_on), the capabilities it rests on.
  type: dict
"""

from ansible.errors import AnsibleFilterError

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import KnowledgeError
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import judge


def verdict(facts, policy=None):
    """The verdict of a node."""
    try:
        return judge(facts, policy)
    except KnowledgeError as error:
        raise AnsibleFilterError(f"kubeproxy.ipvs.verdict: {error}") from error


class FilterModule:
    """The filter verdict."""

    def filters(self):
        return {"verdict": verdict}
