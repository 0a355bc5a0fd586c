# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The support matrix: derived of meta/runtime.yml, the package index and what each core says, and the same wherever it is used."""

from __future__ import annotations

import pathlib
import re
import sys

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import core_support, node_python

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "matrix"))
import cores  # noqa: E402
import matrix  # noqa: E402

# As the package index answers, cut short.
PRINTED = """\
ansible-core (2.21.5)
Available versions: 2.21.5, 2.21.4, 2.22.0rc1, 2.19.14, 2.18.19, 2.17.14, 2.16.19, 2.16.9, 2.15.13
  INSTALLED: 2.19.14
"""
CONSTANTS = """\
from __future__ import annotations
REMOTE_ONLY_PYTHON_VERSIONS = (
    "3.9",
    "3.10",
)
CONTROLLER_PYTHON_VERSIONS = ("3.12", "3.11")
X = 1 + y
"""
NEWEST = cores.Core("2.21", "2.21.5", ("3.12", "3.13"), ("3.9", "3.10", "3.12", "3.13"))


def test_what_the_index_has_and_we_take():
    versions = cores.versions_offered(PRINTED)
    assert versions[:3] == ["2.21.5", "2.21.4", "2.22.0rc1"]
    taken = cores.supported([*versions, "no version"], ">=2.16.0", {"2.17"})
    assert list(taken.items()) == [("2.16", "2.16.19"), ("2.18", "2.18.19"), ("2.19", "2.19.14"), ("2.21", "2.21.5")]
    assert cores.supported(versions, ">=2.16.0", {"2.17"}, prereleases=True)["2.22"] == "2.22.0rc1"
    assert list(cores.supported(versions, ">=2.18.0,!=2.19.*", set())) == ["2.18", "2.21"]


@pytest.mark.parametrize("printed", ["", "ERROR: No matching distribution found for ansible-core"])
def test_an_index_that_says_nothing(printed):
    with pytest.raises(cores.MatrixError, match="printed no versions"):
        cores.versions_offered(printed)


def test_what_a_core_says_of_itself():
    assert cores.core_of("2.20", "2.20.1", CONSTANTS) == cores.Core("2.20", "2.20.1", ("3.11", "3.12"), ("3.9", "3.10", "3.11", "3.12"))
    with pytest.raises(cores.MatrixError, match="ansible-core 2.30.0: .*constants.py names no Pythons"):
        cores.core_of("2.30", "2.30.0", "SOMETHING = 1\n")


@pytest.mark.parametrize(
    ("own", "installed", "chosen"), [("3.12", ["3.12", "3.13"], "3.12"), ("3.11", ["3.12", "3.13"], "3.13"), ("3.11", ["3.11"], None), ("3.14", [], None)]
)
def test_the_python_that_runs_a_core(own, installed, chosen):
    assert cores.controller_python(NEWEST, own, installed) == chosen


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        (("2.7", "3.6", "3.7", "3.8"), "2.7, 3.6 to 3.8"),
        (("3.9", "3.10"), "3.9, 3.10"),
        (("3.8",), "3.8"),
        ((), ""),
        (("3.8", "3.10", "3.11", "3.12"), "3.8, 3.10 to 3.12"),
    ],
)
def test_words_for_versions(versions, words):
    assert cores.spans(versions) == words


def test_without_an_index_it_is_what_was_recorded(monkeypatch, capsys):
    def nothing(*_words):
        raise cores.MatrixError("no route to the index")

    monkeypatch.setattr(matrix, "_pip", nothing)
    assert matrix.to_run() == matrix.recorded()
    assert "was not asked for newer cores, these are the recorded ones: no route to the index" in capsys.readouterr().err
    with pytest.raises(cores.MatrixError):
        matrix.record()


def test_a_core_that_is_newer_than_the_record(monkeypatch, capsys):
    newer = cores.Core("2.99", "2.99.1", ("3.30",), ("3.20", "3.30"))
    monkeypatch.setattr(matrix, "offered", lambda _prereleases: {core.series: core.newest for core in matrix.recorded()} | {"2.99": "2.99.1"})
    monkeypatch.setattr(matrix, "read_core", lambda series, newest: newer)
    assert matrix.to_run() == [*matrix.recorded(), newer]
    assert "ansible-core 2.99 is new: `make matrix` records it" in capsys.readouterr().err


def test_the_record_is_of_what_the_collection_takes():
    known = matrix.recorded()
    assert [core.series for core in known] == cores.in_order(core.series for core in known)
    for core in known:
        assert core_support.unsupported(core.newest) is None
        assert set(core.controllers) <= set(core.nodes)
    # The bound of meta/runtime.yml is where the record begins.
    assert matrix.required() == core_support.required() == f">={known[0].series}.0"
    assert core_support.unsupported("2.15.99")


def test_what_is_left_out_is_what_is_not_installed():
    """One place says why; the other makes pip take another one."""
    text = (ROOT / "tests" / "requirements-audit.txt").read_text(encoding="utf-8")
    requirement = Requirement(re.search(r"^ansible-core.*$", text, re.MULTILINE)[0])
    assert {f"{series}.*" for series in matrix.left_out()} == {clause.version for clause in requirement.specifier if clause.operator == "!="}
    assert all(row["why"] and row["source"].startswith("https://") for row in matrix.left_out().values())
    lowest = next(clause.version for clause in requirement.specifier if clause.operator == ">=")
    assert Version(lowest) in Requirement(f"x{matrix.required()}").specifier


def test_what_nodes_are_told_is_what_the_record_says():
    """The sentence for a node with an old Python names the core that drives it."""
    known = matrix.recorded()
    told = re.search(r"use ansible-core (\S+),", node_python.sentence((2, 7, 18), "2.99.0", (3, 20)))[1]
    assert told == known[0].series == cores.last_for(known, "2.7") == cores.last_for(known, "3.6")
    assert [entry for entry in known[0].nodes if not node_python.drives(tuple(map(int, entry.split("."))), True)] == []
