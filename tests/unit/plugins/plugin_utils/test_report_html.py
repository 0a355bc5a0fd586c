# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as a page: whole in one file, nothing of a node is mark-up, and, where there is Chromium, what its script makes of it."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re
import shutil
import subprocess

import pytest
from example_reports import HOSTILE, example_report, forecast_report, hostile_report, large_report, repair_report
from hypothesis import given
from hypothesis import strategies as st
from nodes import node

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_html import MAXIMUM_KERNELS, html_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_page_data import Pool, cleaned, page_data, script_text

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
REPORTS = {"fleet": example_report(), "forecast": forecast_report(), "repair": repair_report(), "hostile": hostile_report(), "none": fleet([])}
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
    assert Page(html_text(hostile_report())).tags() <= Page(html_text(example_report(errors=[{"path": "/x", "reason": "y"}]))).tags()
    text = html_text(hostile_report())
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

    @pytest.mark.parametrize("name", ["fleet", "forecast", "repair", "none"])
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

    def test_of_many_nodes_the_first_rows_are_made(self, opened):
        text, console = opened(large_report(5000))
        assert console == [] and ">5,000 of 5,000 nodes shown<" in text
        assert 100 <= len(re.findall(r"<button[^>]* aria-expanded=", text)) <= 400
