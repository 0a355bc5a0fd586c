# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a user-mode Linux is started, and the archive that it unpacks from its second disk."""

from __future__ import annotations

import io
import pathlib
import tarfile

from kubeproxy_lab import extended_state, kernels

MODULES = "usr/lib/modules"


class Seed:
    """An archive that makes one node of the common root file system."""

    def __init__(self, path: pathlib.Path):
        self.archive = tarfile.open(path, "w", format=tarfile.GNU_FORMAT)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.archive.close()

    @staticmethod
    def _roots(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        return member

    def text(self, name: str, text: str, mode: int = 0o644) -> None:
        """Add a file with this text."""
        member = self._roots(tarfile.TarInfo(name))
        data = text.encode("utf-8")
        member.size, member.mode = len(data), mode
        self.archive.addfile(member, io.BytesIO(data))

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        member = self._roots(tarfile.TarInfo(name))
        member.type, member.linkname = tarfile.SYMTYPE, target
        self.archive.addfile(member)

    def copy(self, name: str, path: pathlib.Path) -> None:
        """Add a file or folder of this machine."""
        self.archive.add(path, name, filter=self._roots)

    def modules(self, kernel: pathlib.Path) -> None:
        """Add the modules of a kernel."""
        release = kernels.release(kernel)
        self.copy(f"{MODULES}/{release}", kernel / "lib/modules" / release)


def command(kernel: pathlib.Path, image: pathlib.Path, folder: pathlib.Path, *, memory: int, init: str, more: tuple[str, ...] = ()) -> list[str]:
    """The command that starts a kernel; FOLDER takes what it writes to its disk, and holds the archive `seed.tar`.

    MEMORY is in MiB. Its memory is a file below /dev/shm, of which it needs one of its own that is large enough: see keeper.py.
    """
    return [
        "env", f"LD_PRELOAD={extended_state.provide()}", str(kernel / "linux"),
        f"mem={memory}M", f"ubd0={folder / 'disk'},{image}", f"ubd1r={folder / 'seed.tar'}", "root=/dev/ubda", "rw",
        "con=null", "con0=null,fd:1", f"uml_dir={folder}", "umid=uml", "selinux=0", "apparmor=0", "quiet", f"init={init}", *more,
    ]
