# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a repair did to the nodes of a fleet: outcomes, before and after, counts."""

from __future__ import annotations

import json
import pathlib

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given, settings
from hypothesis import strategies as st
from nodes import node

from ansible_collections.kubeproxy.ipvs.plugins.filter.fleet import fleet as fleet_filter
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import check_document
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.remediation import NO_OUTCOME, RESULTS, not_read_entry, read_outcome, was_touched
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_text import markdown, table

FLEET = pathlib.Path(__file__).resolve().parents[4] / "docs" / "example_fleet"
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
OUTCOMES = st.fixed_dictionaries(
    {"result": st.sampled_from(RESULTS) | ANYTHING},
    optional={
        "reason": ANYTHING,
        "value": st.sampled_from([0, 1, "1"]) | ANYTHING,
        "owner_word": ANYTHING,
        "hold": st.lists(st.text(max_size=9) | ANYTHING, max_size=3) | ANYTHING,
        "neutralised": ANYTHING,
        "rolled_back": ANYTHING,
        "options": st.lists(ANYTHING, max_size=3) | ANYTHING,
        "before": ANYTHING,
        "after": ANYTHING,
        "proof": ANYTHING
        | st.fixed_dictionaries(
            {},
            optional={
                "restarted": ANYTHING,
                "seconds": ANYTHING,
                "wrong_seconds": st.floats() | ANYTHING,
                "services": ANYTHING | st.dictionaries(st.sampled_from(["tried", "answered_before", "answered_after"]), st.integers() | ANYTHING),
            },
        ),
    },
)
STATES = st.sampled_from([node("D", "K2", 0), node("E", "K3", 1), node("B", "K2", 1), node(mode="iptables"), {}])


def of_repair(*nodes, unreachable=()):
    """The report of a repair. NODES: (name, outcome, facts before, facts after) each; both facts may be the same."""
    entries = {name: (node_entry(name, before), node_entry(name, after)) for name, _outcome, before, after in nodes}
    records = {name: {"outcome": outcome, "before": entries[name][0]} for name, outcome, _before, _after in nodes}
    records.update({item["name"]: {"outcome": None, "before": None, "before_not_read": item["reason"]} for item in unreachable})
    return fleet([after for _before, after in entries.values()], unreachable, remediation=records)


def whole(report):
    """A report as it is written."""
    return {"collection": "x", "generated_at": "y", **report}


class TestOutcome:
    def test_every_part_has_its_type(self):
        entry = read_outcome(
            {
                "result": "changed",
                "reason": "why",
                "value": "1",
                "owner_word": "True",
                "hold": "service kubeproxy-ipvs-hold",
                "neutralised": ["/etc/a", 3, ""],
                "rolled_back": "false",
                "proof": {"restarted": True, "seconds": "2.5", "wrong_seconds": -1, "services": {"tried": 12, "answered_before": "11", "answered_after": []}},
                "batch": 3,
            }
        )
        assert entry == {
            "result": "changed",
            "reason": "why",
            "value": 1,
            "owner_word": True,
            "hold": ["service kubeproxy-ipvs-hold"],
            "neutralised": ["/etc/a"],
            "rolled_back": False,
            "proof": {"restarted": True, "seconds": 2.5, "wrong_seconds": None, "services": {"tried": 12, "answered_before": 11, "answered_after": None}},
            "options": [],
            "batch": 3,
        }

    @pytest.mark.parametrize(
        ("outcome", "reason"),
        [
            (None, NO_OUTCOME),
            ([1], "the outcome of this node is not a mapping but a list"),
            ("changed", "the outcome of this node is not a mapping but a str"),
            ({}, "the outcome of this node has no result"),
            ({"result": "fine", "reason": "all went well"}, "the outcome of this node has an unknown result: fine; all went well"),
            ({"result": ["changed"]}, "the outcome of this node has no result"),
        ],
    )
    def test_what_cannot_be_made_out_is_unknown(self, outcome, reason):
        entry = read_outcome(outcome)
        assert (entry["result"], entry["reason"]) == ("unknown", reason)
        assert was_touched(outcome)

    @pytest.mark.parametrize(("word", "said"), [(True, True), ("yes", True), ("perhaps", True), (False, False), ("no", False), ("", False), (None, False)])
    def test_the_owners_word_is_never_lost(self, word, said):
        assert read_outcome({"result": "changed", "owner_word": word})["owner_word"] is said

    @pytest.mark.parametrize("result", RESULTS)
    def test_which_nodes_are_as_they_were(self, result):
        assert was_touched({"result": result}) == (result in ("changed", "failed", "unreachable", "unknown"))


class TestReport:
    def test_before_and_after_of_a_node(self):
        report = of_repair(("a", {"result": "changed", "value": 1, "hold": ["x"], "batch": 3}, node("D", "K2", 0), node("E", "K3", 1)))
        (entry,) = report["nodes"]
        done = entry["remediation"]
        check_document("report", whole(report))
        assert (done["result"], done["before"]["verdict"], done["before"]["value"], done["after"]["verdict"], done["after"]["value"]) == (
            "changed",
            "stale_backends",
            0,
            "safe",
            1,
        )
        assert done["before"]["moments"]["reboot"] == {"value": 0, "verdict": "stale_backends"}
        assert {moment: what["value"] for moment, what in done["after"]["moments"].items()} == {
            moment: what["value"] for moment, what in entry["moments"].items()
        }
        assert (entry["verdict"], entry["plan"]["action"], done["batch"]) == ("safe", "none", 3)
        assert report["summary"]["verdicts"] == {"safe": 1}
        assert report["summary"]["verdicts_before"] == {"stale_backends": 1}

    def test_every_result_is_counted_also_those_of_nobody(self):
        good = node("E", "K3", 1)
        report = of_repair(
            *((f"n{number}", {"result": result}, good, good) for number, result in enumerate(["failed", "left", "left", "changed", None])),
            unreachable=[{"name": "z", "reason": "no route"}],
        )
        assert report["summary"]["remediation"] == {
            "failed": 1,
            "unknown": 1,
            "unreachable": 1,
            "not_attempted": 0,
            "left": 2,
            "would_change": 0,
            "changed": 1,
            "unchanged": 0,
        }

    def test_a_node_that_was_never_read(self):
        report = of_repair(unreachable=[{"name": "z", "reason": "no route"}])
        done = report["unreachable"][0]["remediation"]
        check_document("report", whole(report))
        assert (done["result"], done["reason"]) == ("unreachable", "no route")
        assert done["before"] == done["after"] == {"verdict": "unknown", "value": None, "moments": {}, "not_read": "no route"}

    def test_a_node_that_was_not_read_after_the_change(self):
        before = node_entry("a", node("D", "K2", 0))
        records = {"a": {"outcome": {"result": "failed"}, "before": before, "after_not_read": "it is gone"}}
        report = fleet([not_read_entry(before, "it is gone")], remediation=records)
        (entry,) = report["nodes"]
        check_document("report", whole(report))
        assert (entry["verdict"], entry["facts"]["value"], entry["findings"], entry["plan"]["action"]) == ("unknown", None, [], "none")
        assert entry["capabilities"] == before["capabilities"]
        assert entry["remediation"]["before"]["verdict"] == "stale_backends"
        assert entry["remediation"]["after"]["not_read"] == "it is gone"
        assert all(moment == {"value": None, "verdict": "unknown"} for moment in entry["remediation"]["after"]["moments"].values())

    def test_nodes_without_a_record_have_none(self):
        entries = [{**node_entry(name, node("E", "K3", 1)), "remediation": "of somebody else"} for name in "ab"]
        report = fleet(entries, remediation={"a": {"outcome": {"result": "left"}, "before": entries[0]}})
        assert [entry.get("remediation", {}).get("result") for entry in report["nodes"]] == ["left", None]
        check_document("report", whole(report))
        assert "2 nodes judged" in markdown(report)

    def test_without_a_remediation_nothing_of_it_is_there(self):
        report = fleet([node_entry("a", node("D", "K2", 0))], [{"name": "z", "reason": "no route"}])
        assert "remediation" not in json.dumps(report) and "verdicts_before" not in report["summary"]
        assert "remediation" not in table(report).lower() + markdown(report).lower()

    def test_the_example_fleet_set_and_held(self):
        """Every node on which 1 is safe, with 1 and something that holds it, is safe after it; the others are as they were."""
        nodes = []
        for path in sorted(FLEET.glob("*.json")):
            facts = json.loads(path.read_text(encoding="utf-8"))["ansible_facts"]["ipvs"]
            after, result = facts, "left"
            if node_entry("x", facts)["plan"]["action"] in ("set", "hold"):
                guard = {"path": "/etc/systemd/system/kube-proxy.service.d/hold.conf", "value": 1, "waits": True, "period_seconds": None}
                after = {**facts, "sysctl": {**facts["sysctl"], "conn_reuse_mode": 1}, "writers": [], "hold": {"guards": [guard], "managed": None}}
                result = "changed"
            nodes.append((path.stem, {"result": result, "value": 1}, facts, after))
        report = of_repair(*nodes)
        check_document("report", whole(report))
        assert len(nodes) >= 19 and sum(1 for name, *_rest in nodes if name.startswith("lab-")) >= 5
        for entry in report["nodes"]:
            done = entry["remediation"]
            if done["result"] == "changed":
                assert (entry["verdict"], done["after"]["verdict"], done["after"]["value"]) == ("safe", "safe", 1), entry["name"]
                assert (done["before"]["verdict"], done["before"]["value"]) != ("safe", 1)
            else:
                assert done["before"] == done["after"]
        assert report["summary"]["remediation"]["changed"] >= 6


class TestFilter:
    def test_remediation(self):
        before, after = node_entry("a", node("D", "K2", 0)), node_entry("a", node("E", "K3", 1))
        report = fleet_filter({"a": after}, remediation={"a": {"outcome": {"result": "changed"}, "before": before}})
        assert report["nodes"][0]["remediation"]["before"]["verdict"] == "stale_backends"

    def test_as_it_was_without(self):
        verdicts = {"a": node_entry("a", node("D", "K2", 0))}
        assert fleet_filter(verdicts, [{"name": "z"}]) == fleet(verdicts, [{"name": "z", "reason": ""}])

    def test_anything_else_is_refused(self):
        with pytest.raises(AnsibleFilterError, match="remediation must be a mapping"):
            fleet_filter({}, remediation=[1])


@settings(max_examples=200)
@given(st.lists(st.tuples(st.text(max_size=8), OUTCOMES | ANYTHING, STATES, STATES, st.booleans()), max_size=4), ANYTHING, ANYTHING)
def test_any_outcome_gives_a_report_that_follows_its_schema_and_can_be_printed(nodes, record, outcome):
    entries, records = {}, {"z": {"outcome": outcome}, "y": record}
    for word, done, before, after, read in nodes:
        name = f"n{word}"
        first = node_entry(name, before)
        entries[name] = node_entry(name, after) if read else not_read_entry(first)
        records[name] = {"outcome": done, "before": first, "after_not_read": None if read else "gone"}
    report = fleet(list(entries.values()), [{"name": "z", "reason": "no route"}, {"name": "y", "reason": ""}], remediation=records)
    check_document("report", whole(report))
    assert json.loads(json.dumps(report)) == report
    assert sum(report["summary"]["remediation"].values()) == len(entries) + len({"z", "y"})
    words = table(report)
    assert not [character for character in words if ord(character) < 32 and character != "\n"]
    assert "<" not in markdown(report)
