# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Units as systemd finds and reads them."""

from __future__ import annotations

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import Units, expanded, parse_unit, seconds_of, split_command

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
            ({VENDOR + "a.socket": "[Socket]\n", ETC + "sockets.target.wants/a.socket": ("link", VENDOR + "a.socket")}, True),
            ({VENDOR + "x.timer": "[Timer]\nUnit=a.service\nOnBootSec=1\n", ETC + "timers.target.wants/x.timer": ("link", VENDOR + "x.timer")}, True),
            ({VENDOR + "x.timer": "[Timer]\nUnit=a.service\nOnBootSec=1\n"}, False),
            ({ETC + "a.service": ("link", "/dev/null"), WANTED + "a.service": ("link", VENDOR + "a.service")}, False),
        ],
    )
    def test_enabled(self, tree, files, expected):
        assert Units(tree({**self.unit, **files})).find("a.service").enabled is expected


class TestEnabledBySettings:
    """Units that no link of a target starts, but a setting of another unit or a command."""

    unit = {VENDOR + "a.service": "[Service]\nType=oneshot\nExecStart=/bin/a\n"}
    other = {VENDOR + "b.service": "[Service]\nExecStart=/bin/b\n"}
    enabled = {WANTED + "b.service": ("link", VENDOR + "b.service")}

    def enabled_in(self, tree, *parts):
        files = dict(self.unit)
        for part in parts:
            files.update(part)
        return Units(tree(files)).find("a.service").enabled

    @pytest.mark.parametrize(
        ("setting", "expected"),
        [
            ("Wants=a.service", True),
            ("Requires=x.service a.service", True),
            ("BindsTo=a.service", True),
            ("Upholds=a.service", True),
            ("Wants=a.service\nWants=", True),
            ("Wants=%p-%N.service %%.service", False),
            ("Requisite=a.service", False),
            ("After=a.service", False),
            ("PartOf=a.service", False),
        ],
    )
    def test_settings(self, tree, setting, expected):
        text = f"[Unit]\n{setting}\n[Service]\nExecStart=/bin/b\n"
        assert self.enabled_in(tree, {VENDOR + "b.service": text}, self.enabled) is expected
        assert self.enabled_in(tree, {VENDOR + "b.service": text}) is False

    def test_a_drop_in(self, tree):
        drop_in = {ETC + "b.service.d/1.conf": "[Unit]\nRequires=a.service\n"}
        assert self.enabled_in(tree, self.other, self.enabled, drop_in) is True
        assert self.enabled_in(tree, self.other, drop_in) is False

    def test_a_link_of_a_unit_that_nothing_starts(self, tree):
        link = {ETC + "b.service.wants/a.service": ("link", VENDOR + "a.service")}
        assert self.enabled_in(tree, self.other, link) is False
        assert self.enabled_in(tree, self.other, link, self.enabled) is True

    @pytest.mark.parametrize("started", [True, False])
    def test_a_chain(self, tree, started):
        files = {
            ETC + "own.target": "[Unit]\nWants=a.service\n",
            ETC + "c.service": "[Unit]\nRequires=own.target\n[Service]\nExecStart=/bin/c\n",
            VENDOR + "b.service": "[Unit]\nBindsTo=c.service\n[Service]\nExecStart=/bin/b\n",
        }
        assert self.enabled_in(tree, files, self.enabled if started else {}) is started

    def test_a_drop_in_of_a_target(self, tree):
        assert self.enabled_in(tree, {ETC + "multi-user.target.d/a.conf": "[Unit]\nWants=a.service\n"}) is True

    def test_the_default_target(self, tree):
        files = {ETC + "own.target": "[Unit]\nWants=a.service\n"}
        assert self.enabled_in(tree, files) is False
        assert self.enabled_in(tree, files, {ETC + "default.target": ("link", ETC + "own.target")}) is True

    def test_past_a_masked_unit_goes_nothing(self, tree):
        files = {
            ETC + "c.service": ("link", "/dev/null"),
            VENDOR + "c.service": "[Unit]\nWants=a.service\n[Service]\nExecStart=/bin/c\n",
            VENDOR + "b.service": "[Unit]\nWants=c.service\n[Service]\nExecStart=/bin/b\n",
            ETC + "c.service.wants/a.service": ("link", VENDOR + "a.service"),
        }
        assert self.enabled_in(tree, files, self.enabled) is False

    def test_a_masked_unit_is_not_enabled(self, tree):
        files = {VENDOR + "b.service": "[Unit]\nWants=a.service\n[Service]\nExecStart=/bin/b\n", ETC + "a.service": ("link", "/dev/null")}
        assert self.enabled_in(tree, files, self.enabled) is False
        assert Units(tree({**files, **self.enabled, WANTED + "a.service": ("link", VENDOR + "a.service")})).is_enabled("a.service") is False

    def test_a_circle(self, tree):
        files = {
            VENDOR + "a.service": "[Unit]\nWants=b.service\n[Service]\nType=oneshot\nExecStart=/bin/systemctl start b\n",
            VENDOR + "b.service": "[Unit]\nWants=a.service\n[Service]\nType=oneshot\nExecStart=/bin/systemctl start a\n",
        }
        units = Units(tree(files))
        assert units.find("a.service").enabled is False
        assert units.starts.again_with(units.find("a.service")) == {"a.service", "b.service"}

    def test_aliases_on_both_sides(self, tree):
        files = {
            VENDOR + "b.service": "[Service]\nExecStart=/bin/b\n",
            ETC + "b2.service": ("link", VENDOR + "b.service"),
            ETC + "b2.service.d/x.conf": "[Unit]\nWants=a2.service\n",
            ETC + "a2.service": ("link", VENDOR + "a.service"),
            WANTED + "b2.service": ("link", VENDOR + "b.service"),
        }
        units = Units(tree({**self.unit, **files}))
        assert units.find("a.service").enabled is True
        assert units.starts.again_with(units.find("a.service")) == {"b.service", "b2.service", "multi-user.target"}

    def test_a_timer_that_a_setting_starts(self, tree):
        files = {
            VENDOR + "a.timer": "[Timer]\nOnUnitActiveSec=30\n",
            VENDOR + "b.service": "[Unit]\nWants=a.timer\n[Service]\nExecStart=/bin/b\n",
        }
        assert Units(tree({**self.unit, **files, **self.enabled})).period_of("a.service") == 30
        assert Units(tree({**self.unit, **files})).period_of("a.service") is None

    @pytest.mark.parametrize(
        ("command", "expected"),
        [
            ("/bin/systemctl start a.service", True),
            ("-/usr/bin/systemctl --no-block restart x a", True),
            ("/bin/sh -c 'modprobe ip_vs; systemctl start a'", True),
            ("/bin/systemctl enable --now a", True),
            ("/bin/systemctl enable a", False),
            ("/bin/systemctl try-restart a", False),
            ("/bin/systemctl stop a", False),
            ("/bin/systemctl", False),
        ],
    )
    def test_a_command_of_systemctl(self, tree, command, expected):
        other = {VENDOR + "b.service": f"[Service]\nExecStartPre={command}\nExecStart=/bin/b\n"}
        assert self.enabled_in(tree, other, self.enabled) is expected
        assert self.enabled_in(tree, other) is False


def test_a_chain_without_end_is_walked(tree):
    files = {f"{ETC}u{number}.service": f"[Unit]\nWants=u{number - 1}.service\n[Service]\nType=oneshot\nExecStart=/bin/a\n" for number in range(1500)}
    units = Units(tree({**files, WANTED + "u1499.service": ("link", ETC + "u1499.service")}))
    assert units.find("u0.service").enabled is True
    assert len(units.starts.again_with(units.find("u0.service"))) == 1500


def test_no_more_units_are_read_than_are_asked_for(tree, monkeypatch):
    files = {f"{VENDOR}{name}": "[Service]\nExecStart=/bin/a\n" for name in ("a.service", "b.service", "c.target")}
    node = tree({**files, WANTED + "a.service": ("link", VENDOR + "a.service")})
    read = []
    monkeypatch.setattr(node, "text", lambda path, text=node.text, **more: read.append(path) or text(path, **more))
    units = Units(node)
    assert units.find("a.service").enabled is True
    assert read == [VENDOR + "a.service"]
    assert units.find("b.service").enabled is False
    assert sorted(read) == sorted(files)


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%n %N %p %i", "kube-proxy@a-b.service kube-proxy@a-b kube-proxy a-b"),
        ("%I %P %j %J", "a/b kube/proxy proxy proxy"),
        ("%%i %H %", "%i %H %"),
    ],
)
def test_specifiers(text, expected):
    assert expanded(text, "kube-proxy@a-b.service") == expected


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
