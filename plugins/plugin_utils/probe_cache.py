# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file on the controller that keeps what probes have measured, for later runs."""

from __future__ import annotations

import json
import os

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.document_file import DocumentError, load_document
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import KnowledgeError
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.probed import document_of, read_document, worth_keeping
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.replaced_file import make_directory, replace_file

# A row has less than a kilobyte.
MAXIMUM_BYTES = 8 * 1024 * 1024


def load(path: str) -> list[dict]:
    """The rows of a file of probes, none if there is no such file. Raises KnowledgeError that names the file."""
    if not os.path.lexists(path):
        return []
    try:
        return read_document(load_document(path, maximum_bytes=MAXIMUM_BYTES))
    except (DocumentError, KnowledgeError) as error:
        raise KnowledgeError(f"{path}: {error}") from error


def save(path: str, rows: list[dict]) -> None:
    """Add rows to a file of probes, also to what another run has written meanwhile. Raises KnowledgeError that names the file."""
    document = document_of(worth_keeping([*load(path), *rows]))
    try:
        make_directory(os.path.dirname(path) or ".")
        replace_file(path, json.dumps(document, indent=1) + "\n")
    except OSError as error:
        raise KnowledgeError(f"{path}: {error.strerror or error}") from error
