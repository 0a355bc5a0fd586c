# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The version of the collection that runs: of an installed one, of a checkout, of one whose files are missing or broken."""

from __future__ import annotations

import pathlib

import pytest
import yaml

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.collection_version import collection_version

ROOT = pathlib.Path(__file__).resolve().parents[4]
MANIFEST = '{"collection_info": {"namespace": "kubeproxy", "name": "ipvs", "version": "2.3.4"}}'


def test_this_checkout():
    assert collection_version() == yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({"MANIFEST.json": MANIFEST}, "2.3.4"),
        ({"galaxy.yml": "version: 5.6.7\n"}, "5.6.7"),
        ({"MANIFEST.json": MANIFEST, "galaxy.yml": "version: 5.6.7\n"}, "2.3.4"),
        ({"MANIFEST.json": "{", "galaxy.yml": "version: 5.6.7\n"}, "5.6.7"),
        ({"MANIFEST.json": "[]", "galaxy.yml": "a: [\n"}, "unknown"),
        ({"MANIFEST.json": '{"collection_info": null}'}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_files(tmp_path, files, version):
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert collection_version(tmp_path) == version
