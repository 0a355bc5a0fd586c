# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that are cut off, or refused something, at any of their calls."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
import traceback

from recorded_node import FIRST, SECOND, VALUES, Lines, Node, snapshot

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_paths import Refusal

CHANGING_CALLS = ("open", "write", "fsync", "rename", "unlink", "mkdir", "rmdir", "fchown", "lchown", "fchmod", "utime", "symlink", "setxattr")


def in_child(function):
    """(exit code, result) of a function in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reader)
            with os.fdopen(writer, "wb") as pipe:
                try:
                    result = function()
                except Refusal as error:
                    result = error
                pickle.dump(result if not isinstance(result, Refusal) else ("refused", str(result)), pipe)
            os._exit(0)
        except BaseException:  # nothing of a child may run on as a second pytest
            traceback.print_exc()
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, pickle.loads(data) if data else None


def interfere(deed, calls=CHANGING_CALLS):
    """Let DEED(number, name, arguments) come before each call that changes something; returns what takes that back."""
    number = 0
    real = {name: getattr(os, name) for name in calls}

    def wrap(name):
        def call(*arguments, **options):
            nonlocal number
            if name != "open" or arguments[1] & (os.O_CREAT | os.O_TRUNC):
                number += 1
                deed(number, name, arguments)
            return real[name](*arguments, **options)

        return call

    for name in calls:
        setattr(os, name, wrap(name))
    return lambda: [setattr(os, name, function) for name, function in real.items()]


class Killed(BaseException):
    """Comes in place of every change from a moment on: what runs afterwards in this process cannot change a thing either."""


def open_descriptors():
    # The listing's own is closed by then.
    return {int(name) for name in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{name}")}


def killed_at(moment, function):
    """Whether FUNCTION came to its call of that number, and no further; half of what it was about to write is written."""
    write, flock, held = os.write, fcntl.flock, []

    def kill(number, name, arguments):
        # A kernel value is written at once, or not at all.
        if number == moment and name == "write" and len(arguments[1]) > 4:
            write(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
        if number >= moment:
            raise Killed

    def lock(descriptor, operation):
        flock(descriptor, operation)
        held.append(os.dup(descriptor))

    killed, before = False, open_descriptors()
    take_back = interfere(kill)
    fcntl.flock = lock
    try:
        function()
    except Killed:
        killed = True
        # The system lets go of the locks of the dead.
        for descriptor in held:
            flock(descriptor, fcntl.LOCK_UN)
    finally:
        take_back()
        fcntl.flock = flock
    # It closes what they had open, too.
    for descriptor in (open_descriptors() - before) if killed else held:
        os.close(descriptor)
    return killed


def nothing(node):
    pass


def first(node):
    return node.apply(FIRST, VALUES)


def second(node):
    return node.apply(SECOND, {"proc/other": "1 2"})


def restored(node):
    return node.restore()


def both(node):
    first(node)
    second(node)


def marked(node):
    """Lines in a file that was whole, a whole file where lines were, other lines, and the old ones gone."""
    return node.apply({"etc/systemd/unit": UNITS, "etc/plain": Lines.of(("plain", "# plain")), "etc/link": Lines.of(("value = 0", "")), "etc/a": "ours"})


def marked_otherwise(node):
    return node.apply({"etc/systemd/unit": Lines.of(("[Unit]", "[Unix]")), "etc/plain": "ours\n", "etc/a": Lines.of(("ours", "")), "etc/new": "new\n"})


UNITS = Lines.of(("[Unit]", "# ours\n# [Unit]"))
CUT = [
    (nothing, first),
    (first, second),
    (both, first),
    (first, restored),
    (both, restored),
    (nothing, marked),
    (marked, marked_otherwise),
    (marked_otherwise, marked),
    (marked, restored),
]


class Fresh:
    """Trees that begin alike, made anew quickly."""

    def __init__(self, directory, prepare):
        self.directory = directory
        self.count = 0
        self.prepare = prepare

    def __call__(self):
        if self.count:
            shutil.rmtree(self.directory / str(self.count))
        self.count += 1
        node = Node(self.directory / str(self.count))
        original = snapshot(node.root)
        self.prepare(node)
        return node, original
