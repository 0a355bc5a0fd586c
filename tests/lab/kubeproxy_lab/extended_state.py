# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is preloaded into each kernel, so that it runs on processors with more registers than it knows: see extended_state.c."""

from __future__ import annotations

import pathlib
import shutil

from kubeproxy_lab import workshop
from kubeproxy_lab.storage import artifact

SOURCE = pathlib.Path(__file__).with_suffix(".c")
LIBRARY = "extended_state.so"
# Without the C library: it is loaded beside that of whatever machine this is. The loop that clears memory is to stay one.
COMPILE = ("gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-nostdlib", "-fno-stack-protector", "-fno-tree-loop-distribute-patterns")


def provide() -> pathlib.Path:
    """The library, compiled if need be."""
    recipe = (SOURCE.read_text(encoding="utf-8"), COMPILE)
    return artifact("extended-state", recipe, _compile, "compiling what kernels are run with") / LIBRARY


def _compile(place: pathlib.Path) -> None:
    shutil.copyfile(SOURCE, place / SOURCE.name)
    workshop.build(place, [*COMPILE, "-o", LIBRARY, SOURCE.name], "compiling what kernels are run with")
