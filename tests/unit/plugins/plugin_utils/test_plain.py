# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plain values: what Ansible's tagged values become, whatever they are."""

from __future__ import annotations

import collections
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import MAXIMUM_DEPTH, plain

PLAIN = (str, int, float, bool, type(None), dict, list)


class Text(str):
    """A text as Ansible tags it."""


class Number(int):
    """A number as Ansible tags it."""


class Real(float):
    """Another one."""


def types_in(value):
    yield type(value)
    if isinstance(value, dict):
        for key, item in value.items():
            yield type(key)
            yield from types_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from types_in(item)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.text().map(Text) | st.integers().map(Number),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().map(Text) | st.text(), inner) | st.lists(inner).map(tuple),
    max_leaves=20,
)


@given(VALUES)
def test_the_same_value_of_plain_types(value):
    found = plain(value)
    assert set(types_in(found)) <= set(PLAIN)
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(value)) or "Infinity" in json.dumps(value)


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        ({2: "a", None: "b", True: "c", Text("k"): Text("d"), 1.5: "e"}, {"2": "a", "true": "c", "null": "b", "k": "d", "1.5": "e"}),
        (collections.OrderedDict(a=Number(1), b=Real(0.5)), {"a": 1, "b": 0.5}),
        ([float("nan"), float("inf"), Real("-inf")], [None, None, None]),
        ((1, {2}, frozenset()), [1, [2], []]),
        (b"\xff\x61", "\ufffda"),
        (pytest, str(pytest)),
    ],
)
def test_what_json_does_not_have(given_value, expected):
    assert plain(given_value) == expected


def test_depth_has_a_limit():
    value = "deep"
    for _level in range(MAXIMUM_DEPTH + 2):
        value = [value]
    inner = plain(value)
    for _level in range(MAXIMUM_DEPTH):
        (inner,) = inner
    assert inner == [None]


def test_a_copy():
    value = {"a": [{"b": 1}]}
    found = plain(value)
    found["a"][0]["b"] = 2
    assert value == {"a": [{"b": 1}]}
