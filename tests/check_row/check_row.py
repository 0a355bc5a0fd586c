# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a row of kernels.yml is complete, and what it says of the kernels that its tests name.

check_row.py KEY...; exit status 0: all of them are, 1: something is missing, which is said, 2: there is no such row.
"""

from __future__ import annotations

import ast
import difflib
import pathlib
import sys
from dataclasses import dataclass

import yaml
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.capabilities import find_row, judge_kernel
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import read
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import KnowledgeError, known_kernels, load
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.policy import read_policy

TESTS = pathlib.Path(__file__).resolve().parents[1] / "unit" / "plugins" / "plugin_utils" / "test_kernels.py"


@dataclass(frozen=True)
class Kernel:
    """A kernel that a test names, and the capability that the test is about."""

    capability: str
    release: str
    uname_version: str | None = None
    signature: str | None = None

    def facts(self):
        return read({"kernel": {"release": self.release, "version": self.uname_version, "version_signature": self.signature}})


def _texts(nodes) -> list[str]:
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def tested(source: str) -> list[Kernel]:
    """The kernels in the text of test_kernels.py: tuples (CAPABILITY, "release", ...) and calls of state(CAPABILITY, "release", ...)."""
    tree, names, kernels = ast.parse(source), {}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
            names.update(zip([target.id for target in node.targets[0].elts], _texts(node.value.elts)))
    for node in ast.walk(tree):
        arguments = node.elts if isinstance(node, ast.Tuple) else node.args if isinstance(node, ast.Call) else []
        if len(arguments) < 2 or not isinstance(arguments[0], ast.Name) or arguments[0].id not in names or not _texts(arguments[1:2]):
            continue
        capability, words = names[arguments[0].id], _texts(arguments[1:])
        if isinstance(node, ast.Tuple):
            kernels += [Kernel(capability, release) for release in words]
        else:
            signature = _texts(keyword.value for keyword in node.keywords if keyword.arg == "signature")
            kernels.append(Kernel(capability, words[0], *words[1:2] or [None], *signature or [None]))
    return list(dict.fromkeys(kernels))


def _wrong_sources(row: dict, sources: dict) -> list[str]:
    entries = [entry for ranges in row.get("ranges", {}).values() for entry in ranges] + list(row.get("build_dates", {}).values())
    missing = dict.fromkeys(entry["source"] for entry in entries if entry["source"] not in sources)
    return [f"source {name!r} is not in the sources at the end of kernels.yml" for name in missing]


def _untested(row: dict, decided: list[Kernel]) -> list[str]:
    """The states of the row that no tested kernel has, by its own ranges."""
    missing = []
    for capability, ranges in row.get("ranges", {}).items():
        mine = [kernel for kernel in decided if kernel.capability == capability]
        found = {judge_kernel(kernel.facts(), read_policy({"accept_inferred": True}))[capability]["state"] for kernel in mine}
        wanted = dict.fromkeys(entry["state"] for entry in ranges)
        # A threshold has two sides; where there is no range for the other one it is unknown.
        if len(wanted) == 1 and not all(any(bound not in entry for entry in ranges) for bound in ("from", "to")):
            wanted["unknown"] = None
        missing += [f"no test names a kernel of this row whose {capability} is {state}" for state in wanted if state not in found]
    return missing


def problems(row: dict, document: dict, kernels: list[Kernel]) -> list[str]:
    """What is missing or wrong about ROW of DOCUMENT, a sentence each; none if it is complete. kernels: those that tests name."""
    try:
        known_kernels([row])
    except KnowledgeError as error:
        return [str(error).removeprefix("additional kernel ")]
    found = _wrong_sources(row, document["sources"])
    first = [(kernel, find_row(kernel.facts(), document["rows"])) for kernel in kernels if find_row(kernel.facts(), [row])]
    decided = [kernel for kernel, other in first if other is row]
    if not first:
        return found + ["no test names a kernel that this row matches"]
    hidden = list(dict.fromkeys(f"hidden: {kernel.release} is matched by row {other['key']!r} before it" for kernel, other in first if other is not row))
    untested = _untested(row, decided) if decided else ["no tested kernel is decided by this row"]
    return found + (untested + hidden[:3] if untested else [])


def said(row: dict, document: dict, kernels: list[Kernel]) -> list[str]:
    """What is answered for each tested kernel that ROW decides."""
    lines = []
    for kernel in kernels:
        if find_row(kernel.facts(), document["rows"]) is row:
            answer = judge_kernel(kernel.facts(), read_policy(None))[kernel.capability]
            leaning = f", leaning {answer['leaning']}" if "leaning" in answer else ""
            why = f" ({answer['evidence']}, {answer['confidence']}: {answer['source']})" if "evidence" in answer else ""
            lines.append(f"  {kernel.release}: {kernel.capability} {answer['state']}{leaning}{why}")
    return lines


def _line_of(error: yaml.YAMLError) -> str:
    """Where and what an error of YAML is, on one line."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    return f"line {mark.line + 1}: {problem}" if mark and problem else " ".join(str(error).split())


def main(keys: list[str]) -> int:
    """The command; its exit status."""
    try:
        document, kernels, status = load("kernels"), tested(TESTS.read_text(encoding="utf-8")), 0
    except (yaml.YAMLError, SyntaxError) as error:
        print(f"kernels.yml, {_line_of(error)}" if isinstance(error, yaml.YAMLError) else f"{TESTS.name}, line {error.lineno}: {error.msg}")
        return 1
    rows = {row.get("key"): row for row in document["rows"]}
    if not keys:
        print(__doc__)
        return 2
    for key in keys:
        if key not in rows:
            near = difflib.get_close_matches(key, [name for name in rows if name], 3)
            print(f"{key}: no such row in kernels.yml{', but ' + ', '.join(near) if near else ''}")
            return 2
        wrong = problems(rows[key], document, kernels)
        print(f"{key}: {rows[key].get('name')}: {'complete' if not wrong else 'not complete'}")
        print("\n".join([f"  {sentence}" for sentence in wrong] or said(rows[key], document, kernels)))
        status = 1 if wrong else status
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
