# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an owner accepts until a day: it stays in the report, marked and counted, and fails no run; a bad waiver is refused by name."""

from __future__ import annotations

import copy
import datetime
import json

import pytest
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import host_patterns, waivers
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fail_on import failure
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.forecast import forecast
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import check_document
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_merge import labelled, merge
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_text import markdown, table
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.waivers import WaiverError
from hypothesis import given
from hypothesis import strategies as st
from nodes import node, sysctl_file

TODAY = datetime.date(2027, 3, 1)
GROUPS = {"all": ["edge-1", "edge-2", "web-1"], "ungrouped": [], "edge": ["edge-1", "edge-2"], "old": ["edge-2", "web-1"]}
STALE, SAFE = node("D", "K2", 0, writers=[sysctl_file(0)]), node("E", "K3", 1)


def report(facts=None, lost=("gone-1",), name=None):
    """A report of the three nodes of GROUPS, all of them bad, one of recorded facts, and one that could not be read."""
    facts = {"edge-1": STALE, "edge-2": STALE, "web-1": STALE, "file": SAFE} if facts is None else facts
    made = fleet([node_entry(*item) for item in facts.items()], [{"name": item, "reason": "no route"} for item in lost])
    return labelled({"schema": made.pop("schema"), "collection": "c", "generated_at": "2027-01-01T00:00:00+00:00", **made}, name)


def waiver(hosts="*", until="2027-03-31", reason="ticket 4711", **what):
    return {**(what or {"verdict": "stale_backends"}), "hosts": hosts, "reason": reason, "until": until}


def waived(*rows, of=None, groups=None, today=TODAY):
    """The report with some waivers, which was found to be valid."""
    made = waivers.apply(of or report(), waivers.check(list(rows)), GROUPS if groups is None else groups, today)
    check_document("report", made)
    return made


def marked(made):
    return [entry["name"] for entry in (*made["nodes"], *made["unreachable"]) if "waived" in entry]


class TestPatterns:
    @pytest.mark.parametrize(
        ("patterns", "names"),
        [
            (["edge"], ["edge-1", "edge-2"]),
            (["edge:!old"], ["edge-1"]),
            (["edge:&old"], ["edge-2"]),
            (["!old:all"], ["edge-1", "file"]),
            (["edge-?"], ["edge-1", "edge-2"]),
            (["edge-1,web-1"], ["edge-1", "web-1"]),
            (["edge-1", "file"], ["edge-1", "file"]),
            (["~(web|file)"], ["file", "web-1"]),
            (["all"], ["edge-1", "edge-2", "file", "web-1"]),
            (["al*"], []),
            (["ungrouped"], []),
            (["nobody"], []),
        ],
    )
    def test_as_ansible_means_them(self, patterns, names):
        assert sorted(host_patterns.matching(patterns, ["edge-1", "edge-2", "file", "web-1"], GROUPS)) == names

    def test_without_an_inventory_names_are_left(self):
        assert host_patterns.matching(["edge"], ["edge-1"], {}) == set()
        assert host_patterns.matching(["edge*"], ["edge-1"], {}) == {"edge-1"}

    def test_a_name_is_itself_whatever_it_is_made_of(self):
        assert host_patterns.matching(["a (eu, 2)", "fd00::1"], ["a (eu, 2)", "fd00::1"], {}) == {"a (eu, 2)", "fd00::1"}

    @given(st.lists(st.text(max_size=8), max_size=3), st.lists(st.text(min_size=1, max_size=4), max_size=3))
    def test_any_pattern_is_refused_or_means_some_of_the_names(self, patterns, names):
        good = [pattern for pattern in patterns if host_patterns.check(pattern) is None]
        assert host_patterns.matching(good, names, {"group": names[:1]}) <= set(names)


class TestMarks:
    def test_a_verdict(self):
        made = waived(waiver("edge"))
        assert marked(made) == ["edge-1", "edge-2"]
        assert made["nodes"][0]["waived"] == {"reason": "ticket 4711", "until": "2027-03-31"}
        assert made["summary"]["verdicts"] == {"stale_backends": 3, "safe": 1}
        assert made["summary"]["waived"] == {"verdicts": {"stale_backends": 2}, "unreachable": 0, "findings": 0}

    def test_a_finding(self):
        made = waived(waiver(["edge"], finding="second_writer"))
        row = next(row for row in made["findings"] if row["key"] == "second_writer")
        assert (row["count"], row["waived"]) == (3, 2)
        assert made["summary"]["waived"] == {"verdicts": {}, "unreachable": 0, "findings": 2}
        assert marked(made) == []

    def test_unreachable(self):
        made = waived(waiver("gone-*", verdict="unreachable"))
        assert marked(made) == ["gone-1"]
        assert failure("unreachable", made) is None

    def test_a_forecast(self):
        entry = node_entry("edge-1", node("D", "K2", 1, writers=[]), forecast=forecast(STALE, kube_proxy="1.20.4"))
        entry["verdict"] = "syn_delay"
        made = waived(waiver("all"), of={**report(), **fleet([entry])})
        assert "waived" not in made["nodes"][0] and made["nodes"][0]["forecast"]["waived"]
        assert failure("stale_backends", made) is None

    def test_what_is_waived_fails_no_run_and_what_is_not_does(self):
        assert failure("stale_backends", waived(waiver("edge"))) == "audit_fail_on matched: 1 stale_backends: web-1"
        assert failure("stale_backends,safe", waived(waiver("all"))) == "audit_fail_on matched: 1 safe: file"
        assert failure("stale_backends", waived(waiver("all"))) is None
        assert failure("nodes[?verdict==`stale_backends` && !waived]", waived(waiver("all"))) is None
        assert failure("nodes[?verdict==`stale_backends`]", waived(waiver("all"))) is not None

    def test_the_last_day_counts_and_the_day_after_does_not(self):
        assert marked(waived(waiver(until="2027-03-01")))
        made = waived(waiver(until="2027-02-28"))
        assert marked(made) == [] and "waived" not in made["summary"]
        assert [(row["state"], row["count"]) for row in made["waivers"]] == [("expired", 3)]
        assert failure("stale_backends", made) is not None

    def test_one_that_matches_nothing_is_listed(self):
        made = waived(waiver("edge"), waiver("nobody"), waiver("file"), waiver("gone-1"), waiver("all", until="2026-01-01", finding="live_patch"))
        assert [row["state"] for row in made["waivers"]] == ["active"] + ["matches_nothing"] * 4

    def test_of_two_the_longer_one_is_shown(self):
        for rows in ([waiver(until="2027-04-01"), waiver(until="2027-05-01")], [waiver(until="2027-05-01"), waiver(until="2027-04-01")]):
            made = waived(*rows)
            assert made["nodes"][0]["waived"]["until"] == "2027-05-01"
            assert [row["until"] for row in made["waivers"]] == [row["until"] for row in rows]

    def test_nothing_handed_in_is_changed_and_marks_of_before_are_gone(self):
        first = waived(waiver("all"), waiver("all", finding="second_writer"), waiver("*", verdict="unreachable"))
        kept = copy.deepcopy(first)
        assert marked(waived(of=first)) == [] and "waived" not in json.dumps(waived(of=first))
        assert first == kept

    def test_in_a_merged_report(self):
        two = merge([report({"a": STALE}, name="eu"), report({"a": node("D", "K2", 0)}, name="us")])
        assert marked(waived(waiver("a"), of=two)) == ["a (eu)", "a (us)"]
        assert marked(waived(waiver("a (eu)"), of=two)) == ["a (eu)"]
        assert marked(waived({**waiver("a"), "report": "us"}, of=two)) == ["a (us)"]

    def test_slices_with_waivers_are_the_report_of_one_run(self):
        facts = {"edge-1": STALE, "edge-2": STALE, "web-1": STALE, "file": SAFE}
        rows = [waiver("edge"), waiver("all", finding="second_writer"), waiver("gone-*", verdict="unreachable")]
        slices = [waived(*rows, of=report({name: facts[name]}, lost)) for name, lost in zip(facts, (["gone-1"], [], [], []))]
        merged, whole = merge(slices), waived(*rows)
        own = {"merged", "waivers", "generated_at"}
        assert {key: value for key, value in merged.items() if key not in own} == {key: value for key, value in whole.items() if key not in own}


class TestBadWaivers:
    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            (waiver(until="2027-13-01"), "waiver 2 (stale_backends): until: 2027-13-01 is not a date: month must be in 1..12"),
            (waiver(until="next year"), "until: 'next year' is not a date like 2027-03-31"),
            (waiver(until="2027-3-1"), "until: '2027-3-1' is not a date"),
            (waiver(until=20270301), "until: '20270301' is not a date"),
            (waiver(until=datetime.datetime(2027, 3, 1, 12)), "until: '2027-03-01 12:00:00' is not a date"),
            ({"verdict": "safe", "hosts": "*", "reason": "x"}, "until is missing"),
            (waiver(reason=""), "reason is missing"),
            (waiver(reason=7), "reason is missing"),
            (waiver(hosts=[]), "hosts is missing"),
            (waiver(hosts=[7]), "hosts: '7' is not a pattern"),
            (waiver(hosts="~("), "hosts: '~(' is not a pattern of hosts: not a regular expression"),
            (waiver(finding="second_writers"), "finding: 'second_writers' is no finding"),
            (waiver(finding=["live_patch"]), "is no finding"),
            (waiver(verdict="bad"), "verdict: 'bad' is not one of stale_backends, "),
            (waiver(verdict="safe", finding="live_patch"), "it has both verdict and finding"),
            ({"hosts": "*", "reason": "x", "until": "2027-03-01"}, "it needs one of verdict and finding"),
            ({**waiver(), "host": "x"}, "unknown key 'host'"),
            ("text", "waiver 2: not a mapping but a str"),
        ],
    )
    def test_is_named(self, row, reason):
        with pytest.raises(WaiverError) as error:
            waivers.check([waiver(), row])
        assert reason in str(error.value) and str(error.value).startswith("waiver 2")

    def test_all_of_them(self):
        with pytest.raises(WaiverError, match=r"waiver 1 .*; waiver 2 "):
            waivers.check([waiver(until="x"), waiver(hosts=None)])
        with pytest.raises(WaiverError) as error:
            waivers.check([{"verdict": "bad", "hosts": "x", "untill": "2027-01-01"}])
        words = ("unknown key 'untill'", "verdict: 'bad' is not one of", "reason is missing", "until is missing")
        assert all(word in str(error.value) for word in words)

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"- [", "not YAML"),
            (b"\xff\xfe\xfa", "not UTF-8"),
            (b"verdict: safe", "not a list of waivers but a dict"),
            (b"- {verdict: safe, hosts: x, reason: y, until: 2027-02-30}", r"waiver 1 \(safe\): until: 2027-02-30 is not a date: day"),
        ],
    )
    def test_a_bad_file_is_named(self, tmp_path, content, reason):
        path = tmp_path / "waivers.yml"
        path.write_bytes(content)
        with pytest.raises(WaiverError, match=f"{path}: {reason}"):
            waivers.load(str(path))

    def test_a_missing_file_and_an_empty_one(self, tmp_path):
        with pytest.raises(WaiverError, match="No such file"):
            waivers.load(str(tmp_path / "gone.yml"))
        (tmp_path / "none.yml").write_text("# nothing yet\n", encoding="utf-8")
        assert waivers.load(str(tmp_path / "none.yml")) == []

    def test_a_date_of_yaml(self, tmp_path):
        (tmp_path / "w.yml").write_text("- {verdict: safe, hosts: x, reason: y, until: 2027-02-28}", encoding="utf-8")
        assert waivers.load(str(tmp_path / "w.yml"))[0].until == datetime.date(2027, 2, 28)

    @given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(waivers.KEYS), inner)))
    def test_anything_is_read_or_refused(self, document):
        try:
            assert isinstance(waivers.check(document), list)
        except WaiverError as error:
            assert str(error)


class TestText:
    def test_what_is_waived_is_said_everywhere(self):
        made = waived(waiver("edge"), waiver("edge-1", finding="second_writer"), waiver("web-1", until="2027-01-01", reason="old"), waiver("nobody"))
        shown = table(made)
        assert "3 stale_backends, 1 safe; of these waived: 2 stale_backends, 1 finding" in shown
        assert "(1 waived)" in shown
        assert "\nWAIVED\n" in shown and "\nEXPIRED WAIVERS, WHICH COUNT AGAIN\n" in shown and "\nWAIVERS THAT MATCH NOTHING\n" in shown
        page = markdown(made)
        assert "## Waived" in page and "## Expired waivers, which count again" in page and "## Waivers that match nothing" in page
        assert "- verdict **stale\\_backends** (waived until 2027-03-31: ticket 4711)" in page

    @pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "x|y", "\x1b[31mred", "x\u202ey"])
    def test_hostile_text_is_inert(self, hostile):
        made = waived(waiver("edge", reason=hostile), waiver("edge", reason=hostile, finding="second_writer"))
        for text in (markdown(made), table(made)):
            assert "\x1b" not in text and "\u202e" not in text
        assert "<script>" not in markdown(made) and " x|y " not in markdown(made)
