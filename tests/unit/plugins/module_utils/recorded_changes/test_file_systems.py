# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""File systems that are full, read-only or mounted over, and two runs on one of them."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
import traceback

import pytest
from recorded_node import VALUES, snapshot

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_paths import Refusal


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
