# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a module of the collection is run on a node: as any other, but that a Python too old for ansible-core is said in one sentence."""

from __future__ import annotations

from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible.release import __version__ as CORE

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import node_python
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.play_results import MINIMUM

_NOISE = ("exception", "module_stderr", "module_stdout", "rc")


class NodeModuleAction(NormalAction):
    """One module call. Only where it failed as on an old Python the node is asked one thing more: its version."""

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        if not node_python.may_be_too_old(result):
            return result
        version = node_python.said_by_core(result)
        if version is None:
            # Without become: whoever logs in may ask, and sudo might ask back.
            asked = self._low_level_execute_command(node_python.question(self._used_interpreter), sudoable=False)
            version = node_python.answer(asked.get("stdout"))
        if version is None:
            return result
        supported = node_python.drives(version, MINIMUM)
        result["node_python"] = {"version": ".".join(map(str, version)), "supported": supported}
        if supported:
            return result
        return {key: value for key, value in result.items() if key not in _NOISE} | {"msg": node_python.sentence(version, CORE, MINIMUM)}
