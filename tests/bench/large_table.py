# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module on a node with very large tables, laid out as a tree that it reads in place of /."""

from __future__ import annotations

import json
import pathlib
import shutil
import sys
import tempfile

from comparison import Row, compare, peak_of, run

SERVICES, BACKENDS = 1000, 100
CONNECTIONS = 1_000_000
MODULE = "ansible_collections.kubeproxy.ipvs.plugins.modules.ipvs_facts"
# What every module is made of, and the least that somebody must do who counts what is in the table.
LINES = "import sys\nimport ansible.module_utils.basic\nfor line in open(sys.argv[1], 'rb'):\n    line.split()\n"
HEAD = b"IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"


def _write_tables(network: pathlib.Path) -> None:
    network.mkdir(parents=True)
    with open(network / "ip_vs", "wb") as table:
        table.write(HEAD)
        for service in range(SERVICES):
            table.write(b"TCP  0A60%04X:0050 rr  \n" % service)
            table.writelines(b"  -> 0A%06X:1F90      Masq    1      3          7         \n" % (service * BACKENDS + number) for number in range(BACKENDS))
    with open(network / "ip_vs_conn", "wb") as connections:
        connections.write(b"Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n")
        line = b"TCP 0A%06X %04X 0A600001 0050 0A0A0A02 1F90 TIME_WAIT       %3d\n"
        connections.writelines(line % (number >> 4, 1024 + number % 60000, number % 120) for number in range(CONNECTIONS))


def measure() -> list[Row]:
    """Row 4."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = pathlib.Path(name)
        root = folder / "root"
        _write_tables(root / "proc/net")
        (root / "proc/sys/kernel").mkdir(parents=True)
        (root / "proc/sys/kernel/osrelease").write_text("4.18.0-553.el8_10.x86_64\n", encoding="ascii")
        arguments = folder / "arguments.json"
        arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {"root": str(root), "sample_seconds": 0}}), encoding="utf-8")
        module = [sys.executable, "-m", MODULE, str(arguments)]
        loop = [sys.executable, "-c", LINES, str(root / "proc/net/ip_vs")]
        destinations = json.loads(run(module))["ansible_facts"]["ipvs"]["table"]["destinations"]
        assert destinations == SERVICES * BACKENDS, destinations
        found = compare(lambda: run(module), lambda: run(loop))
        memory = peak_of(module)
        shutil.rmtree(root)
    what = f"`ipvs_facts` with {SERVICES * BACKENDS:,} destinations in /proc/net/ip_vs and {CONNECTIONS:,} connections in ip_vs_conn, the whole process"
    baseline = "a program that imports ansible.module_utils.basic and splits the lines of the same ip_vs"
    return [Row("4", what, baseline, "≤ 3 ×, ≤ 64 MiB", f"{found.words()}; {memory} MiB", found.ratio <= 3 and memory <= 64)]
