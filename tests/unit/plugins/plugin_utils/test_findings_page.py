# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/findings.md and its pages against the registry: a page for each key, with its severity and sentence, and nothing else."""

from __future__ import annotations

import pathlib
import re

import pytest
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import load

ROWS = load("findings")["findings"]
DOCS = pathlib.Path(__file__).resolve().parents[4] / "docs"
PARAGRAPHS = ("**What it means.** ", "**Evidence.** ", "**What to do.** ")


def test_a_page_for_each_key():
    assert sorted(path.stem for path in (DOCS / "findings").iterdir()) == sorted(ROWS)


def test_the_table_leads_to_each_page_in_the_order_of_the_registry():
    table = re.findall(r"^\| \[(\w+)\]\(findings/(\w+)\.md\) \| (\w+) \|$", (DOCS / "findings.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert table == [(key, key, row["severity"]) for key, row in ROWS.items()]


@pytest.mark.parametrize("key", ROWS)
def test_a_page(key):
    title, head, *paragraphs, end = (DOCS / "findings" / f"{key}.md").read_text(encoding="utf-8").strip().split("\n\n")
    assert (title, head) == (f"# {key}", f"{ROWS[key]['severity']}: `{ROWS[key]['text']}`")
    assert end == "All [findings](../findings.md)."
    assert len(paragraphs) == len(PARAGRAPHS)
    for paragraph, begin in zip(paragraphs, PARAGRAPHS):
        assert paragraph.startswith(begin) and len(paragraph) > len(begin) + 10
