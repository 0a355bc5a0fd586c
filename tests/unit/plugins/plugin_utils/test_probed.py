# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What probes have measured: which nodes it counts for, which kernels are still to be asked, how it is kept, and what it does to a verdict."""

from __future__ import annotations

import copy
import itertools
import json
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import probe_cache, probed
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import read
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.forecast import forecast
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import CAPABILITIES, KnowledgeError, check_document
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.policy import policy_of_node, read_policy
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.probed import Candidate, Kernel
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import judge, safe_conn_reuse_mode

# No table knows it.
PRIVATE, BUILD = "5.4.17-acme.7", "#9 SMP Tue Mar 2 10:00:00 UTC 2021"
ROCKY = "4.18.0-553.el8_10.x86_64"
REUSE, WEIGHT, FLUSH = CAPABILITIES


def row(release=PRIVATE, version=BUILD, patches=(), node="node-1", date="2026-11-20T10:00:00Z", **states):
    states = dict.fromkeys(CAPABILITIES, "yes") | states
    kernel = {"release": release, "version": version, "live_patches": list(patches)}
    return {"kernel": kernel, "capabilities": {name: {"state": state} for name, state in states.items()}, "node": node, "date": date}


def facts(release=PRIVATE, version=BUILD, patches=(), value=0, kube_proxy="1.20.2", **kernel):
    kernel = {"release": release, "version": version, "ip_vs": "loaded", "live_patches": list(patches), **kernel}
    sysctl = {"state": "present", "conn_reuse_mode": value, "conntrack": 1, "expire_nodest_conn": 1, "absent": []}
    proxy = {"form": "systemd", "running": True, "mode": "ipvs", "mode_effective": "ipvs", "version": kube_proxy}
    return {"schema": 1, "live": True, "kernel": kernel, "sysctl": sysctl, "kube_proxy": proxy}


def answer(release=PRIVATE, version=BUILD, **states):
    states = dict.fromkeys(CAPABILITIES, "yes") | states
    measured = {name: {"state": state, "seconds": [0.0004, None], "control_seconds": 0.001} for name, state in states.items()}
    return {"capabilities": measured, "answer": "conclusive", "reason": None, "seconds": 0.9, "kernel": {"release": release, "version": version}}


class TestKernel:
    """What tells kernels apart."""

    def test_a_live_patch_makes_another_kernel_and_one_that_is_off_does_not(self):
        plain = probed.kernel_of(read(facts()))
        assert plain == Kernel(PRIVATE, BUILD, ())
        assert probed.kernel_of(read(facts(patches=[{"name": "kpatch_b", "enabled": True}, {"name": "kpatch_a", "enabled": None}]))) == Kernel(
            PRIVATE, BUILD, ("kpatch_a", "kpatch_b"))
        assert probed.kernel_of(read(facts(patches=[{"name": "kpatch_a", "enabled": False}, {"name": None}, "x"]))) == plain

    @pytest.mark.parametrize("missing", ["release", "version"])
    def test_without_one_of_its_names_it_is_not_known(self, missing):
        assert probed.kernel_of(read(facts(**{missing: None}))) is None

    def test_facts_of_another_shape(self):
        for odd in (None, {}, {"kernel": []}, {"kernel": {"release": PRIVATE, "version": BUILD, "live_patches": "x"}}):
            assert probed.kernel_of(read(odd)) in (None, Kernel(PRIVATE, BUILD, ()))


class TestVerdict:
    """A probe counts before every table and after the owner's word."""

    def test_unknown_becomes_known_on_all_nodes_with_that_kernel(self):
        without = judge(facts())
        assert without["plan"]["action"] == "probe" and without["capabilities"][REUSE]["state"] == "unknown"
        judged = judge(facts(), {"probes": [row()]})
        assert judged["capabilities"][REUSE] == {
            "state": "yes", "evidence": "probe", "confidence": "proven", "source": "measured on this kernel (node-1, 2026-11-20T10:00:00Z)"}
        assert (judged["plan"]["action"], judged["plan"]["value"], judged["plan"]["rests_on"]) == ("hold", 1, [REUSE])
        assert safe_conn_reuse_mode(facts(), {"probes": [row()]}) == 1
        assert safe_conn_reuse_mode(facts(), {"probes": [row(reuse_without_drop="no")]}) == 0
        assert safe_conn_reuse_mode(facts(), {"probes": [row(**dict.fromkeys(CAPABILITIES, "no"))]}) is None

    @pytest.mark.parametrize("other", [
        {"release": PRIVATE + "x"}, {"version": BUILD.replace("#9", "#10")}, {"patches": [{"name": "kpatch_a", "enabled": True}]}])
    def test_another_kernel_is_none_of_its_business(self, other):
        assert judge(facts(**other), {"probes": [row()]}) == judge(facts(**other))

    def test_the_owners_word_goes_before_it(self):
        judged = judge(facts(), {"probes": [row()], "capabilities": {REUSE: "no"}})
        assert judged["capabilities"][REUSE]["evidence"] == "operator" and judged["capabilities"][REUSE]["state"] == "no"
        texts = [finding["text"] for finding in judged["findings"] if finding["key"] == "probe_contradicts" and REUSE in finding["text"]]
        assert texts == ["reuse_without_drop was measured on this kernel: yes; operator says no (the owner's word)"]

    def test_what_the_facts_carry_counts_like_a_row(self):
        """Recorded facts have the row of the run that wrote them."""
        kept = probed.with_probe(facts(), read_policy({"probes": [row()]}).probes)
        assert judge(kept) == judge(facts(), {"probes": [row()]})
        assert probed.with_probe(facts(release="x"), read_policy({"probes": [row()]}).probes) == facts(release="x")
        assert judge(facts(probe={name: "yes" for name in CAPABILITIES}))["capabilities"][REUSE]["evidence"] == "probe"

    @pytest.mark.parametrize("odd", ["yes", 7, [], {"capabilities": []}, {"capabilities": {REUSE: {"state": "maybe"}}}, {REUSE: None}])
    def test_odd_probes_in_facts_say_nothing(self, odd):
        assert judge(facts(probe=odd))["capabilities"][REUSE]["state"] == "unknown"

    def test_a_kernel_on_which_the_fix_is_switched_off(self):
        """In a namespace of its own TencentOS' switch is at its default, on."""
        node = facts()
        node["sysctl"]["conn_reuse_old_conntrack"] = 0
        judged = judge(node, {"probes": [row()]})["capabilities"]
        assert (judged[REUSE]["state"], judged[REUSE]["evidence"], judged[WEIGHT]["evidence"]) == ("no", "sysctl", "probe")

    def test_another_kernel_in_a_forecast_was_not_measured(self):
        assert forecast(facts(), kernel="5.4.17-acme.8", policy={"probes": [row()]})["capabilities"][REUSE]["state"] == "unknown"
        assert forecast(facts(), kube_proxy="1.30.0", policy={"probes": [row()]})["capabilities"][REUSE]["evidence"] == "probe"


class TestContradictions:
    """A table that lies."""

    def test_it_is_a_finding_and_the_probe_counts(self):
        policy = {"probes": [row(ROCKY, **dict.fromkeys(CAPABILITIES, "no"))]}
        assert judge(facts(ROCKY))["plan"]["action"] == "hold"
        judged = judge(facts(ROCKY), policy)
        assert judged["plan"]["action"] == "decide"
        entry = judged["capabilities"][REUSE]
        assert (entry["state"], entry["evidence"]) == ("no", "probe")
        assert [(other["state"], other["evidence"]) for other in entry["contradicted_by"]] == [("yes", "vendor_table")]
        findings = [finding for finding in judged["findings"] if finding["key"] == "probe_contradicts"]
        assert len(findings) == 3 and {finding["severity"] for finding in findings} == {"medium"}
        assert findings[0]["text"].startswith("reuse_without_drop was measured on this kernel: no; vendor table says yes (")
        check_document("report", {**fleet([node_entry("n", facts(ROCKY), policy)]), "collection": "x", "generated_at": "x"})

    def test_what_was_only_inferred_is_a_low_one(self):
        """An openEuler line from before the fix was written: the build date says no."""
        node = facts("4.19.90-1.acme.ky10.x86_64", "#1 SMP Mon Mar 2 10:00:00 UTC 2020")
        before = judge(node)["capabilities"][REUSE]
        assert (before["state"], before["confidence"]) == ("no", "inferred")
        judged = judge(node, {"probes": [row(node["kernel"]["release"], node["kernel"]["version"])]})
        severities = {finding["severity"] for finding in judged["findings"] if finding["key"] == "probe_contradicts" and REUSE in finding["text"]}
        assert severities == {"low"}

    def test_agreement_is_no_finding(self):
        judged = judge(facts(ROCKY), {"probes": [row(ROCKY)]})
        assert not [finding for finding in judged["findings"] if finding["key"] == "probe_contradicts"]
        assert all("contradicted_by" not in entry for entry in judged["capabilities"].values())

    def test_two_probes_of_one_kernel(self):
        # A kernel that flushes has the fix.
        rows = [row(flushes_deleted="no"), row(node="node-3", date="2026-11-22T10:00:00Z", flushes_deleted="no")]
        rows.append(row(node="node-2", date="2026-11-21T10:00:00Z", reuse_without_drop="no", flushes_deleted="no"))
        for order in itertools.permutations(rows):
            assert judge(facts(), {"probes": list(order)})["capabilities"][REUSE]["state"] == "unknown"
            assert probed.contradictions(order) == [
                f"probes of the kernel {PRIVATE} contradict each other in reuse_without_drop: yes (node-3, 2026-11-22T10:00:00Z), "
                "no (node-2, 2026-11-21T10:00:00Z)"]
            assert len(probed.worth_keeping(order)) == 3


STATES = st.fixed_dictionaries({name: st.sampled_from(["yes", "no", "unknown"]) for name in CAPABILITIES})
ROWS = st.lists(st.builds(
    lambda release, day, states: row(release, date=f"2026-11-{day:02}T00:00:00Z", node=f"node-{day}", **states),
    st.sampled_from(["a", "b"]), st.integers(1, 28), STATES), max_size=6)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_never_matters(rows, random):
    shuffled = copy.deepcopy(rows)
    random.shuffle(shuffled)
    states = {kernel: {name: one["capabilities"][name]["state"] for name in CAPABILITIES} for kernel, one in probed.merged(rows).items()}
    assert states == {kernel: {name: one["capabilities"][name]["state"] for name in CAPABILITIES} for kernel, one in probed.merged(shuffled).items()}
    for kernel, told in states.items():
        for name, state in told.items():
            said = {one["capabilities"][name]["state"] for one in rows if probed.kernel_of_row(one) == kernel} - {"unknown"}
            assert state == (said.pop() if len(said) == 1 else "unknown")
    # What is kept says the same, also when it is read again.
    kept = probed.read_document(json.loads(json.dumps(probed.document_of(probed.worth_keeping(rows)))))
    assert {kernel: {name: one["capabilities"][name]["state"] for name in CAPABILITIES} for kernel, one in probed.merged(kept).items()} == states


class TestAnswers:
    """What a probe has returned becomes a row."""

    KERNEL = Kernel(PRIVATE, BUILD, ("kpatch_a",))

    def test_a_good_one(self):
        made, reason = probed.row_of(self.KERNEL, answer(), "node-1", "2026-11-20T10:00:00Z")
        assert reason == "" and probed.is_complete(made) and probed.kernel_of_row(made) == self.KERNEL
        assert made["capabilities"][REUSE] == {"state": "yes", "seconds": [0.0004, None], "control_seconds": 0.001}

    def test_one_that_tells_a_part(self):
        made, reason = probed.row_of(self.KERNEL, {**answer(flushes_deleted="unknown"), "reason": "slow"}, "n", "2026-11-20T10:00:00Z")
        assert reason == "slow" and not probed.is_complete(made)

    @pytest.mark.parametrize(("result", "sentence"), [
        (None, "no answer"), ({}, "no answer"), ("x", "no answer"), ({"msg": "not measured: it needs root\nmore"}, "not measured: it needs root"),
        (answer(release="5.4.17-acme.8"), "the node runs another kernel than it did when its facts were read: 5.4.17-acme.8"),
        ({**answer(), "kernel": None}, "the node runs another kernel than it did when its facts were read: one without a name"),
        ({**answer(**dict.fromkeys(CAPABILITIES, "unknown")), "reason": "the controls were slow"}, "the controls were slow"),
        ({**answer(), "capabilities": {REUSE: {"state": "perhaps"}}}, "probe number 1: capabilities"),
    ])
    def test_bad_ones(self, result, sentence):
        made, reason = probed.row_of(self.KERNEL, result, "n", "2026-11-20T10:00:00Z")
        assert made is None and reason.startswith(sentence), reason


class TestToAsk:
    """One node of each kernel."""

    A, B = Kernel("a", "1", ()), Kernel("b", "1", ())
    NODES = [Candidate("n1", A, False), Candidate("n2", A, False), Candidate("n3", B, True), Candidate("n4", B, True)]

    def test_only_kernels_of_which_something_is_unknown(self):
        assert probed.to_ask(self.NODES, False, (), ()) == {"n1": self.A}
        assert probed.to_ask(self.NODES, True, (), ()) == {"n1": self.A, "n3": self.B}

    def test_one_node_that_knows_does_not_speak_for_the_others(self):
        assert probed.to_ask([Candidate("n1", self.A, True), Candidate("n2", self.A, False)], False, (), ()) == {"n1": self.A}

    def test_a_node_without_an_answer_gives_way_to_the_next(self):
        assert probed.to_ask(self.NODES, True, (), ("n1", "n3")) == {"n2": self.A, "n4": self.B}
        assert probed.to_ask(self.NODES, True, (self.A,), ("n1", "n3")) == {"n4": self.B}
        assert probed.to_ask(self.NODES, True, (), ("n1", "n2", "n3", "n4")) == {}

    def test_not_for_ever(self):
        nodes = [Candidate(f"n{number}", self.A, False) for number in range(9)]
        assert probed.to_ask(nodes, False, (), ("n0", "n4")) == {"n1": self.A}
        assert probed.to_ask(nodes, False, (), ("n0", "n4", "n1")) == {}


class TestCache:
    """The file that keeps it."""

    def test_there_and_back(self, tmp_path):
        path = tmp_path / "new" / "probes.json"
        assert probe_cache.load(str(path)) == []
        probe_cache.save(str(path), [row(), row("z")])
        assert probe_cache.load(str(path)) == [row(), row("z")]
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        probe_cache.save(str(path), [row(date="2026-11-21T00:00:00Z", node="node-2")])
        assert [one["node"] for one in probe_cache.load(str(path))] == ["node-2", "node-1"]
        check_document("probes", json.loads(path.read_text(encoding="utf-8")))

    @pytest.mark.parametrize(("content", "sentence"), [
        (b"\xff\xfe", "not UTF-8"), (b"{", "not JSON"), (b"[]", "not a file of probes"), (b'{"schema": 2, "probes": []}', "probes of version '2'"),
        (b"[" * 100000, "nested too deeply"), (b'{"schema": 1, "probes": [{}]}', "probe number 1: "), (b'{"schema": 1, "probes": {}}', "not a file of probes"),
        (json.dumps({"schema": 1, "probes": [row(), {**row(), "date": "yesterday"}]}).encode(), "probe number 2: date"),
        (json.dumps({"schema": 1, "probes": [row(reuse_without_drop=True)]}).encode(), "probe number 1: capabilities.reuse_without_drop.state"),
    ])
    def test_a_bad_file_is_named_and_stays(self, tmp_path, content, sentence):
        path = tmp_path / "probes.json"
        path.write_bytes(content)
        for attempt in (lambda: probe_cache.load(str(path)), lambda: probe_cache.save(str(path), [row()])):
            with pytest.raises(KnowledgeError) as caught:
                attempt()
            assert str(caught.value).startswith(f"{path}: ") and sentence in str(caught.value)
        assert path.read_bytes() == content

    def test_a_folder_in_its_place(self, tmp_path):
        with pytest.raises(KnowledgeError, match="Is a directory"):
            probe_cache.load(str(tmp_path))

    def test_a_place_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").write_text("x", encoding="utf-8")
        with pytest.raises(KnowledgeError, match="Not a directory|File exists"):
            probe_cache.save(str(tmp_path / "file" / "probes.json"), [row()])

    def test_runs_at_once_keep_a_readable_file(self, tmp_path):
        path = str(tmp_path / "probes.json")
        threads = [threading.Thread(target=probe_cache.save, args=(path, [row(f"kernel-{number}")])) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 <= len(probe_cache.load(path)) <= 8
        assert [entry.name for entry in tmp_path.iterdir()] == ["probes.json"]


def test_a_policy_of_one_node_keeps_what_counts_for_all():
    word = read_policy({"probes": [row()], "accept_inferred": True})
    own = policy_of_node(word, {REUSE: "no"})
    assert (own.probes, own.accept_inferred, own.capabilities) == (word.probes, True, {REUSE: "no"})
    with pytest.raises(KnowledgeError, match="unknown capability 'x'"):
        policy_of_node(word, {"x": "no"})
    with pytest.raises(KnowledgeError, match="probes must be a list, not str"):
        read_policy({"probes": "x"})
