# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to run about a verdict, a plan or a finding: commands and sentences for the reports. Nothing in them comes from a node."""

from __future__ import annotations

import re

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import load

REPOSITORY = "https://github.com/kubeproxy/ansible-collection-ipvs/blob/main/docs"
_AUDIT = "ansible-playbook kubeproxy.ipvs.audit -i INVENTORY -b --limit {node}"
_REPAIR = "ansible-playbook kubeproxy.ipvs.remediate -i INVENTORY -b --limit {node} --check --diff"
# plan: (what to do, what to run; {node} stands for the node's name)
ACTIONS = {
    "none": ("Nothing is to be done.", ""),
    "set": ("Set the value once. Look first at what would change, then run it without --check.", _REPAIR),
    "hold": ("Set the value and make it hold. Look first at what would change, then run it without --check.", _REPAIR),
    "decide": ("Choose one of the options; nothing is changed before you do.", ""),
    "probe": ("Ask the kernel itself; it takes about a second and touches no traffic.", f"{_AUDIT} -e audit_probe=unknown"),
    "switch_mode": ("Move kube-proxy to iptables or nftables mode with the role kubeproxy.ipvs.kube_proxy_mode, see docs/leaving-ipvs.md.", ""),
    "upgrade_kernel": ("Forecast the newer kernel, then install it.", f"{_AUDIT} -e audit_target_kernel=RELEASE"),
    "upgrade_kube_proxy": ("Forecast the newer kube-proxy, then install it.", f"{_AUDIT} -e audit_target_kube_proxy=VERSION"),
}
_VALUE = ("Set the value and make it hold, if one is safe: see the node's plan.", _REPAIR)
_LOOK = ("Look at the file or program that is named, and audit again.", _AUDIT)
_TUNE = ("Set it in a file below /etc/sysctl.d and audit again; kube-proxy sets what it needs at its next start.", _AUDIT)
# finding: (what to do, what to run); what is not here asks for nothing
FINDINGS = {
    "stuck_destinations": _VALUE,
    "not_persistent": _VALUE,
    "stale_zero": _VALUE,
    "second_writer": ("Take the line out of the file, or let the repair do it: it records what was there.", _REPAIR),
    "guard_loses_race": ("Replace the guard by one that waits for kube-proxy.", _REPAIR),
    "guard_stops_kube_proxy": ("Take the command out of the unit before the next reboot; the repair does it.", _REPAIR),
    "unproven_guard": (
        "Restart kube-proxy and look whether the value stays.",
        "ansible-playbook kubeproxy.ipvs.verify -i INVENTORY -b --limit {node} -e verify_restart_kube_proxy=true",
    ),
    "hold_damaged": ("Run the repair again, or take it back with the playbook rollback.", _REPAIR),
    "hold_not_needed": ("Take it back.", "ansible-playbook kubeproxy.ipvs.rollback -i INVENTORY -b --limit {node}"),
    "expire_nodest_conn_off": _TUNE,
    "conntrack_off": _TUNE,
    "old_conntrack_switched_off": _TUNE,
    "unusual_value": _LOOK,
    "sysctl_absent": ACTIONS["upgrade_kernel"],
    "ip_vs_not_loaded": ("Load ip_vs at boot (/etc/modules-load.d), or configure the mode in which kube-proxy really runs.", _AUDIT),
    "mode_fell_back": ("Load ip_vs and restart kube-proxy, or configure the mode in which it really runs.", _AUDIT),
    "mode_flag_ignored": ("Set the mode in the file that is named, and take the flag out.", _AUDIT),
    "restart_pending": ("Audit after the next restart of kube-proxy, or restart it at a time of your choice.", _AUDIT),
    "kube_proxy_not_running": ("Find out why kube-proxy does not run; until then nobody changes the node's Services.", _AUDIT),
    "kube_proxy_cannot_start": ACTIONS["switch_mode"],
    "kube_proxy_bug": ACTIONS["upgrade_kube_proxy"],
    "several_kube_proxies": ("Make sure that only one kube-proxy runs in the host's network namespace.", _AUDIT),
    "ipvs_removal": ACTIONS["switch_mode"],
    "leftover_ipvs_state": ("Clear what IPVS mode left, see docs/leaving-ipvs.md.", ""),
    "foreign_ipvs_services": ("Find their owner before kube-proxy's mode is changed; the collection never flushes them.", ""),
    "metrics_exposed": ("Bind the metrics address to 127.0.0.1 if nothing outside the node scrapes it.", _AUDIT),
    "probe_contradicts": ("Trust what was measured, and report the row of kernels.yml that is wrong.", f"{_AUDIT} -e audit_probe=always"),
    "live_patch": ("Ask the kernel itself.", f"{_AUDIT} -e audit_probe=always"),
    "reuse_pressure": ("Let the client keep its connections, or follow the node's plan.", _AUDIT),
    "unreadable": ("Read the node as root.", _AUDIT),
    "writers_not_read": ("Read the node itself.", f"{_AUDIT} -e audit_source=node"),
}
# Why a finding matters.
WHY = {
    "stuck_destinations": "With 0, a new connection that reuses a source port goes to the backend of the old one, although that backend is being taken away.",
    "draining_destinations": "Backends that are being taken away keep the connections that they have, and get no new ones.",
    "not_persistent": "The value is good only until that moment; nobody has to do anything wrong for it to be lost.",
    "stale_zero": "Newer versions of kube-proxy no longer write 0 on this kernel, but they do not take back what was written before them either.",
    "second_writer": "Two programs that set one value to different things take turns; which one wins depends on the order of their starts.",
    "guard_loses_race": "kube-proxy writes its own value after the command has run, so that the command has no effect.",
    "guard_stops_kube_proxy": "systemd stops a service whose command after the start fails; nobody then loads ip_vs, and the next start fails in the same way.",
    "unproven_guard": "Whether waiting is long enough depends on how fast kube-proxy starts on the day.",
    "held": "A service and a drop-in of the role set the value again after every writer.",
    "hold_damaged": "The value is not set again after the next start of kube-proxy.",
    "hold_not_needed": "Without IPVS mode the value has no effect, and what holds it is one more thing that runs.",
    "owners_word": "The value was chosen without evidence; the report can only repeat the choice.",
    "expire_nodest_conn_off": "Without it, connections to a removed backend are neither moved nor ended: their packets vanish until the client gives up.",
    "conntrack_off": "kube-proxy's masquerading needs connection tracking of IPVS; without it answers may not find their way back.",
    "unusual_value": "The kernel knows no other meaning for it behind NAT, but who reads it later may think that it has one.",
    "old_conntrack_switched_off": "This kernel has the fix only while the switch is on; with it off a reused source port costs a second.",
    "sysctl_absent": "The kernel is older than the setting and always acts as 0 does.",
    "ip_vs_not_loaded": "Whoever believes the configuration looks for problems of IPVS mode on a node that does not use it, until the next start changes that.",
    "mode_fell_back": "The node does not work in the mode that was planned for it, and a restart may change the mode without a change of the configuration.",
    "mode_flag_ignored": "Whoever changes the flag will wonder why nothing happens.",
    "restart_pending": "What was read is what runs; what was written comes into force at the next start.",
    "kube_proxy_not_running": "Nobody takes removed backends out of the node's Services.",
    "kube_proxy_cannot_start": "After the next start of kube-proxy nobody changes the node's Services.",
    "kube_proxy_bug": "This version is known to fail on this kernel.",
    "several_kube_proxies": "Two of them in one network namespace overwrite each other's Services and settings.",
    "vendor_build": "A vendor may have changed what kube-proxy writes; the prediction is that of the upstream version.",
    "ipvs_removal": "Upstream removes IPVS mode; an upgrade beyond that release needs another mode first.",
    "leftover_ipvs_state": "Services that are still in the IPVS table catch connections, and nobody updates their backends.",
    "foreign_ipvs_services": "Clearing the whole IPVS table, as kube-proxy's own cleaning does, would take them away too.",
    "metrics_exposed": "Everybody who reaches the node can read kube-proxy's metrics and configuration.",
    "probe_contradicts": "A measurement on the kernel itself goes before every table, so that the table is probably wrong for this build.",
    "live_patch": "A live patch can bring or take away a fix without a change of the kernel's version.",
    "reuse_pressure": "At such a rate a client uses its source ports again while the kernel still remembers their old connections.",
    "unsupported_form": "The audit reads what it can, and repairs nothing there.",
    "unreadable": "What could not be read is missing from the evidence; the verdict may be unknown, or predicted with less confidence.",
    "writers_not_read": "What is judged from the cluster's API alone says what kube-proxy writes, not what else does.",
}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_FILLED = re.compile(r"\{(\w+)\}")


def command(template: str, node: str | None = None) -> str:
    """A command with the node's name in its place; NODE stands there if the name would need quoting, or is not given."""
    return template.format(node=node if node and _PLAIN_NAME.fullmatch(node) else "NODE") if template else ""


def sentence(key: str) -> str:
    """What a finding says in general: its sentence in the registry, names in capitals where a node's words stand; empty for an unknown key."""
    text = load("findings")["findings"].get(key, {}).get("text", "")
    return "" if _FILLED.fullmatch(text) else _FILLED.sub(lambda found: found.group(1).upper(), text)


def advice(key: str) -> tuple[str, str]:
    """(what to do, command template) of a finding; both empty if there is nothing to do."""
    return FINDINGS.get(key, ("", ""))
