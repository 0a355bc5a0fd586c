# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read files of a node, live or from a collected tree, without ever failing.

A node that lacks something is normal: what is absent reads as None, what exists but cannot be read
reads as None too and is remembered with its reason in C(NodeFiles.unreadable).
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import errno
import os
import stat

from ansible.module_utils.common.text.converters import to_native, to_text

DEFAULT_LIMIT = 1024 * 1024
MAXIMUM_LINKS = 40
MAXIMUM_UNREADABLE = 100
# Of what is read to its end, and of one line of it: no list of the kernel comes near them, a file without blocks can have any length.
MAXIMUM_BYTES = 256 * 1024 * 1024
MAXIMUM_LINE = 64 * 1024
CHUNK = 256 * 1024
# Most files that are read whole are far smaller; memory of more than 128 KiB would be mapped anew for each.
SMALL_CHUNK = 64 * 1024

ABSENT_ERRORS = (errno.ENOENT, errno.ENOTDIR, errno.ESRCH)


class Unreadable(Exception):
    """A path exists but cannot be read; the text is the reason."""


# A locale that cannot express a name makes a UnicodeError of it.
QUIET_ERRORS = (IOError, OSError, UnicodeError, Unreadable)


def _only_root_writes(path, found):
    """Whether nobody but root can write to what is at PATH. found: its os.lstat()."""
    if found.st_uid != 0 or found.st_mode & stat.S_IWOTH:
        return False
    if not found.st_mode & stat.S_IWGRP:
        return True
    if found.st_gid != 0:
        return False
    # With an access control list these bits are those of all whom it names. Python 2 cannot ask for one.
    try:
        return not hasattr(os, 'listxattr') or 'system.posix_acl_access' not in os.listxattr(path)
    except OSError:
        return True


def is_roots_alone(path):
    """Whether nobody but root can change a file of this machine, or lead its path elsewhere: at any step, those of links included."""
    pending, here, links = [part for part in os.path.abspath(path).split('/') if part], '/', 0
    try:
        if not _only_root_writes(here, os.lstat(here)):
            return False
        while pending:
            part = pending.pop(0)
            step = os.path.normpath(os.path.join(here, part))
            found = os.lstat(step)
            if stat.S_ISLNK(found.st_mode):
                links += 1
                if links > MAXIMUM_LINKS:
                    return False
                target = os.readlink(step)
                here = '/' if target.startswith('/') else here
                pending = [name for name in target.split('/') if name not in ('', '.')] + pending
                continue
            if not _only_root_writes(step, found):
                return False
            here = step
    except QUIET_ERRORS:
        return False
    return True


class NodeFiles(object):
    """The files of one node below C(root), C(/) being the running node itself.

    In a collected tree every symbolic link is resolved inside the tree, as the node itself would
    resolve it: an absolute link starts again at C(root) and C(..) stops there, so that a link read
    from a node never leads to a file of the machine that reads it.
    """

    def __init__(self, root='/'):
        self.root = os.path.abspath(root)
        self.live = self.root == '/'
        self.unreadable = []
        self._reported = set()

    def below(self, path):
        """The files seen from another root of this node (C(/proc/PID/root) of a container).

        Links are resolved inside that root. What is unreadable there is reported here, with the
        full path.
        """
        view = NodeFiles(self.root)
        try:
            # On a live node the kernel's own link leads into the container. In a tree it is an ordinary link of that tree.
            view.root = path.rstrip('/') if self.live else self._resolve(path)
        except QUIET_ERRORS:
            view.root = self._join(path)
        view.live = False
        view.unreadable = self.unreadable
        view._reported = self._reported
        view._shown_root = path.rstrip('/')
        return view

    _shown_root = ''

    def report(self, path, reason):
        """Remember that PATH of the node could not be read, once, with the reason."""
        shown = to_text(self._shown_root + path, errors='replace')
        if shown in self._reported or len(self.unreadable) >= MAXIMUM_UNREADABLE:
            return
        self._reported.add(shown)
        self.unreadable.append({'path': shown, 'reason': to_text(reason, errors='replace')})

    def _join(self, path):
        return self.root.rstrip('/') + '/' + path.lstrip('/')

    def _resolve(self, path):
        """The path on this machine that PATH of the node stands for. Raises OSError, Unreadable."""
        if '\0' in path:
            raise Unreadable('a name with a zero byte')
        path = to_native(path, errors='surrogate_or_replace')
        if self.live:
            return path
        resolved = []
        pending = [part for part in path.split('/') if part]
        links = 0
        while pending:
            part = pending.pop(0)
            if part == '.':
                continue
            if part == '..':
                if resolved:
                    resolved.pop()
                continue
            candidate = self._join('/'.join(resolved + [part]))
            if not os.path.islink(candidate):
                resolved.append(part)
                continue
            links += 1
            if links > MAXIMUM_LINKS:
                raise Unreadable('too many symbolic links')
            target = os.readlink(candidate)
            if target.startswith('/'):
                resolved = []
            pending = [step for step in target.split('/') if step] + pending
        return self._join('/'.join(resolved))

    def open(self, path):
        """A binary file object, or None. Only regular files are opened, never a pipe or device."""
        descriptor = self._descriptor(path)
        return None if descriptor is None else os.fdopen(descriptor, 'rb')

    def _descriptor(self, path):
        """The descriptor of a regular file opened for reading, or None."""
        try:
            real = self._resolve(path)
            # Some devices do something when they are opened, a watchdog for one.
            if not stat.S_ISREG(os.stat(real).st_mode):
                raise Unreadable('not a regular file')
            descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise Unreadable('not a regular file')
                return descriptor
            except Exception:
                os.close(descriptor)
                raise
        except (Unreadable, UnicodeError) as error:
            self.report(path, to_native(error))
        except (IOError, OSError) as error:
            self._report_error(path, error)
        return None

    def _beginning(self, path, size):
        """The first SIZE bytes of a file, or None. Without a file object, which costs as many system calls again as reading hundreds of small files does."""
        descriptor = self._descriptor(path)
        if descriptor is None:
            return None
        pieces, missing = [], size
        try:
            while missing > 0:
                piece = os.read(descriptor, min(missing, SMALL_CHUNK))
                if not piece:
                    break
                pieces.append(piece)
                missing -= len(piece)
        except (IOError, OSError) as error:
            self._report_error(path, error)
            return None
        finally:
            os.close(descriptor)
        return b''.join(pieces)

    def _report_error(self, path, error):
        if error.errno not in ABSENT_ERRORS:
            self.report(path, error.strerror or to_native(error))

    def read(self, path, limit=DEFAULT_LIMIT):
        """At most LIMIT bytes of the file, or None if it is absent or unreadable."""
        data = self._beginning(path, limit + 1)
        if data is not None and len(data) > limit:
            self.report(path, 'longer than %d bytes, only the beginning was read' % limit)
            data = data[:limit]
        return data

    def read_head(self, path, size):
        """The first SIZE bytes of a file of any size, or None."""
        return self._beginning(path, size)

    def ends(self, path, size):
        """The first and the last SIZE bytes of a file of any size as one text (all of a short one), or None."""
        handle = self.open(path)
        if handle is None:
            return None
        try:
            data = handle.read(size)
            handle.seek(0, 2)
            rest = handle.tell() - len(data)
            if rest > 0:
                handle.seek(-min(rest, size), 2)
                data += b'\n' + handle.read(size)
        except (IOError, OSError) as error:
            self._report_error(path, error)
            return None
        finally:
            handle.close()
        return to_text(data, errors='replace')

    def text(self, path, limit=DEFAULT_LIMIT):
        """The file as text; bytes that are not UTF-8 become U+FFFD. None as C(read)."""
        data = self.read(path, limit)
        return None if data is None else to_text(data, errors='replace')

    def first_line(self, path):
        """The first line without surrounding white space, or None (also for an empty file)."""
        text = self.text(path)
        return (text or '').strip().split('\n')[0].strip() or None

    def lines(self, path):
        """Each line of a file as bytes; one of more than MAXIMUM_LINE in pieces, and no more than MAXIMUM_BYTES."""
        return self._pieces(path, lambda handle: handle.readline(MAXIMUM_LINE))

    def chunks(self, path):
        """The bytes of a file, a chunk at a time, and no more than MAXIMUM_BYTES."""
        return self._pieces(path, lambda handle: handle.read(CHUNK))

    def _pieces(self, path, read):
        handle = self.open(path)
        if handle is None:
            return
        total = 0
        try:
            piece = read(handle)
            while piece:
                yield piece
                total += len(piece)
                if total >= MAXIMUM_BYTES:
                    self.report(path, 'longer than %d bytes, only the beginning was read' % MAXIMUM_BYTES)
                    return
                piece = read(handle)
        except (IOError, OSError) as error:
            self._report_error(path, error)
        finally:
            handle.close()

    def names(self, path):
        """The sorted names in a directory, [] if it is absent, None if it is unreadable."""
        try:
            found = os.listdir(self._resolve(path))
        except (Unreadable, UnicodeError) as error:
            self.report(path, to_native(error))
            return None
        except (IOError, OSError) as error:
            if error.errno in ABSENT_ERRORS:
                return []
            self._report_error(path, error)
            return None
        return sorted(to_native(name, errors='surrogate_or_replace') for name in found)

    def kind(self, path):
        """'file', 'directory', 'other', or None for what is absent or cannot be looked at."""
        try:
            mode = os.stat(self._resolve(path)).st_mode
        except QUIET_ERRORS:
            return None
        if stat.S_ISREG(mode):
            return 'file'
        return 'directory' if stat.S_ISDIR(mode) else 'other'

    def identity(self, path):
        """What tells two names of the same file or directory: (device, inode), or None."""
        try:
            found = os.stat(self._resolve(path))
        except QUIET_ERRORS:
            return None
        return (found.st_dev, found.st_ino)

    def size(self, path):
        """Length of a file in bytes, or None. Files of /proc and /sys say 0."""
        try:
            return os.stat(self._resolve(path)).st_size
        except QUIET_ERRORS:
            return None

    def is_roots_alone(self, path):
        """Whether nobody but root can change a file or lead its path elsewhere. True in a tree, whose files belong to whoever unpacked it."""
        return not self.live or is_roots_alone(path)

    def link(self, path):
        """The text of a symbolic link, not followed, or None."""
        directory, name = os.path.split(path)
        try:
            return to_native(os.readlink(self._resolve(directory).rstrip('/') + '/' + name), errors='surrogate_or_replace')
        except QUIET_ERRORS:
            return None

    def modified(self, path):
        """Time of the last change in seconds since the epoch, or None."""
        try:
            return os.stat(self._resolve(path)).st_mtime
        except QUIET_ERRORS:
            return None

    def executable(self, path):
        """Whether PATH is a regular file with an execute bit."""
        try:
            mode = os.stat(self._resolve(path)).st_mode
        except QUIET_ERRORS:
            return False
        return stat.S_ISREG(mode) and bool(mode & 0o111)
