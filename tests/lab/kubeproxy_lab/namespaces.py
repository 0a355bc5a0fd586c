# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Namespaces of their own for what mounts, builds or runs kernels, and processes that do not outlive the one that asked for them."""

from __future__ import annotations

import ctypes
import signal

PR_SET_PDEATHSIG = 1


def private(*more: str) -> list[str]:
    """The beginning of a command that runs in new mount and process namespaces; its mounts and processes end with it."""
    return ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", *more]


def end_with_parent() -> None:
    """In a child that is about to be started: be killed when the parent ends, however it does."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
