# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes of the lab that are probed, and what the tests measured."""

from __future__ import annotations

import pytest

from fault_tools import Node, Run
from lab_tests import pytest_terminal_summary, run_folder, start

__all__ = ["pytest_terminal_summary"]


class Fleet:
    """The nodes, and audits of them."""

    def __init__(self, folder):
        self.folder = folder
        self._nodes = {}

    def node(self, name):
        """The node of this name, running."""
        if name not in self._nodes:
            start(name)
            self._nodes[name] = Node(name, self.folder / "ssh")
            self._nodes[name].wait_until_healthy()
        return self._nodes[name]

    def play(self, playbook, nodes, *arguments, **options):
        """Run a playbook against these nodes to its end; an Ended."""
        return Run(playbook, nodes, *arguments, folder=self.folder, **options).end()


@pytest.fixture(name="fleet", scope="session")
def fleet_fixture():
    """The nodes."""
    with run_folder("probe") as folder:
        yield Fleet(folder)
