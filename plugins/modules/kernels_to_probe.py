# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r'''
module: kernels_to_probe
short_description: Chooses one node of each kernel that is to be probed, and keeps what probes have measured
version_added: 1.0.0
description:
  - Runs on the controller alone. Kernels are the same if C(uname -r), C(uname -v) and the names of the active live patches are.
  - It is called before the first probes, and again after each round of them with O(before) and their answers, until RV(hosts) is empty. A kernel whose node
    gave no answer is then asked on another node, on three in all.
  - A node can be asked if its facts were read from itself in this play, C(ip_vs) is in its kernel, and kube-proxy is in IPVS mode or its mode is not known.
  - The role P(kubeproxy.ipvs.audit#role) uses it; it is seldom needed by itself.
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
extends_documentation_fragment:
  - kubeproxy.ipvs.attributes
attributes:
  check_mode:
    support: full
    details: In check mode O(cache) is read and not written.
  diff_mode:
    support: none
options:
  hosts:
    description: Names of the hosts to choose from.
    type: list
    elements: str
    default: []
  result_name:
    description: Name of the variable in which each host's result of M(kubeproxy.ipvs.ipvs_facts) was registered.
    type: str
    default: audit_result
  probe:
    description:
      - V(never) asks no kernel, and returns what O(cache) holds.
      - V(unknown) asks the kernels of which something is not known, neither from O(cache) nor otherwise.
      - V(always) asks every kernel, once in a play.
    type: str
    choices: [never, unknown, always]
    default: unknown
  cache:
    description:
      - A file on the controller that holds what was measured, with node and date. What this play measures is added to it. It is made if it is not there.
      - A file that cannot be used is refused by name, and stays as it is.
    type: path
  known_kernels:
    description: The owner's rows about kernels, as in M(kubeproxy.ipvs.report).
    type: list
    elements: dict
    default: []
  accept_inferred:
    description: Whether a fix that is only inferred counts as known.
    type: bool
    default: false
  before:
    description: What this module returned the last time in this play.
    type: dict
    default: {}
  answers:
    description: Results of M(kubeproxy.ipvs.ipvs_probe) since then, of a loop over RV(hosts). C(item) is the name of the host.
    type: list
    elements: dict
    default: []
'''

EXAMPLES = r'''
- name: Choose a node of each kernel that nobody knows
  kubeproxy.ipvs.kernels_to_probe:
    hosts: "{{ ansible_play_hosts_all }}"
    cache: probes.json
  delegate_to: localhost
  run_once: true
  register: kernels

- name: Ask them
  kubeproxy.ipvs.ipvs_probe:
  delegate_to: "{{ item }}"
  loop: "{{ kernels.hosts }}"
  run_once: true
  register: asked

- name: Keep what they said
  kubeproxy.ipvs.kernels_to_probe:
    hosts: "{{ ansible_play_hosts_all }}"
    cache: probes.json
    before: "{{ kernels }}"
    answers: "{{ asked.results }}"
  delegate_to: localhost
  run_once: true
  register: kernels
'''

RETURN = r'''
hosts:
  description: Names of the hosts that are to be probed now, one for each kernel.
  returned: success
  type: list
  elements: str
  sample: [node-17, node-203]
rows:
  description: Everything that was ever measured, from O(cache) and in this play, in the form of C(knowledge/probes.schema.json).
  returned: success
  type: list
  elements: dict
  contains:
    kernel:
      description: C(release), C(version) and C(live_patches), what tells the kernel from others.
      type: dict
    capabilities:
      description: For each capability C(state), one of V(yes), V(no) and V(unknown), and what was measured, C(seconds) and C(control_seconds).
      type: dict
    node:
      description: On which node.
      type: str
    date:
      description: When, in UTC.
      type: str
cached:
  description: Those of RV(rows) that are from O(cache).
  returned: success
  type: list
  elements: dict
measured:
  description: Those of RV(rows) that are from this play.
  returned: success
  type: list
  elements: dict
not_measured:
  description: Nodes whose probe did not tell everything, each with C(node) and C(reason).
  returned: success
  type: list
  elements: dict
  sample: [{node: node-17, reason: "not measured: it needs root, to make network namespaces"}]
contradictions:
  description: A sentence for each capability in which probes of one kernel contradict each other. It counts as not known.
  returned: success
  type: list
  elements: str
'''
