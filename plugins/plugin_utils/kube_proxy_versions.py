# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a version of kube-proxy writes when it starts in IPVS mode on a kernel of a given name."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import expression, load, source_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.release import Version, leading_version, vendor_suffix, version

LEAVE, WRITE, FAIL, UNKNOWN = "leave", "write", "fail", "unknown"


@dataclass(frozen=True)
class Behaviour:
    """action: leave, write (VALUE), fail (kube-proxy exits) or unknown; group: its class in kube_proxy.yml."""

    action: str
    value: int | None = None
    group: str | None = None
    confidence: str = "unknown"
    source: str | None = None


def latest(entries: list[dict], at: Version | None) -> dict | None:
    """The last of ENTRIES, ordered by `from`, that has begun by version AT."""
    begun = [entry for entry in entries if at is not None and version(entry["from"]) <= at]
    return begun[-1] if begun else None


def vendor_build(text: str | None) -> dict | None:
    """The row of a vendor's build that is known to differ from upstream, or None."""
    plain_text = (text or "").lstrip("v")
    for row in load("kube_proxy")["vendor_builds"]:
        found = expression(row["match"]).search(plain_text)
        if found and version(".".join(found.groups())) >= version(row["from"]):
            return row
    return None


def _upstream(text: str | None) -> dict:
    return latest(load("kube_proxy")["versions"], leading_version(text)) or {"class": None}


def runs_all_the_same(text: str | None) -> bool:
    """Whether this version can be made to run in IPVS mode although its class says that it does not start."""
    return "running" in _upstream(text)


def upstream_class(text: str | None, runs_ipvs: bool = False) -> str | None:
    """K0 to K4 of an upstream version (vendor suffixes left out), or None if it is not known. runs_ipvs: it was seen running in IPVS mode."""
    entry = _upstream(text)
    return entry.get("running", entry["class"]) if runs_ipvs else entry["class"]


def is_vendor_build(text: str | None) -> bool:
    """Whether the version carries a vendor's suffix, so that its class is a prediction."""
    return bool(vendor_suffix(text))


def _holds(entry: dict, kernel: Version | None, sysctl_absent: bool | None) -> bool | None:
    """Whether the conditions of a `writes` entry hold; None if that cannot be told."""
    if entry.get("sysctl_absent") and not sysctl_absent:
        return None if sysctl_absent is None else False
    bounds = [(key, version(entry[key])) for key in ("kernel_below", "kernel_from") if key in entry]
    if bounds and kernel is None:
        return None
    # kube-proxy compares the leading number only: 5.9.0-rc1 counts as 5.9.
    return all(version(kernel.base_version) < bound if key == "kernel_below" else version(kernel.base_version) >= bound for key, bound in bounds)


@functools.lru_cache(maxsize=4096)
def at_start(text: str | None, kernel: Version | None, sysctl_absent: bool | None = False, runs_ipvs: bool = False) -> Behaviour:
    """What kube-proxy TEXT does to the value when it starts in IPVS mode on KERNEL (the leading number of uname -r).

    runs_ipvs: this version was seen running in IPVS mode on the node, so that a class which says that it does not start is refuted.
    """
    document = load("kube_proxy")
    row = vendor_build(text)
    group = row["class"] if row else upstream_class(text, runs_ipvs)
    if group is None:
        return Behaviour(UNKNOWN)
    entry = document["classes"][group]
    confidence = entry["confidence"] if row else "inferred" if is_vendor_build(text) else _upstream(text).get("confidence", entry["confidence"])
    source = source_text(document, entry["source"])
    for rule in entry["writes"]:
        holds = _holds(rule, kernel, sysctl_absent)
        if holds is None and not rule.get("sysctl_absent"):
            return Behaviour(UNKNOWN, None, group, confidence, source)
        if holds:
            return Behaviour(rule["action"], rule.get("value"), group, confidence, source)
    return Behaviour(UNKNOWN, None, group, confidence, source)


def writes_expire_nodest_conn(text: str | None) -> str:
    """Whether this version sets expire_nodest_conn=1 at its start: yes, no or unknown."""
    entry = latest(load("kube_proxy")["expire_nodest_conn"], leading_version(text))
    return entry["written"] if entry else UNKNOWN


def restarts_with_kubelet(form: str | None, text: str | None) -> bool:
    """Whether a restart of the kubelet starts kube-proxy of this form anew. A version that is not known counts as one that does."""
    entries = load("kube_proxy")["restarts_with_kubelet"].get(form or "", [])
    entry = latest(entries, leading_version(text) or (version("999") if entries else None))
    return bool(entry and entry["restarts"])


def can_fall_back(text: str | None) -> bool:
    """Whether this version goes on in iptables mode where it cannot use IPVS (also if the version is not known)."""
    at = leading_version(text)
    return at is None or at < version(load("kube_proxy")["modes"]["no_fallback_from"])


def _concerns(row: dict, at: Version, kernel: Version | None) -> bool:
    if not any(version(span["from"]) <= at < version(span["below"]) for span in row["versions"]):
        return False
    if kernel is None:
        return "kernel_from" not in row and "kernel_below" not in row
    return ("kernel_from" not in row or kernel >= version(row["kernel_from"])) and ("kernel_below" not in row or kernel < version(row["kernel_below"]))


def bugs(text: str | None, kernel: Version | None) -> list[dict]:
    """The rows of known bugs of this version on this kernel."""
    at = leading_version(text)
    return [row for row in load("kube_proxy")["bugs"] if at is not None and _concerns(row, at, kernel)]


def removal_plan(text: str | None) -> list[dict]:
    """The plan to remove IPVS mode: [{release, text, reached}], reached by this version or not, null if that is not known."""
    at = leading_version(text)
    return [
        {
            "release": version(entry["from"]).base_version.rpartition(".")[0],
            "text": entry["text"],
            "reached": None if at is None else version(entry["from"]) <= at,
        }
        for entry in load("kube_proxy")["removal"]
    ]


def nftables_needs(text: str | None, kernel: Version | None) -> list[dict]:
    """What nftables mode needs of a kernel and of kube-proxy: [{text, met}], met null where the version is not known.

    Of kube-proxy it is the first version that has the mode without a feature gate.
    """
    row = load("kube_proxy")["modes"]["nftables"]
    first = next(entry["from"] for entry in row["stages"] if entry["stage"] != "alpha")
    name = version(first).base_version.rpartition(".")[0]
    return [
        {"text": f"kernel {row['kernel_from']} or newer", "met": _reached(row["kernel_from"], kernel)},
        {"text": f"kube-proxy {name} or newer", "met": _reached(first, leading_version(text))},
    ]


def _reached(first: str, at: Version | None) -> bool | None:
    return None if at is None else at >= version(first)


def nftables_possible(text: str | None, kernel: Version | None) -> bool | None:
    """Whether all that nftables mode needs is there; None if that is not known. One thing that is missing is enough for no."""
    met = [need["met"] for need in nftables_needs(text, kernel)]
    return False if False in met else None if None in met else True
