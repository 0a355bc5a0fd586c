# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Namespaces for what mounts, builds or runs kernels; processes that are found by their command line, and do not outlive their parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pathlib
import signal
import time
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def private(*more: str) -> list[str]:
    """The beginning of a command that runs in new mount and process namespaces; its mounts and processes end with it."""
    return ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", *more]


def end_with_parent() -> None:
    """In a child that is about to be started: be killed when the parent ends, however it does."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def processes(wanted: Callable[[list[str]], bool]) -> list[int]:
    """The processes of this machine with a command line that is WANTED; one that has ended, but was not yet asked for its status, has none."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().decode("utf-8", "surrogateescape").split("\0")[:-1]
            if words and wanted(words):
                found.append(int(path.parent.name))
    return found


def kill_all(wanted: Callable[[list[str]], bool]) -> None:
    """Kill them, and wait until there is none."""
    while found := processes(wanted):
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)
