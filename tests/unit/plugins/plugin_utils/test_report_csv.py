# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as CSV: read back by a CSV reader, a line a node, no formula."""

from __future__ import annotations

import csv
import io

import pytest
from example_reports import ACCEPTED, HOSTILE, compared_report, example_report, forecast_report, hostile_compared_report, hostile_report, repair_report
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_csv import COLUMNS, cell, csv_text

FORMULA = tuple("=+-@\t\r\n\uff0b\uff0d\uff1d\uff20")


def rows(report):
    return list(csv.DictReader(io.StringIO(csv_text(report), newline=""), strict=True))


def test_one_line_a_node_with_all_that_the_report_says():
    report = example_report(unreachable=[{"name": "web-17", "reason": "no route to host"}])
    read = {row["node"]: row for row in rows(report)}
    assert [row["node"] for row in rows(report)] == [node["name"] for node in report["nodes"]] + ["web-17"]
    for node in report["nodes"]:
        row = read[node["name"]]
        assert (row["verdict"], row["plan"], row["kernel"]) == (node["verdict"], node["plan"]["action"], node["facts"]["kernel"])
        assert row["verdict_reboot"] == node["moments"]["reboot"]["verdict"]
        assert row["value_now"] == ("" if node["moments"]["now"]["value"] is None else str(node["moments"]["now"]["value"]))
        assert set(row["findings"].split()) == {finding["key"] for finding in node["findings"]}
    assert (read["web-17"]["verdict"], read["web-17"]["not_read"]) == ("unreachable", "no route to host")


def test_lines_end_as_rfc_4180_has_it():
    text = csv_text(example_report())
    assert text.endswith("\r\n") and text.count("\r") == text.count("\n") == text.count("\r\n") == len(example_report()["nodes"]) + 1


def test_the_columns_are_the_same_whatever_the_report():
    for report in (example_report(), forecast_report(), repair_report(), hostile_report(), compared_report(), hostile_compared_report()):
        assert list(rows(report)[0]) == list(COLUMNS)
    results = {row["node"]: row["repair_result"] for row in rows(repair_report())}
    assert results == {"done": "changed", "broken": "failed", "left": "left", "down": "unreachable"}
    assert all(row["forecast_verdict"] for row in rows(forecast_report()))


def test_nothing_of_a_node_is_a_formula():
    read, of_reports = rows(hostile_report()), rows(hostile_compared_report())
    assert (len(read), len(of_reports)) == (2 * len(HOSTILE), 4 * len(HOSTILE))
    for row in (*read, *of_reports):
        assert None not in row and None not in row.values()
        for value in row.values():
            assert not value.startswith(FORMULA) and "\n" not in value and "\x00" not in value and "\u202e" not in value


def test_what_is_waived_has_changed_and_is_of_another_report_has_columns():
    report = compared_report(target="1.30.4")
    read = {row["node"]: row for row in rows(report)}
    assert len(read) == len(report["nodes"]) + len(report["unreachable"])
    accepted = (ACCEPTED["until"], ACCEPTED["reason"])
    waived = {name: (row["waived_until"], row["waived_reason"]) for name, row in read.items() if row["waived_until"]}
    assert waived == {name: accepted for name in ("lab-centos-7 (eu)", "lab-centos-7 (us)", "cce-euler29-b (eu)", "down")}
    assert (read["cce-euler29-b (eu)"]["report"], read["cce-euler29-b (us)"]["report"]) == ("eu", "us")
    assert read["cce-euler29-b (eu)"]["name_in_report"] == read["cce-euler29-b (us)"]["name_in_report"] == "cce-euler29-b"
    assert read["lab-centos-7 (eu)"]["forecast_waived_until"] == ACCEPTED["until"]
    assert {row["findings_waived"] for row in read.values() if "metrics_exposed" in row["findings"].split()} == {"metrics_exposed"}
    changed = {name: row["change"] for name, row in read.items() if row["change"] != "unchanged"}
    assert changed == {
        "lab-debian-5.10 (eu)": "worse",
        "uk8s-centos7 (eu)": "no_longer_read",
        "lab-kylin-v10 (eu)": "new",
        "sealos-debian11 (eu)": "read_again",
        "kubespray-rocky8 (eu)": "other",
        "lab-debian-6.1 (eu)": "better",
        "kubeadm-debian12 (eu)": "better",
    }
    assert {row["change"] for row in rows(example_report())} == {""}


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, ""), (0, 0), (-1, -1), ("-1", "'-1"), ("  =1", "'=1"), ("a;=1", "a;'=1"), ("a - b", "a - b"), ("\t=1", "'=1"), ("5.4.0-100", "5.4.0-100")],
)
def test_cell(value, expected):
    assert cell(value) == expected


@given(st.text())
def test_no_text_makes_a_formula(text):
    assert not str(cell(text)).startswith(FORMULA)
