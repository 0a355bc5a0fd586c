# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines give way to others and come back, and nothing else of a file is touched."""

from __future__ import annotations

import os
import re
import tempfile
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_changes import RecordedChanges
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_lines import put_back, replaced, without_ends

A = [["a", ["# a"]]]


@pytest.mark.parametrize(("text", "lines"), [("", []), ("\n", [""]), ("a", ["a"]), ("a\n", ["a"]), ("a\r\n\r\r\nb", ["a", "", "b"]), ("\n\n", ["", ""])])
def test_without_ends(text, lines):
    assert without_ends(text) == lines


@pytest.mark.parametrize(
    ("content", "lines", "result"),
    [
        (b"", A, b""),
        (b"a", A, b"# a"),
        (b"a\n", A, b"# a\n"),
        (b"b\r\na\r\nb", A, b"b\r\n# a\r\nb"),
        (b"a \n a\naa\nA\n\xffa\n", A, b"a \n a\naa\nA\n\xffa\n"),
        (b"a\r", A, b"a\r"),
        (b"a\n\na\n", A, b"# a\n\n# a\n"),
        (b"b\na", [["a", ["1", "2"]]], b"b\n1\n2"),
        (b"b\r\na\r\n", [["a", ["1", "2"]]], b"b\r\n1\r\n2\r\n"),
        (b"b\na", [["a", []]], b"b\n"),
        (b"a\nb", [["a", []]], b"b"),
        (b"a\nb\n", [["a", ["b"]], ["c", []]], b"b\nb\n"),
        ("gr\u00fc\u00df\n".encode(), [["gr\u00fc\u00df", ["\u4e2d"]]], "\u4e2d\n".encode()),
    ],
)
def test_replaced(content, lines, result):
    assert replaced(content, lines) == result


@pytest.mark.parametrize(
    ("original", "lines", "content", "result", "back", "lost"),
    [
        # Others added something before, after, between, and took something away.
        (b"a\nb\n", A, b"x\n# a\nx\nb\nx\n", b"x\na\nx\nb\nx\n", 1, 0),
        (b"b\na\nc\n", A, b"# a\n", b"a\n", 1, 0),
        (b"b\na", A, b"b\n# a\nc", b"b\na\nc", 1, 0),
        (b"b\na\n", A, b"b\n# a", b"b\na", 1, 0),
        # They changed all line ends.
        (b"b\na\nc\n", A, b"b\r\n# a\r\nc\r\n", b"b\r\na\r\nc\r\n", 1, 0),
        # What looks like ours was there before, or is theirs.
        (b"# a\na\n", A, b"# a\n# a\nb\n", b"# a\na\nb\n", 1, 0),
        (b"a\n# a\n", A, b"b\n# a\n# a\n", b"b\na\n# a\n", 1, 0),
        (b"a\n", A, b"# a\n# a\n", b"a\n# a\n", 1, 0),
        # They moved it, or put it into another order.
        (b"b\na\nc\nd\n", A, b"b\nc\nd\n# a\n", b"b\nc\nd\na\n", 1, 0),
        (b"a\nb\nc\n", [["a", ["1", "2"]]], b"b\nc\n1\n2\n", b"b\nc\na\n", 1, 0),
        # They changed or removed it.
        (b"a\nb\n", A, b"# a!\nb\n", b"# a!\nb\n", 0, 1),
        (b"a\nb\na\n", A, b"b\n# a\n", b"b\na\n", 1, 1),
        (b"a\nb\n", [["a", ["1", "2"]]], b"1\nb\n2\n", b"1\nb\n2\n", 0, 1),
        (b"a\nb\n", [["a", ["1", "2"]]], b"2\n1\nb\n", b"2\n1\nb\n", 0, 1),
        (b"a\nb\n", [["a", ["1", "2"]]], b"b\n1\n", b"b\n1\n", 0, 1),
        (b"a\na\n", A, b"c\n", b"c\n", 0, 2),
        (b"a\n", A, b"", b"", 0, 1),
        # They put the line back.
        (b"a\nb\n", A, b"a\nb\nc\n", b"a\nb\nc\n", 0, 0),
        (b"a\nb\na\n", A, b"a\nb\nc\n", b"a\nb\nc\n", 0, 1),
        # A line that nothing took the place of belongs behind the one that was before it, or before the one that was behind it.
        (b"b\na\nc\n", [["a", []]], b"b\nx\nc\n", b"b\na\nx\nc\n", 1, 0),
        (b"b\na\nc\n", [["a", []]], b"x\nc\n", b"x\na\nc\n", 1, 0),
        (b"b\na\nc\n", [["a", []]], b"b\n", b"b\na\n", 1, 0),
        (b"b\na", [["a", []]], b"b\nx", b"b\na\nx", 1, 0),
        (b"b\na\n", [["a", []]], b"b", b"b\na\n", 1, 0),
        (b"b\na\nc\n", [["a", []]], b"x\n", b"x\n", 0, 1),
        (b"a\nc\n", [["a", []]], b"x\n", b"a\nx\n", 1, 0),
        (b"c\na\n", [["a", []]], b"x\n", b"x\na\n", 1, 0),
        (b"b\na\nd\nc\n", [["a", []], ["d", []]], b"b\nc\nx\n", b"b\na\nd\nc\nx\n", 2, 0),
        (b"b\na\nc\n", [["a", []]], b"b\nc\na\n", b"b\nc\na\n", 0, 0),
        (b"d\na\nb\n", [["a", []], ["d", ["1"]]], b"x\n1\nb\n", b"x\nd\na\nb\n", 2, 0),
        (b"a\nd\nb\n", [["a", []], ["d", ["1"]]], b"b\nx\n1\n", b"b\nx\na\nd\n", 2, 0),
    ],
)
def test_put_back(original, lines, content, result, back, lost):
    assert put_back(content, original, lines) == (result, back, lost)


def test_a_long_file_in_time():
    """As long as a record keeps it, with a change in the middle and at the end."""
    half = b"".join(b"%d\n" % number for number in range(300_000)) + b"a\n" * 100
    original = half + half
    changed = replaced(half, A) + b"theirs\n" + replaced(half, A) + b"theirs\n"
    begun = time.monotonic()
    assert put_back(changed, original, A) == (half + b"theirs\n" + half + b"theirs\n", 200, 0)
    assert time.monotonic() - begun < 30


TEXT = st.sampled_from(["a", "b", "c", " a", "a ", "\u00fc", "# 1", "# 2", "# kubeproxy.ipvs: a"])
LINE = st.one_of(TEXT.map(str.encode), st.sampled_from([b"", b"\xff", b"\r", b"\0"]), st.binary(max_size=3).map(lambda data: data.replace(b"\n", b"")))
CONTENT = st.lists(st.tuples(LINE, st.sampled_from([b"\n", b"\r\n"])), max_size=8).flatmap(
    lambda lines: st.sampled_from([b"".join(text + end for text, end in lines), b"".join(text + end for text, end in lines)[:-1]])
)


@st.composite
def line_sets(draw):
    lines = draw(st.dictionaries(TEXT, st.lists(TEXT.map("# ".__add__), max_size=3).map("\n".join), min_size=1, max_size=4))
    assume(not any(other in lines for text in lines.values() for other in text.split("\n")))
    return lines


def as_kept(lines):
    return [[line, without_ends(text)] for line, text in sorted(lines.items())]


@given(CONTENT, line_sets())
def test_nothing_but_the_lines_changes(content, lines):
    def replacement(found):
        texts, end = without_ends(lines[found[1].decode()]), found[2]
        return (end or b"\n").join(text.encode() for text in texts) + (end if texts else b"")

    names = b"|".join(re.escape(line.encode()) for line in lines)
    changed = replaced(content, as_kept(lines))
    assert changed == re.sub(rb"(?<![^\n])(%b)(\r?\n|\Z)" % names, replacement, content)
    assert replaced(changed, as_kept(lines)) == changed


@given(CONTENT, line_sets())
def test_what_nobody_changed_comes_back(content, lines):
    result, _back, lost = put_back(replaced(content, as_kept(lines)), content, as_kept(lines))
    assert (result, lost) == (content, 0)


@given(CONTENT, line_sets(), st.lists(st.tuples(st.integers(0, 20), st.sampled_from([b"theirs 1", b"theirs 2", b"# 1"])), max_size=3))
def test_what_others_add_stays(content, lines, added):
    """Wherever others add lines: all of theirs are there afterwards, and all of the original."""
    kept = as_kept(lines)
    theirs = replaced(content, kept).split(b"\n")
    for index, line in added:
        theirs.insert(index, line)
    result, _back, _lost = put_back(b"\n".join(theirs), content, kept)
    found = [line.strip(b"\r") for line in result.split(b"\n")]
    for line in {line for _index, line in added if line.startswith(b"theirs")}:
        assert found.count(line) >= sum(line == other for _index, other in added)


@settings(max_examples=60)
@given(CONTENT, line_sets(), line_sets())
def test_apply_apply_restore(content, first, second):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "file")
        with open(path, "wb") as handle:
            handle.write(content)
        os.utime(path, ns=(1_234_567_890_123_456_789, 1_234_567_890_123_456_789))
        before = os.lstat(path)
        for lines in (first, second):
            entries = [{"path": path, "lines": [{"line": line, "replacement": text} for line, text in lines.items()]}]
            expected = replaced(content, as_kept(lines))
            for turn in range(2):
                changes = RecordedChanges(os.path.join(directory, "kept"), "hold")
                changes.apply(entries)
                assert open(path, "rb").read() == expected
                assert not (turn and changes.changed)
            assert os.path.exists(os.path.join(directory, "kept/hold.json")) == (expected != content)
        RecordedChanges(os.path.join(directory, "kept"), "hold").restore()
        after = os.lstat(path)
        assert open(path, "rb").read() == content
        assert (after.st_mode, after.st_uid, after.st_gid, after.st_mtime_ns) == (before.st_mode, before.st_uid, before.st_gid, before.st_mtime_ns)
        assert os.listdir(directory) == ["file"]
