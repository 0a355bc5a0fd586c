# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""works.py WORK INSTALLED: what tests/build/run had the installed collection do is what it should be."""

from __future__ import annotations

import json
import os
import pathlib
import sys

KINDS = ("module", "filter", "inventory", "callback", "role")
# By these names users know it.
EXPECTED = {"ipvs_facts", "safe_conn_reuse_mode", "verdict", "forecast", "fleet", "audit", "nodes", "progress"}
FILES = {"report.json", "report.md", "report.html", "report.csv", "junit.xml", "report.sarif", "metrics.prom"}


def read(path: pathlib.Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def documented(work: pathlib.Path) -> set[str]:
    """Every name that ansible-doc was asked for has a short description."""
    found = set()
    for kind in KINDS:
        shown = read(work / f"{kind}.json")
        for name in (work / f"{kind}.names").read_text(encoding="utf-8").split():
            assert '"short_description"' in json.dumps(shown[name]), f"ansible-doc does not show the {kind} {name}: {shown[name]}"
            found.add(name.removeprefix("kubeproxy.ipvs."))
    return found


def main(work: pathlib.Path, installed: pathlib.Path) -> None:
    names = documented(work)
    assert names >= EXPECTED, f"the installed collection lacks {EXPECTED - names}"
    assert not (installed / "galaxy.yml").exists()
    version = read(installed / "MANIFEST.json")["collection_info"]["version"]

    here, fleet, merged = (read(work / "empty" / name / "report.json") for name in ("ipvs-report", "fleet", "merged"))
    assert [node["name"] for node in here["nodes"]] == ["localhost"], here["nodes"]
    assert os.uname().release in json.dumps(read(work / "empty/ipvs-report/nodes/localhost.json")), "the facts are not this machine's"
    assert here["collection"] == fleet["collection"] == f"kubeproxy.ipvs {version}", here["collection"]

    recorded = {path.stem for path in (installed / "docs/example_fleet").rglob("*.json")}
    assert len(recorded) > 5
    assert {node["name"] for node in fleet["nodes"]} >= recorded, recorded
    assert "stale_backends" in {node["verdict"] for node in fleet["nodes"]}
    missing = FILES - {path.name for path in (work / "empty/fleet").iterdir() if path.stat().st_size > 0}
    assert not missing, f"not written: {missing}"
    # This machine is in both reports, as one node: nothing that is audited has changed between the two.
    twice = [node for report in (here, fleet) for node in report["nodes"] if node["name"] == "localhost"]
    assert sorted(node["name"] for node in merged["nodes"]) == sorted({node["name"] for report in (here, fleet) for node in report["nodes"]}), twice

    # Nothing of it comes from anywhere but the artifact.
    outside = [path for path in (work / "home").rglob("*") if path.is_symlink() and not str(path.resolve()).startswith(str(work))]
    assert not outside, outside
    print(f"built, installed in an empty home and run: {len(names)} documented, {len(recorded)} recorded nodes, this machine is {here['nodes'][0]['verdict']}")


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
