# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and texts of a node of any kind: in the units and commands made of them, and in everything that is printed or written of them."""

from __future__ import annotations

import csv
import json
import pathlib
import re
import xml.etree.ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import Environment
from real_ansible import NEEDS_ANSIBLE, ansible_playbook, json_of

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.restart_ways import CannotRestart, way_to_restart
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import read
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.holding import holding

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
FLEET = CHECKOUT / "docs" / "example_fleet"
TEMPLATES = CHECKOUT / "roles/conn_reuse_mode/templates"
HOSTILE = ("\x1b]0;owned\x07", "\x9b31m", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "a\nb")
HOSTILE += ("\u202egnp.exe", "]]>", '"} 1\nevil{x="', "`id`$(id);|&", "%n%i")
UNITS = ("-x.service", "--force.service", "a b.service", "a;b.service", "$(id).service")
UNITS += ("a\nb.service", "../x.service", "a'\".service", "a%n.service", ".service\n")
# systemd's own names, with escapes.
GOOD = ("kube-proxy.service", "snap.kube-proxy.daemon.service", "kube@1.service", "a\\x2db.service")


def node_with(**proxy):
    """The facts of a node whose value must be held, with these of kube-proxy."""
    facts = json.loads((FLEET / "lab-euleros-2.9.json").read_text(encoding="utf-8"))["ansible_facts"]["ipvs"]
    return {**facts, "kube_proxy": {**facts["kube_proxy"], **proxy}}


def drop_in_of(result):
    """The text of the drop-in as the role renders it."""
    text = (TEMPLATES / "drop-in.conf.j2").read_text(encoding="utf-8")
    return Environment(autoescape=False).from_string(text).render(conn_reuse_mode_result=result)


def check_drop_in(result):
    """Nothing of the node is in it but numbers, and its path is that of one directory."""
    if result.get("drop_in") is None:
        return
    assert re.fullmatch(r"/etc/systemd/system/[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]*\.service\.d/90-kubeproxy-ipvs\.conf", result["drop_in"]["path"])
    lines = [line for line in drop_in_of(result).splitlines() if not line.startswith("#")]
    assert lines[0] == "[Service]" and len(lines) == 2
    assert re.fullmatch(r"ExecStartPost=-/bin/sh /etc/kubeproxy\.ipvs/hold after-start [01] [0-9]{1,3}( [0-9]{1,5})*", lines[1])


@pytest.mark.parametrize("unit", GOOD)
def test_units_that_get_a_drop_in(unit):
    result = holding(node_with(unit=unit), script="x")
    assert result["drop_in"]["unit"] == unit
    check_drop_in(result)


@pytest.mark.parametrize("unit", UNITS)
def test_units_that_get_none(unit):
    result = holding(node_with(unit=unit), script="x")
    assert result["action"] == "hold" and result["drop_in"] is None and result["service"]


@given(
    unit=st.one_of(st.text(max_size=40), st.from_regex(r"[-a-z@\\.:]{0,8}[^/]{0,5}\.service\n?", fullmatch=True), st.integers(), st.none()),
    address=st.one_of(st.text(max_size=30), st.from_regex(r"[^\n]{0,9}:[0-9]{1,7}\n?", fullmatch=True), st.none()),
    limit=st.one_of(st.integers(), st.floats(), st.text(max_size=5), st.none(), st.booleans()),
)
@example(unit="kube-proxy.service", address="127.0.0.1:10249", limit=90)
@example(unit="kube-proxy.service", address="127.0.0.1:10249; reboot", limit="90; reboot")
def test_whatever_a_node_calls_its_things(unit, address, limit):
    check_drop_in(holding(node_with(unit=unit, metrics_address=address, healthz_address=address, unit_timeout_start_seconds=limit), script="x"))


def test_the_service_has_nothing_of_a_node_but_a_digit():
    found = re.findall(r"{{(.*?)}}", (TEMPLATES / "kubeproxy-ipvs-hold.service.j2").read_text(encoding="utf-8"))
    assert {name.strip() for name in found} == {"conn_reuse_mode_result.value"}
    assert holding(node_with(), script="x")["value"] in (0, 1)


@pytest.mark.parametrize("unit", ["-x.service", "--root=/tmp.service"])
def test_a_unit_is_no_option(unit):
    facts = {"form": "systemd", "unit": unit, "pid": 1}
    with pytest.raises(CannotRestart, match="looks like an option"):
        way_to_restart(None, facts, None, lambda name: f"/bin/{name}", None)


def hostile(value, texts):
    """VALUE with the TEXTS behind its words, but for what a judgment rests on."""
    keep = ("release", "mode", "mode_configured", "mode_effective", "form", "state", "kind", "moments", "version", "ip_vs", "live", "network_namespace")
    if isinstance(value, dict):
        return {name: item if name in keep else hostile(item, texts) for name, item in value.items()}
    if isinstance(value, list):
        return [hostile(item, texts) for item in value]
    return texts + value if isinstance(value, str) else value


@NEEDS_ANSIBLE
def test_a_report_of_nodes_with_hostile_names_and_texts(tmp_path):
    names = [f"{text}{number}" for number, text in enumerate(HOSTILE)] + ["../../../etc/passwd", "/etc/passwd", "..", "x" * 300, ""]
    (tmp_path / "facts").mkdir()
    for number, name in enumerate(names):
        document = {"name": name, "ansible_facts": {"ipvs": hostile(node_with(), HOSTILE[number % len(HOSTILE)])}}
        (tmp_path / "facts" / f"{number}.json").write_text(json.dumps(document), encoding="utf-8")
    variables = {"audit_facts_files": ["facts"], "audit_report_formats": ["json", "md", "html", "csv", "junit", "sarif", "prom"]}
    play = ["kubeproxy.ipvs.audit", "-i", "gone,", "-e", json.dumps({**variables, "ansible_port": 1, "ansible_host": "127.0.0.1"})]
    before = {path for path in tmp_path.rglob("*") if "ipvs-report" not in path.parts}
    status, output = ansible_playbook(tmp_path, *play)
    assert status == 0 and "Traceback" not in output, output
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", output)
    report = tmp_path / "ipvs-report"
    assert len(json_of(report / "report.json")["nodes"]) == len(names)
    assert {path for path in tmp_path.rglob("*") if "ipvs-report" not in path.parts} == before
    assert len(list((report / "nodes").iterdir())) == len(names) and all(path.is_file() for path in (report / "nodes").iterdir())
    for name in ("report.html", "report.md", "report.csv", "metrics.prom"):
        text = (report / name).read_text(encoding="utf-8")
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]", text), name
        assert "<script>alert" not in text or name in ("report.csv", "metrics.prom"), name
    with open(report / "report.csv", encoding="utf-8", newline="") as handle:
        assert not [cell for row in csv.reader(handle) for cell in row if re.match(r"\s*[=+@]|\s*-[^0-9]", cell)]
    xml.etree.ElementTree.parse(report / "junit.xml")
    json_of(report / "report.sarif")
    assert not [line for line in (report / "metrics.prom").read_text(encoding="utf-8").splitlines() if line.startswith("evil")]
    assert read(node_with()).kube_proxy
