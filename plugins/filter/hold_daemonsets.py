# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: hold_daemonsets
short_description: What to write into a cluster's API so that DaemonSets hold net.ipv4.vs.conn_reuse_mode on some nodes
version_added: 1.0.0
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
description:
  - What the role P(kubeproxy.ipvs.conn_reuse_mode#role) does with C(conn_reuse_mode_hold=daemonset), as data.
  - There is a DaemonSet for each value. The nodes it is for stand in its node affinity; nodes that are not spoken of stay where they are.
positional: _input
options:
  _input:
    description: The DaemonSets that the API has in O(namespace) and in kube-system.
    type: list
    elements: dict
    required: true
  wanted:
    description: The nodes that are spoken of, each with its C(node), by the label C(kubernetes.io/hostname), and C(value), null or empty to leave.
    type: list
    elements: dict
    required: true
  nodes:
    description: The Node objects that the API has of those that are to join. Whoever is none of them does not.
    type: list
    elements: dict
    default: []
  script:
    description: The script that holds the value.
    type: str
    required: true
  namespace:
    description: Where the DaemonSets are.
    type: str
    default: kube-system
  image:
    description: The image to run the script with. Empty takes that of the cluster's DaemonSet kube-proxy.
    type: str
    default: ""
  images:
    description: The images of kube-proxy that the facts of the nodes tell, for a cluster whose kube-proxy is no DaemonSet.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show what would be written
  ansible.builtin.debug:
    msg: "{{ daemonsets | kubeproxy.ipvs.hold_daemonsets(wanted=[{'node': 'node-1', 'value': 1}], nodes=nodes, script=script) }}"
"""

RETURN = r"""
_value:
  description: What to write, and what that means.
  type: dict
  contains:
    writes:
      description: What to write, each with C(name), and C(state), C(definition) and C(options), the delete_options, for M(kubernetes.core.k8s).
      type: list
      elements: dict
    moved:
      description: The nodes that join or leave.
      type: list
      elements: str
    unknown:
      description: The nodes that were to join and that the cluster does not have.
      type: list
      elements: str
    image:
      description: The image, null if none is known.
      type: str
    problem:
      description: Why nothing can be written, null if nothing speaks against it.
      type: str
"""

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import hold_daemonset
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain


def hold_daemonsets(daemonsets, wanted, script, nodes=(), namespace="kube-system", image="", images=()):
    """What to write."""
    try:
        # The script keeps its type, by which Ansible knows that it is no template.
        found = hold_daemonset.decide(
            plain(daemonsets), plain(wanted), plain(list(nodes)), script, namespace=plain(namespace), image=plain(image), images=plain(list(images))
        )
        return {**found, "problem": None}
    except hold_daemonset.HoldDaemonsetError as error:
        # Not an error: one that a task for many hosts meets would be that of hosts too which it does not concern.
        return {"writes": [], "moved": [], "unknown": [], "image": None, "problem": str(error)}


class FilterModule:
    """The filter hold_daemonsets."""

    def filters(self):
        return {"hold_daemonsets": hold_daemonsets}
