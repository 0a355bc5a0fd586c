# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts that were recorded in files."""

from __future__ import annotations

import json

import pytest
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import recorded_facts
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import FactsError
from nodes import node


class TestRecordedFacts:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b'{"ansible_facts": {"ipvs": {"schema": 1, "kern', "not JSON"),
            (b"", "not JSON"),
            (b"\xff\xfe", "not UTF-8"),
            (b"[]", "not the facts of a node"),
            (b'{"a": 1}', "not the facts of a node"),
            (b'{"ansible_facts": {"ipvs": {"schema": 7, "kernel": {}}}}', "facts of version '7', this collection reads version 1"),
            (b"[" * 100000, "not JSON|nested too deeply"),
        ],
    )
    def test_a_bad_file_gives_a_reason(self, tmp_path, content, reason):
        path = tmp_path / "x.json"
        path.write_bytes(content)
        with pytest.raises(FactsError, match=reason):
            recorded_facts.load(str(path))

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(FactsError, match="No such file"):
            recorded_facts.load(str(tmp_path / "gone.json"))

    @pytest.mark.parametrize("wrap", [lambda facts: facts, lambda facts: {"ipvs": facts}, lambda facts: {"ansible_facts": {"ipvs": facts}, "changed": False}])
    def test_facts_in_any_wrapping(self, tmp_path, wrap):
        path = tmp_path / "node%2F7.json"
        path.write_text(json.dumps(wrap(node())), encoding="utf-8")
        name, origin, facts = recorded_facts.load(str(path))
        assert (name, origin, facts["kernel"]["release"]) == ("node/7", str(path), node()["kernel"]["release"])

    def test_directories_are_searched_in_order(self, tmp_path):
        for name in ("b.json", "a.json", "c.txt"):
            (tmp_path / name).write_text("{}", encoding="utf-8")
        assert [path.rpartition("/")[2] for path in recorded_facts.find([str(tmp_path), "/other"])] == ["a.json", "b.json", "other"]

    @pytest.mark.parametrize("name", ["a/../../b", "..", "node 1", "ünïcode", "x" * 1000, ""])
    def test_any_node_name_makes_a_file_name(self, name):
        made = recorded_facts.file_name(name)
        assert "/" not in made and made.endswith(".json") and len(made) < 255
