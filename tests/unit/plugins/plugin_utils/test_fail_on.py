# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run is failed on."""

from __future__ import annotations

import pytest
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fail_on import QueryError, check_fail_on, compile_query, evaluate, failure, fields_of_report
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.forecast import forecast
from nodes import node, report_of_nine


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
            ("unreachable", ["1 unreachable: z"]),
            ("not_persistent,stale_backends", ["stale_backends: bad"]),
        ],
    )
    def test_what_matches_is_said(self, fail_on, words):
        sentence = failure(fail_on, report_of_nine(unreachable=[{"name": "z", "reason": "r"}]))
        assert all(word in sentence for word in words)

    @pytest.mark.parametrize("fail_on", [None, [], "", ["unknown"], "unreachable[0]", "summary.verdicts.unknown", "nodes[?verdict=='unknown']", "`false`"])
    def test_what_does_not_match(self, fail_on):
        assert failure(fail_on, report_of_nine()) is None

    def test_a_verdict_after_the_change_counts(self):
        facts = node("E", "1.34.0", 1)
        report = fleet([node_entry("n", facts, None, forecast(facts, "1.40.0"))])
        assert failure(["stale_backends"], report) == "audit_fail_on matched: 1 stale_backends after the planned change: n"

    def test_findings(self):
        report = report_of_nine()
        for entry in report["nodes"][:2]:
            entry["findings"] = [{"key": "stuck_destinations", "severity": "high", "text": "2"}]
        names = [entry["name"] for entry in report["nodes"][:2]]
        assert failure("stuck_destinations", report) == f"audit_fail_on matched: 2 with stuck_destinations: {', '.join(names)}"
        report["nodes"][0]["findings"][0]["waived"] = {}
        assert failure(["stuck_destinations"], report) == f"audit_fail_on matched: 1 with stuck_destinations: {names[1]}"

    @pytest.mark.parametrize("typo", ["stale_backend", "stale_backends,syn_dely", "stuck_destination", "stale_backends syn_delay"])
    def test_a_word_that_is_misspelt_is_no_expression_that_is_never_true(self, typo):
        with pytest.raises(QueryError, match="is not one of"):
            check_fail_on(typo)

    @pytest.mark.parametrize("lost", ["nodes[?plan.action==decide]", "length(nodes[?stale_backends==verdict]) > `0`", "unreachable || nodes[?verdict!=safe]"])
    def test_backquotes_that_a_shell_took_away_are_missed(self, lost):
        with pytest.raises(QueryError, match="between backquotes"):
            check_fail_on(lost)
        with pytest.raises(QueryError, match="between backquotes"):
            evaluate(lost, report_of_nine())

    @pytest.mark.parametrize("expression", ["errors", "nodes[?verdict==plan.action]"])
    def test_expressions_that_only_look_like_it(self, expression):
        assert check_fail_on(expression) == expression

    @pytest.mark.parametrize(("fail_on", "name"), [(["bad"], "bad"), ("nodes[?", "nodes"), (5, "int"), ({"a": 1}, "dict")])
    def test_what_cannot_be_used_is_named(self, fail_on, name):
        with pytest.raises(QueryError, match=name):
            check_fail_on(fail_on)

    @pytest.mark.parametrize(
        ("expression", "fields"),
        [
            ("nodes[?verdict=='safe'].name", {"nodes"}),
            ("unreachable || nodes[?plan.action=='decide']", {"unreachable", "nodes"}),
            ("length(nodes[].findings[?key=='x']) > `1` && !errors", {"nodes", "errors"}),
            ("@.nodes[0] | name", {"nodes"}),
            ("sort_by(nodes, &name)[-1]", {"nodes"}),
            ("{bad: nodes, all: summary.nodes}", {"nodes", "summary"}),
            ("[nodes, summary]", {"nodes", "summary"}),
            ("keys(@)", set()),
        ],
    )
    def test_the_fields_of_the_report_that_are_asked_for(self, expression, fields):
        assert fields_of_report(compile_query(expression).parsed) == fields

    @pytest.mark.parametrize("expression", ["node[?verdict=='safe']", "length(node)", "nodes[?verdict=='safe'] && sumary.judged"])
    def test_a_field_that_no_report_has(self, expression):
        with pytest.raises(QueryError, match="which no report has; what it has is schema, "):
            check_fail_on(expression)

    def test_names_are_told_instead_of_whole_nodes(self):
        assert failure("nodes[?verdict=='stale_backends']", report_of_nine()).endswith(" gives bad")

    def test_an_expression_that_fails_on_thereport_of_nine(self):
        with pytest.raises(QueryError, match="evaluated"):
            evaluate("length(`5`)", report_of_nine())
