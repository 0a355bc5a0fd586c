# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures shared by all unit tests."""

from __future__ import annotations

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles


def write_tree(directory, files):
    """Write {path of the node: text, bytes or ('link', target)} below DIRECTORY, a pathlib.Path."""
    for path, content in files.items():
        target = directory / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, tuple):
            target.symlink_to(content[1])
        elif isinstance(content, bytes):
            target.write_bytes(content)
        else:
            target.write_text(content, encoding="utf-8")
    return directory


@pytest.fixture
def tree(tmp_path):
    """tree({path: content}) -> NodeFiles that reads a node with exactly these files."""
    return lambda files: NodeFiles(str(write_tree(tmp_path / "node", files)))
