# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The disks of the nodes: one Debian root file system for each Python, the same for every node that has it.

What makes a node different from the others comes on a second disk (see seeds.py), and what it writes goes into a file of its own.
"""

from __future__ import annotations

import os
import pathlib
import shutil

from kubeproxy_lab import packages
from kubeproxy_lab.storage import LabError, artifact, remove, run

FILES = pathlib.Path(__file__).parent.parent / "node"
# Python on the node -> (suite of Debian, package, program)
PYTHONS = {"3": ("bookworm", "python3", "python3"), "2.7": ("bullseye", "python2.7", "python2.7")}
PACKAGES = (
    "conntrack", "ipset", "iproute2", "iptables", "ipvsadm", "kmod", "openssh-server", "procps", "systemd", "systemd-sysv", "util-linux",
)
INSTALLED = {
    "lab-init": "usr/local/sbin", "lab-run": "usr/local/sbin", "lab-pods": "usr/local/sbin",
    "backend.py": "usr/local/lib/lab", "client.py": "usr/local/lib/lab",
    "lab-network.service": "etc/systemd/system", "lab-pods.service": "etc/systemd/system",
}
WANTED = {"lab-network.service": "sysinit.target.wants", "lab-pods.service": "multi-user.target.wants"}
# They wait for hardware, for a terminal or for the internet, or work on the disk at times of their own.
MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "getty@.service",
    "getty-static.service", "ipvsadm.service", "serial-getty@.service", "systemd-binfmt.service",
    "systemd-networkd.service", "systemd-networkd-wait-online.service", "systemd-resolved.service", "systemd-timesyncd.service",
)
SPARE_BYTES = 700 * 1024 * 1024


def provide(python: str) -> pathlib.Path:
    """The image of the root file system with this Python."""
    suite, package, _program = PYTHONS[python]
    names = (*PACKAGES, package)
    texts = [(path.name, path.read_text(encoding="utf-8")) for path in sorted(FILES.iterdir())]
    recipe = (suite, names, INSTALLED, WANTED, MASKED, SPARE_BYTES, [text for text in texts if text[0] in INSTALLED])
    return artifact(f"root-python{python}", recipe, lambda place: _build(python, place), f"making the root file system with Python {python}") / "image"


def debian(python: str) -> pathlib.Path:
    """A Debian root file system with this Python, as a folder. Nothing may be written into it."""
    suite, package, _program = PYTHONS[python]
    names = (*PACKAGES, package)
    return artifact(f"debian-{suite}", (suite, names), lambda folder: packages.bootstrap(suite, names, folder), f"making a Debian {suite} root file system")


def _build(python: str, place: pathlib.Path) -> None:
    _suite, _package, program = PYTHONS[python]
    changed = place / "root"
    run(["cp", "--archive", "--reflink=auto", debian(python), changed], "copying a root file system")
    _furnish(changed, program)
    used = int(run(["du", "--summarize", "--bytes", "--one-file-system", changed], "measuring a root file system").split()[0])
    size = f"{(used + SPARE_BYTES) // 1024}k"
    run(["mkfs.ext4", "-q", "-F", "-O", "^metadata_csum_seed", "-L", "root", "-d", changed, place / "image", size], "making a disk")
    remove(changed)


def _furnish(root: pathlib.Path, program: str) -> None:
    """Add what every node of the lab has."""
    for name, folder in INSTALLED.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(FILES / name, root / folder / name)
        (root / folder / name).chmod(0o644 if name.endswith((".service", ".py")) else 0o755)
    units = root / "etc/systemd/system"
    for unit, target in WANTED.items():
        (units / target).mkdir(parents=True, exist_ok=True)
        _link(units / target / unit, f"../{unit}")
    for unit in MASKED:
        _link(units / unit, "/dev/null")
    for name in ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"):
        # The prebuilt kernels have no compatibility layer for the newer program.
        _link(root / "etc/alternatives" / name, f"/usr/sbin/{name.replace('tables', 'tables-legacy')}")
    if not (root / "lib").is_symlink():
        # An older Debian, with folders of their own: the modules come into /usr/lib on every node.
        _link(root / "lib/modules", "/usr/lib/modules")
    _link(root / "usr/local/bin/lab-python", f"/usr/bin/{program}")
    if not (root / "usr/bin" / program).exists():
        raise LabError(f"the root file system has no {program}")
    for name in ("machine-id", "hostname", "resolv.conf"):
        remove(root / "etc" / name)
    (root / "etc/machine-id").touch()
    (root / "etc/fstab").write_text("/dev/ubda / ext4 defaults,noatime 0 0\n", encoding="ascii")
    for folder in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man"):
        remove(root / folder)
        (root / folder).mkdir(parents=True)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    os.chmod(root, 0o755)


def _link(place: pathlib.Path, target: str) -> None:
    remove(place)
    place.symlink_to(target)
