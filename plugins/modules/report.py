# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r'''
module: report
short_description: Turns the facts of many nodes into the audit's report
version_added: 1.0.0
description:
  - Runs on the controller alone. It judges the facts that M(kubeproxy.ipvs.ipvs_facts) returned for the hosts of the play, and facts
    that were recorded in files, prints a table, and writes C(report.json), C(nodes/NAME.json) and the files of O(formats).
  - The role P(kubeproxy.ipvs.audit#role) uses it; it is seldom needed by itself.
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
extends_documentation_fragment:
  - kubeproxy.ipvs.attributes
attributes:
  check_mode:
    support: full
    details: In check mode the table is printed and no file is written.
  diff_mode:
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
  source:
    description:
      - Where the facts of the hosts are from. V(node), from O(result_name). V(api), from the variable C(kube_node) that the inventory plugin
        P(kubeproxy.ipvs.nodes#inventory) gives them; then much is not known, and each entry of the report says where its facts are from.
      - V(api) is not meant for O(outcome_name).
    type: str
    choices: [node, api]
    default: node
  outcome_name:
    description:
      - Name of the variable in which each host has what a repair did to it. With it the report is one of a repair. It shows each node before
        and after it, what holds the value or why it was not set, and how the change was proved.
      - It holds a mapping with C(result), one of V(changed), V(unchanged), V(failed), V(left), V(not_attempted), V(unreachable) and
        V(would_change). All else in it is optional.
      - C(reason), why, as a text. C(value), what was to be set. C(owner_word), whether that is the owner's choice, without evidence.
        C(hold), texts that say what holds the value. C(neutralised), paths of files that no longer set another value. C(rolled_back), whether
        a failed change was taken back. C(options), what the owner can choose, by default C(options) of the node's plan.
      - C(proof), a mapping of C(restarted), whether kube-proxy was restarted, C(seconds), how long the proof took, C(wrong_seconds), how long
        the value was wrong, and C(services), a mapping of the numbers C(tried), C(answered_before) and C(answered_after).
      - What cannot be made out is shown as V(unknown). A host without the variable has the result V(unknown), or V(unreachable) if it was never
        read.
    type: str
    default: ''
  after_result_name:
    description:
      - Name of the variable in which each host's result of M(kubeproxy.ipvs.ipvs_facts) after the repair was registered, that of
        O(result_name) being from before it. It is only looked at with O(outcome_name).
      - A host without it, or whose task was skipped, counts as it was before if its result is V(unchanged), V(left), V(not_attempted) or
        V(would_change). With any other result it counts as not read, and nothing is said about what is so now.
    type: str
    default: ''
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
  formats:
    description:
      - Which files to write. V(md) is C(report.md), V(html) is C(report.html), one page for a browser, V(csv) is C(report.csv), one line a node, V(junit) is
        C(junit.xml), V(sarif) is C(report.sarif) (SARIF 2.1.0), V(prom) is C(metrics.prom) for the textfile collector of node_exporter. V(json),
        C(report.json), is always written.
      - A file of another format that an earlier run left in O(report_dir) is removed.
    type: list
    elements: str
    choices: [json, md, html, csv, junit, sarif, prom]
    default: [json, md]
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
  probes:
    description:
      - What M(kubeproxy.ipvs.ipvs_probe) has measured, as RV(kubeproxy.ipvs.kernels_to_probe#module:rows). A row counts for every node with that kernel, before
        every table.
    type: list
    elements: dict
    default: []
  not_probed:
    description: Nodes whose probe did not tell everything, as RV(kubeproxy.ipvs.kernels_to_probe#module:not_measured). They are listed among the errors.
    type: list
    elements: dict
    default: []
  probe_cache:
    description: A file of probes. With O(check_only) it is checked, else it is not looked at.
    type: path
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
  report_name:
    description: What the report is called, for example the name of the cluster, in one line of at most 60 characters.
    type: str
  merge:
    description:
      - Files of earlier reports (C(report.json)), and directories of them, which are made one report. The facts of hosts are then not looked at.
      - If one of them cannot be used, all that cannot are named, and nothing is written.
      - The playbook C(kubeproxy.ipvs.merge) uses it.
    type: list
    elements: path
  baseline:
    description: An earlier C(report.json) of the same nodes. The report then begins with what has changed since, and has it in C(drift).
    type: path
  waivers:
    description:
      - A YAML file of what the owner accepts, a list of mappings with C(verdict) or C(finding), C(hosts), C(reason) and C(until), see C(docs/compare.md).
      - What is waived stays in the report, is marked, and is none of what a list in O(fail_on) is about.
    type: path
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

- name: Make one report of those of two clusters
  kubeproxy.ipvs.report:
    merge:
      - eu/report.json
      - us/report.json
    report_dir: ipvs-report-merged
  delegate_to: localhost
  run_once: true

- name: Report a repair, and fail if it failed anywhere
  kubeproxy.ipvs.report:
    hosts: "{{ ansible_play_hosts_all }}"
    result_name: facts_before
    after_result_name: facts_after
    outcome_name: outcome
  delegate_to: localhost
  run_once: true
  register: report
  failed_when: report.remediation.failed + report.remediation.unknown > 0
'''

RETURN = r'''
summary:
  description: How many nodes have which verdict and plan.
  returned: success
  type: dict
  sample: {nodes: 3, judged: 3, unreachable: 0, errors: 0, verdicts: {stale_backends: 1, safe: 2}, plans: {hold: 1, none: 2}}
drift:
  description: How many nodes have changed how since the baseline. Each word is there, also with 0.
  returned: when O(baseline) was given
  type: dict
  sample: {worse: 1, no_longer_read: 0, gone: 0, new: 2, read_again: 0, other: 3, better: 0, unchanged: 406}
remediation:
  description: How many nodes have which result of the repair. Each result is there, also with 0.
  returned: when O(outcome_name) was given
  type: dict
  sample: {failed: 1, unknown: 0, unreachable: 0, not_attempted: 0, left: 5, would_change: 0, changed: 8, unchanged: 5}
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
