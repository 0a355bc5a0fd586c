# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports for the tests of the report's files: the example fleet, a large one, a hostile one, one of a repair."""

from __future__ import annotations

import copy
import datetime
import pathlib

from nodes import node, sysctl_file

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import recorded_facts, report_drift, report_merge, waivers
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.forecast import forecast

FLEET = pathlib.Path(__file__).resolve().parents[4] / "docs" / "example_fleet"
# What a node may call itself: mark-up, ends of scripts and of comments, formulas, quotes, controls, half a surrogate pair, marks that turn text around.
HOSTILE = [
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "<!--<script>",
    "]]>&lt;![CDATA[",
    '=HYPERLINK("http://example.org","x")',
    "+1+cmd|' /C calc'!A0",
    "@SUM(1)",
    "-2+3",
    "\t=1+1",
    "\r\n=1+1",
    "a;=1+1",
    "\uff1d1+1",
    'quote " and \' and \\ and `',
    "line\nfeed\r\n\u2028\u2029 nul \x00 esc \x1b[31m",
    "\u202egnp.exe\u2066 \u200f \ufeff",
    "half \ud800 pair, \ufffe \U0010ffff",
    "{{ 7 * 7 }} ${x} %s {0}",
    "javascript:document.title='owned'",
    "__proto__",
    "constructor",
    "",
    "x" * 5000,
]


def _with_head(report: dict) -> dict:
    return {"schema": report.pop("schema"), "collection": "kubeproxy.ipvs 1.0.0", "generated_at": "2026-01-02T03:04:05+00:00", **report}


def example_entries(target: str | None = None) -> list[dict]:
    """Entries of the example fleet, with a forecast for kube-proxy TARGET if it is given."""
    loaded = [recorded_facts.load(str(path)) for path in sorted(FLEET.glob("*.json"))]
    return [node_entry(name, facts, None, forecast(facts, target) if target else None, origin) for name, origin, facts in loaded]


def example_report(**options) -> dict:
    """The report of the example fleet. options: as of fleet()."""
    return _with_head(fleet(example_entries(), **options))


def large_report(count: int = 5000) -> dict:
    """A report of COUNT nodes of several clusters, the example fleet's nodes again and again, with some that could not be read."""
    entries, originals = [], example_entries()
    for number in range(count):
        entry = copy.deepcopy(originals[(number * 7) % len(originals)])
        entry["name"] = f"{'abcdefghij'[number % 10]}-node-{number:04}.example.org"
        entry["facts"]["kernel"] += f".{number % 3}"
        entries.append(entry)
    return _with_head(fleet(entries, unreachable=[{"name": f"down-{number}", "reason": "no route to host"} for number in range(20)]))


def hostile_report() -> dict:
    """A report in which every text that can come from a node, or from a file, is one of HOSTILE."""
    entries = []
    for text in HOSTILE:
        facts = node("D", "K2", 0, writers=[sysctl_file(0, path=text, text=text)])
        facts["kernel"]["os_release"] = {"name": text, "pretty_name": text}
        entry = node_entry(text, facts, None, None, text)
        entry["facts"] |= {"kernel": text, "os": text, "kube_proxy": text, "form": text, "mode": text}
        entry["plan"]["reason"] = text
        entry["findings"] += [{"key": text, "severity": "high", "text": text, "path": text}]
        for moment in entry["moments"].values():
            moment["writer"] = text
        for capability in entry["capabilities"].values():
            capability["source"] = text
        entries.append(entry)
    bad = [{"name": text, "reason": text} for text in HOSTILE]
    return _with_head(fleet(entries, unreachable=bad, errors=[{"path": text, "reason": text} for text in HOSTILE]))


def repair_report() -> dict:
    """A report of a repair: one node changed, one that failed, one that was left and one never reached."""
    before = {name: node_entry(name, node(kernel, "K2", 0)) for name, kernel in (("done", "D"), ("broken", "D"), ("left", "B"))}
    after = [node_entry("done", node("D", "K2", 1)), before["broken"], before["left"]]
    records = {
        name: {"outcome": {"result": result, "reason": f"{result} for a reason"}, "before": before.get(name), "before_not_read": None, "after_not_read": None}
        for name, result in (("done", "changed"), ("broken", "failed"), ("left", "left"), ("down", "unreachable"))
    }
    proof = {"restarted": True, "seconds": 1.5, "wrong_seconds": 0.3, "services": {"tried": 3, "answered_before": 3, "answered_after": 3}}
    records["done"]["outcome"] |= {"proof": proof, "hold": ["drop-in of kube-proxy.service"], "value": 1}
    records["broken"]["outcome"]["rolled_back"] = True
    return _with_head(fleet(after, unreachable=[{"name": "down", "reason": "no route"}], remediation=records))


def forecast_report() -> dict:
    """The example fleet with a forecast for kube-proxy 1.30.4."""
    return _with_head(fleet(example_entries("1.30.4")))


TODAY = datetime.date(2026, 1, 2)
ACCEPTED = {"reason": "no reused ports, ticket 4711", "until": "2026-12-31"}
WAIVERS = [
    {"verdict": "syn_delay", "hosts": "lab-centos-*", **ACCEPTED},
    {"verdict": "stale_backends", "hosts": "cce-*", "report": "eu", **ACCEPTED},
    {"verdict": "unreachable", "hosts": "down", **ACCEPTED},
    {"finding": "metrics_exposed", "hosts": "all", **ACCEPTED},
    {"verdict": "stale_backends", "hosts": "lab-euleros-*", "reason": "until the summer", "until": "2025-06-30"},
    {"verdict": "syn_delay", "hosts": "nobody", **ACCEPTED},
]


def cluster_report(name: str, facts: dict, lost=(), target: str | None = None) -> dict:
    """The report NAME of {node: facts}, and of the nodes LOST, which could not be read."""
    entries = [node_entry(node, found, None, forecast(found, target) if target else None) for node, found in facts.items()]
    made = fleet(entries, unreachable=[{"name": node, "reason": "no route to host"} for node in lost])
    return report_merge.labelled(_with_head(made), name)


def fleet_facts() -> dict:
    """{name: facts} of the example fleet."""
    return {name: facts for name, _origin, facts in (recorded_facts.load(str(path)) for path in sorted(FLEET.glob("*.json")))}


def compared_report(**options) -> dict:
    """Two clusters with the same nodes as one report, with waivers of every state, compared with an earlier one: every change is in it.

    options: as of cluster_report().
    """
    now = fleet_facts()
    before = {**now, "gone": node("D", "K2", 0)}
    before["kubespray-rocky8"] = copy.deepcopy(now["kubespray-rocky8"])
    before["kubespray-rocky8"]["kernel"]["os_release"]["name"] = "Rocky Linux 8.8 (Green Obsidian)"
    before |= {"lab-debian-6.1": now["lab-euleros-2.9"], "lab-debian-5.10": now["lab-debian-6.1"], "kubeadm-debian12": node("E", "K3", 0)}
    del before["lab-kylin-v10"], before["sealos-debian11"]
    del now["uk8s-centos7"]
    baseline = [cluster_report("eu", before, ["sealos-debian11", "down"], **options), cluster_report("us", fleet_facts(), **options)]
    report = [cluster_report("eu", now, ["uk8s-centos7", "down"], **options), cluster_report("us", fleet_facts(), **options)]
    waived = waivers.apply(report_merge.merge(report), waivers.check(WAIVERS), {}, TODAY)
    found = report_drift.drift(report_merge.merge(baseline), waived)
    return {"schema": waived.pop("schema"), "drift": found, **waived}


def hostile_compared_report() -> dict:
    """hostile_report() with everything that an owner can name called like a node: reports, reasons and patterns of waivers, and changes of every node."""
    parts, mark = [], {"reason": HOSTILE[0], "until": "2026-12-31"}
    for entry in hostile_report()["nodes"]:
        text = entry["plan"]["reason"]
        other = {**entry, "plan": {**entry["plan"], "reason": "another one"}}
        parts += [report_merge.labelled(_with_head(fleet([item], unreachable=[{"name": text + "x", "reason": text}])), text + label)
                  for item, label in ((entry, "1"), (other, "2"))]  # fmt: skip
    report = report_merge.merge(parts)
    baseline = report_merge.merge(parts[: len(parts) // 2])
    for entry in (*report["nodes"], *report["unreachable"]):
        entry["waived"] = {**mark, "reason": entry["report"]}
        for item in entry.get("findings", ()):
            item["waived"] = mark
    listed = [
        {"finding": text, "hosts": [text], "reason": text, "until": "2026-12-31", "state": state, "count": 1, "examples": [text], "report": text}
        for text in HOSTILE
        for state in (waivers.ACTIVE, waivers.EXPIRED, waivers.UNMATCHED)
    ]
    report = waivers.counted({**report, "waivers": listed})
    return {**report, "drift": report_drift.drift(baseline, report)}


def reports_of_all_kinds() -> dict[str, dict]:
    """{what it is: a report}: every form of a report has to be right for each of them."""
    return {
        "fleet": example_report(),
        "forecast": forecast_report(),
        "repair": repair_report(),
        "hostile": hostile_report(),
        "none": fleet([]),
        "compared": compared_report(target="1.30.4"),
        "compared, hostile": hostile_compared_report(),
    }
