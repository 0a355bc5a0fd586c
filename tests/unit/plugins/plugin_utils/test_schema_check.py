# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A document is checked against a schema whose references have been replaced: that says of each document what the schema itself says."""

from __future__ import annotations

import copy
import random

import example_reports
import jsonschema
import pytest

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import KnowledgeError, check_document, load, load_schema

# What stands in no place of any of these documents.
WRONG = (None, True, -1.5, "no such word", [], {}, [{"a": 1}], {"a": {"b": 1}})


def places(document, path=()):
    """The path of everything in a document."""
    if path:
        yield path
    for key, item in document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ():
        yield from places(item, (*path, key))


def changed(document, path, value):
    """The document with VALUE at PATH."""
    found = copy.deepcopy(document)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return found


def follows(name, document) -> bool:
    """Whether check_document takes it."""
    try:
        check_document(name, document)
    except KnowledgeError:
        return False
    return True


@pytest.mark.parametrize("name", ["report", "kernels", "kube_proxy", "findings"])
def test_the_same_documents_follow_it(name):
    document = example_reports.repair_report() if name == "report" else load(name)
    validator = jsonschema.Draft202012Validator(load_schema(name))
    assert follows(name, document) and validator.is_valid(document)
    rng = random.Random(name)
    taken = 0
    for path in rng.sample(sorted(places(document), key=repr), 60):
        other = changed(document, path, rng.choice(WRONG))
        assert follows(name, other) is validator.is_valid(other), path
        taken += validator.is_valid(other)
    assert taken < 60
