# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report's files: which there are, and what makes each of the one report structure."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.replaced_file import replace_file
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_csv import csv_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_html import html_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_junit import junit_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_metrics import metrics_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_sarif import sarif_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_text import markdown


class FormatError(ValueError):
    """A list of formats that cannot be used. The text names what is wrong with it."""


@dataclass(frozen=True)
class Format:
    """file: its name in the report's directory; make: its text from the report; mark: text near its begin by which a former one is known as ours."""

    file: str
    make: Callable[[dict], str]
    mark: str


def _json_text(report: dict) -> str:
    return json.dumps(report, indent=1) + "\n"


# report.json is written last: later runs go by it, and whoever finds it finds the other files of the same run.
FORMATS = {
    "md": Format("report.md", markdown, "of net.ipv4.vs.conn"),
    "html": Format("report.html", html_text, "kubeproxy.ipvs"),
    "csv": Format("report.csv", csv_text, '"node","verdict","verdict_now"'),
    "junit": Format("junit.xml", junit_text, '<testsuites name="kubeproxy.ipvs"'),
    "sarif": Format("report.sarif", sarif_text, '"name": "kubeproxy.ipvs"'),
    "prom": Format("metrics.prom", metrics_text, "# HELP kubeproxy_ipvs_"),
    "json": Format("report.json", _json_text, ""),
}
DEFAULT = ("json", "md")
_BEGIN = 2000


def check_formats(names: Sequence[str]) -> None:
    """Raise FormatError if NAMES has one that is not in FORMATS."""
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise FormatError(f"audit_report_formats: {unknown[0]!r} is not one of {', '.join(sorted(FORMATS))}")


def _is_ours(path: str, mark: str) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return mark in handle.read(_BEGIN)
    except OSError:
        return False


def write_files(report: dict, directory: str, names: Sequence[str]) -> list[str]:
    """Write the files of the formats NAMES, and always report.json, into DIRECTORY; the names of the files. Raises OSError.

    A file of another format that an earlier run left there would tell of that run: it is taken away. One that is not known as ours stays.
    """
    chosen = {name: entry for name, entry in FORMATS.items() if name in names or name == "json"}
    for name, entry in FORMATS.items():
        path = os.path.join(directory, entry.file)
        if name in chosen:
            replace_file(path, entry.make(report))
        elif _is_ours(path, entry.mark):
            os.unlink(path)
    return [entry.file for entry in chosen.values()]


def others(files: list[str]) -> str:
    """The files but the first, as they follow it in a sentence."""
    return "".join(f"{' and ' if name == files[-1] else ', '}{name}" for name in files[1:])
