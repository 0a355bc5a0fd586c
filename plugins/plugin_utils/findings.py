# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings: what else about a node is worth a line in the report. Keys, severities and sentences stand in findings.yml."""

from __future__ import annotations

import string

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import kube_proxy_versions, load
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import NodeFacts, mapping, number, sequence, text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import load as load_knowledge

SEVERITIES = ("critical", "high", "medium", "low", "info")
# One node with a thousand sysctl files must not make a report of a thousand lines.
MAXIMUM_OF_A_KIND = 20
UNSUPPORTED_FORMS = ("openshift_sdn",)
MOMENT_WORDS = {
    "kube_proxy_restart": "the next start of kube-proxy",
    "kubelet_restart": "the next start of the kubelet",
    "reboot": "the next reboot",
    "upgrade": "the upgrade",
}
BAD = ("stale_backends", "syn_delay")


class _Lenient(string.Formatter):
    """A template's names, the missing ones left empty."""

    def get_value(self, key, args, kwargs):
        value = kwargs.get(key)
        return "unknown" if value is None else value


def finding(key: str, severity: str | None = None, **values) -> dict:
    """One finding; VALUES fill its sentence and, where they are a path or a text of the node, stand beside it."""
    row = load_knowledge("findings")["findings"][key]
    entry = {"key": key, "severity": severity or row["severity"], "text": _Lenient().format(row["text"], **values)}
    if isinstance(values.get("path"), str):
        entry["path"] = values["path"]
    return entry


def _value_findings(facts: NodeFacts):
    if facts.value_absent:
        yield finding("sysctl_absent")
    if facts.value is not None and facts.value not in (0, 1):
        yield finding("unusual_value", value=facts.value)
    if facts.expire_nodest_conn == 0:
        yield finding("expire_nodest_conn_off")
    if facts.conntrack == 0:
        yield finding("conntrack_off")
    if facts.old_conntrack_switch == 0:
        yield finding("old_conntrack_switched_off")
    leaves = kube_proxy_versions.at_start(facts.kube_proxy, facts.kernel_version, runs_ipvs=facts.runs_ipvs).action == kube_proxy_versions.LEAVE
    if facts.value == 0 and leaves and facts.kube_proxy:
        yield finding("stale_zero", version=facts.kube_proxy)


def _stuck(facts: NodeFacts, now: dict):
    """Backends with weight 0 in use. With 0 they also get new connections, unless the kernel respects the weight: see the verdict."""
    table = facts.part("table")
    count = number(table.get("stuck")) or 0
    if count > 0:
        reached = facts.value == 0 and now["verdict"] == "stale_backends"
        yield finding("stuck_destinations" if reached else "draining_destinations", count=count, connections=number(table.get("stuck_connections")))


def _persistence(entries: dict):
    """A value that is good now and that a later moment takes away; one line a writer and value."""
    now, told = entries["now"], set()
    if now["verdict"] in BAD or now["value"] is None:
        return
    for moment, entry in entries.items():
        what = (entry["value"], entry.get("writer"))
        if moment != "now" and entry["verdict"] in BAD and now["verdict"] != entry["verdict"] and what not in told:
            told.add(what)
            yield finding(
                "not_persistent",
                value=now["value"],
                moment=MOMENT_WORDS.get(moment, moment),
                next_value=entry["value"],
                writer=entry.get("writer") or "the kernel",
            )


def _writers(facts: NodeFacts):
    guards = {guard.path for guard in facts.guards}
    firing = [writer for writer in facts.writers if (writer.moments or writer.period_seconds) and writer.path not in guards]
    for writer in firing[:MAXIMUM_OF_A_KIND]:
        often = f"every {writer.period_seconds} seconds" if writer.period_seconds else ", ".join(writer.moments)
        yield finding("second_writer", path=writer.name, value=writer.value, moments=often.replace("_", " "))


def _guards(facts: NodeFacts):
    writes = kube_proxy_versions.at_start(facts.kube_proxy, facts.kernel_version, runs_ipvs=facts.runs_ipvs).action == kube_proxy_versions.WRITE
    for guard in facts.guards[:MAXIMUM_OF_A_KIND]:
        if guard.waits or guard.period_seconds:
            yield finding("unproven_guard", path=guard.path, value=guard.value)
        elif writes:
            yield finding("guard_loses_race", path=guard.path, value=guard.value)
        if guard.stops_kube_proxy and not facts.ip_vs_at_boot:
            yield finding("guard_stops_kube_proxy", path=guard.path)


def _managed(facts: NodeFacts, applies: bool | None):
    """What the role conn_reuse_mode keeps on the node."""
    managed = facts.managed
    if managed is None:
        return
    if managed.damaged:
        yield finding("hold_damaged", what=", ".join(managed.damaged[:MAXIMUM_OF_A_KIND]), path=managed.damaged[0])
    elif managed.has_service and managed.service_running is False:
        yield finding("hold_damaged", what="the service kubeproxy-ipvs-hold, which does not run,")
    elif applies is False:
        yield finding("hold_not_needed", value=managed.value)
    elif managed.holds:
        yield finding("held", value=managed.value)
    if applies and managed.facts.get("owner_word") is True:
        yield finding("owners_word", value=managed.value)


def _kube_proxy(facts: NodeFacts, applies: bool | None):
    proxy = facts.part("kube_proxy")
    if facts.mode_configured and facts.mode_effective and facts.mode_configured != facts.mode_effective:
        yield finding("mode_fell_back", configured=facts.mode_configured, effective=facts.mode_effective)
    for flag in [flag for flag in sequence(proxy.get("ignored_flags")) if isinstance(flag, str) and "proxy-mode" in flag]:
        yield finding("mode_flag_ignored", flag=flag, path=text(proxy.get("config_path")))
    modified, started = proxy.get("config_modified"), proxy.get("start_time")
    if isinstance(modified, (int, float)) and isinstance(started, (int, float)) and modified > started and applies is not False:
        yield finding("restart_pending", path=text(proxy.get("config_path")))
    if facts.running is False and facts.form not in (None, "none"):
        yield finding("kube_proxy_not_running", form=facts.form)
    others = [entry for entry in sequence(proxy.get("others")) if isinstance(entry, dict)]
    if others:
        yield finding("several_kube_proxies", count=len(others))
    if facts.form in UNSUPPORTED_FORMS:
        yield finding("unsupported_form", form=facts.form)
    address = text(proxy.get("metrics_address"))
    if address and address.startswith(("0.0.0.0:", "[::]:")):
        yield finding("metrics_exposed", address=address)


def _version(facts: NodeFacts):
    start = kube_proxy_versions.at_start(facts.kube_proxy, facts.kernel_version, facts.value_absent, facts.runs_ipvs)
    if start.action == kube_proxy_versions.FAIL:
        yield finding("kube_proxy_cannot_start", version=facts.kube_proxy)
    for bug in kube_proxy_versions.bugs(facts.kube_proxy, facts.kernel_version):
        yield finding("kube_proxy_bug", severity=bug["severity"], text=bug["text"])
    if kube_proxy_versions.is_vendor_build(facts.kube_proxy):
        yield finding("vendor_build", version=facts.kube_proxy)
    reached = [entry["text"] for entry in kube_proxy_versions.removal_plan(facts.kube_proxy) if entry["reached"]]
    if reached:
        yield finding("ipvs_removal", text=reached[-1])


def _pressure(facts: NodeFacts, entries: dict):
    """Load matters only where some moment has a bad verdict."""
    measured = load.measure(facts)
    if measured and measured.level != load.NONE and any(entry["verdict"] in BAD for entry in entries.values()):
        severity = "high" if measured.level == load.REACHED else None
        yield finding("reuse_pressure", severity=severity, client=measured.client, service=measured.service, rate=measured.rate, threshold=measured.threshold)


def _leftovers(facts: NodeFacts):
    """What IPVS mode left behind; services of others (an LVS director's) are none of it."""
    table = facts.part("table")
    services = max((number(table.get("services")) or 0) - (number(table.get("foreign")) or 0), 0)
    interface = mapping(table.get("kube_ipvs0")).get("exists") is True
    if services > 0 or interface:
        what = " and ".join(([f"{services} services"] if services else []) + (["the interface kube-ipvs0"] if interface else []))
        yield finding("leftover_ipvs_state", mode=f"mode {facts.mode}" if facts.mode else "none runs", what=what, are="are" if services else "is")


def _foreign(facts: NodeFacts):
    table = facts.part("table")
    count = number(table.get("foreign")) or 0
    if count > 0:
        first = mapping((sequence(table.get("foreign_services")) or [None])[0])
        yield finding("foreign_ipvs_services", count=count, example=text(first.get("service")))


def _contradictions(capabilities: dict):
    """What was measured on the kernel and what is said of it are not the same. A contradiction of something that was only inferred is no surprise."""
    for name, answer in capabilities.items():
        for other in answer.get("contradicted_by", ()):
            measured = other["state"] if answer["evidence"] != "probe" else answer["state"]
            said = answer if other["evidence"] == "probe" else other
            severity = "low" if said["confidence"] == "inferred" else None
            words = {"capability": name, "evidence": said["evidence"].replace("_", " "), "state": said["state"], "source": said["source"]}
            yield finding("probe_contradicts", severity=severity, measured=measured, **words)


def _reading(facts: NodeFacts, applies: bool | None):
    if not facts.writers_read and applies is not False:
        yield finding("writers_not_read")
    if facts.live_patches:
        yield finding("live_patch", names=", ".join(facts.live_patches[:5]))
    unreadable = [mapping(entry) for entry in sequence(facts.raw.get("unreadable"))]
    if unreadable:
        first = unreadable[0]
        yield finding("unreadable", count=len(unreadable), example=f"{text(first.get('path'))} ({text(first.get('reason'))})")


def find(facts: NodeFacts, applies: bool | None, entries: dict, capabilities: dict) -> list[dict]:
    """The findings of a node, worst first. applies: whether kube-proxy runs in IPVS mode; entries: the moments; capabilities: those of its kernel."""
    found = []
    if applies:
        for group in (
            _stuck(facts, entries["now"]),
            _value_findings(facts),
            _persistence(entries),
            _guards(facts),
            _writers(facts),
            _version(facts),
            _pressure(facts, entries),
            _contradictions(capabilities),
        ):
            found.extend(group)
    elif applies is False and facts.form is not None:
        found.extend(_leftovers(facts))
    elif facts.mode == "ipvs":
        found.append(finding("ip_vs_not_loaded"))
    found.extend(_managed(facts, applies))
    found.extend(_kube_proxy(facts, applies))
    found.extend(_foreign(facts))
    found.extend(_reading(facts, applies))
    return sorted(found, key=lambda entry: SEVERITIES.index(entry["severity"]))
