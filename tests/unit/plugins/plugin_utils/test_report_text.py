# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as a table and as a page."""

from __future__ import annotations

import pytest
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.forecast import forecast
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_text import clean, escape, markdown, table
from nodes import node, report_of_nine, sysctl_file


class TestText:
    def test_table(self):
        lines = table(
            report_of_nine(unreachable=[{"name": "web-17", "reason": "no route to host"}], errors=[{"path": "/x.json", "reason": "not JSON"}])
        ).split("\n")
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

    def test_what_is_planned_for_some_nodes_is_not_said_of_all(self):
        facts = node("A", "1.18.6", 0)
        kernels = [None, None, "5.10.1", *(f"5.15.{number}" for number in range(5))]
        entries = [node_entry(f"n{number}", facts, None, forecast(facts, "1.30.4", kernel)) for number, kernel in enumerate(kernels)]
        assert fleet(entries)["target"] == {"kube_proxy": "1.30.4", "kernel": None}
        assert "AFTER kube-proxy 1.30.4, kernel as it is (2 nodes) or 5.10.1 (1 node)\n" in table(fleet(entries[:3]))
        assert "kernel as it is (2 nodes) or 5.10.1 (1 node) or 5.15.0 (1 node) or 4 others\n" in table(fleet(entries))
        assert fleet(entries[3:4])["target"] == {"kube_proxy": "1.30.4", "kernel": "5.15.0"}

    @pytest.mark.parametrize(("text", "expected"), [("a\nb\tc", "a b c"), ("x" * 400, "x" * 299 + "…"), ("\x00\x07", "")])
    def test_clean(self, text, expected):
        assert clean(text) == expected

    def test_escape(self):
        assert escape("a|b*c_d<e>&f`g") == r"a\|b\*c\_d&lt;e\>&amp;f\`g"
