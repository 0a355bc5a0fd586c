# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The texts that are offered for a flag: each differs in one mode, or in one flag more."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_config import from_flags, parse_flags
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.mode_in_flags import (
    arguments_extended,
    command_extended,
    flags_replaced,
    read_script,
    variables_extended,
    variables_of_mode,
    variables_replaced,
)


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("--proxy-mode=ipvs", ["--proxy-mode=nftables"]),
        ('A="--v=2 --proxy-mode=ipvs"', ['A="--v=2 --proxy-mode=nftables"']),
        ('A="--proxy-mode=\\"ipvs\\""', ['A="--proxy-mode=\\"nftables\\""']),
        ("--proxy-mode=nftables", []),
        ("--proxy-mode=$MODE --proxy-mode=ip-vs", []),
        ("--my-proxy-mode=ipvs ---proxy-mode=ipvs x--proxy-mode=ipvs --proxy-modes=ipvs", []),
        ("--proxy-mode --v=2", []),
        ("--proxy-mode=ipvs\n--proxy-mode=iptables\n", ["--proxy-mode=ipvs\n--proxy-mode=nftables\n", "--proxy-mode=nftables\n--proxy-mode=iptables\n"]),
        ("--proxy-mode \\\r\n  ipvs\r\n", ["--proxy-mode \\\r\n  nftables\r\n"]),
    ],
)
def test_flags(text, offered):
    assert list(flags_replaced(text, "nftables")) == offered


FLAGS = st.lists(
    st.sampled_from(
        ["--v=2", "--config-sync-period=1s", "--cleanup", "--proxy-mode=ipvs", "--proxy-mode ipvs", '--proxy-mode="iptables"', "--hostname-override=proxy-mode"]
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=200)
@given(FLAGS, st.sampled_from([" ", "  ", " \\\n  "]), st.sampled_from(["iptables", "nftables", "ipvs"]))
def test_the_first_offer_is_the_flag_that_decides(flags, blank, mode):
    text = blank.join(flags)
    before = parse_flags(shlex.split(text.replace("\\\n", " ")))
    given_mode = dict(before).get("proxy-mode")
    offers = list(flags_replaced(text, mode))
    if given_mode is None or given_mode == mode:
        return
    after = parse_flags(shlex.split(offers[0].replace("\\\n", " ")))
    assert from_flags(after)["mode"] == mode
    last = max(position for position, flag in enumerate(before) if flag[0] == "proxy-mode")
    assert after == before[:last] + [("proxy-mode", mode)] + before[last + 1 :]


def test_variables():
    assert variables_of_mode("kube-proxy --proxy-mode=${MODE} --proxy-mode $B --x=$C --proxy-mode=$D_") == ["B", "D_", "MODE"]
    text = 'MODE=ipvs\nMODE="ipvs"\nXMODE=ipvs\nMODE=a b\nMODE=ip-vs\nEnvironment="MODE=ipvs" B=1\n'
    offers = list(variables_replaced(text, ["MODE"], "iptables"))
    assert len(offers) == 4
    assert 'Environment="MODE=iptables" B=1' in offers[0]
    assert all("XMODE=ipvs\n" in offer and "ip-vs" in offer for offer in offers)


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ('A=""\n', ['A="--proxy-mode=ipvs"\n']),
        ("A='--v=2'\r\nB=1\n", ["A='--v=2 --proxy-mode=ipvs'\r\nB=1\n"]),
        ("A=\n", ["A=--proxy-mode=ipvs\n"]),
        ("A=--v=2\n", []),
        ('A="--v=2 \\\n--x"\n', []),
        ("# A=''\nBA=''\n", []),
    ],
)
def test_variables_extended(text, offered):
    assert list(variables_extended(text, "kube-proxy $A", "ipvs")) == offered


def test_what_is_kube_proxys_own_comes_first():
    offers = list(variables_extended('LOG=""\nARGS=""\n', "kube-proxy $LOG ${ARGS}", "ipvs"))
    assert offers == ['LOG=""\nARGS="--proxy-mode=ipvs"\n', 'LOG="--proxy-mode=ipvs"\nARGS=""\n']


@pytest.mark.parametrize(
    ("text", "line", "offered"),
    [
        ("a\nExecStart=x \\\n y  \nb\n", 2, "a\nExecStart=x \\\n y --proxy-mode=ipvs  \nb\n"),
        ("ExecStart=x\r\nb\r\n", 1, "ExecStart=x --proxy-mode=ipvs\r\nb\r\n"),
        ("ExecStart=x \\", 1, "ExecStart=x \\ --proxy-mode=ipvs"),
    ],
)
def test_commands_extended(text, line, offered):
    assert command_extended(text, line, "ipvs") == [offered]


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("", ["--proxy-mode=ipvs\n"]),
        ("--v=2", ["--v=2\n--proxy-mode=ipvs\n"]),
        ("--v=2\r\n", ["--v=2\r\n--proxy-mode=ipvs\r\n"]),
        ('ARGS="--v=2"\n', ['ARGS="--v=2 --proxy-mode=ipvs"\n']),
    ],
)
def test_arguments_extended(text, offered):
    assert list(arguments_extended(text, "ipvs")) == offered


@pytest.mark.parametrize(
    ("text", "arguments", "line"),
    [
        ("#!/bin/sh\nset -e\nexec /usr/bin/kube-proxy --v=2 >>/x 2>&1\n", ["--v=2"], 3),
        ("A=--v=2\nLANG=C kube-proxy $A --hostname-override=$(hostname) &\nwait\n", ["--v=2", "--hostname-override=$(hostname)"], 2),
        ("if true; then kube-proxy \\\n --v=2; fi\n", ["--v=2"], 1),
        ("pkill kube-proxy; kube-proxy --v=2 || exit 1\n", ["--v=2"], 1),
    ],
)
def test_scripts(text, arguments, line):
    script = read_script(text)
    assert (script.arguments, script.problem, script.line) == (arguments, None, line)


@pytest.mark.parametrize("text", ["", "echo kube-proxy\n", "kube-proxy $@\n", 'kube-proxy "$@"\n', "kube-proxy `cat /x`\n", "kube-proxy\nkube-proxy\n"])
def test_scripts_that_cannot_be_told(text):
    script = read_script(text)
    assert script.arguments is None and script.problem
