# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel values are written, and come back."""

from __future__ import annotations

import os

import pytest
from cut_off import killed_at
from recorded_node import VALUES, Node, snapshot

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_paths import Refusal


class TestValues:
    def test_one_that_is_gone(self, node):
        node.apply(values=VALUES)
        (node.root / "proc/value").unlink()
        result = node.restore()
        assert result["not_restored"] == [{"path": node.file("proc/value"), "reason": "it does not exist"}]
        assert not (node.root / "proc/value").exists()
        assert not node.directory.exists()

    def test_one_that_was_only_recorded_is_forgotten(self, node):
        before = snapshot(node.root)
        node.apply(values={"proc/value": None})
        assert node.apply(values={})["changed"] is True
        assert snapshot(node.root) == before

    def test_what_others_wrote_is_written_again(self, node):
        node.apply(values=VALUES)
        (node.root / "proc/value").write_text("5\n")
        assert node.apply(values=VALUES)["kernel_values"][0] == {"path": node.file("proc/value"), "before": "5", "after": "1"}
        assert (node.root / "proc/value").read_text() == "1\n"
        node.restore()
        assert (node.root / "proc/value").read_text() == "0\n"

    def test_one_that_is_gone_and_no_longer_wanted(self, node):
        node.apply(values=VALUES)
        (node.root / "proc/value").unlink()
        result = node.apply(values={})
        assert result["not_restored"] == [{"path": node.file("proc/value"), "reason": "it does not exist"}]
        assert (result["changed"], (node.root / "proc/value").exists(), node.directory.exists()) == (True, False, False)

    def test_other_white_space_is_no_other_value(self, node):
        assert node.apply(values={"proc/other": "4096 131072"})["changed"] is True
        assert (node.root / "proc/other").read_text() == "4096\t131072\n"
        node.restore()

    def test_one_that_was_never_there_and_is_cut_off(self, tmp_path):
        """What appeared afterwards is nobody's original, also of a run that was to forget the value."""
        moment = 0
        while True:
            moment += 1
            node = Node(tmp_path / str(moment))
            node.apply(values={"proc/absent": None})
            (node.root / "proc/absent").write_text("7\n")
            if not killed_at(moment, lambda: node.apply(values={})):
                break
            (node.root / "proc/absent").write_text("8\n")
            node.restore()
            assert (node.root / "proc/absent").read_text() == "8\n", moment

    def test_one_that_was_never_there(self, node):
        assert node.apply(values={"proc/absent": None})["kernel_values"] == [{"path": node.file("proc/absent"), "before": None, "after": None}]
        with pytest.raises(Refusal, match=r"proc/absent cannot be written: it does not exist\Z"):
            node.apply(values={"proc/absent": "1"})
        assert not (node.root / "proc/absent").exists()
        (node.root / "proc/absent").write_text("7\n")
        # What appears before anything was written is the original.
        assert node.apply(values={"proc/absent": "1"})["changed"] is True
        assert node.restore()["not_restored"] == []
        assert (node.root / "proc/absent").read_text() == "7\n"

    def test_the_first_original_stays(self, node):
        node.apply(values={"proc/value": None})
        (node.root / "proc/value").write_text("5\n")
        assert node.apply(values={"proc/value": None})["changed"] is False
        node.apply(values={"proc/value": "1"})
        assert node.apply(values={"proc/value": "1"})["changed"] is False
        node.restore()
        assert (node.root / "proc/value").read_text() == "0\n"

    def test_one_that_does_not_stay(self, node, monkeypatch):
        before = snapshot(node.root)
        write = os.write

        def stubborn(descriptor, data):
            return write(descriptor, b"0\n" if bytes(data) == b"1\n" else data)

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", stubborn)
            with pytest.raises(Refusal, match=r"proc/value was written but did not stay: it is 0, not 1\. What this run had changed was put back: .*etc/plain"):
                node.apply({"etc/plain": "ours"}, VALUES)
        assert snapshot(node.root) == before

    def test_one_that_cannot_be_restored(self, node, monkeypatch):
        node.apply({"etc/plain": "ours"}, VALUES)
        write = os.write
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", lambda descriptor, data: write(descriptor, b"1\n" if bytes(data) == b"0\n" else data))
            with pytest.raises(Refusal, match=r"proc/value \(.*did not stay"):
                node.restore()
        assert (node.root / "etc/plain").read_bytes() == b"plain\n"
        assert [entry["path"] for entry in node.record()["values"]] == [node.file("proc/value")]
        node.restore()
        assert (node.root / "proc/value").read_text() == "0\n"

    def test_paths(self, node):
        with pytest.raises(Refusal, match="path: proc/value is not the absolute path of a value"):
            node.changes().apply(values=[{"path": "proc/value", "write": "1"}])
        with pytest.raises(Refusal, match="proc/value is named twice"):
            node.changes().apply(values=[{"path": node.file("proc/value")}, {"path": node.file("etc/../proc/value")}])

    @pytest.mark.parametrize(("name", "words"), [("proc", "proc is not a file"), ("proc/bytes", "not UTF-8")])
    def test_what_is_no_value(self, node, name, words):
        (node.root / "proc/bytes").write_bytes(b"\xff\n")
        with pytest.raises(Refusal, match=words):
            node.apply(values={name: None})
