# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/kernels.md, docs/kube-proxy.md, docs/reference and a section of docs/support.md are what `make docs` writes, the first two with every row and source."""

from __future__ import annotations

import importlib
import pathlib
import sys

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import CAPABILITIES, load

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "docs"))
page_parts = importlib.import_module("page_parts")
write = importlib.import_module("write")
PAGES = write.PAGES
KERNELS, KUBE_PROXY = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("kernels.md", "kube-proxy.md"))
KNOWN, VERSIONS = load("kernels"), load("kube_proxy")


@pytest.mark.parametrize("name", [*PAGES, *write.SECTIONS])
def test_the_page_is_what_is_written_now(name):
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == (PAGES | write.SECTIONS)[name](), f"docs/{name} is not what `make docs` writes"


def section(page, title):
    """The lines below a heading, until the next one."""
    before, found, after = page.partition(f"\n### {title}\n")
    assert found, f"no section {title}"
    return after.partition("\n#")[0]


@pytest.mark.parametrize("row", KNOWN["rows"], ids=lambda row: row["key"])
def test_a_line_of_kernels(row):
    lines = section(KERNELS, row["name"])
    assert f"`{row['key']}`" in lines
    assert f"| [{row['name']}](#{page_parts.anchor(row['name'])}) |" in KERNELS
    for pattern in row["match"].values():
        assert pattern in lines
    for capability, entries in row.get("ranges", {}).items():
        found = [line for line in lines.splitlines() if line.startswith(f"| `{capability}` |")]
        assert len(found) == len(entries)
        for entry, line in zip(entries, found):
            assert f"| {entry['state']} |" in line and f"| {entry['confidence']} |" in line
            assert page_parts.linked(KNOWN["sources"][entry["source"]]) in line
            assert all(f"{word} `{entry[word]}`" in line or f"only `{entry[word]}`" in line for word in ("from", "to") if word in entry)


def test_the_names_of_lines_are_headings_of_their_own():
    names = [row["name"] for row in KNOWN["rows"]]
    assert len({page_parts.anchor(name) for name in names}) == len(names)


def test_what_kernel_org_has():
    for capability in CAPABILITIES:
        lines = section(KERNELS, f"`{capability}`")
        assert f"| mainline | yes from {KNOWN['upstream'][capability]['mainline']['from']} |" in lines
        for stable in KNOWN["upstream"][capability]["stable"]:
            assert f"| {stable['branch']}.y | {'never' if 'never' in stable else 'yes from ' + stable['from']} | {stable['confidence']} |" in lines


@pytest.mark.parametrize(("page", "document"), [(KERNELS, KNOWN), (KUBE_PROXY, VERSIONS)], ids=["kernels.md", "kube-proxy.md"])
def test_every_source_is_listed(page, document):
    assert [line for line in page.splitlines() if line.startswith("* `")][-len(document["sources"]) :] == [
        f"* `{key}`: {page_parts.linked(text)}" for key, text in document["sources"].items()
    ]


def cells_of(version):
    """What the table says of the versions that begin with this one, for the four kinds of kernels."""
    line = next(line for line in KUBE_PROXY.splitlines() if line.startswith(f"| {version}"))
    return [cell.strip() for cell in line.split("|")[2:6]]


@pytest.mark.parametrize(
    ("begin", "cells"),
    [
        ("1.8.0 to before 1.11.7", ["leaves it alone"] * 4),
        ("1.12.5 to before 1.19.0-alpha.1", ["**does not start**", "sets 0", "sets 0", "sets 0"]),
        ("1.19.0-alpha.1 to before 1.20.15", ["leaves it alone", "leaves it alone", "sets 0", "sets 0"]),
        ("1.22.0-rc.0 to before 1.40.0", ["leaves it alone", "leaves it alone", "sets 0", "leaves it alone"]),
        ("1.40.0 to before 1.43.0", ["**does not start**"] * 4),
        ("1.43.0 and newer", ["**does not start**"] * 4),
    ],
)
def test_what_a_version_writes(begin, cells):
    assert cells_of(begin) == cells


def test_builds_bugs_removal_and_transitions():
    for build in VERSIONS["vendor_builds"]:
        assert f"| {build['vendor']} | `{build['key']}` |" in KUBE_PROXY
    for bug in VERSIONS["bugs"]:
        line = next(line for line in KUBE_PROXY.splitlines() if line.startswith(f"| `{bug['key']}` |"))
        assert all(f"{span['from'].removesuffix('a0')} to before {span['below']}" in line for span in bug["versions"]) and bug["text"] in line
    for entry in [*VERSIONS["removal"], *VERSIONS["transitions"]]:
        assert f"| {entry['text']} |" in KUBE_PROXY


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("Linux commit f0a5e4d7a594 (2020-07-01)", ["https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/commit/?id=f0a5e4d7a594"]),
        ("announcement of Linux 4.19.140 (2020-08-19)", ["https://cdn.kernel.org/pub/linux/kernel/v4.x/ChangeLog-4.19.140"]),
        ("Tencent/TencentOS-kernel PR 17, merged", ["https://github.com/Tencent/TencentOS-kernel/pull/17"]),
        ("kubernetes/kubernetes PR 90678, 90555", [f"https://github.com/kubernetes/kubernetes/issues/{number}" for number in (90678, 90555)]),
        ("Ubuntu (LP 1892417)", ["https://bugs.launchpad.net/bugs/1892417"]),
        ("a vendor's word, 12345 times", []),
    ],
)
def test_links_of_sources(text, links):
    linked = page_parts.linked(text)
    assert [part.partition(")")[0] for part in linked.split("](")[1:]] == links
