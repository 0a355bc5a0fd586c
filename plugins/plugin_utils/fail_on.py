# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run of the audit may be failed on, and views of its report: verdicts and findings by name, or JMESPath expressions."""

from __future__ import annotations

import functools
import re

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import load, load_schema
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plan import ACTIONS
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import VERDICTS

UNREACHABLE = "unreachable"
WORDS = (*VERDICTS, UNREACHABLE)
EXAMPLE_NAMES = 5
# What an expression compares with, and nothing in a report is called.
_VALUES = frozenset((*VERDICTS, *ACTIONS))
# Kinds of expressions whose parts but the first are about the outcome of the first.
_NARROWING = frozenset(("subexpression", "index_expression", "projection", "filter_projection", "value_projection", "flatten", "pipe"))
_BARE_WORDS = re.compile(r"[\w\s,-]+")


class QueryError(ValueError):
    """An expression or a list of words that cannot be used. The text names it."""


@functools.cache
def finding_keys() -> frozenset[str]:
    """The keys of all findings."""
    return frozenset(load("findings")["findings"])


def is_word(word) -> bool:
    """Whether audit_fail_on knows this word."""
    return isinstance(word, str) and (word in WORDS or word in finding_keys())


def compile_query(query: str):
    """A parsed JMESPath expression. Raises QueryError naming it."""
    try:
        import jmespath
    except ImportError as error:
        raise QueryError("the Python package jmespath is needed for expressions over the report: pip install jmespath") from error
    try:
        compiled = jmespath.compile(query)
        bare, fields = _bare_value(compiled.parsed), fields_of_report(compiled.parsed)
    except RecursionError as error:
        raise QueryError(f"{query[:60]!r}… is nested too deeply") from error
    except jmespath.exceptions.JMESPathError as error:
        raise QueryError(f"{query!r} is not a JMESPath expression: {' '.join(str(error).split())}") from error
    if bare:
        raise QueryError(f"{query!r} compares with {bare} as a field, which no report has: a word to compare with stands between backquotes, `{bare}`")
    unknown = sorted(fields - set(load_schema("report")["properties"]))
    if unknown:
        raise QueryError(f"{query!r} asks for {unknown[0]}, which no report has; what it has is {', '.join(load_schema('report')['properties'])}")
    return compiled


def fields_of_report(node: dict) -> set[str]:
    """The fields of the report itself, not of what is in it, that an expression names in its syntax tree."""
    kind, children = node["type"], [child for child in node.get("children", []) if isinstance(child, dict)]
    if kind == "field":
        return {node["value"]}
    if kind == "expref":
        return set()
    if kind in _NARROWING:
        # What stands behind the first part is asked of its outcome, which is the report again where that part is the sign for it.
        children = children[:2] if children and children[0]["type"] in ("current", "identity") and kind == "subexpression" else children[:1]
    return set().union(*map(fields_of_report, children))


def _bare_value(node: dict) -> str | None:
    """A word that is compared with as if it were a field, in the syntax tree of an expression: its backquotes were lost in a shell."""
    if node["type"] == "comparator" and node["value"] in ("eq", "ne"):
        for child in node["children"]:
            if child["type"] == "field" and child["value"] in _VALUES:
                return child["value"]
    return next(filter(None, (_bare_value(child) for child in node.get("children", []) if isinstance(child, dict))), None)


def evaluate(query: str, report: dict):
    """What a JMESPath expression gives on the report."""
    compiled = compile_query(query)
    import jmespath

    try:
        return compiled.search(plain(report))
    except (jmespath.exceptions.JMESPathError, ArithmeticError, RecursionError, TypeError, ValueError) as error:
        # Its functions let through what Python makes of floor(`NaN`), merge(`1`) and nodes[::0].
        raise QueryError(f"{query!r} cannot be evaluated: {' '.join(str(error).split())}") from error


def check_fail_on(fail_on) -> list[str] | str | None:
    """FAIL_ON as a list of words, an expression, or None. Words may also come as one text with commas. Raises QueryError."""
    fail_on = plain(fail_on)
    if not fail_on:
        return None
    if isinstance(fail_on, str):
        words = [word.strip() for word in fail_on.split(",")]
        if not all(map(is_word, words)) and not _is_list_of_words(fail_on):
            compile_query(fail_on)
            return fail_on
        fail_on = words
    if not isinstance(fail_on, list):
        raise QueryError(f"audit_fail_on must be a list of verdicts or an expression, not {type(fail_on).__name__}")
    for word in fail_on:
        if word == "":
            raise QueryError("audit_fail_on: behind a comma stands nothing; on a command line no blank follows a comma")
        if not is_word(word):
            raise QueryError(f"audit_fail_on: {str(word)[:60]!r} is not one of {', '.join(WORDS)}, and no finding's key")
    return fail_on


def _is_list_of_words(text: str) -> bool:
    """Whether a text that is no known word is meant as words: it has nothing of an expression, and is no part of a report by itself."""
    return bool(_BARE_WORDS.fullmatch(text)) and text.strip() not in load_schema("report")["properties"]


def _named(names: list[str]) -> str:
    more = len(names) - EXAMPLE_NAMES
    return ", ".join(names[:EXAMPLE_NAMES]) + (f" and {more} more" if more > 0 else "")


def _word_matches(word: str, report: dict) -> list[str]:
    """What of the report a word is about. What the owner has waived is not."""
    if word == UNREACHABLE:
        missing = [str(entry["name"]) for entry in report["unreachable"] if "waived" not in entry]
        return [f"{len(missing)} unreachable: {_named(missing)}"] if missing else []
    if word in finding_keys():
        found = [node["name"] for node in report["nodes"] if any(entry["key"] == word and "waived" not in entry for entry in node["findings"])]
        return [f"{len(found)} with {word}: {_named(found)}"] if found else []
    now = [node["name"] for node in report["nodes"] if node["verdict"] == word and "waived" not in node]
    forecasts = [(node, mapping(node.get("forecast"))) for node in report["nodes"] if node["verdict"] != word]
    later = [node["name"] for node, planned in forecasts if planned.get("verdict") == word and "waived" not in planned]
    found = [(now, ""), (later, " after the planned change")]
    return [f"{len(names)} {word}{when}: {_named(names)}" for names, when in found if names]


def failure(fail_on, report: dict) -> str | None:
    """One sentence that says what of FAIL_ON matched, or None if nothing did."""
    checked = check_fail_on(fail_on)
    if checked is None:
        return None
    if isinstance(checked, str):
        result = evaluate(checked, report)
        # As JMESPath itself sees truth: false, null and whatever is empty are false, 0 is not.
        if result is None or result is False or result in ("", [], {}):
            return None
        names = [entry["name"] for entry in result if isinstance(entry, dict) and "name" in entry] if isinstance(result, list) else []
        shown = _named(names) if names and len(names) == len(result) else str(result)
        return f"audit_fail_on matched: {checked} gives {shown if len(shown) <= 300 else shown[:299] + '…'}"
    matches = [match for word in checked for match in _word_matches(word, report)]
    return f"audit_fail_on matched: {'; '.join(matches)}" if matches else None
