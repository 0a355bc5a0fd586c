# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report's structure."""

from __future__ import annotations

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import judge
from nodes import node, report_of_nine, sysctl_file


class TestStructure:
    def test_worst_first_with_counts_and_examples(self):
        report = report_of_nine(unreachable=[{"name": "z", "reason": "no route"}])
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
