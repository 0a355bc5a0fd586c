# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the audit costs, as ratios.

facts / ping      ten calls of the module against ten of Ansible's ping, by ansible-playbook over a local connection
table / lines     reading a 50 MB /proc/net/ip_vs against walking through its lines
hold / sleep      processor time of the script that holds the value against that of `while sleep 1.5; do :; done`, both also as shares of
                  one core; in bash, and in dash on a node without bash
fleet / json      judging and reporting 5,000 nodes against parsing the JSON of their facts
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ipvs_table import read_table
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.recorded_facts import load
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_text import markdown, table

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "roles" / "conn_reuse_mode" / "files" / "hold"
FLEET = pathlib.Path(__file__).resolve().parents[2] / "docs" / "example_fleet"
CALLS = 10
NODES = 5000
REPEATS = 3
HOLD_SECONDS = 60


def seconds(function) -> float:
    """The median time of REPEATS calls."""
    times = []
    for _repeat in range(REPEATS):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def show(name: str, measured: float, baseline: float) -> None:
    """One line of the result."""
    print(f"{name:18} {measured / baseline:6.2f}   ({measured:.2f} s against {baseline:.2f} s)")


def _playbook(directory: pathlib.Path, module: str | None) -> float:
    path = directory / "play.yml"
    tasks = [{module: {}, "vars": {"ansible_python_interpreter": sys.executable}}] * CALLS if module else []
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    command = ["ansible-playbook", "-i", "here,", "-c", "local", str(path)]
    return seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))


def calls(directory: pathlib.Path) -> None:
    """The module against ping, the time of ansible-playbook itself taken off both."""
    nothing = _playbook(directory, None)
    show("facts / ping", _playbook(directory, "kubeproxy.ipvs.ipvs_facts") - nothing, _playbook(directory, "ansible.builtin.ping") - nothing)


def large_table(directory: pathlib.Path) -> None:
    """A table of 900,000 destinations."""
    path = directory / "proc" / "net" / "ip_vs"
    path.parent.mkdir(parents=True)
    with open(path, "wb") as handle:
        for number in range(1000):
            handle.write(b"TCP  0A60%04X:0050 rr  \n" % number + b"  -> C0A80001:1F90      Masq    1      3          7         \n" * 900)
    node = NodeFiles(str(directory))
    show("table / lines", seconds(lambda: read_table(node)), seconds(lambda: sum(1 for _line in node.lines("/proc/net/ip_vs"))))


def _processor_seconds(command: list[str], environment: dict) -> float:
    """Processor time of a shell that runs for HOLD_SECONDS, and of what it started."""
    process = subprocess.Popen(command, env=environment)
    try:
        time.sleep(HOLD_SECONDS)
        text = pathlib.Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8")
        own = int(pathlib.Path(f"/proc/{process.pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
        # Of those that have ended, in ticks.
        children = sum(int(word) for word in text.rpartition(")")[2].split()[13:15]) / os.sysconf("SC_CLK_TCK")
        return own + children
    finally:
        process.kill()
        process.wait()


def hold(directory: pathlib.Path) -> None:
    """The script that holds the value, beside the plainest loop that looks as often."""
    (directory / "value").write_text("1\n", encoding="ascii")
    programs = directory / "programs"
    programs.mkdir(parents=True)
    for name in ("sleep", "rm", "mkfifo"):
        (programs / name).symlink_to(shutil.which(name))
    environment = {**os.environ, "KUBEPROXY_IPVS_FILE": str(directory / "value"), "RUNTIME_DIRECTORY": str(directory)}
    for shell, path in (("bash", os.environ["PATH"]), ("dash", str(programs))):
        if not shutil.which(shell):
            continue
        variables = {**environment, "PATH": path}
        baseline = _processor_seconds([shutil.which(shell), "-c", "while sleep 1.5; do :; done"], variables)
        measured = _processor_seconds([shutil.which(shell), str(SCRIPT), "keep", "1"], variables)
        show(f"hold / sleep, {shell}", measured, baseline)
        print(f"{'':18} {100 * measured / HOLD_SECONDS:6.3f} % of one core against {100 * baseline / HOLD_SECONDS:.3f} %")


def large_fleet() -> None:
    """5,000 nodes, the example fleet many times over."""
    examples = [load(str(path))[2] for path in sorted(FLEET.glob("*.json"))]
    texts = [json.dumps(examples[number % len(examples)]) for number in range(NODES)]

    def report():
        structure = fleet([node_entry(f"node-{number}", examples[number % len(examples)]) for number in range(NODES)])
        return len(table(structure)) + len(markdown(structure))

    show("fleet / json", seconds(report), seconds(lambda: [json.loads(text) for text in texts]))


def main() -> None:
    """Print all ratios."""
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        calls(directory)
        large_table(directory / "node")
        (directory / "hold").mkdir()
        hold(directory / "hold")
    large_fleet()


main()
