# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the reports say about a plan or a finding in general, from findings.yml and actions.yml. Nothing in it comes from a node."""

from __future__ import annotations

import re

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import load

REPOSITORY = "https://github.com/kubeproxy/ansible-collection-ipvs/blob/main/docs"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_FILLED = re.compile(r"\{(\w+)\}")


def _finding(key: str) -> dict:
    return load("findings")["findings"].get(key, {})


def _advice(row: dict) -> tuple[str, str]:
    return row.get("do", ""), row.get("run", "")


def command(template: str, node: str | None = None) -> str:
    """A command with the node's name in its place; NODE stands there if the name would need quoting, or is not given."""
    return template.format(node=node if node and _PLAIN_NAME.fullmatch(node) else "NODE") if template else ""


def sentence(key: str) -> str:
    """What a finding says in general: its sentence in the registry, names in capitals where a node's words stand; empty for an unknown key."""
    text = _finding(key).get("text", "")
    return "" if _FILLED.fullmatch(text) else _FILLED.sub(lambda found: found.group(1).upper(), text)


def why(key: str) -> str:
    """Why a finding matters; empty for an unknown key."""
    return _finding(key).get("why", "")


def advice(key: str) -> tuple[str, str]:
    """(what to do, command template) of a finding; both empty if there is nothing to do."""
    return _advice(_finding(key))


def actions() -> dict[str, tuple[str, str]]:
    """{action of a plan: (what to do, command template)}, the template empty where no command does it."""
    return {action: _advice(row) for action, row in load("actions")["actions"].items()}


def action_advice(action: str) -> tuple[str, str]:
    """(what to do, command template) of a plan's action; both empty for an unknown one."""
    return _advice(load("actions")["actions"].get(action, {}))


def page(key: str) -> str:
    """The page about a finding, below docs/; the list of all of them for a key that is not known."""
    return f"findings/{key}.md" if key in load("findings")["findings"] else "findings.md"
