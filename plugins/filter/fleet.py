# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet
short_description: Makes one report structure of many verdicts
version_added: 1.0.0
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
description:
  - Groups nodes by verdict, plan, kernel, operating system and kube-proxy, worst first, and the findings over all nodes.
  - The structure is what C(report.json) holds, without the time it was made.
positional: _input
options:
  _input:
    description: A mapping from node name to what P(kubeproxy.ipvs.verdict#filter) gave, or a list of verdicts each with its C(name).
    type: raw
    required: true
  unreachable:
    description: Nodes that could not be read, a list of C(name) and C(reason).
    type: list
    elements: dict
    required: false
    default: []
  remediation:
    description:
      - A mapping from node name to what a repair did to it, a mapping with C(outcome) (see O(kubeproxy.ipvs.report#module:outcome_name)) and
        C(before), the node's verdict before the repair. C(before_not_read) and C(after_not_read) say why it could not be read.
      - The verdicts are then those after the repair. Nodes that are not named are none of the repair's.
    type: dict
    required: false
"""

EXAMPLES = r"""
- name: Count the verdicts of two nodes
  ansible.builtin.debug:
    msg: "{{ ({'node-1': first | kubeproxy.ipvs.verdict, 'node-2': second | kubeproxy.ipvs.verdict} | kubeproxy.ipvs.fleet).summary.verdicts }}"
"""

RETURN = r"""
_value:
  description:
    - The report structure with C(summary), C(groups), C(findings), C(nodes), C(unreachable) and C(errors).
    - With O(remediation) C(summary) has C(remediation), the number of nodes with each result, and C(verdicts_before). Each node has
      C(remediation) with C(result), C(reason), C(before) and C(after), each of them C(verdict), C(value) and C(moments), and the rest of its outcome.
  type: dict
"""

from ansible.errors import AnsibleFilterError

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import fleet as report
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain


def fleet(verdicts, unreachable=(), remediation=None):
    """The report structure of many verdicts."""
    verdicts, missing = plain(verdicts), plain(list(unreachable or ()))
    if not isinstance(verdicts, (dict, list)):
        raise AnsibleFilterError(f"kubeproxy.ipvs.fleet: expects a mapping or a list of verdicts, not {type(verdicts).__name__}")
    if not all(isinstance(entry, dict) and "name" in entry for entry in missing):
        raise AnsibleFilterError("kubeproxy.ipvs.fleet: unreachable must be a list of mappings with name and reason")
    remediation = plain(remediation)
    if remediation is not None and not isinstance(remediation, dict):
        raise AnsibleFilterError(f"kubeproxy.ipvs.fleet: remediation must be a mapping from node name, not {type(remediation).__name__}")
    return report.fleet(verdicts, [{"reason": "", **entry} for entry in missing], remediation=remediation)


class FilterModule:
    """The filter fleet."""

    def filters(self):
        return {"fleet": fleet}
