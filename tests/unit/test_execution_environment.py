# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The execution environment's definition, by the real ansible-builder, up to where an engine of containers would begin."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFINITION = ROOT / "execution-environment" / "execution-environment.yml"
BUILDER = os.path.join(os.path.dirname(sys.executable), "ansible-builder")
pytestmark = pytest.mark.skipif(not os.path.exists(BUILDER), reason="ansible-builder is not beside this Python")


@pytest.fixture(name="context", scope="module")
def context_fixture(tmp_path_factory):
    """The build's context, made of the definition and a file that stands for the built collection."""
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    directory = tmp_path_factory.mktemp("build")
    (directory / "execution-environment").mkdir()
    shutil.copy(DEFINITION, directory / "execution-environment")
    (directory / f"{galaxy['namespace']}-{galaxy['name']}-{galaxy['version']}.tar.gz").write_bytes(b"the collection")
    command = [BUILDER, "create", "-f", "execution-environment/execution-environment.yml", "-c", "context", "--output-filename", "Containerfile"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory / "context"


def test_the_context_holds_this_version_of_the_collection(context):
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    wanted = yaml.safe_load((context / "_build" / "requirements.yml").read_text(encoding="utf-8"))["collections"]
    assert [row["name"] for row in wanted] == ["kubernetes.core", f"files/kubeproxy-ipvs-{version}.tar.gz"]
    assert (context / "_build" / wanted[1]["name"]).read_bytes() == b"the collection"


def test_the_base_image_and_its_package_manager_belong_together(context):
    lines = (context / "Containerfile").read_text(encoding="utf-8").splitlines()
    assert 'ARG EE_BASE_IMAGE="docker.io/library/debian:bookworm-slim"' in lines and 'ARG PKGMGR="/usr/bin/apt-get"' in lines
    assert any(line.startswith('ARG ANSIBLE_INSTALL_REFS="ansible-core>=2.19,<2.20') for line in lines)


def test_what_the_collection_needs_is_found_by_introspection(context, tmp_path):
    """As ansible-builder does it in the image: every requirement of the collection, and ssh, is written down for installation."""
    place = tmp_path / "collections" / "ansible_collections" / "kubeproxy" / "ipvs"
    place.mkdir(parents=True)
    for name in ("meta", "requirements.txt", "bindep.txt", "galaxy.yml"):
        (place / name).symlink_to(ROOT / name)
    command = [sys.executable, context / "_build" / "scripts" / "introspect.py", "introspect", tmp_path / "collections",
               "--user-pip", context / "_build" / "requirements.txt", "--write-pip", tmp_path / "pip", "--write-bindep", tmp_path / "bindep"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    python = [line.split("#")[0].split(">=")[0].strip() for line in (tmp_path / "pip").read_text(encoding="utf-8").splitlines()]
    system = [line.split("#")[0].strip() for line in (tmp_path / "bindep").read_text(encoding="utf-8").splitlines()]
    assert sorted(name for name in python if name) == ["jmespath", "jsonschema", "kubernetes", "packaging"]
    assert sorted(line for line in system if line) == ["openssh-client [platform:dpkg]", "openssh-clients [platform:rpm]", "sshpass"]


def test_the_artifact_has_what_introspection_reads():
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["build_ignore"]
    metadata = yaml.safe_load((ROOT / "meta" / "execution-environment.yml").read_text(encoding="utf-8"))["dependencies"]
    for name in metadata.values():
        assert (ROOT / name).is_file() and name not in ignored
