# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/reference: a page for all that the collection has, with each option, its type and default, and what is returned.

That it is current: test_generated_pages.py.
"""

from __future__ import annotations

import importlib
import pathlib
import sys

import pytest
import yaml

from ansible_collections.kubeproxy.ipvs.plugins.modules import recorded_files

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "docs"))
markup = importlib.import_module("documentation_markup")
pages = importlib.import_module("reference_pages")
REFERENCE = ROOT / "docs" / "reference"


def row(page, name):
    """The cells of the line of a table that begins with this name, as code."""
    line = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_there_is_a_page_for_everything_and_no_other():
    there = {path.name for path in REFERENCE.iterdir()}
    assert there == {"README.md"} | {
        *(f"role_{path.name}.md" for path in (ROOT / "roles").iterdir()),
        *(f"module_{path.stem}.md" for path in (ROOT / "plugins" / "modules").glob("*.py")),
        *(f"{kind}_{path.stem}.md" for kind in ("filter", "inventory", "callback") for path in (ROOT / "plugins" / kind).glob("*.py")),
    }
    index = (REFERENCE / "README.md").read_text(encoding="utf-8")
    assert [name for name in sorted(there - {"README.md"}) if f"]({name})" not in index] == []


@pytest.mark.parametrize("role", ["audit", "conn_reuse_mode", "kube_proxy_mode"])
def test_a_role_has_all_its_options(role):
    page = (REFERENCE / f"role_{role}.md").read_text(encoding="utf-8")
    options = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    assert options
    for name, option in options.items():
        cells = row(page, name)
        assert cells[1].split(" of ")[0] == option["type"]
        assert (cells[2] == "") == ("default" not in option)
        assert all(f"`{choice}`" in cells[3] or f'`"{choice}"`' in cells[3] for choice in option.get("choices", []))


def test_a_module():
    """Nested options and values, defaults, what is required, samples and examples."""
    page = (REFERENCE / "module_recorded_files.md").read_text(encoding="utf-8")
    assert row(page, "name")[1:3] == ["str", "**required**"]
    assert row(page, "files")[1:3] == ["list of dict", ""]
    assert row(page, "files[].mode")[1:3] == ["str", '`"0644"`']
    assert row(page, "files[].lines[].line")[1:3] == ["raw", "**required**"]
    assert "For example `\"net.ipv4.vs.conn_reuse_mode = 1\\n\"`." in row(page, "diff[].after")[3]
    assert recorded_files.EXAMPLES.strip() in page


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("C(a|b), V(x), E(HOME)", "`a|b`, `x`, `HOME`"),
        ("O(file), O(state=present), RV(a.b)", "`file`, `state=present`, `a.b`"),
        ("M(kubeproxy.ipvs.report)", "[`kubeproxy.ipvs.report`](module_report.md)"),
        ("P(kubeproxy.ipvs.audit#role)", "[`kubeproxy.ipvs.audit`](role_audit.md)"),
        ("M(kubernetes.core.k8s)", "[`kubernetes.core.k8s`](https://docs.ansible.com/ansible/latest/collections/kubernetes/core/k8s_module.html)"),
        ("a conn_reuse_mode_ [x](y) <b> *c*", r"a conn_reuse_mode\_ \[x\](y) \<b\> \*c\*"),
    ],
)
def test_markup(text, markdown):
    assert markup.paragraphs(text) == [markdown]


def test_broken_markup_is_an_error():
    with pytest.raises(ValueError, match="Markup error|no Markdown"):
        markup.paragraphs("M(report)")
