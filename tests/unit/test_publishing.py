# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Galaxy and Automation Hub ask for, and that the page for contributors speaks of this tree. What the artifact holds: tests/build/run."""

from __future__ import annotations

import pathlib
import re
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# Automation Hub takes a collection only with one of these (galaxy-importer).
HUB_TAGS = {"application", "cloud", "database", "eda", "infrastructure", "linux", "monitoring", "networking", "security", "storage", "tools", "windows"}


def tracked():
    """The paths of all files in the repository."""
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return done.stdout.split("\n")[:-1]


def test_galaxy():
    assert len(GALAXY["tags"]) <= 20 and len(set(GALAXY["tags"])) == len(GALAXY["tags"])
    assert all(re.fullmatch(r"[a-z0-9]{1,64}", tag) for tag in GALAXY["tags"])
    assert HUB_TAGS & set(GALAXY["tags"])
    assert all(GALAXY[name].startswith("https://") for name in ("repository", "documentation", "homepage", "issues"))
    assert GALAXY["license"] == ["GPL-3.0-or-later"] and len(GALAXY["description"]) <= 500
    assert yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))["requires_ansible"] == ">=2.16.0"


def parts(version):
    return [int(part) for part in version.split(".")]


# Automation Hub's certification looks for these headings: its checklist's template of a README.
SECTIONS = ["Description", "Requirements", "Installation", "Use Cases", "Testing", "Support"]
SECTIONS += ["Release Notes and Roadmap", "Related Information", "License Information"]


@pytest.mark.parametrize("title", SECTIONS)
def test_the_readme_has_what_certification_asks_for(title):
    before, found, after = README.partition(f"\n## {title}\n")
    assert found and f"\n## {title}\n" not in after and before
    assert len(after.partition("\n## ")[0].strip()) > 30


def test_the_readme_leads_from_galaxy_to_the_repository():
    """Galaxy shows it somewhere else, where a link inside the repository leads nowhere."""
    links = re.findall(r"\]\(([^)\s]+)", README)
    assert len(links) > 20
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_the_version_has_been_released():
    """The newest of the changelog is that of galaxy.yml, with a summary and a day; what has no section yet is in fragments."""
    releases = yaml.safe_load((ROOT / "changelogs/changelog.yaml").read_text(encoding="utf-8"))["releases"]
    newest = max(releases, key=parts)
    assert newest == GALAXY["version"]
    assert releases[newest]["changes"]["release_summary"] and re.fullmatch(r"20\d\d-\d\d-\d\d", str(releases[newest]["release_date"]))


def test_one_version_is_told_everywhere():
    """Of the files outside the tests: names of the artifact and of the collection with its version."""
    told = {}
    for name in tracked():
        if not name.startswith(("tests/", "changelogs/", "docs/example_fleet/")) and name.endswith((".md", ".yml", ".yaml", ".py")):
            text = (ROOT / name).read_text(encoding="utf-8")
            versions = set(re.findall(r"kubeproxy-ipvs-(\d+\.\d+\.\d+)", text) + re.findall(r"kubeproxy\.ipvs(?: |:==)(\d+\.\d+\.\d+)", text))
            told.update({name: versions} if versions else {})
    assert len(told) >= 4
    assert {name: versions for name, versions in told.items() if versions != {GALAXY["version"]}} == {}


def test_what_is_new_is_new_in_a_release():
    """version_added of plugins and roles is a version that was released, or one that comes after all of them."""
    folders = [*(ROOT / "plugins").glob("*/*.py"), *(ROOT / "roles").glob("*/meta/argument_specs.yml")]
    added = {version for path in folders for version in re.findall(r"^ *version_added: [\"']?([\d.]+)", path.read_text(encoding="utf-8"), re.MULTILINE)}
    releases = yaml.safe_load((ROOT / "changelogs/changelog.yaml").read_text(encoding="utf-8"))["releases"]
    assert added
    assert sorted(version for version in added - set(releases) if parts(version) < max(map(parts, releases))) == []


def test_contributors_find_every_room():
    folders = {path.split("/")[0] for path in tracked() if "/" in path and not path.startswith(".")} - {"LICENSES", "changelogs", "meta"}
    folders |= {"/".join(path.split("/")[:2]) for path in tracked() if path.startswith(("plugins/", "roles/")) and path.count("/") > 1}
    missing = [folder for folder in sorted(folders) if f"`{folder.removeprefix('plugins/')}/`" not in CONTRIBUTING and f"`{folder}/" not in CONTRIBUTING]
    assert missing == []


def test_contributors_find_every_part():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    parts = re.search(r"parts of make test: +([a-z -]+)", makefile).group(1).split()
    assert len(parts) > 10
    assert [part for part in parts if not re.search(rf"`(?:make )?{part}`", CONTRIBUTING)] == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md", "docs/support.md", "docs/node-problem-detector.md"])
def test_links_lead_somewhere(page):
    path = ROOT / page
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", path.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []
