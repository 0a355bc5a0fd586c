# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that somebody means to change: what is really at a path, whether it can be taken as text, and whether it may be changed there."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import posixpath
import stat

from ansible.module_utils.common.text.converters import to_native, to_text

MAXIMUM_SIZE = 1024 * 1024
MAXIMUM_LINKS = 40
# What lies below belongs to a package, a snap or the system, and is replaced or gone without anybody's asking.
OF_PACKAGES = ('/usr/', '/lib/', '/lib64/', '/run/', '/var/run/', '/snap/', '/nix/', '/gnu/', '/proc/', '/sys/', '/dev/')
OF_THE_OWNER = ('/usr/local/',)
DEFAULT_PERMISSIONS = '0644'


class FileRefusal(Exception):
    """A file that cannot be changed; the text is a sentence that names it."""

    def __init__(self, text):
        Exception.__init__(self, to_native(text, errors='surrogate_or_replace'))


def followed(node, path):
    """The path that PATH leads to if it is a symbolic link, itself otherwise."""
    for dummy in range(MAXIMUM_LINKS):
        target = node.link(path)
        if target is None:
            return path
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), to_text(target, errors='surrogate_or_replace')))
    raise FileRefusal('%s is a loop of symbolic links' % path)


def is_of_package(path):
    """Whether a path belongs to a package or to the system, not to the owner of the node."""
    return path.startswith(OF_PACKAGES) and not path.startswith(OF_THE_OWNER)


def is_on_read_only(node, path):
    """Whether the file system of a path is mounted read-only, as far as /proc tells."""
    best, options = '', ''
    for line in (node.text('/proc/self/mounts') or node.text('/proc/mounts') or '').split('\n'):
        words = line.split()
        if len(words) < 4:
            continue
        point = words[1].replace('\\040', ' ').rstrip('/') + '/'
        # Of two mounts at one place the later one is seen.
        if path.startswith(point) and len(point) >= len(best):
            best, options = point, words[3]
    return 'ro' in options.split(',')


def reason_of(node, path):
    """Why a path could not be read, or None."""
    for entry in node.unreadable:
        if entry['path'] == path:
            return entry['reason']
    return None


def text_of(node, path):
    """The text of a file. Raises FileRefusal where it cannot be read as it is."""
    size = node.size(path)
    if size is not None and size > MAXIMUM_SIZE:
        raise FileRefusal('%s has %d bytes, more than the %d of any such file' % (path, size, MAXIMUM_SIZE))
    data = node.read(path, MAXIMUM_SIZE)
    if data is None:
        raise FileRefusal('%s cannot be read: %s' % (path, reason_of(node, path) or 'there is no such file'))
    try:
        text = data.decode('utf-8')
    except UnicodeDecodeError as error:
        raise FileRefusal('%s, line %d: not UTF-8 text' % (path, data[:error.start].count(b'\n') + 1))
    if '\0' in text:
        raise FileRefusal('%s, line %d: a zero byte, which no text has' % (path, text[:text.index('\0')].count('\n') + 1))
    return text


def permissions_of(node, path):
    """The mode of a file as an octal number with a leading zero, that of an ordinary one if it cannot be looked at."""
    handle = node.open(path)
    if handle is None:
        return DEFAULT_PERMISSIONS
    try:
        return to_native('%04o' % stat.S_IMODE(os.fstat(handle.fileno()).st_mode))
    finally:
        handle.close()
