# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r'''
module: report
short_description: Turns the facts of many nodes into the audit's report
version_added: 0.1.0
description:
  - Runs on the controller alone. It judges the facts that M(kubeproxy.ipvs.ipvs_facts) returned for the hosts of the play, and facts
    that were recorded in files, prints a table, and writes C(report.json), C(report.md) and C(nodes/NAME.json).
  - The role P(kubeproxy.ipvs.audit#role) uses it; it is seldom needed by itself.
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details: In check mode the table is printed and no file is written.
  diff_mode:
    description: Returns details on what has changed, or possibly needs changing, when in diff mode.
    support: none
options:
  check_only:
    description: Only check the other options, and fail with a sentence that names the bad one.
    type: bool
    default: false
  hosts:
    description: Names of the hosts to report.
    type: list
    elements: str
    default: []
  result_name:
    description: Name of the variable in which each host's result of M(kubeproxy.ipvs.ipvs_facts) was registered.
    type: str
    default: audit_result
  facts_files:
    description:
      - Files of recorded facts on the controller, and directories of such files.
      - A file that cannot be used is named in the report; the others are still judged.
    type: list
    elements: path
    default: []
  report_dir:
    description: Directory on the controller for the report's files. It is made if it does not exist.
    type: path
    default: ipvs-report
  write:
    description: Whether to write files at all.
    type: bool
    default: true
  known_kernels:
    description:
      - Rows in addition to those of C(plugins/plugin_utils/knowledge/kernels.yml), asked before them.
      - A row that does not follow the schema is refused by name.
    type: list
    elements: dict
    default: []
  accept_inferred:
    description: Whether a fix that is only inferred counts as there.
    type: bool
    default: false
  target_kube_proxy:
    description: Version of kube-proxy to forecast, for example V(1.30.4). A host's own C(audit_target_kube_proxy) goes before it.
    type: str
  target_kernel:
    description: Kernel release (C(uname -r)) to forecast. A host's own C(audit_target_kernel) goes before it.
    type: str
  fail_on:
    description: Verdicts to fail on (a list, or a text with commas; also V(unreachable)), or a JMESPath expression over the report.
    type: raw
  query:
    description: A JMESPath expression over the report whose result is printed.
    type: str
'''

EXAMPLES = r'''
- name: Read the facts
  kubeproxy.ipvs.ipvs_facts:
  register: audit_result

- name: Report them
  kubeproxy.ipvs.report:
    hosts: "{{ ansible_play_hosts_all }}"
    report_dir: ipvs-report
  delegate_to: localhost
  run_once: true
'''

RETURN = r'''
summary:
  description: How many nodes have which verdict and plan.
  returned: success
  type: dict
  sample: {nodes: 3, judged: 3, unreachable: 0, errors: 0, verdicts: {stale_backends: 1, safe: 2}, plans: {hold: 1, none: 2}}
report_dir:
  description: Absolute path of the directory that was written, or null.
  returned: success
  type: str
  sample: /home/sre/ipvs-report
query:
  description: Result of the query.
  returned: when a query was given
  type: raw
'''
