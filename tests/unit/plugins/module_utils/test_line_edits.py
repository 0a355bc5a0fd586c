# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever changes, the entry for recorded_files makes exactly that of the file; and files as they would be with a change."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.edited_files import EditedFiles
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.line_edits import Edit, changed_lines
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_lines import replaced
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import Units

LINES = st.lists(st.sampled_from(["", "mode: ipvs", "mode: iptables", "a", "b ", "é"]), max_size=5)


@settings(max_examples=300)
@given(LINES, st.integers(0, 4), st.sampled_from(["mode: iptables", "c"]), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_the_entry_makes_what_was_meant(lines, place, new, end, at_the_end, insert):
    before = end.join(lines) + (end if at_the_end else "")
    place = min(place, len(lines))
    changed = lines[:place] + [new] + lines[place if insert else place + 1 :]
    after = end.join(changed) + (end if at_the_end else "")
    entry = Edit("/x", before, after, "0640").entry()
    if "lines" in entry:
        assert replaced(before.encode(), [[one["line"], [one["replacement"]]] for one in entry["lines"]]) == after.encode()
    else:
        assert (entry["content"], entry["mode"]) == (after, "0640")


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("a\nb\n", "a\nc\n", [(2, "b", "c")]),
        ("a\r\nb\r\n", "a\r\nx\r\nb\r\n", [(2, None, "x")]),
        ("a", "a\nb", [(2, None, "b")]),
        ("a\r\nb", "a\r\nb\r\nc", [(3, None, "c")]),
        (None, "a\nb\n", [(1, None, "a"), (2, None, "b")]),
        ("a\n", "a\n", []),
    ],
)
def test_changed_lines(before, after, changes):
    assert changed_lines(before, after) == changes


def test_the_whole_file_on_demand():
    edit = Edit("/x", "a\n", "b\n")
    assert edit.entry() == {"path": "/x", "lines": [{"line": "a", "replacement": "b"}]}
    assert edit.entry(whole=True) == {"path": "/x", "content": "b\n", "mode": "0644"}
    # Its replacement is a line that gives way too, and one that is there twice.
    assert "content" in Edit("/x", "a\nb\n", "b\na\n").entry()
    assert "content" in Edit("/x", "a\na\n", "a\nb\n").entry()


def test_edited_files(tree):
    node = tree({"/etc/systemd/system/x.service": "[Service]\nExecStart=/a\n", "/etc/link": ("link", "systemd/system/x.service"), "/etc/other": "1"})
    edited = EditedFiles(
        node, {"/etc/systemd/system/x.service": b"[Service]\nExecStart=/b\n", "/etc/systemd/system/x.service.d/1.conf": b"[Service]\nExecStart=/c\n"}
    )
    assert edited.text("/etc/link") == "[Service]\nExecStart=/b\n"
    assert edited.size("/etc/link") == 23
    assert edited.text("/etc/other") == "1"
    assert edited.names("/etc/systemd/system") == ["x.service", "x.service.d"]
    assert edited.names("/etc/systemd/system/x.service.d") == ["1.conf"]
    assert (edited.kind("/etc/systemd/system/x.service.d"), edited.kind("/etc/systemd/system/x.service.d/1.conf"), edited.kind("/none")) == (
        "directory",
        "file",
        None,
    )
    assert [entry["value"] for entry in Units(edited).find("x.service").values("Service", "ExecStart")] == ["/b", "/c"]
    assert edited.read("/none") is None
    assert node.text("/etc/link") == "[Service]\nExecStart=/a\n"
