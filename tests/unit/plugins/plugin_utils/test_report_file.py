# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""report.json of an earlier run, read again: what cannot be used is refused by name."""

from __future__ import annotations

import json

import pytest
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import report_file
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_file import ReportError
from hypothesis import given
from hypothesis import strategies as st
from nodes import report_of_nine

GOOD = {"collection": "kubeproxy.ipvs 1.0.0", "generated_at": "2027-01-01T00:00:00+00:00", **report_of_nine()}


def written(path, content=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(json.dumps(GOOD).encode() if content is None else content)
    return str(path)


class TestLoad:
    def test_what_was_written(self, tmp_path):
        assert report_file.load(written(tmp_path / "report.json")) == GOOD

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (json.dumps(GOOD).encode()[:3000], "not JSON"),
            (b"", "not JSON"),
            (b'"\xff\xfe"', "not UTF-8"),
            (b"[" * 100000, "not JSON|nested too deeply"),
            (b"[]", "not a report but a list"),
            (b'{"schema": 1, "kernel": {}}', "not a report: no summary in it"),
            (b'{"a": 1}', "not a report: neither schema nor summary in it"),
            (json.dumps({**GOOD, "schema": 2}).encode(), "a report of version 2, this collection reads version 1"),
            (json.dumps({**GOOD, "schema": True}).encode(), "a report of version True, this collection reads version 1"),
            (json.dumps({**GOOD, "nodes": [{}]}).encode(), "not a report: nodes"),
            (json.dumps({**GOOD, "nodes": 7}).encode(), "not a report: nodes: 7 is not of type 'array'"),
            (json.dumps({**GOOD, "of_tomorrow": 7}).encode(), "of_tomorrow"),
        ],
    )
    def test_what_cannot_be_used_is_named_with_the_reason(self, tmp_path, content, reason):
        path = written(tmp_path / "eu.json", content)
        with pytest.raises(ReportError, match=reason) as error:
            report_file.load(path)
        assert str(error.value).startswith(f"{path}: ")

    def test_no_such_file(self, tmp_path):
        with pytest.raises(ReportError, match=r"gone\.json: No such file"):
            report_file.load(str(tmp_path / "gone.json"))

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
    def test_anything_else_is_refused(self, document):
        with pytest.raises(ReportError):
            report_file.check(document)


class TestFind:
    def test_files_directories_and_directories_of_directories(self, tmp_path):
        alone, eu = written(tmp_path / "alone.json"), written(tmp_path / "eu" / "report.json")
        slices = [written(tmp_path / "slices" / number / "report.json") for number in "12"]
        written(tmp_path / "slices" / "notes" / "other.json")
        assert report_file.find([str(tmp_path / "slices"), alone, str(tmp_path / "eu"), eu]) == sorted([alone, eu, *slices])

    def test_a_directory_without_one_is_named(self, tmp_path):
        with pytest.raises(ReportError, match=f"{tmp_path}: no report.json in this directory"):
            report_file.find([str(tmp_path)])


class TestLoadAll:
    def test_every_bad_file_is_named(self, tmp_path):
        paths = [written(tmp_path / "a.json"), written(tmp_path / "b.json", b"{"), str(tmp_path / "c.json")]
        with pytest.raises(ReportError, match=r"b\.json: not JSON.*; .*c\.json: No such file"):
            report_file.load_all(paths)

    def test_nothing(self):
        with pytest.raises(ReportError, match="no report is named"):
            report_file.load_all([])
