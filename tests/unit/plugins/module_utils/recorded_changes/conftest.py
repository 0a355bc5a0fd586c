# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes whose files are changed with a record."""

from __future__ import annotations

import ctypes
import os
import subprocess

import pytest
from cut_off import in_child
from recorded_node import ROOT, SYSCTL, Node


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path / "node")


@pytest.fixture
def sysctl(node):
    """A file with lines of somebody else's."""
    node.write("etc/sysctl.conf", SYSCTL, 0o640)
    if ROOT:
        os.chown(node.root / "etc/sysctl.conf", 1234, 5678)
    return node.root / "etc/sysctl.conf"


@pytest.fixture
def in_namespace():
    """Runs a function where mounts are nobody else's."""
    if not ROOT or subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("mount namespaces need root")

    def run(function):
        def inside():
            if ctypes.CDLL(None, use_errno=True).unshare(0x00020000):
                raise OSError(ctypes.get_errno(), "unshare")
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
            return function()

        code, result = in_child(inside)
        assert code == 0
        return result

    return run
