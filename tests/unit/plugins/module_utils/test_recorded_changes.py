# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is changed can be put back byte for byte, wherever a run is cut off or refused."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import errno
import fcntl
import json
import os
import pickle
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.record_store import RecordStore
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_changes import RecordedChanges
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_paths import Refusal

ROOT = os.geteuid() == 0
LONG_AGO = 1_234_567_890_123_456_789
RECORD = '{"schema": 1, "files": [%s], "directories": [], "values": [%s], "facts": {}}'
CHANGING_CALLS = ("open", "write", "fsync", "rename", "unlink", "mkdir", "rmdir", "fchown", "lchown", "fchmod", "utime", "symlink", "setxattr")


def attributes(path):
    try:
        return {name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)}
    except OSError:
        return {}


def snapshot(root):
    """All that is to be the same afterwards: {path: what stands there}. Times of directories are left out."""
    found = {}
    for path in sorted(Path(root).rglob("*")):
        status = path.lstat()
        entry = [stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, attributes(path)]
        if path.is_symlink():
            entry += [os.readlink(os.fsencode(path)), status.st_mtime_ns]
        elif path.is_file():
            entry += [path.read_bytes(), status.st_mtime_ns]
        name = str(path.relative_to(root))
        # Neither a record's time is restored nor a kernel value's, which has none of its own.
        found[name] = entry[:-1] if name.startswith(("proc/", "var/kept/")) else entry
    return found


def contents(root):
    """What stands where, without owners and times, and without the records."""
    return {path: [entry[0], entry[1], *entry[5:6]] for path, entry in snapshot(root).items() if path.split("/")[0] != "var"}


class Node:
    """A directory that stands for a node, and the record `hold` in it."""

    def __init__(self, root):
        self.root = Path(root)
        self.directory = self.root / "var/kept"
        for name in ("etc/sysctl.d", "etc/systemd", "var", "proc"):
            (self.root / name).mkdir(parents=True)
        self.write("etc/sysctl.d/60-old.conf", b"value = 0\n# \xff\xfe not UTF-8 \0\r\n", 0o600)
        self.write("etc/sysctl.d/70-gone.conf", b"", 0o640)
        self.write("etc/systemd/unit", b"[Unit]\n" * 3000, 0o4755)
        self.write("etc/plain", b"plain\n", 0o644)
        self.write("proc/value", b"0\n", 0o644)
        self.write("proc/other", b"4096\t131072\n", 0o644)
        (self.root / "etc/link").symlink_to("sysctl.d/60-old.conf")
        (self.root / "etc/odd").symlink_to(b"\xff/nowhere".decode(errors="surrogateescape"))
        for name in ("etc/link", "etc/odd"):
            os.utime(self.root / name, ns=(LONG_AGO, LONG_AGO + 1), follow_symlinks=False)
        if ROOT:
            os.chown(self.root / "etc/sysctl.d/60-old.conf", 1234, 5678)
            os.lchown(self.root / "etc/link", 1234, 5678)

    def write(self, name, content, mode):
        path = self.root / name
        path.write_bytes(content)
        with contextlib.suppress(OSError):
            os.setxattr(path, "user.note", b"\x01" + name.encode())
        path.chmod(mode)
        os.utime(path, ns=(LONG_AGO, LONG_AGO))

    def changes(self, name="hold", **options):
        return RecordedChanges(str(self.directory), name, **options)

    def apply(self, files=None, values=None, facts=None, **options):
        """The result of applying {name: text, Link or None} and {name: text to write or None}."""
        changes = self.changes(**options)
        changes.apply(self.listed(files), self.valued(values), facts)
        return changes.result()

    def listed(self, files):
        return None if files is None else [dict(wish(content), path=str(self.root / name)) for name, content in files.items()]

    def valued(self, values):
        return None if values is None else [{"path": str(self.root / name), "write": text} for name, text in values.items()]

    def restore(self, **options):
        changes = self.changes(**options)
        changes.restore()
        return changes.result()

    def record(self, name="hold"):
        return json.loads((self.directory / f"{name}.json").read_text())

    def file(self, name):
        return str(self.root / name)


@dataclasses.dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclasses.dataclass(frozen=True)
class Lines:
    """Lines to be replaced: pairs of one and the text that takes its place."""

    pairs: tuple

    @classmethod
    def of(cls, *pairs):
        return cls(pairs)


def wish(content):
    if content is None:
        return {"absent": True}
    if isinstance(content, Lines):
        return {"lines": [{"line": line, "replacement": replacement} for line, replacement in content.pairs]}
    if isinstance(content, Link):
        return {"link": content.target}
    text, mode = content if isinstance(content, tuple) else (content, "0644")
    return {"content": text, "mode": mode}


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path / "node")


def actions(result):
    return [entry["action"] for entry in result["files"]]


FIRST = {
    "etc/sysctl.d/60-old.conf": "value = 1\n",
    "etc/systemd/kube-proxy.service.d/deep/hold.conf": ("[Service]\n", "0600"),
    "etc/sysctl.d/70-gone.conf": None,
    "etc/sysctl.d/80-never.conf": None,
    "etc/link": "now a file\n",
    "etc/odd": Link("elsewhere"),
    "etc/systemd/unit": Link("/dev/null"),
    "etc/systemd/new": Link("unit"),
    "etc/a": "a file that is a directory later\n",
    "etc/systemd/kube-proxy.service.d/deep/too": "",
}
SECOND = {
    "etc/plain": ("grüße\n", "0755"),
    "etc/sysctl.d/60-old.conf": "value = 2\n",
    "etc/a/b": "below\n",
    "etc/systemd/kube-proxy.service.d/deep": "a directory that is a file now\n",
    "etc/odd": Link("elsewhere"),
    "etc/systemd/unit": "a file\n",
}
VALUES = {"proc/value": "1", "proc/other": None}
SYSCTL = b"# by hand \xff\r\nmode = 0\r\n\nmode = 0 \nother = 1\nmode = 0"
MARKED = Lines.of(("mode = 0", "# ours:\n# mode = 0\n"), ("other = 1", ""))
SYSCTL_MARKED = b"# by hand \xff\r\n# ours:\r\n# mode = 0\r\n\nmode = 0 \n# ours:\n# mode = 0"


class TestApplied:
    def test_what_it_does(self, node):
        before = contents(node.root)
        result = node.apply(FIRST, VALUES, {"why": "test"})
        after = contents(node.root)
        assert (result["changed"], result["facts"], result["not_restored"]) == (True, {"why": "test"}, [])
        assert result["record"] == str(node.directory / "hold.json")
        assert actions(result) == ["changed", "created", "removed", "unchanged", "changed", "changed", "changed", "created", "created", "created"]
        assert [entry["path"] for entry in result["files"]] == [node.file(name) for name in FIRST]
        assert result["kernel_values"] == [
            {"path": node.file("proc/value"), "before": "0", "after": "1"},
            {"path": node.file("proc/other"), "before": "4096\t131072", "after": "4096\t131072"},
        ]
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        directories = {"etc/systemd/kube-proxy.service.d", "etc/systemd/kube-proxy.service.d/deep"}
        assert changed == (FIRST.keys() | directories | {"proc/value"}) - {"etc/sysctl.d/80-never.conf"}
        assert after["etc/sysctl.d/60-old.conf"] == [stat.S_IFREG, 0o644, b"value = 1\n"]
        assert after["etc/systemd/kube-proxy.service.d/deep/hold.conf"] == [stat.S_IFREG, 0o600, b"[Service]\n"]
        assert after["etc/systemd/kube-proxy.service.d/deep"] == [stat.S_IFDIR, 0o755]
        assert after["etc/odd"][2] == b"elsewhere"
        assert after["proc/value"][2] == b"1\n"

    def test_owner_and_attributes_of_the_file_stay(self, node):
        old = node.root / "etc/sysctl.d/60-old.conf"
        before = (old.stat().st_uid, old.stat().st_gid, attributes(old))
        node.apply({"etc/sysctl.d/60-old.conf": "x"})
        assert (old.stat().st_uid, old.stat().st_gid, attributes(old)) == before

    def test_the_record(self, node):
        node.apply(FIRST, VALUES, {"why": "test"})
        record = node.record()
        assert (record["schema"], record["name"], record["facts"]) == (1, "hold", {"why": "test"})
        assert [entry["path"] for entry in record["files"]] == [node.file(name) for name in FIRST]
        first = record["files"][0]
        assert (first["original"]["mode"], first["original"]["mtime_ns"]) == ("0600", LONG_AGO)
        assert first["written"][0].startswith("sha256:")
        assert record["directories"] == [node.file("etc/systemd/kube-proxy.service.d"), node.file("etc/systemd/kube-proxy.service.d/deep")]
        assert record["values"][1] == {"path": node.file("proc/other"), "original": "4096\t131072\n"}
        assert os.listdir(node.directory) == ["hold.json"]
        assert stat.S_IMODE(node.directory.stat().st_mode) == 0o700
        assert stat.S_IMODE((node.directory / "hold.json").stat().st_mode) == 0o600

    def test_again_changes_nothing(self, node):
        node.apply(FIRST, VALUES, {"why": "test"})
        before, record = snapshot(node.root), (node.directory / "hold.json").stat()
        result = node.apply(FIRST, VALUES, {"why": "another time"})
        assert (node.directory / "hold.json").stat() == record
        assert (result["changed"], set(actions(result)), result["facts"], result["diff"]) == (False, {"unchanged"}, {"why": "test"}, [])
        assert snapshot(node.root) == before

    def test_what_is_there_already_is_recorded(self, node):
        wanted = {"etc/plain": "plain\n"}
        before = contents(node.root)
        result = node.apply(wanted)
        assert (result["changed"], actions(result)) == (True, ["unchanged"])
        assert node.apply(wanted)["changed"] is False
        assert contents(node.root) == before

    def test_nothing_wanted_leaves_nothing(self, node):
        before = snapshot(node.root)
        assert node.apply({}, {})["changed"] is False
        assert snapshot(node.root) == before

    def test_an_empty_set_puts_everything_back(self, node):
        before = snapshot(node.root)
        node.apply(FIRST, VALUES)
        assert node.apply({}, {})["changed"] is True
        assert snapshot(node.root) == before

    def test_a_mode_alone(self, node):
        node.apply({"etc/plain": ("plain\n", "0600")})
        assert stat.S_IMODE((node.root / "etc/plain").stat().st_mode) == 0o600
        result = node.apply({"etc/plain": ("plain\n", "0640")})
        assert [result["diff"][0][name][-11:] for name in ("before_header", "after_header")] == ["(mode 0600)", "(mode 0640)"]

    def test_what_others_changed_is_written_again(self, node):
        node.apply({"etc/plain": "ours"})
        (node.root / "etc/plain").write_text("theirs")
        assert actions(node.apply({"etc/plain": "ours"})) == ["changed"]
        node.restore()
        assert (node.root / "etc/plain").read_bytes() == b"plain\n"

    def test_what_others_changed_to_what_is_wanted_is_ours(self, node):
        before = snapshot(node.root)
        node.apply({"etc/plain": "ours"})
        (node.root / "etc/plain").write_text("theirs")
        assert node.apply({"etc/plain": "theirs"})["changed"] is True
        assert node.apply({"etc/plain": "theirs"})["changed"] is False
        node.restore()
        assert snapshot(node.root) == before

    def test_what_others_changed_is_theirs_also_after_it_was_overwritten(self, node):
        node.apply({"etc/plain": "ours"})
        for content in ("ours", "ours again"):
            (node.root / "etc/plain").write_text("theirs")
            node.apply({"etc/plain": content})
            (node.root / "etc/plain").write_text("theirs")
            with pytest.raises(Refusal, match="somebody else changed it afterwards"):
                node.restore()
        assert (node.root / "etc/plain").read_text() == "theirs"

    def test_umask_does_not_matter(self, node):
        umask = os.umask(0o077)
        try:
            node.apply(FIRST)
        finally:
            os.umask(umask)
        assert stat.S_IMODE((node.root / "etc/systemd/kube-proxy.service.d").stat().st_mode) == 0o755
        assert stat.S_IMODE((node.root / "etc/link").stat().st_mode) == 0o644

    def test_directories_that_are_links_give_a_file_one_name(self, node):
        before = snapshot(node.root)
        (node.root / "lib").symlink_to("etc")
        node.apply({"lib/plain": "ours"})
        assert node.record()["files"][0]["path"] == node.file("etc/plain")
        assert node.apply({"etc/plain": "ours"})["changed"] is False
        with pytest.raises(Refusal, match=r"etc/plain is named twice"):
            node.apply({"etc/plain": "ours", "lib/plain": "ours"})
        node.restore()
        (node.root / "lib").unlink()
        assert snapshot(node.root) == before

    def test_directories_that_become_links_do_not_make_ours_an_original(self, node):
        before = snapshot(node.root)
        wanted = {"etc/sysctl.d/60-old.conf": "ours"}
        node.apply(wanted)
        (node.root / "etc/sysctl.d").rename(node.root / "etc/moved")
        (node.root / "etc/sysctl.d").symlink_to("moved")
        assert node.apply(wanted)["changed"] is False
        assert node.apply({"etc/moved/60-old.conf": "ours again"})["changed"] is True
        assert [entry["path"] for entry in node.record()["files"]] == [node.file("etc/sysctl.d/60-old.conf")]
        node.restore()
        (node.root / "etc/sysctl.d").unlink()
        (node.root / "etc/moved").rename(node.root / "etc/sysctl.d")
        assert snapshot(node.root) == before


class TestSmallerSet:
    def test_what_is_no_longer_wanted_is_put_back(self, node):
        original = snapshot(node.root)
        node.apply(FIRST, VALUES)
        result = node.apply(SECOND)
        assert [entry["path"] for entry in result["files"] if entry["action"] == "restored"] == [
            node.file(name)
            for name in (
                "etc/systemd/kube-proxy.service.d/deep/too",
                "etc/a",
                "etc/systemd/new",
                "etc/link",
                "etc/sysctl.d/70-gone.conf",
                "etc/systemd/kube-proxy.service.d/deep/hold.conf",
            )
        ]
        now = snapshot(node.root)
        assert [now[name] == original[name] for name in ("etc/sysctl.d/70-gone.conf", "etc/link")] == [True, True]
        assert (now["etc/a/b"][5], now["etc/systemd/kube-proxy.service.d/deep"][0]) == (b"below\n", stat.S_IFREG)
        assert sorted(entry["path"] for entry in node.record()["files"]) == sorted(node.file(name) for name in SECOND)
        # Values were not named: they stay.
        assert now["proc/value"][5] == b"1\n"
        node.restore()
        assert snapshot(node.root) == original

    def test_a_directory_that_stays_in_use_stays_as_it_is(self, node):
        before = snapshot(node.root)
        node.apply({"etc/new/first": "ours"})
        (node.root / "etc/new").chmod(0o700)
        node.apply({"etc/new/second": "ours"})
        assert stat.S_IMODE((node.root / "etc/new").stat().st_mode) == 0o700
        node.restore()
        assert snapshot(node.root) == before

    @pytest.mark.parametrize("wanted", ["ours", None, MARKED])
    def test_a_directory_with_something_else_in_it_where_a_file_is_wanted(self, node, wanted):
        node.apply({"etc/a/b": "ours"})
        (node.root / "etc/a/theirs").write_text("theirs")
        before = snapshot(node.root)
        if wanted == MARKED:
            # There is no line in a directory, and nothing is asked of it.
            assert actions(node.apply({"etc/a": wanted})) == ["restored", "unchanged"]
            return
        with pytest.raises(Refusal, match=r"etc/a is a directory\. What this run had changed was put back: .*etc/a/b\.\Z"):
            node.apply({"etc/a": wanted})
        assert snapshot(node.root) == before

    def test_there_and_back_again(self, node):
        original = snapshot(node.root)
        for wanted in (FIRST, SECOND, FIRST, {}, SECOND, FIRST):
            node.apply(wanted)
            assert node.apply(wanted)["changed"] is False
        node.restore()
        assert snapshot(node.root) == original

    def test_what_is_put_back_where_a_directory_is_wanted(self, node):
        node.apply({"etc/link": "ours", "etc/a": Link("systemd")})
        before = snapshot(node.root)
        with pytest.raises(Refusal, match=r"etc/link/below cannot be written: .*etc/link is put back, and is not a directory then\Z"):
            node.apply({"etc/link/below": "ours"})
        assert snapshot(node.root) == before
        # A link of ours goes, so that it is not followed.
        node.apply({"etc/a/below": "ours"})
        assert (node.root / "etc/a").is_dir() and not (node.root / "etc/a").is_symlink()
        assert node.apply({"etc/a/below": "ours"})["changed"] is False
        node.apply({"etc/a": Link("systemd")})
        node.apply({"etc/a/deep/below": "ours"})
        assert (node.root / "etc/a").is_dir() and not (node.root / "etc/a").is_symlink()
        node.restore()

    def test_values_alone_leave_the_files(self, node):
        node.apply({"etc/plain": "ours"}, VALUES)
        result = node.apply(values={})
        assert (result["kernel_values"][0], result["files"]) == ({"path": node.file("proc/value"), "before": "1", "after": "0"}, [])
        assert (node.root / "etc/plain").read_text() == "ours"
        assert [entry["path"] for entry in node.record()["files"]] == [node.file("etc/plain")]

    def test_what_others_changed_stays_and_stays_recorded(self, node):
        original = snapshot(node.root)
        node.apply({"etc/plain": "ours", "etc/new": "ours"})
        (node.root / "etc/plain").write_text("theirs")
        result = node.apply({})
        assert (result["changed"], result["not_restored"]) == (
            True,
            [{"path": node.file("etc/plain"), "reason": "somebody else changed it afterwards"}],
        )
        assert (node.root / "etc/plain").read_text() == "theirs"
        assert node.apply({})["changed"] is False
        assert node.apply({}, force=True)["changed"] is True
        assert snapshot(node.root) == original


class TestRestored:
    def test_byte_for_byte(self, node):
        before = snapshot(node.root)
        node.apply(FIRST, VALUES, {"why": "test"})
        result = node.restore()
        assert snapshot(node.root) == before
        assert (result["changed"], result["facts"], result["not_restored"]) == (True, {"why": "test"}, [])
        assert result["kernel_values"][0] == {"path": node.file("proc/value"), "before": "1", "after": "0"}
        assert {entry["action"] for entry in result["files"]} == {"restored", "unchanged"}
        assert not node.directory.exists()

    def test_without_a_record(self, node):
        before = snapshot(node.root)
        assert node.restore()["changed"] is False
        assert snapshot(node.root) == before
        node.apply({"etc/plain": "ours"}, name="another")
        before = snapshot(node.root)
        assert node.restore()["changed"] is False
        assert snapshot(node.root) == before

    def test_a_directory_with_something_else_in_it_stays(self, node):
        node.apply({"etc/new/deep/file": "ours"})
        (node.root / "etc/new/theirs").write_text("theirs")
        assert node.restore()["changed"] is True
        assert os.listdir(node.root / "etc/new") == ["theirs"]
        assert not node.directory.exists()

    def test_what_others_changed(self, node):
        before = snapshot(node.root)
        node.apply({"etc/plain": "ours", "etc/link": "ours", "etc/sysctl.d/70-gone.conf": None, "etc/new/file": "ours"}, VALUES)
        (node.root / "etc/plain").write_text("theirs")
        (node.root / "etc/sysctl.d/70-gone.conf").write_text("theirs")
        (node.root / "etc/new/file").unlink()
        (node.root / "etc/new/file").symlink_to("theirs")
        changes = node.changes()
        with pytest.raises(Refusal) as refused:
            changes.restore()
        names = ("etc/new/file", "etc/sysctl.d/70-gone.conf", "etc/plain")
        assert all(f"{node.file(name)} (somebody else changed it afterwards)" in str(refused.value) for name in names)
        assert [entry["path"] for entry in changes.not_restored] == [node.file(name) for name in names]
        assert changes.changed is True
        now = snapshot(node.root)
        assert [now[name] == before[name] for name in ("etc/link", "proc/value")] == [True, True]
        assert [entry["path"] for entry in node.record()["files"]] == [node.file(name) for name in reversed(names)]
        changes = node.changes()
        with pytest.raises(Refusal):
            changes.restore()
        assert changes.changed is False
        assert node.restore(force=True)["changed"] is True
        assert snapshot(node.root) == before

    def test_what_others_put_back_is_no_obstacle(self, node):
        before = snapshot(node.root)
        node.apply({"etc/plain": "ours", "etc/sysctl.d/70-gone.conf": None})
        (node.root / "etc/sysctl.d/70-gone.conf").touch()
        (node.root / "etc/plain").write_text("plain\n")
        node.restore()
        assert snapshot(node.root) == before

    def test_another_mode_is_no_other_content(self, node):
        before = snapshot(node.root)
        node.apply({"etc/plain": "ours"})
        (node.root / "etc/plain").chmod(0o777)
        node.restore()
        assert snapshot(node.root) == before

    def test_a_directory_in_place_of_a_file(self, node):
        node.apply({"etc/plain": "ours"})
        (node.root / "etc/plain").unlink()
        (node.root / "etc/plain").mkdir()
        with pytest.raises(Refusal, match=r"etc/plain \(.*etc/plain is a directory\)\. Everything else is put back\.\Z"):
            node.restore()
        (node.root / "etc/plain").rmdir()
        node.restore(force=True)
        assert (node.root / "etc/plain").read_bytes() == b"plain\n"

    def test_a_directory_of_ours_in_place_of_what_others_removed(self, node):
        """It is in the way of the original as long as something of others is in it; the original stays recorded."""
        before = snapshot(node.root)
        node.apply({"etc/plain": "ours"})
        (node.root / "etc/plain").unlink()
        assert node.apply({"etc/plain/below": "ours"})["not_restored"] == [
            {"path": node.file("etc/plain"), "reason": "somebody else changed it afterwards"}
        ]
        (node.root / "etc/plain/theirs").write_text("theirs")
        assert node.apply({}, force=True)["not_restored"] == [{"path": node.file("etc/plain"), "reason": f"{node.file('etc/plain')} is a directory"}]
        for _turn in range(2):
            with pytest.raises(Refusal, match="etc/plain is a directory"):
                node.restore(force=True)
            assert [entry["path"] for entry in node.record()["files"]] == [node.file("etc/plain")]
        (node.root / "etc/plain/theirs").unlink()
        node.restore(force=True)
        assert snapshot(node.root) == before

    def test_one_that_cannot_be_written_does_not_keep_the_others(self, node, monkeypatch):
        before = snapshot(node.root)
        node.apply({"etc/plain": "ours", "etc/link": "ours"})
        rename = os.rename

        def refuse(source, target):
            if os.fspath(target).endswith(b"etc/link"):
                raise OSError(errno.EBUSY, "Device or resource busy")
            rename(source, target)

        with monkeypatch.context() as patched:
            patched.setattr(os, "rename", refuse)
            with pytest.raises(Refusal, match=r"etc/link cannot be written: it is in use"):
                node.restore()
        assert (node.root / "etc/plain").read_bytes() == b"plain\n"
        node.restore()
        assert snapshot(node.root) == before


@pytest.fixture
def sysctl(node):
    """A file with lines of somebody else's."""
    node.write("etc/sysctl.conf", SYSCTL, 0o640)
    if ROOT:
        os.chown(node.root / "etc/sysctl.conf", 1234, 5678)
    return node.root / "etc/sysctl.conf"


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


class TestCheckMode:
    def test_nothing_is_touched_and_everything_told(self, node):
        before = snapshot(node.root)
        foretold = node.apply(FIRST, VALUES, {"why": "test"}, check_mode=True)
        assert snapshot(node.root) == before
        assert foretold == node.apply(FIRST, VALUES, {"why": "test"})
        before = snapshot(node.root)
        foretold = node.apply(SECOND, {}, check_mode=True)
        assert snapshot(node.root) == before
        assert foretold == node.apply(SECOND, {})
        before = snapshot(node.root)
        foretold = node.restore(check_mode=True)
        assert snapshot(node.root) == before
        assert foretold == node.restore()
        assert node.restore(check_mode=True)["changed"] is False

    def test_the_diff(self, node):
        result = node.apply({"etc/plain": "ours\n", **FIRST}, VALUES, check_mode=True)
        diff = {entry["before_header"].removeprefix(f"{node.root}/").split(" ")[0]: entry for entry in result["diff"]}
        assert diff.keys() == ({"etc/plain", "proc/value"} | FIRST.keys()) - {"etc/sysctl.d/80-never.conf"}
        assert (diff["etc/plain"]["before"], diff["etc/plain"]["after"]) == ("plain\n", "ours\n")
        assert diff["etc/plain"]["after_header"] == node.file("etc/plain")
        assert diff["etc/sysctl.d/60-old.conf"]["before"].startswith("binary, 28 bytes, sha256 ")
        assert diff["etc/link"]["before"] == "link to sysctl.d/60-old.conf\n"
        assert diff["etc/systemd/kube-proxy.service.d/deep/hold.conf"]["before"] == ""
        assert (diff["proc/value"]["before"], diff["proc/value"]["after"]) == ("0\n", "1\n")
        json.dumps(result)

    def test_a_long_file(self, node):
        result = node.apply({"etc/plain": "x" * 200_000}, check_mode=True)
        assert result["diff"][0]["after"].startswith("long, 200000 bytes, sha256 ")

    def test_what_others_changed_is_told(self, node):
        node.apply({"etc/plain": "ours", "etc/link": "ours"})
        (node.root / "etc/plain").write_text("theirs")
        before = snapshot(node.root)
        changes = node.changes(check_mode=True)
        with pytest.raises(Refusal, match="somebody else"):
            changes.restore()
        assert (changes.changed, actions(changes.result())) == (True, ["restored", "not_restored"])
        assert snapshot(node.root) == before


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


def in_child(function):
    """(exit code, result) of a function in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reader)
            with os.fdopen(writer, "wb") as pipe:
                try:
                    result = function()
                except Refusal as error:
                    result = error
                pickle.dump(result if not isinstance(result, Refusal) else ("refused", str(result)), pipe)
            os._exit(0)
        except BaseException:  # nothing of a child may run on as a second pytest
            traceback.print_exc()
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, pickle.loads(data) if data else None


def interfere(deed, calls=CHANGING_CALLS):
    """Let DEED(number, name, arguments) come before each call that changes something; returns what takes that back."""
    number = 0
    real = {name: getattr(os, name) for name in calls}

    def wrap(name):
        def call(*arguments, **options):
            nonlocal number
            if name != "open" or arguments[1] & (os.O_CREAT | os.O_TRUNC):
                number += 1
                deed(number, name, arguments)
            return real[name](*arguments, **options)

        return call

    for name in calls:
        setattr(os, name, wrap(name))
    return lambda: [setattr(os, name, function) for name, function in real.items()]


class Killed(BaseException):
    """Comes in place of every change from a moment on: what runs afterwards in this process cannot change a thing either."""


def open_descriptors():
    # The listing's own is closed by then.
    return {int(name) for name in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{name}")}


def killed_at(moment, function):
    """Whether FUNCTION came to its call of that number, and no further; half of what it was about to write is written."""
    write, flock, held = os.write, fcntl.flock, []

    def kill(number, name, arguments):
        # A kernel value is written at once, or not at all.
        if number == moment and name == "write" and len(arguments[1]) > 4:
            write(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
        if number >= moment:
            raise Killed

    def lock(descriptor, operation):
        flock(descriptor, operation)
        held.append(os.dup(descriptor))

    killed, before = False, open_descriptors()
    take_back = interfere(kill)
    fcntl.flock = lock
    try:
        function()
    except Killed:
        killed = True
        # The system lets go of the locks of the dead.
        for descriptor in held:
            flock(descriptor, fcntl.LOCK_UN)
    finally:
        take_back()
        fcntl.flock = flock
    # It closes what they had open, too.
    for descriptor in (open_descriptors() - before) if killed else held:
        os.close(descriptor)
    return killed


def nothing(node):
    pass


def first(node):
    return node.apply(FIRST, VALUES)


def second(node):
    return node.apply(SECOND, {"proc/other": "1 2"})


def restored(node):
    return node.restore()


def both(node):
    first(node)
    second(node)


def marked(node):
    """Lines in a file that was whole, a whole file where lines were, other lines, and the old ones gone."""
    return node.apply({"etc/systemd/unit": UNITS, "etc/plain": Lines.of(("plain", "# plain")), "etc/link": Lines.of(("value = 0", "")), "etc/a": "ours"})


def marked_otherwise(node):
    return node.apply({"etc/systemd/unit": Lines.of(("[Unit]", "[Unix]")), "etc/plain": "ours\n", "etc/a": Lines.of(("ours", "")), "etc/new": "new\n"})


UNITS = Lines.of(("[Unit]", "# ours\n# [Unit]"))
CUT = [
    (nothing, first),
    (first, second),
    (both, first),
    (first, restored),
    (both, restored),
    (nothing, marked),
    (marked, marked_otherwise),
    (marked_otherwise, marked),
    (marked, restored),
]


class Fresh:
    """Trees that begin alike, made anew quickly."""

    def __init__(self, directory, prepare):
        self.directory = directory
        self.count = 0
        self.prepare = prepare

    def __call__(self):
        if self.count:
            shutil.rmtree(self.directory / str(self.count))
        self.count += 1
        node = Node(self.directory / str(self.count))
        original = snapshot(node.root)
        self.prepare(node)
        return node, original


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


@pytest.fixture
def in_namespace():
    """Runs a function where mounts are nobody else's."""
    if not ROOT or subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("mount namespaces need root")

    def run(function):
        def inside():
            if ctypes.CDLL(None, use_errno=True).unshare(0x00020000):
                raise OSError(ctypes.get_errno(), "unshare")
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
            return function()

        code, result = in_child(inside)
        assert code == 0
        return result

    return run


class TestRealFileSystems:
    def test_full(self, node, in_namespace):
        def inside():
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "none", node.file("etc/systemd")], check=True)
            node.write("etc/systemd/unit", b"x" * 30_000, 0o644)
            before = snapshot(node.root)
            try:
                node.apply({"etc/plain": "ours", "etc/systemd/unit": "y" * 30_000, "etc/systemd/new/deep": "z" * 30_000})
            except Refusal as error:
                return str(error), snapshot(node.root) == before, os.listdir(node.root / "etc/systemd")
            return None

        sentence, same, names = in_namespace(inside)
        assert sentence == f"{node.file('etc/systemd/new/deep')} cannot be written: no space is left on its file system. Nothing was changed."
        assert (same, names) == (True, ["unit"])

    def test_no_space_for_the_record(self, node, in_namespace):
        def inside():
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "none", node.file("var")], check=True)
            node.write("etc/plain", b"x" * 60_000, 0o644)
            before = snapshot(node.root)
            try:
                node.apply({"etc/plain": "ours"})
            except Refusal as error:
                return str(error), snapshot(node.root) == before
            return None

        sentence, same = in_namespace(inside)
        assert sentence == f"{node.directory}/hold.json cannot be written: no space is left on its file system. Nothing was changed."
        assert same

    def test_read_only(self, node, in_namespace):
        def inside():
            subprocess.run(["mount", "--bind", node.file("etc/systemd"), node.file("etc/systemd")], check=True)
            before = snapshot(node.root)
            node.apply({"etc/systemd/unit": "ours"})
            subprocess.run(["mount", "-o", "remount,ro,bind", node.file("etc/systemd")], check=True)
            found = []
            for deed in (lambda: node.apply({"etc/plain": "ours", "etc/systemd/new": "ours"}, name="new"), node.restore):
                try:
                    deed()
                except Refusal as error:
                    found.append(str(error))
            subprocess.run(["mount", "-o", "remount,rw,bind", node.file("etc/systemd")], check=True)
            node.restore()
            return found, snapshot(node.root) == before

        (applied, put_back), same = in_namespace(inside)
        assert applied == f"{node.file('etc/systemd/new')} cannot be written: its file system is read-only. Nothing was changed."
        assert f"{node.file('etc/systemd/unit')} cannot be written: its file system is read-only" in put_back
        assert same

    def test_a_folder_that_could_not_be_made(self, node, in_namespace):
        """What is not there needs no removal, of which such a file system says only that it is read-only."""
        def inside():
            before = snapshot(node.root)
            subprocess.run(["mount", "--bind", node.file("etc"), node.file("etc")], check=True)
            subprocess.run(["mount", "-o", "remount,ro,bind", node.file("etc")], check=True)
            try:
                node.apply({"etc/made/by/us": "ours"})
            except Refusal as error:
                return str(error), snapshot(node.root) == before
            return None

        sentence, same = in_namespace(inside)
        assert sentence == f"{node.file('etc/made')} cannot be made: its file system is read-only. Nothing was changed."
        assert same

    def test_a_mount_point(self, node, in_namespace):
        def inside():
            subprocess.run(["mount", "--bind", node.file("etc/plain"), node.file("etc/plain")], check=True)
            before = snapshot(node.root)
            try:
                node.apply({"etc/link": "ours", "etc/plain": "ours"})
            except Refusal as error:
                return str(error), snapshot(node.root) == before
            return None

        sentence, same = in_namespace(inside)
        assert f"{node.file('etc/plain')} cannot be written: it is in use, as a mount point is" in sentence
        assert same


class TestTwoAtOnce:
    def test_it_waits(self, node):
        node.directory.mkdir(mode=0o700)
        with open(node.directory / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            begun = time.monotonic()
            with pytest.raises(Refusal, match=r"kept/lock is held by another run for more than 1 seconds"):
                node.apply({"etc/plain": "ours"}, lock_seconds=1)
            assert 1 <= time.monotonic() - begun < 5
            assert (node.root / "etc/plain").read_bytes() == b"plain\n"
            # Who only looks need not wait.
            assert node.apply({"etc/plain": "ours"}, lock_seconds=0, check_mode=True)["changed"] is True
            assert node.restore(lock_seconds=0, check_mode=True)["changed"] is False
        assert node.apply({"etc/plain": "ours"}, lock_seconds=0)["changed"] is True

    def test_a_lock_that_is_taken_away_is_no_lock(self, node, monkeypatch):
        """Who gets a lock whose file was removed meanwhile, and made anew by a third run, waits for the new one."""
        locked, flock = [], fcntl.flock

        def lock(descriptor, operation):
            flock(descriptor, operation)
            if not locked:
                (node.directory / "lock").unlink()
                (node.directory / "lock").touch()
            locked.append(os.fstat(descriptor).st_ino)

        monkeypatch.setattr(fcntl, "flock", lock)
        assert node.apply({"etc/plain": "ours"})["changed"] is True
        assert len(set(locked)) == 2

    def test_many(self, node):
        original = snapshot(node.root)
        children = []
        for number in range(6):
            child = os.fork()
            if not child:
                code = 1
                try:
                    for turn in range(8):
                        if (number + turn) % 3:
                            node.apply({"etc/plain": f"{number} {turn}\n" * 500, f"etc/new/{turn % 2}/file": "ours", "etc/link": "ours"}, VALUES)
                        else:
                            node.restore()
                    code = 0
                except BaseException:  # nothing of a child may run on as a second pytest
                    traceback.print_exc()
                finally:
                    os._exit(code)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6
        node.restore()
        assert snapshot(node.root) == original


def test_a_locale_without_letters(node):
    """Python 3.6 with LC_ALL=C: names go to the system as UTF-8, whatever Python thinks of them."""
    original = snapshot(node.root)
    node.apply({"etc/gr\u00fc\u00dfe/\u4e2d.conf": "\u4e2d\n"})
    assert os.path.exists(os.fsencode(node.root) + "/etc/gr\u00fc\u00dfe/\u4e2d.conf".encode())
    node.restore()
    assert snapshot(node.root) == original


class Labels:
    """Labels of a policy that knows two."""

    def __init__(self):
        self.given = {}
        self.put_on = []

    def of(self, path):
        return "etc_t"

    def default(self, path):
        return "new_t"

    def put(self, path, label):
        self.put_on.append((os.path.basename(path)[:16], label))


def test_labels(node):
    labels = Labels()
    node.apply({"etc/plain": "ours", "etc/new/file": "ours"}, labels=labels)
    assert labels.put_on == [(".kubeproxy.ipvs-", "etc_t"), ("new", "new_t"), (".kubeproxy.ipvs-", "new_t")]
    assert node.record()["files"][0]["original"]["context"] == "etc_t"
    labels.put_on.clear()
    node.restore(labels=labels)
    assert labels.put_on == [(".kubeproxy.ipvs-", "etc_t")]


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
