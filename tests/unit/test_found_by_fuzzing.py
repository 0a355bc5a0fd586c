# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every input that fuzzing (tests/fuzz) has found a fault with is tried again, and a few of what it begins with, changed."""

from __future__ import annotations

import json
import pathlib
import random
import sys

import pytest

FUZZ = pathlib.Path(__file__).resolve().parent.parent / "fuzz"
sys.path.insert(0, str(FUZZ))

import mutations  # noqa: E402
import seeds  # noqa: E402
import targets  # noqa: E402
import written_inputs  # noqa: E402

KEPT = {(path.parent.name, path.name): path.read_bytes() for path in sorted(targets.FOUND.glob("*/*")) if path.suffix != ".txt"}
FOUND = {**KEPT, **written_inputs.WRITTEN}


@pytest.fixture(autouse=True, scope="module")
def _second_report():
    targets.use_example_report()


@pytest.mark.parametrize(("target", "name"), FOUND)
def test_what_was_found_stays_mended(target, name):
    targets.attempt(target, FOUND[target, name])


def test_a_find_of_every_name_belongs_to_a_target():
    assert KEPT and {target for target, _name in FOUND} <= set(targets.TARGETS)


def _bytes_changed(data: bytes, _maximum: int, rng: random.Random) -> bytes:
    changed = bytearray(data or b" ")
    for _time in range(rng.randrange(1, 4)):
        changed[rng.randrange(len(changed))] = rng.choice(b"\0\n\r\t \"'\\:=#-[]{}$/09a\xff")
    return bytes(changed)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_seeds_and_changes_of_them(name):
    """Without guidance by coverage: that every target runs at all, and says what it must of inputs like those that it will meet."""
    form, rng = targets.TARGETS[name][1], random.Random(name)
    given = seeds.of(name)
    for seed in rng.sample(given, min(len(given), 4)):
        data = json.dumps(seed).encode() if form == "json" else seed if isinstance(seed, bytes) else seed.encode("utf-8", "surrogatepass")
        targets.attempt(name, data)
        for _time in range(3):
            if form == "json":
                changed = mutations.changed(data, 100_000, rng.randrange(2**32), lambda part, maximum: _bytes_changed(part, maximum, rng))
            else:
                changed = _bytes_changed(data, len(data), rng)
            targets.attempt(name, changed)


def _breaks(_data):
    raise targets.Broken("a secret is shown")


def _loops(_data):
    while True:
        pass


@pytest.mark.parametrize(("function", "key"), [(_breaks, "broken: a secret is shown"), (_loops, "endless"), (lambda data: data[0] / 0, "ZeroDivisionError")])
def test_a_fault_is_seen(monkeypatch, function, key):
    monkeypatch.setitem(targets.TARGETS, "x", (function, "bytes", ()))
    with pytest.raises(targets.Fault) as caught:
        targets.attempt("x", b"x", 0.02)
    assert caught.value.key.startswith(key)


def test_an_error_by_contract_is_none():
    assert targets.attempt("yaml", b"a: &x b") is None
