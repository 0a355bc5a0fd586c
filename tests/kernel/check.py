# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module must have read inside the kernel: check.py KERNEL OUTPUT."""

from __future__ import annotations

import json
import sys


# The kernel of the lab -> the beginning of its release, the symbols of the third fix.
KERNELS = {
    "debian-6.1": ("6.1.", ["expire_nodest_conn_handler", "ip_vs_expire_nodest_conn_flush"]),
    "kylin-v10-unfixed": ("4.19.90-17.ky10.x86_64", []),
}


def checks(kernel_name, first, second):
    """(what, found, expected) of everything that is known of the kernel's state."""
    release, symbols = KERNELS[kernel_name]
    table, sysctl, kernel = first["table"], first["sysctl"], first["kernel"]
    yield "ip_vs", kernel["ip_vs"], "loaded"
    yield "release", kernel["release"][:len(release)], release
    yield "symbols", kernel["symbols"], symbols
    yield "sysctls", [sysctl[name] for name in ("state", "conn_reuse_mode", "conntrack", "expire_nodest_conn")], ["present", 1, 0, 0]
    yield "absent sysctls", sysctl["absent"], ["conn_reuse_old_conntrack"]
    yield "services", table["services_by_kind"], {"ipv4": 4, "ipv6": 1, "fwmark": 1}
    yield "kube-ipvs0", table["kube_ipvs0"], {"exists": True, "addresses": 3, "ipv4": 2, "ipv6": 1}
    yield "foreign", sorted(entry["reason"] for entry in table["foreign_services"]), ["address_not_local", "fwmark"]
    yield "unparsed", table["unparsed_lines"], 0
    stuck = [(entry["service"], entry["destination"], entry["active"] + entry["inactive"]) for entry in table["stuck_worst"]]
    yield "stuck", stuck, [("10.96.0.1:443", "127.0.0.1:6443", 20)]
    busiest = first["pressure"]["busiest"][0]
    yield "busiest", (busiest["service"], busiest["connections"], busiest["time_wait"]), ("10.96.0.1:443", 20, 20)
    yield "form", first["kube_proxy"]["form"], "none"
    yield "unreadable", first["unreadable"], []
    yield "services of the first process's namespace", second["table"]["services"], table["services"]
    yield "value of the first process's namespace", [second["sysctl"]["conn_reuse_mode"], second["sysctl"]["network_namespace"]], [0, "host"]


def main():
    """Exit status 1 if anything differs."""
    with open(sys.argv[2], encoding="utf-8", errors="replace") as handle:
        documents = [json.loads(line[6:]) for line in handle if line.startswith("FACTS ")]
    if len(documents) != 2:
        print(f"the kernel printed {len(documents)} documents, not 2")
        return 1
    failed = passed = 0
    for what, found, expected in checks(sys.argv[1], *documents):
        if found == expected:
            passed += 1
        else:
            failed += 1
            print(f"{what}: read {found!r}, expected {expected!r}")
    print(f"{documents[0]['kernel']['release']}: {documents[0]['table']['services']} services read")
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0)


sys.exit(main())
