# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables of the audit that are nearly right: Ansible takes every name, and nothing would ever read them."""

from __future__ import annotations

import difflib
import functools
import pathlib

import yaml

SPECIFICATION = pathlib.Path(__file__).resolve().parents[2] / "roles" / "audit" / "meta" / "argument_specs.yml"
PREFIX = "audit_"
# What stands in no specification: the pattern of the playbook, and what the owner says of one host.
OTHERS = ("audit_hosts", "audit_capabilities")
LIKENESS = 0.8


@functools.cache
def variables() -> tuple[str, ...]:
    """The variables of the audit."""
    options = yaml.safe_load(SPECIFICATION.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    return (*options, *OTHERS)


def misspelt(names) -> dict[str, str]:
    """{name: the variable that is most likely meant} of those of NAMES that are none, but like one."""
    known = variables()
    strangers = sorted(name for name in names if isinstance(name, str) and name.startswith(PREFIX) and name not in known)
    likely = {name: difflib.get_close_matches(name, known, 1, LIKENESS) for name in strangers}
    return {name: found[0] for name, found in likely.items() if found}
