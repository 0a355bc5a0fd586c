# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: missing_modules
short_description: Which of these modules the controller does not have
version_added: 1.0.0
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
description:
  - A file of tasks with a module that the controller does not have ends the run for all hosts when it is included. This tells before.
positional: _input
options:
  _input:
    description: Full names of modules.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Say what is missing
  ansible.builtin.fail:
    msg: The collection kubernetes.core is not installed.
  when: "['kubernetes.core.k8s'] | kubeproxy.ipvs.missing_modules | length > 0"
"""

RETURN = r"""
_value:
  description: Those that the controller does not have.
  type: list
  elements: str
"""

from ansible.plugins.loader import module_loader


def missing_modules(names):
    """Those that the controller does not have."""
    return [str(name) for name in names if not module_loader.find_plugin_with_context(str(name)).resolved]


class FilterModule:
    """The filter missing_modules."""

    def filters(self):
        return {"missing_modules": missing_modules}
