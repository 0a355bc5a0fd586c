# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What shell text does to the value, as people really write it."""

from __future__ import annotations

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.shell_actions import read_actions
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.shell_text import loop_seconds, waits

KEY = "net.ipv4.vs.conn_reuse_mode"
FILE = "/proc/sys/net/ipv4/vs/conn_reuse_mode"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"F={FILE}\necho 1 > $F", 1),
        (f'KEY={KEY}\nVALUE=1\nsysctl -w "${{KEY}}=${{VALUE}}"', 1),
        ("D=/proc/sys/net/ipv4/vs\nF=$D/conn_reuse_mode\necho 0 >${F}", 0),
        (f"V=1\n[ -n x ] && V=0\nsysctl -w {KEY}=$V", None),
        (f"read V\nsysctl -w {KEY}=$V", None),
        ("cd /proc/sys/net/ipv4/vs && echo 1 > conn_reuse_mode", 1),
        (f'sysctl -a | grep -q "{KEY} = 0" && echo 1 > {FILE}', 1),
        (f'if [ "$(cat {FILE})" != 1 ]; then echo 1 > {FILE}; fi', 1),
        (f"sysctl -p - <<EOF\n{KEY} = 1\nEOF", 1),
        (f'echo "{KEY}=0" | sysctl -p -', 0),
        (f"echo {KEY}=0 | xargs sysctl -w", 0),
        (f"X=$((1<<3))\nsysctl -w {KEY}=1", 1),
        (f"tee {FILE} <<< 1", 1),
        (f'sh -c "sysctl -w {KEY}=1"', 1),
        (f"sysctl -w net.ipv4.vs.conntrack=1 {KEY}=0", 0),
        (f"sysctl -w {KEY}=1 # was {KEY}=0", 1),
        (f"#!/bin/sh\r\nsysctl -w {KEY}=1\r\n", 1),
        (f'case "$1" in start) sysctl -w {KEY}=1 ;; esac', 1),
        (f"cat <<'E' > /opt/x.sh\nsysctl -w {KEY}=0\nE\nsysctl -w {KEY}=1", 1),
        (f"sysctl -w {KEY}={'9' * 5000}", None),
    ],
)
def test_lines_that_write(text, value):
    assert [(action.kind, action.value) for action in read_actions(text)] == [("write", value)]


@pytest.mark.parametrize(
    "text",
    [
        f'echo "run: sysctl -w {KEY}=1"',
        f"ssh node sysctl -w {KEY}=1",
        f'ssh node "echo 1 > {FILE}"',
        "echo 1 > /var/lib/state/conn_reuse_mode",
        "systemctl status systemd-sysctl",
        "/usr/lib/systemd/systemd-sysctl --prefix=/net/ipv4/conf/eth0",
        "modprobe -r ip_vs",
        "sysctl -p relative.conf",
        "sysctl -p $FILE",
        "\\",
        '"',
        "cat <<EOF",
    ],
)
def test_lines_that_do_nothing(text):
    assert read_actions(text) == []


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (f"sed -i s/{KEY}=0/{KEY}=1/ /etc/sysctl.conf && sysctl -p", [("file", "/etc/sysctl.conf")]),
        (f'echo "{KEY} = 0" >> /etc/sysctl.conf && sysctl -p', [("file", "/etc/sysctl.conf")]),
        ("sysctl -p /etc/a.conf /etc/b.conf > /dev/null 2>&1", [("file", "/etc/a.conf"), ("file", "/etc/b.conf")]),
        ("sysctl -q -p/etc/a.conf", [("file", "/etc/a.conf")]),
        ("/sbin/sysctl --system >/dev/null 2>&1 || true", [("system", None)]),
        ("rc-service sysctl restart", [("system", None)]),
        ("/lib/systemd/systemd-sysctl --prefix=net.ipv4.vs", [("service", None)]),
        ("service procps force-reload", [("service", None)]),
        ("for m in ip_vs ip_vs_rr; do\n  modprobe -- $m\ndone", [("modprobe", None)]),
        ("modprobe ip_vs_rr", [("modprobe", None)]),
    ],
)
def test_lines_that_read_files_or_load_ip_vs(text, kinds):
    assert [(action.kind, action.argument) for action in read_actions(text)] == kinds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"sysctl -w {KEY}=1", False),
        (f"timeout 5 sysctl -w {KEY}=1", False),
        ("for k in a b; do sysctl -w $k; done", False),
        ("while read l; do x; done", False),
        ("while [ $# -gt 0 ]; do shift; done", False),
        ("# sleep 5\nx", False),
        ("until [ -e /proc/x ]; do :; done", True),
        ("sh -c 'sleep 3; x'", True),
        ("while ! nc -z localhost 10256; do sleep 1; done", True),
        ("while true\ndo\nx\ndone", True),
    ],
)
def test_waiting(text, expected):
    assert waits(text) is expected


@pytest.mark.parametrize(
    ("text", "line", "seconds"),
    [
        ("while true; do\n x\n sleep 1m\ndone", 2, 60),
        ("x\nwhile true; do sleep 3600; done", 1, None),
        ("for ((;;)); do x; sleep $N; done", 1, 60),
        ("while sleep 7; do x; done", 1, 7),
        ("until false; do x; sleep 0.5; done", 1, 1),
        ("while true; do for i in 1 2; do y; done; x; sleep 4; done", 1, 4),
        ("watch -n 5 x", 1, 5),
        ("sleep 5; x", 1, None),
    ],
)
def test_endless_loops(text, line, seconds):
    assert loop_seconds(text, line) == seconds
