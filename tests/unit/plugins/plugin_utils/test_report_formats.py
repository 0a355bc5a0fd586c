# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files a report consists of, and what becomes of those of an earlier run."""

from __future__ import annotations

import json

import pytest
from example_reports import example_report, hostile_report, repair_report

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_formats import FORMATS, FormatError, check_formats, others, write_files

ALL = ["json", "md", "html", "csv", "junit", "sarif", "prom"]
FILES = {"report.json", "report.md", "report.html", "report.csv", "junit.xml", "report.sarif", "metrics.prom"}


def names(directory):
    return {path.name for path in directory.iterdir()}


@pytest.mark.parametrize("report", [example_report(), repair_report(), hostile_report()], ids=["fleet", "repair", "hostile"])
def test_all_of_them_are_made_from_one_report(report, tmp_path):
    before = json.dumps(report)
    assert set(write_files(report, str(tmp_path), ALL)) == FILES == names(tmp_path)
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == report
    assert json.dumps(report) == before
    for entry in FORMATS.values():
        assert entry.mark in (tmp_path / entry.file).read_text(encoding="utf-8")[:2000]


def test_json_is_always_written(tmp_path):
    assert write_files(example_report(), str(tmp_path), []) == ["report.json"]
    assert names(tmp_path) == {"report.json"}


def test_a_file_of_an_earlier_run_does_not_outlive_it(tmp_path):
    write_files(example_report(), str(tmp_path), ALL)
    write_files(example_report(), str(tmp_path), ["json", "csv"])
    assert names(tmp_path) == {"report.json", "report.csv"}


def test_a_file_of_somebody_else_stays(tmp_path):
    for entry in FORMATS.values():
        (tmp_path / entry.file).write_text("<testsuites name='pytest'/>", encoding="utf-8")
    (tmp_path / "report.csv").unlink()
    (tmp_path / "report.csv").mkdir()
    write_files(example_report(), str(tmp_path), ["json"])
    assert names(tmp_path) == FILES


@pytest.mark.parametrize("bad", ["pdf", "", "JSON", "report.html"])
def test_a_wrong_name_is_refused(bad):
    check_formats(ALL)
    with pytest.raises(FormatError, match=f"audit_report_formats: {bad!r} is not one of csv, html, json, junit, md, prom, sarif"):
        check_formats(["json", bad])


def test_others():
    assert [others(["a"]), others(["a", "b"]), others(["a", "b", "c"])] == ["", " and b", ", b and c"]
