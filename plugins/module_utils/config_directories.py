# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories of configuration fragments that overlay each other: sysctl.d, modules-load.d, the drop-ins of units.

A file hides all files of the same name in the directories after its own (sysctl.d(5), modules-load.d(5), systemd.unit(5)).
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type


def is_mask(node, path):
    """Whether PATH is a link to /dev/null, which says that nothing of this name counts."""
    return (node.link(path) or '').endswith('/dev/null')


def joined_lines(text):
    """(number of its first line, line): lines that end in a backslash go on in the next; comments are left out."""
    pending, began = '', 0
    for number, line in enumerate(text.split('\n'), 1):
        line = line.rstrip('\r')
        if not pending:
            began = number
            if line.lstrip().startswith('#'):
                continue
        if line.endswith('\\'):
            pending += line[:-1] + ' '
            continue
        if (pending + line).strip():
            yield began, pending + line
        pending = ''
    if pending.strip():
        yield began, pending


def merged_files(node, directories, ending='.conf'):
    """[(path, masked_by)] of the files in DIRECTORIES (highest precedence first), in the order of their names.

    masked_by is None for a file that counts; for a file that does not, the path of the one that hides it. A link to /dev/null,
    or an empty file that hides another, is listed with itself as masked_by: it says that nothing of this name counts.
    """
    first, files = {}, []
    seen = set()
    for directory in directories:
        # /lib is often a link to /usr/lib: the same directory twice would mask itself.
        identity = node.identity(directory)
        if identity is None or identity in seen:
            continue
        seen.add(identity)
        for name in node.names(directory) or []:
            if not name.endswith(ending):
                continue
            path = directory + '/' + name
            if is_mask(node, path):
                files.append((name, path, first.setdefault(name, path)))
            elif node.kind(path) in ('file', None):
                winner = first.setdefault(name, path)
                files.append((name, path, None if winner == path else winner))
    return [(path, masked_by) for dummy, path, masked_by in sorted(files, key=lambda entry: entry[0])]
