# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the ansible-core that runs is one that meta/runtime.yml takes."""

from __future__ import annotations

import functools
import pathlib

import yaml

RUNTIME = pathlib.Path(__file__).resolve().parents[2] / "meta" / "runtime.yml"


@functools.lru_cache(maxsize=1)
def required() -> str:
    """The versions of ansible-core that the collection takes, as a specifier: `>=2.16.0`."""
    return str(yaml.safe_load(RUNTIME.read_text(encoding="utf-8"))["requires_ansible"])


def unsupported(core: str, specifier: str | None = None) -> str | None:
    """One sentence if CORE, a version of ansible-core, is not taken; None if it is. Of a pre-release its final version counts, as in core itself."""
    # ansible-core itself needs packaging: this is for tools that only look at the file.
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    specifier = specifier or required()
    if SpecifierSet(specifier).contains(Version(core).base_version, prereleases=True):
        return None
    return f"kubeproxy.ipvs needs ansible-core {specifier}, this is {core}: install another one, in a Python environment of its own (docs/support.md)"
