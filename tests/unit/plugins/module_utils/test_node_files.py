# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles


def test_absent_is_none_and_not_reported(tree):
    node = tree({"/etc/hostname": "a\n"})
    assert node.read("/etc/nothing") is None
    assert node.read("/etc/hostname/below") is None
    assert node.names("/nowhere") == []
    assert node.unreadable == []


def test_absolute_links_stay_in_the_tree(tree):
    node = tree(
        {"/usr/lib/os-release": "ID=inside\n", "/etc/os-release": ("link", "/usr/lib/os-release"), "/etc/out": ("link", "../../../../../../etc/passwd")}
    )
    assert node.text("/etc/os-release") == "ID=inside\n"
    assert node.read("/etc/out") is None


def test_a_loop_of_links_is_reported(tree):
    node = tree({"/a": ("link", "/b"), "/b": ("link", "/a")})
    assert node.read("/a") is None
    assert node.unreadable == [{"path": "/a", "reason": "too many symbolic links"}]


def test_a_pipe_is_never_waited_for(tree):
    node = tree({"/etc/x": ""})
    os.mkfifo(os.path.join(node.root, "etc/pipe"))
    assert node.read("/etc/pipe") is None
    assert node.unreadable == [{"path": "/etc/pipe", "reason": "not a regular file"}]


def test_a_directory_in_place_of_a_file_is_reported_once(tree):
    node = tree({"/etc/x/y": ""})
    assert node.read("/etc/x") is None and node.read("/etc/x") is None
    assert [entry["path"] for entry in node.unreadable] == ["/etc/x"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission_is_reported(tree):
    node = tree({"/etc/secret": "x"})
    os.chmod(os.path.join(node.root, "etc/secret"), 0)
    assert node.read("/etc/secret") is None
    assert node.unreadable == [{"path": "/etc/secret", "reason": "Permission denied"}]


def test_a_long_file_is_cut_and_reported(tree):
    node = tree({"/big": b"x" * 100})
    assert node.read("/big", limit=10) == b"x" * 10
    assert node.unreadable[0]["path"] == "/big"


def test_bytes_that_are_not_utf8_are_replaced(tree):
    assert tree({"/f": b"a\xff\n"}).text("/f") == "a\ufffd\n"


def test_view_of_a_container_resolves_its_own_links(tree):
    node = tree(
        {
            "/proc/7/root/conf/config.conf": ("link", "/conf/..data/config.conf"),
            "/proc/7/root/conf/..data": ("link", "..2024"),
            "/proc/7/root/conf/..2024/config.conf": "mode: ipvs\n",
            "/conf/..data/config.conf": "mode: wrong\n",
        }
    )
    view = node.below("/proc/7/root")
    assert view.text("/conf/config.conf") == "mode: ipvs\n"
    view.report("/conf/x", "broken")
    assert node.unreadable == [{"path": "/proc/7/root/conf/x", "reason": "broken"}]


def test_a_root_link_of_a_tree_stays_in_the_tree(tree):
    node = tree({"/proc/7/root": ("link", "/"), "/proc/8/root": ("link", "/../../.."), "/etc/os-release": "ID=inside\n"})
    assert node.below("/proc/7/root").text("/etc/os-release") == "ID=inside\n"
    assert node.below("/proc/8/root").text("/etc/os-release") == "ID=inside\n"
    assert node.below("/proc/7/root").read("/etc/passwd") is None


class TestRootsAlone:
    def test_of_the_system(self):
        assert NodeFiles().is_roots_alone("/etc/passwd")

    def test_whose_directory_others_can_write_to(self):
        directory = tempfile.mkdtemp(dir="/tmp")
        try:
            path = os.path.join(directory, "x.sh")
            with open(path, "w", encoding="ascii"):
                pass
            assert not NodeFiles().is_roots_alone(path)
            assert not NodeFiles().is_roots_alone(os.path.join(directory, "absent"))
            link = os.path.join(directory, "link")
            os.symlink("/etc/passwd", link)
            # It leads to a file of root's, but not for ever.
            assert not NodeFiles().is_roots_alone(link)
        finally:
            shutil.rmtree(directory)

    def test_in_a_tree_nobody_can_tell(self, tree):
        assert tree({"/home/eve/x.sh": ""}).is_roots_alone("/home/eve/x.sh")
