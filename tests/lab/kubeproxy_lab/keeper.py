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
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from kubeproxy_lab.namespaces import private
from kubeproxy_lab.storage import LabError, remove

CLONE_NEWNET = 0x40000000
BRIDGE = "lab0"
GATEWAY = "10.99.0.1"
STATE = "keeper.json"


@dataclasses.dataclass(frozen=True)
class Keeper:
    """A running keeper, as this machine's other processes see it."""

    process: int
    started: int

    def inside(self, *command: str) -> list[str]:
        """The command that runs COMMAND in all of the lab's namespaces."""
        return ["nsenter", "--target", str(self.process), "--net", "--mount", "--pid", "--", *command]

    def enter_network(self) -> None:
        """Bring this process, and what it starts, into the lab's network."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/proc/{self.process}/ns/net", "rb") as namespace:
            if libc.setns(namespace.fileno(), CLONE_NEWNET):
                raise LabError(f"the lab's network cannot be entered: {os.strerror(ctypes.get_errno())}")

    def end(self) -> None:
        """Kill it, and with it everything in the lab; wait until it is gone."""
        os.kill(self.process, signal.SIGKILL)
        for _attempt in range(100):
            if start_time(self.process) != self.started:
                return
            time.sleep(0.1)
        raise LabError(f"the lab's process {self.process} does not end")


def start_time(process: int) -> int | None:
    """When a process started, in ticks since the machine did; None if there is none, or only what is left of it."""
    try:
        fields = pathlib.Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def find(folder: pathlib.Path) -> Keeper | None:
    """The keeper of the lab in FOLDER, if it runs."""
    try:
        keeper = Keeper(**json.loads((folder / STATE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return keeper if start_time(keeper.process) == keeper.started else None


def start(folder: pathlib.Path) -> Keeper:
    """Start the keeper of a lab in FOLDER, which is made anew."""
    remove(folder)
    folder.mkdir(parents=True)
    with open(folder / "keeper.log", "wb") as log:
        outer = subprocess.Popen(
            private("--net", "--mount-proc", sys.executable, "-m", "kubeproxy_lab.keeper", str(folder)),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    for _attempt in range(100):
        if (folder / "kept").exists():
            process = int(pathlib.Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text(encoding="ascii").split()[0])
            keeper = Keeper(process, start_time(process))
            (folder / (STATE + ".new")).write_text(json.dumps(dataclasses.asdict(keeper)), encoding="utf-8")
            (folder / (STATE + ".new")).rename(folder / STATE)
            return keeper
        if outer.poll() is not None:
            break
        time.sleep(0.1)
    outer.kill()
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
    (folder / "kept").touch()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(0.5)


if __name__ == "__main__":
    main()
