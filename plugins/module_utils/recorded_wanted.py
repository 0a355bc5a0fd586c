# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the caller of recorded changes wants, checked before anything is looked at."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import collections
import os
import re

from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_lines import without_ends
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_paths import Refusal, above, real

# As many as the kernel follows.
MAXIMUM_LINKS = 40
MODE = re.compile(r'0[0-7]{3,4}\Z')
TEXT = (type(b''.decode('ascii')), type(''))


def wanted_files(files, directory, recorded):
    """{path: state} of the caller's list, in its order, under the names that the RECORDED entries have. Refuses what cannot be meant."""
    originals = dict((entry['path'], None if 'lines' in entry else entry['original']) for entry in recorded)
    names = dict((_settled(path, originals), path) for path in originals)
    wanted = collections.OrderedDict()
    for entry in files:
        path = _path_of(entry, originals)
        path = names.get(path, path)
        if entry.get('lines') is not None:
            path = _followed(path, names, originals)
        if above(directory, path) or path == directory:
            raise Refusal('%s is where the records are kept' % path)
        if path in wanted:
            raise Refusal('%s is named twice' % path)
        wanted[path] = _state_of(entry, path)
    for path in wanted:
        for other in wanted:
            if above(path, other):
                raise Refusal('%s is to be a file and the directory of %s' % (path, other))
    return wanted


def _path_of(entry, recorded):
    path = to_text(entry['path'], errors='surrogate_or_replace')
    if not path.startswith('/') or '\0' in path or path.split('/')[-1] in ('', '.') or '..' in path.split('/'):
        raise Refusal('path: %s is not the absolute path of a file' % (path or 'an empty text'))
    try:
        return _settled(path, recorded)
    except UnicodeError:
        raise Refusal('path: %s is not UTF-8 text' % to_text(to_bytes(path, errors='surrogate_or_replace'), errors='replace'))


def _settled(path, recorded):
    """A path without symbolic links above it, so that a file has one name. Those of the record itself may go: they are not followed."""
    parent, name = os.path.split(os.path.normpath(path))
    if parent != '/':
        parent = _settled(parent, recorded)
        if not any(parent == other or above(other, parent) for other in recorded):
            parent = os.path.realpath(parent.encode('utf-8')).decode('utf-8')
    settled = os.path.join(parent, name)
    settled.encode('utf-8')
    return settled


def _followed(path, names, originals):
    """The file that a path leads to. What the record no longer wants is put back first, so that its original is what leads on."""
    for _turn in range(MAXIMUM_LINKS):
        if originals.get(path):
            target = originals[path].get('target')
        else:
            target = os.readlink(real(path)) if os.path.islink(real(path)) else None
        if target is None:
            return path
        parent, name = os.path.split(os.path.join(real(os.path.dirname(path)), target))
        try:
            path = os.path.normpath(os.path.join(os.path.realpath(parent), name)).decode('utf-8')
        except UnicodeError:
            raise Refusal('%s cannot be read: it is a link to a path that is not UTF-8 text' % path)
        path = names.get(path, path)
    raise Refusal('%s cannot be read: its path is a loop of symbolic links' % path)


def _state_of(entry, path):
    given = [name for name in ('content', 'link', 'lines') if entry.get(name) is not None] + (['absent'] if entry.get('absent') else [])
    if len(given) != 1:
        raise Refusal('%s needs exactly one of content, link, lines and absent' % path)
    if given[0] == 'absent':
        return {'kind': 'absent'}
    if given[0] == 'lines':
        return {'kind': 'lines', 'lines': _lines_of(entry['lines'], path)}
    data = to_bytes(_text_of(entry[given[0]], given[0], path))
    if given[0] == 'link':
        if not data or b'\0' in data:
            raise Refusal('%s: its link has no target' % path)
        return {'kind': 'link', 'target': data}
    mode = to_text(entry.get('mode') or '0644')
    if not MODE.match(mode):
        raise Refusal('%s: the mode %s is not an octal number with a leading 0 in quotation marks, such as "0644"' % (path, mode))
    return {'kind': 'file', 'content': data, 'mode': int(mode, 8)}


def _text_of(text, name, path):
    if not isinstance(text, TEXT):
        raise Refusal('%s: its %s is not text but of type %s, which Ansible may have made of it' % (path, name, type(text).__name__))
    try:
        return to_text(to_text(text, errors='strict').encode('utf-8'))
    except UnicodeError:
        raise Refusal('%s: its %s is not UTF-8 text' % (path, name))


def _lines_of(entries, path):
    """The lines as a record keeps them, always in the same order. Refuses those that would be replaced again, or that no line can be."""
    lines = {}
    for entry in entries:
        line, replacement = [_text_of(entry.get(name), name, path) for name in ('line', 'replacement')]
        if not line or '\n' in line or '\r' in line:
            raise Refusal('%s: its line %s is not one line' % (path, repr(line).lstrip('u')))
        if line in lines:
            raise Refusal('%s: its line %s is named twice' % (path, line))
        lines[line] = without_ends(replacement)
    if not lines:
        raise Refusal('%s: its lines are an empty list' % path)
    for line in sorted(lines):
        for other in lines[line]:
            if other in lines:
                raise Refusal('%s: the replacement of its line %s holds a line that is to be replaced: %s' % (path, line, other))
    return [[line, lines[line]] for line in sorted(lines)]


def wanted_values(values):
    """{path: text to write or None} of the caller's list."""
    wanted = collections.OrderedDict()
    for entry in values:
        path = to_text(os.path.normpath(entry['path']), errors='surrogate_or_replace')
        if not path.startswith('/'):
            raise Refusal('path: %s is not the absolute path of a value' % path)
        if path in wanted:
            raise Refusal('%s is named twice' % path)
        wanted[path] = None if entry.get('write') is None else to_text(entry['write']).strip() + '\n'
    return wanted
