# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looking at a kernel value again and again."""

from __future__ import annotations

import time

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.value_watch import MAXIMUM_CHANGES, Samples, ValueWatch, read_value


@pytest.mark.parametrize(("text", "value"), [("1\n", 1), ("0", 0), ("-1\n", -1), ("", None), ("1 2\n", None), ("yes\n", None), ("9" * 19, None)])
def test_one_look(tmp_path, text, value):
    (tmp_path / "value").write_text(text)
    assert read_value(str(tmp_path / "value")) == value


def test_a_value_that_is_not_there(tmp_path):
    assert read_value(str(tmp_path / "value")) is None
    assert read_value(str(tmp_path)) is None


def samples(wanted, *seen):
    found = Samples(wanted)
    for moment, value in seen:
        found.add(moment, value)
    return found


def test_what_was_seen():
    found = samples(1, (10.0, 1), (10.1, 1), (10.2, 0), (10.3, 0), (10.5, 1), (10.6, None), (11.0, 1), (11.1, 1))
    assert found.result() == {
        "at_end": 1,
        "changes": [
            {"after_seconds": 0.2, "value": 0},
            {"after_seconds": 0.5, "value": 1},
            {"after_seconds": 0.6, "value": None},
            {"after_seconds": 1.0, "value": 1},
        ],
        "wrong_seconds": 0.7,
    }
    assert found.last_wrong == 10.6


def test_nothing_asked():
    found = samples(None, (10.0, 1), (10.1, 0))
    assert found.result() == {"at_end": 0, "changes": [{"after_seconds": 0.1, "value": 0}], "wrong_seconds": None}
    assert found.last_wrong is None


def test_wrong_from_the_beginning():
    found = samples(1, (10.0, 0), (12.0, 0))
    assert found.result() == {"at_end": 0, "changes": [], "wrong_seconds": 2.0}
    assert found.last_wrong == 12.0


def test_many_changes():
    found = samples(1, *((number, number % 2) for number in range(1000)))
    assert len(found.changes) == MAXIMUM_CHANGES
    # What counts goes on counting.
    assert (found.value, found.wrong_seconds) == (1, 500)


def test_it_looks_while_others_work(tmp_path):
    path = tmp_path / "value"
    path.write_text("1\n")
    watch = ValueWatch(str(path), 1, 0.01)
    began = watch.start()
    path.unlink()
    deadline = time.monotonic() + 60
    while watch.samples.value is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    (tmp_path / "new").write_text("1\n")
    (tmp_path / "new").replace(path)
    # The last look is one after this.
    watch.stop()
    assert [change["value"] for change in watch.samples.changes] == [None, 1]
    assert watch.samples.wrong_seconds > 0
    assert watch.samples.last_wrong >= began
    watch.stop()
