# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Of two runs on one node at once, the second waits for the first."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import contextlib
import errno
import fcntl
import os
import time

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock

PAUSE_SECONDS = 0.1


class CannotLock(Exception):
    """The lock was not taken; the text is why."""


def _lock(descriptor, path, operation, deadline, what):
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
            return
        except (IOError, OSError) as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EINTR):
                raise CannotLock('%s cannot be locked: %s' % (path, error.strerror))
        if clock() >= deadline:
            raise CannotLock('another run %s on this node all the time' % what)
        time.sleep(PAUSE_SECONDS)


@contextlib.contextmanager
def one_at_a_time(path, deadline, what):
    """Hold the lock file PATH, which stays. WHAT another run does, for the sentence if it does so until DEADLINE. Raises CannotLock."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | getattr(os, 'O_CLOEXEC', 0), 0o600)
    except OSError as error:
        raise CannotLock('%s cannot be written: %s' % (path, error.strerror))
    try:
        _lock(descriptor, path, fcntl.LOCK_EX, deadline, what)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def while_no_other(path, deadline, what):
    """Wait until nobody holds the lock file PATH, and let nobody take it meanwhile. Where it cannot be read, or is not there, nothing is waited for.

    WHAT another run does, for the sentence if it does so until DEADLINE. Raises CannotLock.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | getattr(os, 'O_CLOEXEC', 0))
    except OSError:
        descriptor = None
    try:
        if descriptor is not None:
            _lock(descriptor, path, fcntl.LOCK_SH, deadline, what)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
