# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines of somebody else's file give way to ours, and come back, whatever others did to it meanwhile."""

from __future__ import annotations

import stat

import pytest
from recorded_node import MARKED, RECORD, SYSCTL, SYSCTL_MARKED, Lines, Link, actions, contents, snapshot

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_paths import Refusal


class TestLines:
    def test_there_and_back(self, node, sysctl):
        before = snapshot(node.root)
        wanted = {"etc/sysctl.conf": MARKED}
        foretold = node.apply(wanted, check_mode=True)
        assert snapshot(node.root) == before
        result = node.apply(wanted)
        assert (result, result["changed"], actions(result)) == (foretold, True, ["changed"])
        after = snapshot(node.root)
        assert after["etc/sysctl.conf"][5] == SYSCTL_MARKED
        # Mode, owner, attributes and time are those that it had.
        assert after["etc/sysctl.conf"] == [*before["etc/sysctl.conf"][:5], SYSCTL_MARKED, before["etc/sysctl.conf"][6]]
        assert {name for name in after if before.get(name) != after[name]} == {"etc/sysctl.conf", "var/kept", "var/kept/hold.json"}
        result = node.apply({"etc/sysctl.conf": Lines(MARKED.pairs[::-1])})
        assert (result["changed"], actions(result), result["diff"]) == (False, ["unchanged"], [])
        assert snapshot(node.root) == after
        foretold = node.restore(check_mode=True)
        assert snapshot(node.root) == after
        result = node.restore()
        assert (result, actions(result), result["not_restored"]) == (foretold, ["restored"], [])
        assert snapshot(node.root) == before

    def test_the_diff(self, node):
        (node.root / "etc/plain").write_text("one\ntwo\n")
        diff = node.apply({"etc/plain": Lines.of(("one", "eins"))}, check_mode=True)["diff"]
        assert diff == [{"before": "one\ntwo\n", "after": "eins\ntwo\n", "before_header": node.file("etc/plain"), "after_header": node.file("etc/plain")}]

    def test_letters(self, node):
        (node.root / "etc/plain").write_text("gr\u00fc\u00dfe\n")
        node.apply({"etc/plain": Lines.of(("gr\u00fc\u00dfe", "\u4e2d"))})
        assert (node.root / "etc/plain").read_text() == "\u4e2d\n"

    @pytest.mark.parametrize("name", ["etc/plain", "etc/nothing", "etc/no/where", "etc/plain/below", "etc/dangling"])
    def test_nothing_to_replace(self, node, name):
        (node.root / "etc/dangling").symlink_to("nothing")
        before = snapshot(node.root)
        for check_mode in (True, False):
            result = node.apply({name: Lines.of(("mode = 0", ""))}, check_mode=check_mode)
            assert (result["changed"], actions(result), result["diff"]) == (False, ["unchanged"], [])
        assert snapshot(node.root) == before

    def test_some_with_something_to_replace_and_some_without(self, node, sysctl):
        before = snapshot(node.root)
        wanted = {"etc/plain": MARKED, "etc/new/file": "ours", "etc/sysctl.conf": MARKED, "etc/new/other": MARKED}
        result = node.apply(wanted)
        assert [(entry["path"], entry["action"]) for entry in result["files"]] == [
            (node.file("etc/plain"), "unchanged"),
            (node.file("etc/new/file"), "created"),
            (node.file("etc/sysctl.conf"), "changed"),
            (node.file("etc/new/other"), "unchanged"),
        ]
        assert [entry["path"] for entry in node.record()["files"]] == [node.file("etc/new/file"), node.file("etc/sysctl.conf")]
        assert node.apply(wanted)["changed"] is False
        # A directory is not kept for a file that is not recorded.
        assert node.apply({"etc/new/other": MARKED})["changed"] is True
        assert snapshot(node.root) == before

    def test_what_is_no_longer_listed_comes_back(self, node, sysctl):
        before = snapshot(node.root)
        node.apply({"etc/sysctl.conf": MARKED})
        result = node.apply({"etc/sysctl.conf": Lines.of(("mode = 0 ", "mode = 1"))})
        assert actions(result) == ["changed"]
        assert sysctl.read_bytes() == SYSCTL.replace(b"mode = 0 \n", b"mode = 1\n")
        entry = node.record()["files"][0]
        assert len(entry["written"]) == len(entry["lines"]) == 1
        result = node.apply({"etc/sysctl.conf": Lines.of(("none of them", ""))})
        assert (result["changed"], actions(result)) == (True, ["restored"])
        assert snapshot(node.root) == before

    def test_a_mode_that_others_set_stays(self, node, sysctl):
        node.apply({"etc/sysctl.conf": MARKED})
        sysctl.chmod(0o600)
        assert node.apply({"etc/sysctl.conf": MARKED})["changed"] is False
        node.apply({"etc/sysctl.conf": Lines.of(("other = 1", ""))})
        assert stat.S_IMODE(sysctl.stat().st_mode) == 0o600
        node.restore()
        assert (sysctl.read_bytes(), stat.S_IMODE(sysctl.stat().st_mode)) == (SYSCTL, 0o640)

    def test_what_others_added_is_kept(self, node, sysctl):
        node.apply({"etc/sysctl.conf": MARKED})
        sysctl.write_bytes(b"# theirs \xfe\n" + SYSCTL_MARKED + b"\ntheirs = 1\n")
        before = snapshot(node.root)
        foretold = node.restore(check_mode=True)
        assert snapshot(node.root) == before
        result = node.restore()
        assert result == foretold
        assert (result["changed"], actions(result), result["not_restored"]) == (True, ["restored_lines"], [])
        assert sysctl.read_bytes() == b"# theirs \xfe\n" + SYSCTL + b"\ntheirs = 1\n"
        assert not node.directory.exists()

    def test_what_others_added_is_part_of_the_original(self, node, sysctl):
        node.apply({"etc/sysctl.conf": MARKED})
        sysctl.write_bytes(SYSCTL_MARKED + b"\ntheirs = 1\n")
        sysctl.chmod(0o600)
        result = node.apply({"etc/sysctl.conf": MARKED})
        assert (result["changed"], actions(result), result["not_restored"]) == (True, ["unchanged"], [])
        assert node.apply({"etc/sysctl.conf": MARKED})["changed"] is False
        sysctl.write_bytes(sysctl.read_bytes() + b"mode = 0\n")
        assert actions(node.apply({"etc/sysctl.conf": Lines.of(("mode = 0", "mode = 2"))})) == ["changed"]
        assert sysctl.read_bytes() == (SYSCTL + b"\ntheirs = 1\nmode = 0\n").replace(b"mode = 0\r", b"mode = 2\r").replace(b"mode = 0\n", b"mode = 2\n")
        assert actions(node.restore()) == ["restored"]
        assert (sysctl.read_bytes(), stat.S_IMODE(sysctl.stat().st_mode)) == (SYSCTL + b"\ntheirs = 1\nmode = 0\n", 0o600)

    def test_what_others_added_stays_when_nothing_is_wanted_any_more(self, node, sysctl):
        node.apply({"etc/sysctl.conf": MARKED, "etc/link": "ours"})
        sysctl.write_bytes(SYSCTL_MARKED + b"\ntheirs = 1\n")
        result = node.apply({"etc/link": "ours"})
        assert (actions(result), result["not_restored"]) == (["restored_lines", "unchanged"], [])
        assert sysctl.read_bytes() == SYSCTL + b"\ntheirs = 1\n"
        assert [entry["path"] for entry in node.record()["files"]] == [node.file("etc/link")]

    def test_force_overwrites_what_others_changed(self, node, sysctl):
        before = snapshot(node.root)
        for put_back in (lambda: node.restore(force=True), lambda: node.apply({}, force=True)):
            node.apply({"etc/sysctl.conf": MARKED})
            sysctl.write_bytes(SYSCTL_MARKED + b"\ntheirs = 1\n")
            assert actions(put_back()) == ["restored"]
            assert snapshot(node.root) == before

    def test_force_keeps_what_others_changed_where_lines_stay_wanted(self, node, sysctl):
        node.apply({"etc/sysctl.conf": MARKED})
        sysctl.write_bytes(SYSCTL_MARKED + b"\ntheirs = 1\n")
        node.apply({"etc/sysctl.conf": Lines.of(("other = 1", ""))}, force=True)
        assert sysctl.read_bytes() == SYSCTL.replace(b"other = 1\n", b"") + b"\ntheirs = 1\n"

    @pytest.mark.parametrize(
        ("theirs", "reason"),
        [
            (b"all theirs\n", "somebody else changed it afterwards, and what had taken the place of 3 of its lines is not there any more"),
            (b"mode = 0\nother = 1\nmode = 0\n# new\n", None),
            (None, "it does not exist"),
        ],
    )
    def test_nothing_of_ours_is_there_any_more(self, node, sysctl, theirs, reason):
        node.apply({"etc/sysctl.conf": MARKED, "etc/link": "ours"})
        sysctl.unlink()
        if theirs:
            sysctl.write_bytes(theirs)
        before = contents(node.root)
        for put_back in (node.restore, lambda **more: node.apply({"etc/link": "ours"}, **more)):
            foretold = put_back(check_mode=True)
            assert [entry["action"] for entry in foretold["files"] if entry["path"] == str(sysctl)] == ["unchanged"]
            assert foretold["not_restored"] == ([{"path": str(sysctl), "reason": reason}] if reason else [])
        assert put_back() == foretold
        assert contents(node.root) == before
        assert [entry["path"] for entry in node.record()["files"]] == [node.file("etc/link")]
        result = node.restore()
        assert (result["not_restored"], contents(node.root).get("etc/sysctl.conf", [None])[-1]) == ([], theirs)

    def test_a_directory_in_place_of_the_file(self, node, sysctl):
        node.apply({"etc/sysctl.conf": MARKED})
        sysctl.rename(node.root / "etc/kept")
        sysctl.mkdir()
        for deed in (node.restore, lambda: node.apply({"etc/sysctl.conf": MARKED})):
            with pytest.raises(Refusal, match="sysctl.conf is a directory"):
                deed()
        sysctl.rmdir()
        (node.root / "etc/kept").rename(sysctl)
        node.restore()
        assert sysctl.read_bytes() == SYSCTL

    def test_links_are_followed(self, node, sysctl):
        before = snapshot(node.root)
        (node.root / "etc/sysctl.d/99.conf").symlink_to("98.conf")
        (node.root / "etc/sysctl.d/98.conf").symlink_to("../moved/../sysctl.conf")
        (node.root / "etc/moved").symlink_to("systemd")
        for name in ("etc/sysctl.d/99.conf", "etc/sysctl.d/98.conf", "etc/sysctl.conf"):
            result = node.apply({name: MARKED})
            assert result["files"] == [{"path": str(sysctl), "action": "changed" if name.endswith("99.conf") else "unchanged"}]
        assert (node.root / "etc/sysctl.d/99.conf").is_symlink()
        assert [entry["path"] for entry in node.record()["files"]] == [str(sysctl)]
        for other in (MARKED, "a whole file"):
            with pytest.raises(Refusal, match=r"etc/sysctl\.conf is named twice"):
                node.apply({"etc/sysctl.d/99.conf": MARKED, "etc/sysctl.conf": other})
        node.restore()
        for name in ("etc/sysctl.d/99.conf", "etc/sysctl.d/98.conf", "etc/moved"):
            (node.root / name).unlink()
        assert snapshot(node.root) == before

    def test_links_that_cannot_be_followed(self, node):
        (node.root / "etc/loop").symlink_to("loop")
        (node.root / "etc/here").symlink_to(".")
        (node.root / "etc/kept").symlink_to("../var/kept/hold.json")
        before = snapshot(node.root)
        for name, words in (
            ("etc/loop", "etc/loop cannot be read: its path is a loop of symbolic links"),
            ("etc/odd", "etc/odd cannot be read: it is a link to a path that is not UTF-8 text"),
            ("etc/here", "etc is a directory"),
            ("etc/kept", "hold.json is where the records are kept"),
        ):
            with pytest.raises(Refusal, match=words):
                node.apply({name: MARKED})
        assert snapshot(node.root) == before

    def test_a_file_that_others_make_a_link(self, node, sysctl):
        before = snapshot(node.root)
        node.apply({"etc/sysctl.conf": MARKED})
        sysctl.rename(node.root / "etc/moved")
        sysctl.symlink_to("moved")
        assert node.apply({"etc/sysctl.conf": MARKED})["changed"] is False
        result = node.restore()
        assert result["files"] == [{"path": node.file("etc/moved"), "action": "restored"}]
        (node.root / "etc/moved").rename(sysctl)
        assert snapshot(node.root) == before

    def test_two_files_that_others_make_one(self, node, sysctl):
        node.write("etc/second", b"mode = 0\n# second\n", 0o644)
        node.apply({"etc/sysctl.conf": MARKED, "etc/second": MARKED})
        sysctl.unlink()
        sysctl.symlink_to("second")
        with pytest.raises(Refusal, match="etc/second is named twice"):
            node.apply({"etc/sysctl.conf": MARKED, "etc/second": MARKED})
        result = node.restore()
        assert result["not_restored"] == [{"path": str(sysctl), "reason": "somebody else changed it afterwards"}]
        assert (sysctl.is_symlink(), sysctl.read_bytes()) == (True, b"mode = 0\n# second\n")

    def test_a_whole_file_in_place_of_lines_and_back(self, node, sysctl):
        before = snapshot(node.root)
        for wanted in (MARKED, ("ours", "0600"), MARKED, None, MARKED, Link("plain"), MARKED):
            node.apply({"etc/sysctl.conf": wanted})
            assert node.apply({"etc/sysctl.conf": wanted})["changed"] is False
            now = snapshot(node.root)["etc/sysctl.conf"] if wanted is MARKED else None
            assert now in (None, [*before["etc/sysctl.conf"][:5], SYSCTL_MARKED, before["etc/sysctl.conf"][6]])
        node.restore()
        assert snapshot(node.root) == before

    def test_lines_where_a_link_was(self, node, sysctl):
        """What was there before is a link: the lines are those of the file that it leads to again."""
        (node.root / "etc/99.conf").symlink_to("sysctl.conf")
        before = snapshot(node.root)
        node.apply({"etc/99.conf": "ours"})
        assert node.apply({"etc/99.conf": MARKED})["changed"] is True
        assert ((node.root / "etc/99.conf").is_symlink(), sysctl.read_bytes()) == (True, SYSCTL_MARKED)
        assert node.apply({"etc/99.conf": MARKED})["changed"] is False
        node.restore()
        assert snapshot(node.root) == before

    @pytest.mark.parametrize("whole", ["ours", None])
    def test_lines_where_others_changed_a_whole_file_of_ours(self, node, sysctl, whole):
        before = snapshot(node.root)
        node.apply({"etc/sysctl.conf": whole})
        sysctl.write_bytes(b"mode = 0\n")
        with pytest.raises(Refusal, match="the record has a whole file of that name, and somebody else changed it afterwards"):
            node.apply({"etc/sysctl.conf": MARKED})
        node.apply({"etc/sysctl.conf": MARKED}, force=True)
        assert sysctl.read_bytes() == SYSCTL_MARKED
        # What came of the whole file is no obstacle any more, and no part of an original either.
        sysctl.write_bytes(SYSCTL_MARKED + b"\ntheirs\n")
        node.restore()
        assert sysctl.read_bytes() == SYSCTL + b"\ntheirs\n"
        sysctl.write_bytes(SYSCTL)
        assert snapshot(node.root)["etc/sysctl.conf"][5] == before["etc/sysctl.conf"][5]

    def test_a_whole_file_where_others_changed_lines(self, node, sysctl):
        node.apply({"etc/sysctl.conf": MARKED})
        sysctl.write_bytes(SYSCTL_MARKED + b"\ntheirs = 1\n")
        node.apply({"etc/sysctl.conf": "ours"})
        node.restore()
        assert sysctl.read_bytes() == SYSCTL + b"\ntheirs = 1\n"

    def test_below_what_is_put_back(self, node):
        (node.root / "etc/systemd/unit").write_bytes(b"mode = 0\n")
        before = snapshot(node.root)
        node.apply({"etc/a": Link("systemd")})
        wanted = {"etc/a/unit": MARKED}
        foretold = node.apply(wanted, check_mode=True)
        result = node.apply(wanted)
        assert (result, actions(result)) == (foretold, ["restored", "unchanged"])
        assert snapshot(node.root) == before

    def test_where_a_directory_was(self, node):
        before = snapshot(node.root)
        node.apply({"etc/a/b": "ours"})
        for _turn in range(2):
            assert actions(node.apply({"etc/a": MARKED}))[-1] == "unchanged"
            assert snapshot(node.root) == before

    def test_below_a_link_that_others_changed(self, node):
        """Our link is theirs now, and stays recorded; lines below it are those of the file that is seen there."""
        (node.root / "etc/systemd/unit").write_bytes(b"mode = 0\n")
        original = snapshot(node.root)
        node.apply({"etc/a": Link("systemd")})
        (node.root / "etc/a").unlink()
        (node.root / "etc/a").symlink_to(node.file("etc/systemd"))
        wanted = {"etc/a/unit": MARKED}
        assert actions(node.apply(wanted)) == ["changed"]
        assert node.apply(wanted)["changed"] is False
        assert [entry["path"] for entry in node.record()["files"]] == [node.file("etc/a"), node.file("etc/a/unit")]
        before = snapshot(node.root)
        with pytest.raises(Refusal, match="etc/a/unit cannot be written: .*etc/a is put back, and is not a directory then"):
            node.apply(wanted, force=True)
        assert snapshot(node.root) == before
        node.restore(force=True)
        assert snapshot(node.root) == original

    @pytest.mark.parametrize("force", [False, True])
    def test_values_alone_leave_the_lines(self, node, sysctl, force):
        node.apply({"etc/sysctl.conf": MARKED})
        sysctl.write_bytes(SYSCTL_MARKED + b"\ntheirs = 1\n")
        before = snapshot(node.root)
        assert node.apply(values={}, force=force)["changed"] is False
        assert snapshot(node.root) == before

    def test_of_another_record(self, node, sysctl):
        node.apply({"etc/sysctl.conf": MARKED}, name="mode")
        with pytest.raises(Refusal, match=r"etc/sysctl\.conf is kept in the record mode already"):
            node.apply({"etc/sysctl.conf": Lines.of(("mode = 0 ", ""))})

    @pytest.mark.parametrize(
        ("pairs", "words"),
        [
            ([], "etc/plain: its lines are an empty list"),
            ([("a\n", "")], r"etc/plain: its line 'a\\n' is not one line"),
            ([("a\rb", "")], r"etc/plain: its line 'a\\rb' is not one line"),
            ([("", "a")], "etc/plain: its line '' is not one line"),
            ([("a", "b"), ("a", "c")], "etc/plain: its line a is named twice"),
            ([("a", "# a\na\r\n")], "etc/plain: the replacement of its line a holds a line that is to be replaced: a"),
            ([("a", "b\n"), ("b", "")], "etc/plain: the replacement of its line a holds a line that is to be replaced: b"),
            ([(1, "")], "etc/plain: its line is not text but of type int"),
            ([("a", None)], "etc/plain: its replacement is not text but of type NoneType"),
            ([("a", "\ud800")], "etc/plain: its replacement is not UTF-8 text"),
        ],
    )
    def test_refusals(self, node, pairs, words):
        before = snapshot(node.root)
        with pytest.raises(Refusal, match=words):
            node.apply({"etc/link": "ours", "etc/plain": Lines(tuple(pairs))})
        assert snapshot(node.root) == before

    @pytest.mark.parametrize(
        "lines",
        [
            "1",
            '{"sha256:1": 1}',
            '{"sha256:1": [["a", "b", "c"]]}',
            '{"sha256:1": [[1, []]]}',
            '{"sha256:1": [["a", [1]]]}',
            "{}",
        ],
    )
    def test_a_damaged_record(self, node, lines):
        node.directory.mkdir(mode=0o700)
        entry = '{"path": "/x", "original": {"kind": "absent"}, "written": ["sha256:1"], "lines": %s}'
        (node.directory / "hold.json").write_text(RECORD % (entry % lines, ""))
        (node.directory / "hold.json").chmod(0o600)
        with pytest.raises(Refusal, match="a damaged one"):
            node.restore()
