# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes of JSON documents that leave them JSON: bytes that are changed at random seldom get past its parser."""

from __future__ import annotations

import json
import random

# Values of every type, and texts that programs stumble over.
VALUES = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    2**31,
    2**63,
    10**400,
    0.5,
    -0.0,
    1e308,
    float("inf"),
    float("nan"),
    "",
    " ",
    "0",
    "1",
    "-1",
    "yes",
    "\0",
    "\n",
    "\ud800",
    "\udcff",
    "٣",
    "²",
    "1_0",
    "a" * 5000,
    "9" * 5000,
    "(" * 3000,
    "<script>alert(1)</script>",
    "=1+1",
    "\x1b[31m",
    "{{ 1 }}",
    "%s",
    "{0}",
    "../../x",
    "/dev/null",
    "-> /",
    "[",
    "~(",
    "5.10.0-30-amd64",
    "1.28.5+k3s1",
    "ipvs",
    "iptables",
    "2027-01-31",
    [],
    {},
    [[]],
    [{}],
    {"": None},
    {"a": {"a": {"a": {}}}},
]


def _places(document, found=None, depth=0) -> list:
    """(container, key) of every value in a document."""
    found = [] if found is None else found
    keys = list(document) if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in keys:
        found.append((document, key))
        if depth < 60:
            _places(document[key], found, depth + 1)
    return found


def _changed_text(text: str, rng: random.Random, mutate) -> str:
    if rng.random() < 0.7:
        new = mutate(text.encode("utf-8", "surrogateescape" if text.isprintable() else "replace") or b" ", len(text) + 64)
        return new.decode("utf-8", "surrogateescape")
    position = rng.randrange(len(text) + 1)
    return rng.choice(
        [
            text[:position],
            text[position:],
            text * 2,
            text[:position] + rng.choice(["\n", " ", "\0", '"', "'", "\\", "=", ":", "$", "#", "٣"]) + text[position:],
            "\n".join(rng.sample(lines := text.split("\n"), len(lines))),
            text + "\n" + text,
        ]
    )


def _change(document, rng: random.Random, mutate):
    places = _places(document)
    if not places:
        return rng.choice(VALUES)
    container, key = rng.choice(places)
    deed = rng.random()
    if deed < 0.45 and isinstance(container[key], str):
        container[key] = _changed_text(container[key], rng, mutate)
    elif deed < 0.65:
        container[key] = json.loads(json.dumps(rng.choice(VALUES)))
    elif deed < 0.75:
        del container[key]
    elif deed < 0.85:
        other, place = rng.choice(places)
        container[key] = json.loads(json.dumps(other[place]))
    elif deed < 0.92 and isinstance(container, list):
        container.insert(rng.randrange(len(container) + 1), json.loads(json.dumps(container[key])))
    elif isinstance(container, dict):
        container[rng.choice(["", "\0", "\ud800", "__proto__", "name", "mode", str(key) + "x", "=1"])] = container.get(key)
    elif isinstance(container[key], (int, float)) and not isinstance(container[key], bool):
        container[key] = container[key] * rng.choice([-1, 2, 1000, 0.5])
    return document


def changed(data: bytes, maximum: int, seed: int, mutate) -> bytes:
    """DATA, JSON, with some of its values changed. mutate: function of bytes and a length that changes bytes."""
    rng = random.Random(seed)
    try:
        document = json.loads(data)
        for _time in range(rng.choice([1, 1, 1, 2, 4])):
            document = _change(document, rng, mutate)
        new = json.dumps(document).encode()
    except (ValueError, RecursionError, OverflowError):
        return mutate(data, maximum)
    return new if len(new) <= maximum else data
