# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-proxy-arg of k3s and RKE2 in text."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.mode_in_rancher import (
    added_file,
    appends,
    arguments_replaced,
    config_path_of,
    rke2_arguments,
    starts_rke2,
)
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.yaml_subset import parse


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("- proxy-mode=ipvs # x\n", ["- proxy-mode=iptables # x\n"]),
        ('kube-proxy-arg: ["--proxy-mode=ipvs",v=2]', ['kube-proxy-arg: ["--proxy-mode=iptables",v=2]']),
        ("kube-proxy-arg: [proxy-mode=ipvs]", ["kube-proxy-arg: [proxy-mode=iptables]"]),
        ("k3s server '--kube-proxy-arg=proxy-mode=ipvs' \\", ["k3s server '--kube-proxy-arg=proxy-mode=iptables' \\"]),
        ("- proxy-mode=\n", ["- proxy-mode=iptables\n"]),
        ("- proxy-mode=iptables\n- my-proxy-mode=ipvs\n- proxy-mode=a/b\n", []),
    ],
)
def test_arguments_replaced(text, offered):
    assert list(arguments_replaced(text, "iptables")) == offered


ARGUMENTS = st.lists(
    st.sampled_from(["proxy-mode=ipvs", "--proxy-mode=ipvs", "v=2", "ipvs-scheduler=lc", "metrics-bind-address=0.0.0.0:10249"]), min_size=1, max_size=4
)


@settings(max_examples=150)
@given(ARGUMENTS, st.sampled_from([None, True, False]), st.sampled_from([None, "'", '"']))
def test_of_whatever_yaml_one_argument_changes(arguments, flow, quotes):
    text = yaml.safe_dump({"token": "proxy-mode", "kube-proxy-arg": arguments}, default_flow_style=flow, default_style=quotes)
    places = [position for position, argument in enumerate(arguments) if "proxy-mode" in argument]
    offers = list(arguments_replaced(text, "iptables"))
    assert len(offers) == len(places)
    for offer, place in zip(offers, reversed(places)):
        changed = [argument.replace("ipvs", "iptables") if position == place else argument for position, argument in enumerate(arguments)]
        assert yaml.safe_load(offer) == {"token": "proxy-mode", "kube-proxy-arg": changed}


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("1.22.0+k3s1", True),
        ("v1.28.5+rke2r1", True),
        ("1.35.0", True),
        ("2.0.0", True),
        ("1.21.14+k3s1", False),
        ("1.9.0", False),
        ("", False),
        (None, False),
        ("x", False),
    ],
)
def test_versions_that_append(version, known):
    assert appends(version) is known


def test_added_file():
    assert parse(added_file("nftables")) == yaml.safe_load(added_file("nftables")) == {"kube-proxy-arg+": ["proxy-mode=nftables"]}


@pytest.mark.parametrize(
    ("words", "environment", "path"),
    [
        (["rke2", "server"], None, "/d"),
        (["rke2", "server"], "/e", "/e"),
        (["rke2", "server", "--config", "/c"], "/e", "/c"),
        (["rke2", "server", "--config=/c"], None, "/c"),
        (["rke2", "agent", "-c", "/c"], None, "/c"),
    ],
)
def test_config_path(words, environment, path):
    assert config_path_of(words, environment, "/d") == path


@pytest.mark.parametrize(
    ("configured", "words", "arguments"),
    [
        ({}, [], ["--proxy-mode=iptables", "--healthz-bind-address=127.0.0.1"]),
        ({"kube-proxy-arg": "proxy-mode=ipvs"}, [], ["--healthz-bind-address=127.0.0.1", "--proxy-mode=ipvs"]),
        (
            {"kube-proxy-arg": ["--v=2", None, "feature-gates+=A=true"]},
            [],
            ["--proxy-mode=iptables", "--healthz-bind-address=127.0.0.1", "--v=2", "--feature-gates=A=true"],
        ),
        (
            {"kube-proxy-arg": ["proxy-mode=ipvs"]},
            ["rke2", "server", "--kube-proxy-arg", "proxy-mode=nftables", "--kube-proxy-arg=v=2"],
            ["--healthz-bind-address=127.0.0.1", "--proxy-mode=ipvs", "--proxy-mode=nftables", "--v=2"],
        ),
    ],
)
def test_arguments_of_rke2(configured, words, arguments):
    assert rke2_arguments(configured, words) == arguments


@pytest.mark.parametrize(
    ("words", "starts"),
    [(["/usr/local/bin/rke2", "server"], True), (["rke2", "agent"], True), (["rke2", "etcd-snapshot"], False), (["rke2"], False), ([], False)],
)
def test_starts_rke2(words, starts):
    assert starts_rke2(words) is starts
