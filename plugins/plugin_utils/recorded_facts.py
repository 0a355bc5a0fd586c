# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recorded facts: files that hold what ipvs_facts returned on some node, some time."""

from __future__ import annotations

import os
import urllib.parse

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.document_file import DocumentError, load_document
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import FactsError, check, mapping, text

# A node's facts are some tens of kilobytes.
MAXIMUM_BYTES = 8 * 1024 * 1024
MAXIMUM_NAME = 200


def file_name(node: str) -> str:
    """A file name for a node, whatever its name is made of."""
    # A name from JSON may hold half a surrogate pair.
    quoted = urllib.parse.quote(node, safe="", errors="surrogatepass")
    return f"{quoted[:MAXIMUM_NAME]}.json"


def find(paths: list[str]) -> list[str]:
    """The files that PATHS name: files as they are, of directories all that end in .json, in order of their names."""
    found = []
    for path in paths:
        if os.path.isdir(path):
            found += [os.path.join(path, name) for name in sorted(os.listdir(path)) if name.endswith(".json")]
        else:
            found.append(path)
    return found


def load(path: str) -> tuple[str, str, dict]:
    """(name, origin, facts) of a file. Raises FactsError with the reason, without the path.

    The file is a JSON mapping with the facts below ansible_facts.ipvs, ipvs, or at its top, and optionally name and origin.
    """
    try:
        document = load_document(path, maximum_bytes=MAXIMUM_BYTES)
    except DocumentError as error:
        raise FactsError(str(error)) from error
    facts = check(document)
    stem = os.path.splitext(os.path.basename(path))[0]
    return text(mapping(document).get("name")) or urllib.parse.unquote(stem), text(mapping(document).get("origin")) or path, facts
