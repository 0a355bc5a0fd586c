# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: conn_reuse_mode_changes
short_description: What is to be changed on one node so that net.ipv4.vs.conn_reuse_mode is safe and stays so
version_added: 1.0.0
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
description:
  - What the role P(kubeproxy.ipvs.conn_reuse_mode#role) does, as data.
  - V(1) is never the outcome without evidence that the kernel has the fix, nor V(0) on a kernel that has it, unless O(value) says so.
positional: _input
options:
  _input:
    description: What M(kubeproxy.ipvs.ipvs_facts) returned, C(ansible_facts['ipvs']), or a mapping of the same shape.
    type: dict
    required: true
  policy:
    description: The owner's word on kernels, as in P(kubeproxy.ipvs.verdict#filter).
    type: dict
    required: false
  value:
    description: The owner's own choice, V(0) or V(1), whatever is safe.
    type: int
    required: false
  hold:
    description:
      - What keeps the value where something overwrites it.
      - V(auto) is a service of the node and, where kube-proxy is a systemd unit, a drop-in of that unit too. V(daemonset) is a DaemonSet.
    type: str
    choices: [auto, daemonset]
    default: auto
  script:
    description: Tells one version of the script that holds the value from another, such as its checksum.
    type: str
    required: false
"""

EXAMPLES = r"""
- name: Show what would be changed
  ansible.builtin.debug:
    msg: "{{ ansible_facts['ipvs'] | kubeproxy.ipvs.conn_reuse_mode_changes }}"
"""

RETURN = r"""
_value:
  description: The changes.
  type: dict
  contains:
    action:
      description:
        - V(set) sets the value once. V(hold) sets it, and again whenever something has written another one.
        - V(none) means that all is well, or that the node is not concerned. V(leave) means that nothing may be done, for the C(reason).
      type: str
    value:
      description: The value, null for V(leave).
      type: int
    reason:
      description: Why.
      type: str
    owner_word:
      description: Whether the value is O(value) against, or without, the evidence.
      type: bool
    drop_in:
      description: The drop-in of kube-proxy's unit, or null, with C(unit), C(path), C(ports) and C(seconds), the most that it waits.
      type: dict
    service:
      description: Whether the service that goes on looking is needed.
      type: bool
    daemonset:
      description: Whether the DaemonSet that goes on looking is needed.
      type: bool
    edits:
      description: Lines of other files that set another value, in the form of M(kubeproxy.ipvs.recorded_files), option C(files).
      type: list
      elements: dict
    left:
      description: What sets another value and cannot be taken away, each with C(path) and C(reason).
      type: list
      elements: dict
    options:
      description: What the owner can choose where no value is safe.
      type: list
      elements: dict
    holds:
      description: What holds the value, in words.
      type: list
      elements: str
    up_to_date:
      description: Whether all of this is done already.
      type: bool
    proved:
      description: Whether kube-proxy has started since it was done.
      type: bool
    contradicted:
      description: Why the value that the role holds on the node since an earlier run is not what is decided now, null if nothing speaks against it.
      type: str
    record:
      description: What the role keeps in its record on the node.
      type: dict
"""

from ansible.errors import AnsibleFilterError

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import holding
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import KnowledgeError


def conn_reuse_mode_changes(facts, policy=None, value=None, hold="auto", script=None):
    """The changes."""
    try:
        return holding.holding(facts, policy, value, hold, script)
    except (KnowledgeError, holding.HoldingError) as error:
        raise AnsibleFilterError(f"kubeproxy.ipvs.conn_reuse_mode_changes: {error}") from error


class FilterModule:
    """The filter conn_reuse_mode_changes."""

    def filters(self):
        return {"conn_reuse_mode_changes": conn_reuse_mode_changes}
