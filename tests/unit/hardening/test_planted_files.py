# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a local user of a node can leave where the collection reads: pipes, devices, files without an end, and links on the way to root's own files."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import time

import pytest
from node_trees import CONFIG_IPVS, QUIET_NODE, first_process, process, write_tree

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import node_files
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles, is_roots_alone
from ansible_collections.kubeproxy.ipvs.plugins.modules import ipvs_facts
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.document_file import DocumentError, load_document

NOBODY = 65534
CONFIG = "/var/lib/kube-proxy/kube-proxy-config.yaml"
PLACES = (CONFIG, "/etc/sysctl.d/90-a.conf", "/etc/os-release", "/proc/net/ip_vs_conn", "/proc/kallsyms", "/etc/cron.d/a", "/proc/modules")


def pipe(path):
    os.mkfifo(path)


def loop(path):
    path.symlink_to(path.name)


def directory(path):
    path.mkdir()


def endless(path):
    """2 GiB without a block on the disk."""
    with open(path, "wb") as handle:
        handle.truncate(2 * 1024**3)


def device(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("plant", [pipe, loop, directory, endless, device])
@pytest.mark.parametrize("place", PLACES)
def test_nothing_waits_and_nothing_is_without_end(tmp_path, place, plant):
    """Of a pipe that nobody writes into, and the like, in the place of each kind of file that is read."""
    write_tree(tmp_path, {path: content for path, content in QUIET_NODE.items() if path != place})
    planted = tmp_path / place.lstrip("/")
    planted.parent.mkdir(parents=True, exist_ok=True)
    plant(planted)
    began = time.monotonic()
    facts = ipvs_facts.collect(NodeFiles(str(tmp_path)))
    assert time.monotonic() - began < 20
    assert facts["kernel"]["release"] == "4.19.90-24.4.v2101.ky10.x86_64"
    # In a directory of settings systemd passes over what is no file, and so does this.
    if plant in (pipe, loop) and place in (CONFIG, "/etc/os-release", "/proc/net/ip_vs_conn"):
        assert place in {entry["path"] for entry in facts["unreadable"]}


def test_what_is_read_in_pieces_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(node_files, "MAXIMUM_BYTES", 1024 * 1024)
    write_tree(tmp_path, {"/long": b"x" * 3 * 1024 * 1024})
    node = NodeFiles(str(tmp_path))
    for read in (node.lines, node.chunks):
        pieces = list(read("/long"))
        assert sum(len(piece) for piece in pieces) == 1024 * 1024
    assert max(len(line) for line in node.lines("/long")) == node_files.MAXIMUM_LINE
    assert node.unreadable == [{"path": "/long", "reason": "longer than 1048576 bytes, only the beginning was read"}]


def test_a_device_is_not_even_opened(tmp_path, monkeypatch):
    """To open a watchdog is to start it."""
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest, **more: opened.append(path) or real(path, *rest, **more))
    node = NodeFiles()
    assert node.read("/dev/null") is None and not opened
    assert node.unreadable == [{"path": "/dev/null", "reason": "not a regular file"}]


def test_a_process_of_a_user_is_neither_believed_nor_are_its_files_read(tmp_path):
    """Whoever may start processes can name one kube-proxy and hand it the name of any file."""
    bait = tmp_path / "pipe"
    os.mkfifo(bait)
    files = {**first_process(), **process(77, "kube-proxy", ["kube-proxy", f"--config={bait}"], "0::/user.slice/user-1000.slice/x.scope")}
    tree = write_tree(tmp_path / "node", {**files, "/proc/77/status": "Name:\tkube-proxy\nUid:\t1000\t1000\t1000\t1000\n", "/etc/x": CONFIG_IPVS})
    proxy = ipvs_facts.collect(NodeFiles(str(tree)))["kube_proxy"]
    assert proxy["mode_configured"] is None


@pytest.mark.parametrize("plant", [pipe, device])
def test_files_handed_to_the_controller(tmp_path, plant):
    plant(tmp_path / "facts.json")
    with pytest.raises(DocumentError, match="not a regular file"):
        load_document(str(tmp_path / "facts.json"))
    with pytest.raises(DocumentError, match="Is a directory"):
        load_document(str(tmp_path))


@pytest.fixture
def roots_directory():
    """A directory that nobody but root can change, with all above it."""
    if os.geteuid() != 0:
        pytest.skip("only root can have one")
    found = tempfile.mkdtemp(dir="/var/lib")
    os.chmod(found, 0o755)
    yield found
    shutil.rmtree(found)


class TestRootsAlone:
    def test_a_link_on_the_way_that_a_user_can_turn(self, roots_directory):
        """root's link -> a user's link -> root's file: all that the path itself and its end pass through is root's."""
        own, eve = os.path.join(roots_directory, "own"), os.path.join(roots_directory, "eve")
        for name in (own, eve):
            os.mkdir(name)
        with open(os.path.join(own, "x.sh"), "w", encoding="ascii"):
            pass
        os.symlink(own, os.path.join(eve, "turn"))
        os.symlink(os.path.join(eve, "turn"), os.path.join(roots_directory, "way"))
        path = os.path.join(roots_directory, "way", "x.sh")
        assert is_roots_alone(path)
        os.chown(eve, NOBODY, NOBODY)
        assert os.path.realpath(path) == os.path.join(own, "x.sh")
        assert is_roots_alone(os.path.realpath(path)) and not is_roots_alone(path)

    def test_back_and_relative_links(self, roots_directory):
        os.mkdir(os.path.join(roots_directory, "a"))
        with open(os.path.join(roots_directory, "x.sh"), "w", encoding="ascii"):
            pass
        os.symlink("../x.sh", os.path.join(roots_directory, "a", "link"))
        assert is_roots_alone(os.path.join(roots_directory, "a", "link"))
        os.symlink("round", os.path.join(roots_directory, "round"))
        assert not is_roots_alone(os.path.join(roots_directory, "round"))

    @pytest.mark.parametrize(("mode", "owner", "group", "alone"), [
        (0o755, 0, 0, True), (0o775, 0, 0, True), (0o775, 0, NOBODY, False), (0o757, 0, 0, False), (0o755, NOBODY, 0, False), (0o1777, 0, 0, False),
    ])
    def test_modes_and_owners(self, roots_directory, mode, owner, group, alone):
        path = os.path.join(roots_directory, "d")
        os.mkdir(path)
        os.chown(path, owner, group)
        os.chmod(path, mode)
        assert is_roots_alone(path) is alone

    def test_an_access_control_list(self, roots_directory):
        """user:65534:rw- shows as the group's right to write."""
        path = os.path.join(roots_directory, "x.sh")
        with open(path, "w", encoding="ascii"):
            pass
        entries = [(0x01, 6, 0xFFFFFFFF), (0x02, 6, NOBODY), (0x04, 4, 0xFFFFFFFF), (0x10, 6, 0xFFFFFFFF), (0x20, 4, 0xFFFFFFFF)]
        packed = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
        try:
            os.setxattr(path, "system.posix_acl_access", packed)
        except OSError as error:
            pytest.skip(f"no access control lists here: {error}")
        assert not is_roots_alone(path)
