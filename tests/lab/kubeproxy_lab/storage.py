# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the lab keeps what it fetched and built: one folder an artifact, under a name made of its recipe.

An artifact is built beside its place and moved there when it is whole, so that a build that was cut off leaves nothing that
anyone would use; of two builders the second waits and finds it ready.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time

from kubeproxy_lab.namespaces import end_with_parent

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "kubeproxy.ipvs" / "lab"
ARTIFACTS = CACHE / "artifacts"
LOGS = CACHE / "logs"
_named: set[pathlib.Path] | None = None


class LabError(Exception):
    """Something that the lab cannot do, in a sentence for its user."""


class Missing(LabError):
    """What Debian's mirror does not serve (any more): the nodes that need it are left out, the others are not."""


def say(text: str) -> None:
    """Tell the user what takes time."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def locked(path: pathlib.Path):
    """Hold a file's lock; it goes with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not inherited by what is started meanwhile: a node that is left running must not keep it.
    with open(path, "w", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def key(*recipe) -> str:
    """A short name for a recipe: whatever changes the result has to be in it."""
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]


def artifact(name: str, recipe, build, what: str) -> pathlib.Path:
    """The folder of an artifact; BUILD is called with an empty folder to fill if there is none of this recipe yet."""
    place = ARTIFACTS / f"{name}-{key(name, recipe)}"
    if place.exists() or _named is not None:
        if _named is not None:
            _named.add(place)
        return place
    with locked(CACHE / "locks" / place.name):
        if place.exists():
            return place
        say(f"{what} (once)")
        began = time.monotonic()
        partial = place.with_name(place.name + ".partial")
        remove(partial)
        partial.mkdir(parents=True)
        build(partial)
        partial.rename(place)
        say(f"{what}: {time.monotonic() - began:.0f} s")
    return place


@contextlib.contextmanager
def only_naming():
    """Within it nothing is built: artifact() only names places, which are collected in the set that this gives."""
    global _named
    _named = set()
    try:
        yield _named
    finally:
        _named = None


def remove(path: pathlib.Path) -> None:
    """Remove a folder or file of the lab, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def run(command, what: str, **options) -> str:
    """Run a command to its end; what it printed on standard output. A failure is a LabError with its last lines."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{os.getpid()}.log"
    try:
        with open(log, "w+b") as errors:
            done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, check=False,
                                  preexec_fn=end_with_parent, **options)
            errors.seek(0)
            said = (done.stdout + b"\n" + errors.read()).decode("utf-8", "replace")
    except FileNotFoundError as error:
        raise LabError(f"{what}: {error.filename} is not installed") from error
    if done.returncode:
        kept = log.with_name(f"failed-{key(what)}.log")
        kept.write_text(said, encoding="utf-8")
        log.unlink(missing_ok=True)
        last = " / ".join(line.strip() for line in said.splitlines() if line.strip())[-400:]
        raise LabError(f"{what} failed ({kept}): {last}")
    log.unlink(missing_ok=True)
    return done.stdout.decode("utf-8", "replace")
