# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where kernels and programs are built: a Debian root file system with compilers, whatever the machine itself has installed."""

from __future__ import annotations

import os
import pathlib

from kubeproxy_lab import packages
from kubeproxy_lab.namespaces import private
from kubeproxy_lab.storage import artifact, run

PACKAGES = (
    "bc", "bison", "cpio", "dpkg-dev", "flex", "gcc", "golang-github-modern-go-reflect2-dev", "golang-go",
    "kmod", "libc6-dev", "libelf-dev", "make", "xz-utils",
)
# Bound into the workshop for as long as one command runs; gone with its mount namespace, however it ends.
INSIDE = """
set -e
mount --bind "$2" "$1/mnt"
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
root=$1
shift 2
exec chroot "$root" /usr/bin/env --chdir=/mnt "$@"
"""


def folder() -> pathlib.Path:
    """The workshop's root."""
    recipe = (packages.SUITE, PACKAGES)
    return artifact("workshop", recipe, lambda place: packages.bootstrap(*recipe, place), "making a workshop with compilers")


def build(work: pathlib.Path, command: list[str], what: str, **variables: str) -> str:
    """Run a command in the workshop, with the folder WORK as its working folder /mnt; what it printed."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/mnt", "LC_ALL": "C.UTF-8", **variables}
    return run([*private("sh", "-c", INSIDE, "workshop"), folder(), work, *command], what, env=environment)


def jobs() -> int:
    """How many compilers at once."""
    return os.cpu_count() or 1
