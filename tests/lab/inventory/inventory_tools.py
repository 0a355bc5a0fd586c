# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's API server, and Ansible's commands run in its network."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import time

from lab_tests import LAB, TESTS

HERE = pathlib.Path(__file__).parent
ENVIRONMENT = pathlib.Path(sys.executable).parent.parent
COUNT = int(os.environ.get("NODES", "5000"))


def lab(*words, cwd=None, errors=False, seconds=600) -> str:
    """What a command of tests/lab/lab prints, with errors what it prints to stderr too; an AssertionError with its last words if it fails."""
    done = subprocess.run(
        [str(word) for word in (LAB, *words)], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout + (done.stderr if errors else "")


def api(path) -> dict:
    """What the API server has below a path."""
    done = subprocess.run([str(LAB), "api", "GET", path], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(done.stdout)


def lists_of_nodes() -> int:
    """How many lists of nodes the API server has answered so far, as it counts itself."""
    text = api("/metrics")["text"]
    lines = [line for line in text.splitlines() if line.startswith("apiserver_request_total{")]
    wanted = [line for line in lines if 'resource="nodes"' in line and 'verb="LIST"' in line and 'subresource=""' in line]
    return sum(int(float(line.rpartition(" ")[2])) for line in wanted)


def plain(value):
    """The values of a document in which ansible-inventory marks texts that are never templated."""
    if isinstance(value, dict):
        return value["__ansible_unsafe"] if set(value) == {"__ansible_unsafe"} else {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def inventory(folder: pathlib.Path, content: str) -> tuple[dict, float, int | None]:
    """(host variables, seconds, requests that the plugin made) of ansible-inventory, with a file lab.nodes.yml of this content in FOLDER."""
    (folder / "lab.nodes.yml").write_text(f"plugin: kubeproxy.ipvs.nodes\n{content}", encoding="utf-8")
    output = folder / "inventory.json"
    output.unlink(missing_ok=True)
    begun = time.monotonic()
    said = lab(
        "inside", TESTS / "run", ENVIRONMENT, "ansible-inventory", "-i", "lab.nodes.yml", "--list", "--output", output, "-v", cwd=folder, errors=True,
    )  # fmt: skip
    seconds = time.monotonic() - begun
    requests = re.search(r"in\s+(\d+)\s+requests", said)
    document = json.loads(output.read_text(encoding="utf-8"))
    return plain(document["_meta"]["hostvars"]), seconds, int(requests.group(1)) if requests else None
