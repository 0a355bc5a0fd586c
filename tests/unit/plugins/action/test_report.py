# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a node could not be read, in one sentence, from what its task returned."""

from __future__ import annotations

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.node_python import oldest
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.play_results import MINIMUM, reason_of

TOO_OLD = (
    f"its Python is too old for ansible-core 2.19.1, which needs {' or '.join('.'.join(map(str, entry)) for entry in oldest(MINIMUM))}: "
    "use ansible-core 2.16, another ansible_python_interpreter or ipvs_probe.py (docs/probe.md)"
)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (None, "not contacted"),
        ({}, "not contacted"),
        ("text", "not contacted"),
        ({"unreachable": True, "msg": "Failed to connect to the host via ssh: no route"}, "Failed to connect to the host via ssh: no route"),
        (
            {
                "failed": True,
                "msg": "MODULE FAILURE\nSee stdout/stderr",
                "module_stderr": "  File x\nSyntaxError: future feature annotations is not defined\n",
            },
            TOO_OLD,
        ),
        ({"msg": "Task failed: Module failed: future feature annotations is not defined (ansiballz, line 3)"}, TOO_OLD),
        # The node was asked, and its Python is not the reason: a mistake in a module is not to look like one of the node.
        ({"msg": "SyntaxError: invalid syntax", "node_python": {"version": "3.11.2", "supported": True}}, "SyntaxError: invalid syntax"),
        ({"msg": "MODULE FAILURE: no output", "module_stderr": "/bin/sh: 1: /usr/bin/python: not found\n"}, "/bin/sh: 1: /usr/bin/python: not found"),
        (
            {
                "msg": "Task failed: Module result deserialization failed: No start of json char found",
                "module_stderr": "pyenv: python3.13: command not found\n\nThe `python3.13' command exists in these Python versions:\n",
            },
            "pyenv: python3.13: command not found",
        ),
        ({"msg": "Task failed: The module interpreter '/nope' was not found."}, "The module interpreter '/nope' was not found."),
        ({"msg": "bad \x1b[31mbytes\r\n"}, "bad [31mbytes"),
        ({"rc": 1}, "no answer"),
    ],
)
def test_reason(result, reason):
    assert reason_of(result, "2.19.1") == reason
