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
import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.config_directories import is_mask, merged_files

DIRECTORIES = ('/etc/sysctl.d', '/run/sysctl.d', '/usr/local/lib/sysctl.d', '/usr/lib/sysctl.d', '/lib/sysctl.d')
# procps has put /run before /etc until its version 4; tuned reads these two alone.
PROCPS_DIRECTORIES = (DIRECTORIES[1], DIRECTORIES[0]) + DIRECTORIES[2:]
TUNED_DIRECTORIES = PROCPS_DIRECTORIES[:2]
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


def number_of(text):
    """What the kernel makes of a written text: the number in front counts, also before a comment; quotes are refused."""
    found = re.match(r'\s*([-+]?(?:0[xX][0-9a-fA-F]{1,16}|[0-9]{1,18}))(?=\s|$)', text)
    if not found:
        return None
    digits = found.group(1).lower()
    octal = re.match(r'[-+]?0[0-7]+$', digits)
    return int(digits, 16 if 'x' in digits else 8 if octal else 10)


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
                found.append(Assignment(path, number, line, number_of(value), True, excludes, masked_by))
        elif separator and any(character in key for character in '*?[') and _matches(key):
            found.append(Assignment(path, number, line, number_of(value), False, False, masked_by))
    return found


def _matches(pattern):
    """Whether a pattern of sysctl.d names the key; a * does not reach over a slash (glob(7))."""
    parts, wanted = pattern.split('/'), KEY.split('/')
    return len(parts) == len(wanted) and all(fnmatch.fnmatchcase(have, part) for part, have in zip(parts, wanted))


def last_word(assignments):
    """The Assignment that has the last word among those given, in the order in which they are read, or None.

    A line that names the key goes before every pattern; one without a value takes back those before it too.
    """
    named = [assignment for assignment in assignments if assignment.explicit]
    if named:
        return None if named[-1].excludes else named[-1]
    return assignments[-1] if assignments else None


def _boots_without_systemd(node):
    """Whether the boot scripts run sysctl of procps or busybox: OpenRC, RHEL 6."""
    if node.live:
        return node.kind('/run/systemd/system') is None
    return node.kind('/etc/runlevels') == 'directory' or node.kind('/etc/rc.d/rc.sysinit') == 'file'


class SysctlFiles(object):
    """All lines of a node that set the value.

    systemd, procps, tuned: the Assignment that wins when that program reads its files, or None. at_boot: the same for the program
    that applies them at boot, whose name is boot_program.
    """

    def __init__(self, node):
        self._node, self._parsed = node, {}
        self.main = parse(node.text(MAIN_FILE) or '', MAIN_FILE)
        self._main_identity = node.identity(MAIN_FILE)
        self.linked_main = False
        self.assignments = []
        in_directories = self._in(DIRECTORIES, self.assignments)
        self.assignments.extend(self.main)
        self.systemd = last_word(in_directories)
        self.procps = last_word(self._in(PROCPS_DIRECTORIES) + self.main)
        # tuned knows neither patterns nor exclusions (tuned/plugins/plugin_sysctl.py).
        literal = [assignment for assignment in self._in(TUNED_DIRECTORIES) + self.main if assignment.explicit and not assignment.excludes]
        self.tuned = literal[-1] if literal else None
        self.boot_program = PROCPS if _boots_without_systemd(node) else SYSTEMD
        self.at_boot = self.procps if self.boot_program == PROCPS else self.systemd

    def _in(self, directories, every=None):
        """The Assignments in force in DIRECTORIES, in their order; EVERY is extended by those that are masked as well."""
        in_force = []
        for path, masked_by in merged_files(self._node, directories):
            if self._main_identity is not None and not masked_by and self._node.identity(path) == self._main_identity:
                # The usual 99-sysctl.conf, a link: what it holds is known under its own name.
                self.linked_main = True
                in_force.extend(self.main)
                continue
            if is_mask(self._node, path):
                continue
            if path not in self._parsed:
                self._parsed[path] = parse(self._node.text(path) or '', path, masked_by)
            if every is not None:
                every.extend(self._parsed[path])
            if not masked_by:
                in_force.extend(self._parsed[path])
        return in_force

    def of_file(self, path):
        """The Assignment that wins when `sysctl -p PATH` reads one file, or all those that a pattern of the shell names, or None."""
        directory, dummy, pattern = path.rpartition('/')
        if not any(character in pattern for character in '*?['):
            return last_word(parse(self._node.text(path) or '', path))
        found = []
        for name in fnmatch.filter(self._node.names(directory or '/') or [], pattern):
            if not name.startswith('.'):
                found.extend(parse(self._node.text(directory + '/' + name) or '', directory + '/' + name))
        return last_word(found)

    def readers(self, assignment):
        """The programs that read an Assignment's file."""
        if assignment.path == MAIN_FILE and not self.linked_main:
            return [PROCPS]
        return [] if assignment.masked_by else [SYSTEMD, PROCPS]
