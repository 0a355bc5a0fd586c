# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What recorded changes do with a path, and what they say when the system does not let them. Paths are text."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import contextlib
import errno
import os
import stat

from ansible.module_utils.common.text.converters import to_bytes, to_native, to_text

CHUNK = 256 * 1024
GONE = (errno.ENOENT, errno.ENOTDIR)
# A directory in which something is, be it another file system.
NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY)
# Not every file system can synchronise a directory, or has extended attributes.
NOT_OFFERED = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)
REASONS = {
    errno.EROFS: 'its file system is read-only',
    errno.ENOSPC: 'no space is left on its file system',
    errno.EDQUOT: 'the disk quota is used up',
    errno.EACCES: 'permission denied',
    errno.EPERM: 'the system does not permit it; the file or its directory may be immutable',
    errno.ELOOP: 'its path is a loop of symbolic links',
    errno.ENOTDIR: 'a part of its path is not a directory',
    errno.EBUSY: 'it is in use, as a mount point is',
    errno.ENAMETOOLONG: 'the name is too long',
}


class Refusal(Exception):
    """Something cannot be done; the text is what the caller is told."""

    def __init__(self, text):
        Exception.__init__(self, to_native(text, errors='surrogate_or_replace'))


@contextlib.contextmanager
def told(path, deed):
    """What the system refuses inside becomes a Refusal that says which path cannot be what (DEED) and why."""
    try:
        yield
    except EnvironmentError as error:
        raise Refusal('%s cannot be %s: %s' % (to_text(path), deed, to_text(REASONS.get(error.errno) or error.strerror or error)))


def real(path):
    """A path as the system takes it, whatever the locale is."""
    return to_bytes(path, errors='surrogate_or_strict')


def is_gone(path, error):
    """Whether ERROR, of an attempt to remove PATH, means that there is none: a read-only file system says that it is one before it looks."""
    return error.errno in GONE or error.errno == errno.EROFS and not os.path.lexists(real(path))


def discard(path):
    """Remove a file that may not be there; True if it was."""
    try:
        os.unlink(real(path))
    except OSError as error:
        if not is_gone(path, error):
            raise
        return False
    return True


def with_errors_kept(deed, *arguments):
    """Do it if it can be done: what went wrong before is what the caller must hear of."""
    try:
        return deed(*arguments)
    except EnvironmentError:
        return None


def synchronise(path):
    """See a directory's entries onto the disk."""
    descriptor = os.open(real(path), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise
    finally:
        os.close(descriptor)


def missing_parents(path):
    """The directories above PATH that do not exist, the uppermost first. Refuses a path that none could lead to."""
    missing = []
    parent = os.path.dirname(path)
    while True:
        with told(path, 'written'):
            try:
                found = os.stat(real(parent))
                break
            except OSError as error:
                if error.errno not in GONE:
                    raise
                if os.path.lexists(real(parent)):
                    raise Refusal('%s cannot be written: %s is a link that leads nowhere' % (path, parent))
        missing.insert(0, parent)
        parent = os.path.dirname(parent)
    if not stat.S_ISDIR(found.st_mode):
        raise Refusal('%s cannot be written: %s is not a directory' % (path, parent))
    return missing


def make_directory(path, labels=None):
    """A directory with mode 0755, whatever the umask is."""
    umask = os.umask(0o022)
    try:
        with told(path, 'made'):
            os.mkdir(real(path), 0o755)
            if labels:
                labels.put(path, labels.default(path))
            synchronise(os.path.dirname(path))
    finally:
        os.umask(umask)


def remove_directory(path):
    """Remove a directory if it is empty; True if it is gone. Raises OSError if the system does not let it be removed."""
    try:
        os.rmdir(real(path))
    except OSError as error:
        if error.errno == errno.ENOTDIR or error.errno in NOT_EMPTY:
            return False
        if not is_gone(path, error):
            raise
        return True
    with_errors_kept(synchronise, os.path.dirname(path))
    return True


def read_value(path):
    """The text of a kernel value, None if there is none."""
    with told(path, 'read'):
        try:
            descriptor = os.open(real(path), os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in GONE:
                return None
            raise
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Refusal('%s is not a file' % path)
            data = os.read(descriptor, CHUNK)
        finally:
            os.close(descriptor)
    try:
        return data.decode('utf-8')
    except UnicodeError:
        raise Refusal('%s cannot be read: its value is not UTF-8 text' % path)


def write_value(path, text):
    """Write a kernel value and see that it stays. Never makes a file."""
    with told(path, 'written'):
        descriptor = os.open(real(path), os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(descriptor, to_bytes(text))
        finally:
            os.close(descriptor)
    now = read_value(path)
    if now is None or now.split() != text.split():
        raise Refusal('%s was written but did not stay: it is %s, not %s' % (path, 'gone' if now is None else now.strip(), text.strip()))


def above(directory, path):
    """Whether PATH lies somewhere below DIRECTORY, by their names."""
    return path.startswith(directory.rstrip('/') + '/')
