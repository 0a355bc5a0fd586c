# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ipvs_facts on a node whose Python is too old for ansible-core ends with one sentence."""

from __future__ import annotations

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.node_module import NodeModuleAction


class ActionModule(NodeModuleAction):
    """See the documentation of the module of the same name."""
