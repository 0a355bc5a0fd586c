# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever sets the value on a node: which line, when it fires, which one wins."""

from __future__ import annotations

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import shell_actions
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.cron_writers import period_of
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.hold import read_hold
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.sysctl_files import SysctlFiles, normal_key
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import Units, seconds_of
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.writers import read_writers
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import read as read_facts
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.neutralise import neutralise

KEY = "net.ipv4.vs.conn_reuse_mode"
BOOT = {"ip_vs": "loaded", "ip_vs_loaded_at_boot": [{"path": "/etc/modules-load.d/ipvs.conf", "line": 1}]}
LATE = {"ip_vs": "loaded", "ip_vs_loaded_at_boot": []}
WANTED = "/etc/systemd/system/multi-user.target.wants/"
KUBELET = {
    "/etc/systemd/system/kubelet.service": "[Service]\nExecStartPre=/usr/bin/kubelet-pre-start.sh\nExecStart=/usr/bin/kubelet\n",
    WANTED + "kubelet.service": ("link", "/etc/systemd/system/kubelet.service"),
}


def writers(tree, files, kernel=None, kube_proxy=None, executable=()):
    """read_writers on a tree."""
    import os

    node = tree(files)
    for path in executable:
        os.chmod(node.root + path, 0o755)
    return read_writers(node, kernel or BOOT, Units(node), kube_proxy or {})


def short(found):
    """(kind, path, line, value, moments, wins) of each writer."""
    return [(entry["kind"], entry["path"], entry["line"], entry["value"], entry["moments"], entry["wins"]) for entry in found]


class TestScriptsOfOthers:
    """A script that a user of the node can change, or whose directory he can swap, must not be edited by root: what starts it is told instead."""

    script = {"/home/eve/x.sh": f"#!/bin/sh\nsysctl -w {KEY}=0\n"}

    @pytest.fixture(autouse=True)
    def _home(self, monkeypatch):
        monkeypatch.setattr(NodeFiles, "is_roots_alone", lambda self, path: not path.startswith("/home/"))

    @staticmethod
    def _told(found):
        edits, left = neutralise(read_facts({"schema": 1, "kernel": {}, "writers": found}), 1)
        return [(entry["kind"], entry["path"], entry["line"], entry["value"], entry.get("via")) for entry in found], edits, left

    def test_cron(self, tree):
        found = writers(tree, {**self.script, "/var/spool/cron/crontabs/eve": "* * * * * /home/eve/x.sh\n"}, executable=["/home/eve/x.sh"])
        assert self._told(found) == ([("cron", "/var/spool/cron/crontabs/eve", 1, 0, "/home/eve/x.sh")], [], [])
        assert (found[0]["text"], found[0]["period_seconds"]) == ("* * * * * /home/eve/x.sh", 60)

    def test_unit(self, tree):
        unit = {"/etc/systemd/system/x.service": "[Service]\nExecStart=/home/eve/x.sh\n", WANTED + "x.service": ("link", "/etc/systemd/system/x.service")}
        found = writers(tree, {**self.script, **unit}, executable=["/home/eve/x.sh"])
        assert self._told(found) == ([("unit", "/etc/systemd/system/x.service", 2, 0, "/home/eve/x.sh")], [], [])
        assert found[0]["moments"] == ["reboot"]

    def test_rc_local(self, tree):
        found = writers(tree, {**self.script, "/etc/rc.local": "#!/bin/sh\n/home/eve/x.sh\n"}, executable=["/home/eve/x.sh", "/etc/rc.local"])
        assert self._told(found) == ([("rc_local", "/etc/rc.local", None, 0, "/home/eve/x.sh")], [], [])

    def test_one_of_root_is_edited(self, tree):
        files = {"/opt/x.sh": self.script["/home/eve/x.sh"], "/etc/cron.d/x": "* * * * * root /opt/x.sh\n"}
        told, edits, left = self._told(writers(tree, files, executable=["/opt/x.sh"]))
        assert told == [("cron", "/opt/x.sh", 2, 0, None)]
        assert [(edit.path, edit.line) for edit in edits] == [("/opt/x.sh", f"sysctl -w {KEY}=0")] and left == []


class TestSysctlFiles:
    def test_the_last_name_wins_over_all_directories(self, tree):
        found = writers(tree, {"/etc/sysctl.d/10-a.conf": f"{KEY} = 1\n", "/usr/lib/sysctl.d/50-b.conf": f"# x\n{KEY}=0\n"})
        assert short(found) == [
            ("sysctl_file", "/etc/sysctl.d/10-a.conf", 1, 1, [], []),
            ("sysctl_file", "/usr/lib/sysctl.d/50-b.conf", 2, 0, ["reboot"], ["reboot"]),
        ]
        assert found[0]["reason"] == "overridden by /usr/lib/sysctl.d/50-b.conf"

    def test_the_same_name_in_etc_masks(self, tree):
        found = writers(tree, {"/etc/sysctl.d/50-b.conf": "", "/usr/lib/sysctl.d/50-b.conf": f"{KEY}=0\n"})
        assert (found[0]["moments"], found[0]["reason"]) == ([], "masked by /etc/sysctl.d/50-b.conf")

    def test_a_link_to_dev_null_masks(self, tree):
        found = writers(tree, {"/etc/sysctl.d/50-b.conf": ("link", "/dev/null"), "/usr/lib/sysctl.d/50-b.conf": f"{KEY}=0\n"})
        assert found[0]["moments"] == []

    def test_main_file_needs_the_link(self, tree):
        without = writers(tree, {"/etc/sysctl.conf": f"{KEY}=0\n"})
        assert (without[0]["moments"], without[0]["reason"]) == ([], "systemd-sysctl does not read this file at boot")

    def test_main_file_with_the_link(self, tree):
        found = writers(tree, {"/etc/sysctl.conf": f"{KEY}=0\n", "/etc/sysctl.d/99-sysctl.conf": ("link", "../sysctl.conf")})
        assert short(found) == [("sysctl_file", "/etc/sysctl.conf", 1, 0, ["reboot"], ["reboot"])]

    def test_a_file_after_the_link_wins(self, tree):
        found = writers(
            tree, {"/etc/sysctl.conf": f"{KEY}=0\n", "/etc/sysctl.d/99-sysctl.conf": ("link", "../sysctl.conf"), "/etc/sysctl.d/99-z.conf": f"{KEY}=1\n"}
        )
        assert [entry["wins"] for entry in found if entry["value"] == 1] == [["reboot"]]
        assert [entry["wins"] for entry in found if entry["value"] == 0] == [[]]

    def test_lib_linked_to_usr_lib_is_read_once(self, tree):
        assert len(writers(tree, {"/usr/lib/sysctl.d/50-b.conf": f"{KEY}=0\n", "/lib": ("link", "usr/lib")})) == 1

    @pytest.mark.parametrize(
        "line",
        [
            "net.ipv4.vs.conn_reuse_mode=0",
            "  net/ipv4/vs/conn_reuse_mode = 0",
            "-net.ipv4.vs.conn_reuse_mode = 0",
            "net.ipv4.vs.conn_reuse_mode\t=\t0\r",
            "net.ipv4.vs.* = 0",
            "net.ipv4.*.conn_reuse_mode = 0",
            "net/ipv4/vs/conn_reuse_* = 0",
        ],
    )
    def test_ways_to_write_it(self, tree, line):
        assert [entry["value"] for entry in writers(tree, {"/etc/sysctl.d/a.conf": line + "\n"})] == [0]

    @pytest.mark.parametrize(
        "line",
        [
            "#net.ipv4.vs.conn_reuse_mode=0",
            "; net.ipv4.vs.conn_reuse_mode=0",
            "net.ipv4.vs.conn_reuse_mode",
            "net.ipv4.vs.conntrack=0",
            "net.ipv4.* = 0",
            "net.ipv4.vs.conn_reuse_mode_x = 0",
        ],
    )
    def test_what_does_not_set_it(self, tree, line):
        assert writers(tree, {"/etc/sysctl.d/a.conf": line + "\n"}) == []

    def test_only_conf_is_read(self, tree):
        assert writers(tree, {"/etc/sysctl.d/a.conf~": f"{KEY}=0\n", "/etc/sysctl.d/b.conf.rpmsave": f"{KEY}=0\n", "/etc/sysctl.d/c.conf/x": "y"}) == []

    def test_an_explicit_key_goes_before_a_pattern(self, tree):
        files = SysctlFiles(tree({"/etc/sysctl.d/10.conf": f"{KEY}=1\n", "/etc/sysctl.d/20.conf": "net.ipv4.vs.*=0\n"}))
        assert files.systemd.value == 1

    def test_an_exclusion_takes_the_key_out_of_patterns(self, tree):
        assert SysctlFiles(tree({"/etc/sysctl.d/10.conf": f"-{KEY}\n", "/etc/sysctl.d/20.conf": "net.ipv4.vs.*=0\n"})).systemd is None

    def test_without_ip_vs_at_boot_it_never_fires(self, tree):
        found = writers(tree, {"/etc/sysctl.d/a.conf": f"{KEY}=0\n"}, LATE)
        assert (found[0]["moments"], found[0]["reason"]) == ([], "ip_vs is not loaded yet when systemd-sysctl runs at boot")

    def test_a_udev_rule_makes_it_fire(self, tree):
        rule = 'ACTION=="add", SUBSYSTEM=="module", KERNEL=="ip_vs", RUN+="/usr/lib/systemd/systemd-sysctl --prefix=/net/ipv4/vs"\n'
        assert writers(tree, {"/etc/sysctl.d/a.conf": f"{KEY}=0\n", "/etc/udev/rules.d/90.rules": rule}, LATE)[0]["moments"] == ["reboot"]

    def test_built_in_is_early_enough(self, tree):
        assert writers(tree, {"/etc/sysctl.d/a.conf": f"{KEY}=0\n"}, {"ip_vs": "builtin", "ip_vs_loaded_at_boot": []})[0]["moments"] == ["reboot"]

    def test_binary_and_senseless_values(self, tree):
        found = writers(tree, {"/etc/sysctl.d/a.conf": b"\xff\xfe\x00\n" + KEY.encode() + b"=x\n"})
        assert (found[0]["value"], found[0]["line"]) == (None, 2)

    @pytest.mark.parametrize(
        ("key", "expected"),
        [("net.ipv4.conf.eth0/1.rp_filter", "net/ipv4/conf/eth0.1/rp_filter"), ("net/ipv4/conf/eth0.1/rp_filter", "net/ipv4/conf/eth0.1/rp_filter")],
    )
    def test_the_first_separator_decides(self, key, expected):
        assert normal_key(key) == expected


class TestKubeletPreStart:
    script = "#!/bin/bash\nmodprobe -- ip_vs\nmodprobe -- ip_vs_rr\n# sysctl -w net.ipv4.vs.conn_reuse_mode=1\nsysctl --system\nswapoff --all\n"

    def test_sealos(self, tree):
        found = writers(tree, {**KUBELET, "/usr/bin/kubelet-pre-start.sh": self.script, "/etc/sysctl.d/sealos-k8s.conf": f"{KEY}=0\n"}, LATE)
        assert short(found) == [
            ("sysctl_file", "/etc/sysctl.d/sealos-k8s.conf", 1, 0, [], []),
            ("kubelet_pre_start", "/usr/bin/kubelet-pre-start.sh", 5, 0, ["kubelet_restart", "reboot"], ["reboot", "kubelet_restart"]),
        ]
        assert found[1]["via"] == "/etc/sysctl.d/sealos-k8s.conf"

    def test_sysctl_system_takes_the_main_file_last(self, tree):
        found = writers(
            tree, {**KUBELET, "/usr/bin/kubelet-pre-start.sh": self.script, "/etc/sysctl.d/99-z.conf": f"{KEY}=0\n", "/etc/sysctl.conf": f"{KEY}=1\n"}, LATE
        )
        assert [entry["value"] for entry in found if entry["kind"] == "kubelet_pre_start"] == [1]

    def test_without_modprobe_not_at_boot(self, tree):
        found = writers(tree, {**KUBELET, "/usr/bin/kubelet-pre-start.sh": "#!/bin/sh\nsysctl --system\n", "/etc/sysctl.d/a.conf": f"{KEY}=0\n"}, LATE)
        assert [entry["moments"] for entry in found if entry["kind"] == "kubelet_pre_start"] == [["kubelet_restart"]]

    def test_a_drop_in_with_a_command(self, tree):
        drop_in = {"/etc/systemd/system/kubelet.service.d/20.conf": f"[Service]\nExecStartPre=-/sbin/sysctl -w {KEY}=0\n"}
        files = KUBELET | {"/etc/systemd/system/kubelet.service": "[Service]\nExecStart=/usr/bin/kubelet\n"} | drop_in
        assert short(writers(tree, files)) == [
            ("kubelet_pre_start", "/etc/systemd/system/kubelet.service.d/20.conf", 2, 0, ["kubelet_restart", "reboot"], ["reboot", "kubelet_restart"])
        ]

    def test_a_script_behind_a_shell(self, tree):
        unit = {"/etc/systemd/system/kubelet.service": "[Service]\nExecStartPre=/bin/bash -c '/opt/pre.sh start'\nExecStart=/usr/bin/kubelet\n"}
        found = writers(tree, KUBELET | unit | {"/opt/pre.sh": "#!/bin/bash\nsysctl -p /etc/sysctl.d/*.conf\n", "/etc/sysctl.d/k8s.conf": f"{KEY}=0\n"})
        assert [(entry["path"], entry["value"], entry["via"]) for entry in found if entry["kind"] == "kubelet_pre_start"] == [
            ("/opt/pre.sh", 0, "/etc/sysctl.d/k8s.conf")
        ]

    def test_a_script_that_sets_nothing(self, tree):
        assert writers(tree, {**KUBELET, "/usr/bin/kubelet-pre-start.sh": self.script}) == []

    def test_a_unit_that_is_not_enabled(self, tree):
        found = writers(tree, {"/etc/systemd/system/tune.service": "[Service]\nExecStart=/bin/sh -c 'echo 0 > /proc/sys/net/ipv4/vs/conn_reuse_mode'\n"})
        assert (found[0]["kind"], found[0]["moments"], found[0]["reason"]) == ("unit", [], "unit is not enabled")


class TestGuards:
    proxy = {"unit": "kube-proxy.service", "form": "systemd"}
    unit = {
        "/usr/lib/systemd/system/kube-proxy.service": "[Service]\nExecStart=/usr/local/bin/kube-proxy\nExecStartPost=/etc/kubernetes/set-conn-reuse-mode.sh\n"
    }

    def guards(self, tree, files):
        """The guards that read_hold makes of the writers."""
        return read_hold(tree({}), self.proxy, writers(tree, files, LATE, self.proxy), None)["guards"]

    def test_the_recipe_that_loses(self, tree):
        drop_in = {
            "/etc/systemd/system/kube-proxy.service.d/10-reuse.conf": f"[Service]\nExecStartPost=/sbin/sysctl -w {KEY}=1\n",
            "/usr/lib/systemd/system/kube-proxy.service": "[Service]\nExecStart=/usr/bin/kube-proxy\n",
        }
        guard = self.guards(tree, drop_in)[0]
        assert (guard["kind"], guard["path"], guard["line"], guard["value"], guard["waits"]) == (
            "exec_start_post",
            "/etc/systemd/system/kube-proxy.service.d/10-reuse.conf",
            2,
            1,
            False,
        )

    def test_a_vendors_script(self, tree):
        script = "#!/bin/bash\nfor i in $(seq 30); do\n  sleep 1\n  sysctl -w net.ipv4.vs.conn_reuse_mode=1\ndone\n"
        guard = self.guards(tree, {**self.unit, "/etc/kubernetes/set-conn-reuse-mode.sh": script})[0]
        assert (guard["path"], guard["line"], guard["value"], guard["waits"]) == ("/etc/kubernetes/set-conn-reuse-mode.sh", 4, 1, True)

    def test_a_line_that_waits_before_it(self, tree):
        unit = f"[Service]\nExecStart=/usr/bin/kube-proxy\nExecStartPost=/bin/sleep 30\nExecStartPost=/sbin/sysctl -w {KEY}=1\n"
        guard = self.guards(tree, {"/etc/systemd/system/kube-proxy.service": unit})[0]
        assert (guard["line"], guard["waits"]) == (4, True)

    def test_a_timer(self, tree):
        files = {
            "/etc/systemd/system/reuse.service": f"[Service]\nType=oneshot\nExecStart=/sbin/sysctl -w {KEY}=1\n",
            "/etc/systemd/system/reuse.timer": "[Timer]\nOnBootSec=1min\nOnUnitActiveSec=30s\n",
            "/etc/systemd/system/timers.target.wants/reuse.timer": ("link", "/etc/systemd/system/reuse.timer"),
        }
        guard = self.guards(tree, files)[0]
        assert (guard["kind"], guard["period_seconds"], guard["value"]) == ("timer", 30, 1)

    def test_a_loop(self, tree):
        files = {
            "/etc/systemd/system/reuse.service": "[Service]\nExecStart=/opt/loop.sh\n",
            WANTED + "reuse.service": ("link", "../reuse.service"),
            "/opt/loop.sh": "#!/bin/sh\nwhile true; do\n  echo 1 > /proc/sys/net/ipv4/vs/conn_reuse_mode\n  sleep 5\ndone\n",
        }
        assert self.guards(tree, files)[0]["period_seconds"] == 5

    def test_cron(self, tree):
        guard = self.guards(tree, {"/etc/cron.d/reuse": f"PATH=/sbin\n* * * * * root sysctl -w {KEY}=1\n"})[0]
        assert (guard["kind"], guard["period_seconds"], guard["line"]) == ("cron", 60, 2)


class TestOthers:
    def test_ufw(self, tree):
        files = {
            "/etc/ufw/sysctl.conf": "net/ipv4/vs/conn_reuse_mode=0\n",
            "/etc/ufw/ufw.conf": "ENABLED=yes\n",
            "/etc/default/ufw": "IPT_SYSCTL=/etc/ufw/sysctl.conf\n",
        }
        assert short(writers(tree, files)) == [("ufw", "/etc/ufw/sysctl.conf", 1, 0, ["reboot"], ["reboot"])]

    def test_ufw_switched_off(self, tree):
        assert (
            writers(tree, {"/etc/ufw/sysctl.conf": "net/ipv4/vs/conn_reuse_mode=0\n", "/etc/ufw/ufw.conf": "ENABLED=no\n"})[0]["reason"]
            == "ufw is not enabled"
        )

    tuned = {
        "/etc/tuned/active_profile": "mine\n",
        "/etc/tuned/mine/tuned.conf": "[main]\ninclude=parent\n[sysctl]\nvm.swappiness=1\n",
        "/usr/lib/tuned/parent/tuned.conf": f"[sysctl]\n{KEY} = 0\n",
        WANTED + "tuned.service": ("link", "/usr/lib/systemd/system/tuned.service"),
        "/usr/lib/systemd/system/tuned.service": "[Service]\nExecStart=/usr/sbin/tuned\n",
    }

    def test_tuned_profile_chain(self, tree):
        assert short(writers(tree, self.tuned)) == [("tuned", "/usr/lib/tuned/parent/tuned.conf", 2, 0, ["reboot"], ["reboot"])]

    def test_tuned_applies_the_sysctl_files_again(self, tree):
        found = writers(tree, {**self.tuned, "/etc/sysctl.d/a.conf": f"{KEY}=1\n"})
        assert [entry["wins"] for entry in found if entry["kind"] == "tuned"] == [[]]
        assert [entry["wins"] for entry in found if entry["kind"] == "sysctl_file"] == [["reboot"]]

    def test_tuned_that_is_not_enabled(self, tree):
        files = {key: value for key, value in self.tuned.items() if ".wants/" not in key}
        assert writers(tree, files)[0]["reason"] == "tuned is not enabled"

    def test_modprobe_install_line(self, tree):
        files = {"/etc/modprobe.d/ipvs.conf": "install ip_vs /sbin/modprobe --ignore-install ip_vs && /sbin/sysctl -w net.ipv4.vs.conn_reuse_mode=0\n"}
        assert short(writers(tree, files, LATE)) == [("modprobe", "/etc/modprobe.d/ipvs.conf", 1, 0, ["reboot"], ["reboot"])]

    def test_modprobe_line_that_applies_the_files(self, tree):
        files = {"/etc/modprobe.d/ipvs.conf": "install ip_vs /sbin/modprobe -i ip_vs; /sbin/sysctl -p /etc/my.conf\n", "/etc/my.conf": f"{KEY}=0\n"}
        assert [(entry["kind"], entry["value"], entry.get("via")) for entry in writers(tree, files, LATE)] == [("modprobe", 0, "/etc/my.conf")]

    def test_rc_local(self, tree):
        files = {"/etc/rc.local": "#!/bin/sh\necho 0 | tee /proc/sys/net/ipv4/vs/conn_reuse_mode\n"}
        assert short(writers(tree, files, executable=["/etc/rc.local"])) == [("rc_local", "/etc/rc.local", 2, 0, ["reboot"], ["reboot"])]

    def test_rc_local_that_is_not_executable(self, tree):
        assert writers(tree, {"/etc/rc.local": "#!/bin/sh\necho 0 > /proc/sys/net/ipv4/vs/conn_reuse_mode\n"}) == []

    def test_kube_router(self, tree):
        assert short(writers(tree, {}, kube_proxy={"kube_router": True})) == [("kube_router", None, None, 0, ["reboot"], ["reboot"])]

    def test_cron_at_boot_and_scripts(self, tree):
        files = {
            "/var/spool/cron/root": "@reboot /opt/x.sh\n",
            "/opt/x.sh": "#!/bin/sh\nsysctl -qw net/ipv4/vs/conn_reuse_mode=0\n",
            "/etc/cron.d/old.bak": f"* * * * * root sysctl -w {KEY}=1\n",
        }
        assert short(writers(tree, files)) == [("cron", "/opt/x.sh", 2, 0, ["reboot"], ["reboot"])]

    def test_an_empty_node(self, tree):
        assert writers(tree, {}, {}) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"sysctl -w {KEY}=1", 1),
        (f"/sbin/sysctl -qw {KEY}='0'", 0),
        (f'sysctl -w "{KEY}=1"', 1),
        (f"sysctl -e -w {KEY} = 1", 1),
        ("echo 1 > /proc/sys/net/ipv4/vs/conn_reuse_mode", 1),
        ("echo -n '0' >/proc/sys/net/ipv4/vs/conn_reuse_mode", 0),
        ("printf '%s\\n' 1 > /proc/sys/net/ipv4/vs/conn_reuse_mode", 1),
        ("printf 1 | sudo tee /proc/sys/net/ipv4/vs/conn_reuse_mode", 1),
        (f"sysctl -w {KEY}=$VALUE", None),
        ("echo $V > /proc/sys/net/ipv4/vs/conn_reuse_mode", None),
        (f"sysctl \\\n  -w {KEY}=1", 1),
        (f"nsenter -t 1 -n sysctl -w {KEY}=1", 1),
    ],
)
def test_shell_lines_that_write(text, value):
    actions = shell_actions.read_actions(text)
    assert [(action.kind, action.value) for action in actions] == [(shell_actions.WRITE, value)]


@pytest.mark.parametrize(
    ("text", "line", "value"),
    [
        ("for f in conntrack conn_reuse_mode; do\n  echo 0 > /proc/sys/net/ipv4/vs/$f\ndone\n", 2, 0),
        (f"for key in net.ipv4.vs.conntrack '{KEY}'\ndo\n  sysctl -w \"${{key}}\"=1\ndone\n", 3, 1),
        ("for v in conntrack=1 conn_reuse_mode=0; do\n  sysctl -w net.ipv4.vs.$v\ndone\n", 2, 0),
        ("KEYS='conntrack conn_reuse_mode'\nfor f in $KEYS; do\n  echo 1 > /proc/sys/net/ipv4/vs/$f\ndone\n", 3, 1),
        ("cd /proc/sys/net/ipv4/vs\nfor f in conn_reuse_mode\ndo\n  echo 1 > $f\ndone\n", 4, 1),
        # What stands in one line with its list is seen, and left to people.
        ("for f in conn_reuse_mode conntrack; do echo 0 > /proc/sys/net/ipv4/vs/$f; done", 1, None),
    ],
)
def test_loops_over_keys_that_write(text, line, value):
    assert [(action.kind, action.line, action.value) for action in shell_actions.read_actions(text)] == [(shell_actions.WRITE, line, value)]


@pytest.mark.parametrize(
    "text",
    [
        "for f in conn_reuse_mode; do\n  cat /proc/sys/net/ipv4/vs/$f\ndone\n",
        "for f in conn_reuse_mode; do echo $f; done",
        "for f in conntrack; do echo 1 > /proc/sys/net/ipv4/vs/$f; done # not conn_reuse_mode",
        "for f in conn_reuse_mode; do\n  read f\n  echo 1 > /proc/sys/net/ipv4/vs/$g\ndone\n",
        "for f in conn_reuse_mode; do\n  :\ndone\nfor f in conntrack; do\n  echo 1 > /proc/sys/net/ipv4/vs/$f\ndone\n",
        f"# sysctl -w {KEY}=1",
        f"sysctl -n {KEY}",
        f"sysctl {KEY}",
        "cat /proc/sys/net/ipv4/vs/conn_reuse_mode",
        f"cat > /etc/sysctl.d/x.conf <<EOF\n{KEY} = 0\nEOF\n",
        f"grep -q {KEY} /etc/sysctl.conf",
        "sysctl -a",
        "mysysctl --system",
        "",
    ],
)
def test_shell_lines_that_do_not(text):
    assert shell_actions.read_actions(text) == []


def test_shell_lines_that_re_read_files():
    text = "sysctl --system\nsysctl -p\nsysctl -p /etc/a.conf\nsysctl --load=/etc/b.conf\nsystemctl restart systemd-sysctl\nmodprobe ip_vs\n"
    assert [(action.kind, action.argument) for action in shell_actions.read_actions(text)] == [
        (shell_actions.SYSTEM, None),
        (shell_actions.FILE, "/etc/sysctl.conf"),
        (shell_actions.FILE, "/etc/a.conf"),
        (shell_actions.FILE, "/etc/b.conf"),
        (shell_actions.SERVICE, None),
        (shell_actions.MODPROBE, None),
    ]


@pytest.mark.parametrize(
    ("fields", "seconds"), [("* * * * *", 60), ("*/5 * * * *", 300), ("0 * * * *", 3600), ("0 */6 * * *", 21600), ("0 3 * * *", 86400), ("0 3 * * 1", 604800)]
)
def test_periods_of_cron(fields, seconds):
    assert period_of(fields.split()) == seconds


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("1min 30s", 90), ("2h", 7200), ("90", 90), ("infinity", None), ("", None), ("500ms", 0.5)])
def test_spans_of_systemd(text, seconds):
    assert seconds_of(text) == seconds


class TestUnits:
    def test_precedence_masks_and_resets(self, tree):
        node = tree(
            {
                "/usr/lib/systemd/system/a.service": "[Service]\nExecStartPost=/bin/one\n",
                "/etc/systemd/system/a.service.d/20.conf": "[Service]\nExecStartPost=/bin/three\n",
                "/usr/lib/systemd/system/a.service.d/10.conf": "[Service]\nExecStartPost=\nExecStartPost=/bin/two\n",
                "/usr/lib/systemd/system/a.service.d/20.conf": "[Service]\nExecStartPost=/bin/hidden\n",
                "/etc/systemd/system/b.service": ("link", "/dev/null"),
                "/usr/lib/systemd/system/b.service": "[Service]\nExecStart=/bin/b\n",
                "/etc/systemd/system/c@.service": "[Service]\nExecStart=/bin/c %i\n",
            }
        )
        units = Units(node)
        assert [entry["value"] for entry in units.find("a.service").values("Service", "ExecStartPost")] == ["/bin/two", "/bin/three"]
        assert units.find("b.service").masked
        assert units.find("c@x.service").path == "/etc/systemd/system/c@.service"
        assert units.find("nothing.service") is None
        assert node.unreadable == []
