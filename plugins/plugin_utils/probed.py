# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What probes have measured, as rows about kernels: which nodes a row speaks of, which kernels are still to be asked, and what a new row adds.

A row is made on one node and speaks of all nodes with the same kernel: the same `uname -r`, `uname -v` and live patches. knowledge/probes.schema.json
describes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import NodeFacts, mapping, read, sequence, text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import CAPABILITIES, KnowledgeError, check_part
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain

SCHEMA = 1
KNOWN = ("yes", "no")
# So many nodes of a kernel are asked, until one answers.
TRIES = 3


class Kernel(NamedTuple):
    """What tells one kernel from another. live_patches: names of those that are enabled, sorted."""

    release: str
    version: str
    live_patches: tuple[str, ...]


def kernel_of(facts: NodeFacts) -> Kernel | None:
    """The Kernel of a node; None if its facts do not tell it whole."""
    if not facts.kernel_release or not facts.uname_version:
        return None
    entries = [mapping(entry) for entry in sequence(facts.part("kernel").get("live_patches"))]
    patches = [text(entry.get("name")) for entry in entries if entry.get("enabled") is not False]
    return Kernel(facts.kernel_release, facts.uname_version, tuple(sorted(name for name in patches if name)))


def kernel_of_row(row: dict) -> Kernel:
    """The Kernel that a row speaks of."""
    kernel = row["kernel"]
    return Kernel(kernel["release"], kernel["version"], tuple(sorted(kernel["live_patches"])))


def read_rows(rows) -> list[dict]:
    """ROWS, checked. Raises KnowledgeError naming the one that cannot be used."""
    rows = plain(rows) if rows is not None else []
    if not isinstance(rows, list):
        raise KnowledgeError(f"probes must be a list, not {type(rows).__name__}")
    for number, row in enumerate(rows, 1):
        check_part("probes", "row", row, f"probe number {number}")
    return rows


def read_document(document) -> list[dict]:
    """The rows of what a file of probes holds. Raises KnowledgeError."""
    document = plain(document)
    if not isinstance(document, dict) or not isinstance(document.get("probes"), list):
        raise KnowledgeError("not a file of probes: it needs schema and a list named probes")
    if document.get("schema") != SCHEMA:
        raise KnowledgeError(f"probes of version {str(document.get('schema'))[:20]!r}, this collection reads version {SCHEMA}")
    return read_rows(document["probes"])


def document_of(rows: Iterable[dict]) -> dict:
    """What a file of probes holds, in an order that does not depend on that of the rows."""
    return {"schema": SCHEMA, "probes": sorted(rows, key=lambda row: (kernel_of_row(row), row["date"], row["node"]))}


def is_complete(row: dict) -> bool:
    """Whether it tells every capability."""
    return all(row["capabilities"][name]["state"] in KNOWN for name in CAPABILITIES)


def row_of(kernel: Kernel, result, node: str, date: str) -> tuple[dict | None, str]:
    """What the module ipvs_probe has returned from a node with this kernel, as a row; or none, and why, in a sentence."""
    result = mapping(plain(result))
    asked = mapping(result.get("kernel"))
    capabilities = mapping(result.get("capabilities"))
    if not capabilities:
        lines = str(result.get("msg") or "").strip().splitlines()
        return None, lines[0] if lines else "no answer"
    if (asked.get("release"), asked.get("version")) != kernel[:2]:
        return None, f"the node runs another kernel than it did when its facts were read: {text(asked.get('release')) or 'one without a name'}"
    measured = {name: {key: value for key, value in mapping(capabilities.get(name)).items() if key in ("state", "seconds", "control_seconds")}
                for name in CAPABILITIES}
    row = {
        "kernel": {"release": kernel.release, "version": kernel.version, "live_patches": list(kernel.live_patches)},
        "capabilities": measured, "node": node, "date": date,
    }
    try:
        read_rows([row])
    except KnowledgeError as error:
        return None, str(error)
    if not any(measured[name]["state"] in KNOWN for name in CAPABILITIES):
        return None, text(result.get("reason")) or "nothing could be measured"
    return row, "" if is_complete(row) else text(result.get("reason")) or "not everything could be measured"


def _by_kernel(rows: Iterable[dict]) -> dict[Kernel, list[dict]]:
    """Rows by kernel, the oldest first, whatever their order was."""
    found: dict[Kernel, list[dict]] = {}
    for row in rows:
        found.setdefault(kernel_of_row(row), []).append(row)
    for same in found.values():
        same.sort(key=lambda row: (row["date"], row["node"], str(row)))
    return found


def _states(rows: list[dict], name: str) -> set[str]:
    return {row["capabilities"][name]["state"] for row in rows} & set(KNOWN)


def _one(rows: list[dict]) -> dict:
    """Several rows about one kernel as one. What they contradict each other in is unknown: one of them must be wrong."""
    capabilities = {}
    for name in CAPABILITIES:
        states = _states(rows, name)
        measured = [row["capabilities"][name] for row in rows if not states or row["capabilities"][name]["state"] in states]
        capabilities[name] = measured[-1] if len(states) < 2 else {**measured[-1], "state": "unknown"}
    return {**rows[-1], "capabilities": capabilities}


def merged(rows: Iterable[dict]) -> dict[Kernel, dict]:
    """One row for each kernel, of all that speak of it, whatever their order."""
    return {kernel: _one(same) for kernel, same in _by_kernel(rows).items()}


def worth_keeping(rows: Iterable[dict]) -> list[dict]:
    """One row for each kernel, but all of those that contradict each other, so that the next run sees it too."""
    kept = []
    for same in _by_kernel(rows).values():
        kept += same if any(len(_states(same, name)) > 1 for name in CAPABILITIES) else [_one(same)]
    return kept


def contradictions(rows: Iterable[dict]) -> list[str]:
    """A sentence for each capability in which rows about one kernel contradict each other."""
    found = []
    for kernel, same in sorted(_by_kernel(rows).items()):
        for name in CAPABILITIES:
            told = {row["capabilities"][name]["state"]: f"{row['node']}, {row['date']}" for row in same}
            if "yes" in told and "no" in told:
                found.append(f"probes of the kernel {kernel.release} contradict each other in {name}: yes ({told['yes']}), no ({told['no']})")
    return found


def with_probe(facts: dict, probes: dict[Kernel, dict]) -> dict:
    """FACTS with what was measured of the node's kernel, so that whoever reads them later judges as was judged now. probes: rows by kernel."""
    row = probes.get(kernel_of(read(facts))) if probes else None
    return {**facts, "kernel": {**mapping(facts.get("kernel")), "probe": row}} if row else facts


class Candidate(NamedTuple):
    """A node that could be asked. knows_all: whether its kernel's capabilities are known without a probe."""

    name: str
    kernel: Kernel
    knows_all: bool


def to_ask(candidates: Iterable[Candidate], always: bool, answered: Iterable[Kernel], tried: Iterable[str]) -> dict[str, Kernel]:
    """{node: its kernel}: one node for each kernel that is to be asked.

    always: also kernels of which everything is known. answered: kernels that need not be asked any more. tried: nodes that have been asked.
    """
    candidates, answered, tried = list(candidates), set(answered), set(tried)
    # Two nodes with one kernel may know different things of it: a changelog that only one of them has.
    unknown = {node.kernel for node in candidates if not node.knows_all}
    asked = Counter(node.kernel for node in candidates if node.name in tried)
    wanted: dict[Kernel, str] = {}
    for node in candidates:
        if node.name not in tried and node.kernel not in answered and asked[node.kernel] < TRIES and (always or node.kernel in unknown):
            wanted.setdefault(node.kernel, node.name)
    return {name: kernel for kernel, name in wanted.items()}
