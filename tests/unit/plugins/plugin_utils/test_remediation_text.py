# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a repair did, as a table and as a page."""

from __future__ import annotations

import pytest
from nodes import node
from test_remediation import of_repair

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.remediation import not_read_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_text import markdown, table

STALE, SAFE, DELAY = node("D", "K2", 0), node("E", "K3", 1), node("B", "K2", 1)
PROOF = {"restarted": True, "seconds": 4.25, "wrong_seconds": 0.123, "services": {"tried": 12, "answered_before": 12, "answered_after": 12}}
CHANGED = {"result": "changed", "value": 1, "hold": ["drop-in of kube-proxy.service"], "neutralised": ["/etc/sysctl.d/99.conf"], "proof": PROOF}


def line_of(text, name):
    """The first line of a text that begins with a name."""
    return next(line for line in text.split("\n") if line.startswith(name + " "))


class TestTerminal:
    def test_a_line_a_node_and_those_that_failed_first(self):
        failed = {"result": "failed", "rolled_back": True, "reason": "kube-proxy was not healthy after 30 s: " + "x" * 500}
        report = of_repair(
            ("good", CHANGED, STALE, SAFE),
            ("bad", failed, STALE, STALE),
            ("old", {"result": "left", "reason": "no value is safe"}, DELAY, DELAY),
            unreachable=[{"name": "gone", "reason": "no route to host"}],
        )
        text = table(report)
        lines = text.split("\n")
        assert lines[0] == "conn_reuse_mode remediation: 4 nodes: 1 failed, 1 unreachable, 1 left, 1 changed"
        names = [line.split()[0] for line in lines[lines.index("") + 7 :][:5]]
        assert names == ["NODE", "bad", "gone", "old", "good"]
        assert line_of(text, "good").split("  ")[1:] and "stale_backends -> safe" in line_of(text, "good")
        assert line_of(text, "good").endswith("0 -> 1              changed      drop-in of kube-proxy.service; 1 file neutralised")
        assert "? -> ?" in line_of(text, "gone")
        # In few words in the table, in full below it.
        assert len(line_of(text, "bad")) < 250 and "rolled back; kube-proxy was not healthy" in line_of(text, "bad")
        assert "      rolled back: " + failed["reason"] in lines
        assert text.index("FAILED") < text.index("LEFT ALONE") < text.index("NOT READ")
        assert ["stale_backends", "2", "1"] in [line.split()[:3] for line in lines]

    def test_a_change_that_was_taken_back_because_somebody_asked_for_it(self):
        """As the playbook rollback does: that the verdict is worse again is what was wanted, and nothing has to be proved."""
        back = {"result": "changed", "rolled_back": True, "reason": "what the role had changed is as it was"}
        text = table(of_repair(("a", back, SAFE, STALE)))
        assert line_of(text, "a").endswith("changed  rolled back; what the role had changed is as it was")
        assert "TO LOOK AT" not in text and "PROOF" not in text and "proved" not in text

    def test_the_next_restart_is_shown_where_it_is_another_value(self):
        before = node("D", "K2", 1)
        text = table(of_repair(("a", CHANGED, before, SAFE)))
        assert "1 -> 1  0 -> 1      changed" in line_of(text, "a")

    def test_what_was_left_alone_is_grouped_by_what_its_owner_can_choose(self):
        reason = "No value is safe. 10.0.0.%d opens about %d connections per second to 10.96.0.1:80."
        nodes = [(f"n{number}", {"result": "left", "reason": reason % (number, 100 + number)}, DELAY, DELAY) for number in range(10, 15)]
        nodes += [("other", {"result": "left", "reason": "not yet"}, DELAY, DELAY)]
        nodes += [("dark", {"result": "left", "reason": "nobody knows"}, node("5.3.18-1.oddlinux", "K2", 0), node("5.3.18-1.oddlinux", "K2", 0))]
        nodes += [("mine", {"result": "left", "options": ["ring the owner", {"action": "hold", "value": 0}, {"x": 1}]}, STALE, STALE)]
        lines = table(of_repair(*nodes)).split("\n")
        start = lines.index("LEFT ALONE")
        assert lines[start + 1] == "decide: 6 nodes, no value is safe: the owner chooses"
        assert lines[start + 2].split() == ["5", "n10,", "n11,", "n12", "and", "2", "more"]
        assert lines[start + 3].strip() == "for example n10: " + reason % (10, 110)
        assert "  to choose from:" in lines and "    upgrade_kernel: cures both problems" in lines
        assert any(line.startswith("    set 1: correct backends, but") for line in lines)
        assert "  what helps:" in lines and any("audit_capabilities" in line for line in lines)
        assert lines[lines.index("    ring the owner") :][:3] == ["    ring the owner", "    hold 0", '    {"x": 1}']

    def test_the_owners_word_is_said(self):
        outcome = {**CHANGED, "value": 0, "owner_word": True}
        report = of_repair(("a", outcome, DELAY, node("B", "K2", 0)))
        assert "0 is the owner's word, without evidence" in line_of(table(report), "a")
        assert "1 node with a value on the owner's word, without evidence: a" in table(report)
        assert "0 is the owner's word, without evidence" in markdown(report)

    @pytest.mark.parametrize(
        ("outcome", "before", "after", "words"),
        [
            (CHANGED, STALE, STALE, "BUT 0, not 1, now"),
            (CHANGED, STALE, node("D", "K2", 1), "BUT 0, not 1, after kube-proxy restart"),
            ({**CHANGED, "proof": None}, STALE, SAFE, "not proved by a restart"),
            ({**CHANGED, "proof": {"restarted": False}}, STALE, SAFE, "not proved by a restart"),
            ({**CHANGED, "proof": {**PROOF, "services": {"answered_before": 12, "answered_after": 10}}}, STALE, SAFE, "2 services no longer answer"),
            ({"result": "failed", "rolled_back": False, "reason": "gone"}, STALE, STALE, "NOT ROLLED BACK; gone"),
            ({"result": "would_change", "value": 1, "hold": ["drop-in"]}, STALE, STALE, "to 1; drop-in"),
            ({"result": "unchanged", "reason": "every moment keeps it"}, SAFE, SAFE, "every moment keeps it"),
            (["?"], SAFE, SAFE, "is not a mapping but a list"),
        ],
    )
    def test_what_speaks_against_it(self, outcome, before, after, words):
        report = of_repair(("a", outcome, before, after))
        assert words in line_of(table(report), "a")
        assert words in markdown(report)

    def test_a_verdict_that_is_worse_is_pointed_at(self):
        report = of_repair(("worse", CHANGED, SAFE, STALE), ("better", CHANGED, STALE, SAFE))
        assert "1 node worse than before: worse" in table(report)

    def test_not_read_after_it(self):
        before = node_entry("a", STALE)
        report = fleet([not_read_entry(before)], remediation={"a": {"outcome": CHANGED, "before": before, "after_not_read": "no route"}})
        assert "stale_backends -> ?" in line_of(table(report), "a") and "afterwards: no route" in line_of(table(report), "a")
        assert "not read after: no route" in markdown(report)
        assert "worse than before" not in table(report)

    def test_proof_over_all_nodes(self):
        slow = {**CHANGED, "proof": {**PROOF, "seconds": 9, "wrong_seconds": None}}
        text = table(of_repair(("a", CHANGED, STALE, SAFE), ("b", slow, STALE, SAFE), ("c", {**CHANGED, "proof": None}, STALE, SAFE)))
        assert "2 of 3 changed nodes proved by a restart of kube-proxy" in text
        assert "the proof took up to 9 s (b)" in text
        assert "the value was wrong for up to 0.12 s (a)" in text
        assert "services: 24 tried, 24 answered before, 24 after" in text

    def test_nobody(self):
        assert table(of_repair()) == "conn_reuse_mode remediation: 0 nodes"
        assert "0 nodes" in markdown(of_repair())


class TestMany:
    @staticmethod
    def report(alike):
        """5,000 nodes of which 100 failed, each for a reason of its own unless ALIKE."""
        stale, safe, delay = node_entry("x", STALE), node_entry("x", SAFE), node_entry("x", DELAY)
        entries, records, missing = [], {}, []
        for number in range(5000):
            name, reason = f"node-{number:04}", f"node-{number:04} 10.0.{number % 250}.1 was not healthy after {number / 100} s"
            if number % 100 == 3:
                missing.append({"name": name, "reason": f"no route to {name}"})
                records[name] = {"outcome": None}
                continue
            before, after, outcome = stale, safe, {**CHANGED, "proof": {**PROOF, "seconds": number / 100}}
            if number % 50 == 0:
                after, outcome = stale, {"result": "failed", "reason": reason if alike else "because of " + "xy"[number % 2] * (number // 50 + 1)}
            elif number % 3 == 0:
                before = after = delay
                outcome = {"result": "left", "reason": f"no value is safe for {name}"}
            entries.append({**after, "name": name})
            records[name] = {"outcome": outcome, "before": before}
        return fleet(entries, missing, remediation=records)

    def test_they_fit_some_screens(self):
        report = self.report(alike=True)
        lines = table(report).split("\n")
        assert len(lines) < 120
        head = next(index for index, line in enumerate(lines) if line.startswith("NODES"))
        assert [line.split()[0] for line in lines[head + 1 :][:4]] == ["100", "50", "1616", "3234"]
        assert "node-0001, node-0002, node-0004 and 3231 more" in lines[head + 4]
        failed = lines.index("FAILED")
        assert lines[failed + 1].split()[0] == "100" and lines[failed + 1].endswith("and 90 more")
        assert lines[failed + 2].startswith("      for example node-0000: ")
        assert sum(report["summary"]["remediation"].values()) == 5000

    def test_as_many_reasons_as_nodes_are_cut_and_counted(self):
        report = self.report(alike=False)
        text = table(report)
        assert len(text.split("\n")) < 160
        assert "… and 80 nodes with 80 other reasons, all in report.json" in text
        assert "smaller groups, all in report.json" in text
        assert len(markdown(report)) < 400_000

    def test_the_page_groups_them_too(self):
        page = markdown(self.report(alike=True))
        assert "| 3234 | stale\\_backends -\\> safe | 0 -\\> 1 |" in page


def test_nothing_of_a_node_steers_a_terminal_or_a_page():
    evil = "\x1b[31m|<script>alert(1)</script>\r\n# head [x](javascript:1) \u202e"
    outcome = {key: evil for key in ("reason", "result")}
    texts = {"hold": [evil], "neutralised": [evil], "reason": evil, "options": [evil, {"action": evil, "effect": evil}, {evil: evil}]}
    nodes = [(evil + str(number), {"result": result, **texts}, STALE, STALE) for number, result in enumerate(["changed", "failed", "left", "unreachable"])]
    report = of_repair(*nodes, (evil, outcome, STALE, STALE), unreachable=[{"name": evil + "z", "reason": evil}])
    text, page = table(report), markdown(report)
    assert "\x1b" not in text + page and "\u202e" not in text + page and "\r" not in text + page
    assert "<script" not in page and "\n# head" not in page and "\\# head" in page and "[x](" not in page


class TestPage:
    def test_each_node_before_and_after(self):
        page = markdown(of_repair(("a", CHANGED, STALE, SAFE)))
        assert page.startswith("# Remediation of net.ipv4.vs.conn\\_reuse\\_mode\n\n1 node: 1 changed.\n")
        assert "| stale\\_backends | 1 | 0 | new connections can reach pods that are gone |" in page
        assert "| a | stale\\_backends -\\> safe | 0 -\\> 1 |  | changed | drop-in of kube-proxy.service; 1 file neutralised |" in page
        assert "| reboot | 0 | stale\\_backends | 1 | safe |" in page
        assert "- remediation **changed**\n  - value to set: 1\n  - held by: drop-in of kube-proxy.service\n  - neutralised: /etc/sysctl.d/99.conf\n" in page
        assert (
            "  - proof: kube-proxy was restarted; 4.25 s; the value was wrong for 0.12 s; services: 12 tried, 12 answered before, 12 answered after\n" in page
        )

    def test_what_failed_and_what_can_be_chosen(self):
        page = markdown(of_repair(("a", {"result": "failed", "reason": "y" * 900}, STALE, STALE), ("b", {"result": "left", "reason": "why"}, DELAY, DELAY)))
        assert f"- 1 node (a): {'y' * 900}\n" in page
        assert "## Left alone\n\nPlan **decide**, 1 node:\n\n- 1 node (b): why\n\nTo choose from:\n\n- upgrade\\_kernel: cures both problems\n" in page
