# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The knowledge files, and an owner's additional rows."""

from __future__ import annotations

import re

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kernel import CHANGELOG_TITLES, EVIDENCE_SYMBOLS
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import findings
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import CAPABILITIES, KnowledgeError, check_document, known_kernels, load
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.policy import read_policy

ROW = {
    "key": "acme",
    "name": "ACME",
    "match": {"release": r"^4\.19\.0-(\d+)\.acme"},
    "ranges": {"reuse_without_drop": [{"from": "7", "state": "yes", "confidence": "reported", "source": "ticket"}]},
}


@pytest.mark.parametrize("name", ["kernels", "kube_proxy"])
def test_files_follow_their_schema(name):
    check_document(name, load(name))


def _sources(value):
    if isinstance(value, dict):
        for key, item in value.items():
            if key in ("source", "removal_source"):
                yield item
            elif key != "sources":
                yield from _sources(item)
    elif isinstance(value, list):
        for item in value:
            yield from _sources(item)


@pytest.mark.parametrize("name", ["kernels", "kube_proxy"])
def test_every_source_is_explained_and_used(name):
    document = load(name)
    assert set(_sources(document)) == set(document["sources"]) | (set() if name == "kube_proxy" else {"tencent_pr_17"})


def test_keys_are_unique_and_patterns_compile():
    keys = [row["key"] for row in load("kernels")["rows"]]
    assert len(keys) == len(set(keys))
    for row in load("kernels")["rows"]:
        for pattern in row["match"].values():
            re.compile(pattern)
        ranges = [entry for entries in row.get("ranges", {}).values() for entry in entries]
        if any("from" in entry or "to" in entry for entry in ranges):
            assert re.compile(row["match"]["release"]).groups, row["key"]


def test_the_node_looks_for_what_the_knowledge_knows():
    assert {row["symbol"] for row in load("kernels")["symbols"]} == set(EVIDENCE_SYMBOLS)
    assert [capability for capability, title in CHANGELOG_TITLES] == list(CAPABILITIES)


def test_findings_have_a_severity_and_a_sentence_and_are_used():
    with open(findings.__file__, encoding="utf-8") as handle:
        code = handle.read()
    for key, row in load("findings")["findings"].items():
        assert row["severity"] in findings.SEVERITIES
        assert row["text"]
        assert f'"{key}"' in code, key


def _changed(**changes):
    return {**ROW, **changes}


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        ([_changed(rangs={})], ["acme", "rangs"]),
        ([_changed(match={"release": "("})], ["acme", "regular expression"]),
        ([_changed(match={})], ["acme"]),
        ([_changed(ranges={"reuse": []})], ["acme", "reuse"]),
        ([_changed(ranges={"reuse_without_drop": [{"from": 7, "state": "yes", "confidence": "reported", "source": "x"}]})], ["acme", "7"]),
        ([_changed(ranges={"reuse_without_drop": [{"state": "maybe", "confidence": "reported", "source": "x"}]})], ["acme", "maybe"]),
        ([_changed(match={"release": "^4.19"})], ["acme", "group"]),
        ([ROW, {"name": "nameless"}], ["row number 2", "key"]),
        ([ROW, ROW], ["acme", "twice"]),
        (["text"], ["row number 1"]),
        ("text", ["must be a list"]),
        ({"a": 1}, ["must be a list"]),
    ],
)
def test_a_bad_row_is_refused_by_name(rows, names):
    with pytest.raises(KnowledgeError) as error:
        known_kernels(rows)
    assert all(name in str(error.value) for name in names), str(error.value)


def test_good_rows_are_taken():
    assert known_kernels([ROW]) == [ROW]
    assert known_kernels(None) == []


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        ({"capabilities": {"reuse": "yes"}}, "reuse"),
        ({"capabilities": {"reuse_without_drop": "perhaps"}}, "perhaps"),
        ({"capabilities": {"reuse_without_drop": []}}, "reuse_without_drop"),
        ({"accept_inferred": "y"}, "accept_inferred"),
        ({"colour": 1}, "colour"),
        ("text", "mapping"),
    ],
)
def test_a_bad_policy_is_refused_by_name(policy, name):
    with pytest.raises(KnowledgeError, match=name):
        read_policy(policy)
