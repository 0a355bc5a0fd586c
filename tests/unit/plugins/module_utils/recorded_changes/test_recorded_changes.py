# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is changed can be put back byte for byte."""

from __future__ import annotations

import errno
import json
import os
import stat

import pytest
from recorded_node import FIRST, LONG_AGO, MARKED, SECOND, VALUES, Link, actions, attributes, contents, snapshot

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_paths import Refusal


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
