# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: failure_reason
short_description: Why a task failed, as one sentence
version_added: 1.0.0
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
description:
  - Where a module could not even be started, what the task says of it is not the reason; the node's Python, or what stands in its place, has said it.
    A Python that is too old for the ansible-core that runs is named as such.
positional: _input
options:
  _input:
    description: What a task registered, or C(ansible_failed_result).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Read a node
  kubeproxy.ipvs.ipvs_facts:
  register: result
  ignore_errors: true

- name: Say why that failed
  ansible.builtin.debug:
    msg: "{{ result | kubeproxy.ipvs.failure_reason }}"
  when: result is failed
"""

RETURN = r"""
_value:
  description: The sentence, without what would steer a terminal.
  type: str
"""

from ansible.release import __version__ as CORE

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.play_results import reason_of


def failure_reason(result):
    """Why a task failed, as one sentence."""
    return reason_of(plain(result), CORE, whole=True)


class FilterModule:
    """The filter failure_reason."""

    def filters(self):
        return {"failure_reason": failure_reason}
