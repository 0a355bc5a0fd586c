# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process that a running lab hangs on: the first one of its own process, network and mount namespaces.

Nodes, control plane, bridge, taps and mounts are all inside, so that they end with it, in whatever way it ends: there is nothing
to clear up piece by piece, and nothing that another process could have started by mistake on this machine.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import pathlib
import subprocess
import sys
import time

from kubeproxy_lab.namespaces import kill_all, private, processes
from kubeproxy_lab.storage import LabError, remove

CLONE_NEWNET = 0x40000000
BRIDGE = "lab0"
GATEWAY = "10.99.0.1"
READY = "kept"


@dataclasses.dataclass(frozen=True)
class Keeper:
    """A running keeper, by its process as this machine's other processes see it."""

    process: int

    def inside(self, *command: str) -> list[str]:
        """The command that runs COMMAND in all of the lab's namespaces."""
        return ["nsenter", "--target", str(self.process), "--net", "--mount", "--pid", "--", *command]

    def start(self, command: list[str], log: pathlib.Path) -> None:
        """Leave a command running inside, as a child of the keeper; LOG is what it prints."""
        with open(log, "ab") as output:
            words = self.inside("setsid", "sh", "-c", '"$@" &', "sh", *command)
            subprocess.run(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=True)

    def enter_network(self) -> None:
        """Bring this process, and what it starts, into the lab's network."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/proc/{self.process}/ns/net", "rb") as namespace:
            if libc.setns(namespace.fileno(), CLONE_NEWNET):
                raise LabError(f"the lab's network cannot be entered: {os.strerror(ctypes.get_errno())}")


def _command(folder: pathlib.Path) -> list[str]:
    return [sys.executable, "-m", "kubeproxy_lab.keeper", str(folder)]


def find(folder: pathlib.Path) -> Keeper | None:
    """The keeper of the lab in FOLDER, if it runs and has made its network."""
    found = processes(lambda words: words == _command(folder))
    return Keeper(found[0]) if found and (folder / READY).exists() else None


def end(folder: pathlib.Path) -> None:
    """End the lab in FOLDER, also one that is just being started: the keeper, and with it everything in its namespaces."""
    kill_all(lambda words: words[-len(_command(folder)):] == _command(folder))


def start(folder: pathlib.Path) -> Keeper:
    """Start the keeper of a lab in FOLDER, which is made anew."""
    end(folder)
    remove(folder)
    folder.mkdir(parents=True)
    with open(folder / "keeper.log", "wb") as log:
        words = private("--net", "--mount-proc", *_command(folder))
        subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    for _attempt in range(100):
        keeper = find(folder)
        if keeper:
            return keeper
        time.sleep(0.1)
    end(folder)
    raise LabError("the lab's namespaces cannot be made: " + (folder / "keeper.log").read_text(encoding="utf-8", errors="replace").strip()[-300:])


def main() -> None:
    """As the first process inside: make the network, then wait for whatever ends in the lab."""
    folder = pathlib.Path(sys.argv[1])
    for command in (
        # A kernel's memory is a file here, and a container's own /dev/shm is often small.
        ["mount", "-t", "tmpfs", "-o", "size=90%", "lab", "/dev/shm"],
        ["ip", "link", "set", "lo", "up"],
        ["ip", "link", "add", BRIDGE, "type", "bridge"],
        ["ip", "address", "add", f"{GATEWAY}/24", "dev", BRIDGE],
        ["ip", "link", "set", BRIDGE, "up"],
    ):
        subprocess.run(command, check=True)
    (folder / READY).touch()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(0.5)


if __name__ == "__main__":
    main()
