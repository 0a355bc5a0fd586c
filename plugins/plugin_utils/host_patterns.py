# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible's host patterns over the names of a report: those of the inventory, and those of recorded facts, which no inventory knows."""

from __future__ import annotations

import fnmatch
import re

from ansible.inventory.manager import order_patterns, split_host_pattern

# Ansible's own groups, which no pattern means.
_OWN_GROUPS = ("all", "ungrouped")


def check(pattern: str) -> str | None:
    """What is wrong with a pattern, None if nothing is."""
    for term in split_host_pattern(pattern):
        word = term.lstrip("!&")
        if not word.strip():
            return "it is empty"
        if word.startswith("~"):
            try:
                re.compile(word[1:])
            except (re.error, OverflowError, RecursionError) as error:
                # The last two: a number of repetitions, or a depth, that no machine has.
                return f"not a regular expression: {error}"
    return None


def _term(word: str, names: list[str], groups: dict[str, list[str]]) -> set[str]:
    """The names that one term means, without its sign."""
    if word in ("all", "*"):
        return set(names)
    if word.startswith("~"):
        fits = re.compile(word[1:]).search
    else:
        fits = re.compile(fnmatch.translate(word)).match
    of_groups = {host for group, hosts in groups.items() if group not in _OWN_GROUPS and fits(group) for host in hosts}
    return {name for name in names if fits(name) or name in of_groups}


def matching(patterns: list[str], names: list[str], groups: dict[str, list[str]]) -> set[str]:
    """Those of NAMES that one of PATTERNS means.

    A pattern is one of Ansible's: names and groups with *, ? and [], ~ and a regular expression, joined with : or a comma, & for "and also in" and ! for
    "but not in". Subscripts of groups (group[0]) are not known. groups: {group: names of its hosts}, empty where there is no inventory.
    """
    found: set[str] = set()
    for pattern in patterns:
        if pattern in names:
            found.add(pattern)
            continue
        hosts: set[str] = set()
        for term in order_patterns(split_host_pattern(pattern)):
            meant = _term(term.lstrip("!&"), names, groups)
            hosts = hosts - meant if term.startswith("!") else hosts & meant if term.startswith("&") else hosts | meant
        found |= hosts
    return found
