# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where programs are looked for, on the node and in the tasks of roles."""

from __future__ import annotations

import os
import pathlib

import pytest
import yaml

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import program_path

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
OF_THE_SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"
MODULES = sorted(path for path in (CHECKOUT / "plugins" / "modules").glob("*.py") if "AnsibleModule(" in path.read_text(encoding="utf-8"))
TASKS = sorted(CHECKOUT.glob("roles/*/tasks/*.yml")) + sorted(CHECKOUT.glob("playbooks/tasks/*.yml"))
# Those of ansible.builtin that run a program of the node that they look for on the path.
RUN = ("command", "shell", "script", "raw", "service", "systemd", "systemd_service", "package", "sysctl", "modprobe")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", ""), (".", ""), (":", ""), ("bin:./bin:../bin", ""), ("/no/such/directory", ""), ("/usr/bin::/bin", "/usr/bin:/bin"),
        ("/tmp:/usr/sbin", "/usr/sbin"), ("/var/tmp", ""), ("/usr/bin/../../tmp", ""),
    ],
)
def test_what_is_kept(given, kept):
    found = program_path.trusted_path(given).split(":")
    assert found[: len(kept.split(":")) if kept else 0] == (kept.split(":") if kept else [])
    assert set(found) == set(OF_THE_SYSTEM.split(":"))


def test_a_directory_of_a_user(tmp_path):
    """Those of tests lie below a directory that everybody may write to."""
    assert str(tmp_path) not in program_path.trusted_path(f"{tmp_path}:/usr/bin").split(":")


def test_this_process(monkeypatch):
    monkeypatch.setenv("PATH", ".:/tmp")
    program_path.trust_programs()
    assert os.environ["PATH"] == OF_THE_SYSTEM
    monkeypatch.delenv("PATH")
    program_path.trust_programs()
    assert os.environ["PATH"] == OF_THE_SYSTEM


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_each_module_begins_with_it(path):
    body = path.read_text(encoding="utf-8").split('    """Run as an Ansible module."""\n')
    assert body[1].startswith("    trust_programs()\n")


def tasks_of(entries, environment=None):
    """All tasks of a file with the environment that they run in: those in blocks have that of their block, unless they have one of their own."""
    for entry in entries or []:
        own = entry.get("environment", environment)
        yield entry, str(own)
        for part in ("block", "rescue", "always"):
            yield from tasks_of(entry.get(part), own)


def test_each_task_that_runs_a_program_of_the_node_names_its_path():
    found = []
    for path in TASKS:
        for task, environment in tasks_of(yaml.safe_load(path.read_text(encoding="utf-8"))):
            if not any(f"ansible.builtin.{name}" in task for name in RUN) or task.get("delegate_to") == "localhost":
                continue
            found.append(task["name"])
            assert "_programs" in environment or f"{OF_THE_SYSTEM}:/run/current-system/sw/bin" in environment, (path.name, task["name"])
    assert len(found) >= 12
    for role in ("conn_reuse_mode", "kube_proxy_mode"):
        variables = yaml.safe_load((CHECKOUT / "roles" / role / "vars" / "main.yml").read_text(encoding="utf-8"))
        assert variables[f"__{role}_programs"] == {"PATH": f"{OF_THE_SYSTEM}:/run/current-system/sw/bin"}


def test_no_unit_relies_on_a_path():
    for path in (CHECKOUT / "roles/conn_reuse_mode/templates").iterdir():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("Exec"):
                assert line.partition("=")[2].lstrip("-").startswith("/bin/sh /etc/kubeproxy.ipvs/hold "), path.name
