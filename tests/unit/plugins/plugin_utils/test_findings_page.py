# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/findings.md against the registry: a section for each key, with its severity and sentence, and nothing else."""

from __future__ import annotations

import pathlib
import re

import pytest
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import load

ROWS = load("findings")["findings"]
PAGE = (pathlib.Path(__file__).resolve().parents[4] / "docs" / "findings.md").read_text(encoding="utf-8")
INTRODUCTION, *PARTS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
SECTIONS = {part.partition("\n")[0]: part.partition("\n")[2] for part in PARTS}
PARAGRAPHS = ("**What it means.** ", "**Evidence.** ", "**What to do.** ")


def test_a_section_for_each_key_in_the_order_of_the_registry():
    assert list(SECTIONS) == list(ROWS) and len(PARTS) == len(ROWS)


def test_the_table_leads_to_each_section():
    assert re.findall(r"^\| \[(\w+)\]\(#(\w+)\) \| (\w+) \|$", INTRODUCTION, flags=re.MULTILINE) == [(key, key, row["severity"]) for key, row in ROWS.items()]


@pytest.mark.parametrize("key", ROWS)
def test_a_section(key):
    head, *paragraphs = SECTIONS[key].strip().split("\n\n")
    assert head == f"{ROWS[key]['severity']}: `{ROWS[key]['text']}`"
    assert len(paragraphs) == len(PARAGRAPHS)
    for paragraph, begin in zip(paragraphs, PARAGRAPHS):
        assert paragraph.startswith(begin) and len(paragraph) > len(begin) + 10
