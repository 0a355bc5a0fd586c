# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The example fleet that the repository carries: true to the module, and judged as a reader expects."""

from __future__ import annotations

import importlib.util
import json
import pathlib

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.recorded_facts import load
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import judge

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "docs" / "example_fleet").glob("*.json"))
_SPEC = importlib.util.spec_from_file_location("compose", ROOT / "tests" / "example_fleet" / "compose.py")
compose = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(compose)

# name: (headline, plan)
EXPECTED = {
    "cce-euler29-b": ("stale_backends", "decide"),
    "kubeasz-centos7": ("syn_delay", "decide"),
    "kubeadm-ubuntu2004": ("uneven_load", "hold"),
    "kubeadm-ubuntu1804": ("stale_backends", "hold"),
    "kubespray-rocky8": ("uneven_load", "hold"),
    "kubespray-rocky84": ("stale_backends", "decide"),
    "sealos-debian11": ("uneven_load", "set"),
    "kubeadm-debian12": ("safe", "none"),
    "k3s-ubuntu2204": ("unknown", "hold"),
    "rke2-sles15sp3": ("stale_backends", "probe"),
    "tke-tencentos2": ("stale_backends", "hold"),
    "kops-amazonlinux2": ("stale_backends", "decide"),
    "uk8s-centos7": ("safe", "none"),
    "left-ipvs-alinux3": ("not_applicable", "none"),
    "lab-centos-7": ("syn_delay", "decide"),
    "lab-debian-5.10": ("stale_backends", "hold"),
    "lab-debian-6.1": ("uneven_load", "hold"),
    "lab-euleros-2.9": ("stale_backends", "hold"),
    "lab-kylin-v10": ("stale_backends", "probe"),
}


def test_the_fleet_is_complete():
    assert {path.stem for path in FILES} == set(EXPECTED)
    assert len({load(str(path))[2]["kernel"]["release"] for path in FILES}) >= 12


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_verdict(path):
    name, origin, facts = load(str(path))
    verdict = judge(facts)
    assert name == path.stem
    assert origin.startswith(("composed: ", "lab: ")) and len(origin) > 40
    assert (verdict["verdict"], verdict["plan"]["action"]) == EXPECTED[name]


@pytest.mark.parametrize("name", compose.NODES)
def test_composed_facts_are_what_the_module_reads(name):
    with open(ROOT / "docs" / "example_fleet" / f"{name}.json", encoding="utf-8") as handle:
        assert json.load(handle) == compose.document_of(name)
