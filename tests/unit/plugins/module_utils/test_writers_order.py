# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of several writers has the last word, on nodes as they are found."""

from __future__ import annotations

import os

import pytest
from node_trees import process

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.cron_writers import period_of
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.hold import read_hold
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.sysctl_files import SysctlFiles
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import Units
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.writers import read_writers

KEY = "net.ipv4.vs.conn_reuse_mode"
FILE = "/proc/sys/net/ipv4/vs/conn_reuse_mode"
BOOT = {"ip_vs": "loaded", "ip_vs_loaded_at_boot": [{"path": "/etc/modules-load.d/ipvs.conf", "line": 1}]}
LATE = {"ip_vs": "loaded", "ip_vs_loaded_at_boot": []}
ETC, VENDOR = "/etc/systemd/system/", "/usr/lib/systemd/system/"
WANTED = ETC + "multi-user.target.wants/"
PROXY = {"unit": "kube-proxy.service", "form": "systemd"}
PROXY_UNIT = {VENDOR + "kube-proxy.service": "[Service]\nExecStart=/usr/bin/kube-proxy\n"}


def read(tree, files, kernel=None, kube_proxy=None, executable=()):
    """The writers of a tree by their path."""
    node = tree(files)
    for path in executable:
        os.chmod(node.root + path, 0o755)
    return {entry["path"]: entry for entry in read_writers(node, kernel or BOOT, Units(node), kube_proxy or {})}


def enabled(name, text):
    """The files of a unit that multi-user.target wants."""
    return {ETC + name: text, WANTED + name: ("link", ETC + name)}


class TestSysctlFiles:
    def test_an_exclusion_after_the_key_takes_it_back(self, tree):
        found = read(tree, {"/etc/sysctl.d/10.conf": f"{KEY}=0\n", "/etc/sysctl.d/20.conf": f"-{KEY}\n"})
        assert (found["/etc/sysctl.d/10.conf"]["moments"], found["/etc/sysctl.d/10.conf"]["reason"]) == ([], "overridden by a line that excludes the key")

    def test_the_key_after_an_exclusion_counts(self, tree):
        assert SysctlFiles(tree({"/etc/sysctl.d/10.conf": f"-{KEY}\n", "/etc/sysctl.d/20.conf": f"{KEY}=0\n"})).systemd.value == 0

    # Tried on /proc/sys: the kernel takes the number in front of a blank, hexadecimal too, and refuses quotes.
    @pytest.mark.parametrize(
        ("text", "value"), [("0 # off", 0), ("0x1", 1), ("010", 8), ('"1"', None), ("", None), ("yes", None), ("1x", None), ("9" * 5000, None)]
    )
    def test_values_as_the_kernel_takes_them(self, tree, text, value):
        assert read(tree, {"/etc/sysctl.d/a.conf": f"{KEY} = {text}\n"})["/etc/sysctl.d/a.conf"]["value"] == value

    def test_a_relative_link_to_dev_null_masks(self, tree):
        found = read(tree, {"/etc/sysctl.d/a.conf": ("link", "../../dev/null"), "/usr/lib/sysctl.d/a.conf": f"{KEY}=0\n"})
        assert found["/usr/lib/sysctl.d/a.conf"]["reason"] == "masked by /etc/sysctl.d/a.conf"

    def test_a_hidden_main_file_link(self, tree):
        files = {"/etc/sysctl.conf": f"{KEY}=0\n", "/etc/sysctl.d/99-sysctl.conf": "# own\n", "/usr/lib/sysctl.d/99-sysctl.conf": ("link", "/etc/sysctl.conf")}
        assert SysctlFiles(tree(files)).systemd is None

    @pytest.mark.parametrize("marker", ["/etc/runlevels/boot/sysctl", "/etc/rc.d/rc.sysinit"])
    def test_without_systemd_the_main_file_comes_last(self, tree, marker):
        found = read(tree, {marker: "", "/etc/sysctl.conf": f"{KEY}=1\n", "/etc/sysctl.d/a.conf": f"{KEY}=0\n"})
        assert (found["/etc/sysctl.conf"]["wins"], found["/etc/sysctl.d/a.conf"]["reason"]) == (["reboot"], "overridden by /etc/sysctl.conf")

    def test_a_pattern_of_files_given_to_sysctl(self, tree):
        files = {
            "/etc/sysctl.d/a.conf": f"{KEY}=1\n",
            "/etc/sysctl.d/b.conf": f"{KEY}=0\n",
            **enabled("x.service", "[Service]\nExecStart=/bin/sh -c 'sysctl -p /etc/sysctl.d/*.conf'\n"),
        }
        assert (read(tree, files)[ETC + "x.service"]["value"], read(tree, files)[ETC + "x.service"]["via"]) == (0, "/etc/sysctl.d/b.conf")


class TestMaskedServices:
    """What applies the sysctl files at boot can be switched off."""

    file, service, procps = "/etc/sysctl.d/a.conf", VENDOR + "systemd-sysctl.service", VENDOR + "procps.service"
    files = {
        file: f"{KEY}=0\n",
        service: "[Service]\nType=oneshot\nExecStart=/usr/lib/systemd/systemd-sysctl\n",
        VENDOR + "sysinit.target.wants/systemd-sysctl.service": ("link", "../systemd-sysctl.service"),
    }
    mask = {ETC + "systemd-sysctl.service": ("link", "/dev/null")}
    own = {procps: "[Service]\nExecStart=/sbin/sysctl --system\n", VENDOR + "sysinit.target.wants/procps.service": ("link", "../procps.service")}

    def found(self, tree, *parts):
        files = dict(self.files)
        for part in parts:
            files.update(part)
        entry = read(tree, files)[self.file]
        return entry["moments"], entry["reason"]

    def test_masked(self, tree):
        assert self.found(tree) == (["reboot"], None)
        assert self.found(tree, self.mask) == ([], "systemd-sysctl.service is masked")

    def test_an_alias(self, tree):
        alias = {self.procps: ("link", "systemd-sysctl.service")}
        assert self.found(tree, alias, self.mask) == ([], "systemd-sysctl.service is masked")
        # systemd-sysctl.service goes on being started under its own name.
        assert self.found(tree, alias, {ETC + "procps.service": ("link", "/dev/null")}) == (["reboot"], None)

    def test_a_service_of_procps_own(self, tree):
        assert self.found(tree, self.mask, self.own) == (["reboot"], None)
        assert self.found(tree, self.mask, {self.procps: self.own[self.procps]}) == ([], "systemd-sysctl.service is masked")
        assert self.found(tree, self.mask, self.own, {ETC + "procps.service": ("link", "/dev/null")}) == ([], "systemd-sysctl.service is masked")

    def test_procps_takes_the_main_file_last(self, tree):
        assert self.found(tree, self.mask, self.own, {"/etc/sysctl.conf": f"{KEY}=1\n"}) == ([], "overridden by /etc/sysctl.conf")

    def test_others_that_apply_them(self, tree):
        rule = 'ACTION=="add", SUBSYSTEM=="module", KERNEL=="ip_vs", RUN+="/usr/lib/systemd/systemd-sysctl --prefix=/net/ipv4/vs"\n'
        assert self.found(tree, self.mask, {"/etc/udev/rules.d/9.rules": rule}) == (["reboot"], None)


class TestUdev:
    path = "/etc/udev/rules.d/90.rules"

    @pytest.mark.parametrize(
        ("rule", "moments"),
        [
            ('ACTION=="add", SUBSYSTEM=="module", KERNEL=="ip_vs", RUN+="/lib/systemd/systemd-sysctl --prefix=/net/ipv4/vs"', ["reboot"]),
            ('SUBSYSTEM=="module", KERNEL=="br_netfilter|ip_vs*", \\\n RUN+="systemd-sysctl --prefix=/proc/sys/net"', ["reboot"]),
            ('KERNEL=="ip_vs", RUN{program}+="/sbin/sysctl --system"', ["reboot"]),
            ('SUBSYSTEM=="module", KERNEL=="nf_conntrack", RUN+="/lib/systemd/systemd-sysctl --prefix=/net"', []),
            ('ACTION=="remove", SUBSYSTEM=="module", KERNEL=="ip_vs", RUN+="/lib/systemd/systemd-sysctl"', []),
            ('ACTION=="add", SUBSYSTEM=="net", KERNEL!="lo", RUN+="/lib/systemd/systemd-sysctl --prefix=/net/ipv4/conf/$name"', []),
            ('SUBSYSTEM=="module", KERNEL=="ip_vs", RUN+="/lib/systemd/systemd-sysctl --prefix=/net/bridge"', []),
            ('# SUBSYSTEM=="module", KERNEL=="ip_vs", RUN+="/lib/systemd/systemd-sysctl"', []),
        ],
    )
    def test_rules_that_apply_the_files(self, tree, rule, moments):
        assert read(tree, {self.path: rule + "\n", "/etc/sysctl.d/a.conf": f"{KEY}=0\n"}, LATE)["/etc/sysctl.d/a.conf"]["moments"] == moments

    def test_a_rule_that_writes(self, tree):
        rule = f'# x\nACTION=="add", SUBSYSTEM=="module", KERNEL=="ip_vs", RUN+="/bin/sh -c \'echo 1 > {FILE}\'"\n'
        found = read(tree, {self.path: rule}, LATE)[self.path]
        assert (found["kind"], found["line"], found["value"], found["wins"]) == ("udev", 2, 1, ["reboot"])


class TestTuned:
    files = {
        "/etc/tuned/active_profile": "throughput-performance\n",
        "/usr/lib/tuned/throughput-performance/tuned.conf": f"[main]\nsummary=x\n[sysctl]\n{KEY} = 0\n",
        **enabled("tuned.service", "[Service]\nExecStart=/usr/sbin/tuned\n"),
    }
    profile = "/usr/lib/tuned/throughput-performance/tuned.conf"

    def test_without_a_second_run_of_the_files_it_wins(self, tree):
        found = read(tree, {**self.files, "/etc/tuned/tuned-main.conf": "reapply_sysctl = 0\n", "/etc/sysctl.d/a.conf": f"{KEY}=1\n"})
        assert (found[self.profile]["wins"], found["/etc/sysctl.d/a.conf"]["reason"]) == (["reboot"], f"overridden by {self.profile}")

    def test_it_does_not_run_the_vendors_files_again(self, tree):
        found = read(tree, {**self.files, "/usr/lib/sysctl.d/a.conf": f"{KEY}=1\n"})
        assert found[self.profile]["wins"] == ["reboot"]

    def test_it_applies_the_main_file_that_systemd_does_not_read(self, tree):
        found = read(tree, {**self.files, "/etc/sysctl.conf": f"{KEY}=1\n"})
        assert (found["/etc/sysctl.conf"]["wins"], found["/etc/sysctl.conf"]["applied_by"], found[self.profile]["moments"]) == (
            ["reboot"],
            ["procps", "tuned"],
            [],
        )

    def test_own_lines_go_before_included_ones(self, tree):
        own = {"/etc/tuned/active_profile": "mine", "/etc/tuned/mine/tuned.conf": f"[net]\ntype=sysctl\n{KEY}=1\n[main]\ninclude=throughput-performance\n"}
        assert list(read(tree, {**self.files, **own})) == ["/etc/tuned/mine/tuned.conf"]

    def test_profiles_that_include_each_other(self, tree):
        assert read(tree, {"/etc/tuned/active_profile": "a", "/etc/tuned/a/tuned.conf": "[main]\ninclude=a,../b,-c\n"}) == {}


class TestUfw:
    files = {"/etc/ufw/sysctl.conf": f"{KEY}=1\n{KEY.replace('.', '/')}=0\n", "/etc/ufw/ufw.conf": "ENABLED=yes\n"}

    def test_after_the_files_of_systemd(self, tree):
        node = tree({**self.files, "/etc/sysctl.d/a.conf": f"{KEY}=1\n"})
        found = read_writers(node, BOOT, Units(node), {})
        assert [(entry["line"], entry["moments"], entry["wins"]) for entry in found] == [(1, ["reboot"], []), (1, [], []), (2, ["reboot"], ["reboot"])]

    def test_without_a_file_of_its_own(self, tree):
        assert read(tree, {**self.files, "/etc/default/ufw": "IPT_SYSCTL=\n"}) == {}


class TestUnits:
    def test_a_wrapper_and_a_script_in_a_shell(self, tree):
        files = {"/opt/a.sh": f"#!/bin/sh\nsysctl -w {KEY}=0\n", "/opt/b": f"sysctl -w {KEY}=1\n"}
        files.update(enabled("a.service", "[Service]\nExecStart=/usr/bin/timeout 10 /opt/a.sh\n"))
        files.update(enabled("b.service", "[Service]\nExecStart=/bin/bash -x /opt/b\n"))
        found = read(tree, files, executable=["/opt/a.sh"])
        assert {path: entry["value"] for path, entry in found.items()} == {"/opt/a.sh": 0, "/opt/b": 1}

    def test_programs_are_not_read_as_scripts(self, tree):
        files = {"/opt/a": b"\x7fELF\0" + f"\nsysctl -w {KEY}=0\n".encode(), "/opt/b": b"#!/bin/sh\n\0\n" + f"sysctl -w {KEY}=0\n".encode()}
        files.update(enabled("a.service", "[Service]\nExecStart=/opt/a\nExecStart=/opt/b\nExecStart=/opt\nExecStart=/opt/\0\nExecStart=/opt/missing\n"))
        assert read(tree, files) == {}

    def test_a_script_that_waits_for_the_key(self, tree):
        files = {
            "/opt/a.sh": f"#!/bin/sh\nuntil [ -e {FILE} ]; do sleep 1; done\necho 1 > {FILE}\n",
            **enabled("a.service", "[Service]\nType=oneshot\nExecStart=/opt/a.sh\n"),
        }
        assert read(tree, files, LATE)["/opt/a.sh"]["moments"] == ["reboot"]

    def test_without_waiting_it_comes_too_early(self, tree):
        found = read(tree, enabled("a.service", f"[Service]\nExecStart=/sbin/sysctl -w {KEY}=1\n"), LATE)[ETC + "a.service"]
        assert (found["moments"], found["reason"]) == ([], "ip_vs is not loaded yet when a.service starts at boot")

    def test_behind_kube_proxy_it_does_not(self, tree):
        files = {**PROXY_UNIT, **enabled("a.service", f"[Unit]\nAfter=kube-proxy.service\n[Service]\nExecStart=/sbin/sysctl -w {KEY}=1\n")}
        assert read(tree, files, LATE, PROXY)[ETC + "a.service"]["moments"] == ["reboot"]

    def test_an_instance_of_a_template(self, tree):
        files = {VENDOR + "t@.service": f"[Service]\nExecStart=/sbin/sysctl -w {KEY}=0\n", WANTED + "t@x.service": ("link", VENDOR + "t@.service")}
        assert read(tree, files)[VENDOR + "t@.service"]["moments"] == ["reboot"]

    def test_k3s_starts_kube_proxy_as_well(self, tree):
        files = enabled(
            "k3s.service", f"[Service]\nExecStartPre=-/sbin/modprobe ip_vs\nExecStartPre=/sbin/sysctl -w {KEY}=0\nExecStart=/usr/local/bin/k3s server\n"
        )
        found = read(tree, files, BOOT, {"unit": "k3s.service", "form": "k3s"})[ETC + "k3s.service"]
        assert (found["kind"], found["moments"]) == ("kubelet_pre_start", ["kube_proxy_restart", "kubelet_restart", "reboot"])

    def test_hyperkube_is_what_it_runs(self, tree):
        unit = f"[Service]\nExecStartPre=/sbin/sysctl -w {KEY}=0\nExecStart=/usr/local/bin/hyperkube %s --v=2\n"
        found = read(tree, {**enabled("a.service", unit % "kubelet"), **enabled("b.service", unit % "proxy")})
        assert [found[ETC + name]["kind"] for name in ("a.service", "b.service")] == ["kubelet_pre_start", "unit"]
        assert found[ETC + "b.service"]["moments"] == ["kube_proxy_restart", "reboot"]

    def test_rc_local_is_not_counted_twice(self, tree):
        files = {
            "/etc/rc.d/rc.local": "#!/bin/bash\n/opt/x.sh\n",
            "/opt/x.sh": f"#!/bin/sh\nmodprobe ip_vs\nsysctl -w {KEY}=0\n",
            "/etc/rc.local": ("link", "rc.d/rc.local"),
        }
        files[VENDOR + "rc-local.service"] = "[Service]\nExecStart=/etc/rc.d/rc.local start\n"
        node = tree(files)
        os.chmod(node.root + "/etc/rc.d/rc.local", 0o755)
        assert [(entry["kind"], entry["path"], entry["line"], entry["wins"]) for entry in read_writers(node, LATE, Units(node), {})] == [
            ("rc_local", "/opt/x.sh", 3, ["reboot"])
        ]

    def test_the_last_word_at_boot(self, tree):
        files = {
            **PROXY_UNIT,
            "/etc/sysctl.d/a.conf": f"{KEY}=0\n",
            ETC + "kube-proxy.service.d/a.conf": f"[Service]\nExecStartPost=/sbin/sysctl -w {KEY}=1\n",
            **enabled("kubelet.service", f"[Service]\nExecStartPre=/sbin/sysctl -w {KEY}=0\nExecStart=/usr/bin/kubelet\n"),
        }
        found = read(tree, files, BOOT, PROXY)
        assert found[ETC + "kube-proxy.service.d/a.conf"]["wins"] == ["reboot", "kube_proxy_restart"]
        assert found[ETC + "kubelet.service"]["wins"] == ["kubelet_restart"]


class TestUnitsThatSettingsStart:
    """No link of a target starts these; what a unit says of others does."""

    tune = {ETC + "tune.service": f"[Service]\nType=oneshot\nExecStart=/sbin/sysctl -w {KEY}=0\n"}
    linked = {WANTED + "kube-proxy.service": ("link", VENDOR + "kube-proxy.service")}
    proxy = VENDOR + "kube-proxy.service"

    def moments(self, tree, *parts, kube_proxy=None):
        files = dict(self.tune)
        for part in parts:
            files.update(part)
        return read(tree, files, BOOT, PROXY if kube_proxy is None else kube_proxy)[ETC + "tune.service"]["moments"]

    @pytest.mark.parametrize(
        ("setting", "moments"),
        [
            ("Wants=tune.service", ["kube_proxy_restart", "reboot"]),
            ("Requires=tune.service", ["kube_proxy_restart", "reboot"]),
            ("Requisite=tune.service", []),
            ("Before=tune.service", []),
        ],
    )
    def test_of_kube_proxy(self, tree, setting, moments):
        unit = {self.proxy: f"[Unit]\n{setting}\n[Service]\nExecStart=/usr/bin/kube-proxy\n"}
        assert self.moments(tree, unit, self.linked) == moments
        # What runs was started, whatever did so.
        assert self.moments(tree, unit) == moments
        assert self.moments(tree, unit, self.linked, kube_proxy={"unit": None, "form": None}) == moments

    def test_it_is_as_with_a_link(self, tree):
        unit = {self.proxy: "[Unit]\nWants=tune.service\n[Service]\nExecStart=/usr/bin/kube-proxy\n"}
        link = {ETC + "kube-proxy.service.wants/tune.service": ("link", ETC + "tune.service")}
        assert read(tree, {**self.tune, **unit, **self.linked}, BOOT, PROXY) == read(tree, {**self.tune, **PROXY_UNIT, **self.linked, **link}, BOOT, PROXY)

    def test_a_kube_proxy_that_nothing_starts(self, tree):
        unit = {self.proxy: "[Unit]\nWants=tune.service\n[Service]\nExecStart=/usr/bin/kube-proxy\n"}
        assert self.moments(tree, unit, kube_proxy={"unit": None, "form": "daemonset"}) == []

    def test_of_a_drop_in_of_the_kubelet(self, tree):
        files = {**enabled("kubelet.service", "[Service]\nExecStart=/usr/bin/kubelet\n"), ETC + "kubelet.service.d/9.conf": "[Unit]\nRequires=tune.service\n"}
        assert self.moments(tree, files) == ["kubelet_restart", "reboot"]

    def test_over_a_target(self, tree):
        files = {self.proxy: "[Unit]\nWants=own.target\n[Service]\nExecStart=/usr/bin/kube-proxy\n", ETC + "own.target": "[Unit]\nWants=tune.service\n"}
        assert self.moments(tree, files, self.linked) == ["kube_proxy_restart", "reboot"]

    def test_what_stays_active_is_not_started_again(self, tree):
        files = {
            self.proxy: "[Unit]\nWants=tune.service\n[Service]\nExecStart=/usr/bin/kube-proxy\n",
            ETC + "tune.service": f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/sbin/sysctl -w {KEY}=0\n",
        }
        assert self.moments(tree, files, self.linked) == ["reboot"]

    @pytest.mark.parametrize(
        ("command", "stays", "moments"),
        [
            ("systemctl start tune.service", False, ["kubelet_restart", "reboot"]),
            ("systemctl restart tune", False, ["kubelet_restart", "reboot"]),
            ("systemctl start tune.service", True, ["reboot"]),
            ("systemctl restart tune.service", True, ["kubelet_restart", "reboot"]),
            ("systemctl try-restart tune.service", False, []),
        ],
    )
    def test_by_a_command(self, tree, command, stays, moments):
        files = enabled("kubelet.service", f"[Service]\nExecStartPre=/bin/{command}\nExecStart=/usr/bin/kubelet\n")
        if stays:
            files[ETC + "tune.service"] = f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/sbin/sysctl -w {KEY}=0\n"
        assert self.moments(tree, files) == moments

    def test_an_instance_of_a_template(self, tree):
        files = {
            self.proxy: "[Unit]\nWants=tune@%p.service\n[Service]\nExecStart=/usr/bin/kube-proxy\n",
            ETC + "tune@.service": f"[Service]\nType=oneshot\nExecStart=/sbin/sysctl -w {KEY}=0\n",
        }
        found = read(tree, {**files, **self.linked}, BOOT, PROXY)[ETC + "tune@.service"]
        assert (found["unit"], found["moments"]) == ("tune@kube-proxy.service", ["kube_proxy_restart", "reboot"])

    def test_a_masked_unit(self, tree):
        files = {
            self.proxy: "[Unit]\nWants=tune.service\n[Service]\nExecStart=/usr/bin/kube-proxy\n",
            "/run/systemd/system.control/tune.service": ("link", "/dev/null"),
            ETC + "tune.service.d/1.conf": f"[Service]\nExecStartPost=/sbin/sysctl -w {KEY}=0\n",
        }
        found = read(tree, {**self.tune, **files, **self.linked}, BOOT, PROXY)
        assert [(entry["moments"], entry["reason"]) for entry in found.values()] == [([], "unit is masked")]


class TestLateAtBoot:
    """Which writers wait at boot, so that they come after kube-proxy."""

    sleeping = f"[Service]\nType=oneshot\nExecStart=/bin/sh -c 'sleep 60; sysctl -w {KEY}=1'\n"
    plain = f"[Service]\nType=oneshot\nExecStart=/sbin/sysctl -w {KEY}=1\n"

    def timer(self, text):
        link = {ETC + "timers.target.wants/late.timer": ("link", ETC + "late.timer")}
        return {ETC + "late.service": self.plain, ETC + "late.timer": f"[Timer]\n{text}\n", **link}

    def waits(self, tree, *parts, kube_proxy=None, **more):
        files = dict(PROXY_UNIT)
        for part in parts:
            files.update(part)
        (found,) = read(tree, files, BOOT, PROXY if kube_proxy is None else kube_proxy, **more).values()
        assert found["moments"] == ["reboot"]
        return found["waits"]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [("OnBootSec=3min", True), ("OnStartupSec=30", True), ("OnActiveSec=5min\nOnBootSec=1", False), ("OnBootSec=0", False), ("OnClockChange=yes", False)],
    )
    def test_a_timer_that_fires_once(self, tree, text, expected):
        assert self.waits(tree, self.timer(text)) is expected

    def test_units(self, tree):
        assert self.waits(tree, enabled("late.service", self.sleeping)) is True
        assert self.waits(tree, enabled("late.service", "[Unit]\nAfter=kube-proxy.service\n" + self.sleeping)) is True
        assert self.waits(tree, enabled("late.service", self.plain)) is False

    def test_what_kube_proxy_waits_for_comes_first(self, tree):
        assert self.waits(tree, enabled("late.service", "[Unit]\nBefore=kube-proxy.service\n" + self.sleeping)) is False
        after = {VENDOR + "kube-proxy.service": "[Unit]\nAfter=late.service\n[Service]\nExecStart=/usr/bin/kube-proxy\n"}
        assert self.waits(tree, enabled("late.service", self.sleeping), after) is False
        timer = {ETC + "late.timer": "[Timer]\nOnBootSec=3min\n", ETC + "timers.target.wants/late.timer": ("link", ETC + "late.timer")}
        assert self.waits(tree, {ETC + "late.service": "[Unit]\nBefore=kube-proxy.service\n" + self.plain}, timer) is True
        # systemd does not wait for the end of one that is no oneshot.
        assert self.waits(tree, enabled("late.service", "[Unit]\nBefore=kube-proxy.service\n" + self.sleeping.replace("oneshot", "simple"))) is True
        before = enabled("late.service", "[Unit]\nBefore=kubelet.service\n" + self.sleeping)
        assert self.waits(tree, before, kube_proxy={"unit": None, "form": "daemonset"}) is False

    def test_rc_local(self, tree):
        script = f"#!/bin/sh\n%ssysctl -w {KEY}=1\n"
        assert self.waits(tree, {"/etc/rc.local": script % "sleep 60\n"}, executable=["/etc/rc.local"]) is True
        assert self.waits(tree, {"/etc/rc.local": script % ""}, executable=["/etc/rc.local"]) is False

    def test_it_has_the_last_word(self, tree):
        files = {"/etc/cron.d/x": f"@reboot root sleep 60 && sysctl -w {KEY}=1\n", **PROXY_UNIT}
        files.update(enabled("kubelet.service", f"[Service]\nExecStartPre=/sbin/sysctl -w {KEY}=0\nExecStart=/usr/bin/kubelet\n"))
        assert read(tree, files, BOOT, PROXY)["/etc/cron.d/x"]["wins"] == ["reboot"]


class TestKubeRouter:
    @pytest.mark.parametrize(
        ("flags", "moments"),
        [([], ["reboot"]), (["--run-service-proxy=true"], ["reboot"]), (["--run-service-proxy=false"], []), (["--run-service-proxy=0"], [])],
    )
    def test_only_its_service_proxy_writes(self, tree, flags, moments):
        files = process(77, "kube-router", ["/usr/local/bin/kube-router", "--run-router=true", *flags])
        assert read(tree, files, BOOT, {"kube_router": True})[None]["moments"] == moments


class TestCron:
    @pytest.mark.parametrize(("debian", "count"), [(True, 0), (False, 1)])
    def test_names_with_a_dot(self, tree, debian, count):
        files = {"/etc/cron.d/k8s.cron": f"* * * * * root sysctl -w {KEY}=1\n", "/etc/cron.d/x.rpmsave": f"* * * * * root sysctl -w {KEY}=0\n"}
        files.update({"/etc/debian_version": "12.1\n"} if debian else {})
        assert len(read(tree, files)) == count

    def test_a_wrapped_script_and_anacron(self, tree):
        files = {
            "/etc/cron.d/a": "*/5 * * * * root flock -n /run/l /opt/a.sh >/dev/null 2>&1\n",
            "/opt/a.sh": f"#!/bin/sh\necho 1 > {FILE}\n",
            "/etc/anacrontab": f"7 25 x sysctl -w {KEY}=1\n",
        }
        found = read(tree, files, executable=["/opt/a.sh"])
        assert {path: entry["period_seconds"] for path, entry in found.items()} == {"/opt/a.sh": 300, "/etc/anacrontab": 604800}

    @pytest.mark.parametrize(
        ("fields", "seconds"),
        [
            ("0,15,30,45 * * * *", 900),
            ("0-59/2 * * * *", 120),
            ("5,10 * * * *", 3300),
            ("*/7 * * * *", 420),
            ("x * * * *", 3600),
            ("0 8-18 * * *", 50400),
            ("*/99999999999 * * * *", 3600),
        ],
    )
    def test_longest_gaps(self, fields, seconds):
        assert period_of(fields.split()) == seconds


class TestGuards:
    def guards(self, tree, files, kube_proxy=None):
        """The guards that read_hold makes of a tree's writers."""
        kube_proxy = PROXY if kube_proxy is None else kube_proxy
        return [
            (guard["kind"], guard["waits"], guard["period_seconds"], guard["value"])
            for guard in read_hold(tree({}), kube_proxy, list(read(tree, files, LATE, kube_proxy).values()), None)["guards"]
        ]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (
                f"[Unit]\nPartOf=kube-proxy.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'sleep 30; sysctl -w {KEY}=1'\n",
                [("script", True, None, 1)],
            ),
            (f"[Unit]\nPartOf=kube-proxy.service\n[Service]\nType=oneshot\nExecStart=/sbin/sysctl -w {KEY}=1\n", []),
            (f"[Service]\nExecStart=/bin/sh -c 'while true; do echo 1 > {FILE}; sleep 5; done'\n", [("script", True, 5, 1)]),
            (f"[Service]\nExecStart=/sbin/sysctl -w {KEY}=1\n", []),
        ],
    )
    def test_units_beside_kube_proxy(self, tree, text, expected):
        assert self.guards(tree, {**PROXY_UNIT, **enabled("guard.service", text)}) == expected

    def test_a_unit_that_kube_proxy_wants(self, tree):
        files = {**PROXY_UNIT, VENDOR + "guard.service": f"[Service]\nType=oneshot\nExecStart=/bin/sh -c 'sleep 30; sysctl -w {KEY}=1'\n"}
        files[ETC + "kube-proxy.service.wants/guard.service"] = ("link", VENDOR + "guard.service")
        assert self.guards(tree, files) == [("script", True, None, 1)]

    def test_a_kube_proxy_that_does_not_run_now(self, tree):
        files = enabled("kube-proxy.service", f"[Service]\nExecStart=/usr/bin/kube-proxy\nExecStartPost=/sbin/sysctl -w {KEY}=1\n")
        assert self.guards(tree, files, {"unit": None, "form": None}) == [("exec_start_post", False, None, 1)]

    def test_a_left_over_unit_next_to_a_daemon_set(self, tree):
        files = {ETC + "kube-proxy.service": f"[Service]\nExecStart=/usr/bin/kube-proxy\nExecStartPost=/sbin/sysctl -w {KEY}=1\n"}
        assert self.guards(tree, files, {"unit": None, "form": "daemonset"}) == []

    def test_a_script_that_goes_through_a_list_does_not_wait(self, tree):
        script = "#!/bin/bash\nfor v in conntrack=1 conn_reuse_mode=1; do\n  sysctl -w net.ipv4.vs.$v\ndone\nsysctl -w net.ipv4.vs.conn_reuse_mode=1\n"
        unit = "[Service]\nExecStart=/usr/bin/kube-proxy\nExecStartPost=-/etc/kubernetes/set-conn-reuse-mode.sh\n"
        assert self.guards(tree, {VENDOR + "kube-proxy.service": unit, "/etc/kubernetes/set-conn-reuse-mode.sh": script}) == [
            ("exec_start_post", False, None, 1)
        ]
