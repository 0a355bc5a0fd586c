# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module alone on a node of the lab with a real kube-proxy: what Ansible sends there, run by hand."""

from __future__ import annotations

import base64
import json
import pathlib
import re
import tempfile

from comparison import REPEATS, Comparison, Row, run
from lab_nodes import node, on

NODE = "fixed-below-5-9"
MODULES = {"ipvs_facts": "kubeproxy.ipvs.ipvs_facts", "ping": "ansible.builtin.ping"}
# On the node: seconds of each of two commands, in turn; a first run of both warms the disk.
IN_TURN = r"""
import json, os, subprocess, sys, time
null = open(os.devnull, "w")
times = [[], []]
for number in range(%d + 1):
    for position, command in enumerate(json.loads(sys.argv[1])):
        began = time.time()
        subprocess.check_call(command, stdout=null, env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"))
        times[position].append(time.time() - began)
print(json.dumps([sorted(each[1:])[len(each[1:]) // 2] for each in times]))
"""


def _payloads() -> dict[str, str]:
    """{module: the program that Ansible sends to a node for it}."""
    found = {}
    for short, name in MODULES.items():
        with tempfile.TemporaryDirectory() as folder:
            settings = {"ANSIBLE_KEEP_REMOTE_FILES": "1", "ANSIBLE_REMOTE_TEMP": folder}
            run(["env", *(f"{key}={value}" for key, value in settings.items()), "ansible", "all", "-i", "localhost,", "-c", "local", "-m", name])
            (path,) = pathlib.Path(folder).glob("*/AnsiballZ_*.py")
            found[short] = path.read_text(encoding="utf-8")
    return found


def _archive(payload: str) -> bytes:
    """The archive with all code that is inside a payload."""
    return base64.b64decode(max(re.findall(r"[A-Za-z0-9+/=]{2000,}", payload), key=len))


def measure() -> list[Row]:
    """Row 3."""
    payloads = _payloads()
    with node(NODE):
        files = {"facts.py": payloads["ipvs_facts"].encode(), "basic.zip": _archive(payloads["ping"]), "in_turn.py": (IN_TURN % REPEATS).encode()}
        for name, content in files.items():
            on(NODE, f"mkdir -p /root/bench && cat >/root/bench/{name}", given=content)
        python = ["python3"]
        imports = [*python, "-c", "import sys; sys.path.insert(0, '/root/bench/basic.zip'); import ansible.module_utils.basic"]
        commands = json.dumps([[*python, "/root/bench/facts.py"], imports])
        medians = json.loads(on(NODE, f"python3 /root/bench/in_turn.py {json.dumps(commands)}"))
        processes = on(NODE, "ls -d /proc/[0-9]* | wc -l").strip()
    cost = Comparison(*medians)
    more = (len(payloads["ipvs_facts"]) - len(payloads["ping"])) // 1024
    what = f"`ipvs_facts` alone on a node with kube-proxy in IPVS mode ({processes} processes), as Ansible sends it"
    baseline = "`import ansible.module_utils.basic` there, from the archive that Ansible sends for ping"
    figure = f"{cost.words()}; payload ping's + {more} KiB"
    return [Row("3", what, baseline, "≤ 1.5 ×, payload ≤ ping's + 60 KB", figure, cost.ratio <= 1.5 and more <= 60)]
