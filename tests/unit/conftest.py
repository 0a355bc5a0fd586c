# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures shared by all unit tests."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import settings
from node_trees import write_tree

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles


# A test that fails now and then says nothing about the change at hand: the same examples are tried every time, however slow the machine is.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _own_path(monkeypatch):
    """A module changes where its process looks for programs: the tests that come after one have theirs as before."""
    monkeypatch.setenv("PATH", os.environ["PATH"])


@pytest.fixture
def tree(tmp_path):
    """tree({path: content}) -> NodeFiles that reads a node with exactly these files."""
    count = itertools.count()
    return lambda files: NodeFiles(str(write_tree(tmp_path / f"node{next(count)}", files)))
