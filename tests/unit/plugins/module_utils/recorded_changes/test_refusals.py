# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is refused, by the code or by the system, changes nothing."""

from __future__ import annotations

import errno
import os
import shutil
import sys

import pytest
from cut_off import CUT, Fresh, interfere, marked, marked_otherwise
from recorded_node import FIRST, RECORD, ROOT, VALUES, Link, snapshot

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.record_store import RecordStore
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_changes import RecordedChanges
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_paths import Refusal


class TestRefusals:
    """Nothing is changed by what is refused, and the sentence names the path."""

    @pytest.mark.parametrize(
        ("files", "words"),
        [
            ({"etc/sysctl.d": "x"}, r"etc/sysctl\.d is a directory"),
            ({"etc/sysctl.d": None}, r"etc/sysctl\.d is a directory"),
            ({"etc/pipe": "x"}, "etc/pipe is neither a regular file nor a symbolic link"),
            ({"etc/loop/file": "x"}, "etc/loop/file cannot be read: its path is a loop of symbolic links"),
            ({"etc/plain/below": "x"}, "etc/plain/below cannot be written: .*etc/plain is not a directory"),
            ({"etc/odd/below": "x"}, "cannot be written: .* is a link that leads nowhere|is not UTF-8"),
            ({"etc/dangling/below": "x"}, None),
            ({"etc/" + "x" * 300: "x"}, "cannot be read: the name is too long"),
            ({"etc/huge": "x"}, "etc/huge is longer than 8388608 bytes"),
            ({"etc/x": "x", "etc/x/y": "x"}, "etc/x is to be a file and the directory of .*etc/x/y"),
            ({"var/kept/mine": "x"}, "var/kept/mine is where the records are kept"),
            ({"var/kept": "x"}, "var/kept is where the records are kept"),
            ({"etc/mode": ("x", "420")}, 'the mode 420 is not an octal number'),
            ({"etc/mode": ("x", "u=rw")}, "the mode u=rw is not"),
            ({"etc/none": ({"a": 1}, "0644")}, "etc/none: its content is not text but of type dict"),
            ({"etc/none": (1, "0644")}, "etc/none: its content is not text but of type int"),
            ({"etc/none": (False, "0644")}, "etc/none: its content is not text but of type bool"),
            ({"etc/none": (None, "0644")}, "etc/none needs exactly one of content, link, lines and absent"),
            ({"etc/none": Link("")}, "etc/none: its link has no target"),
            ({"etc/none": Link("a\0b")}, "etc/none: its link has no target"),
            ({"etc/..": "x"}, "is not the absolute path of a file"),
        ],
    )
    def test_files(self, node, files, words):
        os.mkfifo(node.root / "etc/pipe")
        (node.root / "etc/loop").symlink_to("loop")
        (node.root / "etc/dangling").symlink_to("nothing")
        with open(node.root / "etc/huge", "wb") as huge:
            huge.truncate(8 * 1024 * 1024 + 1)
        before = {name: entry for name, entry in snapshot(node.root).items() if name != "etc/huge"}
        if words is None:
            # A link that leads nowhere names the directory that it leads to.
            node.apply(files)
            node.restore()
        else:
            for check_mode in (True, False):
                with pytest.raises(Refusal, match=words):
                    node.apply({"etc/new": "x", **files}, check_mode=check_mode)
        assert {name: entry for name, entry in snapshot(node.root).items() if name != "etc/huge"} == before

    def test_a_file_older_than_1970(self, node):
        os.utime(node.root / "etc/plain", ns=(0, -(10**18) - 1))
        before = snapshot(node.root)
        node.apply({"etc/plain": "ours"})
        node.restore()
        assert snapshot(node.root) == before
        assert (node.root / "etc/plain").stat().st_mtime_ns == -(10**18) - 1

    def test_two_kinds_at_once(self, node):
        with pytest.raises(Refusal, match="needs exactly one of"):
            node.changes().apply([{"path": "/etc/x", "content": "", "link": "y"}])
        for path in ("etc/x", "/etc/", "/", "", "/etc/.", "/etc/\0"):
            with pytest.raises(Refusal, match=f"path: {path or 'an empty text'} is not the absolute path of a file"):
                node.changes().apply([{"path": path, "content": ""}])
        with pytest.raises(Refusal, match=r"path: .* is not UTF-8 text"):
            node.changes().apply([{"path": "/etc/\udcff", "content": ""}])

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("", "is not a record, or a damaged one"),
            ("{", "is not a record, or a damaged one"),
            ("[]", "is not a record, or a damaged one"),
            ("null", "is not a record, or a damaged one"),
            ('{"schema": 1}', "is not a record, or a damaged one"),
            (RECORD % ('{"path": "/x", "original": {"kind": "file"}, "written": []}', ""), ".*damaged"),
            (RECORD % ('{"path": "x", "original": {"kind": "absent"}, "written": []}', ""), ".*damaged"),
            (RECORD % ("", '{"path": "/x", "original": 1}'), ".*damaged"),
            (RECORD % ("", '{"path": "/x\\u0000", "original": "1"}'), ".*damaged"),
            *[
                (RECORD % (f'{{"path": "/x", "original": {{"kind": "file", "content": "", {state}}}, "written": []}}', ""), ".*damaged")
                for state in (
                    '"mode": "0644", "uid": Infinity, "gid": 0, "mtime_ns": 0',
                    '"mode": "0644", "uid": -1, "gid": 0, "mtime_ns": 0',
                    '"mode": "0644", "uid": 0, "gid": 4294967295, "mtime_ns": 0',
                    '"mode": "20000", "uid": 0, "gid": 0, "mtime_ns": 0',
                    '"mode": "0644", "uid": 0, "gid": 0, "mtime_ns": 0, "context": 1',
                )
            ],
            ('{"schema": 2}', r"was written by a newer version of the collection \(schema 2, not 1\)"),
            (b"\xff", "is not a record, or a damaged one"),
        ],
    )
    def test_a_damaged_or_newer_record(self, node, content, words):
        node.directory.mkdir(mode=0o700)
        (node.directory / "hold.json").write_bytes(content if isinstance(content, bytes) else content.encode())
        (node.directory / "hold.json").chmod(0o600)
        before = snapshot(node.root)
        for deed in (lambda **more: node.apply({"etc/plain": "ours"}, **more), node.restore):
            for check_mode in (False, True):
                with pytest.raises(Refusal, match=r"kept/hold\.json " + words):
                    deed(check_mode=check_mode)
        assert snapshot(node.root) == before

    def test_a_record_that_others_could_have_written(self, node):
        node.apply({"etc/plain": "ours"})
        (node.directory / "hold.json").chmod(0o666)
        with pytest.raises(Refusal, match=r"hold\.json is not used: others than root could have written it"):
            node.restore()
        (node.directory / "hold.json").chmod(0o600)
        node.directory.chmod(0o777)
        with pytest.raises(Refusal, match=r"var/kept is not used"):
            node.restore()
        node.directory.chmod(0o700)
        if ROOT:
            os.chown(node.directory / "hold.json", 1234, -1)
            with pytest.raises(Refusal, match=r"hold\.json is not used"):
                node.restore()

    def test_a_file_of_another_record(self, node):
        original = snapshot(node.root)
        node.apply({"etc/plain": "ours"}, name="mode")
        before = snapshot(node.root)
        (node.directory / "broken.json").write_text("{")
        with pytest.raises(Refusal, match=r"etc/plain is kept in the record mode already"):
            node.apply({"etc/plain": "x"})
        (node.directory / "broken.json").unlink()
        assert snapshot(node.root) == before
        node.apply({"etc/link": "x"})
        node.restore()
        copy = shutil.copy(node.directory / "mode.json", node.directory / "mode.json.bak")
        node.restore(name="mode")
        node.apply({"etc/plain": "x"})
        node.restore()
        os.unlink(copy)
        node.directory.rmdir()
        assert snapshot(node.root) == original

    @pytest.mark.parametrize("name", ["", "A", "a/b", "..", "a b", "ä", "x" * 65, "a\n"])
    def test_names(self, node, name):
        with pytest.raises(Refusal, match="name: "):
            node.changes(name=name)

    def test_directories(self, node):
        with pytest.raises(Refusal, match=r"var/no/where cannot be made: there is no .*var/no"):
            RecordedChanges(node.file("var/no/where"), "hold").apply([])
        changes = RecordedChanges(node.file("var/no/where"), "hold")
        changes.restore()
        assert changes.changed is False
        with pytest.raises(Refusal, match=r"etc/plain is not a directory"):
            RecordedChanges(node.file("etc/plain"), "hold").apply([])
        with pytest.raises(Refusal, match=r"directory: var is not an absolute path"):
            RecordedChanges("var", "hold")
        for deed in (lambda changes: changes.apply([]), lambda changes: changes.restore()):
            with pytest.raises(Refusal, match=r"etc/plain/kept cannot be used: a part of its path is not a directory"):
                deed(RecordedChanges(node.file("etc/plain/kept"), "hold"))

    def test_what_is_no_file_of_ours(self, node):
        node.directory.mkdir(mode=0o700)
        (node.directory / "lock").symlink_to(node.file("etc/plain"))
        before = snapshot(node.root)
        with pytest.raises(Refusal, match=r"kept/lock cannot be written: its path is a loop"):
            node.apply({"etc/plain": "ours"})
        assert snapshot(node.root) == before
        (node.directory / "lock").rename(node.directory / "hold.json")
        with pytest.raises(Refusal, match=r"hold\.json cannot be read: its path is a loop"):
            node.apply({"etc/plain": "ours"})
        (node.directory / "hold.json").unlink()
        os.mkfifo(node.directory / "hold.json", 0o600)
        with pytest.raises(Refusal, match=r"hold\.json is not a file"):
            node.apply({"etc/plain": "ours"})
        assert (node.root / "etc/plain").read_bytes() == b"plain\n"

    @pytest.mark.skipif(ROOT, reason="root may write everywhere")
    def test_permission(self, node):
        (node.root / "etc/sysctl.d").chmod(0o500)
        before = snapshot(node.root)
        with pytest.raises(Refusal, match=r"etc/sysctl.d/60-old.conf cannot be written: permission denied. Nothing was changed"):
            node.apply(FIRST)
        assert snapshot(node.root) == before


@pytest.mark.parametrize(("prepare", "deed"), [*CUT[:3], (marked, marked_otherwise)], ids=lambda function: function.__name__)
class TestRefusedByTheSystem:
    REASONS = (("no space is left on its file system", errno.ENOSPC), ("its file system is read-only", errno.EROFS))

    def fail_at(self, moment, until, deed, node):
        """The sentence of a run whose calls fail from one number to the other, or None if it ends well."""

        def fail(number, name, arguments):
            if moment <= number < until:
                raise OSError(self.REASONS[moment % 2][1], "refused")

        take_back = interfere(fail)
        try:
            deed(node)
        except Refusal as error:
            return str(error)
        finally:
            take_back()
        return None

    def test_once(self, tmp_path, prepare, deed):
        fresh = Fresh(tmp_path, prepare)
        calls, refused = count_calls(fresh, deed), 0
        for moment in range(1, calls + 1):
            node, original = fresh()
            before = snapshot(node.root)
            sentence = self.fail_at(moment, moment + 1, deed, node)
            if sentence is not None:
                refused += 1
                assert self.REASONS[moment % 2][0] in sentence and str(node.root) in sentence
                assert snapshot(node.root) == before, (moment, sentence)
            node.restore()
            assert snapshot(node.root) == original, (moment, sentence)
        # Sweeping beforehand and taking the lock away afterwards may fail.
        assert refused > calls * 0.8

    def test_from_then_on(self, tmp_path, prepare, deed):
        fresh = Fresh(tmp_path, prepare)
        for moment in range(1, count_calls(fresh, deed) + 1, 3):
            node, original = fresh()
            sentence = self.fail_at(moment, sys.maxsize, deed, node)
            assert sentence is None or str(node.root) in sentence
            node.restore()
            assert snapshot(node.root) == original, (moment, sentence)


def count_calls(fresh, deed):
    node, _original = fresh()
    numbers = []
    take_back = interfere(lambda number, name, arguments: numbers.append(number))
    try:
        deed(node)
    finally:
        take_back()
    return len(numbers)


def test_a_failure_without_taking_back(node, monkeypatch):
    original = snapshot(node.root)
    rename = os.rename

    def refuse(source, target):
        if os.fspath(target).endswith(b"etc/link"):
            raise OSError(errno.EPERM, "Operation not permitted")
        rename(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", refuse)
        changes = node.changes(restore_on_failure=False)
        with pytest.raises(Refusal) as refused:
            changes.apply(node.listed({"etc/new/file": "ours", "etc/plain": "ours", "etc/link": "ours"}))
    names = ", ".join(node.file(name) for name in ("etc/new/file", "etc/plain", "etc/link"))
    assert str(refused.value).endswith(
        f"immutable. Changed until then: {names}. "
        f'"state: restored" puts back all that {node.directory}/hold.json lists.'
    )
    assert (changes.changed, (node.root / "etc/plain").read_text()) == (True, "ours")
    assert node.restore()["changed"] is True
    assert snapshot(node.root) == original


def test_a_failure_does_not_make_a_directory_that_others_removed(node, monkeypatch):
    node.apply({"etc/new/first": "ours", "etc/new/second": "ours"})
    shutil.rmtree(node.root / "etc/new")
    before = snapshot(node.root)
    with monkeypatch.context() as patched:
        patched.setattr(RecordStore, "write", refuse_to_write)
        with pytest.raises(Refusal, match=r"no space\. Nothing was changed\."):
            node.apply({"etc/plain": "ours"})
    assert snapshot(node.root) == before


def test_a_failure_at_the_first_change_without_taking_back(node, monkeypatch):
    before = snapshot(node.root)
    with monkeypatch.context() as patched:
        patched.setattr(RecordStore, "write", refuse_to_write)
        with pytest.raises(Refusal, match=r"no space\. No file was changed\. "):
            node.apply({"etc/plain": "ours"}, restore_on_failure=False)
    assert snapshot(node.root) == before


def test_putting_back_needs_no_space_for_the_record(node, monkeypatch):
    before = snapshot(node.root)
    node.apply(FIRST, VALUES)
    monkeypatch.setattr(RecordStore, "write", refuse_to_write)
    node.restore()
    assert snapshot(node.root) == before


def refuse_to_write(store, record):
    raise Refusal("no space")
