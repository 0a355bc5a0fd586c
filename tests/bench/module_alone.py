# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module alone on a node of the lab with a real kube-proxy: what Ansible sends there, run by hand."""

from __future__ import annotations

import ast
import base64
import io
import json
import pathlib
import re
import shlex
import tempfile
import zipfile

from comparison import REPEATS, Comparison, Row, run
from lab_nodes import node, on

NODE = "fixed-below-5-9"
MODULES = {"ipvs_facts": "kubeproxy.ipvs.ipvs_facts", "ping": "ansible.builtin.ping"}
OURS = "ansible_collections.kubeproxy.ipvs.plugins.modules.ipvs_facts"
# On the node: seconds of each command, in turn; a first run of all warms the disk.
IN_TURN = r"""
import json, os, subprocess, sys, time
null = open(os.devnull, "w")
commands = json.loads(sys.argv[1])
times = [[] for _command in commands]
for number in range(%d + 1):
    for position, command in enumerate(commands):
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


def _without_words(archive: bytes) -> int:
    """Bytes of a payload with an archive in which no code has comments, documentation or docstrings any more: what such code cannot be smaller than."""
    stripped = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as whole, zipfile.ZipFile(stripped, "w", zipfile.ZIP_DEFLATED) as without:
        for name in whole.namelist():
            tree = ast.parse(whole.read(name))
            for place in ast.walk(tree):
                if isinstance(place, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                    kept = [statement for statement in place.body if not _is_text(statement)]
                    place.body = kept if kept or isinstance(place, ast.Module) else [ast.Pass()]
            without.writestr(name, ast.unparse(tree))
    return len(base64.b64encode(stripped.getvalue()))


def _is_text(statement: ast.stmt) -> bool:
    """Whether a statement is a docstring or one of a module's DOCUMENTATION, EXAMPLES and RETURN."""
    value = getattr(statement, "value", None)
    return isinstance(statement, (ast.Expr, ast.Assign)) and isinstance(value, ast.Constant) and isinstance(value.value, str) and (
        isinstance(statement, ast.Expr) or getattr(statement.targets[0], "id", "") in ("DOCUMENTATION", "EXAMPLES", "RETURN"))


def measure() -> list[Row]:
    """Row 3."""
    payloads = _payloads()
    archives = {name: _archive(payload) for name, payload in payloads.items()}
    with node(NODE):
        files = {
            "facts.py": payloads["ipvs_facts"].encode(), "facts.zip": archives["ipvs_facts"], "basic.zip": archives["ping"],
            "in_turn.py": (IN_TURN % REPEATS).encode(),
        }
        for name, content in files.items():
            on(NODE, f"mkdir -p /root/bench && cat >/root/bench/{name}", given=content)
        commands = [["python3", "/root/bench/facts.py"], _import("basic.zip", "ansible.module_utils.basic"), _import("facts.zip", OURS)]
        facts, basic, imports = json.loads(on(NODE, f"python3 /root/bench/in_turn.py {shlex.quote(json.dumps(commands))}"))
        processes = on(NODE, "ls -d /proc/[0-9]* | wc -l").strip()
    cost, floor = Comparison(facts, basic), Comparison(imports, basic)
    more = (len(payloads["ipvs_facts"]) - len(payloads["ping"])) // 1024
    bare = (_without_words(archives["ipvs_facts"]) - _without_words(archives["ping"])) // 1024
    what = f"`ipvs_facts` alone on a node with kube-proxy in IPVS mode ({processes} processes), as Ansible sends it"
    baseline = "`import ansible.module_utils.basic` there, from the archive that Ansible sends for ping"
    figure = (f"{cost.words()}, of which {floor.ratio:.2f} × for importing its code without reading anything; "
              f"payload ping's + {more} KiB, + {bare} KiB without comments and documentation")
    return [Row("3", what, baseline, "≤ 1.5 ×, payload ≤ ping's + 60 KB", figure, cost.ratio <= 1.5 and more <= 60)]


def _import(archive: str, module: str) -> list[str]:
    """The command that imports a module from an archive."""
    return ["python3", "-c", f"import sys; sys.path.insert(0, '/root/bench/{archive}'); import {module}"]
