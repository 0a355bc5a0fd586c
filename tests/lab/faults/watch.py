# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""On a node: a line with the seconds since the boot and net.ipv4.vs.conn_reuse_mode, whenever that is another one, until standard input ends."""

import select
import sys
import time

PATH = "/proc/sys/net/ipv4/vs/conn_reuse_mode"
STEP = 0.02


def value():
    """The value, or "-" where there is none."""
    try:
        with open(PATH, encoding="ascii") as handle:
            return handle.read().strip()
    except OSError:
        return "-"


def watch():
    """Look, and tell."""
    last = None
    while not select.select([sys.stdin], [], [], STEP)[0]:
        seen = value()
        if seen != last:
            print(f"{time.clock_gettime(time.CLOCK_BOOTTIME):.2f} {seen}", flush=True)
            last = seen
    print(f"{time.clock_gettime(time.CLOCK_BOOTTIME):.2f} end", flush=True)


watch()
