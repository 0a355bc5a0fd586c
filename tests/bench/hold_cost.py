# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds the value, on a node of the lab: its processor time, and how long a restarted kube-proxy's 0 stays."""

from __future__ import annotations

import os
import pathlib
import subprocess
import time

from comparison import Row, in_words
from lab_nodes import node, on, playbook
from lab_tests import connection

NODE = "fixed-below-5-9"
SECONDS = int(os.environ.get("HOLD_SECONDS", "600"))
RESTARTS = 10
WATCH = pathlib.Path(__file__).resolve().parents[1] / "lab/faults/watch.py"
# Nanoseconds of the service's process (its moments are too short for the kernel's ticks), and the ticks of those that it has waited for.
TIMES = """p=$(systemctl show --property=MainPID --value kubeproxy-ipvs-hold)
getconf CLK_TCK; cut -d' ' -f1 /proc/$p/schedstat; cut -d' ' -f16-17 /proc/$p/stat"""


def _processor_seconds() -> float:
    hertz, own, *children = map(int, on(NODE, TIMES).split())
    return own / 1e9 + sum(children) / hertz


def _wrong_for() -> list[float]:
    """How long the value was 0 after each of some restarts, as 50 looks a second see it."""
    on(NODE, "cat >/root/watch.py", given=WATCH.read_bytes())
    words = ["ssh", "-F", connection()["ssh_config"], NODE, "exec python3 /root/watch.py"]
    watch = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for _restart in range(RESTARTS):
        on(NODE, "systemctl restart kube-proxy")
        time.sleep(8)
    watch.stdin.close()
    seen = [(float(seconds), value) for seconds, value in (line.split() for line in watch.stdout)]
    watch.wait(30)
    return [after[0] - before[0] for before, after in zip(seen, seen[1:]) if before[1] == "0"]


def measure() -> list[Row]:
    """Row 7."""
    with node(NODE):
        playbook(NODE, "remediate")
        before, began = _processor_seconds(), time.monotonic()
        time.sleep(SECONDS)
        share = (_processor_seconds() - before) / (time.monotonic() - began)
        wrong = _wrong_for()
    longest = max(wrong, default=0.0)
    seen = f"0 was seen {len(wrong)} times, for at most {in_words(longest)}" if wrong else "0 was never seen, so that it was there for less than 0.02 s"
    what = "what holds the value, on a lab node: processor, and time for which it is wrong after a restart of kube-proxy"
    figure = f"{100 * share:.3f} % of a core over {SECONDS} s; {RESTARTS} restarts: {seen}"
    return [Row("7", what, "–", "≤ 0.1 % of a core; ≤ 2 s", figure, share <= 0.001 and longest <= 2)]
