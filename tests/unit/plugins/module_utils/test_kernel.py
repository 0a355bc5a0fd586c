# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel facts from odd trees, and the changelog through rpm."""

from __future__ import annotations

import gzip
import os
import zlib

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import kernel
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import CHUNK
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.sysctl import read_sysctl

RELEASE = "5.4.0-48-generic"
IP_VS = {"/proc/modules": "ip_vs 1 0 - Live 0x0\n"}


@pytest.mark.parametrize(
    ("release", "uname", "machine"),
    [
        ("4.18.0-348.el8.aarch64", "", "aarch64"),
        ("5.10.0-8-amd64", "", None),
        ("5.4.0-48-generic", "Linux node-aarch64-1 5.4.0-48-generic #52-Ubuntu SMP Thu Sep 10 UTC 2020 x86_64 x86_64 x86_64 GNU/Linux\n", "x86_64"),
        ("4.18.0-147.5.1.6.h686.eulerosv2r9.x86_64", "", "x86_64"),
        ("5.4.0-48-generic", "", None),
    ],
)
def test_machine(tree, release, uname, machine):
    files = {"/proc/sys/kernel/osrelease": release}
    files.update({"/sos_commands/kernel/uname_-a": uname} if uname else {})
    assert kernel.read_kernel(tree(files))["machine"] == machine


# A shell loop as guides for CentOS 7 have it.
LOOP = (
    '#!/bin/bash\n'
    'ipvs_modules="ip_vs ip_vs_rr ip_vs_wrr"\n'
    'for m in ${ipvs_modules}; do\n'
    '  /sbin/modinfo -F filename ${m} > /dev/null 2>&1\n'
    '  [ $? -eq 0 ] && /sbin/modprobe ${m}\n'
    'done\n'
)


@pytest.mark.parametrize(
    ("text", "mode", "lines"),
    [(LOOP, 0o755, [5]), ("#!/bin/bash\nmodprobe -- ip_vs_sh\n", 0o755, [2]), (LOOP, 0o644, []), ("#!/bin/sh\n# modprobe ip_vs\n", 0o755, [])],
)
def test_scripts_of_sysconfig_modules(tree, text, mode, lines):
    node = tree({"/etc/sysconfig/modules/ipvs.modules": text, "/etc/redhat-release": "CentOS\n"})
    os.chmod(node.root + "/etc/sysconfig/modules/ipvs.modules", mode)
    assert [entry["line"] for entry in kernel.read_kernel(node)["ip_vs_loaded_at_boot"]] == lines


def test_etc_modules_is_debians(tree):
    assert kernel.read_kernel(tree({"/etc/modules": "ip_vs\n", "/etc/redhat-release": "Rocky\n"}))["ip_vs_loaded_at_boot"] == []


def test_etc_modules_through_its_link_counts_once(tree):
    found = kernel.read_kernel(tree({"/etc/modules": "ip_vs\n", "/etc/modules-load.d/modules.conf": ("link", "../modules")}))["ip_vs_loaded_at_boot"]
    assert found == [{"path": "/etc/modules-load.d/modules.conf", "line": 1}]


def test_a_module_without_a_line_is_built_in(tree):
    assert kernel.read_kernel(tree({"/proc/modules": "x 1 0 - Live 0x0\n", "/sys/module/ip_vs/parameters/conn_tab_bits": "12\n"}))["ip_vs"] == "builtin"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"modules.dep": "kernel/net/netfilter/ipvs/ip_vs.ko.xz: kernel/x.ko\n"}, True),
        ({"modules.dep": "kernel/x.ko:\n"}, False),
        ({"kernel/net/netfilter/ipvs/ip_vs.ko.zst": ""}, True),
        ({"kernel/net/netfilter/xt_x.ko": ""}, False),
        ({"x": ""}, None),
    ],
)
def test_the_module_on_disk(tree, files, expected):
    files = {f"/lib/modules/{RELEASE}/{name}": text for name, text in files.items()}
    assert kernel.read_kernel(tree({"/proc/sys/kernel/osrelease": RELEASE, **files}))["ip_vs_module_available"] is expected


@pytest.mark.parametrize("shift", range(-40, 41, 8))
def test_a_symbol_across_two_chunks(tree, shift):
    line = "0000000000000000 t ip_vs_expire_nodest_conn_flush\t[ip_vs]\n"
    filler = "0000000000000000 T a\n"
    count, rest = divmod(CHUNK + shift - 20, len(filler))
    listing = filler * count + "0" * (rest - 1) + "\n" + line + filler if rest else filler * count + line
    assert kernel.read_kernel(tree({**IP_VS, "/proc/kallsyms": listing}))["symbols"] == ["ip_vs_expire_nodest_conn_flush"]


class TestChangelog:
    path = f"/usr/share/doc/linux-image-{RELEASE}/changelog.Debian.gz"

    def changelog(self, tree, data):
        """The changelog fact of a tree with DATA as the package's changelog, and what could not be read."""
        node = tree({"/proc/sys/kernel/osrelease": RELEASE, self.path: data})
        return kernel.read_kernel(node, ["changelog"])["changelog"], node.unreadable

    def test_a_damaged_end_leaves_what_came_before(self, tree):
        pressed = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
        more = "".join(f"    - change {hash((number, number))}\n" for number in range(1000))
        data = pressed.compress(f"    - IPVS: Fix reuse connection if RS weight is 0\n{more}".encode()) + pressed.flush(zlib.Z_FULL_FLUSH)
        # What follows is not a block of any kind.
        found, unreadable = self.changelog(tree, data + b"\x07" * 100)
        assert found["found"]["respects_zero_weight"] == "- IPVS: Fix reuse connection if RS weight is 0"
        assert [entry["path"] for entry in unreadable] == [self.path]

    def test_cut_off(self, tree):
        data = gzip.compress(b"x\n" * 1000)
        assert self.changelog(tree, data[:-9])[0]["found"]["flushes_deleted"] is None

    def test_rpm(self, tree, monkeypatch):
        node = tree({"/usr/bin/rpm": "", "/boot/vmlinuz-4.18.0-425.el8.x86_64": "", "/proc/sys/kernel/osrelease": "4.18.0-425.el8.x86_64"})
        os.chmod(node.root + "/usr/bin/rpm", 0o755)
        monkeypatch.setattr(node, "live", True)
        monkeypatch.setattr(node, "_resolve", lambda path: node.root + path)
        asked = []

        def run_command(arguments):
            asked.append(arguments)
            if "--changelog" in arguments:
                return (
                    0,
                    "* Mon Jan 10 2022 X <x@y>\n- [net] ipvs: queue delayed work to expire no destination\n  connections if expire_nodest_conn=1 (X)\n",
                    "",
                )
            return 0, "kernel-core-4.18.0-425.el8.x86_64\n", ""

        found = kernel.read_kernel(node, ["changelog"], run_command)["changelog"]
        assert (found["package"], found["source"]) == ("kernel-core-4.18.0-425.el8.x86_64", "rpm")
        assert found["found"]["flushes_deleted"].startswith("- [net] ipvs: queue delayed work to expire no destination connections")
        assert [arguments[0] for arguments in asked] == ["rpm", "rpm"]

    def test_rpm_is_never_run_for_a_tree(self, tree):
        node = tree({"/usr/bin/rpm": "", f"/boot/vmlinuz-{RELEASE}": "", "/proc/sys/kernel/osrelease": RELEASE})
        assert kernel.read_kernel(node, ["changelog"], lambda arguments: pytest.fail("a command was run"))["changelog"] is None


def test_a_tree_has_the_values_of_the_host_alone(tree):
    assert read_sysctl(tree({"/proc/sys/net/ipv4/vs/conn_reuse_mode": "1\n"}), 4711)["network_namespace"] == "host"
