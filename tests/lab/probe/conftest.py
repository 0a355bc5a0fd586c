# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes of the lab that are probed, and what the tests measured."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import tempfile

import pytest

from fault_tools import MEASURED, Node, Run, connection, lab


def pytest_terminal_summary(terminalreporter):
    """What was measured."""
    if MEASURED:
        terminalreporter.section("measured")
        for words in MEASURED:
            terminalreporter.write_line(words)


class Fleet:
    """The nodes, and audits of them."""

    def __init__(self, folder):
        self.folder = folder
        self._nodes = {}

    def node(self, name):
        """The node of this name, running."""
        if name not in self._nodes:
            lab("up", name)
            if f" {name}:\n" not in pathlib.Path(connection()["inventory"]).read_text(encoding="utf-8"):
                pytest.skip(f"the lab cannot make the node {name}")
            self._nodes[name] = Node(name, self.folder / "ssh")
            self._nodes[name].wait_until_healthy()
        return self._nodes[name]

    def play(self, playbook, nodes, *arguments, **options):
        """Run a playbook against these nodes to its end; an Ended."""
        return Run(playbook, nodes, *arguments, folder=self.folder, **options).end()


@pytest.fixture(name="fleet", scope="session")
def fleet_fixture():
    """The nodes."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="probe-"))
    (folder / "ssh").mkdir()
    (folder / "cp").mkdir()
    yield Fleet(folder)
    for socket in [*(folder / "ssh").iterdir(), *(folder / "cp").iterdir()]:
        subprocess.run(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "node"], check=False, capture_output=True)
    shutil.rmtree(folder)
