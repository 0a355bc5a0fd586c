# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a kernel can do, and on which evidence.

The evidence is asked in a fixed order, the first answer counts: the operator's word, a probe, a kernel.org version from
which every kernel has the fix, a sysctl or symbol that only fixed kernels have, the real kernel.org version, the vendor's
line in kernels.yml, the package changelog (which can only say yes), the day of the build (which can only say no).
A "no" that is merely inferred gives way to a changelog that names the fix; a "yes" that is merely inferred is reported
as unknown, with the leaning, because nothing may be written on it.
"""

from __future__ import annotations

import datetime
import functools

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import NodeFacts, mapping, text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import CAPABILITIES, expression, load, source_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.policy import Policy
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.probed import kernel_of
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.release import Version, build_date, leading_version, version

UNKNOWN = "unknown"
# Surest first.
CONFIDENCES = ("proven", "strong", "reported", "inferred")


def _answer(state: str, evidence: str, entry: dict, **more) -> dict:
    return {"state": state, "evidence": evidence, "confidence": entry["confidence"], "source": source_text(load("kernels"), entry["source"]), **more}


def _field(facts: NodeFacts, name: str) -> str:
    return {"release": facts.kernel_release, "version": facts.uname_version, "version_signature": facts.version_signature}[name] or ""


def _first_match(rows: list[dict], release: str, uname_version: str, version_signature: str) -> dict | None:
    fields = {"release": release, "version": uname_version, "version_signature": version_signature}
    return next((row for row in rows if all(expression(pattern).search(fields[name]) for name, pattern in row["match"].items())), None)


# A fleet has few different kernels, and there are many rows.
@functools.lru_cache(maxsize=4096)
def _known_row(*fields: str) -> dict | None:
    return _first_match(load("kernels")["rows"], *fields)


def find_row(facts: NodeFacts, rows: list[dict] | None = None) -> dict | None:
    """The first of ROWS that describes the node's kernel; None are those of kernels.yml."""
    fields = [_field(facts, name) for name in ("release", "version", "version_signature")]
    return _known_row(*fields) if rows is None else _first_match(rows, *fields)


def _line_number(row: dict, facts: NodeFacts) -> Version | None:
    """The number that this line counts its builds with: the groups of match.release, joined by dots."""
    pattern = row["match"].get("release")
    found = expression(pattern).search(_field(facts, "release")) if pattern else None
    return version(".".join(group for group in found.groups() if group)) if found and found.groups() else None


def _in_range(entry: dict, count: Version | None, built: datetime.date | None) -> bool:
    if "built_from" in entry and (built is None or built < datetime.date.fromisoformat(entry["built_from"])):
        return False
    if "from" not in entry and "to" not in entry:
        return True
    if count is None:
        return False
    return ("from" not in entry or count >= version(entry["from"])) and ("to" not in entry or count <= version(entry["to"]))


def _from_row(capability: str, row: dict, facts: NodeFacts, evidence: str) -> dict | None:
    count, built = _line_number(row, facts), build_date(facts.uname_version)
    for entry in row.get("ranges", {}).get(capability, ()):
        if _in_range(entry, count, built):
            return _answer(entry["state"], evidence, entry, row=row["key"]) if entry["state"] != UNKNOWN else None
    return None


@functools.lru_cache(maxsize=64)
def _upstream(capability: str) -> dict:
    return load("kernels")["upstream"][capability]


def _mainline(capability: str, base: Version | None) -> dict | None:
    """Every kernel from this version on has it, whoever built it."""
    entry = _upstream(capability)["mainline"]
    if base is None or not version(entry["from"]) <= base < version(load("kernels")["believable_below"]):
        return None
    return _answer("yes", "version", entry)


def _weaker(*words: str) -> str:
    return max(words, key=CONFIDENCES.index)


def _stable(capability: str, base: Version, reading: dict, row: dict) -> dict | None:
    """What kernel.org's own BASE has. A line that is only based on it (at_least) can have more, never less.

    That a line has nothing more (exact) is a claim of its own: a "no" is not surer than that.
    """
    upstream = _upstream(capability)
    branch = f"{base.major}.{base.minor}"
    entry = next((item for item in upstream["stable"] if item["branch"] == branch), None)
    if entry and "from" in entry and base >= version(entry["from"]):
        return _answer("yes", "version", entry, row=row["key"])
    if reading.get("meaning") != "exact" or base.is_prerelease:
        return None
    state, entry = ("no", entry) if entry else (upstream["others"]["state"], upstream["others"])
    return {**_answer(state, "version", entry, row=row["key"]), "confidence": _weaker(entry["confidence"], reading.get("confidence", entry["confidence"]))}


def _base(row: dict, facts: NodeFacts) -> tuple[Version | None, dict]:
    """The real kernel.org version of a kernel, and the `base` of its row, which says how much that means."""
    reading = row.get("base") or {}
    found = expression(reading["pattern"]).search(_field(facts, reading["read"])) if reading else None
    return (leading_version(found.group(1)) if found else None), reading


def _from_version(capability: str, row: dict | None, facts: NodeFacts) -> dict | None:
    if row is None:
        return None
    base, reading = _base(row, facts)
    return None if base is None else _mainline(capability, base) or _stable(capability, base, reading, row)


def _from_sysctl(capability: str, facts: NodeFacts) -> dict | None:
    """TencentOS has the fix in a form of its own, with a switch that is there on fixed kernels only."""
    if capability != "reuse_without_drop" or facts.old_conntrack_switch is None:
        return None
    entry = {"confidence": "proven", "source": "tencent_pr_17"}
    return _answer("yes" if facts.old_conntrack_switch else "no", "sysctl", entry)


def _from_symbols(capability: str, facts: NodeFacts) -> dict | None:
    for entry in load("kernels")["symbols"]:
        if entry["symbol"] in facts.symbols and capability in entry["shows"]:
            return _answer(entry["shows"][capability], "symbol", entry, symbol=entry["symbol"])
    return None


def _from_changelog(capability: str, facts: NodeFacts) -> dict | None:
    line = mapping(facts.changelog.get("found")).get(capability)
    if not isinstance(line, str) or not line:
        return None
    package = facts.changelog.get("package")
    where = f"changelog of {package}" if isinstance(package, str) and package else "package changelog"
    return {"state": "yes", "evidence": "changelog", "confidence": "proven", "source": f"{where}: {line}"[:300]}


def _from_build_date(capability: str, row: dict | None, facts: NodeFacts) -> dict | None:
    entry = (row if row and "build_dates" in row else load("kernels"))["build_dates"].get(capability)
    built = build_date(facts.uname_version)
    if entry is None or built is None or built >= datetime.date.fromisoformat(entry["before"]):
        return None
    return _answer("no", "build_date", entry, built=built.isoformat())


def _from_probe(capability: str, facts: NodeFacts, policy: Policy) -> dict | None:
    """What was measured on this node, or on another one with the same kernel."""
    if capability == "reuse_without_drop" and facts.old_conntrack_switch == 0:
        # In a namespace of its own the fix is switched on; on this node it is not (see _from_sysctl).
        return None
    row = policy.probes.get(kernel_of(facts)) or facts.probe
    result = mapping(row.get("capabilities") or row).get(capability)
    state = mapping(result).get("state", result)
    if state not in ("yes", "no"):
        return None
    where = ", ".join(part for part in (text(row.get("node")), text(row.get("date"))) if part)
    return {"state": state, "evidence": "probe", "confidence": "proven", "source": f"measured on this kernel{f' ({where})' if where else ''}"}


FIRST_WITH_SYSCTL = "4.1"


def has_sysctl(facts: NodeFacts) -> bool | None:
    """Whether the kernel has conn_reuse_mode at all (in a loaded ip_vs), by what was read there or else by its name."""
    if facts.value_absent or facts.value is not None:
        return not facts.value_absent
    kernel = facts.kernel_version
    if kernel is None or kernel >= version(FIRST_WITH_SYSCTL):
        return None if kernel is None else True
    row = find_row(facts)
    if row is None:
        return None
    count = _line_number(row, facts)
    if "sysctl_from" in row and count is not None:
        return count >= version(row["sysctl_from"])
    return False if _base(row, facts)[1].get("meaning") == "exact" else None


def kernel_letter(facts: NodeFacts, capabilities: dict) -> str | None:
    """The kernel as kube-proxy's behaviour divides them: A below 4.1 without the sysctl, B below 4.1 with it,
    C 4.1 to 5.8 without the fix, D 4.1 to 5.8 with it, E 5.9 and newer; None if that is not known."""
    kernel = facts.kernel_version
    if kernel is None:
        return None
    if kernel < version(FIRST_WITH_SYSCTL):
        return {True: "B", False: "A", None: None}[has_sysctl(facts)]
    if kernel >= version("5.9rc1"):
        return "E"
    return {"yes": "D", "no": "C"}.get(capabilities["reuse_without_drop"]["state"])


def _from_operator(capability: str, facts: NodeFacts, policy: Policy) -> dict | None:
    if capability in policy.capabilities:
        return {"state": policy.capabilities[capability], "evidence": "operator", "confidence": "operator", "source": "the owner's word"}
    row = find_row(facts, policy.known_kernels)
    if row is None:
        return None
    answer = (
        _from_row(capability, row, facts, "operator")
        or _from_version(capability, row, facts)
        or _from_build_date(capability, row if "build_dates" in row else {"build_dates": {}}, facts)
    )
    return {**answer, "evidence": "operator"} if answer else None


def _is_weak(answer: dict) -> bool:
    return answer["confidence"] == "inferred"


def _choose(given: list[dict]) -> dict:
    """The first answer, but for one that is merely inferred where there is another."""
    return next((answer for answer in given if not _is_weak(answer)), given[0]) if _is_weak(given[0]) else given[0]


def _contradiction(given: list[dict]) -> list[dict]:
    """Of a probe and the answer that would count without it, if they contradict each other, the one that does not count."""
    chosen = _choose(given)
    if chosen["evidence"] == "probe":
        others = [answer for answer in given if answer is not chosen]
        against = _choose(others) if others else None
    else:
        against = next((answer for answer in given if answer["evidence"] == "probe"), None)
    if against is None or {against["state"], chosen["state"]} != {"yes", "no"}:
        return []
    return [{key: against[key] for key in ("state", "evidence", "confidence", "source")}]


def _judge(capability: str, facts: NodeFacts, policy: Policy) -> dict:
    row = find_row(facts)
    answers = (
        _from_operator(capability, facts, policy),
        _from_probe(capability, facts, policy),
        _mainline(capability, facts.kernel_version),
        _from_sysctl(capability, facts),
        _from_symbols(capability, facts),
        _from_version(capability, row, facts),
        _from_row(capability, row, facts, "vendor_table") if row else None,
        _from_changelog(capability, facts),
        _from_build_date(capability, row, facts),
    )
    given = [answer for answer in answers if answer]
    if not given:
        return {"state": UNKNOWN, **({"row": row["key"]} if row else {})}
    chosen = _choose(given)
    against = _contradiction(given)
    if against:
        return {**chosen, "contradicted_by": against}
    if chosen["state"] == "yes" and _is_weak(chosen) and chosen["evidence"] != "operator" and not policy.accept_inferred:
        return {**chosen, "state": UNKNOWN, "leaning": "yes"}
    return chosen


def judge_kernel(facts: NodeFacts, policy: Policy) -> dict[str, dict]:
    """Each capability of the node's kernel: {state: yes|no|unknown, evidence, confidence, source, ...}."""
    judged = {capability: _judge(capability, facts, policy) for capability in CAPABILITIES}
    flush, reuse = judged["flushes_deleted"], judged["reuse_without_drop"]
    # The flush was written on top of the fix and does not build without it: better evidence of it is better evidence of the fix.
    guessed = reuse["state"] == "no" and _is_weak(reuse) and reuse["evidence"] != "operator" and "confidence" in flush and not _is_weak(flush)
    if flush["state"] == "yes" and (reuse["state"] == UNKNOWN or guessed):
        judged["reuse_without_drop"] = dict(flush)
    if reuse["state"] == "no" and flush["state"] == UNKNOWN:
        judged["flushes_deleted"] = {**{key: reuse[key] for key in ("evidence", "confidence", "source")}, "state": "no"}
    return judged
