# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The owner's word: what an operator sets against, or in addition to, the shipped knowledge."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import CAPABILITIES, KnowledgeError, known_kernels
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.probed import merged, read_rows

KEYS = ("capabilities", "known_kernels", "accept_inferred", "probes")
STATES = {True: "yes", False: "no", "yes": "yes", "no": "no", "unknown": "unknown"}


@dataclass(frozen=True)
class Policy:
    """capabilities: {name: yes|no|unknown}; known_kernels: rows like those of kernels.yml, asked first;
    accept_inferred: whether a "yes" that is only inferred counts; probes: what was measured of kernels, {probed.Kernel: row}."""

    capabilities: dict = field(default_factory=dict)
    known_kernels: list = field(default_factory=list)
    accept_inferred: bool = False
    probes: dict = field(default_factory=dict)


def _capabilities(value) -> dict:
    value = value or {}
    if not isinstance(value, dict):
        raise KnowledgeError("capabilities must be a mapping")
    words = {}
    for name, state in value.items():
        if name not in CAPABILITIES:
            raise KnowledgeError(f"unknown capability {name!r}; known are {', '.join(CAPABILITIES)}")
        if not isinstance(state, (bool, str)) or state not in STATES:
            raise KnowledgeError(f"capability {name}: {state!r} is not one of true, false, unknown")
        words[name] = STATES[state]
    return words


def policy_of_node(policy: Policy, capabilities) -> Policy:
    """POLICY with what the owner says of one node's kernel. Raises KnowledgeError naming what is wrong with that."""
    return replace(policy, capabilities=_capabilities(plain(capabilities)))


def read_policy(value) -> Policy:
    """VALUE (a mapping with some of KEYS, or None) as a Policy. Raises KnowledgeError naming what is wrong."""
    if isinstance(value, Policy):
        return value
    value = plain(value) if value is not None else {}
    if not isinstance(value, dict):
        raise KnowledgeError(f"a policy must be a mapping, not {type(value).__name__}")
    unknown = sorted(set(value) - set(KEYS))
    if unknown:
        raise KnowledgeError(f"unknown policy key {unknown[0]!r}; known are {', '.join(KEYS)}")
    words = _capabilities(value.get("capabilities"))
    accept = value.get("accept_inferred", False)
    if not isinstance(accept, bool):
        raise KnowledgeError("accept_inferred must be true or false")
    return Policy(words, known_kernels(value.get("known_kernels")), accept, merged(read_rows(value.get("probes"))))
