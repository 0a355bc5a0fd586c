# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node whose files and kernel values are changed with a record, and all that can be seen of it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import stat
from pathlib import Path

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_changes import RecordedChanges

ROOT = os.geteuid() == 0
LONG_AGO = 1_234_567_890_123_456_789
RECORD = '{"schema": 1, "files": [%s], "directories": [], "values": [%s], "facts": {}}'


def attributes(path):
    try:
        return {name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)}
    except OSError:
        return {}


def snapshot(root):
    """All that is to be the same afterwards: {path: what stands there}. Times of directories are left out."""
    found = {}
    for path in sorted(Path(root).rglob("*")):
        status = path.lstat()
        entry = [stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, attributes(path)]
        if path.is_symlink():
            entry += [os.readlink(os.fsencode(path)), status.st_mtime_ns]
        elif path.is_file():
            entry += [path.read_bytes(), status.st_mtime_ns]
        name = str(path.relative_to(root))
        # Neither a record's time is restored nor a kernel value's, which has none of its own.
        found[name] = entry[:-1] if name.startswith(("proc/", "var/kept/")) else entry
    return found


def contents(root):
    """What stands where, without owners and times, and without the records."""
    return {path: [entry[0], entry[1], *entry[5:6]] for path, entry in snapshot(root).items() if path.split("/")[0] != "var"}


class Node:
    """A directory that stands for a node, and the record `hold` in it."""

    def __init__(self, root):
        self.root = Path(root)
        self.directory = self.root / "var/kept"
        for name in ("etc/sysctl.d", "etc/systemd", "var", "proc"):
            (self.root / name).mkdir(parents=True)
        self.write("etc/sysctl.d/60-old.conf", b"value = 0\n# \xff\xfe not UTF-8 \0\r\n", 0o600)
        self.write("etc/sysctl.d/70-gone.conf", b"", 0o640)
        self.write("etc/systemd/unit", b"[Unit]\n" * 3000, 0o4755)
        self.write("etc/plain", b"plain\n", 0o644)
        self.write("proc/value", b"0\n", 0o644)
        self.write("proc/other", b"4096\t131072\n", 0o644)
        (self.root / "etc/link").symlink_to("sysctl.d/60-old.conf")
        (self.root / "etc/odd").symlink_to(b"\xff/nowhere".decode(errors="surrogateescape"))
        for name in ("etc/link", "etc/odd"):
            os.utime(self.root / name, ns=(LONG_AGO, LONG_AGO + 1), follow_symlinks=False)
        if ROOT:
            os.chown(self.root / "etc/sysctl.d/60-old.conf", 1234, 5678)
            os.lchown(self.root / "etc/link", 1234, 5678)

    def write(self, name, content, mode):
        path = self.root / name
        path.write_bytes(content)
        with contextlib.suppress(OSError):
            os.setxattr(path, "user.note", b"\x01" + name.encode())
        path.chmod(mode)
        os.utime(path, ns=(LONG_AGO, LONG_AGO))

    def changes(self, name="hold", **options):
        return RecordedChanges(str(self.directory), name, **options)

    def apply(self, files=None, values=None, facts=None, **options):
        """The result of applying {name: text, Link or None} and {name: text to write or None}."""
        changes = self.changes(**options)
        changes.apply(self.listed(files), self.valued(values), facts)
        return changes.result()

    def listed(self, files):
        return None if files is None else [dict(wish(content), path=str(self.root / name)) for name, content in files.items()]

    def valued(self, values):
        return None if values is None else [{"path": str(self.root / name), "write": text} for name, text in values.items()]

    def restore(self, **options):
        changes = self.changes(**options)
        changes.restore()
        return changes.result()

    def record(self, name="hold"):
        return json.loads((self.directory / f"{name}.json").read_text())

    def file(self, name):
        return str(self.root / name)


@dataclasses.dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclasses.dataclass(frozen=True)
class Lines:
    """Lines to be replaced: pairs of one and the text that takes its place."""

    pairs: tuple

    @classmethod
    def of(cls, *pairs):
        return cls(pairs)


def wish(content):
    if content is None:
        return {"absent": True}
    if isinstance(content, Lines):
        return {"lines": [{"line": line, "replacement": replacement} for line, replacement in content.pairs]}
    if isinstance(content, Link):
        return {"link": content.target}
    text, mode = content if isinstance(content, tuple) else (content, "0644")
    return {"content": text, "mode": mode}


def actions(result):
    return [entry["action"] for entry in result["files"]]


FIRST = {
    "etc/sysctl.d/60-old.conf": "value = 1\n",
    "etc/systemd/kube-proxy.service.d/deep/hold.conf": ("[Service]\n", "0600"),
    "etc/sysctl.d/70-gone.conf": None,
    "etc/sysctl.d/80-never.conf": None,
    "etc/link": "now a file\n",
    "etc/odd": Link("elsewhere"),
    "etc/systemd/unit": Link("/dev/null"),
    "etc/systemd/new": Link("unit"),
    "etc/a": "a file that is a directory later\n",
    "etc/systemd/kube-proxy.service.d/deep/too": "",
}
SECOND = {
    "etc/plain": ("grüße\n", "0755"),
    "etc/sysctl.d/60-old.conf": "value = 2\n",
    "etc/a/b": "below\n",
    "etc/systemd/kube-proxy.service.d/deep": "a directory that is a file now\n",
    "etc/odd": Link("elsewhere"),
    "etc/systemd/unit": "a file\n",
}
VALUES = {"proc/value": "1", "proc/other": None}
SYSCTL = b"# by hand \xff\r\nmode = 0\r\n\nmode = 0 \nother = 1\nmode = 0"
MARKED = Lines.of(("mode = 0", "# ours:\n# mode = 0\n"), ("other = 1", ""))
SYSCTL_MARKED = b"# by hand \xff\r\n# ours:\r\n# mode = 0\r\n\nmode = 0 \n# ours:\n# mode = 0"
