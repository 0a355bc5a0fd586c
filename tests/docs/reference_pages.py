# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/reference: a page for each module, plugin and role, made of its documentation, and a list of them."""

from __future__ import annotations

import ast
import functools
import json
import pathlib
from typing import Any

import yaml
from documentation_markup import page_name, paragraphs
from page_parts import code, table

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What each kind is called by ansible-doc, its folder, and its heading in the list.
KINDS = {
    "role": ("roles", "Roles"),
    "module": ("plugins/modules", "Modules"),
    "filter": ("plugins/filter", "Filters"),
    "inventory": ("plugins/inventory", "Inventory plugin"),
    "callback": ("plugins/callback", "Callback"),
}
TITLES = {"role": "Role", "module": "Module", "filter": "Filter", "inventory": "Inventory plugin", "callback": "Callback"}
OWN = "kubeproxy.ipvs."
MADE = "This page is made of {} by `make docs`."


def _documents(kind: str, name: str) -> dict[str, Any]:
    """doc, return (both parsed) and examples of a module, plugin or role."""
    if kind == "role":
        specification = yaml.safe_load((ROOT / _source(kind, name)).read_text(encoding="utf-8"))["argument_specs"]["main"]
        return {"doc": specification, "return": {}, "examples": ""}
    found = {}
    for node in ast.parse((ROOT / _source(kind, name)).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Constant):
            found[node.targets[0].id] = node.value.value
    doc = yaml.safe_load(found["DOCUMENTATION"])
    _take_fragments_in(doc)
    return {"doc": doc, "return": yaml.safe_load(found.get("RETURN", "")) or {}, "examples": found.get("EXAMPLES", "")}


def _take_fragments_in(doc: dict[str, Any]) -> None:
    """Add what the collection's own fragments say to DOC, as ansible-doc does. Those of others stay named."""
    named = doc.get("extends_documentation_fragment", [])
    named = [named] if isinstance(named, str) else named
    own = [name for name in named if name.startswith(OWN)]
    doc["extends_documentation_fragment"] = [name for name in named if name not in own]
    for name in own:
        module, _dot, part = name.removeprefix(OWN).partition(".")
        tree = ast.parse((ROOT / f"plugins/doc_fragments/{module}.py").read_text(encoding="utf-8"))
        (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
        texts = {node.targets[0].id: node.value.value for node in found.body if isinstance(node, ast.Assign)}
        for section, entries in yaml.safe_load(texts[(part or "DOCUMENTATION").upper()]).items():
            said = doc.setdefault(section, {})
            doc[section] = {**said, **{key: {**value, **said.get(key, {})} for key, value in entries.items()}}


def _source(kind: str, name: str) -> str:
    return f"roles/{name}/meta/argument_specs.yml" if kind == "role" else f"{KINDS[kind][0]}/{name}.py"


def names(kind: str) -> list[str]:
    """All of a kind that the collection has."""
    folder = ROOT / KINDS[kind][0]
    found = (path.name for path in folder.iterdir() if path.is_dir()) if kind == "role" else (path.stem for path in folder.glob("*.py"))
    return sorted(found)


def _value(value: Any) -> str:
    """A default, choice or sample as it is written in YAML: a text that would be something else there in quotation marks."""
    try:
        plain = isinstance(value, str) and value.isprintable() and yaml.safe_load(value) == value
    except yaml.YAMLError:
        plain = False
    return code(value if plain else json.dumps(value, ensure_ascii=False))


def _type(option: dict) -> str:
    kind = option.get("type", "str")
    return f"{kind} of {option['elements']}" if "elements" in option else kind


def _nested(entries: dict, key: str, before: str = "") -> list[tuple[str, dict]]:
    """Options (or values) and those inside them, which stand below KEY, with their full names: `files[].path`."""
    found = []
    for name, entry in entries.items():
        found.append((before + name, entry))
        found += _nested(entry.get(key) or {}, key, f"{before}{name}{'[]' if entry.get('type') == 'list' else ''}.")
    return found


def _options(doc: dict) -> list[str]:
    rows = []
    for name, option in _nested(doc.get("options", {}), "suboptions"):
        texts = paragraphs(option["description"])
        if option.get("choices"):
            texts.append("One of " + ", ".join(_value(choice) for choice in option["choices"]) + ".")
        for variable in option.get("env", []):
            texts.append(f"Environment: {code(variable['name'])}.")
        for setting in option.get("ini", []):
            texts.append(f"ansible.cfg: {code(setting['key'])} in {code('[' + setting['section'] + ']')}.")
        default = _value(option["default"]) if "default" in option else "**required**" if option.get("required") else ""
        rows.append([code(name), _type(option), default, "<br>".join(texts)])
    lines = ["## Options", "", *table(["option", "type", "default", "meaning"], rows)] if rows else []
    fragments = doc.get("extends_documentation_fragment", [])
    if fragments:
        shared = ", ".join(code(name) for name in ([fragments] if isinstance(fragments, str) else fragments))
        lines += [f"And the options that Ansible's own plugins of this kind share: {shared}. `ansible-doc` lists them.", ""]
    return lines


def _attributes(doc: dict) -> list[str]:
    rows = [[code(name), str(entry["support"]), " ".join(paragraphs(entry["description"]))] for name, entry in doc.get("attributes", {}).items()]
    return ["## Attributes", "", *table(["attribute", "support", "meaning"], rows)] if rows else []


def _returned(values: dict) -> list[str]:
    rows = []
    for name, value in _nested(values, "contains"):
        texts = paragraphs(value["description"])
        if "sample" in value:
            texts.append(f"For example {_value(value['sample'])}.")
        rows.append([code(name), _type(value), str(value.get("returned", "always")), "<br>".join(texts)])
    return ["## Returned values", "", *table(["value", "type", "returned", "meaning"], rows)] if rows else []


def _listed(title: str, texts: list[str] | None) -> list[str]:
    return [f"## {title}", "", *[f"* {text}" for text in paragraphs(texts)], ""] if texts else []


def page(kind: str, name: str) -> str:
    """The page of one module, plugin or role."""
    documents = _documents(kind, name)
    doc = documents["doc"]
    summary = f"**{paragraphs(doc['short_description'])[0]}.** Since version {doc['version_added']}."
    lines = [f"# {TITLES[kind]} {code('kubeproxy.ipvs.' + name)}", "", summary, ""]
    for text in paragraphs(doc["description"]):
        lines += [text, ""]
    lines += _listed("Requirements", doc.get("requirements"))
    lines += _options(doc) + _attributes(doc) + _listed("Notes", doc.get("notes"))
    if documents["examples"].strip():
        lines += ["## Examples", "", "```yaml", documents["examples"].strip(), "```", ""]
    lines += _returned(documents["return"])
    if kind == "role":
        lines += [f"How it is used: [README](../../roles/{name}/README.md).", ""]
    source = _source(kind, name)
    return "\n".join([*lines, MADE.format(f"[{source}](../../{source})")]) + "\n"


def index() -> str:
    """docs/reference/README.md."""
    what = "Every role, module and plugin, with its options, what it returns, and examples. On a terminal: `ansible-doc -l kubeproxy.ipvs`."
    lines = ["# Reference", "", what, ""]
    for kind, (_folder, title) in KINDS.items():
        rows = [[f"[{code(name)}]({page_name(kind, name)})", paragraphs(_documents(kind, name)["doc"]["short_description"])[0]] for name in names(kind)]
        lines += [f"## {title}", "", *table(["name", "what it does"], rows)]
    lines += ["The actions `report` and `kernels_to_probe` run on the controller; their documentation is that of the modules of the same name.", ""]
    return "\n".join([*lines, MADE.format("the documentation in the source")]) + "\n"


PAGES = {
    "reference/README.md": index,
    **{f"reference/{page_name(kind, name)}": functools.partial(page, kind, name) for kind in KINDS for name in names(kind)},
}
