# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node's Python that is too old, and an ansible-core that is: recognised by what core says, and said in one sentence."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.core_support import required, unsupported
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.node_python import answer, drives, may_be_too_old, oldest, question, said_by_core, sentence

# As ansible-core 2.16, 2.19 and 2.21 say it.
BY_216 = '{"msg": "ansible-core requires a minimum of Python2 version 2.7 or Python3 version 3.6. Current version: 3.5.10 (default)", "failed": true}'
BY_219 = "ansible-core requires a minimum of Python version 3.8. Current version: 3.7.16 (default, May  9 2026, 07:33:04) [GCC 12.2.0]"
BY_221 = "Ansible requires Python 3.9 or newer on the target. Current version: 3.8.18 (default, May  9 2026, 07:33:04) [GCC 12.2.0]"
BY_PYTHON_27 = '  File "/root/.ansible/tmp/x/AnsiballZ_ipvs_facts.py", line 40\n    zip_data: str,\n            ^\nSyntaxError: invalid syntax\n'


@pytest.mark.parametrize(
    ("result", "maybe", "version"),
    [
        ({"failed": True, "msg": "MODULE FAILURE", "module_stdout": BY_216}, True, (3, 5, 10)),
        ({"failed": True, "msg": BY_219}, True, (3, 7, 16)),
        ({"failed": True, "msg": BY_221}, True, (3, 8, 18)),
        ({"failed": True, "msg": "Module result deserialization failed", "module_stderr": BY_PYTHON_27}, True, None),
        ({"failed": True, "msg": "The module interpreter '/usr/bin/python3' was not found."}, True, None),
        ({"failed": True, "msg": "/proc/1/ns/net: Permission denied"}, False, None),
        ({"failed": True, "unreachable": True, "msg": "SyntaxError"}, False, None),
        ({"ansible_facts": {}, "msg": "SyntaxError"}, False, None),
    ],
)
def test_recognised(result, maybe, version):
    assert may_be_too_old(result) is maybe
    assert said_by_core(result) == version


@pytest.mark.parametrize(
    ("version", "minimum", "driven"),
    [
        ((2, 7, 18), True, True),
        ((2, 6, 9), True, False),
        ((3, 5, 10), True, False),
        ((3, 6, 15), True, True),
        ((3, 14, 0), True, True),
        ((2, 7, 18), (3, 8), False),
        ((3, 7, 16), (3, 8), False),
        ((3, 8, 0), (3, 8), True),
        ((3, 10, 1), (3, 9), True),
        ((4, 0, 0), (3, 9), True),
    ],
)
def test_driven(version, minimum, driven):
    assert drives(version, minimum) is driven


def test_oldest():
    assert oldest((3, 9)) == ((3, 9),)
    assert oldest(True) == ((2, 7), (3, 6))


def test_sentences():
    then = "use ansible-core 2.16, another ansible_python_interpreter or ipvs_probe.py (docs/probe.md)"
    assert sentence((2, 7, 18), "2.19.14", (3, 8)) == f"Python 2.7.18 is too old for ansible-core 2.19.14, which needs 3.8: {then}"
    assert sentence(None, "2.21.5", (3, 9)) == f"its Python is too old for ansible-core 2.21.5, which needs 3.9: {then}"
    assert sentence((3, 5, 10), "2.16.19", True) == (
        "Python 3.5.10 is too old for ansible-core 2.16.19, which needs 2.7 or 3.6: "
        "use another ansible_python_interpreter; no core that is supported takes this one"
    )
    # A terminal's table shows so much of a reason.
    assert len(sentence((3, 10, 18), "2.19.14", (3, 11))) <= 160


@pytest.mark.parametrize("shebang", [f"#!{sys.executable}", f"#!{sys.executable} -u", "#!/nonexistent/python", "", None])
def test_the_question(shebang):
    done = subprocess.run(["sh", "-c", question(shebang)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    version = answer(done.stdout)
    assert version == sys.version_info[:3] if shebang and sys.executable in shebang else version


@pytest.mark.parametrize("stdout", [None, "", "Python 3.8.1", "kubeproxy.ipvs:3.8", "kubeproxy.ipvs:3.8.1;reboot", "a kubeproxy.ipvs:3.8.1"])
def test_no_answer(stdout):
    assert answer(stdout) is None


def test_an_answer_among_what_a_shell_says_at_login():
    assert answer("Welcome!\r\nkubeproxy.ipvs:2.7.18\r\nbye") == (2, 7, 18)


@pytest.mark.parametrize(("core", "taken"), [("2.15.13", False), ("2.16.0rc1", True), ("2.16.0", True), ("2.19.14", True), ("2.22.0.dev0", True)])
def test_core(core, taken):
    assert required() == ">=2.16.0"
    expected = f"kubeproxy.ipvs needs ansible-core >=2.16.0, this is {core}: install another one, in a Python environment of its own (docs/support.md)"
    assert unsupported(core) == (None if taken else expected)


def test_an_excluded_series():
    assert unsupported("2.17.14", ">=2.16.0,!=2.17.*") and not unsupported("2.18.0", ">=2.16.0,!=2.17.*")
