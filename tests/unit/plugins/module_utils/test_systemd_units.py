# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Units as systemd finds and reads them."""

from __future__ import annotations

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import Units, parse_unit, seconds_of, split_command

ETC, VENDOR = "/etc/systemd/system/", "/usr/lib/systemd/system/"
WANTED = ETC + "multi-user.target.wants/"


def test_lines_are_joined_and_numbered():
    text = "[Service]\r\n; c\r\nExecStart=/bin/a \\\r\n# in between\r\n  --b\r\nType = simple\r\n[Broken\nno key\n"
    assert parse_unit(text, "p") == [("Service", "ExecStart", "/bin/a   --b".replace("   ", " "), "p", 3), ("Service", "Type", "simple", "p", 6)]


@pytest.mark.parametrize("data", [b"", b"\x00\xff\xfe", b"[Service", b"=\n[]\n=x\n", b"[Service]\nExecStart=" + b"a" * 300000])
def test_senseless_files_are_survived(tree, data):
    units = Units(tree({ETC + "a.service": data}))
    assert units.names() == ["a.service"]
    assert isinstance(units.find("a.service").commands(), list)


def test_what_is_called_a_unit_and_is_none(tree):
    units = Units(tree({ETC + "a.service/x": "", ETC + "b.service": ("link", "b.service"), ETC + "c.service": ("link", "/gone")}))
    assert [units.find(name).commands() for name in units.names()] == [[], [], []]


class TestEnabled:
    unit = {VENDOR + "a.service": "[Service]\nExecStart=/bin/a\n"}

    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            ({}, False),
            ({WANTED + "a.service": ("link", VENDOR + "a.service")}, True),
            ({VENDOR + "other.service.requires/a.service": ("link", "../a.service")}, True),
            ({VENDOR + "a.socket": "", ETC + "sockets.target.wants/a.socket": ("link", VENDOR + "a.socket")}, True),
            ({VENDOR + "x.timer": "[Timer]\nUnit=a.service\nOnBootSec=1\n", ETC + "timers.target.wants/x.timer": ("link", VENDOR + "x.timer")}, True),
            ({VENDOR + "x.timer": "[Timer]\nUnit=a.service\nOnBootSec=1\n"}, False),
            ({ETC + "a.service": ("link", "/dev/null"), WANTED + "a.service": ("link", VENDOR + "a.service")}, False),
        ],
    )
    def test_enabled(self, tree, files, expected):
        assert Units(tree({**self.unit, **files})).find("a.service").enabled is expected


def test_alias_is_one_unit(tree):
    units = Units(
        tree(
            {
                VENDOR + "ssh.service": "[Service]\nExecStart=/bin/a\n",
                ETC + "sshd.service": ("link", VENDOR + "ssh.service"),
                ETC + "sshd.service.d/x.conf": "[Service]\nExecStartPost=/bin/b\n",
                WANTED + "sshd.service": ("link", VENDOR + "ssh.service"),
            }
        )
    )
    assert units.names() == ["ssh.service"]
    assert units.find("sshd.service") is units.find("ssh.service")
    assert (units.find("ssh.service").enabled, units.find("ssh.service").drop_ins) == (True, [ETC + "sshd.service.d/x.conf"])


def test_links_in_a_circle(tree):
    units = Units(tree({ETC + "a.service": ("link", "b.service"), ETC + "b.service": ("link", "a.service")}))
    assert units.find("a.service") is None or units.find("a.service").commands() == []


def test_instances_that_are_wanted(tree):
    units = Units(tree({VENDOR + "t@.service": "[Service]\nExecStart=/bin/t %i\n", WANTED + "t@7.service": ("link", VENDOR + "t@.service")}))
    assert units.names() == ["t@7.service"]
    assert units.find("t@7.service").enabled


def test_drop_ins_of_the_type_the_prefix_and_the_unit(tree):
    units = Units(
        tree(
            {
                VENDOR + "kube-proxy.service": "[Service]\nExecStart=/bin/kube-proxy\n",
                ETC + "service.d/10-all.conf": "[Service]\nExecStartPost=/bin/all\n",
                ETC + "kube-.service.d/20-kube.conf": "[Service]\nExecStartPost=/bin/prefix\n",
                ETC + "kube-proxy.service.d/30-own.conf": "[Service]\nExecStartPost=/bin/own\n",
                ETC + "kube-proxy.service.d/10-all.conf": "[Service]\nExecStartPost=/bin/more-specific\n",
                ETC + "kube-proxy.service.d/40.conf~": "[Service]\nExecStartPost=/bin/backup\n",
                VENDOR + "kube-proxy.service.d/30-own.conf": "[Service]\nExecStartPost=/bin/hidden\n",
                "/run/systemd/system/kube-proxy.service.d/50.conf": ("link", "/dev/null"),
                VENDOR + "kube-proxy.service.d/50.conf": "[Service]\nExecStartPost=/bin/masked\n",
            }
        )
    )
    assert [entry["value"] for entry in units.find("kube-proxy.service").values("Service", "ExecStartPost")] == [
        "/bin/more-specific",
        "/bin/prefix",
        "/bin/own",
    ]


def test_timers(tree):
    files = {}
    for name, text in {
        "a": "OnUnitActiveSec=30s",
        "b": "OnCalendar=*:0/5",
        "c": "OnBootSec=1min",
        "d": "OnCalendar=hourly\nUnit=z.service",
        "e": "OnUnitActiveSec=" + "9" * 5000,
    }.items():
        files[f"{VENDOR}{name}.timer"] = f"[Timer]\n{text}\n"
        files[f"{ETC}timers.target.wants/{name}.timer"] = ("link", f"{VENDOR}{name}.timer")
    units = Units(tree(files))
    assert [units.period_of(name + ".service") for name in "abczd"] == [30, 300, None, 3600, None]
    assert (units.timer_of("z.service"), units.timer_of("c.service"), units.timer_of("d.service")) == ("d.timer", "c.timer", None)
    assert units.period_of("e.service") >= 1


@pytest.mark.parametrize(
    ("line", "words"),
    [("-/bin/sh -c 'a b'", ["/bin/sh", "-c", "a b"]), ("@/bin/a b", ["/bin/a", "b"]), ('/bin/a "b c" \'d', ["/bin/a", '"b', 'c"', "'d"]), ("", [])],
)
def test_words_of_a_command(line, words):
    assert split_command(line) == words


def test_no_number_is_too_long():
    assert seconds_of("9" * 5000) > 0
