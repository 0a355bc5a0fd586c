# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines on a node that set another value than the one wanted, and what to put in their places. Only the one key is touched."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import shell_actions, shell_text, sysctl_files
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.redaction import REDACTED
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import NodeFacts, Writer

MARKER = "# kubeproxy.ipvs: "
HAS_SECRET = "its line holds a secret, which the facts leave out"
NOT_ONE_LINE = "its text is not one line of the file: it goes on over several, or is spelled in another way"
# Kinds whose lines are settings, which a comment takes away.
SETTINGS = ("sysctl_file", "ufw", "tuned")
# Kinds that are a running program.
PROGRAMS = ("kube_router",)
# The facts keep so much of a line.
LINE_LIMIT = 200
# What packages bring along and what is made anew at each boot: an edit would be gone without anybody's asking.
OF_OTHERS = ("/usr/lib/", "/lib/", "/run/", "/snap/", "/nix/")
_ASSIGNED = re.compile(r"(" + shell_text.KEY + r"[\"']?\s*=\s*[\"']?)(-?\d+)")
_ECHOED = re.compile(r"(\b(?:echo|printf)\s+(?:-\w+\s+)*[\"']?(?:%[sd](?:\\n)?[\"']?\s+[\"']?)?)(-?\d+)")


@dataclass(frozen=True)
class Edit:
    """One line of one file, and what replaces it."""

    path: str
    line: str
    replacement: str


@dataclass(frozen=True)
class Left:
    """A writer that cannot be neutralised, and why."""

    path: str
    reason: str


def other_value(value: int | None, wanted: int) -> bool:
    """Whether a written value acts otherwise than the one wanted: behind NAT all values but 0 are alike."""
    return value is None or (value == 0) != (wanted == 0)


def _fires(writer: Writer) -> bool:
    return bool(writer.moments or writer.period_seconds)


def _could_fire(writer: Writer) -> bool:
    """Whether a writer acts, or would once another one is gone or somebody applies the sysctl files by hand."""
    if writer.kind == "sysctl_file":
        return not (writer.reason or "").startswith("masked")
    return _fires(writer)


def _commented(line: str) -> str | None:
    """A setting taken away, or None where the line sets other keys too."""
    found = sysctl_files.parse(line, "")
    return MARKER + line if len(found) == 1 and found[0].explicit else None


def _rewritten(line: str, wanted: int) -> str | None:
    """A command with the wanted value in the place of the other one, below a line that says so; None where that cannot be done for certain."""
    text = _ASSIGNED.sub(lambda found: f"{found.group(1)}{wanted}", line)
    if text == line and line.count("conn_reuse_mode") == 1:
        text = _ECHOED.sub(lambda found: f"{found.group(1)}{wanted}", line, count=1)
    writes = [action for action in shell_actions.read_actions(text) if action.kind == shell_actions.WRITE]
    if text == line or not writes or any(action.value != wanted for action in writes):
        return None
    return f"{MARKER}the value in the next line was another one\n{text}"


def _edit(writer: Writer, wanted: int) -> Edit | Left:
    line = writer.line
    if writer.kind in PROGRAMS or not writer.path or not line:
        return Left(writer.name, "a program writes it")
    if writer.value is None:
        return Left(writer.path, "the value that it writes cannot be read from its text")
    if REDACTED in line:
        return Left(writer.path, HAS_SECRET)
    if len(line) >= LINE_LIMIT:
        return Left(writer.path, "its line is too long")
    if writer.file_line is None:
        return Left(writer.path, NOT_ONE_LINE)
    if writer.path.startswith(OF_OTHERS):
        return Left(writer.path, "the file belongs to a package or is made anew at each boot")
    replacement = _commented(line) if writer.kind in SETTINGS else _rewritten(line, wanted)
    if replacement is None:
        return Left(writer.path, "its line does more than set this one key" if writer.kind in SETTINGS else "its text cannot be changed for certain")
    return Edit(writer.path, writer.file_line, _indented(replacement, writer.file_line))


def _indented(replacement: str, line: str) -> str:
    """A replacement with the blanks in front that the line has in its file."""
    return textwrap.indent(replacement, line[: len(line) - len(line.lstrip())])


def neutralise(facts: NodeFacts, wanted: int) -> tuple[list[Edit], list[Left]]:
    """What to change so that no writer on the node's disk sets another value than WANTED, and the writers that this leaves."""
    edits, left = [], []
    for writer in facts.writers:
        # What a script takes from a sysctl file is changed there.
        if writer.via or not other_value(writer.value, wanted) or not _could_fire(writer):
            continue
        outcome = _edit(writer, wanted)
        known = edits if isinstance(outcome, Edit) else left
        if outcome not in known:
            known.append(outcome)
    return edits, left


def harmful_guards(facts: NodeFacts) -> tuple[list[Edit], list[Left]]:
    """Lines that would keep kube-proxy from starting after a reboot, taken away where something better takes their place, and those that stay."""
    edits, left = [], []
    for guard in () if facts.ip_vs_at_boot else facts.guards:
        if not guard.stops_kube_proxy:
            continue
        if guard.file_line is None:
            left.append(Left(guard.path, NOT_ONE_LINE))
        elif len(guard.line) >= LINE_LIMIT:
            left.append(Left(guard.path, "its line is too long"))
        elif REDACTED in guard.line:
            left.append(Left(guard.path, HAS_SECRET))
        else:
            edits.append(Edit(guard.path, guard.file_line, _indented(MARKER + guard.line, guard.file_line)))
    return edits, left


def without(facts: NodeFacts, edits: list[Edit]) -> tuple[Writer, ...]:
    """The writers that the edits leave; what takes its value from an edited file sets nothing any more."""
    lines = {(edit.path, edit.line) for edit in edits}
    paths = {edit.path for edit in edits}
    return tuple(writer for writer in facts.writers if (writer.path, writer.file_line) not in lines and writer.via not in paths)
