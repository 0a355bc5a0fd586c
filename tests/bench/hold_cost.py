# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds the value: its processor time, on a node of the lab and under this machine's kernel, and how long a restarted kube-proxy's 0 stays.

A kernel in user-mode Linux accounts for whole ticks alone, and a look at the value is far shorter than one: there it is seen that nothing else is costly.
This machine's kernel counts nanoseconds, and has no such value: there a file stands in its place.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import tempfile
import time

from comparison import Row, in_words
from lab_nodes import node, on, playbook
from lab_tests import connection

NODE = "fixed-below-5-9"
SECONDS = int(os.environ.get("HOLD_SECONDS", "600"))
RESTARTS = 10
WATCH = pathlib.Path(__file__).resolve().parents[1] / "lab/faults/watch.py"
HOLD = pathlib.Path(__file__).resolve().parents[2] / "roles/conn_reuse_mode/files/hold"
# Nanoseconds of the service's process, and the ticks of those that it has waited for.
TIMES = """p=$(systemctl show --property=MainPID --value kubeproxy-ipvs-hold)
getconf CLK_TCK; cut -d' ' -f1 /proc/$p/schedstat; cut -d' ' -f16-17 /proc/$p/stat"""


def _processor_seconds() -> float:
    hertz, own, *children = map(int, on(NODE, TIMES).split())
    return own / 1e9 + sum(children) / hertz


@contextlib.contextmanager
def _here():
    """A function that gives the processor seconds of the script under this machine's kernel, while the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        value = pathlib.Path(folder) / "value"
        value.write_text("1\n", encoding="ascii")
        variables = {**os.environ, "KUBEPROXY_IPVS_FILE": str(value), "RUNTIME_DIRECTORY": folder}
        process = subprocess.Popen(["/bin/sh", HOLD, "keep", "1"], env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            yield lambda: int(pathlib.Path(f"/proc/{process.pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
        finally:
            process.kill()
            process.wait()


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
    with node(NODE), _here() as seconds_here:
        playbook(NODE, "remediate")
        before, before_here, began = _processor_seconds(), seconds_here(), time.monotonic()
        time.sleep(SECONDS)
        taken = time.monotonic() - began
        share, share_here = (_processor_seconds() - before) / taken, (seconds_here() - before_here) / taken
        wrong = _wrong_for()
    longest = max(wrong, default=0.0)
    seen = f"0 was seen {len(wrong)} times, for at most {in_words(longest)}" if wrong else "0 was never seen, so that it was there for less than 0.02 s"
    what = "what holds the value: processor, and on a lab node time for which it is wrong after a restart of kube-proxy"
    shares = f"{100 * share_here:.4f} % of a core over {SECONDS} s under this machine's kernel, {100 * share:.3f} % on the lab node"
    figure = f"{shares}; {RESTARTS} restarts: {seen}"
    return [Row("7", what, "–", "≤ 0.1 % of a core; ≤ 2 s", figure, max(share, share_here) <= 0.001 and longest <= 2)]
