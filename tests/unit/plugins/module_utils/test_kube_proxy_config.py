# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flags and the configuration file: spellings, addresses, precedence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_config import MODES, from_file, from_flags, parse_flags, split_address


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["--proxy-mode=ipvs"], [("proxy-mode", "ipvs")]),
        (["--proxy-mode", "ipvs"], [("proxy-mode", "ipvs")]),
        (["-proxy_mode=ipvs"], [("proxy-mode", "ipvs")]),
        (["-v=2"], [("v", "2")]),
        (["-v", "2"], [("v", "2")]),
        (["-v2"], [("v", "2")]),
        (["--v", "2", "--proxy-mode=ipvs"], [("v", "2"), ("proxy-mode", "ipvs")]),
        (["--masquerade-all", "--proxy-mode=ipvs"], [("masquerade-all", "true"), ("proxy-mode", "ipvs")]),
        (["--masquerade-all", "true", "--v=2"], [("masquerade-all", "true"), ("v", "2")]),
        (["--masquerade-all=false"], [("masquerade-all", "false")]),
        (["--oom-score-adj", "-998"], [("oom-score-adj", "-998")]),
        (["--metrics-bind-address", ""], [("metrics-bind-address", "")]),
        (["--proxy-mode"], [("proxy-mode", "true")]),
        (["--v=2", "--", "--proxy-mode=ipvs"], [("v", "2")]),
        (["word", "-", "--v=2"], [("v", "2")]),
        (["--node-labels=a=b"], [("node-labels", "a=b")]),
        ([], []),
    ],
)
def test_flags(words, flags):
    assert parse_flags(words) == flags


@pytest.mark.parametrize(
    ("words", "mode", "source"),
    [
        ([], "iptables", "default"),
        (["--proxy-mode="], "iptables", "default"),
        (["--proxy-mode=ipvs"], "ipvs", "flag"),
        (["--proxy-mode=ipvs", "--proxy-mode=iptables"], "iptables", "flag"),
        (["--proxy-mode=nftables"], "nftables", "flag"),
        (["--proxy-mode=userspace"], "userspace", "flag"),
        (["--proxy-mode=nonsense"], "iptables", "flag"),
    ],
)
def test_mode_of_flags(words, mode, source):
    settings = from_flags(parse_flags(words))
    assert (settings["mode"], settings["mode_source"]) == (mode, source)


@pytest.mark.parametrize(
    ("words", "metrics", "healthz"),
    [
        ([], "127.0.0.1:10249", "0.0.0.0:10256"),
        (["--bind-address=::"], "[::1]:10249", "[::]:10256"),
        (["--metrics-bind-address=10.0.0.7", "--healthz-bind-address=10.0.0.7:1"], "10.0.0.7:10249", "10.0.0.7:1"),
        (["--metrics-bind-address=fd00::7"], "[fd00::7]:10249", "0.0.0.0:10256"),
        (["--metrics-bind-address=[fd00::7]:29102"], "[fd00::7]:29102", "0.0.0.0:10256"),
        (["--metrics-port=0", "--healthz-port=0"], None, None),
        (["--metrics-bind-address=", "--healthz-bind-address="], None, None),
        (["--metrics-bind-address=10.0.0.7", "--metrics-port=0"], None, "0.0.0.0:10256"),
        (["--metrics-port=11249", "--healthz-port=11256"], "127.0.0.1:11249", "0.0.0.0:11256"),
        (["--metrics-bind-address=0.0.0.0", "--metrics-bind-address=127.0.0.1:1"], "127.0.0.1:1", "0.0.0.0:10256"),
    ],
)
def test_addresses_of_flags(words, metrics, healthz):
    settings = from_flags(parse_flags(words))
    assert (settings["metrics_address"], settings["healthz_address"]) == (metrics, healthz)


@pytest.mark.parametrize(
    ("config", "metrics", "healthz"),
    [
        ({}, "127.0.0.1:10249", "0.0.0.0:10256"),
        # In a file they cannot be switched off.
        ({"metricsBindAddress": "", "healthzBindAddress": ""}, "127.0.0.1:10249", "0.0.0.0:10256"),
        ({"bindAddress": "::"}, "[::1]:10249", "[::]:10256"),
        ({"metricsBindAddress": "0.0.0.0"}, "0.0.0.0:10249", "0.0.0.0:10256"),
        ({"metricsBindAddress": "0.0.0.0:29102", "healthzBindAddress": "10.0.0.7:10255"}, "0.0.0.0:29102", "10.0.0.7:10255"),
        ({"metricsBindAddress": 7, "healthzBindAddress": ["x"]}, "127.0.0.1:10249", "0.0.0.0:10256"),
    ],
)
def test_addresses_of_a_file(config, metrics, healthz):
    settings = from_file(config, [])
    assert (settings["metrics_address"], settings["healthz_address"]) == (metrics, healthz)


def test_a_file_replaces_the_flags_beside_it():
    flags = parse_flags(
        ["--config=/c", "--proxy-mode=ipvs", "--ipvs-strict-arp", "--metrics-port=0", "--hostname-override=n", "--master=m", "--v=4", "--cleanup"]
    )
    settings = from_file({"mode": "iptables", "logging": {"verbosity": 2}}, flags)
    assert (settings["mode"], settings["strict_arp"], settings["metrics_address"], settings["verbosity"]) == ("iptables", False, "127.0.0.1:10249", 4)
    assert settings["ignored_flags"] == ["--proxy-mode=ipvs", "--ipvs-strict-arp=true", "--metrics-port=0"]


def test_ipvs_settings():
    config = {"mode": "ipvs", "ipvs": {"strictARP": True, "excludeCIDRs": ["10.0.0.0/8", 7, None], "scheduler": "lc"}, "logging": {"verbosity": 2}}
    settings = from_file(config, [])
    assert [settings[name] for name in ("strict_arp", "exclude_cidrs", "scheduler", "verbosity")] == [True, ["10.0.0.0/8"], "lc", 2]
    settings = from_flags(
        parse_flags(["--ipvs-strict-arp", "--ipvs-exclude-cidrs=10.0.0.0/8,", "--ipvs-exclude-cidrs=fd00::/8", "--ipvs-scheduler=lc", "-v=2"])
    )
    assert [settings[name] for name in ("strict_arp", "exclude_cidrs", "scheduler", "verbosity")] == [True, ["10.0.0.0/8", "fd00::/8"], "lc", 2]


@pytest.mark.parametrize("text", ["host:port", "1.2.3.4:999999", "[::1", "a b", "[zz]:1"])
def test_senseless_addresses(text):
    assert split_address(text, 1) is None


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10))
def test_property_any_document_gives_a_mode(value):
    keys = ("mode", "ipvs", "logging", "bindAddress", "metricsBindAddress", "healthzBindAddress")
    for key in keys:
        assert from_file({key: value}, [])["mode"] in MODES


@given(st.lists(st.text() | st.sampled_from(["--proxy-mode", "--config", "-v", "--metrics-port=", "--metrics-bind-address="])))
def test_property_any_command_line_gives_a_mode(words):
    assert from_flags(parse_flags(words))["mode"] in MODES
