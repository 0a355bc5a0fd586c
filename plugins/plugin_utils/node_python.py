# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node's Python that is too old for the ansible-core that runs: how it is recognised, and the sentence that says so."""

from __future__ import annotations

import re
import shlex

# What core's own text for a node says from 2.17 on; before and where Python cannot even read that text, it is a SyntaxError.
_CURRENT = re.compile(r"requires (?:Python|a minimum of Python)[^\n]* Current version: (\d+)\.(\d+)\.(\d+)")
# Python words these differently in 2.7, 3.6 and 3.7. Each may be a mistake of ours, too: where the version is known, it decides.
_TOO_OLD = re.compile(r"future feature annotations|SyntaxError|requires Python|requires a minimum of Python", re.IGNORECASE)
# The interpreter that was named or found: an old one may be there under another name.
_MISSING = "was not found"
_MARK = "kubeproxy.ipvs:"
_ANSWER = re.compile(rf"^{_MARK}(\d{{1,2}})\.(\d{{1,2}})\.(\d{{1,2}})\s*$", re.MULTILINE)
_ASK = f'import sys; print("{_MARK}%d.%d.%d" % sys.version_info[:3])'
# Where the interpreter that was named or found does not exist: what an old distribution has.
_OTHERS = ("python3", "/usr/libexec/platform-python", "python2.7", "python")
# The oldest that this collection's own modules run on, and the core that is the last to drive it.
_OLDEST = ((2, 7), (3, 6))
_LAST_CORE = "2.16"


def oldest(minimum) -> tuple[tuple[int, int], ...]:
    """The oldest Pythons that a core drives, one for each major version.

    minimum: `_PY_MIN` of its `ansible.module_utils.basic`: (major, minor), in 2.16 a boolean.
    """
    return (minimum,) if isinstance(minimum, tuple) else _OLDEST


def drives(version: tuple[int, ...], minimum) -> bool:
    """Whether a core whose `_PY_MIN` is MINIMUM drives this Python, (major, minor, …)."""
    entries = oldest(minimum)
    return any(version[0] == entry[0] and version[:2] >= entry for entry in entries) or version[:1] > (entries[-1][0],)


def may_be_too_old(result: dict) -> bool:
    """Whether what a module's task returned may come of a Python that core does not drive."""
    if result.get("unreachable") or not result.get("failed"):
        return False
    texts = texts_of(result)
    return says_too_old(texts) or any(_MISSING in text.lower() for text in texts)


def texts_of(result: dict) -> list[str]:
    """The texts in which a module's task says what went wrong."""
    return [str(result[key]) for key in ("msg", "exception", "module_stderr", "module_stdout") if result.get(key)]


def says_too_old(texts: list[str]) -> bool:
    """Whether one of them is what a Python says that cannot read ansible-core's own code."""
    return any(_TOO_OLD.search(text) for text in texts)


def said_by_core(result: dict) -> tuple[int, int, int] | None:
    """The version of the node's Python, if core's own text in the result says it."""
    for key in ("msg", "module_stdout", "module_stderr"):
        found = _CURRENT.search(str(result.get(key) or ""))
        if found:
            major, minor, micro = found.groups()
            return int(major), int(minor), int(micro)
    return None


def question(shebang: str | None) -> str:
    """A command for a POSIX shell that prints the version of the Python of a shebang (#!…), or of the first that there is."""
    named = (shebang or "").lstrip("#!").strip()
    ask = shlex.quote(_ASK)
    return " || ".join(f"{candidate} -c {ask} 2>/dev/null" for candidate in filter(None, (named, *_OTHERS)))


def answer(stdout) -> tuple[int, int, int] | None:
    """The version in what that command printed; None if there is none."""
    found = _ANSWER.search(str(stdout or ""))
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def sentence(version: tuple[int, ...] | None, core: str, minimum) -> str:
    """Why the node was not read and what to do. version: of its Python, None if it is not known. core: version of ansible-core."""
    which = "Python " + ".".join(map(str, version)) if version else "its Python"
    words = " or ".join(".".join(map(str, entry)) for entry in oldest(minimum))
    begin = f"{which} is too old for ansible-core {core}, which needs {words}"
    if version and not drives(version, False):
        return f"{begin}: use another ansible_python_interpreter; no core that is supported takes this one"
    return f"{begin}: use ansible-core {_LAST_CORE}, another ansible_python_interpreter or ipvs_probe.py (docs/probe.md)"
