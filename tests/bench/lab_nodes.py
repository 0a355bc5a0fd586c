# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes of a lab of their own, with a real kube-proxy, for what only those can show."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess

from comparison import run
from lab_tests import TESTS, connection, lab, wait_until


@contextlib.contextmanager
def _one_processor():
    """What the block starts runs on one processor of this machine, and stays there.

    In user-mode Linux a node's kernel and its processes hand over to each other at each system call. Between two processors each time one has to be
    woken up, which takes two to three times as long, and another time at each moment.
    """
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(processors)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, processors)


@contextlib.contextmanager
def node(name: str):
    """The node NAME, freshly made and with a kube-proxy that has started, while the block runs."""
    lab("down")
    with _one_processor():
        lab("up", name)
    try:
        wait_until(lambda: answers(name, "systemctl is-active kube-proxy && cat /proc/sys/net/ipv4/vs/conn_reuse_mode"), "kube-proxy")
        yield
    finally:
        lab("down")


def _ssh(name: str, command: str, given: bytes = b"") -> subprocess.CompletedProcess:
    return subprocess.run(["ssh", "-F", connection()["ssh_config"], name, command], check=False, capture_output=True, input=given, timeout=900)


def answers(name: str, command: str) -> bool:
    """Whether a shell command works on a node."""
    return _ssh(name, command).returncode == 0


def on(name: str, command: str, given: bytes = b"") -> str:
    """What a shell command printed on a node; a RuntimeError where it did not work."""
    done = _ssh(name, command, given)
    if done.returncode != 0:
        raise RuntimeError(f"on {name}, {command[:100]}: {done.stderr.decode('utf-8', 'replace')[-1000:]}")
    return done.stdout.decode("utf-8", "replace")


@functools.cache
def _controller() -> list[str]:
    """What runs a command with ansible-core 2.16, which drives each node's Python."""
    python = run([TESTS / "controller216"]).strip()
    return [str(TESTS / "run"), run([TESTS / "environment.sh", "core216", python]).splitlines()[-1]]


def playbook(name: str, playbook_name: str, **variables) -> str:
    """Run a playbook of the collection against a node."""
    arguments = ["-i", connection()["inventory"], "--limit", name, "-e", json.dumps(variables)]
    return run([*_controller(), "ansible-playbook", f"kubeproxy.ipvs.{playbook_name}", *arguments], cwd="/var/tmp")
