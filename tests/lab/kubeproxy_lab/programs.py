# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs out of Debian's packages that run on this machine without being installed on it: `python -m kubeproxy_lab.programs NAME` prints the path of one."""

from __future__ import annotations

import pathlib
import sys

from kubeproxy_lab import packages
from kubeproxy_lab.storage import LabError, artifact, remove, run

# Python -> the suite of Debian that has it. A node's may be older or newer than what this machine has.
PYTHONS = {"2.7": "bullseye", "3.9": "bullseye", "3.11": "bookworm", "3.13": "trixie", "3.14": "forky", "3.15": "forky"}
INSIDE = """#!/bin/sh
root=$(dirname "$0")/root
exec unshare --mount --propagation private sh -ec '
root=$1
shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for folder in /tmp /var/tmp; do mount --bind "$folder" "$root$folder"; done
exec chroot "$root" /usr/bin/chromium "$@"
' sh "$root" "$@"
"""


def provide(name: str) -> pathlib.Path:
    """The path of promtool, chromium (a script that runs it in a root file system of its own, which sees /tmp, /var/tmp and /dev/shm) or pythonX.Y."""
    version = name.removeprefix("python")
    if version in PYTHONS:
        root = artifact(name, (PYTHONS[version], "with its own C library"), lambda place: _python(version, place), f"fetching {name}") / "root"
        return root / "usr/bin" / name
    builders = {"promtool": _promtool, "chromium": _chromium}
    if name not in builders:
        raise LabError("not among the programs that are fetched from Debian")
    return artifact(name, (packages.SUITE, INSIDE), builders[name], f"fetching {name}") / name


def _promtool(place: pathlib.Path) -> None:
    packages.extract(packages.SUITE, ["prometheus"], place / "root")
    (place / "root/usr/bin/promtool").rename(place / "promtool")
    remove(place / "root")


def _chromium(place: pathlib.Path) -> None:
    packages.bootstrap(packages.SUITE, ("chromium", "fonts-dejavu-core"), place / "root")
    (place / "chromium").write_text(INSIDE, encoding="ascii")
    (place / "chromium").chmod(0o755)


def _python(version: str, place: pathlib.Path) -> None:
    """A Python with the C library and all other libraries of its own suite, those of this machine may be older."""
    suite, root = PYTHONS[version], place / "root"
    names = [f"python{version}"] if version == "2.7" else [f"python{version}", f"python{version}-venv"]
    packages.extract(suite, packages.needed(suite, names), root)
    packages.extract(packages.SUITE, ["patchelf"], place / "patchelf")
    # What stands in a program and in files is an absolute path: that of the place where the artifact will be.
    final = place.with_name(place.name.removesuffix(".partial")) / "root"
    loader = next(path for path in sorted(root.glob("**/x86_64-linux-gnu/ld-*.so*")) if not path.is_symlink())
    libraries = [folder for folder in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu") if (root / folder).is_dir()]
    run(
        [
            place / "patchelf/usr/bin/patchelf", "--set-interpreter", final / loader.relative_to(root), "--force-rpath",
            "--set-rpath", ":".join(f"$ORIGIN/../../{folder}" for folder in libraries), root / f"usr/bin/python{version}",
        ],
        f"giving Python {version} its own C library",
    )
    remove(place / "patchelf")
    # Where Debian's ensurepip looks for pip.
    for path in (*root.glob("usr/lib/python3.*/_sysconfigdata_*.py"), *root.glob("usr/lib/python3.*/ensurepip/__init__.py")):
        if not path.is_symlink():
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace("/usr/share/python-wheels", str(final / "usr/share/python-wheels")), encoding="utf-8")


if __name__ == "__main__":
    try:
        print(provide(sys.argv[1]))
    except LabError as error:
        raise SystemExit(f"{sys.argv[1]}: {error}") from error
