# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Links inside the repository lead somewhere: to a file that is there, and to a heading that is in it."""

from __future__ import annotations

import documented
import pytest

REPOSITORY = "https://github.com/kubeproxy/ansible-collection-ipvs/blob/main/"


def broken(path):
    """The links of a page that lead nowhere in this repository; links to other places are not looked at."""
    found = []
    for link in documented.links(path):
        inside = link.startswith(REPOSITORY)
        if "://" in link and not inside:
            continue
        name, _sign, anchor = link.removeprefix(REPOSITORY).partition("#")
        target = (documented.ROOT / name if inside else path.parent / name) if name else path
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in documented.anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("path", documented.PAGES, ids=lambda path: path.relative_to(documented.ROOT).as_posix())
def test_every_link_leads_somewhere(path):
    assert broken(path) == []


def test_what_is_broken_is_found(tmp_path):
    (tmp_path / "other.md").write_text("# A `b_c`: d?\n\n## Twice\n\n## Twice\n", encoding="utf-8")
    page = tmp_path / "page.md"
    good = ["other.md", "other.md#a-b_c-d", "other.md#twice-1", "#here", "https://example.org/x#y", f"{REPOSITORY}README.md#repair"]
    bad = ["no.md", "other.md#twice-2", "#there", f"{REPOSITORY}docs/no.md", f"{REPOSITORY}README.md#no"]
    page.write_text("# Here\n\n" + "\n".join(f"* [x]({link})" for link in good + bad) + "\n\n`[not a link](no)`\n", encoding="utf-8")
    assert broken(page) == bad


def test_the_index_has_every_page():
    index = documented.links(documented.ROOT / "docs" / "README.md")
    assert {path.name for path in (documented.ROOT / "docs").glob("*.md")} - {"README.md"} <= set(index)
