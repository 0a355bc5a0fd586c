# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plain Python values.

Ansible hands filters subclasses of str, dict and list that carry tags; jmespath and YAML know only the plain types.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

MAXIMUM_DEPTH = 40
ATOMS = frozenset((str, int, bool, type(None)))
KEYS = frozenset((str,))


def plain(value, depth: int = 0):
    """A copy of VALUE made of dict, list, str, int, float, bool and None only, as JSON would give it back."""
    # Almost all that comes here is plain already: reports of thousands of nodes hold millions of such values.
    kind = type(value)
    if kind in ATOMS:
        return value
    if depth > MAXIMUM_DEPTH:
        return None
    if kind is dict:
        return {key if type(key) in KEYS else _key(key): plain(item, depth + 1) for key, item in value.items()}
    if kind is list:
        return [plain(item, depth + 1) for item in value]
    return _made_plain(value, depth)


def _made_plain(value, depth: int):
    if isinstance(value, str):
        return "".join([value])
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_key(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def _key(key) -> str:
    if isinstance(key, str):
        return "".join([key])
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    return str(key)
