# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""sysctl.conf and the sysctl.d directories: every line that sets the value, and which of them has the last word.

Two programs read them, each in its own way: systemd-sysctl (sysctl.d(5)), and sysctl of procps (sysctl(8)), which takes
/etc/sysctl.conf last.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import fnmatch

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.config_directories import merged_files

DIRECTORIES = ('/etc/sysctl.d', '/run/sysctl.d', '/usr/local/lib/sysctl.d', '/usr/lib/sysctl.d', '/lib/sysctl.d')
MAIN_FILE = '/etc/sysctl.conf'
KEY = 'net/ipv4/vs/conn_reuse_mode'
SYSTEMD, PROCPS = 'systemd-sysctl', 'procps'


class Assignment(object):
    """One line that sets the value.

    path, line, text: where it stands; value: integer or None; explicit: names the key itself, not a pattern; excludes: a line
    without a value that takes the key out of patterns; masked_by: path of the file that hides this one, or None.
    """

    def __init__(self, path, line, text, value, explicit, excludes, masked_by):
        self.path, self.line, self.text, self.value = path, line, text.strip()[:200], value
        self.explicit, self.excludes, self.masked_by = explicit, excludes, masked_by


def normal_key(key):
    """A key in slashes. Where the first separator is a dot, dots and slashes change places (sysctl.d(5))."""
    for character in key:
        if character == '/':
            return key.strip('/')
        if character == '.':
            return key.replace('/', '\0').replace('.', '/').replace('\0', '.').strip('/')
    return key


def _number(text):
    try:
        return int(text.strip().strip('"\''))
    except ValueError:
        return None


def parse(text, path, masked_by=None):
    """The Assignments of one file."""
    found = []
    for number, line in enumerate(text.split('\n'), 1):
        stripped = line.strip()
        if not stripped or stripped[0] in '#;':
            continue
        key, separator, value = stripped.partition('=')
        key = normal_key(key.strip().lstrip('-').strip())
        if key.startswith('proc/sys/'):
            key = key[len('proc/sys/') :]
        if key == KEY:
            excludes = not separator and stripped.startswith('-')
            if separator or excludes:
                found.append(Assignment(path, number, line, _number(value), True, excludes, masked_by))
        elif separator and any(character in key for character in '*?[') and _matches(key):
            found.append(Assignment(path, number, line, _number(value), False, False, masked_by))
    return found


def _matches(pattern):
    """Whether a pattern of sysctl.d names the key; a * does not reach over a slash (glob(7))."""
    parts, wanted = pattern.split('/'), KEY.split('/')
    return len(parts) == len(wanted) and all(fnmatch.fnmatchcase(have, part) for part, have in zip(parts, wanted))


def last_word(assignments):
    """The Assignment that has the last word among those given, in the order in which they are read, or None."""
    explicit = [assignment for assignment in assignments if assignment.explicit and not assignment.excludes]
    if explicit:
        return explicit[-1]
    if any(assignment.excludes for assignment in assignments):
        return None
    return assignments[-1] if assignments else None


class SysctlFiles(object):
    """All lines of a node that set the value. systemd, procps: the Assignment that wins when that program reads them all."""

    def __init__(self, node):
        self._node = node
        main = parse(node.text(MAIN_FILE) or '', MAIN_FILE)
        main_identity = node.identity(MAIN_FILE)
        self.linked_main = False
        in_directories, self.assignments = [], []
        for path, masked_by in merged_files(node, DIRECTORIES):
            if main_identity is not None and node.identity(path) == main_identity and not masked_by:
                # The usual 99-sysctl.conf, a link: what it holds is known under its own name.
                self.linked_main = True
                in_directories.extend(main)
                continue
            if node.link(path) == '/dev/null':
                continue
            read = parse(node.text(path) or '', path, masked_by)
            self.assignments.extend(read)
            if not masked_by:
                in_directories.extend(read)
        self.assignments.extend(main)
        self.systemd = last_word(in_directories)
        self.procps = last_word(in_directories + main)

    def of_file(self, path):
        """The Assignment that wins when `sysctl -p PATH` reads a file, or those that a pattern of the shell names; or None."""
        directory, dummy, pattern = path.rpartition('/')
        paths = [path]
        if any(character in pattern for character in '*?['):
            paths = [directory + '/' + name for name in self._node.names(directory) or [] if fnmatch.fnmatchcase(name, pattern)]
        return last_word([assignment for each in paths for assignment in parse(self._node.text(each) or '', each)])

    def readers(self, assignment):
        """The programs that read an Assignment's file."""
        if assignment.path == MAIN_FILE and not self.linked_main:
            return [PROCPS]
        return [] if assignment.masked_by else [SYSTEMD, PROCPS]
