# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts of nodes for the tests of the decision, made of the few words that matter."""

from __future__ import annotations

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry

# One kernel of each letter of capabilities.kernel_letter.
KERNELS = {
    "A": "3.10.107",
    "B": "3.10.0-1160.el7.x86_64",
    "C": "4.18.0-193.el8.x86_64",
    "D": "4.18.0-147.5.1.6.h686.eulerosv2r9.x86_64",
    "D+weight": "5.4.0-100-generic",
    "E": "5.10.46",
    "E+weight": "6.1.0-18-amd64",
}
# One version of each class of kube_proxy.yml.
VERSIONS = {"K0": "1.10.5", "K1": "1.18.6", "K2": "1.20.2", "K3": "1.22.3", "K4": "1.43.0"}


def node(kernel="D", kube_proxy="K2", value=1, *, conntrack=1, expire=1, mode="ipvs", form="systemd", **parts):
    """The facts of a node in IPVS mode. KERNEL and KUBE_PROXY: keys of the tables above, or what they stand for."""
    release = KERNELS.get(kernel, kernel)
    absent = ["conn_reuse_mode"] if kernel == "A" else []
    facts = {
        "schema": 1,
        "kernel": {"release": release, "ip_vs": "loaded"},
        "sysctl": {"state": "present", "conn_reuse_mode": None if absent else value, "conntrack": conntrack, "expire_nodest_conn": expire, "absent": absent},
        "writers": [],
        "kube_proxy": {
            "running": True,
            "form": form,
            "mode": mode,
            "mode_source": "proxy_mode_endpoint",
            "mode_effective": mode,
            "version": VERSIONS.get(kube_proxy, kube_proxy),
        },
        "hold": {"guards": []},
    }
    for part, content in parts.items():
        facts[part] = {**facts[part], **content} if isinstance(content, dict) and isinstance(facts.get(part), dict) else content
    return facts


def sysctl_file(value, moments=("reboot",), path="/etc/sysctl.d/99-tuning.conf", kind="sysctl_file", **more):
    """A writer with the last word at its moments."""
    line = f"net.ipv4.vs.conn_reuse_mode = {value}"
    writer = {"kind": kind, "path": path, "line": 1, "text": line, "value": value, "moments": list(moments), "wins": list(moments), "period_seconds": None}
    return {**writer, **more}


def keys(verdict):
    """The keys of a verdict's findings."""
    return [finding["key"] for finding in verdict["findings"]]


def report_of_nine(**options):
    """A report of seven nodes that are safe, one with stale backends (bad) and one with delays (old). options: as of fleet()."""
    entries = [node_entry(f"good-{number}", node("E", "K3", 1)) for number in range(7)]
    entries += [node_entry("bad", node("D", "K2", 0)), node_entry("old", node("B", "K2", 1))]
    return fleet(entries, **options)
