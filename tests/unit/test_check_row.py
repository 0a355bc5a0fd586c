# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests/check_row says of a row of kernels.yml, and that every row which is there is complete."""

from __future__ import annotations

import copy
import importlib.util
import pathlib
import sys

import pytest
import yaml

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import load

_SPEC = importlib.util.spec_from_file_location("check_row", pathlib.Path(__file__).resolve().parents[1] / "check_row" / "check_row.py")
check_row = importlib.util.module_from_spec(_SPEC)
# Its dataclass looks for its own module there.
sys.modules["check_row"] = check_row
_SPEC.loader.exec_module(check_row)

NAMED = check_row.tested(check_row.TESTS.read_text(encoding="utf-8"))
TEST_FILE = """
REUSE, WEIGHT = "reuse_without_drop", "respects_zero_weight"
PAIRS = [
    # the comment is no kernel
    (REUSE, "4.19.0-6.acme.x86_64", "4.19.0-7.acme.x86_64"),
]
assert state(WEIGHT, "4.19.0-7.acme.x86_64", "#1 SMP", signature="ACME 1") == "no"
assert other("nothing", "5.0.0")
"""
ROW = {
    "key": "acme",
    "name": "ACME",
    "match": {"release": r"^4\.19\.0-(\d+)\.acme"},
    "ranges": {"reuse_without_drop": [{"from": "7", "state": "yes", "confidence": "reported", "source": "cce_faq"}]},
}


@pytest.mark.parametrize("row", load("kernels")["rows"], ids=lambda row: row["key"])
def test_every_row_that_is_there_is_complete(row):
    assert check_row.problems(row, load("kernels"), NAMED) == []
    assert check_row.said(row, load("kernels"), NAMED)


def test_the_kernels_that_a_test_names():
    assert check_row.tested(TEST_FILE) == [
        check_row.Kernel("reuse_without_drop", "4.19.0-6.acme.x86_64"),
        check_row.Kernel("reuse_without_drop", "4.19.0-7.acme.x86_64"),
        check_row.Kernel("respects_zero_weight", "4.19.0-7.acme.x86_64", "#1 SMP", "ACME 1"),
    ]
    assert len(NAMED) > 150


@pytest.fixture(name="problems")
def problems_fixture(monkeypatch):
    """problems(place, named, **changes of the row) -> what is said of ACME's row at this place of kernels.yml."""

    def check(place=0, named=TEST_FILE, **changes):
        document = copy.deepcopy(load("kernels"))
        row = {**copy.deepcopy(ROW), **changes}
        document["rows"].insert(place, row)
        # judge_kernel looks at the shipped file: the new row has to be in it.
        monkeypatch.setattr(sys.modules[check_row.judge_kernel.__module__], "find_row", lambda facts, rows=None: check_row.find_row(facts, document["rows"]))
        return check_row.problems(row, document, check_row.tested(named))

    return check


def test_a_complete_row(problems):
    assert problems() == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"key": "Acme"}, "row 'Acme': key: 'Acme' does not match '^[a-z][a-z0-9_]*$'"),
        ({"match": {"release": "acme("}}, "row 'acme': release is not a regular expression: missing ), unterminated subpattern at position 4"),
        ({"match": {"release": "acme"}}, "row 'acme': ranges with from or to need a group in match.release"),
    ],
)
def test_a_row_that_cannot_be_used(problems, changes, sentence):
    assert problems(**changes) == [sentence]


def test_a_source_that_is_not_listed(problems):
    ranges = {"reuse_without_drop": [{"from": "7", "state": "yes", "confidence": "reported", "source": "ticket"}]}
    assert problems(ranges=ranges) == ["source 'ticket' is not in the sources at the end of kernels.yml"]


def test_a_row_that_no_test_names(problems):
    assert problems(match={"release": r"^4\.19\.0-(\d+)\.other"}) == ["no test names a kernel that this row matches"]


def test_only_one_side_of_a_threshold(problems):
    named = TEST_FILE.replace('"4.19.0-6.acme.x86_64", ', "")
    assert problems(named=named) == ["no test names a kernel of this row whose reuse_without_drop is unknown"]


def test_a_row_below_one_that_takes_its_kernels(problems):
    assert problems(place=1000) == [
        "no tested kernel is decided by this row",
        "hidden: 4.19.0-6.acme.x86_64 is matched by row 'any' before it",
        "hidden: 4.19.0-7.acme.x86_64 is matched by row 'any' before it",
    ]


def test_what_is_printed(capsys):
    assert check_row.main(["sle_15_sp1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "sle_15_sp1: SLE 15 SP1: complete",
        "  4.12.14-197.56-default: reuse_without_drop yes (vendor_table, strong: SUSE-SU-2020:2575-1 (2020-09))",
        "  4.12.14-197.51-default: reuse_without_drop unknown",
    ]
    assert check_row.main(["sle_15_sp11"]) == 2
    assert capsys.readouterr().out.startswith("sle_15_sp11: no such row in kernels.yml, but sle_15_sp1")


def test_a_row_that_is_not_complete_fails(capsys, monkeypatch):
    monkeypatch.setattr(check_row, "TESTS", pathlib.Path("/dev/null"))
    assert check_row.main(["sle_15_sp1", "rhel_9"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "sle_15_sp1: SLE 15 SP1: not complete",
        "  no test names a kernel that this row matches",
        "rhel_9: RHEL 9 and rebuilds: not complete",
        "  no test names a kernel that this row matches",
    ]


def test_a_file_that_is_no_yaml_any_more_is_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(check_row, "load", lambda _name: yaml.safe_load("rows:\n  - key: a: b\n"))
    assert check_row.main(["acme"]) == 1
    assert capsys.readouterr().out == "kernels.yml, line 2: mapping values are not allowed here\n"
