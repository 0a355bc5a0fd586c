# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""compare.py [--write] RESULTS: compare what kernels do with what the decision says of them, and with what the lab declares that they are.

RESULTS is the folder that `run` fills: `kernels` is the output of `lab kernels`; for each kernel that is available there are KERNEL.status,
KERNEL.errors and KERNEL.output, which is what measure.py printed and, in the next line, what the module read on that kernel.

Each setting and each capability of a kernel is one test, the page docs/measured.md another. Exit status 1 if anything contradicts.
"""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
import sys
from dataclasses import dataclass, field

import yaml

HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parents[2]
sys.path.insert(0, str(CHECKOUT / "tests/unit/plugins/plugin_utils"))

import nodes  # noqa: E402
import page  # noqa: E402

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import judge  # noqa: E402

CAPABILITIES = ("reuse_without_drop", "respects_zero_weight", "flushes_deleted")
SETTINGS = 16
TESTS_OF_A_KERNEL = SETTINGS + len(CAPABILITIES)
# A word of the decision -> what new connections meet then: how long they take; who answers while all backends live; who answers when the
# weight of the old connection's backend is 0. Not applicable is a contradiction in itself: kube-proxy is in IPVS mode here.
WORDS = {
    "safe": {"delay": "fast", "reused": "scheduled again", "weight 0": "other"},
    "syn_delay": {"delay": "1 s", "reused": "scheduled again", "weight 0": "other"},
    "uneven_load": {"delay": "fast", "reused": "same", "weight 0": "other"},
    "stale_backends": {"delay": "fast", "reused": "same", "weight 0": "same"},
    "unknown": {},
}
# One word for all of them: each is compared with it. Of each there is also one with _weight_0.
CASES = ("reuse", "ipv6", "masqueraded")
# Where a capability shows: the setting (conntrack, conn_reuse_mode, expire_nodest_conn), the case and what is looked at, and what that means.
SHOWS = {
    "reuse_without_drop": (((1, 1, 0), (1, 1, 1)), "reuse", "delay", {"fast": "yes", "1 s": "no"}),
    "respects_zero_weight": (((1, 0, 1),), "reuse_weight_0", "backend", {"other": "yes", "same": "no"}),
    "flushes_deleted": (((1, 0, 1),), "reuse_deleted", "delay", {"fast": "yes", "1 s": "no"}),
}


class Failed(Exception):
    """A kernel gave no measurement. The text says why."""


@dataclass
class Row:
    """One setting of a kernel: what was measured, the decision's word, and what contradicts it."""

    setting: tuple[int, int, int]
    cases: dict
    verdict: str
    contradictions: list[str]
    unknown: list[str]


@dataclass
class Kernel:
    """A kernel of the lab with everything that is known of it."""

    name: str
    declared: dict[str, str]
    release: str | None
    package: str | None
    rows: list[Row] = field(default_factory=list)
    measured: dict[str, str | None] = field(default_factory=dict)
    judged: dict[str, dict] = field(default_factory=dict)
    contradictions: dict[str, list[str]] = field(default_factory=dict)


def kernel(name: str, row: dict) -> Kernel:
    """A kernel as kernels.yml declares it."""
    return Kernel(name, {capability: yes_or_no(row["capabilities"][capability]) for capability in CAPABILITIES}, row.get("release"), row.get("package"))


def yes_or_no(value) -> str:
    """A capability's state, which YAML may have made a boolean of."""
    return {True: "yes", False: "no"}.get(value, value)


def node(facts: dict, setting: tuple[int, int, int]) -> dict:
    """The facts of a node with this kernel and setting that runs kube-proxy 1.20.2 in IPVS mode, and nothing else that writes."""
    conntrack, mode, expire = setting
    composed = nodes.node(facts["kernel"]["release"], "K2", mode, conntrack=conntrack, expire=expire)
    sysctl = {**facts["sysctl"], **composed["sysctl"]}
    return {**composed, "kernel": {**facts["kernel"], "ip_vs": "loaded"}, "sysctl": sysctl}


def claims(verdict: dict, expire: int) -> dict[str, str]:
    """What the word for now says that connections meet. What it leaves open is not in it."""
    claimed = dict(WORDS[verdict["moments"]["now"]["verdict"]])
    if claimed.get("weight 0") == "same" and expire == 1 and verdict["capabilities"]["respects_zero_weight"]["state"] == "unknown":
        # Stale because nobody knows better.
        del claimed["weight 0"]
    return claimed


def contradictions(claimed: dict[str, str], cases: dict):
    """A sentence for each thing that was measured and is not what was claimed."""
    for case in CASES:
        found = {"delay": cases[case]["delay"], "reused": cases[case]["backend"]}
        with_weight_0 = {"delay": cases[case + "_weight_0"]["delay"], "weight 0": cases[case + "_weight_0"]["backend"]}
        for name, measured in ((case, found), (case + "_weight_0", with_weight_0)):
            for what, word in measured.items():
                if what in claimed and claimed[what] != word:
                    yield f"{name}: {what} was {word!r}, the decision says {claimed[what]!r}"


def compare_setting(facts: dict, believed: dict[str, str], declared: dict[str, str], result: dict) -> Row:
    """Compare one setting with what the decision says of it by what was read of the kernel, and if it is told what the kernel really is.

    believed: the capabilities that the kernel's name lies about, as they are declared.
    """
    setting = (result["setting"]["conntrack"], result["setting"]["conn_reuse_mode"], result["setting"]["expire_nodest_conn"])
    by_facts = judge(node(facts, setting), {"capabilities": believed})
    by_word = judge(node(facts, setting), {"capabilities": declared})
    found = [f"inconclusive: {name}: {case['inconclusive']}" for name, case in sorted(result["cases"].items()) if case["inconclusive"]]
    unknown = []
    for verdict, told in ((by_facts, ""), (by_word, "told the truth, ")):
        word = verdict["moments"]["now"]["verdict"]
        if word not in WORDS:
            found.append(f"{told}the decision says {word}")
            continue
        claimed = claims(verdict, setting[2])
        found += [f"{told}{sentence} ({word})" for sentence in contradictions(claimed, result["cases"])]
        unknown += [f"{told}{what}" for what in WORDS["safe"] if what not in claimed]
    return Row(setting, result["cases"], by_facts["moments"]["now"]["verdict"], found, unknown)


def compare_capabilities(measured: Kernel, misleading: list[str]) -> None:
    """Set what was measured of each capability and what contradicts it."""
    by_setting = {row.setting: row.cases for row in measured.rows}
    for capability, (settings, case, what, meaning) in SHOWS.items():
        states = {meaning.get(by_setting[setting][case][what]) if setting in by_setting else None for setting in settings}
        state = states.pop() if len(states) == 1 else None
        measured.measured[capability] = state
        found = measured.contradictions[capability] = []
        judged = measured.judged[capability]["state"]
        if state is None:
            found.append("not measured")
        elif state != measured.declared[capability]:
            found.append(f"measured {state}, kernels.yml declares {measured.declared[capability]}")
        if state is not None and judged not in ("unknown", state) and capability not in misleading:
            found.append(f"measured {state}, the decision says {judged} ({measured.judged[capability]['evidence']})")


def compare_kernel(name: str, row: dict, output: str) -> Kernel:
    """Everything about one kernel, from what its run has printed."""
    lines = output.splitlines()
    if len(lines) != 2:
        raise Failed(f"it printed {len(lines)} lines, not 2")
    document, facts = (json.loads(line) for line in lines)
    compared = kernel(name, row)
    release = facts["kernel"]["release"]
    if release != document["kernel"]["release"] or compared.release not in (None, release):
        raise Failed(f"it calls itself {document['kernel']['release']}, the module read {release}, kernels.yml says {compared.release}")
    misleading = row.get("misleading", [])
    believed = {capability: compared.declared[capability] for capability in misleading}
    compared.judged = judge(node(facts, (1, 1, 1)))["capabilities"]
    compared.rows = [compare_setting(facts, believed, compared.declared, result) for result in document["results"]]
    if len({row.setting for row in compared.rows}) != SETTINGS:
        raise Failed(f"{len(compared.rows)} settings were measured, not {SETTINGS}")
    compare_capabilities(compared, misleading)
    again = f", measured {document['attempts']} times" if document["attempts"] > 1 else ""
    print(f"{name}: {release}, {document['seconds']:.0f} s{again}")
    return compared


def read(results: pathlib.Path, name: str, row: dict) -> Kernel:
    """The kernel's run, compared; raises Failed."""
    status = (results / f"{name}.status").read_text(encoding="ascii").strip() if (results / f"{name}.status").exists() else "missing"
    errors = (results / f"{name}.errors").read_text(encoding="utf-8") if (results / f"{name}.errors").exists() else ""
    if status != "0":
        raise Failed("\n    ".join([f"exit status {status}", *errors.splitlines()[-15:]]))
    compared = compare_kernel(name, row, (results / f"{name}.output").read_text(encoding="utf-8"))
    for line in errors.splitlines()[:5]:
        # What was inconclusive at first.
        print(f"  {line}")
    return compared


def report(compared: Kernel) -> tuple[int, int]:
    """Print what contradicts and what the decision does not know; how many tests passed and failed."""
    failed = 0
    for row in compared.rows:
        failed += bool(row.contradictions)
        for sentence in row.contradictions:
            print(f"  CONTRADICTION: {setting_text(row.setting)}: {sentence}")
    for capability, sentences in compared.contradictions.items():
        failed += bool(sentences)
        for sentence in sentences:
            print(f"  CONTRADICTION: {capability}: {sentence}")
    open_claims = collections.Counter(what for row in compared.rows for what in row.unknown)
    for what, count in open_claims.items():
        print(f"  unknown to the decision: {what}, at {count} of {len(compared.rows)} settings")
    for capability, judged in compared.judged.items():
        if judged["state"] == "unknown":
            print(f"  unknown to the decision: {capability}; measured {compared.measured[capability]}")
    return TESTS_OF_A_KERNEL - failed, failed


def setting_text(setting: tuple[int, int, int]) -> str:
    """A setting in words."""
    return "conntrack {}, conn_reuse_mode {}, expire_nodest_conn {}".format(*setting)


def compare(results: pathlib.Path, write: bool) -> int:
    """Compare all of them and keep the page; the exit status."""
    with open(HERE.parent / "kernels.yml", encoding="utf-8") as handle:
        declared = yaml.safe_load(handle)
    passed = failed = skipped = 0
    compared = []
    for line in (results / "kernels").read_text(encoding="utf-8").splitlines():
        name, state = line.split("\t", 1)
        if state != "available":
            print(f"SKIPPED: {name}: {state}")
            skipped += TESTS_OF_A_KERNEL
            continue
        try:
            compared.append(read(results, name, declared[name]))
        except Failed as error:
            print(f"{name}: FAILED: {error}")
            failed += TESTS_OF_A_KERNEL
            continue
        counts = report(compared[-1])
        passed += counts[0]
        failed += counts[1]
    differences = page.keep(CHECKOUT / "docs/measured.md", compared, list(declared), write)
    for difference in differences:
        print(f"docs/measured.md: {difference}; tests/lab/truth_table/run --write writes what was measured")
    failed += bool(differences)
    passed += not differences
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return int(failed > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/measured.md")
    parser.add_argument("results", type=pathlib.Path)
    arguments = parser.parse_args()
    sys.exit(compare(arguments.results, arguments.write))
