# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has changed between two reports, as data and as text."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import check_document
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_drift import CHANGES, drift
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_merge import labelled, merge
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_text import markdown, table
from hypothesis import given
from hypothesis import strategies as st
from nodes import node, sysctl_file

SAFE, STALE, DELAY = node("E", "K3", 1), node("D", "K2", 0), node("B", "K2", 1)


def report(facts=None, lost=(), name=None):
    """A report of {name: facts} and of the names LOST, which could not be read."""
    made = fleet([node_entry(*item) for item in (facts or {}).items()], [{"name": item, "reason": "no route"} for item in lost])
    return labelled({"schema": made.pop("schema"), "collection": "c", "generated_at": "2027-01-01T00:00:00+00:00", **made}, name)


def changes(before, after):
    """{name: change} of the nodes that changed."""
    return {entry["name"]: entry["change"] for entry in drift(before, after)["nodes"]}


def some_nodes():
    return st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["safe", "stale", "delay", "lost"]))


def report_from(words):
    facts = {"safe": SAFE, "stale": STALE, "delay": DELAY}
    return report({name: facts[word] for name, word in words.items() if word != "lost"}, [name for name, word in words.items() if word == "lost"])


class TestChanges:
    def test_each_word(self):
        before = report({"worse": SAFE, "better": STALE, "same": SAFE, "gone": SAFE, "lost": STALE, "other": STALE}, ["again", "never"])
        unknown = node("5.4.0-nobody", "K2", 1)
        after = report({"worse": DELAY, "better": SAFE, "same": SAFE, "new": SAFE, "again": SAFE, "other": unknown}, ["lost", "never"])
        found = drift(before, after)
        assert changes(before, after) == {
            "worse": "worse",
            "lost": "no_longer_read",
            "gone": "gone",
            "new": "new",
            "again": "read_again",
            "other": "other",
            "better": "better",
        }
        assert [entry["change"] for entry in found["nodes"]] == list(CHANGES)
        assert found["summary"]["unchanged"] == 2

    def test_to_leave_ipvs_mode_is_not_worse_and_to_come_to_it_safely_neither(self):
        left, safe = report({"a": node("E", "K3", 1, mode="iptables")}), report({"a": SAFE})
        assert changes(left, safe) == changes(safe, left) == {"a": "other"}

    def test_kernel_value_and_findings(self):
        before = report({"a": node("E", "K3", 1, writers=[sysctl_file(1)])})
        after = report({"a": node("E+weight", "1.24.0", 1, writers=[sysctl_file(1, path="/etc/sysctl.d/zz.conf")])})
        entry = drift(before, after)["nodes"][0]
        assert entry["change"] == "other"
        assert (entry["before"]["kernel"], entry["after"]["kernel"]) == ("5.10.46", "6.1.0-18-amd64")
        assert (entry["before"]["kube_proxy"], entry["after"]["kube_proxy"]) == ("1.22.3", "1.24.0")
        assert {"key": "second_writer", "path": "/etc/sysctl.d/zz.conf"} in entry["new_findings"]
        assert {"key": "second_writer", "path": "/etc/sysctl.d/99-tuning.conf"} in entry["gone_findings"]

    def test_a_number_in_a_sentence_is_no_change(self):
        tables = [{"stuck": 2, "stuck_connections": number} for number in (7, 9)]
        before, after = (report({"a": node("D", "K2", 0, table=table)}) for table in tables)
        assert before["findings"] != after["findings"]
        assert changes(before, after) == {}


class TestPairs:
    def test_a_report_that_got_a_name(self):
        assert changes(report({"a": SAFE}), report({"a": SAFE}, name="eu")) == {}

    def test_nodes_of_the_same_name_in_two_clusters(self):
        before = merge([report({"a": SAFE}, name="eu"), report({"a": STALE}, name="us")])
        after = merge([report({"a": STALE}, name="eu"), report({"a": STALE}, name="us")])
        assert changes(before, after) == {"a (eu)": "worse"}

    def test_a_cluster_beside_the_first_one_does_not_make_its_nodes_new(self):
        before = merge([report({"a": SAFE}, name="eu")])
        after = merge([report({"a": SAFE}, name="eu"), report({"a": STALE}, name="us")])
        assert changes(before, after) == {"a (us)": "new"}


class TestProperties:
    @given(some_nodes())
    def test_nothing_has_changed_since_now(self, words):
        made = report_from(words)
        found = drift(made, made)
        assert found["nodes"] == [] and found["summary"]["unchanged"] == len(words)

    @given(some_nodes(), some_nodes())
    def test_every_node_is_counted_once_and_the_report_is_valid(self, first, then):
        before, after = report_from(first), report_from(then)
        kept = copy.deepcopy((before, after))
        found = drift(before, after)
        assert (before, after) == kept
        assert sum(found["summary"].values()) == len(set(first) | set(then))
        check_document("report", {**after, "drift": found})
        assert markdown({**after, "drift": found}) and table({**after, "drift": found})

    @given(some_nodes(), some_nodes())
    def test_backwards(self, first, then):
        turned = {"worse": "better", "better": "worse", "new": "gone", "gone": "new", "no_longer_read": "read_again", "read_again": "no_longer_read"}
        one, other = report_from(first), report_from(then)
        assert {name: turned[word] for name, word in changes(one, other).items()} == changes(other, one)


class TestText:
    def test_it_leads(self):
        before, after = report({"a": SAFE, "b": SAFE}), report({"a": STALE, "b": STALE})
        shown = {**after, "drift": drift(before, after)}
        lines = table(shown).splitlines()
        assert lines[0] == "Since the report of 2027-01-01T00:00:00+00:00: 2 worse"
        assert any(line.split() == ["worse", "2", "safe", "->", "stale_backends", "a,", "b"] for line in lines)
        assert "| worse | 2 | safe -\\> stale\\_backends | a, b |" in markdown(shown)
        assert markdown(shown).index("What has changed") < markdown(shown).index("Groups, worst first")

    def test_nothing_has_changed(self):
        made = report({"a": SAFE}, name="eu")
        assert table({**made, "drift": drift(made, made)}).startswith("Since the report of eu of 2027-01-01T00:00:00+00:00 nothing has changed on 1 node\n")

    @pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "a|b", "\x1b[31mred", "x\u202ey"])
    def test_hostile_text_is_inert(self, hostile):
        before, after = report({"a": SAFE}), report({"a": STALE})
        after["nodes"][0]["facts"]["kernel"] = hostile
        shown = {**after, "drift": drift(before, after)}
        for text in (markdown(shown), table(shown)):
            assert "\x1b" not in text and "\u202e" not in text
        assert "<script>" not in markdown(shown) and " a|b " not in markdown(shown)
