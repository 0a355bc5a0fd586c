# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernels that run as ordinary programs (user-mode Linux): Debian's own, and built ones with capabilities switched on or off.

A further kind is one of these under another name: a kernel that lies about what it can do.

An artifact of a kernel is a folder with the program `linux` and its modules below `lib/modules`.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shutil

import yaml

from kubeproxy_lab import packages, workshop
from kubeproxy_lab.storage import CACHE, LabError, artifact, key, locked, remove, run, say

HERE = pathlib.Path(__file__).parent.parent
KINDS = ("package", "source", "same_as")
CAPABILITIES = ("reuse_without_drop", "respects_zero_weight", "flushes_deleted")

# struct new_utsname up to `release`: the name of the system and that of the node, each in as much room (include/uapi/linux/utsname.h).
UTSNAME_ROOM = 65
UTSNAME = b"Linux".ljust(UTSNAME_ROOM, b"\0") + b"(none)".ljust(UTSNAME_ROOM, b"\0")

HEADER, CORE, CONN, CONTROL = "include/net/ip_vs.h", "net/netfilter/ipvs/ip_vs_core.c", "net/netfilter/ipvs/ip_vs_conn.c", "net/netfilter/ipvs/ip_vs_ctl.c"
# What takes a capability out of a kernel that has it: (file, what is there exactly once, what stands there then).
TAKEN_OUT = {
    # An entry of IPVS that uses conntrack is enough to drop the first SYN, as before f0a5e4d7a594, whatever that conntrack's state is.
    "reuse_without_drop": (
        (HEADER, r"if \(ct && nf_ct_is_confirmed\(ct\)\)", "if (ct && (cp->flags & IP_VS_CONN_F_NFCT))"),
    ),
    # A weight of 0 only counts when the mode is not 0, as before c95c07836fa4.
    "respects_zero_weight": (
        (CORE, r"if \((unlikely\(sysctl_expire_nodest_conn\(ipvs\)\) && cp->dest)", r"if (conn_reuse_mode && \1"),
    ),
    # Nothing is flushed when a destination is deleted, and its packets are dropped, as before 04231e52d355; the symbols go as well.
    "flushes_deleted": (
        (HEADER, r"if \(sysctl_expire_nodest_conn\(ipvs\)\)(\s+queue_delayed_work)", r"if (false)\1"),
        (HEADER, r"void ip_vs_expire_nodest_conn_flush\(struct netns_ipvs \*ipvs\);", ""),
        (CONTROL, r"\tip_vs_expire_nodest_conn_flush\(ipvs\);", ""),
        (CONTROL, r"static void expire_nodest_conn_handler", "static void __maybe_unused expire_nodest_conn_handler"),
        (CONTROL, r"(&ipvs->expire_nodest_conn_work,\s+)expire_nodest_conn_handler\)", r"\1defense_work_handler)"),
        (CONN, r"void ip_vs_expire_nodest_conn_flush", "static void __maybe_unused ip_vs_expire_nodest_conn_flush"),
        (CORE, r"if \(old_ct\)(\s+return NF_DROP;\s+cp = NULL;\s+\} else)", r"if (true)\1"),
    ),
}


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel as kernels.yml declares it."""

    name: str
    package: str | None
    source: str | None
    same_as: str | None
    release: str | None
    capabilities: tuple[tuple[str, bool], ...]

    def has(self, capability: str) -> bool:
        """Whether it was made with this capability."""
        return dict(self.capabilities)[capability]


def declared() -> dict[str, Kernel]:
    """The kernels of kernels.yml."""
    with open(HERE / "kernels.yml", encoding="utf-8") as handle:
        rows = yaml.safe_load(handle)
    return {name: _kernel(name, row) for name, row in rows.items()}


def _kernel(name: str, row: dict) -> Kernel:
    capabilities = row.get("capabilities", {})
    if sorted(capabilities) != sorted(CAPABILITIES) or len([kind for kind in KINDS if row.get(kind)]) != 1:
        raise LabError(f"kernels.yml: {name} needs all of {', '.join(CAPABILITIES)} and one of {', '.join(KINDS)}")
    return Kernel(name, *(row.get(kind) for kind in KINDS), row.get("release"), tuple(capabilities.items()))


def _recipe(kernel: Kernel):
    if kernel.package:
        return (kernel.package, "user-mode-linux")
    if kernel.same_as:
        return (_recipe(declared()[kernel.same_as]), kernel.release)
    edits = [TAKEN_OUT[name] for name, present in kernel.capabilities if not present]
    return (kernel.source, kernel.release, edits, (HERE / "kernel.config").read_text(encoding="utf-8"))


def provide(kernel: Kernel) -> pathlib.Path:
    """The folder of a kernel, fetched or built if need be."""
    if kernel.package:
        return artifact(f"kernel-{kernel.name}", _recipe(kernel), lambda place: _fetch(kernel, place), f"fetching the kernel {kernel.name}")
    if kernel.same_as:
        return artifact(f"kernel-{kernel.name}", _recipe(kernel), lambda place: _rename(kernel, place), f"naming the kernel {kernel.name}")
    return artifact(f"kernel-{kernel.name}", _recipe(kernel), lambda place: _build(kernel, place), f"building the kernel {kernel.name}")


def release(folder: pathlib.Path) -> str:
    """What `uname -r` says on the kernel of an artifact."""
    return next((folder / "lib/modules").iterdir()).name


def _fetch(kernel: Kernel, place: pathlib.Path) -> None:
    unpacked = place / "unpacked"
    packages.extract(kernel.package, ["user-mode-linux"], unpacked)
    (place / "lib").mkdir()
    (unpacked / "usr/lib/uml/modules").rename(place / "lib/modules")
    (unpacked / "usr/bin/linux.uml").rename(place / "linux")
    remove(unpacked)
    # The package leaves this to its own scripts.
    for folder in (place / "lib/modules").iterdir():
        workshop.build(place, ["depmod", "-b", "/mnt", folder.name], "listing the kernel's modules")


def _rename(kernel: Kernel, place: pathlib.Path) -> None:
    """Give a kernel another name: where `uname` reads it, and where its modules lie. What its modules look for in it stays as it was built."""
    original = provide(declared()[kernel.same_as])
    program = (original / "linux").read_bytes()
    before, after = (UTSNAME + name.encode("ascii").ljust(UTSNAME_ROOM, b"\0") for name in (release(original), kernel.release))
    # The kernel's own, and another one that namespaces begin with.
    renamed = program.replace(before, after)
    if renamed == program or len(after) != len(before):
        raise LabError(f"{kernel.same_as} cannot be called {kernel.release}: its own name is not in it")
    (place / "linux").write_bytes(renamed)
    (place / "linux").chmod(0o755)
    shutil.copytree(original / "lib/modules" / release(original), place / "lib/modules" / kernel.release, symlinks=True)


def _tree(kernel: Kernel) -> pathlib.Path:
    """The unpacked and configured source: one tree, which every build leaves ready for a quick next one."""
    place = CACHE / "work" / f"{kernel.source}-{key(kernel.source, (HERE / 'kernel.config').read_text(encoding='utf-8'))}"
    if place.exists():
        return place
    partial = place.with_name(place.name + ".partial")
    remove(partial)
    packages.extract(packages.SUITE, [kernel.source], partial / "package")
    (archive,) = (partial / "package/usr/src").glob("*.tar.*")
    run(["tar", "-C", partial, "-xf", archive], f"unpacking {archive.name}")
    (tree,) = partial.glob("linux-source-*")
    (tree / "lab.config").write_text((HERE / "kernel.config").read_text(encoding="utf-8"), encoding="utf-8")
    workshop.build(tree, ["make", "ARCH=um", "defconfig"], "configuring the kernel")
    workshop.build(tree, ["scripts/kconfig/merge_config.sh", "-m", ".config", "lab.config"], "configuring the kernel")
    workshop.build(tree, ["make", "ARCH=um", "olddefconfig"], "configuring the kernel")
    tree.rename(place)
    remove(partial)
    return place


def _edit(tree: pathlib.Path, kernel: Kernel) -> None:
    """Bring the few lines into the state that this kernel needs, starting from the ones that Debian ships each time."""
    texts = {}
    for path in (HEADER, CORE, CONN, CONTROL, "Makefile"):
        original = (tree / path).with_name((tree / path).name + ".original")
        if not original.exists():
            shutil.copyfile(tree / path, original)
        texts[path] = original.read_text(encoding="utf-8")
    for capability, present in kernel.capabilities:
        for path, pattern, replacement in () if present else TAKEN_OUT[capability]:
            texts[path], count = re.subn(pattern, replacement, texts[path])
            if count != 1:
                raise LabError(f"{kernel.source} is not what kernels.py expects: {pattern!r} stands {count} times in {path}")
    number, extra = re.fullmatch(r"(\d+\.\d+\.\d+)(.*)", kernel.release).groups()
    names = ("VERSION", "PATCHLEVEL", "SUBLEVEL", "EXTRAVERSION")
    for name, value in zip(names, [*number.split("."), extra]):
        texts["Makefile"] = re.sub(rf"^{name} =.*$", f"{name} = {value}", texts["Makefile"], count=1, flags=re.MULTILINE)
    for path, text in texts.items():
        # Unchanged files keep their time, so that make builds no more than it has to.
        if (tree / path).read_text(encoding="utf-8") != text:
            (tree / path).write_text(text, encoding="utf-8")


def _build(kernel: Kernel, place: pathlib.Path) -> None:
    with locked(CACHE / "locks" / "kernel-tree"):
        tree = _tree(kernel)
        _edit(tree, kernel)
        workshop.build(tree, ["make", "ARCH=um", f"-j{workshop.jobs()}", "linux", "modules"], f"building the kernel {kernel.name}",
                       KBUILD_BUILD_USER="lab", KBUILD_BUILD_HOST="kubeproxy.ipvs")
        installed = tree / "installed"
        remove(installed)
        workshop.build(tree, ["make", "ARCH=um", "INSTALL_MOD_PATH=/mnt/installed", "modules_install"], f"installing the modules of {kernel.name}")
        shutil.copytree(installed / "lib", place / "lib", symlinks=True)
        for link in ("build", "source"):
            remove(place / "lib/modules" / release(place) / link)
        shutil.copy2(tree / "linux", place / "linux")
    if release(place) != kernel.release:
        raise LabError(f"the kernel {kernel.name} calls itself {release(place)}, not {kernel.release}")
    say(f"{kernel.name} is {kernel.release}")
