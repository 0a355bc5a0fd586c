# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One command on a kernel of the lab, without systemd, network or anything that stays."""

from __future__ import annotations

import pathlib
import shlex
import subprocess
import sys
import tempfile

from kubeproxy_lab import images, kernels
from kubeproxy_lab.namespaces import end_with_parent, private
from kubeproxy_lab.storage import CACHE, LabError
from kubeproxy_lab.uml import Seed, command

MEMORY = 512
# Its own /dev/shm: a container's is often too small for the memory of a kernel.
INSIDE = 'mount -t tmpfs -o size=90% lab /dev/shm; exec "$@"'


def run(kernel_name: str, shared: list[pathlib.Path], words: list[str], seconds: int) -> int:
    """Boot a kernel, run a command in the first of the machine's folders SHARED, give its output on; its exit status."""
    declared = kernels.declared()
    if kernel_name not in declared:
        raise LabError(f"there is no kernel {kernel_name}; kernels.yml has {', '.join(declared)}")
    folders = " ".join(shlex.quote(str(path.resolve())) for path in shared)
    kernel = kernels.provide(declared[kernel_name])
    image = images.provide("3")
    CACHE.joinpath("once").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE / "once") as name:
        folder = pathlib.Path(name)
        (folder / "results").mkdir()
        with Seed(folder / "seed.tar") as seed:
            seed.modules(kernel)
            seed.text("lab/command", shlex.join(words) + "\n")
            seed.text("lab/variables", f"LAB_RESULTS={shlex.quote(str(folder / 'results'))}\nset -- {folders}\n")
        start = command(kernel, image, folder, memory=MEMORY, init="/usr/local/sbin/lab-run")
        outer = private("--net", "--mount-proc", "sh", "-e", "-c", INSIDE, "lab", *start)
        with open(folder / "console", "wb") as console:
            try:
                subprocess.run(outer, stdin=subprocess.DEVNULL, stdout=console, stderr=console, timeout=seconds, check=False, preexec_fn=end_with_parent)
            except subprocess.TimeoutExpired:
                print(f"lab: {kernel_name} did not end within {seconds} s", file=sys.stderr)
        for stream, stream_name in ((sys.stdout, "output"), (sys.stderr, "errors")):
            path = folder / "results" / stream_name
            stream.write(path.read_text(encoding="utf-8", errors="replace") if path.exists() else "")
        status = folder / "results" / "status"
        if not status.exists():
            tail = (folder / "console").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-15:]
            raise LabError(f"{kernel_name} ended without an exit status; its console says:\n" + "\n".join(tail))
        return int(status.read_text(encoding="ascii"))
