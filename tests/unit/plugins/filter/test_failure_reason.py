# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a task failed, in the words of whoever knows."""

from __future__ import annotations

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.filter.failure_reason import FilterModule

failure_reason = FilterModule().filters()["failure_reason"]


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"msg": "the value is 0\nand the mode is iptables"}, "the value is 0 and the mode is iptables"),
        ({"msg": "x" * 900}, "x" * 900),
        ({"msg": "x" * 5000}, "x" * 3999 + "…"),
        ({"msg": "MODULE FAILURE\nSee stdout/stderr", "module_stderr": "Traceback (most recent call last):\n  File x\nKeyError: 'a'\n"}, "KeyError: 'a'"),
        ({"msg": "Module result deserialization failed: No start of json char found", "module_stderr": "pyenv: no python\nhint\n"}, "pyenv: no python"),
        ({"failed": True}, "no answer"),
        ({}, "not contacted"),
    ],
)
def test_the_reason(result, reason):
    assert failure_reason(result) == reason


def test_an_old_python_is_named():
    assert "is too old for ansible-core" in failure_reason({"msg": "MODULE FAILURE", "module_stderr": "SyntaxError: future feature annotations is not defined"})
