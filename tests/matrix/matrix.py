# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The support matrix as a command.

matrix.py record   asks the package index and each core, and writes cores.yml
matrix.py cores    one line a core, "SERIES PYTHON NODE-PYTHON…", the Python that is to run it being - where there is none.
                   A series that the index has and cores.yml has not is among them; without an index it is what was recorded
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import cores
import yaml
from cores import Core, MatrixError

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RECORD = HERE / "cores.yml"
HEAD = """\
---
# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Written by `make matrix`, of meta/runtime.yml, the package index, and what each core's own ansible-test says. Not to be edited.
"""


def required() -> str:
    """The specifier in meta/runtime.yml."""
    return yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))["requires_ansible"]


def left_out() -> dict[str, dict]:
    """Series that are not installed by `make`, each with why and source."""
    return yaml.safe_load((HERE / "left_out.yml").read_text(encoding="utf-8"))


def recorded() -> list[Core]:
    """The cores of cores.yml, oldest first."""
    document = yaml.safe_load(RECORD.read_text(encoding="utf-8"))
    return [Core(series, row["newest"], tuple(row["controllers"]), tuple(row["nodes"])) for series, row in document.items()]


def interpreter(*words: str) -> str | None:
    """What tests/interpreter prints: the path of a Python, None if there is none."""
    done = subprocess.run([ROOT / "tests" / "interpreter", *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _pip(*words: str) -> str:
    """What pip prints, also of cores that this Python cannot run. Raises MatrixError."""
    try:
        done = subprocess.run([sys.executable, "-m", "pip", *words, "--ignore-requires-python"], capture_output=True, text=True, check=False, timeout=120)
    except subprocess.TimeoutExpired as error:
        raise MatrixError("the package index did not answer within 120 s") from error
    if done.returncode:
        raise MatrixError((done.stderr.strip().splitlines() or ["pip failed"])[-1])
    return done.stdout


def offered(prereleases: bool = False) -> dict[str, str]:
    """{series: newest release} that the package index has and that is supported. Raises MatrixError."""
    return cores.supported(cores.versions_offered(_pip("index", "versions", "ansible-core")), required(), left_out(), prereleases)


def read_core(series: str, newest: str) -> Core:
    """What a release says of itself, read from its wheel, which is not installed. Raises MatrixError."""
    with tempfile.TemporaryDirectory() as folder:
        _pip("download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", folder, f"ansible-core=={newest}")
        wheel = next(pathlib.Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            return cores.core_of(series, newest, archive.read(cores.CONSTANTS).decode())


def record() -> None:
    """Write cores.yml. Raises MatrixError."""
    found = [read_core(*item) for item in offered().items()]
    document = {core.series: {"newest": core.newest, "controllers": list(core.controllers), "nodes": list(core.nodes)} for core in found}
    RECORD.write_text(HEAD + yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=160), encoding="utf-8")
    print(f"tests/matrix/cores.yml: ansible-core {', '.join(core.newest for core in found)}")


def to_run() -> list[Core]:
    """The recorded cores, and those that have come since; with PIP_PRE also those that are not final."""
    known, prereleases = recorded(), os.environ.get("PIP_PRE", "0").lower() in ("1", "true", "yes", "on")
    try:
        new = {series: newest for series, newest in offered(prereleases).items() if series not in {core.series for core in known}}
        known += [read_core(*item) for item in new.items()]
        for series in new:
            print(f"ansible-core {series} is new: `make matrix` records it and writes docs/support.md", file=sys.stderr)
    except MatrixError as error:
        print(f"the package index was not asked for newer cores, these are the recorded ones: {error}", file=sys.stderr)
    return known


def controller(core: Core, own: str) -> str | None:
    """The Python to run CORE with: python3, whose version is OWN, before one that is installed beside it, and that before one of Debian's packages."""
    for words in (["--installed"], []):
        version = cores.controller_python(core, own, [version for version in core.controllers if interpreter(*words, version)])
        if version:
            return "python3" if version == own else interpreter(version)
    return None


def main() -> int:
    """Returns the exit status."""
    command = sys.argv[1] if len(sys.argv) == 2 else ""
    if command == "record":
        try:
            record()
        except MatrixError as error:
            print(f"nothing was recorded: {error}", file=sys.stderr)
            return 1
    elif command == "cores":
        own = subprocess.run(["python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=True).stdout.strip()
        for core in to_run():
            print(core.series, controller(core, own) or "-", *core.nodes)
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
