# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An audit of many hosts in one run of Ansible."""

from __future__ import annotations

import json
import os
import pathlib
import sys
import tempfile

from comparison import Row, compare, peak_of, run

HOSTS = int(os.environ.get("MANY_HOSTS", "1000"))


def measure() -> list[Row]:
    """Row 6."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        settings = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = {f"host-{number:04d}": {} for number in range(HOSTS)}
        (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": settings}}), encoding="utf-8")
        ping = ["ansible", "all", "-m", "ansible.builtin.ping", "-i", "hosts.json"]
        audit = ["ansible-playbook", "kubeproxy.ipvs.audit", "-i", "hosts.json"]
        found = compare(lambda: run(audit, cwd=folder), lambda: run(ping, cwd=folder))
        memory = f"{peak_of(audit, cwd=folder)} MiB at most in one process of the controller, {peak_of(ping, cwd=folder)} MiB for ping"
    what = f"`kubeproxy.ipvs.audit` of {HOSTS} hosts in one run, connection local, report included"
    return [Row("6", what, "`ansible -m ping` of the same", "≤ 1.3 ×", f"{found.words()}; {memory}", found.ratio <= 1.3)]
