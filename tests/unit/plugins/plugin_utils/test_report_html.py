# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as a page: whole in one file, nothing of a node is mark-up, and, where there is Chromium, what its script makes of it."""

from __future__ import annotations

import base64
import copy
import hashlib
import html.parser
import json
import re
import shutil
import subprocess

import pytest
from example_reports import (
    HOSTILE,
    cluster_report,
    compared_report,
    example_report,
    fleet_facts,
    forecast_report,
    hostile_compared_report,
    hostile_report,
    large_report,
    repair_report,
    reports_of_all_kinds,
)
from hypothesis import given
from hypothesis import strategies as st
from nodes import node

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_drift import drift
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_html import html_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_page_data import MAXIMUM_CHANGES, Pool, cleaned, page_data, script_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_page_picture import MAXIMUM_KERNELS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
REPORTS = reports_of_all_kinds()
VOID = ("meta", "br", "input")


class Page(html.parser.HTMLParser):
    """What a page consists of: (tag, attributes) in order, the text of its script and style elements, its other text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.raw, self.words, self.open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        (self.raw if self.open and self.open[-1] in ("script", "style") else self.words).append(data)

    def tags(self):
        return {tag for tag, _attributes in self.elements}


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_the_page_is_whole_and_loads_nothing(report):
    page = Page(html_text(report))
    assert page.open == []
    assert [tag for tag, _attributes in page.elements].count("script") == 2 and [tag for tag, _attributes in page.elements].count("style") == 1
    assert not page.tags() & {"img", "link", "iframe", "object", "embed", "base", "svg", "video", "audio"}
    for _tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "style", "srcset", "action")]
        link = attributes.get("href", "#")
        assert link.startswith(("#", "https://github.com/kubeproxy/ansible-collection-ipvs"))
    identifiers = [attributes["id"] for _tag, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_the_policy_allows_this_script_and_this_style_alone():
    text = html_text(hostile_report())
    policy = next(attributes["content"] for tag, attributes in Page(text).elements if attributes.get("http-equiv") == "Content-Security-Policy")
    style, script = re.search(r"<style>(.*?)</style>", text, re.DOTALL).group(1), re.findall(r"<script>(.*?)</script>", text, re.DOTALL)[-1]

    def allowed(part):
        return "'sha256-" + base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() + "'"

    assert policy == f"default-src 'none'; script-src {allowed(script)}; style-src {allowed(style)}; base-uri 'none'; form-action 'none'"


def test_nothing_of_a_node_is_mark_up():
    hostile, compared = Page(html_text(hostile_compared_report())).tags(), Page(html_text(compared_report())).tags()
    assert hostile <= compared | {"noscript"} and "img" not in hostile
    assert Page(html_text(hostile_report())).tags() <= Page(html_text(example_report(errors=[{"path": "/x", "reason": "y"}]))).tags()
    for text in (html_text(hostile_report()), html_text(hostile_compared_report())):
        assert "\u202e" not in text and "\x1b" not in text and "\x00" not in text
        assert "<!--" not in text and text.count("<script") == 2
        text.encode("utf-8")


@given(st.recursive(st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_data_cannot_end_its_element(value):
    text = script_text(cleaned(value))
    assert text.isascii() and not set("<>&") & set(text)
    assert json.loads(text) == cleaned(value)


def test_the_data_are_all_of_the_nodes():
    report = example_report()
    data, _pool = page_data(report)
    for row, entry in zip(data["nodes"], report["nodes"], strict=True):
        read = dict(zip(data["fields"], row, strict=True))
        assert read["name"] == entry["name"] and data["verdicts"][read["rank"]][0] == entry["verdict"]
        for part in ("moments", "capabilities", "plan"):
            assert data["pool"][read[part]] == cleaned(entry[part])
        assert data["pool"][read["kernel"]] == entry["facts"]["kernel"]


def test_a_pool_holds_each_value_once():
    pool = Pool()
    assert [pool.place(value) for value in ("a", {"x": 1, "y": 2}, None, {"y": 2, "x": 1}, "a")] == [0, 1, None, 1, 0]
    assert pool.values == ["a", {"x": 1, "y": 2}]


def test_five_thousand_nodes_are_a_small_page():
    assert len(html_text(large_report(5000))) < 1_000_000


def picture(text):
    """{(kernel, version): cell} of the picture."""
    table = re.search(r'<table class="matrix">(.*?)</table>', text, re.DOTALL).group(1)
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", table)]
    rows = [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in row] for row in rows]
    return {(row[0], version): cell for row in rows[1:] for version, cell in zip(rows[0][1:], row[1:], strict=True)}


def test_the_picture_says_the_worst_verdict_in_words():
    entries = [node_entry("bad", node("D", "K2", 0)), node_entry("good", node("D", "K2", 1)), node_entry("old", node("B", "K1", 1))]
    worst = {entry["name"]: entry["verdict"] for entry in entries}
    cells = picture(html_text(fleet(entries)))
    assert cells == {
        ("3.10.0-1160.el7.x86_64", "1.18.6 ipvs"): f"{worst['old']} 1 node",
        ("3.10.0-1160.el7.x86_64", "1.20.2 ipvs"): "–",
        ("4.18.0-147.5.1.6.h686.eulerosv2r9.x86_64", "1.18.6 ipvs"): "–",
        ("4.18.0-147.5.1.6.h686.eulerosv2r9.x86_64", "1.20.2 ipvs"): "stale_backends 2 nodes",
    }


def test_a_picture_of_too_many_kernels_keeps_the_worst_and_counts_the_rest():
    entries = [node_entry(f"n{number}", node(f"6.{number}.0", "K3", 1)) for number in range(100)] + [node_entry("bad", node("D", "K2", 0))]
    cells = picture(html_text(fleet(entries)))
    assert cells["4.18.0-147.5.1.6.h686.eulerosv2r9.x86_64", "1.20.2 ipvs"] == "stale_backends 1 node"
    assert cells[f"{101 - MAXIMUM_KERNELS} other kernels", "1.22.3 ipvs"].endswith(f" {101 - MAXIMUM_KERNELS} nodes")
    kernels = list(dict.fromkeys(kernel for kernel, _version in cells))
    assert kernels.index("6.2.0") < kernels.index("6.10.0")


def test_each_group_and_finding_says_why_on_which_evidence_and_what_to_run():
    text = html_text(example_report())
    for part in ("Why", "Evidence", "Source", "What to run"):
        assert text.count(f"<dt>{part}</dt>") >= len(example_report()["findings"])
    assert "ansible-playbook kubeproxy.ipvs.remediate -i INVENTORY -b --limit lab-debian-5.10 --check --diff" in text
    assert "announcement of Linux 4.14.194" in text


def test_a_forecast_and_a_repair_are_shown():
    assert "After <bdi>kube-proxy 1.30.4</bdi>" in html_text(forecast_report())
    text = html_text(repair_report())
    assert "<h1>Remediation of" in text and "1 failed" in text


def sections(text):
    """{identifier: its text} of the page's parts, in their order."""
    parts = re.findall(r'<section aria-labelledby="([a-z-]+)">(.*?)</section>', text, re.DOTALL)
    return {name: " ".join(re.sub(r"<[^>]+>", " ", part).split()) for name, part in parts}


def cells(text, identifier):
    """The rows of the tables in one part of the page."""
    part = re.search(rf'<section aria-labelledby="{identifier}">(.*?)</section>', text, re.DOTALL).group(1)
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", part)]
    return [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in row] for row in rows]


def test_the_page_begins_with_what_has_changed():
    text = html_text(compared_report())
    assert list(sections(text))[:2] == ["changes", "summary"] and "changes" not in sections(html_text(example_report()))
    assert "1 worse, 1 no longer read, 1 gone, 1 new, 1 read again, 1 otherwise changed, 2 better, 32 unchanged ." in sections(text)["changes"]
    rows = cells(text, "changes")
    assert rows[1:5] == [
        ["worse", "1", "uneven_load -&gt; stale_backends", "lab-debian-5.10 (eu)"],
        ["no longer read", "1", "was safe; no route to host", "uk8s-centos7 (eu)"],
        ["gone node", "1", "was stale_backends", "gone"],
        ["new node", "1", "stale_backends", "lab-kylin-v10 (eu)"],
    ]
    # Nodes that the table of nodes does not have cannot be shown.
    part = re.search(r'<section aria-labelledby="changes">(.*?)</section>', text, re.DOTALL).group(1)
    assert part.count("data-show") == len(rows) - 1 - 2


def test_a_change_leads_to_its_nodes():
    report = compared_report()
    data, _pool = page_data(report)
    read = [dict(zip(data["fields"], row, strict=True)) for row in data["nodes"]]
    shown = {}
    for node in read:
        for place in data["pool"][node["happened"]] if node["happened"] is not None else []:
            shown.setdefault(tuple(data["happenings"][place]), []).append(node["name"])
    assert shown["worse", "uneven_load -> stale_backends"] == ["lab-debian-5.10 (eu)"]
    assert shown["os", "Rocky Linux 8.8 (Green Obsidian) -> Rocky Linux 8.9 (Green Obsidian)"] == ["kubespray-rocky8 (eu)"]
    assert {node["name"] for node in read if data["pool"][node["change"]] == "unchanged"} == {
        node["name"] for node in report["nodes"]
    } - {name for names in shown.values() for name in names}


def test_waivers_are_listed_by_their_state():
    text = html_text(compared_report())
    part = sections(text)
    assert "Waived: 1 stale_backends, 2 syn_delay, 1 not read, 10 findings. Expired waivers, which count again: 1." in part["summary"]
    rows = cells(text, "waivers")
    assert ["stale_backends", "1", "2026-12-31", "cce-* of eu", "no reused ports, ticket 4711", "cce-euler29-b (eu)"] in rows
    assert "Expired waivers, which count again: 1" in part["waivers"] and "Waivers that match nothing: 1" in part["waivers"]
    assert ["down", "no route to host", "waived until 2026-12-31: no reused ports, ticket 4711"] in cells(text, "not-read")
    assert "10 nodes (10 waived)" in part["findings"] and "2 nodes , 1 waived" in part["risk"].replace("nodes,", "nodes ,")
    verdicts = {row[0]: row[1:3] for row in cells(text, "summary")}
    assert verdicts["Verdict"] == ["Nodes", "Waived"] and verdicts["syn_delay"] == ["4", "2"] and verdicts["unknown"] == ["2", "0"]
    assert not {"waivers", "merged"} & set(sections(html_text(example_report())))


def test_a_merged_page_says_of_which_reports_it_was_made():
    text = html_text(compared_report())
    assert ["eu", "2026-01-02T03:04:05+00:00", "18", "2", "0"] in cells(text, "merged")
    assert "38 nodes got another name" in sections(text)["merged"] and "Merged from <bdi>" not in text
    assert 'id="filter-report"' in text and 'id="filter-report"' not in html_text(example_report())
    data, _pool = page_data(compared_report())
    read = {row[0]: dict(zip(data["fields"], row, strict=True)) for row in data["nodes"]}
    for report in ("eu", "us"):
        node = read[f"lab-euleros-2.9 ({report})"]
        assert (data["pool"][node["own"]], data["pool"][node["report"]]) == ("lab-euleros-2.9", report)
    # A command takes the name by which the node's own inventory knows it.
    assert "remediate -i INVENTORY -b --limit lab-debian-5.10 --check --diff" in text and "--limit NODE" not in text


def test_a_report_with_a_name_is_called_by_it():
    assert "<h1>Audit of net.ipv4.vs.conn_reuse_mode on <bdi>us</bdi></h1>" in html_text(cluster_report("us", fleet_facts()))


def test_of_very_many_changes_the_first_are_listed():
    before, after = cluster_report("", fleet_facts()), cluster_report("", fleet_facts())
    for number in range(MAXIMUM_CHANGES + 20):
        for report in (before, after):
            entry = copy.deepcopy(report["nodes"][0])
            entry["name"], entry["facts"]["kernel"] = f"n{number}", f"{number}.{'1' if report is before else '2'}"
            report["nodes"].append(entry)
    text = html_text({**after, "drift": drift(before, after)})
    assert len(cells(text, "changes")) == 1 + MAXIMUM_CHANGES and "20 other changes of fewer nodes stand in report.json." in text


@pytest.mark.xdist_group("this machine")
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
class TestInABrowser:
    """The page as Chromium has it once its script has run."""

    @pytest.fixture
    def opened(self, tmp_path):
        def run(report):
            path = tmp_path / "report.html"
            path.write_text(html_text(report), encoding="utf-8")
            command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=20000"]
            command += ["--enable-logging=stderr", "--dump-dom", path.as_uri()]
            done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=300, check=False)
            console = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if "CONSOLE" in line]
            return done.stdout.decode("utf-8"), console

        return run

    @pytest.mark.parametrize("name", ["fleet", "forecast", "repair", "none", "compared"])
    def test_the_table_is_made(self, opened, name):
        text, console = opened(REPORTS[name])
        count = len(REPORTS[name]["nodes"])
        assert 'data-ready="true"' in text and console == []
        assert f">{count} of {count} nodes shown<" in text
        assert len(re.findall(r"<button[^>]* aria-expanded=", text)) == count

    def test_hostile_texts_are_shown_and_do_nothing(self, opened):
        text, console = opened(hostile_report())
        page = Page(text)
        assert console == [] and "<title>Audit of net.ipv4.vs.conn_reuse_mode</title>" in text
        assert f">{len(HOSTILE)} of {len(HOSTILE)} nodes shown<" in text
        assert "img" not in page.tags() and [tag for tag, _attributes in page.elements].count("script") == 2
        assert "<img src=x onerror=\"document.title='owned'\">" in page.words

    def test_what_is_waived_and_where_a_node_is_from_stand_in_the_table(self, opened):
        text, console = opened(compared_report())
        body = re.search(r'<tbody id="nodes-body">(.*)</tbody>', text, re.DOTALL).group(1)
        lines = [" ".join(re.sub(r"<[^>]+>", " ", line).split()) for line in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)]
        assert console == [] and len(lines) == 37
        assert [line for line in lines if line.startswith("cce-euler29-b (eu) eu stale_backends waived stale_backends 0")]
        assert [line for line in lines if line.startswith("cce-euler29-b (us) us stale_backends stale_backends 0")]
        assert [line.split()[0] for line in lines if " worse " in line] == ["lab-debian-5.10"]
        assert re.search(r'<select id="filter-report"><option value="">any</option><option value="eu">eu</option><option value="us">us</option>', text)

    def test_hostile_names_of_reports_and_reasons_do_nothing(self, opened):
        text, console = opened(hostile_compared_report())
        assert console == [] and 'data-ready="true"' in text and "<title>Audit of net.ipv4.vs.conn_reuse_mode</title>" in text
        assert "img" not in Page(text).tags() and [tag for tag, _attributes in Page(text).elements].count("script") == 2

    def test_of_many_nodes_the_first_rows_are_made(self, opened):
        text, console = opened(large_report(5000))
        assert console == [] and ">5,000 of 5,000 nodes shown<" in text
        assert 100 <= len(re.findall(r"<button[^>]* aria-expanded=", text)) <= 400
