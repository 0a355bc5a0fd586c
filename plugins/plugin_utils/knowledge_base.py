# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Load the knowledge files and an owner's additional kernel rows, and check them against their schema."""

from __future__ import annotations

import functools
import json
import os
import re

import yaml

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain

DIRECTORY = os.path.join(os.path.dirname(__file__), "knowledge")
CAPABILITIES = ("reuse_without_drop", "respects_zero_weight", "flushes_deleted")


class KnowledgeError(ValueError):
    """A row that cannot be used. The text names the row and says what is wrong with it."""


class MissingPackage(KnowledgeError):
    """Nothing can be checked for want of a Python package. The text names it."""


@functools.lru_cache(maxsize=None)
def load(name: str) -> dict:
    """The parsed knowledge file NAME (kernels, kube_proxy, findings). Not to be changed by the caller."""
    with open(os.path.join(DIRECTORY, f"{name}.yml"), encoding="utf-8") as handle:
        return yaml.safe_load(handle)


@functools.lru_cache(maxsize=None)
def load_schema(name: str) -> dict:
    """The JSON schema NAME (kernels, kube_proxy, report)."""
    with open(os.path.join(DIRECTORY, f"{name}.schema.json"), encoding="utf-8") as handle:
        return json.load(handle)


@functools.lru_cache(maxsize=1024)
def expression(pattern: str) -> re.Pattern:
    """A compiled regular expression of a knowledge row."""
    return re.compile(pattern, re.ASCII)


def source_text(document: dict, source: str) -> str:
    """What a row's `source` stands for: an entry of the file's sources, or, in an owner's row, the text itself."""
    return document["sources"].get(source, source)


def _with_definitions(schema, definitions: dict, within: tuple = ()):
    """SCHEMA with each definition in the place that refers to it: to follow references is half of the work of checking a large report.

    within: the definitions that this is a part of. One that is a part of itself stays a reference.
    """
    if isinstance(schema, list):
        return [_with_definitions(item, definitions, within) for item in schema]
    if not isinstance(schema, dict):
        return schema
    name = schema.get("$ref", "").removeprefix("#/$defs/")
    if not name or name in within:
        return {key: _with_definitions(value, definitions, within) for key, value in schema.items() if key != "$defs"}
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    return _with_definitions({**beside, "allOf": [*beside.get("allOf", []), definitions[name]]} if beside else definitions[name], definitions, (*within, name))


@functools.lru_cache(maxsize=None)
def _validator(name: str, part: str | None = None):
    """What checks a document against the schema NAME, or against one of its definitions."""
    try:
        import jsonschema
    except ImportError as error:
        raise MissingPackage("the Python package jsonschema is needed to check documents against their schemas: pip install jsonschema") from error
    schema = load_schema(name)
    definitions = schema.get("$defs", {})
    checked = _with_definitions(definitions[part] if part else schema, definitions)
    return jsonschema.Draft202012Validator({**checked, "$defs": definitions})


def _first_error(instance, name: str, part: str | None = None) -> str | None:
    validator = _validator(name, part)
    from jsonschema.exceptions import best_match

    problem = best_match(validator.iter_errors(instance))
    if problem is None:
        return None
    where = ".".join(str(step) for step in problem.absolute_path)
    return f"{where}: {problem.message}" if where else problem.message


def check_document(name: str, document) -> None:
    """Raise KnowledgeError if DOCUMENT, of plain values, does not follow the schema NAME."""
    problem = _first_error(document, name)
    if problem:
        raise KnowledgeError(f"{name}: {problem}")


def check_part(name: str, part: str, document, what: str) -> None:
    """Raise KnowledgeError, which begins with WHAT, if DOCUMENT does not follow the definition PART of the schema NAME."""
    problem = _first_error(document, name, part)
    if problem:
        raise KnowledgeError(f"{what}: {problem}")


def _states_as_words(row):
    """YAML reads a bare yes or no as a boolean: make the words of it again, as the owner meant them."""
    for ranges in (row.get("ranges") or {}).values() if isinstance(row.get("ranges"), dict) else ():
        for entry in ranges if isinstance(ranges, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("state"), bool):
                entry["state"] = "yes" if entry["state"] else "no"
    return row


def _name_of(row, index: int) -> str:
    key = row.get("key") if isinstance(row, dict) else None
    return f"row {key!r}" if isinstance(key, str) and key else f"row number {index + 1}"


def known_kernels(rows) -> list[dict]:
    """An owner's additional kernel rows, checked. Raises KnowledgeError naming the bad row.

    rows: list of mappings in the form of kernels.yml; None means none.
    """
    if rows is None:
        return []
    rows = plain(rows)
    if not isinstance(rows, list):
        raise KnowledgeError(f"additional kernel rows must be a list, not {type(rows).__name__}")
    checked, keys = [], set()
    for index, row in enumerate(rows):
        name = _name_of(row, index)
        if isinstance(row, dict):
            row = _states_as_words(row)
        check_part("kernels", "row", row, f"additional kernel {name}")
        for place, pattern in list(row["match"].items()) + ([("base", row["base"]["pattern"])] if "base" in row else []):
            try:
                compiled = expression(pattern)
            except re.error as error:
                raise KnowledgeError(f"additional kernel {name}: {place} is not a regular expression: {error}") from error
            if place == "base" and compiled.groups < 1:
                raise KnowledgeError(f"additional kernel {name}: the pattern of base needs a group around the version")
        if any(("from" in entry or "to" in entry) for ranges in row.get("ranges", {}).values() for entry in ranges):
            if not expression(row["match"].get("release", "")).groups:
                raise KnowledgeError(f"additional kernel {name}: ranges with from or to need a group in match.release")
        if row["key"] in keys:
            raise KnowledgeError(f"additional kernel {name}: this key is used twice")
        keys.add(row["key"])
        checked.append(row)
    return checked
