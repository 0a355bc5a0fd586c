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
_VALUE = ("Restore the value and make it hold: see the node's plan.", _REPAIR)
_LOOK = ("Look at the file or program that is named, and audit again.", _AUDIT)
_TUNE = ("Set it in a file below /etc/sysctl.d and audit again; kube-proxy sets what it needs at its next start.", _AUDIT)
# finding: (what to do, what to run)
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
}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_FILLED = re.compile(r"\{(\w+)\}")


def command(template: str, node: str | None = None) -> str:
    """A command with the node's name in its place; NODE stands there if the name would need quoting, or is not given."""
    return template.format(node=node if node and _PLAIN_NAME.fullmatch(node) else "NODE") if template else ""


def sentence(key: str) -> str:
    """What a finding says in general: its sentence in the registry, names in capitals where a node's words stand; empty for an unknown key."""
    row = load("findings")["findings"].get(key, {})
    return _FILLED.sub(lambda found: found.group(1).upper(), row.get("text", ""))


def advice(key: str) -> tuple[str, str]:
    """(what to do, command template) of a finding; both empty if there is nothing to do."""
    return FINDINGS.get(key, ("", ""))
