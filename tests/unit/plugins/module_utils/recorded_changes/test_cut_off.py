# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wherever a run is cut off, the next one ends as if it had not been."""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
import tempfile

import pytest
from cut_off import CUT, UNITS, Fresh, in_child, interfere, killed_at
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_node import Lines, Link, Node, contents, snapshot

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_paths import Refusal


@pytest.mark.parametrize(("prepare", "deed"), CUT, ids=lambda function: function.__name__)
class TestCutOff:
    def test_anywhere(self, tmp_path, prepare, deed):
        fresh = Fresh(tmp_path, prepare)
        node, _original = fresh()
        begun = contents(node.root)
        deed(node)
        done = contents(node.root)
        moment = 0
        while True:
            moment += 1
            node, original = fresh()
            if not killed_at(moment, lambda: deed(node)):
                break
            for name, entry in contents(node.root).items():
                # Never anything half written: a file is the old one or the new one.
                if ".kubeproxy.ipvs-" not in name and name != "proc/value" and name != "proc/other" and entry[0] != stat.S_IFDIR:
                    assert entry in (begun.get(name), done.get(name), [*original[name][:2], original[name][5]] if name in original else None), (moment, name)
            assert deed(node)["not_restored"] == [], moment
            assert contents(node.root) == done, moment
            node.restore()
            assert snapshot(node.root) == original, moment
            node, original = fresh()
            assert killed_at(moment, lambda: deed(node))
            node.restore()
            assert snapshot(node.root) == original, moment
        assert moment > 30

    @pytest.mark.parametrize("moment", [3, 17, 30])
    def test_with_a_real_signal(self, tmp_path, prepare, deed, moment):
        def run():
            interfere(lambda number, name, arguments: os.kill(os.getpid(), signal.SIGKILL) if number == moment else None)
            deed(node)

        node, original = Fresh(tmp_path, prepare)()
        assert in_child(run)[0] == -signal.SIGKILL
        node.restore()
        assert snapshot(node.root) == original

    def test_while_it_is_taken_back(self, tmp_path, prepare, deed):
        fresh = Fresh(tmp_path, prepare)
        moment = 0
        while True:
            moment += 1
            node, original = fresh()
            if not killed_at(moment, lambda: deed(node)):
                break
            before = snapshot(node.root)
            node.restore(check_mode=True)
            assert snapshot(node.root) == before, moment
            killed_at(1 + moment * 7 % 40, node.restore)
            killed_at(1 + moment * 5 % 30, node.restore)
            node.restore()
            assert snapshot(node.root) == original, moment


class TestOthersBetweenCuts:
    """Somebody else changes a file with lines of ours, before a run that is cut off or after it: the end is the same as without the cut."""

    BEGUN = b"# [Unit]\n[Unit]\nnative\n[Unit]\n"
    THEIRS = b"# [Unit]\n# ours\n# [Unit]\n# ours\n# [Unit]\nnative\n# ours\n# [Unit]\ntheirs\n"
    END = b"# [Unit]\n# ours\n# [Unit]\n[Unit]\nnative\n[Unit]\ntheirs\n"
    DEEDS = {
        "restored": lambda node: node.restore(),
        "dropped": lambda node: node.apply({"etc/link": "ours"}),
        "the same": lambda node: node.apply({"etc/systemd/unit": UNITS}),
        "others": lambda node: node.apply({"etc/systemd/unit": Lines.of(("native", "# native"), ("[Unit]", ""))}),
        "whole": lambda node: node.apply({"etc/systemd/unit": "whole\n"}),
    }

    def begun(self, directory, content=None):
        node = Node(directory)
        unit = node.root / "etc/systemd/unit"
        unit.write_bytes(self.BEGUN)
        node.apply({"etc/systemd/unit": UNITS})
        if content:
            unit.write_bytes(content)
        return node, unit

    @pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS.keys())
    def test_before(self, tmp_path, deed):
        node, unit = self.begun(tmp_path / "whole", self.THEIRS)
        deed(node)
        done = contents(node.root)
        node.restore()
        # Which of the doubled lines is ours nobody can tell; that it is the same one each time can be told.
        end = unit.read_bytes()
        assert sorted(end.splitlines()) == sorted(self.END.splitlines())
        moment = 0
        while True:
            moment += 1
            node, unit = self.begun(tmp_path / str(moment), self.THEIRS)
            if not killed_at(moment, lambda: deed(node)):
                break
            deed(node)
            assert contents(node.root) == done, moment
            node.restore()
            assert unit.read_bytes() == end, moment
            node, unit = self.begun(tmp_path / f"{moment} again", self.THEIRS)
            assert killed_at(moment, lambda: deed(node))
            killed_at(1 + moment * 7 % 20, node.restore)
            node.restore()
            assert unit.read_bytes() == end, moment
        assert moment > 10

    @pytest.mark.parametrize("name", ["dropped", "others", "whole"])
    def test_after(self, tmp_path, name):
        deed, moment = self.DEEDS[name], 0
        while True:
            moment += 1
            node, unit = self.begun(tmp_path / str(moment))
            if not killed_at(moment, lambda: deed(node)):
                break
            ours = unit.read_bytes()
            with open(unit, "ab") as theirs:
                theirs.write(b"theirs\n")
            try:
                node.restore()
            except Refusal:
                # A whole file of ours is theirs then, and the original stays in the record.
                assert name == "whole"
                assert unit.read_bytes() == ours + b"theirs\n", moment
                node.restore(force=True)
                assert unit.read_bytes() == self.BEGUN, moment
            else:
                assert unit.read_bytes() == self.BEGUN + b"theirs\n", moment
        assert moment > 10

    @pytest.mark.parametrize("name", ["dropped", "others", "whole"])
    def test_refused_by_the_system(self, tmp_path, monkeypatch, name):
        """What this run took for the original is forgotten with it."""
        node, _unit = self.begun(tmp_path / "node", self.THEIRS)
        before = snapshot(node.root)
        rename = os.rename

        def refuse(source, target):
            if os.fspath(target).endswith((b"systemd/unit", b"etc/link")):
                raise OSError(errno.EPERM, "Operation not permitted")
            rename(source, target)

        monkeypatch.setattr(os, "rename", refuse)
        with pytest.raises(Refusal, match=r"Nothing was changed\.\Z"):
            self.DEEDS[name](node)
        assert snapshot(node.root) == before

    def test_a_whole_file_of_ours_that_is_cut_off_on_its_way_to_lines(self, tmp_path):
        """What others changed in it is no original, and the original is not lost."""
        moment = 0
        while True:
            moment += 1
            node = Node(tmp_path / str(moment))
            unit = node.root / "etc/systemd/unit"
            unit.write_bytes(self.BEGUN)
            node.apply({"etc/systemd/unit": "whole\n"})
            if not killed_at(moment, lambda: node.apply({"etc/systemd/unit": UNITS})):
                break
            with open(unit, "ab") as theirs:
                theirs.write(b"theirs\n")
            begun = unit.read_bytes()
            try:
                node.restore()
                assert unit.read_bytes() == self.BEGUN + b"theirs\n"
            except Refusal:
                assert unit.read_bytes() == begun
                node.restore(force=True)
                assert unit.read_bytes() == self.BEGUN, moment

    def test_what_is_cut_off_on_its_way_to_lines_by_force(self, tmp_path):
        """What others had made of our whole file is on the disk yet, and nothing of it that could be brought together with the original."""
        moment = 0
        while True:
            moment += 1
            node = Node(tmp_path / str(moment))
            unit = node.root / "etc/systemd/unit"
            original = snapshot(node.root)
            node.apply({"etc/systemd/unit": "whole\n"})
            unit.write_bytes(b"theirs\n")
            if not killed_at(moment, lambda: node.apply({"etc/systemd/unit": UNITS}, force=True)):
                break
            try:
                node.restore()
            except Refusal:
                assert unit.read_bytes() == b"theirs\n"
                node.restore(force=True)
            assert snapshot(node.root) == original, moment


NAMES = ["etc/plain", "etc/link", "etc/odd", "etc/systemd/unit", "etc/a", "etc/a/b", "etc/a/b/c", "etc/a/d", "etc/sysctl.d/70-gone.conf", "etc/new.conf"]
TEXTS = st.text(max_size=5)
LINES = st.dictionaries(st.sampled_from(["plain", "[Unit]", "value = 0", "ours"]), st.sampled_from(["", "\n", "# 1\n# 2", "# 2"]), min_size=1)
CONTENTS = st.one_of(
    st.none(),
    TEXTS,
    st.tuples(TEXTS, st.sampled_from(["0600", "0755"])),
    st.sampled_from([Link("plain"), Link("/x")]),
    st.just("ours\n"),
    LINES.map(lambda pairs: Lines(tuple(pairs.items()))),
)


@st.composite
def file_sets(draw):
    wanted = draw(st.dictionaries(st.sampled_from(NAMES), CONTENTS, max_size=6))
    return {name: content for name, content in wanted.items() if not any(name.startswith(other + "/") for other in wanted)}


def without_leftovers(found):
    """A snapshot without what a run that was cut off leaves, which the next one may take away although it refuses."""
    return {name: entry for name, entry in found.items() if ".kubeproxy.ipvs-" not in name and (not name.startswith("var/kept") or name.endswith("/hold.json"))}


RUNS = st.tuples(
    st.one_of(st.just("restore"), file_sets()),
    st.one_of(st.none(), st.dictionaries(st.sampled_from(["proc/value", "proc/other"]), st.sampled_from([None, "1", "2"]))),
    st.one_of(st.just(0), st.integers(1, 60)),
)


@settings(max_examples=60)
@given(st.lists(RUNS, max_size=6))
def test_any_sequence_of_runs_some_of_them_killed(runs):
    with tempfile.TemporaryDirectory() as directory:
        node = Node(os.path.join(directory, "node"))
        original = snapshot(node.root)
        for files, values, moment in runs:

            def deed(files=files, values=values):
                node.restore() if files == "restore" else node.apply(files, values)

            before = snapshot(node.root)
            try:
                if not killed_at(moment or sys.maxsize, deed) and files != "restore":
                    assert node.apply(files, values)["changed"] is False
            except Refusal as error:
                refused = ("is put back, and is not a directory then", "is not a directory", "is a directory", "is not UTF-8 text", "is named twice")
                assert any(words in str(error) for words in refused)
                assert without_leftovers(snapshot(node.root)) == without_leftovers(before)
        node.restore()
        assert snapshot(node.root) == original
