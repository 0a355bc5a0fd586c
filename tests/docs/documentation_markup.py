# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible's markup of documentation, C(...), O(...), M(...) and so on, as Markdown with links between the pages of the reference."""

from __future__ import annotations

import re

from antsibull_docs_parser import dom
from antsibull_docs_parser.parser import Context, parse
from page_parts import code

COLLECTION = "kubeproxy.ipvs."
ANSIBLE = "https://docs.ansible.com/ansible/latest/collections/{}/{}/{}_{}.html"


def page_name(kind: str, name: str) -> str:
    """The file of a plugin or role in docs/reference. kind: its type, as in P(name#type)."""
    return f"{kind}_{name}.md"


def _plugin(full_name: str, kind: str) -> str:
    """A link to a plugin of ours, or to that of another collection."""
    if full_name.startswith(COLLECTION):
        address = page_name(kind, full_name.removeprefix(COLLECTION))
    else:
        address = ANSIBLE.format(*full_name.split(".", 2), kind)
    return f"[{code(full_name)}]({address})"


def _named(part: dom.OptionNamePart | dom.ReturnValuePart) -> str:
    return code(part.name if part.value is None else f"{part.name}={part.value}")


def _part(part: dom.AnyPart) -> str:
    """One part of a paragraph. Raises ValueError for markup that is broken or that this collection does not use."""
    if isinstance(part, dom.TextPart):
        return re.sub(r"([\\*<>\[\]`]|(?<!\w)_|_(?!\w))", r"\\\1", part.text)
    if isinstance(part, dom.CodePart):
        return code(part.text)
    if isinstance(part, dom.OptionValuePart):
        return code(part.value)
    if isinstance(part, (dom.OptionNamePart, dom.ReturnValuePart)):
        return _named(part)
    if isinstance(part, dom.EnvVariablePart):
        return code(part.name)
    if isinstance(part, dom.ModulePart):
        return _plugin(part.fqcn, "module")
    if isinstance(part, dom.PluginPart):
        return _plugin(part.plugin.fqcn, part.plugin.type)
    if isinstance(part, dom.URLPart):
        return f"<{part.url}>"
    if isinstance(part, dom.LinkPart):
        return f"[{part.text}]({part.url})"
    raise ValueError(f"no Markdown for {part}")


def paragraphs(description: str | list[str] | None) -> list[str]:
    """A description, one text or several, as Markdown, each on one line."""
    texts = [description] if isinstance(description, str) else description or []
    return [" ".join("".join(_part(part) for part in found).split()) for found in parse([str(text) for text in texts], Context())]
