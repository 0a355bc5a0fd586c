# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which minor series of ansible-core are supported, and which Pythons each drives. Pure functions.

Nothing is typed here: the bound is that of meta/runtime.yml, the series are those of the package index, the Pythons are those that
each core's own ansible-test names.
"""

from __future__ import annotations

import ast
import dataclasses
import re

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

# In the wheel of each core.
CONSTANTS = "ansible_test/_util/target/common/constants.py"


class MatrixError(ValueError):
    """What was read is not what it has to be; the text says which."""


@dataclasses.dataclass(frozen=True)
class Core:
    """One minor series. newest: its newest release that was seen; controllers, nodes: versions of Python ("3.11"), oldest first."""

    series: str
    newest: str
    controllers: tuple[str, ...]
    nodes: tuple[str, ...]


def in_order(versions) -> list[str]:
    """Versions of Python or series, oldest first."""
    return sorted(versions, key=Version)


def versions_offered(output: str) -> list[str]:
    """The versions that `pip index versions` printed. Raises MatrixError if it printed none."""
    found = re.search(r"^Available versions:(.+)$", output, re.MULTILINE)
    if not found:
        raise MatrixError("pip index versions printed no versions")
    return [word.strip() for word in found[1].split(",") if word.strip()]


def supported(versions: list[str], required: str, left_out, prereleases: bool = False) -> dict[str, str]:
    """{series: its newest release} of the versions that the specifier REQUIRED takes, without the series that are left out, oldest first.

    prereleases: whether those that are not final count, too.
    """
    newest: dict[str, Version] = {}
    for text in versions:
        try:
            version = Version(text)
        except InvalidVersion:
            continue
        if (version.is_prerelease and not prereleases) or not SpecifierSet(required).contains(version, prereleases=True):
            continue
        series = f"{version.major}.{version.minor}"
        if series not in left_out:
            newest[series] = max(version, newest.get(series, version))
    return {series: str(newest[series]) for series in in_order(newest)}


def core_of(series: str, newest: str, constants: str) -> Core:
    """A core from the text of its ansible-test's constants. Raises MatrixError if they do not name Pythons."""
    values = {}
    for statement in ast.parse(constants).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            try:
                values[statement.targets[0].id] = ast.literal_eval(statement.value)
            except ValueError:
                continue
    controllers, others = values.get("CONTROLLER_PYTHON_VERSIONS"), values.get("REMOTE_ONLY_PYTHON_VERSIONS")
    if not controllers or others is None:
        raise MatrixError(f"ansible-core {newest}: {CONSTANTS} names no Pythons")
    return Core(series, newest, tuple(in_order(controllers)), tuple(in_order({*controllers, *others})))


def controller_python(core: Core, own: str, installed) -> str | None:
    """The Python to run CORE with: OWN (the version of python3) if it can, else the newest that is installed; None if there is none."""
    if own in core.controllers:
        return own
    return next((version for version in reversed(core.controllers) if version in installed), None)


def last_for(cores: list[Core], python: str) -> str | None:
    """The newest series that drives nodes with this Python."""
    return next((core.series for core in reversed(cores) if python in core.nodes), None)


def spans(versions: tuple[str, ...]) -> str:
    """Versions of Python in words: `2.7, 3.6 to 3.12`."""
    words, run = [], []
    for version in [*versions, ""]:
        number = tuple(map(int, version.split("."))) if version else ()
        if run and number != (run[-1][0], run[-1][1] + 1):
            ends = [".".join(map(str, end)) for end in (run[0], run[-1])]
            words += ends[:1] if len(run) == 1 else ends if len(run) == 2 else [" to ".join(ends)]
            run = []
        run.append(number)
    return ", ".join(words)
