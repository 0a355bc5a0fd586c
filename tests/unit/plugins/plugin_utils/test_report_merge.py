# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several reports as one: the same whatever their order and the steps, nothing lost, nothing counted twice."""

from __future__ import annotations

import copy
import functools

import pytest
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.forecast import forecast
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import check_document
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_file import ReportError
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_merge import check_name, labelled, merge
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_text import markdown, table
from hypothesis import given
from hypothesis import strategies as st
from nodes import KERNELS, VERSIONS, node, sysctl_file

# What a merged report says of itself; all else is as in the report of one run.
OF_THE_MERGE = {"generated_at", "merged"}


def report(nodes=(), unreachable=(), errors=(), name=None, made="2027-01-01T00:00:00+00:00", remediation=None):
    """A report as the action makes it."""
    made_of = fleet(list(nodes), list(unreachable), list(errors), remediation)
    return labelled({"schema": made_of.pop("schema"), "collection": "kubeproxy.ipvs 1.0.0", "generated_at": made, **made_of}, name)


@functools.cache
def entry_of(name, kernel, kube_proxy, value, planned):
    """A node's entry. Judging is not what is tested here, and takes its time."""
    facts = node(kernel, kube_proxy, value)
    return node_entry(name, facts, forecast=forecast(facts, kube_proxy=planned) if planned else None)


def lost(name, reason="no route"):
    return {"name": name, "reason": reason}


def names(merged):
    return sorted(entry["name"] for entry in (*merged["nodes"], *merged["unreachable"]))


@st.composite
def reports(draw):
    """A report of few names, so that reports often speak of the same node, in all forms that a merge tells apart."""
    kinds = st.sampled_from(["judged", "lost", "absent"])
    judged, missing = [], []
    for name in ("a", "b", "a (2)", "a (eu)"):
        kind = draw(kinds)
        if kind == "judged":
            kernel, value, planned = draw(st.sampled_from(["D", "E"])), draw(st.sampled_from([0, 1])), draw(st.sampled_from([None, "1.30.4", "1.24.0"]))
            judged.append(entry_of(name, kernel, "K2", value, planned))
        elif kind == "lost":
            missing.append(lost(name, draw(st.sampled_from(["no route", "refused", "refused; no route"]))))
    errors = draw(st.lists(st.builds(lambda path, reason: {"path": path, "reason": reason}, st.sampled_from("xy"), st.sampled_from("12")), max_size=2))
    made = draw(st.sampled_from(["2027-01-01T00:00:00+00:00", "2027-01-02T00:00:00+00:00"]))
    return report(judged, missing, errors, draw(st.sampled_from([None, "eu", "us"])), made)


class TestProperties:
    @given(st.lists(reports(), min_size=1, max_size=4).flatmap(lambda parts: st.tuples(st.just(parts), st.permutations(parts))))
    def test_the_order_makes_no_difference(self, both):
        assert merge(both[0]) == merge(both[1])

    @given(reports(), reports(), reports())
    def test_the_steps_make_no_difference(self, one, two, three):
        at_once = merge([one, two, three])
        assert merge([merge([one, two]), three]) == at_once
        assert merge([one, merge([two, three])]) == at_once

    @given(reports(), reports())
    def test_twice_is_once(self, one, two):
        assert merge([one, two, one]) == merge([one, two])
        assert merge([merge([one, two])]) == merge([one, two])
        assert merge([merge([one, two]), two]) == merge([one, two])

    @given(st.lists(reports(), min_size=1, max_size=4))
    def test_it_is_a_report_in_which_every_name_is_one_node(self, parts):
        merged = merge(parts)
        check_document("report", merged)
        assert len(set(names(merged))) == len(names(merged)) == merged["summary"]["nodes"]

    @given(st.lists(reports(), min_size=1, max_size=4))
    def test_nothing_is_lost_and_nothing_handed_in_is_changed(self, parts):
        before = copy.deepcopy(parts)
        merged = merge(parts)
        assert parts == before
        for part in parts:
            for entry in part["nodes"]:
                original = [{**other, "name": other.get("name_in_report", other["name"])} for other in merged["nodes"]]
                assert entry in [{key: value for key, value in other.items() if key != "name_in_report"} for other in original]
            for entry in part["unreachable"]:
                said = [other["reason"] for other in (*merged["unreachable"], *merged["merged"]["judged_elsewhere"])]
                assert any(entry["reason"] in reason for reason in said)
            assert all(error in merged["errors"] for error in part["errors"])


class TestSlices:
    def test_ten_slices_are_the_report_of_one_run(self):
        entries = [
            node_entry(
                f"node-{number:03}",
                node(list(KERNELS)[number % 7], list(VERSIONS)[number % 5], number % 2, writers=[sysctl_file(0)] if number % 3 else []),
                forecast=forecast(node("D", "K2", 1), kube_proxy="1.30.4"),
            )
            for number in range(100)
        ]
        missing, errors = [lost(f"gone-{number}") for number in range(20)], [{"path": f"file-{number}", "reason": "not JSON"} for number in range(10)]
        whole = report(entries, missing, errors, name="eu")
        slices = [report(entries[part::10], missing[part::10], errors[part::10], name="eu") for part in range(10)]
        merged = merge(slices[::-1])
        assert {key: value for key, value in merged.items() if key not in OF_THE_MERGE} == {
            key: value for key, value in whole.items() if key not in OF_THE_MERGE
        }
        assert [part["judged"] for part in merged["merged"]["reports"]] == [10] * 10

    def test_slices_of_a_repair(self):
        entries = [node_entry(name, node("E", "K3", 1)) for name in "ab"]
        records = {entry["name"]: {"outcome": {"result": "changed"}, "before": node_entry(entry["name"], node("E", "K3", 0))} for entry in entries}
        records["gone"] = {"outcome": None}
        whole = report(entries, [lost("gone")], remediation=records)
        merged = merge([report(entries[:1], [lost("gone")], remediation=records), report(entries[1:], remediation=records)])
        assert merged["summary"] == whole["summary"]
        assert merged["summary"]["remediation"]["changed"] == 2
        check_document("report", merged)

    def test_an_audit_and_a_repair_are_not_merged(self):
        with pytest.raises(ReportError, match="audits and reports of repairs cannot be merged"):
            merge([report(), report(remediation={})])

    def test_no_report(self):
        with pytest.raises(ReportError, match="no report"):
            merge([])


class TestSameName:
    bad, good = node_entry("node-1", node("D", "K2", 0)), node_entry("node-1", node("E", "K3", 1))

    def test_two_clusters(self):
        merged = merge([report([self.bad], name="us"), report([self.good], name="eu")])
        assert [(entry["name"], entry["report"], entry["name_in_report"], entry["verdict"]) for entry in merged["nodes"]] == [
            ("node-1 (us)", "us", "node-1", "stale_backends"),
            ("node-1 (eu)", "eu", "node-1", "safe"),
        ]
        assert "name" not in merged

    def test_the_same_entry_in_two_clusters_is_two_nodes(self):
        assert merge([report([self.good], name="us"), report([self.good], name="eu")])["summary"]["judged"] == 2

    def test_reports_without_a_name(self):
        assert names(merge([report([self.bad]), report([self.good])])) == ["node-1", "node-1 (2)"]

    def test_a_node_that_has_the_name_already(self):
        taken = node_entry("node-1 (2)", node("E", "K3", 1))
        assert names(merge([report([self.bad, taken]), report([self.good])])) == ["node-1", "node-1 (2)", "node-1 (3)"]

    def test_the_very_same_entry_is_one_node(self):
        merged = merge([report([self.good]), report([self.good], made="2027-02-01T00:00:00+00:00")])
        assert (names(merged), merged["generated_at"]) == (["node-1"], "2027-02-01T00:00:00+00:00")

    def test_judged_goes_before_unreachable_and_is_said(self):
        merged = merge([report([], [lost("node-1")], name="eu"), report([self.good], name="eu")])
        assert (names(merged), merged["unreachable"]) == (["node-1"], [])
        assert merged["merged"]["judged_elsewhere"] == [{"name": "node-1", "reason": "no route", "report": "eu"}]

    def test_a_node_of_another_cluster_does_not_go_before(self):
        merged = merge([report([], [lost("node-1")], name="us"), report([self.good], name="eu")])
        assert names(merged) == ["node-1 (eu)", "node-1 (us)"]
        assert merged["merged"]["judged_elsewhere"] == []

    def test_read_by_none_is_one_node_with_all_reasons(self):
        merged = merge([report([], [lost("a", "refused")]), report([], [lost("a", "no route")])])
        assert merged["unreachable"] == [{"name": "a", "reason": "no route; refused", "reasons": ["no route", "refused"]}]


class TestTarget:
    def planned(self, kube_proxy):
        facts = node("D", "K2", 1)
        entry = node_entry(f"node-{kube_proxy}", facts, forecast=forecast(facts, kube_proxy=kube_proxy))
        return report([entry])

    def test_a_target_that_differs_is_not_named(self):
        assert merge([self.planned("1.30.4"), self.planned("1.31.0")])["target"] == {"kube_proxy": None, "kernel": None}

    def test_a_report_without_one_does_not_matter(self):
        assert merge([self.planned("1.30.4"), report()])["target"] == {"kube_proxy": "1.30.4", "kernel": None}

    def test_and_the_text_names_both(self):
        merged = merge([self.planned("1.30.4"), self.planned("1.31.0")])
        assert "AFTER kube-proxy 1.30.4 (1 node) or 1.31.0 (1 node)\n" in table(merged)
        assert "## After kube-proxy 1.30.4 (1 node) or 1.31.0 (1 node)\n" in markdown(merged)


class TestText:
    def test_what_went_into_it_is_said(self):
        one, two = report([TestSameName.bad], [lost("x")], name="us"), report([TestSameName.good], name="eu", made="2027-01-02T00:00:00+00:00")
        merged = merge([one, two, report([node_entry("x", node("E", "K3", 1))], name="us")])
        for text in (table(merged), markdown(merged).replace("\\_", "_")):
            assert "Merged from 3 reports (eu, us), made between 2027-01-01T00:00:00+00:00 and 2027-01-02T00:00:00+00:00." in text
            assert "2 nodes got another name" in text and "node-1 (us), which is node-1 in its own report" in text
            assert "1 node could not be read in one report but in another one, which counts; for example x" in text
        assert "| eu | 2027-01-02T00:00:00+00:00 | 1 | 0 |" in markdown(merged)

    @pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "x|y", "\x1b[31mred", "x\u202ey"])
    def test_hostile_names_are_inert(self, hostile):
        bad, good = ({**entry, "name": hostile} for entry in (TestSameName.bad, TestSameName.good))
        merged = merge([report([bad], name="<b>us</b>"), report([good], name="e|u")])
        for text in (markdown(merged), table(merged)):
            assert "\x1b" not in text and "\u202e" not in text
        assert "<script>" not in markdown(merged) and "<b>" not in markdown(merged) and " e|u" not in markdown(merged)


class TestName:
    @pytest.mark.parametrize("name", ["x" * 61, "two\nlines", " padded", "\x1b[31mred", ["list"], "left\u202eright"])
    def test_a_name_that_cannot_be_shown(self, name):
        with pytest.raises(ReportError, match="audit_report_name"):
            check_name(name)

    @pytest.mark.parametrize(("name", "read"), [(None, None), ("", None), ("prod-eu", "prod-eu"), ("Küche 7", "Küche 7")])
    def test_others(self, name, read):
        assert check_name(name) == read
