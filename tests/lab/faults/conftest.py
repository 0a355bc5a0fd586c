# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes for one test each, which must leave them as they were, and what the tests measured."""

from __future__ import annotations

import pytest

from fault_tools import MODE_RECORD, RECORD, Node, Run
from lab_tests import pytest_terminal_summary, run_folder, start

__all__ = ["pytest_terminal_summary"]


class Fleet:
    """The nodes, and runs against them."""

    def __init__(self, folder):
        self._folder = folder
        self._nodes = {}
        # {name: state}, of nodes that nothing was done to, and of those that are held.
        self.as_made, self.held = {}, {}

    def node(self, name):
        """The node of this name, running."""
        if name not in self._nodes:
            start(name)
            self._nodes[name] = Node(name, self._folder / "ssh")
        return self._nodes[name]

    def start(self, playbook, *nodes, arguments=(), **options):
        """Start a playbook against these nodes; a Run."""
        return Run(playbook, nodes, *arguments, folder=self._folder, **options)

    def play(self, playbook, *nodes, arguments=(), **options):
        """Run a playbook against these nodes to its end; an Ended."""
        return self.start(playbook, *nodes, arguments=arguments, **options).end()

    def check_in(self, node):
        """The node, as nothing was ever done to it, begins a test."""
        if node.name in self.held:
            self.put_back(node)
        if node.name not in self.as_made:
            node.wait_until_healthy()
            self.as_made[node.name] = node.whole_state()

    def put_back(self, node):
        """Run the playbook `rollback` if there is anything to take back; then the node is as it was, byte for byte, or is made anew."""
        self.held.pop(node.name, None)
        try:
            node.wait_until_healthy()
            if node.has(RECORD) or node.has(MODE_RECORD):
                self.play("rollback", node).assert_result(node, "changed")
            assert node.whole_state() == self.as_made[node.name]
        except BaseException:
            del self.as_made[node.name]
            node.make_anew()
            raise

    def hold(self, node):
        """Have the node repaired."""
        if node.name not in self.held:
            self.check_in(node)
            self.play("remediate", node).assert_result(node, "changed")
            self.held[node.name] = node.state()

    def still_held(self, node):
        """The node is repaired as it was before the test, or is made anew."""
        try:
            node.wait_until_healthy()
            assert node.state() == self.held[node.name]
        except BaseException:
            del self.held[node.name], self.as_made[node.name]
            node.make_anew()
            raise


@pytest.fixture(name="fleet", scope="session")
def fleet_fixture():
    """The nodes."""
    with run_folder("faults") as folder:
        fleet = Fleet(folder)
        yield fleet
        for name in list(fleet.held):
            fleet.put_back(fleet.node(name))


@pytest.fixture(name="untouched")
def untouched_fixture(fleet, node):
    """The node of the module as it was made. After the test it is rolled back and must be as before."""
    fleet.check_in(node)
    yield node
    fleet.put_back(node)


@pytest.fixture(name="held")
def held_fixture(fleet, node):
    """The node of the module, repaired: kube-proxy sets 0 at each start, and 1 is held. After the test it must be as before."""
    fleet.hold(node)
    yield node
    fleet.still_held(node)
