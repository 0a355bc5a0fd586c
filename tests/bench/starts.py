# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long things take to begin."""

from __future__ import annotations

import os
import pathlib
import statistics
import tempfile

from comparison import Row, in_turn, in_words, run, timed
from lab_tests import lab

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
LAB_NODES = ("fixed-below-5-9", "fixed-above-5-9", "unfixed")


def _audit(cache: str) -> float:
    """`make audit` of a checkout of its own, with this cache."""
    with tempfile.TemporaryDirectory() as folder:
        run(["git", "clone", "-q", str(CHECKOUT), f"{folder}/checkout"])
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_") and key not in ("PYTHONPATH", "MAKEFLAGS")}
        return timed(lambda: run(["make", "audit"], cwd=f"{folder}/checkout", env={**environment, "XDG_CACHE_HOME": cache}))


def _scenario() -> float:
    return timed(lambda: run([str(CHECKOUT / "tests/molecule/run"), "default"], cwd=CHECKOUT))


def _lab() -> float:
    lab("down")
    seconds = timed(lambda: lab("up", *LAB_NODES))
    lab("down")
    return seconds


def measure() -> list[Row]:
    """Row 9."""
    with tempfile.TemporaryDirectory() as cache:
        cold = _audit(cache)
        (warm,) = in_turn(lambda: _audit(cache))
    (labs,) = in_turn(_lab)
    scenario = _scenario()
    rows = [
        ("`make audit` on a new clone, nothing in the cache", cold),
        ("`make audit` on a new clone, warm", statistics.median(warm)),
        (f"`lab up` of {len(LAB_NODES)} nodes and their control plane, warm", statistics.median(labs)),
        ("Molecule's scenario `default`, three nodes, warm", scenario),
    ]
    return [Row("9", what, "–", "reported", in_words(seconds)) for what, seconds in rows]
