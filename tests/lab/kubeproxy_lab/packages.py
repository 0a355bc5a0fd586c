# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian's packages, from the mirror that this machine's own apt uses, with Debian's signatures checked by apt.

apt is given folders of its own for everything that it writes: this machine's lists, cache and settings stay as they are.
"""

from __future__ import annotations

import functools
import os
import pathlib

from kubeproxy_lab.namespaces import private
from kubeproxy_lab.storage import CACHE, LabError, Missing, remove, run

KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# What everything but the old prebuilt kernel and Python 2.7 comes from.
SUITE = "bookworm"


def _apt(folder: pathlib.Path, *more: str) -> list[str]:
    """The settings that keep apt within FOLDER."""
    (folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    settings = {
        "Dir::State": folder, "Dir::State::lists": folder / "lists", "Dir::State::status": "/dev/null", "Dir::Cache": folder / "cache",
        "Dir::Log": folder, "APT::Sandbox::User": "root", "Debug::NoLocking": "true", "APT::Get::List-Cleanup": "true",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")] + list(more)


@functools.lru_cache(maxsize=None)
def _mirrors() -> dict[str, str]:
    """The addresses of Debian's own archives as this machine's apt has them, by the label in their signed Release files."""
    folder = CACHE / "apt" / "machine"
    # Other repositories of this machine may be down: what counts is what could be read.
    run(["sh", "-c", 'apt-get -q "$@" update || true', "apt-get", *_apt(folder)], "reading this machine's package lists")
    lines = run(["apt-get", *_apt(folder), "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages"], "asking apt for its mirrors")
    found: dict[str, str] = {}
    for line in lines.splitlines():
        origin, label, address = line.split("|", 2)
        if origin == "Debian":
            found.setdefault(label, address)
    if "Debian" not in found:
        raise LabError("no Debian mirror answers: this machine's apt has none that it can read now (`apt-get update` tells why)")
    return found


def source_lines(suite: str) -> list[str]:
    """The lines of a sources.list for a suite of Debian."""
    mirrors = _mirrors()
    lines = [f"{kind} [signed-by={KEYRING}] {mirrors['Debian']} {suite} main" for kind in ("deb", "deb-src")]
    if "Debian-Security" in mirrors:
        lines += [f"{kind} [signed-by={KEYRING}] {mirrors['Debian-Security']} {suite}-security main" for kind in ("deb", "deb-src")]
    return lines


@functools.lru_cache(maxsize=None)
def _suite(name: str) -> tuple[str, ...]:
    """apt's settings for a suite, its lists freshly read."""
    folder = CACHE / "apt" / name
    folder.mkdir(parents=True, exist_ok=True)
    sources = folder / "sources.list"
    sources.write_text("\n".join(source_lines(name)) + "\n", encoding="utf-8")
    settings = _apt(folder, "-o", f"Dir::Etc::SourceList={sources}", "-o", "Dir::Etc::SourceParts=/dev/null")
    try:
        run(["apt-get", "-q", "-o", "APT::Update::Error-Mode=any", *settings, "update"], f"reading the package lists of Debian {name}")
    except LabError as error:
        raise (LabError if name == SUITE else Missing)(f"Debian {name} is not served by this machine's mirror: {error}") from error
    return tuple(settings)


def check_suite(name: str) -> None:
    """Missing, if the machine's mirror does not serve this suite."""
    _suite(name)


def needed(suite: str, names) -> list[str]:
    """These packages and all that they depend on, without what they recommend."""
    command = ["apt-get", "-q", "--yes", "--no-install-recommends", "--print-uris", *_suite(suite), "install", *names]
    lines = run(command, f"asking what {', '.join(names)} of Debian {suite} need").splitlines()
    return [line.split()[1].partition("_")[0] for line in lines if line.startswith("'")]


def extract(suite: str, names, target: pathlib.Path) -> None:
    """Unpack binary packages (and nothing that they depend on) into a folder."""
    settings = _suite(suite)
    downloads = target.with_name(target.name + ".debs")
    remove(downloads)
    downloads.mkdir(parents=True)
    try:
        run(["apt-get", "-q", *settings, "download", *names], f"fetching {', '.join(names)} from Debian {suite}", cwd=downloads)
        for package in sorted(downloads.glob("*.deb")):
            run(["dpkg", "--extract", package, target], f"unpacking {package.name}")
    finally:
        remove(downloads)


def fetch_source(suite: str, name: str, target: pathlib.Path) -> None:
    """Fetch a source package's files, checked but not unpacked."""
    run(["apt-get", "-q", *_suite(suite), "source", "--download-only", name], f"fetching the source of {name} from Debian {suite}", cwd=target)


def bootstrap(suite: str, names, target: pathlib.Path) -> None:
    """Make a Debian root file system with these packages, by mmdebstrap, in mount and process namespaces of its own."""
    check_suite(suite)
    tool = target.with_name(target.name + ".mmdebstrap")
    remove(tool)
    try:
        extract(SUITE, ["mmdebstrap"], tool)
        command = [
            tool / "usr/bin/mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory", f"--keyring={KEYRING}",
            f"--include={','.join(names)}", *_machines_options(), suite, target, *source_lines(suite),
        ]
        run(
            [*private("--mount-proc"), *command],
            f"making a Debian {suite} root file system", env={**os.environ, "TMPDIR": "/tmp"},
        )
    finally:
        remove(tool)


def _machines_options() -> list[str]:
    """How this machine's apt reaches its mirror (a proxy, say), for an apt that does not read its settings."""
    lines = run(["apt-config", "dump"], "asking apt for its settings").splitlines()
    return [f"--aptopt={line}" for line in lines if line.startswith(("Acquire::http", "Acquire::https")) and not line.endswith('"";')]
