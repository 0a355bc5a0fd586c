# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report: its structure, its text, what a run is failed on, and facts that were recorded."""

from __future__ import annotations

import json

import pytest
from nodes import node, sysctl_file

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import recorded_facts
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import FactsError
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fail_on import QueryError, check_fail_on, evaluate, failure
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.forecast import forecast
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_text import clean, escape, markdown, table
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import judge


def _report(**options):
    entries = [node_entry(f"good-{number}", node("E", "K3", 1)) for number in range(7)]
    entries += [node_entry("bad", node("D", "K2", 0)), node_entry("old", node("B", "K2", 1))]
    return fleet(entries, **options)


class TestStructure:
    def test_worst_first_with_counts_and_examples(self):
        report = _report(unreachable=[{"name": "z", "reason": "no route"}])
        assert [(group["verdict"], group["count"]) for group in report["groups"]] == [("stale_backends", 1), ("syn_delay", 1), ("safe", 7)]
        assert report["groups"][2]["examples"] == ["good-0", "good-1", "good-2", "good-3", "good-4"]
        assert report["summary"] == {
            "nodes": 10,
            "judged": 9,
            "unreachable": 1,
            "errors": 0,
            "verdicts": {"stale_backends": 1, "syn_delay": 1, "safe": 7},
            "plans": {"decide": 1, "hold": 1, "none": 7},
        }
        assert [entry["name"] for entry in report["nodes"][:2]] == ["bad", "old"]

    def test_findings_over_all_nodes(self):
        report = fleet([node_entry(f"n{number}", node("E", "K3", 1, writers=[sysctl_file(0)])) for number in range(3)])
        finding = next(entry for entry in report["findings"] if entry["key"] == "second_writer")
        assert (finding["count"], finding["examples"]) == (3, ["n0", "n1", "n2"])

    def test_plain_verdicts_by_name(self):
        report = fleet({"a": judge(node("D", "K2", 0)), "b": judge(node("E", "K3", 1))})
        assert report["summary"]["verdicts"] == {"stale_backends": 1, "safe": 1}

    def test_the_order_of_nodes_does_not_matter(self):
        entries = [node_entry(name, node("D", "K2", 0)) for name in "cab"]
        assert fleet(entries) == fleet(entries[::-1])


class TestText:
    def test_table(self):
        lines = table(_report(unreachable=[{"name": "web-17", "reason": "no route to host"}], errors=[{"path": "/x.json", "reason": "not JSON"}])).split("\n")
        assert lines[0] == "conn_reuse_mode audit: 9 nodes judged, 1 could not be read: 1 stale_backends, 1 syn_delay, 7 safe"
        assert [line.split()[:3] for line in lines[3:6]] == [["1", "stale_backends", "hold"], ["1", "syn_delay", "decide"], ["7", "safe", "none"]]
        assert "good-0, good-1, good-2 and 4 more" in lines[5]
        assert any(line.startswith("web-17") and "no route to host" in line for line in lines)
        assert any("/x.json" in line for line in lines)

    def test_five_thousand_nodes_fit_a_screen(self):
        entries = [node_entry(f"node-{number:04}", node(f"5.{number % 100 + 10}.{number % 7}", "K3", 1)) for number in range(2000)]
        assert len(table(fleet(entries)).split("\n")) < 80

    def test_nothing_of_a_node_steers_a_terminal_or_a_page(self):
        evil = "\x1b[31m|<script>alert(1)</script>\r\n# head [x](javascript:1) \u202e"
        facts = node("D", "K2", 0, writers=[sysctl_file(0, path=evil)])
        facts["kernel"]["os_release"] = {"name": evil}
        report = fleet([node_entry(evil, facts)], unreachable=[{"name": evil, "reason": evil}])
        text, page = table(report), markdown(report)
        assert "\x1b" not in text and "\u202e" not in text and "\r" not in text
        assert "<script" not in page and "\\# head" in page and "[x](" not in page

    def test_forecast_is_shown(self):
        facts = node("B", "1.17.4", 0)
        report = fleet([node_entry("old", facts, None, forecast(facts, "1.19.12"))])
        assert "AFTER kube-proxy 1.19.12" in table(report)
        assert "stays until the next reboot" in table(report)
        assert "## After kube-proxy 1.19.12" in markdown(report)

    @pytest.mark.parametrize(("text", "expected"), [("a\nb\tc", "a b c"), ("x" * 400, "x" * 299 + "…"), ("\x00\x07", "")])
    def test_clean(self, text, expected):
        assert clean(text) == expected

    def test_escape(self):
        assert escape("a|b*c_d<e>&f`g") == r"a\|b\*c\_d&lt;e\>&amp;f\`g"


class TestFailOn:
    @pytest.mark.parametrize(
        ("fail_on", "words"),
        [
            (["stale_backends"], ["1 stale_backends: bad"]),
            ("stale_backends,syn_delay", ["stale_backends: bad", "syn_delay: old"]),
            (["safe"], ["7 safe: good-0, good-1, good-2, good-3, good-4 and 2 more"]),
            (["unreachable"], ["1 unreachable: z"]),
            ("summary.verdicts.safe > `5`", ["summary.verdicts.safe > `5` gives True"]),
            ("nodes[?plan.action=='hold'].name", ["['bad']"]),
        ],
    )
    def test_what_matches_is_said(self, fail_on, words):
        sentence = failure(fail_on, _report(unreachable=[{"name": "z", "reason": "r"}]))
        assert all(word in sentence for word in words)

    @pytest.mark.parametrize("fail_on", [None, [], "", ["unknown"], "unreachable[0]", "summary.verdicts.unknown", "nodes[?verdict=='unknown']", "`false`"])
    def test_what_does_not_match(self, fail_on):
        assert failure(fail_on, _report()) is None

    def test_a_verdict_after_the_change_counts(self):
        facts = node("E", "1.34.0", 1)
        report = fleet([node_entry("n", facts, None, forecast(facts, "1.40.0"))])
        assert failure(["stale_backends"], report) == "audit_fail_on matched: 1 stale_backends after the planned change: n"

    @pytest.mark.parametrize(("fail_on", "name"), [(["bad"], "bad"), ("nodes[?", "nodes"), (5, "int"), ({"a": 1}, "dict")])
    def test_what_cannot_be_used_is_named(self, fail_on, name):
        with pytest.raises(QueryError, match=name):
            check_fail_on(fail_on)

    def test_an_expression_that_fails_on_the_report(self):
        with pytest.raises(QueryError, match="evaluated"):
            evaluate("length(`5`)", _report())


class TestRecordedFacts:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b'{"ansible_facts": {"ipvs": {"schema": 1, "kern', "not JSON"),
            (b"", "not JSON"),
            (b"\xff\xfe", "not UTF-8"),
            (b"[]", "not the facts of a node"),
            (b'{"a": 1}', "not the facts of a node"),
            (b'{"ansible_facts": {"ipvs": {"schema": 7, "kernel": {}}}}', "facts of version '7', this collection reads version 1"),
            (b"[" * 100000, "not JSON|nested too deeply"),
        ],
    )
    def test_a_bad_file_gives_a_reason(self, tmp_path, content, reason):
        path = tmp_path / "x.json"
        path.write_bytes(content)
        with pytest.raises(FactsError, match=reason):
            recorded_facts.load(str(path))

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(FactsError, match="No such file"):
            recorded_facts.load(str(tmp_path / "gone.json"))

    @pytest.mark.parametrize("wrap", [lambda facts: facts, lambda facts: {"ipvs": facts}, lambda facts: {"ansible_facts": {"ipvs": facts}, "changed": False}])
    def test_facts_in_any_wrapping(self, tmp_path, wrap):
        path = tmp_path / "node%2F7.json"
        path.write_text(json.dumps(wrap(node())), encoding="utf-8")
        name, origin, facts = recorded_facts.load(str(path))
        assert (name, origin, facts["kernel"]["release"]) == ("node/7", str(path), node()["kernel"]["release"])

    def test_directories_are_searched_in_order(self, tmp_path):
        for name in ("b.json", "a.json", "c.txt"):
            (tmp_path / name).write_text("{}", encoding="utf-8")
        assert [path.rpartition("/")[2] for path in recorded_facts.find([str(tmp_path), "/other"])] == ["a.json", "b.json", "other"]

    @pytest.mark.parametrize("name", ["a/../../b", "..", "node 1", "ünïcode", "x" * 1000, ""])
    def test_any_node_name_makes_a_file_name(self, name):
        made = recorded_facts.file_name(name)
        assert "/" not in made and made.endswith(".json") and len(made) < 255
