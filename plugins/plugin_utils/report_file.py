# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""report.json of an earlier run, read again: to be merged with others, or to be compared with."""

from __future__ import annotations

import os

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.document_file import DocumentError, load_document
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import SCHEMA
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import KnowledgeError, MissingPackage, check_document
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_parts import clean

NAME = "report.json"


class ReportError(ValueError):
    """Files of reports that cannot be used. The text names each of them and says why."""


def own_name(entry: dict) -> str:
    """The name that a node has in its own report."""
    return str(entry.get("name_in_report", entry.get("name")))


def find(paths: list[str]) -> list[str]:
    """The report files that PATHS name, each once, in order of their names.

    A file is taken as it is. Of a directory it is its report.json, or, if it has none, report.json of every directory in it.
    Raises ReportError that names the directories in which there is none.
    """
    found, empty = set(), []
    for path in paths:
        if not os.path.isdir(path):
            found.add(os.path.normpath(path))
            continue
        own = os.path.join(path, NAME)
        inside = [own] if os.path.isfile(own) else [os.path.join(path, name, NAME) for name in os.listdir(path)]
        inside = [os.path.normpath(file) for file in inside if os.path.isfile(file)]
        found.update(inside)
        if not inside:
            empty.append(f"{clean(path)}: no {NAME} in this directory or in those in it")
    if empty:
        raise ReportError("; ".join(sorted(empty)))
    return sorted(found)


def check(document) -> dict:
    """DOCUMENT as a report. Raises ReportError with the reason if it is none, or one of another version."""
    document = plain(document)
    if not isinstance(document, dict):
        raise ReportError(f"not a report but a {type(document).__name__}")
    if "schema" not in document or "summary" not in document:
        raise ReportError("not a report: neither schema nor summary in it" if "schema" not in document else "not a report: no summary in it")
    if document["schema"] != SCHEMA or isinstance(document["schema"], bool):
        raise ReportError(f"a report of version {clean(document['schema'], 20)}, this collection reads version {SCHEMA}")
    try:
        check_document("report", document)
    except MissingPackage as error:
        raise ReportError(str(error)) from error
    except KnowledgeError as error:
        raise ReportError(f"not a report: {clean(str(error).removeprefix('report: '))}") from error
    return mapping(document)


def load(path: str) -> dict:
    """The report in the file PATH. Raises ReportError that names the file and says why it cannot be used."""
    try:
        return check(load_document(path))
    except (DocumentError, ReportError) as error:
        raise ReportError(f"{clean(path)}: {clean(error)}") from error


def load_all(paths: list[str]) -> list[dict]:
    """The reports in the files and directories PATHS. Raises ReportError that names every file that cannot be used."""
    reports, wrong = [], []
    for path in find(paths):
        try:
            reports.append(load(path))
        except ReportError as error:
            wrong.append(str(error))
    if wrong:
        raise ReportError("; ".join(wrong))
    if not reports:
        raise ReportError("no report is named")
    return reports
